"""The paper's nested design: each text is combined with random (template, persona) pairs, the same for all models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.design.randomness import generator, key, keys, mix
from falserefusal.design.sequential import look_sizes

AT_ONCE = 1_000_000  # random numbers in memory


def nested_picks(
    task: str, row_ids: pd.Series, personas: list[str], templates: list[str], config: Mapping[str, Any], seed: int
) -> pd.DataFrame:
    """Draw the pairs of one task.

    With balance "independent", draws are uniform over the (template, persona) pairs, and texts are independent of each
    other. A pair's rank in a text comes from permanent random numbers. So another text changes no other text, more
    draws keep the first ones, and another persona replaces only the draws in which it ranks first (with a 16th persona,
    15/16 stay). With balance "balanced", all pairs come in cycles, in an order in which the counts of personas, of
    templates, and of both within a text differ by at most one. This ties the texts together: any change redraws what
    comes after it. `replacement` says whether a text may get the same pair twice.

    Returns
    -------
    DataFrame of positions: row, template, persona (-1: baseline), draw (-1: baseline), interim_look.
    """
    draws = config["draws_per_row"]
    check_draws(task, len(templates) * len(personas), config)
    row_keys = keys(row_ids, seed, task)
    order = np.argsort(mix(row_keys ^ np.uint64(key("order"))), kind="stable")
    if config["balance"] == "independent":
        pair_keys = np.array([key(template, persona) for template in templates for persona in personas], np.uint64)
        chosen = _independent(row_keys, pair_keys, draws, config["replacement"])
        template, persona = np.divmod(chosen, len(personas))
    else:
        template, persona = np.empty((2, len(row_ids), draws), dtype=int)
        template[order], persona[order] = _balanced(task, len(row_ids), len(templates), len(personas), config, seed)

    sizes = look_sizes(len(row_ids), config["sequential"])
    look_of_row = np.empty(len(row_ids), dtype=int)
    look_of_row[order] = np.repeat(np.arange(len(sizes)), sizes)

    rows = np.repeat(np.arange(len(row_ids)), draws)
    picks = pd.DataFrame({"row": rows, "template": template.ravel(), "persona": persona.ravel()})
    picks["draw"] = np.tile(np.arange(draws), len(row_ids))
    if config["baseline"]:
        baseline = picks[["row", "template"]].drop_duplicates().assign(persona=-1, draw=-1)
        picks = pd.concat([picks, baseline], ignore_index=True)
    picks = picks.sort_values(["row", "template"], kind="stable", ignore_index=True)
    return picks.assign(interim_look=look_of_row[picks["row"]])


def check_draws(task: str, pairs: int, config: Mapping[str, Any]) -> None:
    """Raise InputError if `pairs` (template, persona) pairs are too few for the draws of a text of `task`."""
    draws = config["draws_per_row"]
    if draws > pairs and not config["replacement"]:
        raise InputError(
            f"design: draws_per_row is {draws}, but task '{task}' has only {pairs} (template, persona) pairs; "
            "draw fewer, or set replacement: true"
        )
    if config["balance"] == "balanced" and 3 * draws > pairs:
        raise InputError(
            f"design: balance 'balanced' draws at most a third of the {pairs} (template, persona) pairs of task "
            f"'{task}' per text, not {draws}; draw fewer, or use balance: independent"
        )


def _independent(row_keys: np.ndarray, pair_keys: np.ndarray, draws: int, replacement: bool) -> np.ndarray:
    """Indices of the pairs drawn for each text, shape (texts, draws)."""
    if not replacement:
        size = max(1, AT_ONCE // len(pair_keys))
        parts = (row_keys[start : start + size] for start in range(0, max(1, len(row_keys)), size))
        return np.concatenate([_smallest(mix(mix(part)[:, None] ^ pair_keys), draws) for part in parts])
    columns = [mix(row_keys ^ np.uint64(key("draw", draw))) for draw in range(draws)]
    return np.stack([mix(column[:, None] ^ pair_keys).argmin(axis=1) for column in columns], axis=1)


def _smallest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` smallest numbers of each row, in ascending order of the numbers."""
    least = np.argpartition(numbers, count - 1, axis=1)[:, :count]
    return np.take_along_axis(least, np.take_along_axis(numbers, least, axis=1).argsort(axis=1), axis=1)


def _balanced(
    task: str, rows: int, templates: int, personas: int, config: Mapping[str, Any], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Templates and personas of `rows` texts, two arrays of shape (rows, draws), taken from one balanced sequence."""
    draws = config["draws_per_row"]
    pairs = templates * personas
    cycles: list[np.ndarray] = []
    length = 0
    while length < rows * draws:
        rng = generator(seed, "balanced", task, len(cycles))
        over = length % draws  # draws that the last cycle has already given to the text that spans two cycles
        while True:
            cycle = _cycle(rng, templates, personas)
            seam = cycle[: draws - over]
            if not over or not np.isin(_code(seam, personas), _code(cycles[-1][-over:], personas)).any():
                break
        cycles.append(cycle)
        length += pairs
    sequence = np.concatenate(cycles)[: rows * draws].reshape(rows, draws, 2)
    return sequence[..., 0], sequence[..., 1]


def _cycle(rng: np.random.Generator, templates: int, personas: int) -> np.ndarray:
    """List all (template, persona) pairs once, in an order whose every prefix is balanced in both; shape (pairs, 2).

    Both factors are cycled. After each least common multiple the templates move on by one, which gives the pairs that
    two cycles of unequal length alone would never form.
    """
    position = np.arange(templates * personas)
    template = rng.permutation(templates)[(position + position // np.lcm(templates, personas)) % templates]
    return np.stack([template, rng.permutation(personas)[position % personas]], axis=1)


def _code(pairs: np.ndarray, personas: int) -> np.ndarray:
    code: np.ndarray = pairs[:, 0] * personas + pairs[:, 1]
    return code

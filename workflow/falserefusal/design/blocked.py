"""The blocked design: each text and template is sent once without a persona (the baseline) and with three personas.

Persona effects are then differences within a block. Blocks are grouped into days that hold every persona once, and
days into cycles in which every two personas share exactly one block (a Kirkman triple system, for 15 personas). So all
comparisons between two personas are equally precise. These are resolvable incomplete blocks (Bose 1942, Sankhya 6:105)
with a control in every block (Bechhofer and Tamhane 1981, Technometrics 23:45).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.design.randomness import generator, key, keys, mix
from falserefusal.design.sequential import look_sizes

PERSONAS_PER_BLOCK = 3

# Seven days of five groups for 15 personas; each pair of personas is in exactly one group. The groups are the lines of
# the projective space PG(3, 2).
_KIRKMAN = """
1-2-3 4-8-12 5-10-15 6-11-13 7-9-14
1-4-5 2-9-11 3-13-14 6-10-12 7-8-15
1-6-7 2-13-15 3-8-11 4-10-14 5-9-12
1-8-9 2-4-6 3-12-15 5-11-14 7-10-13
1-10-11 2-12-14 3-4-7 5-8-13 6-9-15
1-12-13 2-5-7 3-9-10 4-11-15 6-8-14
1-14-15 2-8-10 3-5-6 4-9-13 7-11-12
"""
KIRKMAN = np.array([[g.split("-") for g in day.split()] for day in _KIRKMAN.split("\n") if day], dtype=int) - 1


def group_size(personas: int) -> int:
    """Number of personas in one block."""
    return min(PERSONAS_PER_BLOCK, personas)


def cycle_length(personas: int) -> int:
    """Number of blocks in one cycle, in which a persona shares a block with every other (35 for 15 personas)."""
    size = group_size(personas)
    days = 1 if size < 2 else -(-(personas - 1) // (size - 1))
    return days * -(-personas // size)


def number_of_blocks(config: Mapping[str, Any], personas: int) -> int:
    """Number of blocks per task (per model, where models do not share prompts), as the config asks.

    The config has either `blocks_per_task` or `calls_per_task`. Raises InputError if that is less than one block.
    """
    blocks, calls = config["blocks_per_task"], config["calls_per_task"]
    if blocks is None:
        blocks = calls // (1 + group_size(personas))
    if blocks < 1:
        raise InputError(f"design: calls_per_task is {calls}, less than one block of {1 + group_size(personas)} calls")
    return int(blocks)


def check_blocks(task: str, blocks: int, rows: float, templates: int) -> None:
    """Raise InputError if the texts and templates of `task` make fewer prompts than there are blocks."""
    if blocks > rows * templates:
        raise InputError(
            f"design: {blocks} blocks for task '{task}', but its {rows} texts and {templates} templates make only "
            f"{rows * templates} different prompts; ask for fewer blocks or sample more texts"
        )


def blocked_picks(
    task: str, row_ids: pd.Series, personas: int, templates: int, config: Mapping[str, Any], seed: int, model: str
) -> pd.DataFrame:
    """Draw the blocks of one task (and model).

    Every text is used once before any text is used again. Texts come in a seeded order made of permanent random
    numbers. Templates come in random permutations, so their counts differ by at most one in each pass through the
    texts. In a further pass, the texts of a permutation get its templates moved on by a random number of places that
    the permutation has not had, so that a text never gets a template twice and any two templates of a text are a random
    pair. With more blocks, the first ones stay the same.

    Returns
    -------
    DataFrame of positions: row, template, persona (-1: baseline), draw, interim_look, block.
    """
    blocks, rows = number_of_blocks(config, personas), len(row_ids)
    check_blocks(task, blocks, rows, templates)
    order = np.argsort(mix(keys(row_ids, seed, task, model) ^ np.uint64(key("order"))), kind="stable")
    rng = generator(seed, "templates", task, model)
    sets = -(-rows // templates)  # of texts that share a permutation of the templates
    permutations = np.stack([rng.permutation(templates) for _ in range(sets)])
    moves = np.stack([np.append(0, 1 + rng.permutation(templates - 1)) for _ in range(sets)])
    passes, place = np.divmod(np.arange(blocks), rows)
    which, start = np.divmod(place, templates)
    template = permutations[which, (start + moves[which, passes]) % templates]

    groups = persona_groups(personas, blocks, seed, task, model)
    members = np.concatenate([np.full((blocks, 1), -1), groups], axis=1)
    width = members.shape[1]
    sizes = look_sizes(blocks, config["sequential"], cycle_length(personas))
    return pd.DataFrame(
        {
            "row": np.repeat(order[place], width),
            "template": np.repeat(template, width),
            "persona": members.ravel(),
            "draw": np.tile(np.arange(-1, width - 1), blocks),
            "interim_look": np.repeat(np.repeat(np.arange(len(sizes)), sizes), width),
            "block": np.repeat(np.arange(blocks), width),
        }
    )


def persona_groups(personas: int, blocks: int, seed: int, task: str, model: str) -> np.ndarray:
    """Assign personas to blocks, shape (blocks, group size): a Kirkman system for 15 personas, else random partitions.

    In each cycle, personas are permuted and days are reordered. Where the group size does not divide the number of
    personas, the last group of a day is completed with the personas used least often for that purpose. So after every
    day the personas' counts differ by at most one.
    """
    size = group_size(personas)
    per_day = -(-personas // size)
    days_per_cycle = cycle_length(personas) // per_day
    extra = np.zeros(personas, dtype=int)  # how often each persona has completed a group
    days: list[np.ndarray] = []
    while len(days) * per_day < blocks:
        rng = generator(seed, "groups", task, model, len(days) // days_per_cycle)
        if personas == KIRKMAN.size // len(KIRKMAN):
            days.extend(rng.permutation(personas)[KIRKMAN[rng.permutation(len(KIRKMAN))]])
            continue
        for _ in range(days_per_cycle):
            day = rng.permutation(personas)
            if missing := per_day * size - personas:
                by_use = day[np.argsort(extra[day], kind="stable")]
                filling, others = by_use[:missing], rng.permutation(by_use[missing:])
                extra[filling] += 1
                last, rest = others[: size - missing], others[size - missing :]
                day = np.concatenate([rng.permutation(np.concatenate([filling, rest])), last, filling])
            days.append(day.reshape(per_day, size))
    return np.concatenate(days)[:blocks]

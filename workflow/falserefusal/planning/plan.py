"""What a study will cost: prompts, tokens, disk, memory, GPU hours. Needs no text, no weights and no network."""

from dataclasses import dataclass

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import BASELINE
from falserefusal.planning.estimate import (
    ASSUMPTIONS,
    BYTES,
    JUDGE_TOKENS,
    QUANTIZED_BYTES,
    hours,
    judge_load,
    memory,
    network,
    tokens,
    wall_hours,
)

WORKLOAD = ["task", "persona_prompts", "baseline_prompts", "prompts", "unique_prompts", "characters", "counted"]
CARD_COUNTS = (1, 2, 4, 8, 16)

# Mean characters of a text before any is there, over all rows of the sources: XNLI English test (premise 106.5 and
# hypothesis 52.1), POPQUORN's 3,718 e-mails and its 13,036 offensiveness rows. A task not listed counts 200.
TEXT_CHARACTERS = {"nli": 159.0, "politeness": 198.0, "offensiveness": 169.0}
OTHER_TEXT_CHARACTERS = 200.0

# Annotation rows per label of the sources that must be downloaded: counted in the files of XNLI's test split and
# POPQUORN's offensiveness; the other XNLI splits by their published totals; politeness as its published total of 25,042
# spread evenly.
LABEL_ROWS = {
    ("xnli/test", "nli"): [1670] * 3,
    ("xnli/validation", "nli"): [830] * 3,
    ("xnli/train", "nli"): [130_900] * 3,
    ("popquorn", "politeness"): [5008] * 5,
    ("popquorn", "offensiveness"): [7516, 2190, 1590, 1039, 701],
}


def load_cards(path: str) -> pd.DataFrame:
    """Cards as data: card, kind (gpu, cpu), memory_gb, bandwidth_gb_s, bf16_tflops (dense), source."""
    cards = read_csv(path)
    wanted = ["card", "kind", "memory_gb", "bandwidth_gb_s", "bf16_tflops", "source"]
    if missing := [name for name in wanted if name not in cards]:
        raise InputError(f"{path}: column {', '.join(map(repr, missing))} is missing")
    if cards["card"].duplicated().any():
        raise InputError(f"{path}: card '{cards['card'][cards['card'].duplicated()].iloc[0]}' comes twice")
    for name in wanted[2:5]:
        bad = ~(pd.to_numeric(cards[name], errors="coerce") > 0)
        if bad.any():
            line = int(bad.to_numpy().argmax()) + 2
            raise InputError(f"{path}: line {line}, column '{name}': {cards[name][bad].iloc[0]!r} is not above 0")
    return cards


def find_card(cards: pd.DataFrame, card: str) -> dict:
    """The row of one card; raises InputError for a name that is not there."""
    known = _by_card(cards)
    if card not in known:
        raise InputError(f"plan: no card {card!r}; known are {', '.join(known)} (config/cards.csv)")
    return known[card]


def expected_rows(source: str, task: str, rows_per_gold_label: int) -> int:
    """Texts of a task whose source (by name, as in the texts' `source` column) is not on this machine yet."""
    if (source, task) not in LABEL_ROWS:
        raise InputError(f"plan: how many rows {source!r} has for task '{task}' is not known before it is fetched")
    return sum(min(rows, rows_per_gold_label) for rows in LABEL_ROWS[source, task])


def expected_workload(
    sizes: pd.DataFrame,
    question_characters: dict[str, tuple[float, float]],
    text_characters: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Prompts and their mean length per task, before any text is there.

    sizes: task, persona_prompts, baseline_prompts; question_characters: for each task the characters around the
    text with a persona and baseline; text_characters: mean characters of a text where TEXT_CHARACTERS is not
    right. Returns task, persona_prompts, baseline_prompts, prompts (both), unique_prompts (missing: unknown),
    characters (per prompt), counted (False).
    """
    known = TEXT_CHARACTERS | (text_characters or {})
    rows = []
    for size in sizes.itertuples():
        asked, free = question_characters[size.task]
        prompts = size.persona_prompts + size.baseline_prompts
        around = (asked * size.persona_prompts + free * size.baseline_prompts) / prompts
        characters = known.get(size.task, OTHER_TEXT_CHARACTERS) + around
        kinds = float(size.persona_prompts), float(size.baseline_prompts)
        rows.append((size.task, *kinds, float(prompts), float("nan"), characters, False))
    return _workload(rows)


def counted_workload(design: pd.DataFrame, prompts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The same, counted in the prompts themselves (a frame for each task): `characters` is the mean of the unique ones.

    Where models have prompts of their own, counts are the average model's.
    """
    models = max(1, design["model"].nunique())
    with_persona = design["persona"] != BASELINE
    rows = []
    for task, frame in prompts.items():
        turns = pd.Series(["\n".join(turn["content"] for turn in turns) for turns in frame["messages"]])
        unique = turns.drop_duplicates()
        asked = (with_persona & (design["task"] == task)).sum()
        kinds = asked / models, (len(frame) - asked) / models
        rows.append((task, *kinds, len(frame) / models, len(unique) / models, unique.str.len().mean(), True))
    return _workload(rows)


def _workload(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=WORKLOAD)


def plan(
    models: pd.DataFrame,
    workload: pd.DataFrame,
    cards: pd.DataFrame,
    card: str,
    assumptions: dict | None = None,
    shape: dict | None = None,
    shards: dict[str, int] | None = None,
    judges: pd.DataFrame | None = None,
    instructions: int = 0,
) -> dict:
    """What each model and the whole study need on `card`, and what the whole study needs on every other card.

    models: as in `schemas.MODELS` (params_b may be missing: size_b stands in; a missing shape counts as 0 and is
    noted); workload: from `expected_workload` or `counted_workload`; assumptions: overrides of
    `estimate.ASSUMPTIONS`; shape: values of `estimate.SHAPE` that hold for all models instead of theirs (stand-ins);
    shards: jobs of each model on `card` (None, and on other cards: as many as the assumption hours_per_shard makes);
    judges: rows like those of `models`, of models that judge every answer in a job for each model asked, by
    `instructions` of so many characters; each has a row of its own, "judge" and its model.
    Returns {"models": frame with a last row "total", "cards": frame, "workload": frame, "assumptions": dict,
    "card": name, "kind": gpu or cpu}. Raises InputError for an unknown card, dtype or assumption.
    """
    assume = _assumptions(assumptions)
    chosen = find_card(cards, card)
    asked = workload["unique_prompts"].fillna(workload["prompts"])  # a prompt that comes again is asked once
    parts = [tokens(n, characters, assume) for n, characters in zip(asked, workload["characters"], strict=True)]
    load = {name: sum(part[name] for part in parts) for name in ("prompts", "prompt_tokens", "new_tokens")}

    prompts = workload["prompts"].sum()
    asks = [
        _Ask(
            row,
            network(row) | (shape or {}),
            prompts,
            under(load, row, assume),
            assume,
            (shards or {}).get(row["model"]),
        )
        for row in models.to_dict("records")
    ]
    if judges is not None:
        answers = {name: len(models) * number for name, number in load.items()}
        judging = judge_load(answers, instructions, assume), assume | {"max_new_tokens": JUDGE_TOKENS}
        for row in judges.to_dict("records"):
            named = row | {"model": f"judge {row['model']}"}
            asks.append(_Ask(named, network(row), load["prompts"] * len(models), *judging, len(models)))
    on = {name: [ask.hours(row, None) for ask in asks] for name, row in _by_card(cards).items()}
    on[card] = [ask.hours(chosen, ask.shards) for ask in asks]
    rows = [ask.row(time) for ask, time in zip(asks, on[card], strict=True)]
    table = pd.DataFrame(rows)
    table = pd.concat([table, pd.DataFrame([_total(table)])], ignore_index=True)
    return {
        "card": card,
        "kind": chosen["kind"],
        "models": table,
        "cards": pd.DataFrame([_on_card(name, times) for name, times in on.items()]),
        "workload": workload,
        "assumptions": assume,
    }


def under(load: dict, model: dict, assume: dict) -> dict:
    """The load of a model whose row has a system prompt of its own, which comes with every prompt."""
    system = model.get("system_prompt")
    characters = len(system) if isinstance(system, str) else 0
    more = load["prompts"] * characters / assume["characters_per_token"]
    return load | {"prompt_tokens": load["prompt_tokens"] + more}


@dataclass(frozen=True)
class _Ask:
    """One model and all it is asked. shards: its jobs on the plan's card, if that is settled."""

    model: dict
    shape: dict
    prompts: float
    load: dict
    assume: dict
    shards: int | None

    def hours(self, card: dict, shards: int | None) -> dict:
        return hours(self.shape, self.load, card, self.assume | ({"shards": shards} if shards else {}))

    def row(self, time: dict) -> dict:
        """Its row of the plan, from its hours on the plan's card."""
        budget = time["token_budget"] or self.assume["token_budget"]
        need = memory(self.shape, self.load, self.assume | {"token_budget": budget})
        known = {"model": self.model["model"], "hub_id": self.model["hub_id"], "params_b": self.shape["params_b"]}
        counts = {"prompts": round(self.prompts), "asked": round(self.load["prompts"])}
        counts |= {name: round(self.load[name]) for name in ("prompt_tokens", "new_tokens")}
        return {**known, **counts, **need, **time, "note": _note(self.shape)}


def _total(table: pd.DataFrame) -> dict:
    """Sums over models, and the largest model's memory; an unknown part makes a sum unknown."""
    sums = ["params_b", "prompts", "asked", "prompt_tokens", "new_tokens", "disk_gb", "shards"]
    sums += [name for name in table if name.endswith("hours")]
    total = {name: table[name].astype(float).sum(skipna=False) for name in sums}
    most = {name: table[name].astype(float).max(skipna=False) for name in ("weights_gb", "kv_gb", "memory_gb", "cards")}
    return {"model": "total", "hub_id": "", "note": ""} | total | most


def plan_text(result: dict, study: str) -> str:
    """The plan as a person reads it."""
    models, workload, card = result["models"], result["workload"], result["card"]
    total = models.iloc[-1]
    counts = workload.drop(columns="counted")
    counts = counts.assign(**{name: counts[name].map(_number) for name in counts.columns[1:]})
    source = "counted in the rendered prompts" if workload["counted"].all() else "expected, before any text is there"
    unit = "GPU hours" if result["kind"] == "gpu" else "machine hours"
    fits = pd.notna(total["gpu_hours"])
    spent = f"{_number(total['gpu_hours'], 1)} {unit} on {card}" if fits else f"a model does not fit on {card}"
    lines = [
        f"Plan of the study '{study}' on {card}. Nothing was downloaded for it.",
        "",
        f"Prompts per model ({source}; characters are the mean of one prompt):",
        counts.to_string(index=False),
        "",
        f"Per model on {card} (the last row has the largest model's weights, memory and cards; -: does not fit):",
        _model_table(models, unit).to_string(index=False),
        *(f"  {row.model}: {row.note}" for row in models.itertuples() if row.note),
        "",
        f"In all: {_number(total['prompts'])} prompts (at most {_number(total['asked'])} asked), "
        f"{_number(total['prompt_tokens'] / 1e6, 2)} M prompt tokens, {_number(total['new_tokens'] / 1e6, 2)} M new "
        f"tokens, {_number(total['disk_gb'], 1)} GB of weights on disk; {spent}.",
        "",
        "By card (wall hours by number of cards: models side by side, longest first; -: a model does not fit):",
        _card_table(result["cards"]).to_string(index=False),
        "",
        "These hours are an estimate from the cards' printed figures, not a measurement. It assumes (the config sets "
        "max_new_tokens, dtype, quantization, token_budget as inference.batch_tokens, and hours_per_shard; the others "
        "are fixed in workflow/falserefusal/planning/estimate.py):",
        *(f"  {name}: {value}" for name, value in result["assumptions"].items()),
        "Equal prompts are asked once; how many are equal is known once the texts are here. Deciding early and shared "
        "prefixes save time and are not counted.",
    ]
    return "\n".join(lines) + "\n"


def _model_table(models: pd.DataFrame, unit: str) -> pd.DataFrame:
    table = pd.DataFrame({"model": models["model"], "asked": models["asked"].map(_number)})
    for name in ("prompt_tokens", "new_tokens"):
        table[f"{name.replace('_', ' ')}, M"] = (models[name] / 1e6).map(lambda n: _number(n, 2))
    for name in ("disk", "weights", "kv", "memory"):
        table[f"{name} GB"] = models[f"{name}_gb"].map(lambda n: _number(n, 1))
    for name, title in {"cards": "cards", "token_budget": "token budget", "shards": "jobs"}.items():
        table[title] = models[name].map(_number)
    for name, title in {"hours": "hours", "gpu_hours": unit}.items():
        table[title] = models[name].map(lambda n: _number(n, 2))
    table.loc[len(table) - 1, "token budget"] = ""  # has no total
    return table


def _card_table(cards: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"card": cards["card"], "cards, largest model": cards["cards"].map(_number)})
    table["card hours"] = cards["gpu_hours"].map(lambda n: _number(n, 1))
    for n in CARD_COUNTS:
        table[f"wall h on {n}"] = cards[f"wall_hours_{n}"].map(lambda n: _number(n, 1))
    return table


def plan_json(result: dict) -> dict:
    """The plan as plain data, unknown values as null."""

    def records(frame: pd.DataFrame) -> list[dict]:
        return frame.astype(object).where(frame.notna(), None).to_dict("records")

    frames = {name: records(result[name]) for name in ("workload", "models", "cards")}
    return {"card": result["card"], "kind": result["kind"], "assumptions": result["assumptions"], **frames}


def _assumptions(given: dict | None) -> dict:
    given = given or {}
    if unknown := sorted(set(given) - set(ASSUMPTIONS)):
        known = ", ".join(ASSUMPTIONS)
        raise InputError(f"plan: unknown assumption {', '.join(map(repr, unknown))}; known are {known}")
    assume = ASSUMPTIONS | given
    if assume["dtype"] not in BYTES:
        raise InputError(f"plan: dtype is {assume['dtype']!r}, but must be one of {', '.join(BYTES)}")
    if assume["quantization"] not in (None, *QUANTIZED_BYTES):
        known = ", ".join(QUANTIZED_BYTES)
        raise InputError(f"plan: quantization is {assume['quantization']!r}, but must be null or one of {known}")
    return assume


def _by_card(cards: pd.DataFrame) -> dict[str, dict]:
    return {row["card"]: row for row in cards.to_dict("records")}


def _note(shape: dict) -> str:
    unknown = [name for name, value in shape.items() if not value]
    return f"{', '.join(unknown)} unknown, counted as 0" if unknown else ""


def _on_card(card: str, times: list[dict]) -> dict:
    """The whole study on one card; None where a model does not fit."""
    walls = dict.fromkeys([f"wall_hours_{n}" for n in CARD_COUNTS])
    if any(time["cards"] is None for time in times):
        return {"card": card, "cards": None, "gpu_hours": None, **walls}
    jobs = [(time["hours"] / time["shards"], time["cards"]) for time in times for _ in range(time["shards"])]
    walls = {f"wall_hours_{n}": wall_hours(jobs, n) for n in CARD_COUNTS}
    total = sum(time["gpu_hours"] for time in times)
    return {"card": card, "cards": max(time["cards"] for time in times), "gpu_hours": total, **walls}


def _number(number: float | None, digits: int = 0) -> str:
    return "-" if pd.isna(number) else f"{number:,.{digits}f}"

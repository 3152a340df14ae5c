"""Estimate the cost of a study: prompts, tokens, disk, memory, GPU hours. Needs no texts, weights or network."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.roofline import (
    ASSUMPTIONS,
    BYTES,
    QUANTIZED_BYTES,
    TIMES,
    hours,
    judge_load,
    memory,
    tokens,
    wall_hours,
)
from falserefusal.planning.served import OF_SERVERS, server_table, server_text
from falserefusal.study.materials import ASSUMED_SIZE_B
from falserefusal.study.resources import find_gpu
from falserefusal.study.workload import GOLD_LABEL_ROWS, OTHER_TEXT_CHARACTERS, TEXT_CHARACTERS

WORKLOAD = ["task", "persona_prompts", "baseline_prompts", "prompts", "unique_prompts", "characters", "counted"]
COUNTS = ["persona_prompts", "prompts", "unique_prompts", "characters"]
JUDGE = "judge "  # before the name of a model that judges, in the plan's tables
TOTAL = "Total: "  # begins the line of the plan that a run prints
GPU_COUNTS = (1, 2, 4, 8, 16)
VLLM_MEASURED = (
    "computing takes {share} times as long as with transformers: measured on one processor core with 135 million "
    "parameters, benchmarks/results/inference_cpu.md; for other devices and models an assumption"
)


def expected_rows(source: str, task: str, rows_per_gold_label: int) -> int:
    """Number of texts of a task before they are downloaded. source: its name, as in the texts' column `source`."""
    if (source, task) not in GOLD_LABEL_ROWS:
        raise InputError(
            f"plan: the number of rows of {source!r} for task '{task}' is not known before it is downloaded"
        )
    return sum(min(rows, rows_per_gold_label) for rows in GOLD_LABEL_ROWS[source, task])


def expected_workload(
    sizes: pd.DataFrame,
    question_characters: dict[str, tuple[float, float]],
    text_characters: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Estimate the number of prompts and their mean length for each task, before any text is downloaded.

    Parameters
    ----------
    sizes : DataFrame
        task, persona_prompts and baseline_prompts.
    question_characters : dict
        For each task the characters around the text, with a persona and for the baseline.
    text_characters : dict, optional
        Mean characters of a text, for tasks where TEXT_CHARACTERS does not hold.

    Returns
    -------
    DataFrame
        WORKLOAD: task, persona_prompts, baseline_prompts, prompts (both), unique_prompts (missing: unknown), characters
        (per prompt), counted (False).
    """
    known = TEXT_CHARACTERS | (text_characters or {})
    rows = []
    for size in sizes.itertuples():
        with_persona, baseline = question_characters[size.task]
        prompts = size.persona_prompts + size.baseline_prompts
        around = (with_persona * size.persona_prompts + baseline * size.baseline_prompts) / prompts
        characters = known.get(size.task, OTHER_TEXT_CHARACTERS) + around
        kinds = float(size.persona_prompts), float(size.baseline_prompts)
        rows.append((size.task, *kinds, float(prompts), float("nan"), characters, False))
    return _workload(rows)


def counted_workload(
    draws: Iterable[tuple[str, str, pd.DataFrame]],
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]],
    samples: int | None = None,
) -> pd.DataFrame:
    """Count the prompts of each task: WORKLOAD, with the mean characters of the unique prompts. None is rendered.

    If models have prompts of their own, counts are those of the average model.

    Parameters
    ----------
    draws : iterable
        task, model and draws, from `design.monte_carlo.draw`.
    parts : mapping
        For each task, from `prompts.rendering.prompt_parts`.
    samples : int, optional
        As in `make_design`.
    """
    counts = pd.DataFrame(
        [(task, *_counts(picks, *parts[task], samples)) for task, _, picks in draws], columns=["task", *COUNTS]
    )
    rows = []
    for task, mean in counts.groupby("task", sort=False).mean().iterrows():
        baseline = mean["prompts"] - mean["persona_prompts"]
        each = mean["characters"] / mean["unique_prompts"]
        rows.append((task, mean["persona_prompts"], baseline, mean["prompts"], mean["unique_prompts"], each, True))
    return _workload(rows)


def _counts(picks: pd.DataFrame, before: np.ndarray, bodies: np.ndarray, samples: int | None) -> tuple[int, ...]:
    """COUNTS of the prompts of one task and model; characters are those of all unique prompts together."""
    (questions, words), (texts, content) = pd.factorize(before.ravel()), pd.factorize(bodies)
    columns = before.shape[1]
    persona = picks["persona"].to_numpy() % columns  # -1, the baseline, is the last
    question = picks["template"].to_numpy() * columns + persona
    drawn, times = np.unique(picks["row"].to_numpy() * questions.size + question, return_counts=True)
    row, question = np.divmod(drawn, questions.size)
    # equal prompts of different rows or templates are asked once; samples of a prompt are all asked
    asked = pd.Series(times).groupby(texts[row] * len(words) + questions[question]).max()
    repeats = asked.to_numpy() * samples if samples else np.ones(len(asked), dtype=int)
    text, question = np.divmod(asked.index.to_numpy(), len(words))
    characters = np.array([len(text) for text in content])[text] + np.array([len(word) for word in words])[question]
    each = samples or 1
    with_persona = int((picks["persona"] >= 0).sum()) * each
    return with_persona, len(picks) * each, int(repeats.sum()), int((characters * repeats).sum())


def _workload(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=WORKLOAD)


@dataclass(frozen=True)
class Judges:
    """The judges: their rows of the models file, and the sizes of their prompts, in the same order.

    names: of the judges; characters: of each prompt; tokens: of the longest reply to it.
    """

    names: Sequence[str]
    models: pd.DataFrame
    characters: Sequence[int]
    tokens: Sequence[int]


def plan(
    models: pd.DataFrame,
    workload: pd.DataFrame,
    gpus: Mapping[str, dict],
    gpu: str,
    assumptions: dict | None = None,
    shards: dict[str, int] | None = None,
    judges: Judges | None = None,
) -> dict:
    """Estimate what each model and the whole study need on `gpu`, and the whole study on every other GPU.

    Parameters
    ----------
    models : DataFrame
        From `load_models`. size_b is used if params_b is missing; a missing shape counts as 0 and is noted. A model
        with a `server` is computed elsewhere: it has requests and tokens, a time and a price (columns of
        `with_server_costs`), and no memory and no GPU hours.
    workload : DataFrame
        From `expected_workload` or `counted_workload`.
    gpus : mapping
        The known GPUs by name, from `study.resources.read_gpus`.
    gpu : str
        The GPU that models run on.
    assumptions : dict, optional
        Overrides of `roofline.ASSUMPTIONS`.
    shards : dict, optional
        Jobs of each model on `gpu`. None, and on other GPUs: from the assumption hours_per_shard.
    judges : Judges, optional
        Models that judge every response; each has a row of its own, called "judge" and its name.

    Returns
    -------
    dict
        "models" (DataFrame; the last row is "total"), "servers" (DataFrame, as `server_table` makes it), "gpus"
        (DataFrame), "workload" (DataFrame), "assumptions" (dict), "gpu" (str) and "kind" (gpu or cpu).

    Raises
    ------
    InputError
        The GPU, the dtype or an assumption is unknown.
    """
    assume = _assumptions(assumptions)
    chosen = find_gpu(gpus, gpu)
    asks = _asks(models, workload, assume, shards or {}) + _judge_asks(models, workload, assume, judges)
    on = {name: [ask.hours(row, None) for ask in asks] for name, row in gpus.items()}
    on[gpu] = [ask.hours(chosen, ask.shards) for ask in asks]
    table = pd.DataFrame([ask.row(time) for ask, time in zip(asks, on[gpu], strict=True)])
    table = pd.concat([table, pd.DataFrame([_total(table)])], ignore_index=True)
    return {
        "gpu": gpu,
        "kind": chosen["kind"],
        "models": table,
        "servers": server_table([(ask.model, ask.load) for ask in asks if ask.served], assume),
        "gpus": pd.DataFrame([_on_gpu(name, times) for name, times in on.items()]),
        "workload": workload,
        "assumptions": assume,
    }


def _load(workload: pd.DataFrame, assume: dict) -> dict:
    """What one model is asked in all; equal prompts are asked once."""
    asked = workload["unique_prompts"].fillna(workload["prompts"])
    parts = [tokens(n, characters, assume) for n, characters in zip(asked, workload["characters"], strict=True)]
    return {name: sum(part[name] for part in parts) for name in ("prompts", "prompt_tokens", "new_tokens")}


def _asks(models: pd.DataFrame, workload: pd.DataFrame, assume: dict, shards: Mapping[str, int]) -> list["_Ask"]:
    load, prompts = _load(workload, assume), workload["prompts"].sum()
    return [
        _Ask(row, _shape(row), prompts, under(load, row, assume), assume, shards.get(row["model"]))
        for row in models.to_dict("records")
    ]


def _judge_asks(models: pd.DataFrame, workload: pd.DataFrame, assume: dict, judges: Judges | None) -> list["_Ask"]:
    """Each judge is asked about the responses of all models, in one job for each of them."""
    if judges is None:
        return []
    responses = {name: len(models) * number for name, number in _load(workload, assume).items()}
    asks = []
    rows = judges.models.to_dict("records")
    for name, row, characters, most in zip(judges.names, rows, judges.characters, judges.tokens, strict=True):
        short = assume | {"max_new_tokens": most}
        load, row = judge_load(responses, characters, short), row | {"model": JUDGE + name}
        asks.append(_Ask(row, _shape(row), responses["prompts"], load, short, len(models)))
    return asks


def under(load: dict, model: dict, assume: dict) -> dict:
    """Add to `load` the system prompt of a model that has one, which is part of every prompt."""
    system = model.get("system_prompt")
    characters = len(system) if isinstance(system, str) else 0
    more = load["prompts"] * characters / assume["characters_per_token"]
    return load | {"prompt_tokens": load["prompt_tokens"] + more}


@dataclass(frozen=True)
class _Ask:
    """One model and its load. shards: its number of jobs on the plan's GPU, if the config sets it."""

    model: dict
    shape: dict
    prompts: float
    load: dict
    assume: dict
    shards: int | None

    @property
    def served(self) -> bool:
        """Whether a server computes it, so that no machine of the study does."""
        return isinstance(self.model.get("server"), str)

    @property
    def costs_nothing_here(self) -> bool:
        """Whether no machine of the study computes it: a server does, or its responses are fixed."""
        return self.served or pd.notna(self.model.get("dummy"))

    def hours(self, gpu: dict, shards: int | None) -> dict:
        if self.costs_nothing_here:
            return dict.fromkeys(TIMES, 0) | {"shards": shards or 1}
        return hours(self.shape, self.load, gpu, self.assume | ({"shards": shards} if shards else {}))

    def row(self, time: dict) -> dict:
        """The model's row of the plan, from its hours on the plan's GPU."""
        budget = time["token_budget"] or self.assume["token_budget"]
        need = memory(self.shape, self.load, self.assume | {"token_budget": budget})
        if self.costs_nothing_here:
            need = dict.fromkeys(need, 0.0)
        known = {"model": self.model["model"], "hub_id": self.model["hub_id"], "params_b": self.shape["params_b"]}
        counts = {"prompts": round(self.prompts), "asked": round(self.load["prompts"])}
        counts |= {name: round(self.load[name]) for name in ("prompt_tokens", "new_tokens")}
        return {**known, **counts, **need, **time, "note": self.note}

    @property
    def note(self) -> str:
        """What a reader of the row must know."""
        if self.served:
            return f"asked of the server '{self.model['server']}'"
        if self.costs_nothing_here:
            return "a dummy: fixed responses, no model"
        unknown = [name for name, value in self.shape.items() if not value]
        notes = [f"{', '.join(unknown)} unknown, counted as 0"] if unknown else []
        if pd.isna(self.model.get("size_b")) and pd.isna(self.model.get("params_b")):
            notes.insert(0, f"its size is not in the models file; {ASSUMED_SIZE_B:g} x 10^9 parameters are assumed")
        return "; ".join(notes)


def _total(table: pd.DataFrame) -> dict:
    """Sums over models, and the largest model's memory; a sum with an unknown part is unknown."""
    sums = ["params_b", "prompts", "asked", "prompt_tokens", "new_tokens", "disk_gb", "shards"]
    sums += [name for name in table if name.endswith("hours")]
    total = {name: table[name].astype(float).sum(skipna=False) for name in sums}
    most = {name: table[name].astype(float).max(skipna=False) for name in ("weights_gb", "kv_gb", "memory_gb", "gpus")}
    return {"model": "total", "hub_id": "", "note": ""} | total | most


def disk_text(models: pd.DataFrame, from_hub: Collection[str], keep_weights: bool) -> str:
    """Say how much disk the weights need, if those from the hub are kept and if they are deleted after use.

    Parameters
    ----------
    models : DataFrame
        "models" of a plan.
    from_hub : collection of str
        The hub_id of every model or judge whose weights are downloaded from the hub.
    keep_weights : bool
        Whether they are kept.
    """
    sizes = models.iloc[:-1].groupby("hub_id")["disk_gb"].max()  # rows of one checkpoint share its weights
    deleted = sizes.index.isin(list(from_hub))
    kept = f"{_number(sizes.sum(), 1)} GB"
    if deleted.sum() < 2:
        return f"{kept} of weights on disk"
    at_once = f"{_number(sizes[~deleted].sum() + sizes[deleted].max(), 1)} GB"
    if keep_weights:
        return f"{kept} of weights on disk (with inference.keep_weights: false at most {at_once} at a time)"
    return f"at most {at_once} of weights on disk at a time ({kept} with inference.keep_weights: true)"


def short_text(text: str, path: str) -> str:
    """Return the total of the plan `text`, on one line, and where the whole plan is."""
    total = next(line for line in text.splitlines() if line.startswith(TOTAL))
    return f"Cost estimate: {total.removeprefix(TOTAL)}\n  All of it: {path}"


def plan_text(result: dict, study: str, from_hub: Collection[str] = (), keep_weights: bool = True) -> str:
    """Format the plan as text; `from_hub` and `keep_weights` as in `disk_text`.

    GPU hours, memory and disk are left out where servers compute everything.
    """
    models, workload, total = result["models"], result["workload"], result["models"].iloc[-1]
    counts = workload.drop(columns="counted")
    counts = counts.assign(**{name: counts[name].map(_number) for name in counts.columns[1:]})
    source = (
        "counted in the rendered prompts" if workload["counted"].all() else "expected, before any text is downloaded"
    )
    computed = models.iloc[:-1][~models["model"].iloc[:-1].isin(result["servers"]["model"])]
    here = not computed.empty
    computed = pd.concat([computed, pd.DataFrame([_total(computed)])], ignore_index=True)
    assumptions = result["assumptions"] if here else {name: result["assumptions"][name] for name in OF_SERVERS}
    needs = f", {disk_text(computed, from_hub, keep_weights)}; {_spent(result)}." if here else "."
    lines = [
        f"Plan of the study '{study}'{' on ' + result['gpu'] if here else ''}. Nothing was downloaded to make it.",
        "",
        f"Prompts per model ({source}; characters are the mean of one prompt):",
        counts.to_string(index=False),
        "",
        *(_gpu_lines(result, computed) if here else []),
        *server_text(result["servers"]),
        f"{TOTAL}{_number(total['prompts'])} prompts (at most {_number(total['asked'])} asked), "
        f"{_number(total['prompt_tokens'] / 1e6, 2)} M prompt tokens, {_number(total['new_tokens'] / 1e6, 2)} M new "
        f"tokens{needs}",
        "",
        f"These {'hours are' if here else 'numbers are'} estimated, not measured"
        f"{', from the published figures of the GPUs' if here else ''}. Assumptions (the config sets "
        f"max_new_tokens{', dtype, quantization, token_budget as inference.batch_tokens, and hours_per_shard' * here}; "
        "the others are fixed in workflow/falserefusal/common/roofline.py):",
        *(f"  {name}: {value}" for name, value in assumptions.items()),
        "Equal prompts are asked once; their number is known when the texts are downloaded. Time that early "
        "decision and shared prefixes save is not counted.",
    ]
    return "\n".join(lines) + "\n"


def _spent(result: dict) -> str:
    hours, gpu = result["models"].iloc[-1]["gpu_hours"], result["gpu"]
    unit = _unit(result)
    return f"{_number(hours, 1)} {unit} on {gpu}" if pd.notna(hours) else f"a model does not fit on {gpu}"


def _unit(result: dict) -> str:
    return "GPU hours" if result["kind"] == "gpu" else "machine hours"


def _gpu_lines(result: dict, computed: pd.DataFrame) -> list[str]:
    """The tables of the models that are computed on the study's own machines."""
    return [
        f"Per model on {result['gpu']} (the last row has the largest model's weights, memory and GPUs; -: does not "
        "fit):",
        _model_table(computed, _unit(result)).to_string(index=False),
        *(f"  {row.model}: {row.note}" for row in computed.itertuples() if row.note),
        "",
        "By GPU (wall hours by number of GPUs: models side by side, longest first; -: a model does not fit):",
        _gpu_table(result["gpus"]).to_string(index=False),
        "",
    ]


def early_text(result: dict, in_full_because: str, recheck_share: float) -> str:
    """Say whether responses may stop early, and how many new tokens that saves.

    Parameters
    ----------
    result : dict
        The plan.
    in_full_because : str
        Why responses do not stop early (`Study.in_full_because`); empty where they do.
    recheck_share : float
        Share of the prompts whose responses are generated in full nevertheless.
    """
    models = result["models"].iloc[:-1]
    asked = models[~models["model"].str.startswith(JUDGE)]
    each = asked["new_tokens"] / asked["asked"]
    decided = each.clip(upper=result["assumptions"]["decided_tokens"])
    early = (asked["asked"] * (recheck_share * each + (1 - recheck_share) * decided)).sum()
    saves = f"about {_number(early / 1e6, 2)} of the {_number(asked['new_tokens'].sum() / 1e6, 2)} M new tokens"
    if in_full_because:
        return f"Early decision is off: {in_full_because}. With it (labellers: [phrase_list]), {saves} are generated.\n"
    return f"Early decision is on: {saves} are generated, and more where a response is a refusal.\n"


def backend_hours(result: dict) -> dict[str, float | None]:
    """Hours on the plan's GPU (times GPUs) of the whole study by local backend; None if a model does not fit.

    The estimate is one for `transformers`. `vllm` takes `vllm_time_share` of its computing time, and as long to start.
    """
    models = result["models"].iloc[:-1]
    computing = (models["gpus"] * (models["prefill_hours"] + models["decode_hours"])).astype(float)
    usual, saved = models["gpu_hours"].astype(float).sum(skipna=False), computing.sum(skipna=False)
    vllm = usual - (1 - result["assumptions"]["vllm_time_share"]) * saved
    return {name: None if pd.isna(time) else time for name, time in (("transformers", usual), ("vllm", vllm))}


def backend_text(result: dict) -> str:
    """Say what the study takes with each local backend (inference.backend), and where that is from."""
    unit = "GPU hours" if result["kind"] == "gpu" else "machine hours"
    share = result["assumptions"]["vllm_time_share"]
    sources = {"transformers": "the estimate above", "vllm": VLLM_MEASURED.format(share=share)}
    lines = [f"By inference.backend, all models that are computed on {result['gpu']}:"]
    for name, time in backend_hours(result).items():
        spent = "a model does not fit" if time is None else f"{_number(time, 2)} {unit}"
        lines.append(f"  {name}: {spent} ({sources[name]})")
    if result["assumptions"]["quantization"]:
        lines[-1] = "  vllm: not possible, because it does not quantise on loading (inference.quantization)"
    return "\n".join(lines) + "\n"


def _model_table(models: pd.DataFrame, unit: str) -> pd.DataFrame:
    table = pd.DataFrame({"model": models["model"], "asked": models["asked"].map(_number)})
    for name in ("prompt_tokens", "new_tokens"):
        table[f"{name.replace('_', ' ')}, M"] = (models[name] / 1e6).map(lambda n: _number(n, 2))
    for name in ("disk", "weights", "kv", "memory"):
        table[f"{name} GB"] = models[f"{name}_gb"].map(lambda n: _number(n, 1))
    for name, title in {"gpus": "GPUs", "token_budget": "token budget", "shards": "jobs"}.items():
        table[title] = models[name].map(_number)
    for name, title in {"hours": "hours", "gpu_hours": unit}.items():
        table[title] = models[name].map(lambda n: _number(n, 2))
    table.loc[table.index[-1], "token budget"] = ""  # there is no total
    return table


def _gpu_table(gpus: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"GPU": gpus["gpu"], "GPUs, largest model": gpus["gpus"].map(_number)})
    table["GPU hours"] = gpus["gpu_hours"].map(lambda n: _number(n, 1))
    for n in GPU_COUNTS:
        table[f"wall h on {n}"] = gpus[f"wall_hours_{n}"].map(lambda n: _number(n, 1))
    return table


def plan_json(result: dict) -> dict:
    """The plan as JSON data; unknown values are null."""

    def records(frame: pd.DataFrame) -> list[dict]:
        return frame.astype(object).where(frame.notna(), None).to_dict("records")

    frames = {name: records(result[name]) for name in ("workload", "models", "servers", "gpus")}
    about = {name: result[name] for name in ("gpu", "kind", "assumptions")}
    return {**about, "backend_hours": backend_hours(result), **frames}


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


def _shape(row: dict) -> dict[str, float | None]:
    """Size (10^9) and network of a row of the models file; None where the row is empty."""
    names = ("params_b", "layers", "kv_heads", "head_dim", "hidden", "vocab")
    known = {name: None if pd.isna(row.get(name)) else float(row[name]) for name in (*names, "size_b")}
    size = known.pop("size_b")
    return known | {"params_b": known["params_b"] or size or ASSUMED_SIZE_B}


def _on_gpu(gpu: str, times: list[dict]) -> dict:
    """The whole study on one GPU; None if a model does not fit."""
    walls = dict.fromkeys([f"wall_hours_{n}" for n in GPU_COUNTS])
    if any(time["gpus"] is None for time in times):
        return {"gpu": gpu, "gpus": None, "gpu_hours": None, **walls}
    jobs = [(time["hours"] / time["shards"], time["gpus"]) for time in times for _ in range(time["shards"])]
    walls = {f"wall_hours_{n}": wall_hours(jobs, n) for n in GPU_COUNTS}
    total = sum(time["gpu_hours"] for time in times)
    return {"gpu": gpu, "gpus": max(time["gpus"] for time in times), "gpu_hours": total, **walls}


def _number(number: float | None, digits: int = 0) -> str:
    return "-" if pd.isna(number) else f"{number:,.{digits}f}"

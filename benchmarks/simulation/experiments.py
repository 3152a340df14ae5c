"""Operating characteristics in simulated worlds: coverage of intervals, errors and power of screen and claims.

Every experiment simulates studies, including the design, and applies the functions that estimate a real study. Results
are tidy tables, one row per quantity, world, design and size, with the number of replicates. A share over R replicates
has a Monte Carlo error of at most 0.5 / sqrt(R).
"""

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.outcomes import Outcomes, outcomes_of_frame
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation import claims
from falserefusal.estimation.effects import mean_effects, persona_differences, persona_effects
from falserefusal.estimation.importance import sensitivity_from_outcomes
from falserefusal.estimation.rates import (
    rates_baseline,
    rates_format,
    rates_model_persona,
    rates_model_task,
    rates_task_model_persona,
)
from falserefusal.estimation.regression import firth_table, regression_table
from falserefusal.estimation.sequential import final_limits, interim_table
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.multiplicity import max_t, screen
from simulation import worlds
from simulation.catalogue import BY_FAMILY, FALLING, MODELS, WORLDS
from simulation.true_values import endless_study, task_names, true_indices, true_values
from simulation.worlds import World, make_world, respond

NO_EFFECT = 1e-9  # an effect or index below this is a rounding error of 0
LEVELS = ["model", "task", "persona", "template", "format", "labeller"]
HOT = [(0, 3, 0.3), (0, 9, 0.25), (1, 4, 0.3), (2, 5, 0.4), (3, 3, 0.35), (4, 12, 0.4), (5, 7, 0.5), (6, 3, 0.5)]
HOT += [(8, 6, 0.6), (10, 2, 0.8)]


@dataclass(frozen=True)
class Setting:
    """One setting of an experiment.

    draw : function (design, world, calls, seed) that draws a frame of DESIGN for about `calls` prompts per model,
        baseline included.
    world : name of the world, a key of the worlds of the experiment.
    design : name of the design.
    calls : prompts per model.
    count : number of replicates.
    cores : number of processes.
    seed : seed of all replicates.
    """

    draw: Callable[[str, World, int, Sequence[int]], pd.DataFrame]
    world: str
    design: str
    calls: int
    count: int
    cores: int
    seed: int

    def study(self, world: World, replicate: int) -> pd.DataFrame:
        """Outcomes of one simulated study. Each setting has random numbers of its own: chance errors are not shared."""
        own = zlib.crc32(f"{self.world}/{self.design}/{self.calls}".encode())
        design = self.draw(self.design, world, self.calls, [self.seed, own, 2, replicate])
        return respond(design, world, [self.seed, own, 3, replicate])

    def run(self, once: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
        """Tables of all replicates, in one frame."""
        return pd.concat(replicates(once, self.count, self.cores))


def replicates(run: Callable[[int], object], count: int, cores: int) -> list:
    """Call `run` for the replicate numbers 0 to count - 1, in order, in `cores` processes."""
    if cores == 1:
        return [run(k) for k in range(count)]
    with ProcessPoolExecutor(cores) as pool:
        return list(pool.map(run, range(count), chunksize=max(1, count // (8 * cores))))


def panel(models: Sequence[str]) -> pd.DataFrame:
    """A models table: three families of two generations each; capability rises with the model's number."""
    table = pd.DataFrame({"model": list(models), "capability": np.linspace(30.0, 80.0, len(models))})
    family = pd.Series(np.arange(len(models)) * 3 // len(models))
    groups = family.groupby(family)
    newer = groups.cumcount() * 2 // groups.transform("size")
    return table.assign(family="F" + family.astype(str), generation="G" + family.astype(str) + "." + newer.astype(str))


# --- coverage of intervals, and findings where there is nothing to find


def coverage(setting: Setting) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage of every nominal 95% interval, and rates of false findings, in one world of the catalogue.

    Returns
    -------
    Coverage: quantity, intervals (number per study), coverage (over all of them), error (Monte Carlo standard error of
    coverage, with studies as the units), worst (lowest coverage of one interval, among those that at least half of the
    studies have), worst_by_chance (median of the worst if each covered 95% exactly and independently), half_width
    (median of the bounded intervals), unbounded (share of intervals without an upper limit: ratios to a rate that may
    be 0), replicates, world, design, calls, seed.

    False findings: finding (see `null_findings`), nominal (rate that it should not exceed), tests (per study), rate
    (share of tests that are significant), error (standard error, with studies as the units), p (one-sided: of a rate
    above the nominal one), and replicates, world, design, calls, seed.
    """
    world = WORLDS[setting.world]([setting.seed, 1])
    found = replicates(partial(_coverage_once, setting, world, true_values(world)), setting.count, setting.cores)
    where = {"world": setting.world, "design": setting.design, "calls": setting.calls, "seed": setting.seed}
    covered, findings = (pd.concat(tables) for tables in zip(*found, strict=True))
    return _covered(covered).assign(**where), _false(findings).assign(**where)


def _covered(parts: pd.DataFrame) -> pd.DataFrame:
    """The table of coverage, from whether each interval of each study covers."""
    single = parts.groupby(["quantity", "key"], sort=False)["covered"].agg(["mean", "size"])
    rows = []
    for quantity, pooled in parts.groupby("quantity", sort=False):
        studies = pooled["replicate"].nunique()
        often = single.loc[quantity].query("size >= @studies / 2")["mean"]
        by_chance = stats.binom.ppf(1 - 0.5 ** (1 / max(len(often), 1)), studies, 0.95) / studies
        row = {"quantity": quantity, "intervals": len(pooled) / studies, "coverage": pooled["covered"].mean()}
        row |= {"error": pooled.groupby("replicate")["covered"].mean().std() / np.sqrt(studies)}
        bounded = np.isfinite(pooled["half_width"])
        row |= {"worst": often.min(), "worst_by_chance": by_chance}
        row |= {"half_width": pooled["half_width"][bounded].median(), "unbounded": 1 - bounded.mean()}
        rows.append(row | {"replicates": studies})
    return pd.DataFrame(rows)


def _false(findings: pd.DataFrame) -> pd.DataFrame:
    """The table of false findings, from the number of tests and of significant ones in each study."""
    rows = []
    for (finding, nominal), studies in findings.groupby(["finding", "nominal"], sort=False):
        share, count = studies["significant"] / studies["tests"], len(studies)
        row = {"finding": finding, "nominal": nominal, "tests": studies["tests"].mean(), "rate": share.mean()}
        error = share.std() / np.sqrt(count)
        if (studies["tests"] == 1).all():
            p = stats.binomtest(int(studies["significant"].sum()), count, nominal, alternative="greater").pvalue
        else:
            p = stats.norm.sf((share.mean() - nominal) / error) if error > 0 else float(share.mean() <= nominal)
        rows.append(row | {"error": error, "p": p, "replicates": count})
    return pd.DataFrame(rows)


def _coverage_once(
    setting: Setting, world: World, true: dict[str, pd.Series], replicate: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whether each interval of one study covers its true value, and its half-width; and the false findings."""
    frame = setting.study(world, replicate)
    cells = frame.groupby(LEVELS, observed=True)["refusal"].agg(n="size", refusals="sum").reset_index()
    outcomes = outcomes_of_frame(frame)
    indices = sensitivity_from_outcomes(outcomes, replicates=300, permutations=99, seed=replicate)
    logit = regression_table(outcomes)
    parts = []
    for quantity, keys, table, lo, hi in itertools.chain(rate_tables(cells, outcomes), index_tables(indices, logit)):
        known = true[quantity].reindex(_key(table, keys))
        kept = known.notna().to_numpy() & table[[lo, hi]].notna().all(axis=1).to_numpy()
        low, high, value = table[lo].to_numpy()[kept], table[hi].to_numpy()[kept], known.to_numpy()[kept]
        covered = (low <= value + 1e-9) & (value - 1e-9 <= high)
        frame = {"quantity": quantity, "key": known.index[kept], "covered": covered, "half_width": (high - low) / 2}
        parts.append(pd.DataFrame(frame))
    findings = pd.DataFrame(
        null_findings(outcomes, indices, logit, world, true, replicate),
        columns=["finding", "nominal", "significant", "tests"],
    )
    return pd.concat(parts).assign(replicate=replicate), findings.assign(replicate=replicate)


def null_findings(
    outcomes: Outcomes,
    indices: pd.DataFrame,
    logit: pd.DataFrame,
    world: World,
    true: dict[str, pd.Series],
    replicate: int,
) -> Iterator[tuple[str, float, int, int]]:
    """Yield every kind of test of which the null hypothesis is true: name, nominal rate, and counts of one study.

    Counts are of significant tests and of tests; a family of tests with family-wise control counts as one.
    """
    effects = persona_effects(outcomes)
    table = screen(effects, max_t(outcomes, permutations=300, seed=[replicate, 6]))
    effect = true["persona effect, model x persona"].reindex(_key(table, ["model", "persona"])).to_numpy()
    if (null := effect <= NO_EFFECT).any():
        yield "screen: any persona", 0.05, int(table.loc[null, "raises"].any()), 1
    if (null := np.abs(effect) <= NO_EFFECT).any():
        yield "effect of a persona: p <= .05", 0.05, int((table.loc[null, "p"] <= 0.05).sum()), int(null.sum())
        if _personas_are_exchangeable(world):
            significant = int((table.loc[null, "mcnemar_p"] <= 0.05).sum())
            yield "McNemar's test: p <= .05", 0.05, significant, int(null.sum())
    for where in ("whole study", "one task or model"):
        part = indices[(indices["index"] == "wasserstein") & ((indices["scope"] == "all") == (where == "whole study"))]
        index = true[f"wasserstein, {where}"]
        for factor in ("task", "persona", "template", "format"):
            own = part[part["factor"] == factor]
            known = index.reindex(_key(own, ["factor"] if where == "whole study" else ["factor", "scope"]))
            own = own[(known <= NO_EFFECT).to_numpy() & own["floor_q95"].notna().to_numpy()]
            if len(own):
                if factor != "persona" or _personas_are_exchangeable(world):
                    above = int((own["estimate"] > own["floor_q95"]).sum())
                    yield f"{factor}, {where}: importance above its floor", 0.05, above, len(own)
                limits = own["lo"].dropna()
                if len(limits):
                    above = int((limits > 0).sum())
                    yield f"{factor}, {where}: lower limit of importance above 0", 0.025, above, len(limits)
    known = true["logit coefficient"]
    null = [
        term for term in ("persona", "template", "task") if (known.filter(like=f"{term}|").abs() <= NO_EFFECT).any()
    ]
    for name, table in (("logit", logit), ("Firth's logit", firth_table(outcomes) if null else logit[:0])):
        zero = (known.reindex(_key(table, ["term", "level"])).abs() <= NO_EFFECT).to_numpy() & table["p"].notna()
        for term in null:
            own = table[zero & (table["term"] == term)]
            if len(own):
                yield f"{name}, coefficient of a {term}: p <= .05", 0.05, int((own["p"] <= 0.05).sum()), len(own)


def _personas_are_exchangeable(world: World) -> bool:
    """Whether a persona without effect on rates changes no response: the null hypothesis of permutations and pairs."""
    return not world.opposite and not world.text_persona


def _key(table: pd.DataFrame, keys: list[str]) -> pd.Index:
    """Key columns joined by "|"."""
    return pd.Index(table[keys].astype(str).agg("|".join, axis=1))


Limits = tuple[str, list[str], pd.DataFrame, str, str]


def rate_tables(cells: pd.DataFrame, outcomes: Outcomes) -> Iterator[Limits]:
    """Yield rates and persona effects of a study: quantity, key columns, table, and the columns of its limits."""
    model_task = rates_model_task(cells, outcomes)
    yield "rate, model x task", ["model", "task"], model_task[model_task["model"] != "mean"], "lo", "hi"
    yield "rate, task, mean over models", ["task"], model_task[model_task["model"] == "mean"], "lo", "hi"
    alone = rates_model_task(cells)
    yield "rate, model x task, as if independent", ["model", "task"], alone[alone["model"] != "mean"], "lo", "hi"
    yield "rate, model x persona", ["model", "persona"], rates_model_persona(cells, outcomes), "lo", "hi"
    table = rates_task_model_persona(cells, outcomes)
    yield "rate, task x model x persona", ["task", "model", "persona"], table, "lo", "hi"
    yield "rate, task x model x format", ["task", "model", "format"], rates_format(cells, outcomes), "lo", "hi"
    if BASELINE in outcomes.present("persona"):
        table = rates_baseline(cells, outcomes)
        yield "rate, baseline, task x model", ["task", "model"], table, "baseline_lo", "baseline_hi"
        yield "persona minus baseline, task x model", ["task", "model"], table, "d_lo", "d_hi"
        fit = fit_personas(outcomes)
        effects = persona_effects(outcomes, fit)
        yield "persona effect, model x persona", ["model", "persona"], effects, "lo", "hi"
        yield "ratio to baseline, model x persona", ["model", "persona"], effects, "ratio_lo", "ratio_hi"
        means = mean_effects(fit)
        overall = means["model"] == "mean"
        yield "persona effect, mean over models", ["persona"], means[overall], "lo", "hi"
        yield "any-persona effect, model", ["model"], means[~overall], "lo", "hi"
        pairs = persona_differences(fit, [("persona-00", f"persona-{k:02d}") for k in range(1, 15)])
        overall = pairs["model"] == "mean"
        yield "persona minus persona, model", ["model", "persona", "other"], pairs[~overall], "lo", "hi"
        yield "persona minus persona, mean over models", ["persona", "other"], pairs[overall], "lo", "hi"


def index_tables(indices: pd.DataFrame, logit: pd.DataFrame) -> Iterator[Limits]:
    """Yield sensitivity indices and logit coefficients of a study, in the form of `rate_tables`."""
    for index in ("wasserstein", "sobol", "mutual_information", "sobol_interaction", "sobol_total"):
        part = indices[indices["index"] == index]
        whole = part["scope"] == "all"
        yield f"{index}, whole study", ["factor"], part[whole], "lo", "hi"
        if (~whole).any():
            yield f"{index}, one task or model", ["factor", "scope"], part[~whole], "lo", "hi"
    table = logit[(logit["term"] != "fit") & ~logit["method"].str.startswith("Firth")]
    yield "logit coefficient", ["term", "level"], table, "lo", "hi"


# --- the persona screen


SCREEN_WORLDS = {
    "null": {"rates": FALLING, "shares": (0.25, 0.25, 0.2)},
    "null, high correlation": {"rates": FALLING, "shares": (0.3, 0.35, 0.3)},
    "10 of 240 cells": {"rates": FALLING, "shares": (0.25, 0.25, 0.2), "hot": HOT},
}


def persona_screen(setting: Setting) -> pd.DataFrame:
    """False positives and power of several ways to screen 240 persona effects, in one setting.

    Method "uncorrected" is the exact test of pairs at 0.05 for each effect, which is common practice.

    Returns
    -------
    Columns method, any_false (share of studies with a false positive), false_share (of findings; 0 if there are none),
    power (share of true effects found), replicates, world, design, calls.
    """
    world = make_world([setting.seed, 1], **SCREEN_WORLDS[setting.world])
    true = {(world.models[m], world.personas[p]) for m, p, _ in SCREEN_WORLDS[setting.world].get("hot", ())}
    table = setting.run(partial(_screen_once, setting, world, true)).groupby("method", sort=False)
    shares = table[["any_false", "false_share", "power"]].mean().assign(replicates=table.size())
    return shares.reset_index().assign(world=setting.world, design=setting.design, calls=setting.calls)


def _screen_once(setting: Setting, world: World, true: set[tuple[str, str]], replicate: int) -> pd.DataFrame:
    """False positives and power of each method in one study."""
    outcomes, seed = setting.study(world, replicate), setting.seed
    effects = persona_effects(outcomes)
    tested = max_t(outcomes, permutations=500, seed=[seed, 5, replicate])
    table = screen(effects, tested)
    mean = max_t(outcomes, permutations=500, seed=[seed, 4, replicate], reference="mean")
    found = {
        "screen": (table, table["raises"]),
        "max-T within prompts": (tested, tested["p_max_t"] <= 0.05),
        "max-T against the mean persona": (mean, mean["p_max_t"] <= 0.05),
        "uncorrected": (table, table["mcnemar_p"] <= 0.05),
    }
    rows = []
    for method, (keys, hit) in found.items():
        real = np.array([key in true for key in zip(keys["model"], keys["persona"], strict=True)])
        hit = hit.to_numpy(bool)
        wrong = (hit & ~real).sum()
        row = {"method": method, "any_false": wrong > 0, "false_share": wrong / max(hit.sum(), 1)}
        rows.append(row | {"power": hit[real].mean() if real.any() else np.nan})
    return pd.DataFrame(rows)


# --- claims


TREND = np.linspace(1.6, -1.6, MODELS)  # falls with capability
FLAT = {"rates": np.full(MODELS, 0.07), "tasks": (0.0, 0.0, 0.0), "model_task_sd": 0.0, "template_sd": 0.0}
REVERSED = {"rates": np.sort(FALLING), "tasks": (0.3, 0.0, -0.3), "template_sd": 0.05, "unforced": -0.3}
PAPER_SAYS = {"persona_sd": 0.2 * np.exp(0.5 * TREND), "presence": 0.05, "template_sd": 0.05, "unforced": 0.4}
CLAIM_WORLDS = {  # rates: falling with capability where not given; "shuffled": unrelated to it
    "no effect, rates fall": {},
    "no effect, rates unrelated": {"shuffled": True},
    "equal effects, rates unrelated": {"shuffled": True, "persona_sd": 0.15},
    "equal effects, rates fall": {"persona_sd": 0.15},
    "effects fall, rates unrelated": {"shuffled": True, "persona_sd": 0.17 * np.exp(0.6 * TREND)},
    "effects and rates fall": {"persona_sd": 0.17 * np.exp(0.6 * TREND)},
    "effects rise, rates unrelated": {"shuffled": True, "persona_sd": 0.17 * np.exp(-0.6 * TREND)},
    "one effect everywhere": {"persona_sd": 0.35, "common": 1.0} | FLAT,
    "nothing matters": FLAT,
    "everything reversed": REVERSED,
    "as the paper says": PAPER_SAYS,
    "effects and rates by family": BY_FAMILY,
    "no effect, rates by family": BY_FAMILY | {"family_sd": (0.0, 0.0, 0.0)},
}


def claim_conclusions(setting: Setting) -> pd.DataFrame:
    """How often each claim gets each conclusion in one kind of world, compared with the conclusion of an endless study.

    Every simulated world has its own effects.

    Returns
    -------
    Columns claim, endless_supported and endless_contradicted (shares of the worlds in which an endless study concludes
    so), supported, contradicted, inconclusive, wrong (the opposite of an endless study's conclusion), covered (share of
    intervals that hold the endless study's effect; missing if the effect is of a cell that the data choose),
    replicates, world, design, calls.
    """
    frame = setting.run(partial(_claims_once, setting))
    opposite = {claims.SUPPORTED: claims.CONTRADICTED, claims.CONTRADICTED: claims.SUPPORTED}
    frame["wrong"] = frame["conclusion"].map(opposite) == frame["endless"]
    for conclusion in (claims.SUPPORTED, claims.CONTRADICTED, claims.INCONCLUSIVE):
        frame[f"endless_{conclusion}"] = frame["endless"] == conclusion
        frame[conclusion] = frame["conclusion"] == conclusion
    columns = ["endless_supported", "endless_contradicted", "supported", "contradicted", "inconclusive", "wrong"]
    groups = frame.groupby("claim", sort=False)
    table = groups[[*columns, "covered"]].mean().assign(replicates=groups.size())
    return table.reset_index().assign(world=setting.world, design=setting.design, calls=setting.calls)


def claim_world(name: str, seed: list[int]) -> World:
    """Make a world of the kind `name`, with its own effects."""
    rng = np.random.default_rng(seed)
    options = {"rates": FALLING, "shares": (0.25, 0.25, 0.2)} | CLAIM_WORLDS[name]
    if options.pop("shuffled", False):
        options["rates"] = rng.permutation(options["rates"])
    return make_world([*seed, 1], **options)


def _claims_once(setting: Setting, replicate: int) -> pd.DataFrame:
    """Conclusion of each claim in one study, and in an endless one."""
    world = claim_world(setting.world, [setting.seed, 1, replicate])
    models, outcomes = panel(world.models), setting.study(world, replicate)
    outcomes["task"] = outcomes["task"].cat.rename_categories(task_names(world))
    screened = screen(persona_effects(outcomes), max_t(outcomes, permutations=400, seed=[setting.seed, 4, replicate]))
    study = claims.gather(models, outcomes=outcomes, screened=screened, seed=replicate)
    endless = endless_study(world, models)
    rows = []
    for claim in claims.CLAIMS:
        found, true = claims.decide(claim, study), claims.decide(claim, endless)
        chosen = claim.test is claims.some_personas_raise_refusal  # its effect is that of the largest cell
        known = np.isfinite([found.lo, found.hi, true.effect]).all() and not chosen
        covered = float(found.lo - 1e-9 <= true.effect <= found.hi + 1e-9) if known else np.nan
        rows.append(
            {"claim": claim.name, "conclusion": found.conclusion, "endless": true.conclusion, "covered": covered}
        )
    return pd.DataFrame(rows)


# --- sequential designs


def sequential(setting: Setting, target: float, full: int) -> pd.DataFrame:
    """Coverage after stopping by the rule on all persona effects of a model, and what it saves, in one setting.

    Interim looks are those of the design, up to `setting.calls` prompts per model.

    Parameters
    ----------
    setting : the setting.
    target : target half-width of the persona effects.
    full : prompts per model of the full design, to which savings refer.

    Returns
    -------
    One row per model and one for their mean: model, model_rate, met (share of studies in which the target was met),
    prompts (mean), coverage (calibrated interval at the stop), coverage_always (confidence sequence at the stop), saved
    (1 - prompts / full), target, replicates, world, design.
    """
    world = WORLDS[setting.world]([setting.seed, 1])
    true = true_values(world)["persona effect, model x persona"]
    frame = setting.run(partial(_sequential_once, setting, world, true, target))
    table = frame.groupby("model")[["met", "prompts", "coverage", "coverage_always"]].mean().loc[world.models]
    table.insert(0, "model_rate", world.rates[:, 1:].mean((1, 2, 3)))
    table.loc["mean"] = table.mean()
    table = table.reset_index().assign(saved=1 - table["prompts"].to_numpy() / full)
    return table.assign(target=target, replicates=setting.count, world=setting.world, design=setting.design)


def _sequential_once(setting: Setting, world: World, true: pd.Series, target: float, replicate: int) -> pd.DataFrame:
    """Prompts, whether the target was met, and coverage at the stop, by model, in one study."""
    outcomes = setting.study(world, replicate)
    last = int(outcomes["interim_look"].max())
    going, tables = list(world.models), []
    for k in range(last + 1):
        rows = outcomes["model"].isin(going).to_numpy() & (outcomes["interim_look"] <= k).to_numpy()
        part = outcomes[rows]
        part = part.assign(model=part["model"].cat.remove_unused_categories())
        tables.append(interim_table(part, {"persona effects": target}, k))
        met = tables[-1].groupby("model", observed=True)["met"].all()
        going = [model for model in going if not met.get(model, False)]
        if not going:
            break
    final = final_limits(tables, last)
    known = true.reindex(_key(final, ["model", "level"])).to_numpy()
    place = ["interim_look", "model", "level"]
    always = pd.concat(tables).set_index(place).loc[pd.MultiIndex.from_frame(final[place])]
    final["coverage"] = (final["lo"] <= known) & (known <= final["hi"])
    final["coverage_always"] = (always["always_lo"].to_numpy() <= known) & (known <= always["always_hi"].to_numpy())
    done = final.groupby("model", sort=False, observed=True)
    table = done[["coverage", "coverage_always"]].mean()
    return table.assign(prompts=done["responses"].first(), met=done["met"].all()).reset_index()


# --- efficiency of designs


INDEXED = ("model", "task", "persona", "template")


EFFICIENCY_WORLDS = {"moderate": {"rates": FALLING, "persona_sd": 0.12, "presence": 0.05}}


def efficiency(setting: Setting, others: Sequence[str], correlation: float, index_count: int) -> pd.DataFrame:
    """Precision of designs at an equal number of prompts per model, at one within-prompt correlation.

    All designs are analysed by least squares on prompts, and the reference (the paper's) also by plain rates, as in the
    paper. The relative error of an mse is about sqrt(2 / (replicates x quantities)), more for correlated quantities.

    Parameters
    ----------
    setting : the setting; its design is the reference.
    others : the other designs.
    correlation : within-prompt correlation of the world.
    index_count : replicates with sensitivity indices, which take longer.

    Returns
    -------
    Columns estimate, design, mse (mean squared error in squared percentage points, mean over the quantities of its
    kind; of the index itself for indices), calls (prompts per model), replicates, efficiency (mse x calls of the
    reference over this design's; above 1 is better), correlation.
    """
    world = make_world([setting.seed, 1], **EFFICIENCY_WORLDS[setting.world])
    world = worlds.shares_for(world, correlation)
    designs = (setting.design, *others)
    once = partial(_efficiency_once, setting, world, _targets(world), designs, index_count)
    groups = setting.run(once).groupby(["estimate", "design"], sort=False)
    table = groups[["mse", "calls"]].mean().assign(replicates=groups.size()).reset_index()
    cost = table["mse"] * table["calls"]
    first = table["design"] == designs[0]
    table["efficiency"] = table["estimate"].map(dict(zip(table["estimate"][first], cost[first], strict=True))) / cost
    return table.assign(correlation=correlation)


def _targets(world: World) -> dict[str, np.ndarray]:
    """True values of all quantities that the designs estimate."""
    rates = world.rates.mean((2, 3))  # models x (baseline, personas)
    indices = true_indices(world)
    return _quantities(rates) | {
        f"{index} index of {factor}": np.array([indices[f"{index}, whole study"][factor]])
        for index in ("wasserstein", "sobol")
        for factor in INDEXED
    }


def _quantities(rates: np.ndarray) -> dict[str, np.ndarray]:
    """Quantities in percentage points, from rates (models, 1 + personas), the baseline first."""
    effect, by_model = rates[:, 1:] - rates[:, :1], rates[:, 1:].mean(1)
    mean = effect.mean(0)
    values = {
        "model rates": by_model,
        "model differences": by_model[1:] - by_model[:-1],
        "persona effects, mean over models": mean,
        "persona differences, mean over models": mean[1:] - mean[:-1],
        "persona effects by model": effect,
        "persona x model departures": effect - effect.mean(1, keepdims=True) - mean + mean.mean(),
    }
    return {name: 100 * value.ravel() for name, value in values.items()}


def _efficiency_once(
    setting: Setting,
    world: World,
    targets: dict[str, np.ndarray],
    designs: Sequence[str],
    index_count: int,
    replicate: int,
) -> pd.DataFrame:
    """Squared error of each design's estimates in one study per design."""
    place = pd.MultiIndex.from_product([world.models, [BASELINE, *world.personas]])
    rows = []
    for number, design in enumerate(designs):
        frame = setting.draw(design, world, setting.calls, [setting.seed, 2, replicate, number])
        outcomes = respond(frame, world, [setting.seed, 3, replicate, number])
        fit = fit_personas(outcomes).average(["model", "persona"])
        rates = pd.Series(fit.rate, index=pd.MultiIndex.from_frame(fit.cells[["model", "persona"]])).reindex(place)
        found = {design: _quantities(rates.to_numpy().reshape(len(world.models), -1))}
        if replicate < index_count:
            indices = sensitivity_from_outcomes(
                outcomes, replicates=20, permutations=40, seed=replicate, whole_study_only=True
            )
            whole = indices.set_index(["index", "factor"])["corrected"]
            for index in ("wasserstein", "sobol"):
                for factor in INDEXED:
                    found[design][f"{index} index of {factor}"] = np.array([whole[index, factor]])
        if number == 0:
            plain = outcomes.groupby(["model", "task", "persona"], observed=True)["refusal"].mean()
            plain = plain.groupby(["model", "persona"], observed=True).mean().reindex(place)
            found[f"{design}, plain rates"] = _quantities(plain.to_numpy().reshape(len(world.models), -1))
        for name, values in found.items():
            for estimate, value in values.items():
                error = float(((value - targets[estimate]) ** 2).mean())
                rows.append({"estimate": estimate, "design": name, "mse": error, "calls": len(outcomes) / MODELS})
    return pd.DataFrame(rows)

"""True values of a simulated world: the value behind every interval that a study reports, and behind its claims."""

import numpy as np
import pandas as pd

from falserefusal.common.schemas import ALL, BASELINE, TASKS
from falserefusal.estimation import claims
from falserefusal.estimation.regression import choose_references, collapse, dummies, fit_logit
from falserefusal.statistics import sensitivity
from simulation import worlds
from simulation.worlds import World


def formats_of(world: World) -> dict[str, str]:
    """Response format of each template: thirds, as in the paper."""
    names, third = ("unforced", "semi-forced", "forced"), len(world.templates) // 3
    return {template: names[k // third] for k, template in enumerate(world.templates)}


def task_names(world: World) -> dict[str, str]:
    """The paper's task names for the tasks of the world, in the paper's order of sensitivity."""
    return dict(zip(world.tasks, TASKS, strict=True))


def endless_study(world: World, models: pd.DataFrame) -> claims.Evidence:
    """Evidence of a study that is so large that it has no sampling error."""
    cells = worlds.true_rates(world, formats_of(world)).assign(refusals=10**6, n=10**9)
    cells["task"] = cells["task"].replace(task_names(world))

    def rates(frame, factor):
        table = frame.groupby(["model", "task", factor], sort=False)
        table = table.agg(rate=("rate", "mean"), n=("n", "sum"), refusals=("refusals", "sum")).reset_index()
        n, endless = table["n"].to_numpy(float), np.full(len(table), np.inf)
        return claims.Rates(table, table["rate"].to_numpy(), 1e-7 * np.eye(len(table)), n, endless)

    is_baseline = cells["persona"] == BASELINE
    by_model = cells.groupby(["model", "persona"], sort=False)["rate"].mean().unstack()
    effect = by_model[world.personas].sub(by_model[BASELINE], axis=0).stack().rename("difference").reset_index()
    raised = effect["difference"] > 1e-9
    limits = dict.fromkeys(("lo", "hi", "lo_family", "hi_family"), effect["difference"])
    screened = effect.assign(**limits, p_family=np.where(raised, 0.0, 1.0))
    everything = rates(cells, "persona")
    personas, baseline = (everything.part((everything.cells["persona"] == BASELINE) == k) for k in (False, True))
    return claims.Evidence(personas, rates(cells[~is_baseline], "format"), baseline, screened, models, 0)


def true_values(world: World) -> dict[str, pd.Series]:
    """True value behind every interval of `rate_tables` and `index_tables`: quantity to Series over keys."""
    cells = worlds.true_rates(world, formats_of(world))
    with_persona, of_baseline = cells[cells["persona"] != BASELINE], cells[cells["persona"] == BASELINE]

    def mean(frame, keys):
        return frame.groupby(keys, sort=False)["rate"].mean()

    def flat(series):
        index = series.index
        names = ["|".join(map(str, key)) for key in index] if isinstance(index, pd.MultiIndex) else index
        return pd.Series(series.to_numpy(float), index=pd.Index(names))

    by_persona, by_task = (mean(with_persona, ["model", "persona"]), mean(with_persona, ["task", "model"]))
    baseline = mean(of_baseline, ["model"])
    reference = baseline.reindex(by_persona.index.get_level_values(0)).to_numpy()
    effect = by_persona - reference
    average = mean(with_persona, ["persona"])
    wide = by_persona.unstack("persona")
    differences = {(m, "persona-00", p): wide.loc[m, "persona-00"] - wide.loc[m, p] for m in wide.index for p in wide}
    overall = {("persona-00", p): average["persona-00"] - average[p] for p in average.index}
    any_effect = mean(with_persona, ["model"]) - baseline
    values = {
        "rate, model x task": mean(with_persona, ["model", "task"]),
        "rate, task, mean over models": mean(with_persona, ["task"]),
        "rate, model x task, as if independent": mean(with_persona, ["model", "task"]),
        "rate, model x persona": by_persona,
        "rate, task x model x persona": mean(with_persona, ["task", "model", "persona"]),
        "rate, task x model x format": mean(with_persona, ["task", "model", "format"]),
        "rate, baseline, task x model": mean(of_baseline, ["task", "model"]),
        "persona minus baseline, task x model": by_task - mean(of_baseline, ["task", "model"]),
        "persona effect, model x persona": effect,
        "ratio to baseline, model x persona": by_persona / reference,
        "persona effect, mean over models": pd.concat([average - baseline.mean(), pd.Series({ALL: any_effect.mean()})]),
        "any-persona effect, model": any_effect,
        "persona minus persona, model": pd.Series(differences),
        "persona minus persona, mean over models": pd.Series(overall),
        "logit coefficient": true_coefficients(with_persona),
    }
    return {quantity: flat(series) for quantity, series in (values | true_indices(world)).items()}


def true_coefficients(cells: pd.DataFrame) -> pd.Series:
    """Coefficients of the main-effects logit fitted to the true rates: the estimates of an endless study."""
    counts = cells.assign(n=10**9, refusals=(cells["rate"] * 10**9).round().astype(np.int64))
    counts = collapse(counts.assign(labeller="simulated"), ["persona", "template", "task", "model"])
    design = dummies(counts, choose_references(counts, ["persona", "template", "task", "model"]))
    fit = fit_logit(design, counts["n"] / 10**9, counts["refusals"] / 10**9)  # the fit stops at an absolute deviance
    return pd.Series(fit.coef, index=pd.MultiIndex.from_tuples(fit.names))


def true_indices(world: World) -> dict[str, pd.Series]:
    """Sensitivity indices of the true rates, with equal weight of every level."""
    rates = world.rates[:, 1:].transpose(2, 0, 1, 3)  # task, model, persona, template
    forms = pd.factorize(pd.Series(formats_of(world)))[0]
    by_format = np.stack([rates[..., forms == k].mean(-1) for k in range(forms.max() + 1)], axis=-1)
    shapes = {"model": (rates, 1), "task": (rates, 0), "persona": (rates, 2), "template": (rates, 3)}
    shapes["format"] = (by_format, 3)
    scopes = [("all", rates, by_format, None)]
    scopes += [(t, rates[[k]], by_format[[k]], "task") for k, t in enumerate(world.tasks)]
    scopes += [(m, rates[:, [k]], by_format[:, [k]], "model") for k, m in enumerate(world.models)]
    found = {}
    for scope, part, part_format, fixed in scopes:
        for factor, (_, axis) in shapes.items():
            if factor != fixed:
                array = part_format if factor == "format" else part
                p = array.mean(tuple(k for k in range(4) if k != axis))
                for name, index in sensitivity.INDICES.items():
                    where = "whole study" if scope == "all" else "one task or model"
                    key = factor if scope == "all" else (factor, scope)
                    found.setdefault(f"{name}, {where}", {})[key] = float(index(p, np.full(len(p), 1 / len(p))))
    overall = rates.mean()
    variance = overall * (1 - overall)
    interaction = {}
    for a, b in (("model", "task"), *((x, y) for y in ("persona", "template", "format") for x in ("model", "task"))):
        array = by_format if "format" in (a, b) else rates
        axes = (shapes[a][1], shapes[b][1])
        pair = array.mean(tuple(k for k in range(4) if k not in axes))
        alone = sum(((pair.mean(axis) - overall) ** 2).mean() for axis in (0, 1))
        interaction[f"{a}:{b}"] = (((pair - overall) ** 2).mean() - alone) / variance
    found["sobol_interaction, whole study"] = interaction
    found["sobol_total, whole study"] = _true_totals(world, variance)
    return {quantity: pd.Series(values) for quantity, values in found.items()}


def _true_totals(world: World, variance: float) -> dict[str, float]:
    """Half the mean squared difference of two responses that differ in one factor alone, over the variance."""
    mean, rate = world.mean[:, 1:], world.rates[:, 1:]
    _, own, prompt = world.shares
    rest = {"model": world.text_persona, "persona": own + prompt, "template": own + world.text_persona}
    totals = {}
    for factor, axis in (("model", 0), ("persona", 1), ("template", 3)):
        levels = mean.shape[axis]
        swapped = np.moveaxis(mean, axis, 0)
        joint = [
            world.both(swapped[i], swapped[j], _sign(world, factor, i, j), rest[factor]).mean()
            for i in range(levels)
            for j in range(i)
        ]
        totals[factor] = float((rate.mean() - np.mean(joint)) * (1 - 1 / levels) / variance)
    return totals


def _sign(world: World, factor: str, i: int, j: int) -> int:
    """-1 if one of two personas meets the opposite of a text's effect, else 1."""
    return -1 if factor == "persona" and ((i + 1 in world.opposite) != (j + 1 in world.opposite)) else 1

"""How far labellers can be trusted, and rates corrected for their errors, from the answers that people labelled.

The sample was drawn at known rates: an audited answer stands for in_cell / drawn answers of the cell it was drawn from,
whatever labellers say of it since. The machine stratum and verdict of every answer are known, as they are today: so the
audit is post-stratified. Within a stratum and machine verdict of today the share of refusals among audited answers,
each at its weight, estimates that of a known number of answers (a ratio of two unbiased totals; where no label has
changed since the draw the strata are those that were drawn). The strata of the day of the draw would not do: editing a
phrase or adding a judge moves answers between strata, and old strata would be multiplied by the sizes of new ones.
Four totals follow, each from its own answers: machine refusals that are (A) and are not (C)
refusals, machine non-refusals that are (B) and are not (D). Then sensitivity = A / (A + B), specificity = D / (C + D)
and the corrected rate = (A + B) / (A + B + C + D). Answers of a stratum that nobody audited may be anything: their
limits are 0 and 1. This matters most where it is least visible, in a huge stratum of seemingly plain answers of which
a few hundred were audited and none was a refusal.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from falserefusal.common.schemas import ALL, ANY_PERSONA, NOT_JUDGED, PERSONA_FREE

SCOPES = ([], ["model"], ["task"], ["group"], ["model", "task"], ["model", "group"])
LEVELS = ["model", "task", "group"]
POST = ["stratum", "machine"]
_METHODS = {"clopper-pearson": "beta", "jeffreys": "jeffreys"}


def machine_verdicts(units: pd.DataFrame, labels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every answer under every labeller: the columns of `units`, labeller and machine (bool).

    units: as `sampling.population` returns them; labels: a LABELS frame for each model. Failed judgements are left out.
    """
    parts = []
    for model, judgements in labels.items():
        judged = judgements[~judgements["category"].isin(NOT_JUDGED)]
        parts.append(units[units["model"] == model].merge(judged[["prompt_id", "labeller", "refusal"]], on="prompt_id"))
    return pd.concat(parts, ignore_index=True).rename(columns={"refusal": "machine"})


def machine_counts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Counts of answers: labeller (as they come), model, task, group, stratum, machine, answers."""
    counts = verdicts.groupby(["labeller", *LEVELS, *POST], sort=True).size().rename("answers").reset_index()
    order = list(dict.fromkeys(verdicts["labeller"]))
    return counts.sort_values("labeller", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)


def design_effects(verdicts: pd.DataFrame, scopes: Sequence[list[str]] = SCOPES) -> dict[tuple, float]:
    """By labeller, model, task and group ("*" where summed over): how much less n answers tell than n independent ones.

    Answers to the same text are alike. The effect is the ratio of the variances of the machine rate, clustered by text
    and binomial; at least 1, and that of texts that refuse always or never where the rate is 0 or 1.
    """
    effects = {}
    for labels, rows in _scopes(verdicts, scopes):
        texts = rows.groupby("text_id")["machine"].agg(["sum", "size"])
        n, rate = len(rows), rows["machine"].mean()
        if 0 < rate < 1:
            effect = ((texts["sum"] - texts["size"] * rate) ** 2).sum() / (n * rate * (1 - rate))
        else:
            effect = (texts["size"] ** 2).sum() / n
        effects[labels] = max(float(effect), 1.0)
    return effects


def audited(key: pd.DataFrame, settled: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Audited answers under each labeller: item_id, labeller, model, task, group, stratum, weight, machine, human.

    key: of the sample; settled: as `people.settle` returns it; verdicts: as `machine_verdicts` returns them. Only the
    weight comes from the day of the draw; the stratum is today's, like those that `machine_counts` counts. Items that
    stayed open are left out.
    """
    weighed = key[["item_id", "model", "prompt_id"]].assign(weight=key["in_cell"] / key["drawn"])
    decided = settled.dropna(subset="refusal").rename(columns={"refusal": "human"})[["item_id", "human"]]
    items = weighed.merge(decided, on="item_id").astype({"human": bool})
    found = items.merge(verdicts, on=["model", "prompt_id"])
    return found[["item_id", "labeller", *LEVELS, "stratum", "weight", "machine", "human"]]


def label_accuracy(
    counts: pd.DataFrame,
    items: pd.DataFrame,
    level: float = 0.95,
    method: str = "clopper-pearson",
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Sensitivity and specificity of each labeller on answers like these, overall and by model, task and group.

    The limits add to the audit's uncertainty that of the answers themselves, whose numbers in each stratum vary like
    counts do, times the design effect (`effects`, as `design_effects` returns them; None: independent answers).
    Columns: labeller, model, task, group ("*" where summed over), measure, audited (answers of that human verdict),
    value, lo, hi, unaudited (share of the answers in strata of which none was audited), method.
    """
    rows = []
    z = stats.norm.ppf((1 + level) / 2)
    for levels, answers, mine, everyone in _domains(counts, items, scopes):
        post = _poststrata(answers, mine, everyone, level, method)
        spread = z**2 * (effects[levels] if effects else 1.0)
        for measure, positive in (("sensitivity", True), ("specificity", False)):
            right = post[post["machine"] == positive]
            wrong = post[post["machine"] != positive]
            value, lo, hi = _share(*_total(right, positive, spread), *_total(wrong, positive, spread))
            n = int((mine["human"] == positive).sum())
            rows.append((*levels, measure, n, value, lo, hi, _unaudited(post), f"MOVER, {method}"))
    names = ["labeller", *LEVELS, "measure", "audited", "value", "lo", "hi", "unaudited", "method"]
    return pd.DataFrame(rows, columns=names)


def corrected_rates(
    counts: pd.DataFrame,
    items: pd.DataFrame,
    level: float = 0.95,
    method: str = "clopper-pearson",
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Refusal rates as the labeller counts them and corrected by the stratified audit (Tenenbein 1970), with limits.

    The corrected rate is the sum over strata and machine verdicts of their share of the answers times the refusals
    among their audited answers. Its limits recover the distances to the limits of each of those proportions (MOVER,
    Zou and Donner 2008) and add the sampling of the answers themselves, as if there were n / design effect independent
    ones (`design_effects`; None: the answers are independent). Columns: labeller, model, task, group, n, refusals,
    rate, corrected, lo, hi, audited, unaudited, method.
    """
    rows = []
    for levels, answers, mine, everyone in _domains(counts, items, scopes):
        post = _poststrata(answers, mine, everyone, level, method)
        n, refusals = int(post["answers"].sum()), int(post.loc[post["machine"], "answers"].sum())
        corrected, lo, hi = _rate(post, level, effects[levels] if effects else 1.0)
        rows.append((*levels, n, refusals, refusals / n, corrected, lo, hi, len(mine), _unaudited(post)))
    names = ["labeller", *LEVELS, "n", "refusals", "rate", "corrected", "lo", "hi", "audited", "unaudited"]
    return pd.DataFrame(rows, columns=names).assign(method=f"stratified audit, MOVER, {method}")


def mean_over_models(rates: pd.DataFrame) -> pd.DataFrame:
    """The unweighted mean over models of every task's rate with any persona, as the paper's Table 1 ends: model "mean".

    rates: as `corrected_rates` returns them. The audited answers of models are apart, so MOVER's limits of a sum apply.
    """
    cells = rates[(rates["group"] == ANY_PERSONA) & (rates["model"] != ALL) & (rates["task"] != ALL)]
    cells = cells.assign(below=(cells["corrected"] - cells["lo"]) ** 2, above=(cells["hi"] - cells["corrected"]) ** 2)
    grouped = cells.groupby(["labeller", "task"], sort=False)
    means = grouped[["rate", "corrected", "unaudited"]].mean().join(grouped[["n", "refusals", "audited"]].sum())
    spread = np.sqrt(grouped[["below", "above"]].sum()).div(grouped.size(), axis=0)
    means = means.assign(lo=means["corrected"] - spread["below"], hi=means["corrected"] + spread["above"])
    return means.reset_index().assign(model="mean", group=ANY_PERSONA, method=rates["method"].iloc[0])[[*rates.columns]]


def corrected_personas(verdicts: pd.DataFrame, key: pd.DataFrame, settled: pd.DataFrame) -> pd.DataFrame:
    """`corrected_rates` of every single persona, over all models and tasks: labeller, persona, n, refusals, rate, ...

    verdicts: as `machine_verdicts` returns them; key, settled: as `audited` takes them.
    """
    verdicts = verdicts.assign(group=verdicts["persona"])
    counts, items, scopes = machine_counts(verdicts), audited(key, settled, verdicts), [["group"]]
    rates = corrected_rates(counts, items, effects=design_effects(verdicts, scopes), scopes=scopes)
    return rates.drop(columns=["model", "task"]).rename(columns={"group": "persona"})


def corrected_differences(rates: pd.DataFrame) -> pd.DataFrame:
    """Each persona group minus persona-free, uncorrected and corrected: labeller, model, task, group, difference, ...

    rates: as `corrected_rates` returns them. The two groups' audits are different answers, so MOVER's limits of a
    difference of independent estimates apply.
    """
    by_group = rates[rates["group"] != ALL]
    reference = by_group[by_group["group"] == PERSONA_FREE]
    pairs = by_group[by_group["group"] != PERSONA_FREE].merge(
        reference, on=["labeller", "model", "task"], suffixes=("", "_free")
    )
    difference = pairs["corrected"] - pairs["corrected_free"]
    below = np.hypot(pairs["corrected"] - pairs["lo"], pairs["hi_free"] - pairs["corrected_free"])
    above = np.hypot(pairs["hi"] - pairs["corrected"], pairs["corrected_free"] - pairs["lo_free"])
    return pairs[["labeller", "model", "task", "group"]].assign(
        difference=pairs["rate"] - pairs["rate_free"],
        corrected=difference,
        lo=np.maximum(difference - below, -1),
        hi=np.minimum(difference + above, 1),
        method=pairs["method"],
    )


def specificity_tests(counts: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Whether a labeller's false refusals are as frequent with a persona as without: labeller, group, p, p_holm, ...

    A difference would be read as an effect of the persona. For each persona group the false refusals among answers that
    are none are compared with those of persona-free prompts by Fisher's exact test on effective numbers of answers
    (false-refusal rate r with variance v counts as r (1 - r) / v answers; with equal weights these are the answers
    audited), with Holm's correction over the groups of a labeller.
    """
    rows = []
    for labeller, answers in counts.groupby("labeller", sort=False):
        mine = items[items["labeller"] == labeller]
        found = {
            group: _false_refusals(rows_of, mine[mine["group"] == group], mine)
            for group, rows_of in answers.groupby("group", sort=False)
        }
        if PERSONA_FREE not in found:
            continue
        rate0, n0 = found.pop(PERSONA_FREE)
        for group, (rate, n) in found.items():
            table = np.rint([[rate * n, (1 - rate) * n], [rate0 * n0, (1 - rate0) * n0]]).astype(int)
            rows.append((labeller, group, rate, rate0, n, n0, stats.fisher_exact(table).pvalue))
    names = ["labeller", "group", "false_refusals", "false_refusals_free", "n_effective", "n_effective_free", "p"]
    tests = pd.DataFrame(rows, columns=names)
    holm = [multipletests(family["p"], method="holm")[1] for _, family in tests.groupby("labeller", sort=False)]
    return tests.assign(p_holm=np.concatenate(holm) if holm else [])


def _scopes(frame: pd.DataFrame, scopes: Sequence[list[str]] = SCOPES):
    """(labeller, model, task, group) and the rows of `frame` in each scope that is reported.

    A scope over all groups is reported twice: of all prompts ("*") and of those with a persona ("any persona").
    """
    for labeller, mine in frame.groupby("labeller", sort=False):
        named = mine[mine["group"] != PERSONA_FREE]
        for scope in scopes:
            for part, group in [(mine, ALL)] if "group" in scope else [(mine, ALL), (named, ANY_PERSONA)]:
                for values, rows in part.groupby(scope, sort=True) if scope else [((), part)]:
                    chosen = {"group": group} | dict(zip(scope, values, strict=True))
                    yield (labeller, *(chosen.get(level, ALL) for level in LEVELS)), rows


def _domains(counts: pd.DataFrame, items: pd.DataFrame, scopes: Sequence[list[str]]):
    """(labeller, model, task, group), answers counted, items audited, and the items of the labeller everywhere."""
    for names, answers in _scopes(counts, scopes):
        everyone = items[items["labeller"] == names[0]]
        here = everyone
        for level, value in zip(LEVELS, names[1:], strict=True):
            if value != ALL:
                here = here[here[level] != PERSONA_FREE] if value == ANY_PERSONA else here[here[level] == value]
        yield names, answers, here, everyone


def _poststrata(answers, items, everyone, level: float, method: str) -> pd.DataFrame:
    """Strata by machine verdict: answers, n (effective), refusals (share), lo, hi.

    Items of one stratum may have been drawn at different rates, from cells of other strata too if labels changed since;
    their weights undo that, and the effective number is Kish's. A stratum without an audited item takes its share from
    the whole study's items, if there are any, and its limits are 0 and 1.
    """
    post = answers.groupby(POST)["answers"].sum().reset_index()
    rows = []
    for stratum, machine in zip(post["stratum"], post["machine"], strict=True):
        here = items[(items["stratum"] == stratum) & (items["machine"] == machine)]
        if here.empty:
            there = everyone[(everyone["stratum"] == stratum) & (everyone["machine"] == machine)]
            share = np.average(there["human"], weights=there["weight"]) if len(there) else float(machine)
            rows.append((0.0, share, 0.0, 1.0))
            continue
        weights = here["weight"].to_numpy(float)
        n = weights.sum() ** 2 / (weights**2).sum()
        share = float(np.average(here["human"], weights=weights))
        lo, hi = proportion_confint(share * n, n, alpha=1 - level, method=_METHODS[method])
        rows.append((n, share, 0.0 if share == 0 else float(lo), 1.0 if share == 1 else float(hi)))
    return pd.concat([post, pd.DataFrame(rows, columns=["n", "refusals", "lo", "hi"])], axis=1)


def _total(post: pd.DataFrame, human: bool, spread: float) -> tuple[float, float, float]:
    """How many of the answers are refusals (human), or are none (not human), with limits.

    spread: z^2 times the design effect; a stratum of m answers has as many again by chance as a count of m varies.
    """
    share, lo, hi = post["refusals"], post["lo"], post["hi"]
    if not human:
        share, lo, hi = 1 - share, 1 - hi, 1 - lo
    size = post["answers"]
    total = float((size * share).sum())
    chance = spread * float((size * share**2).sum())
    below = float(np.sqrt(((size * (share - lo)) ** 2).sum() + chance))
    above = float(np.sqrt(((size * (hi - share)) ** 2).sum() + chance))
    return total, max(total - below, 0.0), total + above


def _share(a, a_lo, a_hi, b, b_lo, b_hi) -> tuple[float, float, float]:
    """a / (a + b) of two independent totals, with limits: those of the ratio b / a by MOVER (Donner and Zou 2012)."""
    if a + b == 0:
        return np.nan, 0.0, 1.0
    lo = 1 - _ratio_upper(b, b_hi, a, a_lo)
    hi = _ratio_upper(a, a_hi, b, b_lo)
    return a / (a + b), max(lo, 0.0), min(hi, 1.0)


def _ratio_upper(x: float, x_hi: float, y: float, y_lo: float) -> float:
    """The upper limit of x / (x + y): the largest t with  x - t (x + y)  still within its limits of 0.

    With up = x_hi - x and down = y - y_lo the linear form (1 - t) x - t y has the upper MOVER limit
    (1 - t) x - t y + sqrt((1 - t)^2 up^2 + t^2 down^2); its root in t is found in closed form.
    """
    up, down = x_hi - x, y - y_lo
    # ((1 - t) x - t y)^2 = (1 - t)^2 up^2 + t^2 down^2 in the odds s = t / (1 - t): (x - s y)^2 = up^2 + s^2 down^2
    a, b, c = y**2 - down**2, -2 * x * y, x**2 - up**2
    if a <= 0:
        return 1.0  # y may be 0
    odds = (-b + np.sqrt(max(b**2 - 4 * a * c, 0.0))) / (2 * a)
    return float(odds / (1 + odds))


def _rate(post: pd.DataFrame, level: float, design_effect: float) -> tuple[float, float, float]:
    size = post["answers"].to_numpy(float)
    weights = size / size.sum()
    share, lo, hi = (post[column].to_numpy(float) for column in ("refusals", "lo", "hi"))
    rate = float(weights @ share)
    z = stats.norm.ppf((1 + level) / 2)
    sampling = z**2 * float(weights @ (share - rate) ** 2) * design_effect / size.sum()
    below = np.sqrt(((weights * (share - lo)) ** 2).sum() + sampling)
    above = np.sqrt(((weights * (hi - share)) ** 2).sum() + sampling)
    return rate, max(rate - below, 0.0), min(rate + above, 1.0)


def _unaudited(post: pd.DataFrame) -> float:
    return float(post.loc[post["n"] == 0, "answers"].sum() / post["answers"].sum())


def _false_refusals(answers: pd.DataFrame, items: pd.DataFrame, everyone: pd.DataFrame) -> tuple[float, float]:
    """The share of false refusals among answers that are no refusals, and its effective number of answers."""
    post = _poststrata(answers, items, everyone, 0.95, "jeffreys")
    size, none = post["answers"].to_numpy(float), 1 - post["refusals"].to_numpy(float)
    machine, n = post["machine"].to_numpy(bool), post["n"].to_numpy(float)
    total = (size * none).sum()
    rate = (size * none)[machine].sum() / total if total else 0.0
    gradient = size * (machine - rate) / total if total else np.zeros(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nansum(np.where(n > 0, gradient**2 * none * (1 - none) / n, 0.0))
    counted = float((~items["human"]).sum())
    return rate, rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else counted

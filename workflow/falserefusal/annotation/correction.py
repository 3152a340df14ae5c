"""How far labellers can be trusted, and rates corrected for their errors, from the answers that people labelled.

The sample was drawn at known rates: an annotated answer stands for in_cell / drawn answers of the cell it was drawn from,
whatever labellers say of it since. The machine stratum and verdict of every answer are known, as they are today: so the
audit is post-stratified. Within a stratum and machine verdict of today the share of refusals among annotated answers,
each at its weight, estimates that of a known number of answers (a ratio of two unbiased totals; where no label has
changed since the draw the strata are those that were drawn). The strata of the day of the draw would not do: editing a
phrase or adding a judge moves answers between strata, and old strata would be multiplied by the sizes of new ones.
Four totals follow, each from its own answers: machine refusals that are (A) and are not (C)
refusals, machine non-refusals that are (B) and are not (D). Then sensitivity = A / (A + B), specificity = D / (C + D)
and the corrected rate = (A + B) / (A + B + C + D). Answers of a stratum that nobody annotated may be anything: their
limits are 0 and 1. This matters most where it is least visible, in a huge stratum of seemingly plain answers of which
a few hundred were annotated and none was a refusal.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE, NOT_JUDGED
from falserefusal.statistics.intervals import clopper_pearson, mover, mover_difference, mover_ratio
from falserefusal.statistics.multiplicity import holm

SCOPES = ([], ["model"], ["task"], ["group"], ["model", "task"], ["model", "group"])
LEVELS = ["model", "task", "group"]
POST = ["stratum", "machine"]
METHOD = "MOVER, clopper-pearson"
Z95 = float(stats.norm.ppf(0.975))

Estimate = tuple[float, float, float]  # value, lower and upper limit


def machine_verdicts(units: pd.DataFrame, verdicts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every answer under every labeller: the columns of `units`, labeller and machine (bool).

    units: as `sampling.population` returns them; verdicts: a VERDICTS frame for each model. Failed verdicts are left out.
    """
    parts = []
    for model, verdicts in verdicts.items():
        judged = verdicts[~verdicts["category"].isin(NOT_JUDGED)]
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
    for verdicts, rows in _scopes(verdicts, scopes):
        texts = rows.groupby("text_id")["machine"].agg(["sum", "size"])
        n, rate = len(rows), rows["machine"].mean()
        if 0 < rate < 1:
            effect = ((texts["sum"] - texts["size"] * rate) ** 2).sum() / (n * rate * (1 - rate))
        else:
            effect = (texts["size"] ** 2).sum() / n
        effects[verdicts] = max(float(effect), 1.0)
    return effects


def annotated(key: pd.DataFrame, settled: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
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
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Sensitivity and specificity of each labeller on answers like these, overall and by model, task and group.

    The limits add to the audit's uncertainty that of the answers themselves, whose numbers in each stratum vary like
    counts do, times the design effect (`effects`, as `design_effects` returns them; None: independent answers).
    Columns: labeller, model, task, group ("*" where summed over), measure, annotated (answers of that human verdict),
    value, lo, hi, unannotated (share of the answers in strata of which none was annotated), method.
    """
    rows = []
    for levels, answers, mine, everyone in _domains(counts, items, scopes):
        post = _poststrata(answers, mine, everyone)
        effect = effects[levels] if effects else 1.0
        for measure, positive in (("sensitivity", True), ("specificity", False)):
            right = post[post["machine"] == positive]
            wrong = post[post["machine"] != positive]
            value, lo, hi = _share(_total(right, positive, effect), _total(wrong, positive, effect))
            n = int((mine["human"] == positive).sum())
            rows.append((*levels, measure, n, value, lo, hi, _unannotated(post), METHOD))
    names = ["labeller", *LEVELS, "measure", "annotated", "value", "lo", "hi", "unannotated", "method"]
    return pd.DataFrame(rows, columns=names)


def corrected_rates(
    counts: pd.DataFrame,
    items: pd.DataFrame,
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Refusal rates as the labeller counts them and corrected by the stratified audit (Tenenbein 1970), with limits.

    The corrected rate is the sum over strata and machine verdicts of their share of the answers times the refusals
    among their annotated answers. Its limits recover the distances to the limits of each of those proportions (MOVER,
    Zou and Donner 2008) and add the sampling of the answers themselves, as if there were n / design effect independent
    ones (`design_effects`; None: the answers are independent). Columns: labeller, model, task, group, n, refusals,
    rate, corrected, lo, hi, annotated, unannotated, method.
    """
    rows = []
    for levels, answers, mine, everyone in _domains(counts, items, scopes):
        post = _poststrata(answers, mine, everyone)
        n, refusals = int(post["answers"].sum()), int(post.loc[post["machine"], "answers"].sum())
        corrected, lo, hi = _rate(post, effects[levels] if effects else 1.0)
        rows.append((*levels, n, refusals, refusals / n, corrected, lo, hi, len(mine), _unannotated(post)))
    names = ["labeller", *LEVELS, "n", "refusals", "rate", "corrected", "lo", "hi", "annotated", "unannotated"]
    return pd.DataFrame(rows, columns=names).assign(method=f"stratified audit, {METHOD}")


def mean_over_models(rates: pd.DataFrame) -> pd.DataFrame:
    """The unweighted mean over models of every task's rate with any persona, as the paper's Table 1 ends: model "mean".

    rates: as `corrected_rates` returns them. The annotated answers of models are apart, so MOVER's limits of a sum apply.
    """
    cells = rates[(rates["group"] == ANY_PERSONA) & (rates["model"] != ALL) & (rates["task"] != ALL)]
    grouped = cells.groupby(["labeller", "task"], sort=False)
    means = grouped[["rate", "corrected", "unannotated"]].mean().join(grouped[["n", "refusals", "annotated"]].sum())
    limits = [mover(1 / len(part), part["corrected"], part["lo"], part["hi"]) for _, part in grouped]
    means["lo"], means["hi"] = np.reshape(limits, (-1, 2)).T
    return means.reset_index().assign(model="mean", group=ANY_PERSONA, method=rates["method"].iloc[0])[[*rates.columns]]


def corrected_personas(verdicts: pd.DataFrame, key: pd.DataFrame, settled: pd.DataFrame) -> pd.DataFrame:
    """`corrected_rates` of every single persona, over all models and tasks: labeller, persona, n, refusals, rate, ...

    verdicts: as `machine_verdicts` returns them; key, settled: as `annotated` takes them.
    """
    verdicts = verdicts.assign(group=verdicts["persona"])
    counts, items, scopes = machine_counts(verdicts), annotated(key, settled, verdicts), [["group"]]
    rates = corrected_rates(counts, items, effects=design_effects(verdicts, scopes), scopes=scopes)
    return rates.drop(columns=["model", "task"]).rename(columns={"group": "persona"})


def corrected_differences(rates: pd.DataFrame) -> pd.DataFrame:
    """Each persona group minus baseline, uncorrected and corrected: labeller, model, task, group, difference, ...

    rates: as `corrected_rates` returns them. The two groups' audits are different answers, so MOVER's limits of a
    difference of independent estimates apply.
    """
    by_group = rates[rates["group"] != ALL]
    reference = by_group[by_group["group"] == BASELINE]
    pairs = by_group[by_group["group"] != BASELINE].merge(
        reference, on=["labeller", "model", "task"], suffixes=("", "_free")
    )
    own, free = (pairs["lo"], pairs["hi"]), (pairs["lo_baseline"], pairs["hi_baseline"])
    lo, hi = mover_difference(pairs["corrected"], own, pairs["corrected_baseline"], free)
    return pairs[["labeller", "model", "task", "group"]].assign(
        difference=pairs["rate"] - pairs["rate_baseline"],
        corrected=pairs["corrected"] - pairs["corrected_baseline"],
        lo=np.maximum(lo, -1),
        hi=np.minimum(hi, 1),
        method=pairs["method"],
    )


def specificity_tests(counts: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Whether a labeller's false refusals are as frequent with a persona as without: labeller, group, p, p_holm, ...

    A difference would be read as an effect of the persona. For each persona group the false refusals among answers that
    are none are compared with those of baseline prompts by Fisher's exact test on effective numbers of answers
    (false-refusal rate r with variance v counts as r (1 - r) / v answers; with equal weights these are the answers
    annotated), with Holm's correction over the groups of a labeller.
    """
    rows = []
    for labeller, answers in counts.groupby("labeller", sort=False):
        mine = items[items["labeller"] == labeller]
        found = {
            group: _false_refusals(rows_of, mine[mine["group"] == group], mine)
            for group, rows_of in answers.groupby("group", sort=False)
        }
        if BASELINE not in found:
            continue
        rate0, n0 = found.pop(BASELINE)
        for group, (rate, n) in found.items():
            table = np.rint([[rate * n, (1 - rate) * n], [rate0 * n0, (1 - rate0) * n0]]).astype(int)
            rows.append((labeller, group, rate, rate0, n, n0, stats.fisher_exact(table).pvalue))
    names = [
        "labeller",
        "group",
        "false_refusals",
        "false_refusals_baseline",
        "n_effective",
        "n_effective_baseline",
        "p",
    ]
    tests = pd.DataFrame(rows, columns=names)
    adjusted = [holm(family["p"].to_numpy()) for _, family in tests.groupby("labeller", sort=False)]
    return tests.assign(p_holm=np.concatenate(adjusted) if adjusted else [])


def _scopes(frame: pd.DataFrame, scopes: Sequence[list[str]] = SCOPES):
    """(labeller, model, task, group) and the rows of `frame` in each scope that is reported.

    A scope over all groups is reported twice: of all prompts ("*") and of those with a persona ("any persona").
    """
    for labeller, mine in frame.groupby("labeller", sort=False):
        named = mine[mine["group"] != BASELINE]
        for scope in scopes:
            for part, group in [(mine, ALL)] if "group" in scope else [(mine, ALL), (named, ANY_PERSONA)]:
                for values, rows in part.groupby(scope, sort=True) if scope else [((), part)]:
                    chosen = {"group": group} | dict(zip(scope, values, strict=True))
                    yield (labeller, *(chosen.get(level, ALL) for level in LEVELS)), rows


def _domains(counts: pd.DataFrame, items: pd.DataFrame, scopes: Sequence[list[str]]):
    """(labeller, model, task, group), answers counted, items annotated, and the items of the labeller everywhere."""
    for names, answers in _scopes(counts, scopes):
        everyone = items[items["labeller"] == names[0]]
        here = everyone
        for level, value in zip(LEVELS, names[1:], strict=True):
            if value != ALL:
                here = here[here[level] != BASELINE] if value == ANY_PERSONA else here[here[level] == value]
        yield names, answers, here, everyone


def _poststrata(answers, items, everyone) -> pd.DataFrame:
    """Strata by machine verdict: answers, n (effective), refusals (share), lo, hi.

    Items of one stratum may have been drawn at different rates, from cells of other strata too if verdicts changed since;
    their weights undo that, and the effective number is Kish's. A stratum without an annotated item takes its share from
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
        lo, hi = clopper_pearson(share * n, n)
        rows.append((n, share, float(lo), float(hi)))
    return pd.concat([post, pd.DataFrame(rows, columns=["n", "refusals", "lo", "hi"])], axis=1)


def _total(post: pd.DataFrame, human: bool, effect: float) -> Estimate:
    """How many of the answers are refusals (human), or are none (not human), with limits.

    A stratum of m answers has as many again by chance as a count of m varies, times the design effect.
    """
    share, lo, hi = (post[column].to_numpy(float) for column in ("refusals", "lo", "hi"))
    if not human:
        share, lo, hi = 1 - share, 1 - hi, 1 - lo
    size = post["answers"].to_numpy(float)
    lo, hi = _sum(size, share, lo, hi, effect * float((size * share**2).sum()))
    return float((size * share).sum()), max(lo, 0.0), hi


def _share(one: Estimate, other: Estimate) -> Estimate:
    """one / (one + other) of two independent totals, with limits: those of their ratio by MOVER."""
    (a, a_lo, a_hi), (b, b_lo, b_hi) = one, other
    if a + b == 0:
        return np.nan, 0.0, 1.0
    least, _ = mover_ratio(a, (a_lo, a_hi), b, (b_lo, b_hi))
    least_other, _ = mover_ratio(b, (b_lo, b_hi), a, (a_lo, a_hi))  # its inverse may be infinite
    return a / (a + b), float(least / (1 + least)), float(1 / (1 + least_other))


def _rate(post: pd.DataFrame, effect: float) -> Estimate:
    size = post["answers"].to_numpy(float)
    weights = size / size.sum()
    share, lo, hi = (post[column].to_numpy(float) for column in ("refusals", "lo", "hi"))
    rate = float(weights @ share)
    lo, hi = _sum(weights, share, lo, hi, effect * float(weights @ (share - rate) ** 2) / size.sum())
    return rate, max(lo, 0.0), min(hi, 1.0)


def _sum(
    weights: np.ndarray, share: np.ndarray, lo: np.ndarray, hi: np.ndarray, variance: float
) -> tuple[float, float]:
    """MOVER limits of sum(weights * share), with the `variance` that the answers themselves add to it."""
    reach = Z95 * np.sqrt(variance)
    low, high = mover([*weights, 1.0], [*share, 0.0], [*lo, -reach], [*hi, reach])
    return float(low), float(high)


def _unannotated(post: pd.DataFrame) -> float:
    return float(post.loc[post["n"] == 0, "answers"].sum() / post["answers"].sum())


def _false_refusals(answers: pd.DataFrame, items: pd.DataFrame, everyone: pd.DataFrame) -> tuple[float, float]:
    """The share of false refusals among answers that are no refusals, and its effective number of answers."""
    post = _poststrata(answers, items, everyone)
    size, none = post["answers"].to_numpy(float), 1 - post["refusals"].to_numpy(float)
    machine, n = post["machine"].to_numpy(bool), post["n"].to_numpy(float)
    total = (size * none).sum()
    rate = (size * none)[machine].sum() / total if total else 0.0
    gradient = size * (machine - rate) / total if total else np.zeros(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nansum(np.where(n > 0, gradient**2 * none * (1 - none) / n, 0.0))
    counted = float((~items["human"]).sum())
    return rate, rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else counted

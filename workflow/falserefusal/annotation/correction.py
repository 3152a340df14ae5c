"""Accuracy of labellers, and refusal rates corrected for their errors, from the responses that people annotated.

The sample was drawn at known rates: an annotated response stands for in_cell / drawn responses of the cell that it was
drawn from. Stratum and machine verdict of every response of the study are known, so the sample is post-stratified by
both: the share of refusals among the annotated responses of a post-stratum, each at its weight, estimates the share
among all responses of the post-stratum, whose number is known. Strata and verdicts are the current ones, not those on
the day of the draw, because editing a phrase or adding a judge moves responses between strata.

Four totals follow, each from its own responses: machine refusals that people call refusals (A) or not (C), and machine
non-refusals that people call refusals (B) or not (D). Sensitivity = A / (A + B), specificity = D / (C + D), corrected
rate = (A + B) / (A + B + C + D). A post-stratum without an annotated response has the confidence interval [0, 1].

The widest intervals come from very large strata of seemingly plain responses, of which only a few hundred were
annotated and none was a refusal.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE
from falserefusal.common.verdicts import MISSING, REFUSED
from falserefusal.statistics.intervals import jeffreys, mover, mover_difference, mover_ratio
from falserefusal.statistics.multiplicity import holm
from falserefusal.statistics.pooling import shrink

SCOPES: tuple[list[str], ...] = ([], ["model"], ["task"], ["group"], ["model", "task"], ["model", "group"])
LEVELS = ["model", "task", "group"]
POST = ["stratum", "machine"]
METHOD = "MOVER on Jeffreys limits, shares shrunken over models"
LEAST = 1e-6  # annotated responses; stands for none
Z95 = float(stats.norm.ppf(0.975))

Estimate = tuple[float, float, float]  # value, lower and upper confidence limit


def machine_verdicts(units: pd.DataFrame, verdicts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Join every response with its verdict by every labeller.

    Parameters
    ----------
    units : as `sample.population` returns them.
    verdicts : frame of VERDICTS for each model. Missing verdicts are left out.

    Returns
    -------
    The columns of units, labeller and machine (True for a refusal).
    """
    parts = []
    for model, of_model in verdicts.items():
        usable = of_model.loc[of_model["verdict"] != MISSING, ["prompt_id", "labeller", "verdict"]]
        parts.append(units[units["model"] == model].merge(usable, on="prompt_id"))
    joined = pd.concat(parts, ignore_index=True)
    return joined.assign(machine=joined["verdict"] == REFUSED).drop(columns="verdict")


def machine_counts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Count responses by labeller, model, task, group, stratum and machine verdict (column responses).

    Labellers keep the order in which they occur in `verdicts`, which is what `machine_verdicts` returns.
    """
    counts = verdicts.groupby(["labeller", *LEVELS, *POST], sort=True).size().rename("responses").reset_index()
    order = list(dict.fromkeys(verdicts["labeller"]))
    return counts.sort_values("labeller", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)


def design_effects(verdicts: pd.DataFrame, scopes: Sequence[list[str]] = SCOPES) -> dict[tuple, float]:
    """Design effect of each labeller, model, task and group ("*": summed over), as responses share texts.

    The design effect is the variance of the machine rate clustered by text, divided by its binomial variance. It is at
    least 1. For a rate of 0 or 1 it is that of texts of which all responses are refusals or none.
    """
    effects = {}
    for levels, rows in _scopes(verdicts, scopes):
        texts = rows.groupby("text_id")["machine"].agg(["sum", "size"])
        n, rate = len(rows), rows["machine"].mean()
        if 0 < rate < 1:
            effect = ((texts["sum"] - texts["size"] * rate) ** 2).sum() / (n * rate * (1 - rate))
        else:
            effect = (texts["size"] ** 2).sum() / n
        effects[levels] = max(float(effect), 1.0)
    return effects


def annotated(key: pd.DataFrame, settled: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Join the annotated responses with the verdicts of each labeller.

    Only the weight comes from the day of the draw. The stratum is the current one, as in `machine_counts`.

    Parameters
    ----------
    key : key of the sample, as `sample.draw_sample` returns it.
    settled : verdicts of people, as `people.settle` returns them. Items that are still open are left out.
    verdicts : as `machine_verdicts` returns them.

    Returns
    -------
    Columns item_id, labeller, model, task, group, stratum, weight, machine, human (True for a refusal).
    """
    weighed = key[["item_id", "model", "prompt_id"]].assign(weight=key["in_cell"] / key["drawn"])
    decided = settled.dropna(subset="refusal").rename(columns={"refusal": "human"})[["item_id", "human"]]
    items = weighed.merge(decided, on="item_id").astype({"human": bool})
    found = items.merge(verdicts, on=["model", "prompt_id"])
    return found[["item_id", "labeller", *LEVELS, "stratum", "weight", "machine", "human"]]


def labeller_accuracy(
    counts: pd.DataFrame,
    items: pd.DataFrame,
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Estimate sensitivity, specificity and kappa of each labeller, overall and by model, task and group.

    The confidence intervals cover the sampling of the annotated responses and that of the study's responses: the number
    of responses in a stratum varies like a count, times the design effect.

    Parameters
    ----------
    counts : as `machine_counts` returns them.
    items : as `annotated` returns them.
    effects : as `design_effects` returns them; None treats responses as independent.
    scopes : combinations of model, task and group to report.

    Returns
    -------
    Columns labeller, model, task, group ("*": summed over), measure (kappa: Cohen's, of the labeller and people),
    annotated (responses with that human verdict; for kappa all), value, lo, hi, unannotated (share of the responses in
    post-strata without an annotated response), method.
    """
    rows = []
    for levels, post, mine in _domains(counts, items, scopes):
        effect = effects[levels] if effects else 1.0
        for measure, positive in (("sensitivity", True), ("specificity", False)):
            right = post[post["machine"] == positive]
            wrong = post[post["machine"] != positive]
            value, lo, hi = _share(_total(right, positive, effect), _total(wrong, positive, effect))
            n = int((mine["human"] == positive).sum())
            rows.append((*levels, measure, n, value, lo, hi, _unannotated(post), METHOD))
        rows.append((*levels, "kappa", len(mine), *_kappa(post, effect), _unannotated(post), METHOD))
    names = ["labeller", *LEVELS, "measure", "annotated", "value", "lo", "hi", "unannotated", "method"]
    return pd.DataFrame(rows, columns=names)


def corrected_rates(
    counts: pd.DataFrame,
    items: pd.DataFrame,
    effects: dict[tuple, float] | None = None,
    scopes: Sequence[list[str]] = SCOPES,
) -> pd.DataFrame:
    """Refusal rates as the labeller counts them, and corrected by double sampling (Tenenbein 1970).

    The corrected rate is the sum over post-strata of their share of the responses times the share of refusals among
    their annotated responses. Its confidence interval combines those of the shares (MOVER, Zou and Donner 2008) with
    the sampling of the study's responses, counted as n / design effect independent ones.

    Parameters
    ----------
    counts, items, effects, scopes : as for `labeller_accuracy`.

    Returns
    -------
    Columns labeller, model, task, group, n, refusals, rate, corrected, lo, hi (of the corrected rate), annotated
    (responses), unannotated (share of the responses in post-strata without an annotated response), method.
    """
    rows = []
    for levels, post, mine in _domains(counts, items, scopes):
        n, refusals = float(post["responses"].sum()), float(post.loc[post["machine"], "responses"].sum())
        corrected, lo, hi = _rate(post, effects[levels] if effects else 1.0)
        rows.append((*levels, n, refusals, refusals / n, corrected, lo, hi, len(mine), _unannotated(post)))
    names = ["labeller", *LEVELS, "n", "refusals", "rate", "corrected", "lo", "hi", "annotated", "unannotated"]
    return pd.DataFrame(rows, columns=names).assign(method=f"stratified annotation, {METHOD}")


def mean_over_models(
    counts: pd.DataFrame, items: pd.DataFrame, effects: dict[tuple, float] | None = None
) -> pd.DataFrame:
    """Unweighted mean over models of each task's rate with any persona, as in the last row of the paper's Table 1.

    It is the rate of all models together, with responses weighted so that every model has the same number.

    Parameters
    ----------
    counts, items, effects : as for `labeller_accuracy`.

    Returns
    -------
    The columns of `corrected_rates`, with model "mean".
    """
    named = counts[counts["group"] != BASELINE]
    cell = ["labeller", "model", "task"]
    size = named.groupby(cell)["responses"].sum()
    weight = (size.groupby(["labeller", "task"]).transform("mean") / size).rename("factor")
    counts, items = (part[part["group"] != BASELINE].join(weight, on=cell) for part in (counts, items))
    counts = counts.assign(responses=counts["responses"] * counts["factor"])
    items = items.assign(weight=items["weight"] * items["factor"])
    rates = corrected_rates(counts, items, effects, [["task"]])
    n = named.groupby(["labeller", "task"])["responses"].agg("sum")
    rates = rates[rates["group"] == ANY_PERSONA].assign(model="mean")
    place = pd.MultiIndex.from_frame(rates[["labeller", "task"]])
    refusals = named[named["machine"]].groupby(["labeller", "task"])["responses"].sum()
    return rates.assign(n=n[place].to_numpy(), refusals=refusals.reindex(place, fill_value=0).to_numpy())


def corrected_personas(verdicts: pd.DataFrame, key: pd.DataFrame, settled: pd.DataFrame) -> pd.DataFrame:
    """Corrected refusal rate of each persona over all models and tasks.

    Parameters
    ----------
    verdicts : as `machine_verdicts` returns them.
    key, settled : as for `annotated`.

    Returns
    -------
    The columns of `corrected_rates`, with persona instead of model, task and group.
    """
    verdicts = verdicts.assign(group=verdicts["persona"])
    counts, items, scopes = machine_counts(verdicts), annotated(key, settled, verdicts), [["group"]]
    rates = corrected_rates(counts, items, effects=design_effects(verdicts, scopes), scopes=scopes)
    return rates.drop(columns=["model", "task"]).rename(columns={"group": "persona"})


def corrected_differences(rates: pd.DataFrame) -> pd.DataFrame:
    """Difference between each persona group and the baseline, uncorrected and corrected.

    Different groups have different annotated responses, so the estimates are independent and MOVER applies.

    Parameters
    ----------
    rates : as `corrected_rates` returns them.

    Returns
    -------
    Columns labeller, model, task, group, difference, corrected, lo, hi (of the corrected difference), method.
    """
    by_group = rates[rates["group"] != ALL]
    reference = by_group[by_group["group"] == BASELINE]
    pairs = by_group[by_group["group"] != BASELINE].merge(
        reference, on=["labeller", "model", "task"], suffixes=("", "_baseline")
    )
    own, of_baseline = (pairs["lo"], pairs["hi"]), (pairs["lo_baseline"], pairs["hi_baseline"])
    lo, hi = mover_difference(pairs["corrected"], own, pairs["corrected_baseline"], of_baseline)
    return pairs[["labeller", "model", "task", "group"]].assign(
        difference=pairs["rate"] - pairs["rate_baseline"],
        corrected=pairs["corrected"] - pairs["corrected_baseline"],
        lo=np.maximum(lo, -1),
        hi=np.minimum(hi, 1),
        method=pairs["method"],
    )


def specificity_tests(counts: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Test whether a labeller's false positives are as frequent with a persona as without one.

    A difference would look like an effect of the persona. For each persona group, the false positives among responses
    that are not refusals are compared with those of baseline prompts, by Fisher's exact test on effective numbers of
    responses: a false-positive rate r with variance v counts as r (1 - r) / v responses, which at equal weights is the
    number annotated. p-values are adjusted over the groups of a labeller (Holm).

    Parameters
    ----------
    counts, items : as for `labeller_accuracy`.

    Returns
    -------
    Columns labeller, group, wrong_refusals and wrong_refusals_baseline (rates), n_effective, n_effective_baseline, p,
    p_holm.
    """
    rows = []
    for labeller, responses in counts.groupby("labeller", sort=False):
        mine = items[items["labeller"] == labeller]
        found = {
            group: _wrong_refusals(rows_of, mine[mine["group"] == group], mine)
            for group, rows_of in responses.groupby("group", sort=False)
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
        "wrong_refusals",
        "wrong_refusals_baseline",
        "n_effective",
        "n_effective_baseline",
        "p",
    ]
    tests = pd.DataFrame(rows, columns=names)
    adjusted = [holm(family["p"].to_numpy()) for _, family in tests.groupby("labeller", sort=False)]
    return tests.assign(p_holm=np.concatenate(adjusted) if adjusted else [])


def _scopes(frame: pd.DataFrame, scopes: Sequence[list[str]] = SCOPES):
    """Yield (labeller, model, task, group) and the rows of `frame` for each scope to report.

    A scope over all groups comes twice: for all prompts ("*") and for those with a persona ("any persona").
    """
    for labeller, mine in frame.groupby("labeller", sort=False):
        named = mine[mine["group"] != BASELINE]
        for scope in scopes:
            for part, group in [(mine, ALL)] if "group" in scope else [(mine, ALL), (named, ANY_PERSONA)]:
                for values, rows in part.groupby(scope, sort=True) if scope else [((), part)]:
                    chosen = {"group": group} | dict(zip(scope, values, strict=True))
                    yield (labeller, *(chosen.get(level, ALL) for level in LEVELS)), rows


def _domains(counts: pd.DataFrame, items: pd.DataFrame, scopes: Sequence[list[str]]):
    """Yield (labeller, model, task, group), its post-strata (see `_shared`), and its annotated items.

    Domains that differ in nothing but the model share information. Tasks and groups do not, because their differences
    would become smaller than they are.
    """
    found: list[tuple[tuple[str, ...], pd.DataFrame, pd.DataFrame]] = []
    kinds = defaultdict(list)
    for names, responses in _scopes(counts, scopes):
        labeller, model, task, group = names
        everyone = items[items["labeller"] == labeller]
        here = everyone
        for level, value in zip(LEVELS, names[1:], strict=True):
            if value != ALL:
                here = here[here[level] != BASELINE] if value == ANY_PERSONA else here[here[level] == value]
        kinds[labeller, model == ALL, task, group].append(len(found))
        found.append((names, post_strata(responses, here, everyone), here))
    shared: dict[int, pd.DataFrame] = {}
    for places in kinds.values():
        shared |= zip(places, _shared([found[place][1] for place in places]), strict=True)
    for place, (names, _, here) in enumerate(found):
        yield names, shared[place], here


def post_strata(responses: pd.DataFrame, items: pd.DataFrame, everyone: pd.DataFrame) -> pd.DataFrame:
    """Share of refusals in each post-stratum: columns stratum, machine, responses, n (effective), refusals (share).

    Items of one stratum may have been drawn at different rates, and from cells of other strata if verdicts changed
    after the draw. The weights undo that, and the effective number is Kish's. A post-stratum without an annotated item
    takes its share from the items of the whole study, if there are any.

    Parameters
    ----------
    responses : counts as `machine_counts` returns them, of one labeller.
    items, everyone : annotated items of these responses and of all responses, as `annotated` returns them.
    """
    post = responses.groupby(POST)["responses"].sum().reset_index()
    rows = []
    for stratum, machine in zip(post["stratum"], post["machine"], strict=True):
        here, there = (part[(part["stratum"] == stratum) & (part["machine"] == machine)] for part in (items, everyone))
        source = here if len(here) else there
        share = float(np.average(source["human"], weights=source["weight"])) if len(source) else float(machine)
        weights = here["weight"].to_numpy(float)
        rows.append((weights.sum() ** 2 / (weights**2).sum() if len(here) else 0.0, share))
    return pd.concat([post, pd.DataFrame(rows, columns=["n", "refusals"])], axis=1)


def _shared(posts: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Add limits lo and hi to the post-strata of domains, which inform each other if there are several.

    With one domain they are Jeffreys' limits, and [0, 1] without an annotated item. The shares of one post-stratum in
    several models are posterior means with credible limits, see `pooling.shrink`.
    """
    together = pd.concat(posts, keys=range(len(posts)), names=["domain", "row"])
    parts = []
    for _, post in together.groupby(POST, sort=False):
        n, share = post["n"].to_numpy(float), post["refusals"].to_numpy(float)
        some = np.maximum(n, LEAST)
        if len(posts) > 1 and n.any():
            share, lo, hi = shrink(share * some, some)
        else:
            lo, hi = jeffreys(share * some, some)
            lo, hi = np.where(n > 0, lo, 0.0), np.where(n > 0, hi, 1.0)
        parts.append(post.assign(refusals=share, lo=lo, hi=hi))
    by_domain = pd.concat(parts).sort_index()
    return [by_domain.loc[domain] for domain in range(len(posts))]


def _total(post: pd.DataFrame, human: bool, effect: float) -> Estimate:
    """Number of responses that are refusals (human) or are not (not human), with its confidence interval.

    The number of responses in a stratum has the variance of a count, times the design effect.
    """
    share, lo, hi = (post[column].to_numpy(float) for column in ("refusals", "lo", "hi"))
    if not human:
        share, lo, hi = 1 - share, 1 - hi, 1 - lo
    size = post["responses"].to_numpy(float)
    lo, hi = _sum(size, share, lo, hi, effect * float((size * share**2).sum()))
    return float((size * share).sum()), max(lo, 0.0), hi


def _share(one: Estimate, other: Estimate) -> Estimate:
    """one / (one + other) of two independent totals; the confidence interval is that of their ratio (MOVER).

    Without a response behind a total it is exactly 0: a labeller that calls nothing a refusal finds none, surely.
    """
    (a, a_lo, a_hi), (b, b_lo, b_hi) = one, other
    if a + b == 0:
        return np.nan, 0.0, 1.0
    least, _ = mover_ratio(a, (a_lo, a_hi), b, (b_lo, b_hi))
    least_other, _ = mover_ratio(b, (b_lo, b_hi), a, (a_lo, a_hi))  # its inverse may be infinite
    return a / (a + b), float(1 - 1 / (1 + least)), float(1 / (1 + least_other))


def _kappa(post: pd.DataFrame, effect: float) -> Estimate:
    """Cohen's kappa of labeller and people over all responses, with its confidence interval.

    The limits join the moves of kappa as the share of each post-stratum goes to its limits (MOVER, Zou and Donner 2008)
    and the sampling of the study's responses (delta method). NaN if both give one and the same verdict throughout.
    """
    size, share, lo, hi = (post[column].to_numpy(float) for column in ("responses", "refusals", "lo", "hi"))
    machine = post["machine"].to_numpy(bool)
    value = kappa_of(size, share, machine)
    if np.isnan(value):
        return np.nan, -1.0, 1.0
    each = np.eye(len(size), dtype=bool)
    moves = np.array([[kappa_of(size, np.where(one, to, share), machine) - value for one in each] for to in (lo, hi)])
    step = 1e-4 * size.sum()
    slope = np.array([kappa_of(size + step * one, share, machine) - value for one in each]) / step
    sampling = Z95**2 * effect * float((size * slope**2).sum())  # shares of responses; the mean slope is 0
    down, up = (float((move**2).sum()) for move in (np.minimum(moves.min(0), 0), np.maximum(moves.max(0), 0)))
    return value, max(value - np.sqrt(down + sampling), -1.0), min(value + np.sqrt(up + sampling), 1.0)


def kappa_of(size: np.ndarray, share: np.ndarray, machine: np.ndarray) -> float:
    """Cohen's kappa (1960) of two raters of groups of responses.

    Parameters
    ----------
    size : (S,) responses.
    share : (S,) share that people call a refusal.
    machine : (S,) whether the labeller calls them refusals.
    """
    weight = size / size.sum()
    both, neither = weight @ (machine * share), weight @ (~machine * (1 - share))
    by_machine, by_people = weight @ (machine * (1 - share)), weight @ (~machine * share)
    differ = (both + by_machine) * (by_machine + neither) + (both + by_people) * (by_people + neither)
    return float(2 * (both * neither - by_machine * by_people) / differ) if differ > 0 else np.nan


def _rate(post: pd.DataFrame, effect: float) -> Estimate:
    """Corrected rate of the responses in `post`, with its confidence interval.

    The study's own sampling has the binomial variance times the design effect: texts that are refused more often than
    others raise the share of refusals within a post-stratum as well as the number of machine refusals.
    """
    size = post["responses"].to_numpy(float)
    weights = size / size.sum()
    share, lo, hi = (post[column].to_numpy(float) for column in ("refusals", "lo", "hi"))
    rate = float(weights @ share)
    lo, hi = _sum(weights, share, lo, hi, effect * rate * (1 - rate) / size.sum())
    return rate, max(lo, 0.0), min(hi, 1.0)


def _sum(
    weights: np.ndarray, share: np.ndarray, lo: np.ndarray, hi: np.ndarray, variance: float
) -> tuple[float, float]:
    """MOVER interval of sum(weights * share), with an additional `variance` from the sampling of the responses."""
    reach = Z95 * np.sqrt(variance)
    low, high = mover([*weights, 1.0], [*share, 0.0], [*lo, -reach], [*hi, reach])
    return float(low), float(high)


def _unannotated(post: pd.DataFrame) -> float:
    """Share of the responses in post-strata without an annotated item."""
    return float(post.loc[post["n"] == 0, "responses"].sum() / post["responses"].sum())


def _wrong_refusals(responses: pd.DataFrame, items: pd.DataFrame, everyone: pd.DataFrame) -> tuple[float, float]:
    """False-positive rate among responses that are not refusals, and its effective number of responses."""
    post = post_strata(responses, items, everyone)
    size, none = post["responses"].to_numpy(float), 1 - post["refusals"].to_numpy(float)
    machine, n = post["machine"].to_numpy(bool), post["n"].to_numpy(float)
    total = (size * none).sum()
    rate = (size * none)[machine].sum() / total if total else 0.0
    gradient = size * (machine - rate) / total if total else np.zeros(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nansum(np.where(n > 0, gradient**2 * none * (1 - none) / n, 0.0))
    counted = float((~items["human"]).sum())
    return rate, rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else counted

"""Tables of the paper's main-effects logit: coefficients, Firth's estimates, interactions, deviance by factor.

Models are fitted to counts by cell (see `statistics.logit`). Only standard errors clustered by text need the single
responses. Separated levels have the coefficient -inf (inf), with Firth's estimate, which is always finite, in a second
row.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse, stats

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes, outcomes_of_frame
from falserefusal.common.schemas import ALL, BASELINE, REFERENCES
from falserefusal.statistics.clusters import degrees_of_freedom, joint_code, layout_of, level_codes
from falserefusal.statistics.logit import (
    Design,
    Fit,
    NotFitted,
    dummies,
    fit_firth,
    fit_logit,
    levels_of,
    loglik,
)

INTERACTIONS = (("persona", "model"), ("persona", "task"))
PRINTED_R2 = 0.5733  # the paper, appendix E.2
STOPPED = 14  # absolute coefficient from which a printed value is where the paper's fit stopped: no refusals
SEPARATED = "separated: no refusals (or only refusals) at this level, so no finite coefficient"
FEWEST = 10  # refusals, and other responses, of a level: with fewer, errors clustered by text are far too small
TOO_FEW = f"no interval: too few refusals (or other responses), below {FEWEST}"
NO_TEXTS = "no interval: texts unknown"
MOST_OF_A_LEVEL = 0.95  # share of a level's information in one text above which that text cannot be left out
COLUMNS = ["term", "level", "coef", "se", "lo", "hi", "p", "printed", "printed_term_note", "method"]
FIRTH_COLUMNS = [*COLUMNS[:7], "method"]


def collapse(frame: pd.DataFrame | Outcomes, factors: list[str]) -> pd.DataFrame:
    """Sum counts n and refusals over the observed combinations of `factors`, without baseline prompts.

    Parameters
    ----------
    frame : cells (columns n, refusals) or outcomes (column refusal).
    factors : columns to keep.

    Raises
    ------
    InputError for several labellers. NotFitted if no response is left.
    """
    nothing = NotFitted(f"there are no responses by {', '.join(factors)}: there is nothing to fit")
    if not isinstance(frame, Outcomes) and "labeller" in frame and frame["labeller"].nunique() > 1:
        raise InputError(f"one labeller at a time, not {', '.join(sorted(frame['labeller'].unique()))}")
    if isinstance(frame, Outcomes) or "refusal" in frame:
        groups = (
            part.groupby(factors, observed=True, sort=False)["refusal"] for part in _with_persona(frame).parts(factors)
        )
        parts = [group.agg(n="size", refusals="sum").reset_index() for group in groups]
        if not parts:
            raise nothing
        frame = pd.concat(parts, ignore_index=True)
    else:
        frame = frame[frame["persona"] != BASELINE]
        for factor in factors:
            frame = frame[frame[factor] != ALL]
        if frame.empty:
            raise nothing
    counts = frame.groupby(factors, observed=True, sort=False)[["n", "refusals"]].sum()
    return counts.astype(np.int64).reset_index()


def _has_texts(frame: pd.DataFrame | Outcomes) -> bool:
    """Whether these are outcomes, not cells."""
    return isinstance(frame, Outcomes) or "refusal" in frame


def _with_persona(outcomes: pd.DataFrame | Outcomes) -> Outcomes:
    """The outcomes of prompts with a persona."""
    return (outcomes if isinstance(outcomes, Outcomes) else outcomes_of_frame(outcomes)).without_baseline()


def choose_references(counts: pd.DataFrame, factors: list[str]) -> dict[str, str]:
    """Choose the reference level of each factor: the paper's if possible, else the first suitable level.

    A reference level needs refusals and other responses, or no coefficient would be finite.

    Raises
    ------
    NotFitted if a factor has no such level.
    """
    references = {}
    for factor in factors:
        sums = counts.groupby(factor, observed=True, sort=False)[["n", "refusals"]].sum().loc[levels_of(counts[factor])]
        able = sums.index[(sums["refusals"] > 0) & (sums["refusals"] < sums["n"])]
        if able.empty:
            raise NotFitted(f"regression: every {factor} was refused always or never, so there is no reference level")
        references[factor] = REFERENCES[factor] if REFERENCES.get(factor) in able else able[0]
    return references


def regression_table(
    frame: pd.DataFrame | Outcomes,
    factors: list[str] | None = None,
    printed: pd.DataFrame | None = None,
    own: bool = False,
) -> pd.DataFrame:
    """Table of main effects (regression.csv).

    Rows: the intercept, each level except the reference of its factor, then McFadden's pseudo R squared over single
    responses as term "fit". A separated level (coef -inf or inf) has a second row with Firth's estimate, without
    interval. If nothing can be fitted there is one row, whose method gives the reason. There is no p if texts are
    unknown.

    Parameters
    ----------
    frame : cells, or outcomes, for which errors are clustered by text.
    factors : by default persona, template, task and model, as far as the frame has them and they vary.
    printed : the paper's Table 7 (columns type, variable, coef), if the study is compared with it.
    own : whether `frame` is the paper's own cells. Only then does a note explain a difference, and name a printed value
        that is an outlier among the others.

    Returns
    -------
    Columns term, level, coef, se, lo, hi, p, method and, with `printed`, printed and printed_term_note. Printed values
    are re-based to the reference levels of this fit.
    """
    try:
        counts, references = _prepare(frame, factors)
        design = dummies(counts, references)
        fit = fit_logit(design, counts["n"], counts["refusals"])
        moves = text_moves(frame, counts, list(references), design.x, fit) if _has_texts(frame) else None
        separated = _separated_rows(counts, design, fit)
    except NotFitted as error:
        return _no_fit(error, printed is not None)
    if moves is not None:
        fit = replace(fit, cov=moves.T @ moves, df=degrees_of_freedom(moves))
        method = "ML logit, errors clustered by text"
    else:
        method = "ML logit, binomial errors, texts unknown"
    rows = _coefficient_rows(fit, method)
    if moves is None:  # a test as if responses were independent would find effects where there are none
        rows = [row | {"p": np.nan} for row in rows]
    for j in np.flatnonzero(~fit.finite):
        rows[j]["method"] = f"{method}; {SEPARATED}"
    rows.append({"term": "fit", "level": "McFadden R2", "coef": fit.mcfadden, "method": method})
    table = pd.DataFrame(rows).reindex(columns=COLUMNS if printed is not None else FIRTH_COLUMNS)
    if printed is not None:
        table = _with_printed(table, printed, references, own)
    return pd.concat([table, *separated], ignore_index=True)


def firth_table(frame: pd.DataFrame | Outcomes, factors: list[str] | None = None) -> pd.DataFrame:
    """Table of main effects by Firth's penalised likelihood, finite everywhere; columns as in `regression_table`.

    Errors are clustered by text. There is no interval and no p-value if texts are unknown (cells), or if a level or
    its reference has fewer than FEWEST refusals or other responses; `method` says so.
    """
    try:
        counts, references = _prepare(frame, factors)
        design = dummies(counts, references)
        fit = fit_firth(design, counts["n"], counts["refusals"])
        moves = text_moves(frame, counts, list(references), design.x, fit) if _has_texts(frame) else None
    except NotFitted as error:
        return _no_fit(error)
    rarest = {factor: _rarest(counts, [factor]) for factor in references}
    of_reference = {factor: rarest[factor][reference] for factor, reference in references.items()}
    own = [min(rarest[term][level], of_reference[term]) for term, level in design.names[1:]]
    few = np.array([min(of_reference.values()), *own]) < FEWEST
    table = pd.DataFrame(design.names, columns=["term", "level"]).assign(coef=fit.coef)
    return _robust(table, moves, few, "Firth logit")[FIRTH_COLUMNS]


def _rarest(counts: pd.DataFrame, factors: list[str]) -> pd.Series:
    """Number of refusals, or of other responses if those are fewer, by level of `factors`."""
    sums = counts.groupby(factors, observed=True, sort=False)[["n", "refusals"]].sum()
    return np.minimum(sums["refusals"], sums["n"] - sums["refusals"])


def _robust(table: pd.DataFrame, moves: np.ndarray | None, few: np.ndarray, method: str) -> pd.DataFrame:
    """Add Student's intervals and p-values from the influence (C, K) of each text; none where `few` or unknown."""
    if moves is None:
        return table.assign(se=np.nan, lo=np.nan, hi=np.nan, p=np.nan, method=f"{method}; {NO_TEXTS}")
    se, df = np.sqrt((moves**2).sum(0)), degrees_of_freedom(moves)
    half, p = stats.t.ppf(0.975, df) * se, 2 * stats.t.sf(np.abs(table["coef"]) / np.maximum(se, 1e-300), df)
    table = table.assign(se=se, lo=table["coef"] - half, hi=table["coef"] + half, p=p)
    table.loc[few, ["se", "lo", "hi", "p"]] = np.nan
    clustered = f"{method}, errors clustered by text"
    return table.assign(method=np.where(few, f"{clustered}; {TOO_FEW}", clustered))


def _separated_rows(counts: pd.DataFrame, design: Design, fit: Fit) -> list[pd.DataFrame]:
    """Firth's estimates, without interval, for levels without a finite maximum-likelihood estimate."""
    if fit.finite.all():
        return []
    firth = fit_firth(design, counts["n"], counts["refusals"])
    table = pd.DataFrame(design.names, columns=["term", "level"])
    return [table.assign(coef=firth.coef, method=f"Firth logit; {TOO_FEW}")[~fit.finite]]


def interaction_table(frame: pd.DataFrame | Outcomes, pairs: Sequence[tuple[str, str]] = INTERACTIONS) -> pd.DataFrame:
    """Interactions by Firth's logit: how far each cell of a pair departs, in log-odds, from the sum of main effects.

    Every factor has sum-to-zero coding: no level is a reference, and departures sum to zero over either factor.
    Intervals are Student's with errors clustered by text. There is none if texts are unknown. Cells without refusals
    pull all others away from zero, so a model with fewer than FEWEST refusals or other responses under some persona is
    left out of the fit, and if any cell of another pair has fewer, the pair has no intervals; `method` says so.

    Parameters
    ----------
    frame : cells or outcomes.
    pairs : pairs of factors.

    Returns
    -------
    Columns term ("persona:model"), level ("black:Llama2-7B"), coef, se, lo, hi, p, method.
    """
    try:
        frame, rare = _without_rare_models(frame)
        counts, references = _prepare(frame, None)
        pairs = [pair for pair in pairs if set(pair) <= set(references)]
        if not pairs:
            raise NotFitted("regression: no two factors vary together")
        x, blocks = _sum_to_zero(counts, list(references), pairs)
        names = [("", str(j)) for j in range(x.shape[1])]
        fit = fit_firth(Design(x, names), counts["n"], counts["refusals"])
        moves = text_moves(frame, counts, list(references), x, fit) if _has_texts(frame) else None
    except NotFitted as error:
        return _no_fit(error)[FIRTH_COLUMNS]
    parts = []
    for pair in pairs:
        first, second = (levels_of(counts[factor]) for factor in pair)
        where = blocks[pair]
        # the departure of every cell, also of those that the coding leaves out, is a contrast of the coefficients
        contrast = np.kron(_deviations(len(first)), _deviations(len(second)))
        cells = pd.MultiIndex.from_product([first, second])
        few = np.full(len(cells), (_rarest(counts, list(pair)).reindex(cells, fill_value=0) < FEWEST).any())
        part = pd.DataFrame({"term": ":".join(pair), "level": [f"{a}:{b}" for a, b in cells]})
        part["coef"] = contrast @ fit.coef[where]
        of_cells = None if moves is None else moves[:, where] @ contrast.T
        parts.append(_robust(part, of_cells, few, "Firth logit, sum-to-zero")[FIRTH_COLUMNS])
    reason = f"not fitted: too few refusals (or other responses), below {FEWEST} under some persona"
    parts += [pd.DataFrame([{"term": "persona:model", "level": f"*:{name}", "method": reason}]) for name in rare]
    return pd.concat(parts, ignore_index=True)[FIRTH_COLUMNS]


def _without_rare_models(frame: pd.DataFrame | Outcomes) -> tuple[pd.DataFrame | Outcomes, list[str]]:
    """Outcomes without the models that have too few refusals under some persona, and those models; cells as they are.

    Raises
    ------
    NotFitted if no model is left.
    """
    if not _has_texts(frame):
        return frame, []
    outcomes = _with_persona(frame)
    fewest = _rarest(collapse(outcomes, ["model", "persona"]), ["model", "persona"]).unstack(fill_value=0).min(axis=1)
    rare = [name for name in outcomes.readers if name in fewest.index and fewest[name] < FEWEST]
    if len(rare) == len(fewest):
        raise NotFitted(f"too few refusals (or other responses): every model has below {FEWEST} under some persona")
    return replace(outcomes, readers={k: reader for k, reader in outcomes.readers.items() if k not in rare}), rare


def deviance_table(frame: pd.DataFrame | Outcomes, factors: list[str] | None = None) -> pd.DataFrame:
    """Deviance explained by each factor of the main-effects logit.

    Parameters
    ----------
    frame : cells, or outcomes, for which the test is clustered by text.
    factors : as for `regression_table`.

    Returns
    -------
    Columns factor, df, alone (deviance drop as the only factor), last (drop when added to all others: type II),
    dominance (average drop over all orders of entry: general dominance, Budescu 1993, Psychol. Bull. 114:542), share
    (of the explained deviance; the dominances add up to it), noise (expected for a factor without effect: its df), wald
    (chi-squared of the factor's finite coefficients), p (none if texts are unknown), method.
    """
    columns = ["factor", "df", "alone", "last", "dominance", "share", "noise", "wald", "p", "method"]
    try:
        counts, references = _prepare(frame, factors)
        design = dummies(counts, references)
        fit = fit_logit(design, counts["n"], counts["refusals"])
        explained = {subset: _explained(counts, references, subset) for subset in _subsets(list(references))}
        clustered = _has_texts(frame)
        moves = text_moves(frame, counts, list(references), design.x, fit) if clustered else None
    except NotFitted as error:
        return pd.DataFrame([{"factor": "", "method": f"not fitted: {error}"}]).reindex(columns=columns)
    cov = fit.cov if moves is None else moves.T @ moves
    everything = frozenset(references)
    rows = []
    for factor in references:
        drops = {s: explained[s | {factor}] - explained[s] for s in explained if factor not in s}
        by_size = [np.mean([drop for s, drop in drops.items() if len(s) == k]) for k in range(len(references))]
        own = [j for j, (term, _) in enumerate(design.names) if term == factor and fit.finite[j]]
        wald = float(fit.coef[own] @ np.linalg.solve(cov[np.ix_(own, own)], fit.coef[own]))
        df = sum(term == factor for term, _ in design.names)
        row = {"factor": factor, "df": df, "alone": by_size[0], "last": by_size[-1], "dominance": np.mean(by_size)}
        row |= {"share": np.mean(by_size) / explained[everything], "noise": df, "wald": wald}
        row |= {
            "p": stats.chi2.sf(wald, len(own)) if clustered else np.nan,
            "method": "clustered by text" if clustered else "texts unknown",
        }
        rows.append(row)
    return pd.DataFrame(rows)[columns]


def text_moves(
    outcomes: pd.DataFrame | Outcomes, counts: pd.DataFrame, factors: list[str], x: np.ndarray, fit: Fit
) -> np.ndarray:
    """Influence (C, parameters) of each text on the coefficients; `moves.T @ moves` is the jackknife covariance CV3.

    Leaving text c out changes the coefficients by (I - I_c)^-1 u_c, with I the information, I_c the text's share of it
    and u_c its score, here times sqrt((C - 1) / C) (linearised at the fit; MacKinnon, Nielsen and Webb 2023, Journal of
    Applied Econometrics 38:671, and for the logit 2024, arXiv:2406.00650). The usual sandwich has I^-1 u_c, which makes
    the errors of levels with few texts too small. Separated coefficients have no influence. Scores of Firth's fit
    include each response's share of the penalty, so that they add up to 0.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    counts : as `collapse` returns them, by `factors`.
    x : (cells, parameters) design matrix of `counts`.
    fit : fit of that design.

    Raises
    ------
    NotFitted if there is a single text.
    """
    x = x[:, fit.finite]
    n, scores, cells = _counts_by_text(_with_persona(outcomes), factors, counts, x, fit.expected)
    mean, x = fit.mean[cells], x[cells]
    texts = n.shape[0]
    if texts < 2:
        raise NotFitted("regression: errors clustered by text need at least two texts")
    information = np.linalg.inv(fit.cov[np.ix_(fit.finite, fit.finite)])
    moved = np.empty((texts, x.shape[1]))
    for c in range(texts):
        own = slice(n.indptr[c], n.indptr[c + 1])
        place = n.indices[own]
        of_text = x[place].T @ (x[place] * (n.data[own] * mean[place] * (1 - mean[place]))[:, None])
        # a level with (nearly) all its information in one text cannot do without it: that text uses the sandwich
        indispensable = (np.diag(of_text) > MOST_OF_A_LEVEL * np.diag(information)).any()
        moved[c] = np.linalg.solve(information if indispensable else information - of_text, scores[c])
    moves = np.zeros((texts, len(fit.coef)))
    moves[:, fit.finite] = moved * np.sqrt((texts - 1) / texts)
    return moves


def _counts_by_text(
    outcomes: Outcomes, factors: list[str], counts: pd.DataFrame, x: np.ndarray, expected: np.ndarray
) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Responses (C, K) of each text in each cell, scores (C, parameters), and each cell's row of `counts`."""
    layout = layout_of(outcomes, factors)
    index = pd.MultiIndex.from_frame(counts[factors]).get_indexer(pd.MultiIndex.from_frame(layout.cells))
    expected, x = expected[index], x[index]
    shape = (len(layout.texts), len(layout.cells))
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    scores = np.zeros((shape[0], x.shape[1]))
    for part in outcomes.parts([*factors, "text_id"]):
        flat = layout.row[level_codes(part["text_id"])[0]] * shape[1] + layout.column[joint_code(part, factors)[0]]
        own, which, number = np.unique(flat, return_inverse=True, return_counts=True)
        row, column = np.divmod(own, shape[1])
        error = np.bincount(which, part["refusal"], len(own)) - number * expected[column]
        scores += sparse.csr_array((error, (row, column)), shape=shape) @ x
        rows.append(row.astype(np.int32))
        columns.append(column.astype(np.int32))
        values.append(number.astype(np.float32))
    place = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_array((np.concatenate(values), place), shape=shape), scores, index


def _prepare(frame: pd.DataFrame | Outcomes, factors: list[str] | None) -> tuple[pd.DataFrame, dict[str, str]]:
    """Counts by the factors that vary, and their reference levels."""
    factors = _factors(frame) if factors is None else factors
    counts = collapse(frame, factors)
    factors = [factor for factor in factors if counts[factor].nunique() > 1]
    if not factors:
        raise NotFitted("regression: no factor has more than one level")
    return counts, choose_references(counts, factors)


def _factors(frame: pd.DataFrame | Outcomes) -> list[str]:
    """The factors that outcomes or cells name."""
    every = ["persona", "template", "task", "model"]
    if isinstance(frame, Outcomes):
        return every
    factors = [f for f in every if f in frame and not (frame[f] == ALL).all()]
    if "refusal" not in frame and "persona" in factors:  # cells by persona; those by format have none
        known = frame[frame["persona"] != ALL]
        factors = [f for f in factors if not (known[f] == ALL).any()]
    return factors


def _no_fit(error: NotFitted, compared: bool = False) -> pd.DataFrame:
    """Table with the reason why nothing could be fitted."""
    row = {"term": "fit", "level": "McFadden R2", "printed_term_note": "", "method": f"not fitted: {error}"}
    return pd.DataFrame([row]).reindex(columns=COLUMNS if compared else FIRTH_COLUMNS)


def _deviations(levels: int) -> np.ndarray:
    """Sum-to-zero coding (levels, levels - 1): the last level is minus the sum of the others."""
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _sum_to_zero(counts: pd.DataFrame, factors: list[str], pairs: Sequence[tuple[str, str]]):
    """Design matrix with intercept, main effects and the pairs' interactions, and the slice of columns of each pair."""
    coded = {}
    for factor in factors:
        levels = levels_of(counts[factor])
        coded[factor] = _deviations(len(levels))[pd.Index(levels).get_indexer(counts[factor])]
    columns = [np.ones((len(counts), 1)), *coded.values()]
    blocks = {}
    for a, b in pairs:
        start = sum(part.shape[1] for part in columns)
        columns.append((coded[a][:, :, None] * coded[b][:, None, :]).reshape(len(counts), -1))
        blocks[a, b] = slice(start, start + columns[-1].shape[1])
    return np.concatenate(columns, axis=1), blocks


def _subsets(factors: list[str]) -> list[frozenset]:
    """All subsets of the factors."""
    return [frozenset(s) for k in range(len(factors) + 1) for s in itertools.combinations(factors, k)]


def _explained(counts: pd.DataFrame, references: Mapping[str, str], subset: frozenset) -> float:
    """Deviance explained by a logit on `subset`: twice its gain in log-likelihood over the mean alone."""
    if not subset:
        return 0.0
    chosen = {factor: reference for factor, reference in references.items() if factor in subset}
    coarse = counts.groupby(list(chosen), observed=True, sort=False)[["n", "refusals"]].sum().reset_index()
    n, y = coarse["n"].to_numpy(), coarse["refusals"].to_numpy()
    if len(subset) == 1:  # a logit with one factor fits every level's rate exactly
        return 2 * (loglik(y, n, y / n) - loglik(y.sum(), n.sum(), y.sum() / n.sum()))
    fit = fit_logit(dummies(coarse, chosen), n, y)
    return 2 * (fit.loglik - fit.null_loglik)


def _coefficient_rows(fit: Fit, method: str) -> list[dict]:
    """One row per coefficient, with Student's interval where it is finite."""
    rows, df = [], np.broadcast_to(fit.df, len(fit.coef))
    for (term, level), coef, se, finite, t in zip(fit.names, fit.coef, fit.se, fit.finite, df, strict=True):
        row = {"term": term, "level": level, "coef": coef, "se": se, "method": method}
        if finite:
            half = stats.t.ppf(0.975, t) * se
            row |= {"lo": coef - half, "hi": coef + half, "p": 2 * stats.t.sf(abs(coef / se), t)}
        rows.append(row)
    return rows


def _with_printed(table: pd.DataFrame, printed: pd.DataFrame, references: Mapping[str, str], own: bool) -> pd.DataFrame:
    """Add the coefficients of Table 7, with notes; append the printed terms that the data cannot give."""
    terms = printed_terms(printed, references)
    values = terms.set_index(["term", "level"])["printed"]
    keys = pd.MultiIndex.from_frame(table[["term", "level"]])
    table["printed"] = values.reindex(keys).to_numpy()
    table["printed_term_note"] = _notes(table, "template" in references) if own else _rebased(table, references)
    unmatched = terms[terms["printed"].notna() & ~pd.MultiIndex.from_frame(terms[["term", "level"]]).isin(keys)]
    for factor, reference in references.items():  # re-based to itself
        unmatched = unmatched[(unmatched["term"] != factor) | (unmatched["level"] != reference)]
    extra = unmatched.assign(method="not fitted").reindex(columns=table.columns)
    extra["printed_term_note"] = [
        "the cells have no template, so this term cannot be recomputed" if term == "template" else "no such level here"
        for term in extra["term"]
    ]
    return pd.concat([table, extra], ignore_index=True) if len(extra) else table


def printed_terms(printed: pd.DataFrame, references: Mapping[str, str]) -> pd.DataFrame:
    """The paper's Table 7 in the words of this project, re-based to other reference levels.

    A coefficient is the log-odds of its level minus those of the reference. With another reference, the printed
    coefficient of that level is subtracted. Where it is no estimate (STOPPED), there is no printed value.

    Parameters
    ----------
    printed : columns type, variable, coef.
    references : reference level of each factor of the study's fit; the paper's are in REFERENCES.

    Returns
    -------
    Columns term, level, printed; of each factor also the paper's reference level, if the study has another one.
    """
    terms = printed.assign(
        term=printed["type"].replace("prompt", "template"),
        level=printed["variable"].where(printed["type"] != "persona", printed["variable"].str.lower()),
    ).rename(columns={"coef": "printed"})[["term", "level", "printed"]]
    terms.loc[terms["term"] == "task", "level"] = terms["level"].str.lower()
    for factor, reference in references.items():
        theirs = REFERENCES.get(factor)
        if theirs is None or reference == theirs:
            continue
        own = terms["term"] == factor
        base = terms.loc[own & (terms["level"] == reference), "printed"]
        known = len(base) == 1 and abs(base.iloc[0]) < STOPPED
        level = pd.DataFrame([{"term": factor, "level": theirs, "printed": 0.0}])
        terms = pd.concat([terms, level], ignore_index=True)
        own = terms["term"] == factor
        stopped = own & (terms["printed"].abs() >= STOPPED)
        terms.loc[own, "printed"] = terms["printed"] - base.iloc[0] if known else np.nan
        terms.loc[stopped, "printed"] = np.nan
    fit = pd.DataFrame([{"term": "fit", "level": "McFadden R2", "printed": PRINTED_R2}])
    return pd.concat([terms, fit], ignore_index=True)


def _rebased(rows: pd.DataFrame, references: Mapping[str, str]) -> list[str]:
    """Say which printed values are re-based, and which are no estimates."""
    notes = []
    for row in rows.itertuples():
        theirs, ours = REFERENCES.get(row.term), references.get(row.term)
        if pd.notna(row.printed) and abs(row.printed) >= STOPPED:
            notes.append("printed where the paper's fit stopped: not an estimate")
        elif pd.notna(row.printed) and ours != theirs:
            notes.append(f"re-based from the paper's reference {theirs} to {ours}")
        else:
            notes.append("")
    return notes


def _notes(rows: pd.DataFrame, has_template: bool) -> list[str]:
    """Explain differences between a printed coefficient and ours.

    Leaving the template out shrinks all coefficients by about the same factor, estimated as the median ratio. A printed
    value is an outlier if its ratio is more than five (scaled) median absolute deviations away. If it fits the
    coefficient of another level, that level is named, because a shift of rows is the likely reason.
    """
    comparable = rows["printed"].notna() & (rows["term"] != "fit")
    comparable &= np.isfinite(rows["coef"]) & (rows["coef"].abs() > 0.5)  # ratios of small coefficients mean little
    ratio = (rows["printed"] / rows["coef"])[comparable]
    scale = ratio.median()
    tolerance = 5 * 1.4826 * (ratio - scale).abs().median()
    expected = rows["coef"] * scale
    notes = []
    for index, row in rows.iterrows():
        if pd.isna(row["printed"]):
            notes.append("")
        elif row["term"] == "fit":
            notes.append("" if has_template else "printed with the template as a further factor")
        elif not np.isfinite(row["coef"]):
            notes.append("separated: the printed value is where the paper's fit stopped, not an estimate")
        elif index in ratio.index and abs(ratio[index] - scale) > tolerance:
            same = rows[comparable & (rows["term"] == row["term"]) & (rows.index != index)]
            near = same[(row["printed"] / same["coef"] - scale).abs() <= tolerance]
            fits = f"; it fits {' or '.join(near['level'])}" if len(near) else ""
            notes.append(f"outlier: our coefficient times {scale:.2f} is {expected[index]:.2f}{fits}")
        else:
            plain = f"ours has no template term: times {scale:.2f} it is {expected[index]:.2f}"
            notes.append("" if has_template else plain)
    return notes

"""Refusal rates by model, task and persona: generalised least squares (GLS) on prompts, with text-robust covariances.

A *prompt* is one text in one template. Responses to it with several personas, and without one, are correlated. GLS with
one within-prompt correlation per model compares personas within prompts, and also uses the information between prompts.
It is the estimator of an incomplete block design (a prompt is a block). The paper's nested design is one too: most of
its blocks are a baseline prompt and one persona. The correlation only sets weights. Estimates are unbiased at any value
of it, and variances come from sums over texts, so responses may depend on each other within a text in any way.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from falserefusal.common.outcomes import Outcomes
from falserefusal.statistics.clusters import as_outcomes, layout_of, level_codes
from falserefusal.statistics.intervals import Limits, clopper_pearson, effective_n, wilson_rare

PROMPT = ["block", "template"]  # a block is a sampled row in the nested design, a prompt in the blocked design
MOST_CORRELATED = 0.95
GAIN = 2.5  # bound on effective over actual number of responses: pairing helps, but only so much


class Stratum:
    """The responses of one model to one task, reduced to what least squares on prompts needs.

    personas (P,), prompts (B,), texts (C,): the codes that occur, sorted. persona, prompt, text (n,): positions in them
    of each response; y (n,) is 1.0 for a refusal. x (B, P) responses and total (B,) refusals of each prompt; size (B,).
    """

    def __init__(self, persona: np.ndarray, prompt: np.ndarray, text: np.ndarray, y: np.ndarray):
        self.personas, self.persona = np.unique(persona, return_inverse=True)
        self.prompts, self.prompt, self.size = np.unique(prompt, return_inverse=True, return_counts=True)
        self.texts, self.text = np.unique(text, return_inverse=True)
        self.y = y
        shape = (len(self.prompts), len(self.personas))
        flat = self.prompt * shape[1] + self.persona
        self.x = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
        self.total = np.bincount(self.prompt, y)

    def normal_equations(self, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrix A (P, P) and correction (P,) of the normal equations A rate = refusals - correction.

        The correction is what the totals of the prompts subtract from the refusals of each persona.
        """
        phi = self._phi(within)
        return np.diag(self.x.sum(0)) - (self.x * phi[:, None]).T @ self.x, self.x.T @ (phi * self.total)

    def solve(self, within: float) -> tuple[np.ndarray, np.ndarray]:
        """Solve for the rates (P,) and the influence of each text on them, (C, P).

        `moves.T @ moves` is the jackknife covariance CV3: a text moves the rates by what leaving it out changes, (A -
        A_c)^-1 sum(X'e - phi X'1 1'e) over its prompts, with A_c its share of A, times sqrt((C - 1) / C) (Bell and
        McCaffrey 2002, Survey Methodology 28:169; MacKinnon, Nielsen and Webb 2023, Journal of Applied Econometrics
        38:671). Residuals are smaller than errors, most of all for a persona with few texts. The usual sandwich ignores
        this, and its intervals cover too rarely. A text that holds all responses with some persona cannot be left out;
        it uses the sandwich. With a single text the influence is 0.
        """
        a, shared = self.normal_equations(within)
        phi, texts, personas = self._phi(within), len(self.texts), len(self.personas)
        rate = np.linalg.solve(a, np.bincount(self.persona, self.y, personas) - shared)
        error = self.y - rate[self.persona]
        pulled = (phi * np.bincount(self.prompt, error))[self.prompt]
        # X'e - phi X'1 1'e of a prompt is the sum over its responses of (e - phi 1'e), each at its persona's position
        sums = np.bincount(self.text * personas + self.persona, error - pulled, texts * personas)
        if texts < 2:
            return rate, np.zeros((texts, personas))
        responses = self.responses()
        rest = a - self._normal_equations_of_texts(phi, responses)
        rest[(responses == responses.sum(0)).any(axis=1)] = a
        moves = np.linalg.solve(rest, sums.reshape(texts, personas, 1))[..., 0]
        return rate, moves * np.sqrt((texts - 1) / texts)

    def _normal_equations_of_texts(self, phi: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """(C, P, P) contribution of each text to A."""
        text = np.empty(len(self.prompts), int)
        text[self.prompt] = self.text
        order = np.argsort(text, kind="stable")
        first, x = np.searchsorted(text[order], np.arange(len(self.texts))), self.x[order]
        scaled = x * phi[order, None]
        parts = np.stack([-np.add.reduceat(scaled[:, [p]] * x, first) for p in range(x.shape[1])], axis=1)
        each = np.arange(x.shape[1])
        parts[:, each, each] += responses
        return parts

    def responses(self) -> np.ndarray:
        """(C, P) responses to each text with each persona."""
        texts, personas = len(self.texts), len(self.personas)
        return np.bincount(self.text * personas + self.persona, minlength=texts * personas).reshape(texts, personas)

    def _phi(self, within: float) -> np.ndarray:
        """(B,) weight phi = rho / (1 + (size - 1) rho) of each prompt, rho being the within-prompt correlation."""
        return within / (1 + (self.size - 1) * within)


@dataclass(frozen=True)
class Strata:
    """One Stratum for each (model, task) position with responses, and the names behind the codes.

    texts: codes of text_id that occur; the texts of a Stratum are positions in them.
    """

    models: np.ndarray
    tasks: np.ndarray
    personas: np.ndarray
    texts: np.ndarray
    parts: dict[tuple[int, int], Stratum]

    def within(self) -> dict[int, float]:
        """The within-prompt correlation of each model."""
        models = dict.fromkeys(m for m, _ in self.parts)
        return {m: within_prompt_correlation([s for (k, _), s in self.parts.items() if k == m]) for m in models}


def stratify(outcomes: pd.DataFrame) -> Strata:
    """Split outcomes of one labeller by model and task; they are complete (see `check_outcomes`)."""
    codes, names = {}, {}
    for column in ("model", "task", "persona", "text_id", "block", "template"):
        codes[column], names[column] = level_codes(outcomes[column])
    prompt = codes["block"] * len(names["template"]) + codes["template"]
    texts, text = np.unique(codes["text_id"], return_inverse=True)
    y = outcomes["refusal"].to_numpy(float)
    key = codes["model"] * len(names["task"]) + codes["task"]
    order = np.argsort(key, kind="stable")
    parts = {}
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        place = divmod(int(key[rows[0]]), len(names["task"]))
        parts[place] = Stratum(codes["persona"][rows], prompt[rows], text[rows], y[rows])
    return Strata(names["model"], names["task"], names["persona"], texts, parts)


def within_prompt_correlation(strata: list[Stratum]) -> float:
    """Correlation of two responses to one prompt, by one-way analysis of variance within strata, clipped to [0, 0.95].

    It is 0 if every prompt has one response, or if all responses are alike: the weights then make no difference.
    """
    between = within = squares = 0.0
    prompts = responses = 0
    for s in strata:
        between += (s.size * (s.total / s.size - s.y.mean()) ** 2).sum()
        within += ((s.y - (s.total / s.size)[s.prompt]) ** 2).sum()
        squares += (s.size.astype(float) ** 2).sum() / len(s.y)
        prompts, responses = prompts + len(s.size), responses + len(s.y)
    if responses == prompts or prompts <= len(strata) or between + within == 0:
        return 0.0
    size = (responses - squares) / (prompts - len(strata))
    between, within = between / (prompts - len(strata)), within / (responses - prompts)
    return float(np.clip((between - within) / (between + (size - 1) * within), 0, MOST_CORRELATED))


@dataclass(frozen=True)
class PersonaFit:
    """Estimated rates of K cells, and the influence of each of C texts on them.

    cells: K rows with model, task, persona, n, refusals and averaged (number of fitted cells behind the mean).
    rate: (K,), unbiased, hence sometimes slightly below 0 or above 1.
    moves: (C, K) influence of each text; `moves.T @ moves` is the covariance of `rate`.
    responses: (C, K) number of responses.
    within: within-prompt correlation of each model.
    method: the estimator in words, and whether prompts share texts.
    """

    cells: pd.DataFrame
    rate: np.ndarray
    moves: np.ndarray
    responses: np.ndarray
    within: pd.Series
    method: str

    def limits(self, level: float = 0.95, exact: bool = False) -> Limits:
        """Confidence interval (K,) at the effective number of responses: Wilson or, if `exact`, Clopper-Pearson."""
        rate, effective = np.clip(self.rate, 0, 1), self.effective(level)
        return (clopper_pearson if exact else wilson_rare)(rate * effective, effective, level)

    def effective(self, level: float = 0.95) -> np.ndarray:
        """(K,) effective number of responses behind each rate."""
        n = self.responses.sum(0, dtype=float)
        sizes, texts = (self.responses.astype(float) ** 2).sum(0) / n, (self.responses > 0).sum(0)
        return effective_n(self.rate, (self.moves**2).sum(0), n, sizes, texts, gain=GAIN, level=level)

    def average(self, keys: list[str]) -> "PersonaFit":
        """Unweighted mean of the cells with the same `keys`."""
        groups = self.cells.groupby(keys, sort=False, observed=True)
        code = groups.ngroup().to_numpy()
        sums = np.zeros((len(code), code.max() + 1))
        sums[np.arange(len(code)), code] = 1
        means = sums / sums.sum(0)
        cells = groups[["n", "refusals", "averaged"]].sum().reset_index()
        responses = self.responses @ sums.astype(np.float32)
        return PersonaFit(cells, means.T @ self.rate, self.moves @ means, responses, self.within, self.method)

    def keep(self, mask: np.ndarray) -> "PersonaFit":
        """Keep only the cells where `mask` is true."""
        mask = np.asarray(mask, bool)
        return PersonaFit(
            self.cells[mask].reset_index(drop=True),
            self.rate[mask],
            self.moves[:, mask],
            self.responses[:, mask],
            self.within,
            self.method,
        )

    def relabel(self, **columns: object) -> "PersonaFit":
        """Replace columns of `cells`."""
        return replace(self, cells=self.cells.assign(**columns))


def fit_personas(outcomes: pd.DataFrame | Outcomes) -> PersonaFit:
    """Fit the rates of every model, task and persona.

    For a prompt with k responses y, incidence X (responses x personas) and phi = rho / (1 + (k - 1) rho): A = sum(X'X -
    phi X'1 1'X) and rates = A^-1 sum(X'y - phi X'1 1'y). The influence of a text is the change from leaving it out (see
    Stratum.solve). A persona that is missing for a model and task has no cell. Models are fitted one after the other.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    """
    columns = ["model", "task", "persona", "text_id", *PROMPT]
    outcomes = as_outcomes(outcomes, columns)
    layout = layout_of(outcomes, columns[:3])
    row = np.cumsum(layout.row >= 0) - 1  # texts in level order; simulations from `moves` depend on it
    shape = (len(layout.texts), len(layout.cells))
    moves, responses = np.zeros(shape), np.zeros(shape, np.float32)
    rates, alone = [], True
    correlations: dict[str, float] = {}
    counts: dict[str, list[np.ndarray]] = {"n": [], "refusals": []}
    for part in outcomes.parts(columns):
        strata = stratify(part)
        within = strata.within()
        for (m, t), stratum in strata.parts.items():
            rate, moved_by = stratum.solve(within[m])
            first = layout.column[(m * len(strata.tasks) + t) * len(strata.personas) + stratum.personas[0]]
            place = row[strata.texts[stratum.texts]], slice(first, first + len(rate))
            moves[place], responses[place] = moved_by, stratum.responses()
            rates.append(rate)
            counts["n"].append(stratum.x.sum(0).astype(int))
            counts["refusals"].append(np.bincount(stratum.persona, stratum.y, len(rate)).astype(int))
            alone = alone and len(stratum.prompts) == len(stratum.texts)
        correlations |= {strata.models[m]: rho for m, rho in within.items()}
    cells = layout.cells.assign(**{name: np.concatenate(parts) for name, parts in counts.items()}, averaged=1)
    method = "GLS on prompt blocks, one text each" if alone else "GLS on prompts, clustered by text"
    within_prompt = pd.Series(correlations, name="within_prompt_correlation")
    return PersonaFit(cells, np.concatenate(rates), moves, responses, within_prompt, method)

"""Label responses and estimate persona effects from Python or a notebook, without a workflow (docs/python.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.sentences import say
from falserefusal.estimation.effects import (
    MEAN,
    mean_effects,
    persona_differences,
    persona_effects,
    unpaired_effects,
)
from falserefusal.estimation.frame import DEFAULT, Columns, outcomes_of_rows
from falserefusal.statistics.clusters import ClusterTable, cluster_table
from falserefusal.statistics.gls import PersonaFit, fit_personas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from falserefusal.labelling.structured import StructuredLabeller
    from falserefusal.study.study import Study

OTHERS = ("baseline", "permutations", "bootstrap", "seed")
LEVELS = ["model", "task", "persona", "format"]
NO_CELLS = pd.DataFrame()  # counts of a study without outcomes; here all rates come from outcomes
LABELLED = ["verdict", "category", "choice", "evidence"]
SCREEN = ["informative", "tested", "p_family", "raises"]


def label(
    responses: Sequence[str] | pd.Series | pd.DataFrame,
    options: Iterable[str] = (),
    *,
    language: str = "en",
    yes_no: bool = False,
) -> pd.DataFrame:
    """Decide for each response whether it is refused, answered or invalid, by the labeller `structured`.

    Parameters
    ----------
    responses : sequence of str, Series or DataFrame
        A frame has the column response and may have finish_reason (`length` marks a response that was cut off),
        options, yes_no and text (the classified text: what a response repeats of it says nothing about the model),
        which then hold for each row. A missing response has the verdict missing.
    options : iterable of str
        The options that the prompts offered. Without them responses are read as free chat, which is less accurate: a
        warning says so.
    language : str
        Language of the responses: de, en or es.
    yes_no : bool
        Whether the prompts are yes/no questions, so that “No” is an answer.

    Returns
    -------
    DataFrame
        verdict (refused, answered, invalid or missing), category, choice (the chosen option) and evidence (the words
        that decided); the index is that of `responses`.

    Raises
    ------
    InputError
        A response is not text, a frame has no column response, options are not two or more different words, or the
        language has no patterns.

    Examples
    --------
    >>> import falserefusal as fr
    >>> said = ["This is polite.", "I'm sorry, but I can't take on this role."]
    >>> fr.label(said, options=["polite", "impolite"])[["verdict", "choice"]]
        verdict  choice
    0  answered  polite
    1   refused     NaN
    """
    from falserefusal.labelling.unread import without_thinking
    from falserefusal.labelling.verdicts import label as verdicts_of

    if isinstance(options, str):
        raise InputError(f"options: give a list, such as [{options!r}, ...], not one text")
    frame, options = _responses(responses), tuple(options)
    if options and len({str(one).strip().lower() for one in options}) < max(2, len(options)):
        raise InputError(f"options: {list(options)} must be two or more different words")
    labeller = _labeller(language)
    if frame.empty:
        return pd.DataFrame(columns=LABELLED, index=frame.index, dtype=object)
    asked = _asked(frame, options, yes_no)
    verdicts = verdicts_of(without_thinking(asked), [labeller])
    return verdicts[LABELLED].set_index(frame.index)


def _responses(responses: Sequence[str] | pd.Series | pd.DataFrame) -> pd.DataFrame:
    if isinstance(responses, str):
        raise InputError("responses: give a list of responses, not one text")
    if not isinstance(responses, pd.DataFrame):
        series = responses if isinstance(responses, pd.Series) else pd.Series(list(responses), dtype=object)
        return series.to_frame("response")
    if "response" not in responses:
        there = ", ".join(map(str, responses.columns))
        raise InputError(
            f"responses: no column 'response'; the frame has {there}. Rename your column, or pass it alone"
        )
    return responses


def _asked(frame: pd.DataFrame, options: tuple[str, ...], yes_no: bool) -> pd.DataFrame:
    """The responses with all that a labeller reads; what `frame` lacks has the same value in all rows."""
    usual = {"response": "", "finish_reason": "stop", "thinking": "", "options": options, "yes_no": yes_no}
    usual |= {"question": "", "text": ""}
    columns: dict[str, list] = {"prompt_id": [str(number) for number in range(len(frame))]}
    for name, value in usual.items():
        given = frame[name].tolist() if name in frame else [value] * len(frame)
        columns[name] = [value if (np.isscalar(one) and pd.isna(one)) or one is None else one for one in given]
    for where, text in zip(frame.index, columns["response"], strict=True):
        if not isinstance(text, str):
            raise InputError(f"responses: row {where} must be a text, not {text!r}")
    columns["options"] = [tuple(one) for one in columns["options"]]
    return pd.DataFrame(columns).astype({"yes_no": bool})


@lru_cache
def _labeller(language: str) -> StructuredLabeller:
    from falserefusal.labelling.languages import PATTERNS, languages
    from falserefusal.labelling.structured import StructuredLabeller

    if language not in languages():
        raise InputError(f"language {language!r} has no patterns; choose from {', '.join(languages())}")
    return StructuredLabeller.load(str(files("falserefusal.labelling.languages") / language / PATTERNS))


def load_study(path: str | Path, root: str | Path | None = None) -> Study:
    """Read a study's config file into the typed object that the workflow uses.

    Parameters
    ----------
    path : str or Path
        The YAML file.
    root : str or Path, optional
        The folder that its paths start from: by default the nearest one above the file that has a Snakefile, or else
        the current folder.

    Returns
    -------
    Study
        With the config as `.config`, and everything that follows from it: models, personas, templates, file paths.

    Raises
    ------
    InputError
        One line for each mistake of the config.

    Examples
    --------
    >>> import falserefusal as fr
    >>> study = fr.load_study("config/pilot.yaml")
    >>> study.name, len(study.personas)
    ('pilot', 15)
    """
    import yaml

    from falserefusal.study.study import Study

    path = Path(path)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: must be keys and values, such as 'study: mine'")
    above = [folder for folder in path.absolute().parents if (folder / "Snakefile").is_file()]
    return Study.load(config, root or (above[0] if above else "."), str(path))


def analyse(
    frame: pd.DataFrame,
    *,
    baseline: str | None = "no persona",
    permutations: int = 2000,
    bootstrap: int = 1000,
    seed: int = 1,
    **columns: Unpack[Columns],
) -> Analysis:
    """Estimate refusal rates, persona effects and the importance of each factor from one row per response.

    Intervals account for responses to the same text. What the frame cannot give is absent, with the reason in `notes`.

    Parameters
    ----------
    frame : DataFrame
        One row for each response.
    text, model, persona, refused : str
        Names of its columns; by default these words. text: what was classified. refused: True or 1 for a refusal.
        text=None: each row has a text of its own. model=None: one model.
    task, template : str, optional
        Names of further columns. Without them there is one task, or one template.
    baseline : str or None
        The persona of rows without one; at least one row must have it. None: all rows have a persona.
    permutations, bootstrap : int
        Permutations of the screen and of noise floors, and bootstrap replicates of the intervals of importance.
    seed : int
        Seed of both.

    Returns
    -------
    Analysis
        See there for its tables.

    Raises
    ------
    InputError
        A column is absent or has missing values, refused is neither bool nor 0 or 1, no row has the persona
        `baseline`, or two rows are one prompt.

    Examples
    --------
    >>> import pandas as pd, falserefusal as fr
    >>> rows = [(f"text {i}", "m", p, i % k == 0) for i in range(40) for p, k in (("no persona", 20), ("nurse", 4))]
    >>> result = fr.analyse(pd.DataFrame(rows, columns=["text", "model", "persona", "refused"]))
    >>> result.effects[["persona", "difference", "lo", "hi"]].round(2)
      persona  difference    lo    hi
    0   nurse         0.2  0.07  0.35
    """
    unknown = [name for name in columns if name not in DEFAULT]
    if unknown:
        raise TypeError(f"analyse: no argument {unknown[0]!r}; there are {', '.join([*DEFAULT, *OTHERS])}")
    named = Columns(**{**DEFAULT, **columns})  # type: ignore[typeddict-item]
    outcomes = outcomes_of_rows(frame, named, baseline, seed)
    options = {"permutations": permutations, "bootstrap": bootstrap, "seed": seed}
    return _Estimates(outcomes, named, baseline, options).analysis()


@dataclass(frozen=True, repr=False)
class Analysis:
    """The results of `analyse`.

    A table that the data cannot give raises InputError with the reason, which is also in `notes`.

    Attributes
    ----------
    tables : dict of DataFrame
        All tables, by the names that docs/methods.md and the figures use.
    notes : dict of str
        For each absent table, the reason.
    baseline : str or None
        The persona of rows without one.
    """

    tables: dict[str, pd.DataFrame]
    notes: dict[str, str]
    baseline: str | None
    models: list[str] = field(repr=False)
    personas: list[str] = field(repr=False)
    tasks: list[str] = field(repr=False)

    def __repr__(self) -> str:
        return f"{self.summary()}\nTables: {', '.join(self.tables)}" + "".join(
            f"\nNo {name}: {reason}" for name, reason in self.notes.items()
        )

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by name; InputError with the reason if it is absent."""
        if name in self.tables:
            return self.tables[name]
        if name in self.notes:
            raise InputError(f"{name}: {self.notes[name]}")
        raise InputError(f"there is no table {name!r}; there are {', '.join(self.tables)}")

    @property
    def rates(self) -> pd.DataFrame:
        """Refusal rate by model and persona (mean over tasks), the baseline included: n, refusals, rate, lo, hi."""
        return self.table("rates")

    @property
    def effects(self) -> pd.DataFrame:
        """Change of each model's refusal rate under each persona, against the baseline: difference, lo, hi, ratio."""
        return self.table("effects")

    @property
    def mean_effects(self) -> pd.DataFrame:
        """The same averaged over models, and for any persona (persona "*")."""
        return self.table("mean_effects")

    @property
    def between(self) -> pd.DataFrame:
        """Difference of any two personas, within each model and averaged over models."""
        return self.table("between")

    @property
    def screen(self) -> pd.DataFrame:
        """Test of each effect with family-wise error control: p_family, raises."""
        return self.table("screen")

    @property
    def importance(self) -> pd.DataFrame:
        """Importance of each factor for refusal, with interval and noise floor."""
        return self.table("importance")

    @property
    def separations(self) -> pd.DataFrame:
        """Which levels of persona, task and model differ clearly; sentences name no others."""
        return self.table("separations")

    def summary(self) -> str:
        """Return the results in plain sentences, one per line; a level is named only if it is separated.

        Examples
        --------
        >>> import pandas as pd, falserefusal as fr
        >>> rows = [(f"text {i}", "m", p, False) for i in range(9) for p in ("no persona", "nurse", "poet")]
        >>> result = fr.analyse(pd.DataFrame(rows, columns=["text", "model", "persona", "refused"]))
        >>> print(result.summary())
        Refusals with a persona: 0 of 18 responses (0%) of 1 model.
        No refusals: nothing to compare.
        All responses: naming a persona does not clearly change the refusal rate of the model.
        0 of 2 persona effects raise a refusal rate (test with 5% family-wise error rate).
        """
        return "\n".join(f"{sentence}." for sentence in dict.fromkeys(_sentences(self)))

    def plots(self) -> dict[str, Figure]:
        """Draw all figures that the tables allow, by name."""
        draw, registry, context = self._figures
        own = registry.FigureSet("run", tuple(self.tasks), about_paper=False, printed=()).figures()
        chosen = [figure for figure in own if set(figure.tables) <= set(self.tables)]
        drawn = {figure.name: draw(figure, self.tables, context) for figure in chosen}
        return {name: canvas for name, (canvas, rows) in drawn.items() if "nothing_to_draw" not in rows}

    def plot_models(self) -> Figure:
        """Draw refusal rates by model and task."""
        return self._plot("TABLE1")

    def plot_personas(self) -> Figure:
        """Draw mean refusal rates by persona."""
        return self._plot("PERSONA_MEAN")

    def plot_importance(self) -> Figure:
        """Draw the importance of each factor."""
        return self._plot("IMPORTANCE")

    def _plot(self, name: str) -> Figure:
        draw, registry, context = self._figures
        figure = getattr(registry, name)
        for table in figure.tables:
            self.table(table)
        canvas: Figure = draw(figure, self.tables, context)[0]
        return canvas

    @cached_property
    def _figures(self) -> tuple[Callable, Any, Any]:
        """The function that draws a figure, the list of figures, and the names of this study."""
        try:
            from falserefusal.figures import registry
            from falserefusal.figures.context import Context
            from falserefusal.figures.draw import draw_figure
        except ModuleNotFoundError as error:
            raise InputError(
                f"figures need {str(error.name).partition('.')[0]}: pip install 'falserefusal[figures]'"
            ) from None
        return draw_figure, registry, Context("", dict.fromkeys(self.models, ""), dict.fromkeys(self.personas, ""))


class _Estimates:
    """Makes the tables of one frame, and notes which it cannot make and why."""

    def __init__(self, outcomes: pd.DataFrame, columns: Columns, baseline: str | None, options: dict[str, int]):
        self.outcomes, self.columns, self.baseline, self.options = outcomes, columns, baseline, options
        self.tables: dict[str, pd.DataFrame] = {}
        self.notes: dict[str, str] = {}
        self.models, self.tasks, personas = (list(outcomes[c].cat.categories) for c in ("model", "task", "persona"))
        self.personas = [name for name in personas if name != BASELINE]

    def analysis(self) -> Analysis:
        self._rates()
        self._effects()
        self._try("importance", self._importance)
        return Analysis(self.tables, self.notes, self.baseline, self.models, self.personas, self.tasks)

    def _try(self, name: str, make: Callable[[], pd.DataFrame]) -> None:
        """Keep the table, or the reason why it cannot be made."""
        try:
            self.tables[name] = make()
        except InputError as reason:
            self.notes[name] = str(reason)

    def _rates(self) -> None:
        from falserefusal.estimation import rates
        from falserefusal.estimation.separations import WHOLE, separations

        counts: ClusterTable = cluster_table(self.outcomes, LEVELS)
        if not self.personas:
            raise InputError(
                f"column {self.columns['persona']!r}: every row is {self.baseline!r}, the baseline: there is no "
                "persona to compare"
            )
        scopes = {WHOLE: self.models}
        named = {BASELINE: self.baseline}
        table = rates.mean_rates(NO_CELLS, ["model", "persona"], ["task"], counts)
        self.tables["rates"] = table.assign(persona=table["persona"].replace(named))
        self.tables["rates_model_task"] = rates.rates_model_task(NO_CELLS, counts)
        self.tables["rates_persona"] = rates.rates_persona(NO_CELLS, scopes, dict.fromkeys(self.personas, ""), counts)
        self.tables["rates_model_persona"] = rates.rates_model_persona(NO_CELLS, counts)
        self.tables["rates_task_model_persona"] = rates.rates_task_model_persona(NO_CELLS, counts)
        found = separations(NO_CELLS, counts, scopes)
        self.tables["separations"] = found[found["factor"] != "format"].reset_index(drop=True)
        if (reason := self._no_baseline()) is None:
            self.tables["rates_baseline"] = rates.rates_baseline(NO_CELLS, counts)
        else:
            self.notes["rates_baseline"] = reason

    def _effects(self) -> None:
        fit = fit_personas(self.outcomes)
        if len(self.personas) < 2:
            self.notes["between"] = f"there is only one persona, {self.personas[0]}"
        else:
            self._try("between", lambda: persona_differences(fit))
        if reason := self._no_baseline():
            self.notes |= dict.fromkeys(("effects", "mean_effects", "screen"), reason)
            return
        if len(self.models) < 2:
            self.notes["mean_effects"] = "there is only one model, so there is nothing to average"
        else:
            self._try("mean_effects", lambda: mean_effects(fit))
        if reason := self._no_pairs():
            self.notes["screen"] = reason
            self._try("effects", lambda: unpaired_effects(fit))
        else:
            self._screened(fit)

    def _screened(self, fit: PersonaFit) -> None:
        from falserefusal.statistics.multiplicity import max_t, screen

        effects = persona_effects(self.outcomes, fit)
        tested = max_t(self.outcomes, self.options["permutations"], self.options["seed"])
        self.tables["effects"] = effects
        self.tables["screen"] = screen(effects, tested)[["model", "persona", "difference", *SCREEN]]

    def _importance(self) -> pd.DataFrame:
        from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes

        permutations, bootstrap, seed = (self.options[key] for key in ("permutations", "bootstrap", "seed"))
        table = sensitivity_from_outcomes(self.outcomes, replicates=bootstrap, permutations=permutations, seed=seed)
        wide = importance_table(table)
        same = [name for names in (self.models, self.tasks) if len(names) == 1 for name in names]  # as the whole study
        several = wide[(wide["levels"] > 1) & ~wide["scope"].isin(same)]
        if several.empty:
            raise InputError("no factor has several levels, so there is nothing to compare")
        return several.reset_index(drop=True)

    def _no_baseline(self) -> str | None:
        """Why there is no effect against the baseline, or None."""
        if self.baseline is None:
            return "baseline=None: no row is without a persona"
        counts = self.outcomes.groupby(["model", "task"], observed=True)["persona"].agg(lambda p: (p == BASELINE).sum())
        if not counts.all():
            model, task = counts.index[int((counts == 0).to_numpy().argmax())]
            where = model if len(self.tasks) == 1 else f"{model} in {task}"
            return f"{where} has no row with {self.columns['persona']} {self.baseline!r}"
        return None

    def _no_pairs(self) -> str | None:
        """Why responses with and without a persona cannot be compared within texts, or None."""
        if self.columns["text"] is None:
            return "text=None: without texts, responses with and without a persona to one text are not known"
        prompt = self.outcomes.groupby(["model", "block", "template"], observed=True)["persona"]
        both = prompt.agg(lambda p: (p == BASELINE).any() and (p != BASELINE).any())
        return None if both.any() else "no text has responses both with and without a persona"


def _sentences(result: Analysis) -> Iterable[str]:
    """The sentences of a summary."""
    from falserefusal.figures.said import changes, importance_of, scopes, separation

    rates, screen = result.tables["rates_model_task"], result.tables.get("screen")
    own = rates[rates["model"] != MEAN]
    n, refusals = int(own["n"].sum()), int(own["refusals"].sum())
    yield say("frame: refusals", refusals=refusals, n=n, rate=refusals / n, models=own["model"].nunique())
    for factor, verb in (("persona", "is refused"), ("task", "is refused"), ("model", "refuses")):
        rows = scopes(result.tables, factor)
        if len(rows) and rows["levels"].iloc[0] > 1:
            yield say("levels differ", s=separation(rows, "“{}”".format), noun=factor, verb=verb)
    if "rates_baseline" in result.tables:
        for task, part in result.tables["rates_baseline"].groupby("task", sort=False, observed=True):
            up, down = changes(part)
            title = str(task)[:1].upper() + str(task)[1:]
            yield say("persona or none", task=title, known=True, up=up, down=down, models=len(part))
    if screen is not None:
        yield say("screen", raised=int(screen["raises"].sum()), effects=len(screen))
    if "importance" in result.tables and refusals and result.tables["importance"]["factor"].nunique() > 1:
        yield say("importance", **importance_of(result.tables))

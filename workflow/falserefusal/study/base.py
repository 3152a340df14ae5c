"""What tables, figures and pages ask of a study, be it a user's or the one that the paper's printed numbers make."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from falserefusal.common.printed import COEFFICIENT, IMPORTANCE, RATE
from falserefusal.figures.registry import Figure, FigureSet
from falserefusal.study.comparison import Comparison
from falserefusal.study.fields import PUBLISHED
from falserefusal.study.files import CITATION, ENDINGS, PAGE, TEX_TABLES, Files, printed, table_names


class AnyStudy(ABC):
    """What the published study and a user's study have in common: all that tables, figures and pages need.

    Materials are where the config names them; results are in the folder that Snakemake works in.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Its results go to results/<name>/."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """published, rehearsal (on stand-ins) or run."""

    @property
    @abstractmethod
    def title(self) -> str:
        """One line for the head of the report."""

    @property
    @abstractmethod
    def notice(self) -> str:
        """What every table, figure and page of a rehearsal says; empty for a study of real models."""

    @property
    @abstractmethod
    def suffix(self) -> str:
        """What follows the name of every model in a rehearsal."""

    @property
    @abstractmethod
    def variants(self) -> bool:
        """Whether all models are one checkpoint under different system prompts."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """Every random choice follows from it."""

    @property
    @abstractmethod
    def bootstrap(self) -> int:
        """Bootstrap replicates."""

    @property
    @abstractmethod
    def permutations(self) -> int:
        """Permutations of each test."""

    @property
    @abstractmethod
    def models(self) -> tuple[str, ...] | None:
        """The models that are asked; None: all of the models file."""

    @property
    @abstractmethod
    def reported_models(self) -> tuple[str, ...] | None:
        """The models that are reported on; None: all of the models file."""

    @property
    @abstractmethod
    def personas(self) -> tuple[str, ...] | None:
        """The personas in prompts; None: all of the personas file."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that its personas cross; none for a study whose personas have no attributes."""
        return ()

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """The classification tasks."""

    @property
    @abstractmethod
    def labellers(self) -> tuple[str, ...]:
        """All labellers: rules, judges, classifiers."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """The labeller whose rates are the study's headline."""

    @property
    def language(self) -> str:
        """Language of the responses, as a two-letter code."""
        return "en"

    @property
    @abstractmethod
    def baseline(self) -> bool:
        """Whether tables compare with prompts without a persona."""

    @property
    @abstractmethod
    def sequential(self) -> bool:
        """Whether there are interim looks."""

    @property
    @abstractmethod
    def several_samples(self) -> bool:
        """Whether a prompt has several responses."""

    @property
    @abstractmethod
    def comparison(self) -> Comparison:
        """Which printed numbers of the paper it is compared with."""

    @property
    @abstractmethod
    def annotation_files(self) -> tuple[str, ...]:
        """What people labelled, one file a person."""

    @property
    @abstractmethod
    def materials(self) -> dict[str, str]:
        """The files of the models and personas that the study is about."""

    @property
    @abstractmethod
    def estimation_inputs(self) -> dict[str, str]:
        """What every estimate reads."""

    @property
    @abstractmethod
    def samples(self) -> dict[str, str]:
        """Samples of responses that the page shows."""

    @property
    @abstractmethod
    def data_files(self) -> list[str]:
        """The data that the study is made of."""

    @property
    @abstractmethod
    def provenance_inputs(self) -> dict[str, Any]:
        """Everything that the study's provenance identifies by checksum or copies from a record."""

    @property
    @abstractmethod
    def record(self) -> dict[str, Any]:
        """The settings that its provenance states."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The tables that it could have, and does not, because its data do not allow them."""
        return ()

    @property
    def absent(self) -> list[str]:
        """What its page does not have, with the reasons."""
        return []

    @property
    def files(self) -> Files:
        """The study's paths."""
        return Files(self.name)

    @property
    def figure_set(self) -> FigureSet:
        """What decides which figures the study has."""
        several, annotated = len(self.labellers) > 1, bool(self.annotation_files)
        shrunken = "effects_shrunken" in table_names(self)
        about, printed = self.comparison.wanted, self.comparison.quantities
        return FigureSet(
            self.kind,
            self.tasks,
            self.sequential,
            several,
            annotated,
            shrunken,
            about,
            printed,
            self.left_out,
            bool(self.attributes),
        )

    @property
    def figures(self) -> list[Figure]:
        """The figures of the study, in the order of the page."""
        return self.figure_set.figures()

    @property
    def figure_files(self) -> list[str]:
        """Every file of every figure."""
        return [self.files.figure(figure.name, ending) for figure in self.figures for ending in ENDINGS]

    @property
    def figure_inputs(self) -> dict[str, Any]:
        """What the figures are drawn from."""
        tables = self.table_files(self.figure_set.table_names())
        return {"tables": tables, "models": self.materials["models"], "personas": self.materials["personas"]}

    @property
    def tex_tables(self) -> list[str]:
        """The tables that are written as LaTeX."""
        return [name for name in TEX_TABLES if name in table_names(self)]

    @property
    def paper_inputs(self) -> dict[str, Any]:
        """What the tables, numbers and figures for a paper are made from."""
        names = list(dict.fromkeys([*self.figure_set.table_names(), *self.tex_tables]))
        return self.figure_inputs | {"tables": self.table_files(names)}

    @property
    def paper_files(self) -> list[str]:
        """The figures for a paper with their captions, and the tables as LaTeX."""
        drawn = [f"{figure.name}_{width}" for figure in self.figures for width in figure.paper]
        figures = [self.files.paper_figure(name, ending) for name in drawn for ending in ("pdf", "txt")]
        return [*figures, *(self.files.tex_table(name) for name in self.tex_tables)]

    @property
    def report_inputs(self) -> dict[str, Any]:
        """What the page is made from."""
        inputs = {
            "tables": self.reported_tables,
            "figures": self.files.figure_index,
            "drawings": self.figure_files,
            "template": PAGE,
            "citation": CITATION,
            "provenance": self.files.provenance,
            "models": self.materials["models"],
        }
        return inputs | self.samples

    @property
    def about(self) -> dict[str, Any]:
        """How titles, figures and the page name the study and its models."""
        return {
            "study": self.name,
            "kind": self.kind,
            "title": self.title,
            "models": self.models,
            "personas": self.personas,
            "banner": self.notice,
            "model_suffix": self.suffix,
            "comparison": self.comparison.plain,
            "absent": self.absent,
        }

    @property
    def is_paper(self) -> bool:
        """Whether its numbers are the paper's own."""
        return self.kind == PUBLISHED

    @property
    def printed_rates(self) -> dict[str, str]:
        """The files of the rates that the paper prints by model and task, if the study is compared with them."""
        named = {"table1": printed("table1_refusal_pct"), "quoted": printed("quoted_statements")}
        return named if self.comparison.has(RATE) else {}

    @property
    def printed_importance(self) -> str | list[str]:
        """The importances that the paper prints, if the study is compared with them."""
        return printed("figure5_importance") if self.comparison.has(IMPORTANCE) else []

    @property
    def printed_regression(self) -> str | list[str]:
        """The coefficients that the paper prints, if the study is compared with them."""
        return printed("table7_logit") if self.comparison.has(COEFFICIENT) else []

    @property
    def reproduction_inputs(self) -> dict[str, str]:
        """The tables that are compared with the paper's numbers, by name."""
        names = ["rates_model_task", "rates_persona", "rates_model_persona", "rates_task_model_persona", "rates_format"]
        names += ["rates_baseline", "importance", "regression", "claims"]
        names += [name for name in ("labeller_range", "corrected_rates") if name in table_names(self)]
        return {name: self.files.table(name) for name in names}

    @property
    def reported_tables(self) -> list[str]:
        """The tables that the page shows."""
        extra = [self.files.statements] if self.kind == PUBLISHED else []
        return [*self.table_files(table_names(self)), *extra]

    def table_files(self, names: list[str]) -> list[str]:
        """The paths of tables, for a rule that draws or prints them.

        Tables that came from elsewhere, without the cells they were made of, are taken as they are: as absolute paths,
        which no rule makes. So figures and page can be made from tables alone, and nothing before them runs.
        """
        paths = [Path(self.files.table(name)) for name in names]
        alone = self.has_tables and not Path(self.files.cells).exists()
        if alone and all(path.exists() for path in paths):
            return [str(path.absolute()) for path in paths]
        return [str(path) for path in paths]

    @property
    def has_tables(self) -> bool:
        """Whether the study's tables are here."""
        return Path(self.files.table("table1")).exists()

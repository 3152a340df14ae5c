"""Every path of a study, and which tables and figures it has. A name may be a Snakemake wildcard such as '{model}'."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.study.fields import PUBLISHED

if TYPE_CHECKING:
    from falserefusal.study.base import AnyStudy

PRINTED = "config/published"  # the paper's own numbers
PRINTED_FILES = [
    f"{PRINTED}/{name}.csv"
    for name in (
        "counts_task_model_persona",
        "format_heatmaps",
        "table1_refusal_pct",
        "table6_prompt_n",
        "fig1_baseline_offensiveness",
        "figure5_importance",
        "table7_logit",
        "quoted_statements",
    )
]
ENDINGS = ("png", "pdf", "svg", "csv")  # of a figure: three drawings and its data
EXPLORER = ("explorer.html.jinja", "explorer.css", "explorer.js")
SORTABLE = ("vendor/sortable.min.js", "vendor/sortable.a11y.min.js")
PAGE = [
    f"workflow/falserefusal/report/{name}" for name in ("page.html.jinja", "page.css", "page.js", *SORTABLE, *EXPLORER)
]
CITATION = "CITATION.cff"
TEX_TABLES = (  # for a paper, in the order of the paper; report/tex_tables.py writes them
    "rates_model_task",
    "rates_persona",
    "effects_mean",
    "rates_baseline",
    "rates_format",
    "importance",
    "regression",
    "labeller_rates",
    "corrected_rates",
    "claims",
    "reproduction",
)
GPUS = "config/gpus.csv"
MEASURED_ACCURACY = "config/labelling/accuracy.csv"  # of labellers, on responses that were read
TEXTS = "resources/texts"  # fetched sources
STORE = "results/store"  # of responses, shared by all studies
RATES = (
    "rates_model_task",
    "rates_persona",
    "rates_model_persona",
    "rates_task_model_persona",
    "rates_format",
    "rates_baseline",
    "separations",
)
EFFECTS = ("effects_persona", "effects_shrunken", "effects_mean", "effects_between", "rates_shrunken")
ATTRIBUTES = ("rates_attribute", "effects_attribute")
FEWEST_SHRUNKEN = 3  # models from which effects_shrunken is more than effects_persona
REGRESSION = ("regression", "regression_firth", "interactions", "deviance")
VERDICT_TABLES = ("verdict_shares", "verdict_categories")
SEQUENTIAL = ("interim_looks", "sequential")
LABELLER_TABLES = ("labeller_agreement", "labeller_categories", "labeller_headline", "labeller_claims")
ANNOTATION_TABLES = (
    "annotator_agreement",
    "labeller_validation",
    "labeller_accuracy",
    "corrected_rates",
    "corrected_personas",
    "corrected_differences",
    "specificity_tests",
    "corrected_effects",
    "corrected_importance",
    "corrected_claims",
)


@dataclass(frozen=True)
class Files:
    """The paths of one study; of every study, if its name is the wildcard '{study}'."""

    study: str

    @property
    def home(self) -> str:
        """The folder of the study's results."""
        return f"results/{self.study}"

    def log(self, name: str) -> str:
        """The log of a job."""
        return f"results/logs/{self.study}/{name}.log"

    def benchmark(self, name: str) -> str:
        """Time and memory of a job, as Snakemake measures them."""
        return f"{self.home}/benchmarks/{name}.tsv"

    # weights that are deleted after use: of models, of judges or of classifiers (use)

    @property
    def all_weights_in_use(self) -> str:
        """The folder of all weights that are deleted after use."""
        return f"resources/weights_in_use/{self.study}"

    def weights_in_use(self, use: str, name: str) -> str:
        """The folder of weights that are deleted after use, in the layout of the hub's cache."""
        return f"{self.all_weights_in_use}/{use}/{name}"

    def weights_turn(self, use: str, name: str) -> str:
        """Empty; made when all weights before these are done with."""
        return f"{self.home}/weights_turns/{use}/{name}"

    # texts, design, prompts

    def texts(self, task: str) -> str:
        """The sampled texts of a task."""
        return f"{self.home}/texts/{task}.parquet"

    def text_problems(self, task: str) -> str:
        """What was wrong with the rows of a task's source."""
        return f"{self.home}/texts/{task}_problems.csv"

    @property
    def design(self) -> str:
        """One row for each prompt that is asked."""
        return f"{self.home}/design.parquet"

    def prompts(self, task: str) -> str:
        """The rendered prompts of a task."""
        return f"{self.home}/prompts/{task}.parquet"

    # responses, verdicts; those of an interim look where a look is given

    def responses(self, model: str, look: str | int | None = None) -> str:
        """What a model wrote."""
        return f"{self._look(look)}/responses/{model}.parquet"

    def response_record(self, model: str, look: str | int | None = None) -> str:
        """How a model's responses were made."""
        return f"{self._look(look)}/responses/{model}.provenance.json"

    def shard(self, model: str, part: str) -> str:
        """What a model wrote in one shard; part: such as 1-of-3."""
        return f"{self.home}/shards/{model}/{part}.parquet"

    def shard_record(self, model: str, part: str) -> str:
        """How the responses of one shard were made."""
        return f"{self.home}/shards/{model}/{part}.provenance.json"

    @property
    def cores(self) -> str:
        """The number of cores of the first start that asked a model."""
        return f"{self.home}/cores.txt"

    @property
    def imported(self) -> str:
        """The folder of what follows from imported responses before the first job."""
        return f"{self.home}/imported"

    def given_verdicts(self, model: str) -> str:
        """The verdicts that came with a model's imported responses."""
        return f"{self.home}/given/{model}.parquet"

    @property
    def export(self) -> str:
        """The folder of the study's prompts for other programs."""
        return f"{self.home}/export"

    def judge_prompts(self, judge: str, model: str, look: str | int | None = None) -> str:
        """What a judge is asked about a model's responses."""
        return f"{self._look(look)}/judges/{judge}/prompts/{model}.parquet"

    def judge_responses(self, judge: str, model: str, look: str | int | None = None) -> str:
        """What a judge wrote about a model's responses."""
        return f"{self._look(look)}/judges/{judge}/{model}.parquet"

    def judge_record(self, judge: str, model: str, look: str | int | None = None) -> str:
        """How a judge's responses were made."""
        return f"{self._look(look)}/judges/{judge}/{model}.provenance.json"

    def scores(self, classifier: str, model: str, look: str | int | None = None) -> str:
        """A classifier's scores of a model's responses."""
        return f"{self._look(look)}/classifiers/{classifier}/{model}.parquet"

    def verdicts(self, model: str, look: str | int | None = None) -> str:
        """Every labeller's verdict on every response of a model."""
        return f"{self._look(look)}/verdicts/{model}.parquet"

    def look(self, look: str | int) -> str:
        """The intervals of every target at an interim look."""
        return f"{self._look(look)}/interim_look.csv"

    def next_models(self, look: str | int) -> str:
        """The models that an interim look leaves to be asked further."""
        return f"{self._look(look)}/next_models.txt"

    def _look(self, look: str | int | None) -> str:
        return self.home if look is None else f"{self.home}/interim/{look}"

    # cells, tables, figures, report

    @property
    def outcomes(self) -> str:
        """The verdicts joined with the design."""
        return f"{self.home}/outcomes.parquet"

    @property
    def cells(self) -> str:
        """Refusals counted by cell of the design."""
        return f"{self.home}/cells.parquet"

    def table(self, name: str) -> str:
        """A table of the study."""
        return f"{self.home}/tables/{name}.csv"

    def figure(self, name: str, ending: str) -> str:
        """A file of a figure."""
        return f"{self.home}/figures/{name}.{ending}"

    def paper_figure(self, name: str, ending: str) -> str:
        """A figure for a paper (pdf), or its caption (txt)."""
        return f"{self.home}/figures/paper/{name}.{ending}"

    def tex_table(self, name: str) -> str:
        """A table of the study as LaTeX."""
        return f"{self.home}/tables/tex/{name}.tex"

    def tex(self, name: str) -> str:
        """A LaTeX file of the study: numbers (macros), floats (tables and figures with captions) or paper (all)."""
        return f"{self.home}/{name}.tex"

    @property
    def figure_index(self) -> str:
        """The list of figures."""
        return f"{self.home}/figures/index.csv"

    @property
    def disagreements(self) -> str:
        """A sample of responses on which labellers disagree."""
        return f"{self.home}/disagreements.csv"

    @property
    def refusals(self) -> str:
        """A sample of responses that every labeller calls a refusal."""
        return f"{self.home}/refusals.csv"

    @property
    def explorer(self) -> str:
        """The responses that a reader of the page can search, compressed."""
        return f"{self.home}/explorer.json"

    @property
    def statements(self) -> str:
        """The paper's quoted numbers next to its printed cells."""
        return f"{self.home}/statements.csv"

    @property
    def provenance(self) -> str:
        """What the study was made of."""
        return f"{self.home}/provenance.json"

    @property
    def page(self) -> str:
        """The report."""
        return f"{self.home}/report/index.html"

    @property
    def summary(self) -> str:
        """The findings in a few lines, for the terminal and the list of all studies."""
        return f"{self.home}/report/summary.json"

    @property
    def archive(self) -> str:
        """The study in one zip, to be cited."""
        return f"{self.home}/{self.study}.zip"

    # off the road: stand-ins, annotation, planning

    def standin(self, model: str) -> str:
        """The folder of a stand-in checkpoint."""
        return f"{self.home}/standins/{model}"

    def planted(self, name: str) -> str:
        """Planted rates: of a model's prompts (<model>.parquet), cells.csv or personas.csv."""
        return f"{self.home}/planted/{name}"

    def annotation(self, name: str) -> str:
        """A file of the sample that people annotate: sample.csv, key.csv or index.html."""
        return f"{self.home}/annotation/{name}"

    @property
    def annotations(self) -> str:
        """The folder of people's annotations, kept outside results because nothing can make it again."""
        return f"annotations/{self.study}"

    @property
    def annotation_key(self) -> str:
        """The key of the annotated sample: with their files, so that a new sample leaves it as it was."""
        return f"{self.annotations}/key.csv"

    def plan(self, name: str) -> str:
        """A file of the cost estimate, or of the checks before a run."""
        return f"{self.home}/plan/{name}"


def printed(name: str) -> str:
    """A file of the paper's printed numbers."""
    return f"{PRINTED}/{name}.csv"


def classifier_record(classifier: str) -> str:
    """The record of a classifier's fetched weights."""
    return f"resources/classifiers/{classifier}.json"


def text_record(task: str) -> str:
    """The record of a task's fetched source."""
    return f"{TEXTS}/{task}/source.json"


def weights(name: str) -> str:
    """The folder of a package's weights."""
    return f"resources/weights/{name}"


def weights_record(name: str) -> str:
    """The record of a model's fetched weights; models from one package share one, named after the weights."""
    return f"{weights(name)}.json"


def compared(studies: list[str]) -> dict[str, list[str]]:
    """The files of finished studies that are compared, as absolute paths, which no rule makes again."""
    if len(studies) < 2 or len(set(studies)) < len(studies):
        raise InputError("compare: name two or more studies: snakemake compare --config 'studies=[one,other]'")
    for study in studies:
        if not Path(Files(study).outcomes).is_file():
            raise InputError(f"compare: {Files(study).outcomes}: no such file; run the study {study} first")
    named = {"outcomes": [Files(study).outcomes for study in studies]}
    named["shares"] = [Files(study).table("verdict_shares") for study in studies]
    named["summaries"] = [Files(study).summary for study in studies]
    return {name: [str(Path(path).absolute()) for path in paths] for name, paths in named.items()}


def table_names(study: "AnyStudy") -> list[str]:
    """The tables that the page of a study shows."""
    names = ["design_balance", *RATES, "sensitivity", "importance", *REGRESSION]
    if study.comparison.wanted:  # tables named after the paper's, and its claims
        names = ["table1", "table5", "table6", *names, "claims"]
    if not study.annotation_files:
        names.append("labeller_range")
    if study.kind == PUBLISHED:
        return [*names, "printed_check", "no_answers"]
    names += ["labeller_rates", *VERDICT_TABLES, "batch_check"]
    if study.comparison.wanted:
        names.append("reproduction")
    if len(study.labellers) > 1:
        names += LABELLER_TABLES
    if study.annotation_files:
        names += ANNOTATION_TABLES
    if not study.comparison.wanted:
        names = [name for name in names if not name.endswith("claims")]
    if study.baseline:
        few = len(study.models or ()) < FEWEST_SHRUNKEN
        names += [name for name in EFFECTS if name != "effects_shrunken" or not few]
    if study.attributes:
        names += ATTRIBUTES
    if study.several_samples:
        names.append("within_prompts")
    if study.sequential:
        names += SEQUENTIAL
    if study.kind == "rehearsal":
        names.append("planted_rates")
    return [name for name in names if name not in study.left_out]

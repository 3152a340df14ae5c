"""The config of a study: every key with its type, its default, its allowed values and its meaning.

This is the only place where they are written down. The schema for editors (config/schemas/study.schema.json) and
docs/reference/config.md are generated from here by `make reference`.
"""

import difflib
import re
from collections.abc import Iterator
from encodings import aliases
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from falserefusal.common.errors import InputError
from falserefusal.common.tasks import PAPER_TASKS
from falserefusal.common.templates import PLACEHOLDER
from falserefusal.common.verdicts import MISSING, REFUSED
from falserefusal.exchange.fields import FIELDS, FORMATS
from falserefusal.labelling.given import GIVEN
from falserefusal.labelling.judge import OWN_PROMPT
from falserefusal.labelling.labeller import VERDICT_OF
from falserefusal.labelling.languages import PATTERNS, PHRASES, file_of, languages
from falserefusal.labelling.registry import built_in_labellers, labeller_names
from falserefusal.study.fields import (
    PUBLISHED,
    Checksum,
    Line,
    Name,
    SystemPrompt,
    Thinking,
    Words,
    check_name,
    distinct,
    printable,
)
from falserefusal.study.problems import Part, problems, refuse_yaml_word, unique
from falserefusal.study.secrets import secret_in
from falserefusal.texts.sources import resolve
from falserefusal.texts.sources.source import MAX_LOST

LABELLERS = ("structured", "phrase_list")  # of a study that names none
if TYPE_CHECKING:
    RuleLabeller = str
    ClassifierCategory = str
    ResponseField = str
    ResponseFormat = str
else:
    RuleLabeller = Literal[*built_in_labellers()]
    ClassifierCategory = Literal[*(category for category in VERDICT_OF if VERDICT_OF[category] != MISSING)]
    ResponseField = Literal[*FIELDS]
    ResponseFormat = Literal[*FORMATS]
RESERVED = ("store", "logs", "benchmarks", "index.html", "readme.md")  # in results/, next to the studies
MOST = 1_000_000  # of tokens, replicates or permutations: more is a slip of the pen
COMPARED_WITH_BASELINE = ("any-persona effect", "persona effects")
AVERAGES = {"mean": "the mean of all models", "all": "all models together", "total": "the sum over models"}
# What the study itself puts into every request to a server, and the key that decides it.
SET_BY_THE_STUDY = {
    "model": "served_model of the models file",
    "messages": "prompts",
    "max_tokens": "inference.max_new_tokens",
    "max_completion_tokens": "inference.max_new_tokens",
    "temperature": "inference.temperature",
    "top_p": "inference.top_p",
    "seed": "seed",
    "n": "inference.samples_per_prompt",
    "stream": "inference.early_decision",
    "stream_options": "inference.early_decision",
}


def _path(value: str) -> str:
    if "{" in value or "}" in value:  # Snakemake would fill them in
        raise ValueError(f"must have no braces, but is {value!r}; rename the file")
    return printable(value)


def _flag(value: object) -> object:
    """`--config key=true` arrives as a word."""
    return value == "true" if value in ("true", "false") else value


def _language(value: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", value):
        raise ValueError(f"'{value}' is not a code of a language in two small letters (ISO 639-1), such as de or fr")
    return value


def _labeller_name(value: str) -> str:
    if value in labeller_names():
        raise ValueError(f"'{value}' is the name of a labeller that comes with the workflow; choose another")
    return check_name(value)


def _refusals_and_others(value: dict[str, str]) -> dict[str, str]:
    if len({VERDICT_OF[category] == REFUSED for category in value.values()}) < 2:
        raise ValueError("must have refusals and others, such as {REJECTION: refused, NORMAL: not_refused}")
    return value


def _template(value: str) -> str:
    if "{response}" not in value:
        raise ValueError("must have {response}, where the response stands")
    return value


def _study_name(value: str) -> str:
    if value == PUBLISHED:
        raise ValueError(f"'{PUBLISHED}' is the name of the paper's own numbers; choose another")
    if value.lower() in RESERVED:
        raise ValueError(f"'{value}' is a folder of results/ that all studies share; choose another name")
    return check_name(value)


def _names(value: object) -> object:
    """`all`, or a list of different names."""
    if refuse_yaml_word(value) == "all":
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is neither all nor a list of names, such as [{value}]")
    if not value:
        raise ValueError("must not be empty: write all, or a list of names")
    for name in value:
        refuse_yaml_word(name)
        if not isinstance(name, str):
            raise ValueError(f"must be names; put {name!r} in quotes")
    return unique("name")(tuple(value))


def _shards(value: object) -> object:
    numbers = value.values() if isinstance(value, dict) else [value]
    if value is not None and not all(type(number) is int and number >= 1 for number in numbers):
        raise ValueError(
            f"must be a whole number from 1, or one for each model by name, such as {{Llama2-7B: 4}}, not {value!r}"
        )
    return value


def _as_text(value: object) -> object:
    """A word of a data file, which YAML may have read as a number."""
    refuse_yaml_word(value)
    return str(value) if isinstance(value, int | float) else value


def _id_columns(value: object) -> object:
    """A column, or a list of columns."""
    columns = value if isinstance(value, list | tuple) else [value]
    for column in columns if value is not None else []:
        refuse_yaml_word(column)
    if value is not None and not (columns and all(isinstance(column, str) and column for column in columns)):
        raise ValueError(f"must be the name of a column, or a list of names, not {value!r}")
    return tuple(value) if isinstance(value, list) else value


def _url(value: str) -> str:
    if "@" in urlsplit(value).netloc:  # not shown: it would be in logs and provenance, too
        raise ValueError("leave user name and password out; fetch the file yourself and name it as path")
    return value


def _encoding(value: str) -> str:
    try:
        " ".encode(value)
    except (LookupError, ValueError):
        known = {*aliases.aliases, *aliases.aliases.values(), "utf-8", "utf-16-le", "utf-16-be", "latin-1"}
        near = difflib.get_close_matches(value.lower(), known, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "such as utf-8, cp1252, latin-1 or gbk"
        raise ValueError(f"{value!r} is not an encoding that Python knows; {advice}") from None
    return value


def _base_url(value: str) -> str:
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not re.search(r"\s", value)
    except ValueError:  # a port beyond 65535, half a bracket
        raise ValueError("is not an address such as http://localhost:8000/v1") from None
    if "@" in url.netloc or url.query or url.fragment:  # not shown: it may hold a password
        raise ValueError(
            "leave user name, password and whatever follows a ? out; put a key into an environment variable and name "
            "it as api_key_env"
        )
    if not usable:
        raise ValueError(f"'{value}' is not an address such as http://localhost:8000/v1")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|balanced|balanced_low_0|sequential|(cpu|cuda|mps|xpu)(:\d+)?", value):
        raise ValueError(
            f"'{value}' is none of auto, balanced, balanced_low_0, sequential, or a device such as cpu or cuda:0"
        )
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):  # not shown: it may be the key itself
        raise ValueError(
            "is not the name of an environment variable; put the key into an environment variable and its name here"
        )
    return value


def _extra_body(value: dict[str, Any]) -> dict[str, Any]:
    for key in value:
        if key in SET_BY_THE_STUDY:
            raise ValueError(f"leave out '{key}', which the study sets itself ({SET_BY_THE_STUDY[key]})")
    if (secret := secret_in(value)) is not None:
        raise ValueError(
            f"leave out '{secret}', which seems to hold a secret, because provenance.json has every parameter; put the "
            "key into an environment variable and name it as api_key_env"
        )
    return value


Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, ge=0)]
Positive = Annotated[float, Field(strict=True, gt=0)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Names = Annotated[
    Literal["all"] | tuple[str, ...],
    PlainValidator(_names),
    WithJsonSchema({"oneOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Shards = Annotated[
    int | dict[str, int] | None,
    PlainValidator(_shards),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "null"},
                {"type": "integer", "minimum": 1},
                {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
            ]
        }
    ),
]
IdColumns = Annotated[
    str | tuple[str, ...] | None,
    PlainValidator(_id_columns),
    WithJsonSchema(
        {"oneOf": [{"type": "null"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
DataWord = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | int | float)]
Encoding = Annotated[str, AfterValidator(_encoding)]
DataFile = Annotated[Words, AfterValidator(_path)]
Address = Annotated[str, AfterValidator(_url)]
Language = Annotated[str, BeforeValidator(refuse_yaml_word), AfterValidator(_language)]
LabellerName = Annotated[str, AfterValidator(_labeller_name)]
Quantity = Literal["model rate", "task rates", "persona rates", "any-persona effect", "persona effects"]
Omittable = Literal["seed", "top_p", "temperature", "stream_options"]
HalfWidth = Annotated[float, Field(strict=True, gt=0, lt=1)]


class Materials(Part):
    """The data files that the study is made of."""

    models: DataFile = "config/models.csv"
    """The models file."""
    personas: DataFile = "config/personas.csv"
    """The personas file."""
    templates: DataFile = "config/templates.csv"
    """The templates file."""
    refusal_phrases: DataFile | None = None
    """The phrases of the labeller phrase_list, one per line; null is the list of the study's language."""
    patterns: DataFile | None = None
    """The patterns of the labeller structured; null is the file of the study's language."""


class Checkpoints(Part):
    """Where the models come from."""

    kind: Literal["hub", "standins"]
    """hub: the source in each row of the models file. standins: small checkpoints that the workflow writes, with
    planted refusal rates; results are not about the models whose names they have."""
    plant: Literal["published", "null"] = "published"
    """For stand-ins. published: the paper's printed rates. "null" (in quotes): the same rates without any persona
    effect."""


class EmbeddedSource(Part):
    """The texts that come with the workflow, for the tasks nli, politeness and offensiveness."""

    kind: Literal["embedded"]

    @property
    def path(self) -> None:
        """No file of the user's."""

    @property
    def may_be_shared(self) -> bool:
        """Whether the page may contain the texts: yes, they have the project's licence."""
        return True


class XnliSource(Part):
    """XNLI, English, from the Hugging Face hub."""

    kind: Literal["xnli"]
    path: DataFile | None = None
    """A file that is on this machine already; nothing is fetched."""
    sha256: Checksum | None = None
    """Checksum of the file, 64 hexadecimal digits."""
    split: Literal["test", "validation", "train"] = "test"
    """Part of the data set."""
    revision: Words | None = None
    """Commit of the data set; null is the commit that this workflow pins."""

    @property
    def may_be_shared(self) -> bool:
        """Whether the page may contain the texts: no, their licence (CC BY-NC 4.0) sets conditions."""
        return False


class PopquornSource(Part):
    """POPQUORN's raw_data.csv, for the tasks politeness and offensiveness."""

    kind: Literal["popquorn"]
    path: DataFile | None = None
    """A file that is on this machine already; nothing is fetched."""
    sha256: Checksum | None = None
    """Checksum of the file, 64 hexadecimal digits."""
    url: Address | None = None
    """Where the file is fetched from; null is its authors' repository."""

    @property
    def may_be_shared(self) -> bool:
        """Whether the page may contain the texts: no, its repository states no licence."""
        return False


class Columns(Part):
    """Which column of your file holds what."""

    gold_label: Words
    """The column of the gold label."""
    text: Words | None = None
    """The column of the text."""
    premise: Words | None = None
    """For pairs, in place of text: the column of the premise."""
    hypothesis: Words | None = None
    """For pairs, in place of text: the column of the hypothesis."""
    id: IdColumns = None
    """The column that names a row, or a list of columns that together name it; null numbers the rows."""

    @model_validator(mode="after")
    def _text_or_pair(self) -> Self:
        pair = (self.premise is not None) + (self.hypothesis is not None)
        if (self.text is None, pair) not in ((False, 0), (True, 2)):
            raise ValueError("must name either text, or both premise and hypothesis")
        named = [name for name in (self.gold_label, self.text, self.premise, self.hypothesis) if name]
        if len(set(named)) < len(named):
            raise ValueError(f"name a column of its own for each, not {', '.join(named)}")
        return self


class FileSource(Part):
    """A table of your own."""

    kind: Literal["file"]
    path: DataFile
    """The file. The end of its name decides the format: .parquet; .xlsx (the first sheet); .jsonl, .ndjson or .json
    (one object per line, or a list of objects); anything else is delimited text. All may be compressed
    (.csv.gz)."""
    sha256: Checksum | None = None
    """Checksum of the file, 64 hexadecimal digits."""
    columns: Columns
    """Which column of the file holds what."""
    encoding: Encoding = "utf-8"
    """Encoding of delimited text and JSON, such as cp1252, latin-1 or gbk. If the file has a byte order mark, that
    decides."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between fields; null is a comma for .csv and a tab for anything else."""
    quoting: Literal["minimal", "none"] | None = None
    """none: quotes are ordinary characters; minimal: quotes enclose a field. null is none if the separator is a tab,
    else minimal."""
    where: dict[DataWord, DataWord] = Field({})
    """Keep only the rows with these values, such as {language: en}."""
    round_gold_labels: Flag = False
    """Round gold labels to whole numbers (halves up) before gold_label_map, for gold labels that are mean ratings."""
    gold_label_map: dict[DataWord, DataWord] = Field({})
    """Replacements of gold labels: gold label in the file, then the gold label to use."""
    scale: tuple[DataWord, ...] | None = None
    """The valid gold labels, in order. A row with another gold label is left out and reported. null is the paper's
    scale for its three tasks, and any gold label for other tasks."""
    max_lost: Share = MAX_LOST
    """Largest share of the rows that may be unusable; a file of 20 rows or more that loses more is an error."""
    may_be_shared: Flag = True
    """Whether your readers may have the texts: the report shows them with the responses. false, for texts that may not
    be passed on, shows their ids alone. An archive (`snakemake archive`) has no text in either case."""


Source = Annotated[EmbeddedSource | XnliSource | PopquornSource | FileSource, Field(discriminator="kind")]


class Task(Part):
    """One classification task."""

    source: Source
    """Where the texts come from."""
    rows_per_gold_label: Count = 1000
    """Rows sampled for each gold label. If a gold label has fewer rows, all of them are used."""
    options: Annotated[tuple[Words, ...], Field(min_length=2), AfterValidator(distinct("option"))]
    """The class words that a prompt offers, in the order in which the templates name them. If options are ordinary
    words or single characters ("A", "no", "2"), the labeller `structured` reads them only where an answer is
    expected."""
    layout: Line = "\n\nText: {text}"
    """What follows the question. {text}, or {premise} and {hypothesis}, are replaced by the text."""


class Sequential(Part):
    """Interim looks: prompts are asked in parts, and a model is not asked further once its targets are met."""

    first: Count
    """Texts (nested) or blocks (blocked) of each task before the first look."""
    growth: Number
    """Number of texts or blocks that each later look adds, as a share of those asked so far."""


class Design(Part):
    """Which prompts are asked: the Monte Carlo design."""

    kind: Literal["nested", "blocked"] = "nested"
    """nested is the paper's design: each text gets draws_per_row random pairs of template and persona. blocked asks
    each sampled text and template without a persona and with three personas. It is more precise for a new study,
    unless the study is about templates (docs/simulation.md)."""
    draws_per_row: Count = 10
    """Nested. Number of random pairs of template and persona for each text."""
    replacement: Flag = False
    """Nested. Whether a text may get the same template and persona twice. At inference.temperature 0 both have the same
    response, above 0 independent responses."""
    balance: Literal["independent", "balanced"] = "independent"
    """Nested. independent: pairs are sampled independently. balanced: personas and templates are equally frequent."""
    baseline: Flag = True
    """Nested. Also ask each sampled text and template once without a persona."""
    blocks_per_task: Count | None = None
    """Blocked. Size of the design in blocks."""
    calls_per_task: Count | None = None
    """Blocked. Size of the design in prompts per model and task, in place of blocks_per_task."""
    share_prompts: Flag = True
    """Blocked. Whether all models get the same prompts."""
    sequential: Sequential | None = None
    """Interim looks, such as {first: 35, growth: 0.25}; null asks everything at once."""

    @property
    def has_baseline(self) -> bool:
        """Whether prompts without a persona are asked."""
        return self.kind == "blocked" or self.baseline


class Prompts(Part):
    """How a prompt is written."""

    article: Literal["printed", "grammatical"] = "printed"
    """printed keeps "a" before every persona, as the paper's tables do; grammatical writes the persona's article there
    ("an asian"). {article} in a template is the persona's article in both cases."""
    system: SystemPrompt | None = None
    """The system prompt of every question, word for word, braces included; null sends none. A system prompt in the
    models file replaces it for that model. The system_text of a template is appended to either."""


class Inference(Part):
    """How responses are generated. Every decoding option is set here; a checkpoint's own defaults are not used."""

    backend: Literal["transformers", "vllm"] = "transformers"
    """The program that generates responses of checkpoints on this machine. vllm needs an environment of its own;
    docs/backends.md says when it is faster. For models behind a server see servers."""
    shards: Shards = None
    """Number of jobs that a model's prompts are split over: one number, or one for each model by name. null: from
    the cost estimate and planning.hours_per_shard. If planning.gpu is a processor, null also splits models below
    10^9 parameters into one job for each of Snakemake's cores; the number of cores at the first start decides."""
    max_new_tokens: Annotated[int, Field(strict=True, ge=1, le=MOST)] = 128
    """Longest response, in tokens."""
    thinking: Thinking = "disabled"
    """For models that think before they respond. disabled: thinking is switched off, if the chat template has a switch
    of any name. keep: the template's default. Thinking that remains is stored separately and is not part of the
    response. Column thinking of the models file replaces this key for that model. Has no effect on servers."""
    max_thinking_tokens: Count = 2048
    """Longest thinking before a response, in tokens, in addition to max_new_tokens. If the limit is reached inside
    the thinking, the response is empty. For models on this machine whose tokenizer or chat template has tags of
    thinking."""
    temperature: Number = 0.0
    """0 is greedy, as in the paper."""
    top_p: Annotated[float, Field(strict=True, gt=0, le=1)] = 1.0
    """Sample among the most likely tokens with this total probability."""
    seed: Seed = 0
    """For sampled responses."""
    samples_per_prompt: Count = 1
    """Independent responses to each prompt; more than 1 needs a temperature above 0."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; auto is the format in which they are stored."""
    quantization: Literal["8bit", "4bit"] | None = None
    """Quantise the weights on loading; null does not."""
    batch_tokens: Annotated[int, Field(strict=True, ge=64)] | None = None
    """Prompt and new tokens of one batch of the backend transformers. null: as many as fit into the memory of
    planning.gpu by the cost estimate, at most 16384. If responses depend on their batch, the value of the first run
    of a model is kept."""
    device_map: Annotated[str, AfterValidator(_device)] | None = "auto"
    """Where transformers puts the weights: auto, balanced, balanced_low_0, sequential, or a device such as cpu or
    cuda:0."""
    keep_weights: Flag = True
    """Whether weights from the hub stay on disk. false: models are asked one after another, and the weights of each are
    deleted after its last job, so that only one model is on the disk at a time (docs/cluster.md)."""
    system_role: Literal["native", "merge", "error"] = "native"
    """native: system prompts are sent in the system role; it is an error if a chat template has none. merge: for every
    model, the system prompt is sent at the beginning of the question. error: every system prompt is an error."""
    control_tokens: Literal["error", "escape"] = "error"
    """For prompts whose text contains a control token of the model, such as <|im_end|>. escape writes a space after
    the first character of the token, so that the model reads it as text. Has no effect on servers. The prompts of
    judges are always escaped."""
    unrecognised: Literal["stop", "go_on"] = "stop"
    """Whether a job stops if fewer than 5 % of its first 200 responses contain an option, yes or no, a refusal
    phrase or a common way to decline. If a job has 20 to 199 responses, all are checked."""
    trust_remote_code: Annotated[tuple[str, ...], AfterValidator(unique("model"))] = ()
    """Models whose own Python code may run."""
    early_decision: Flag = True
    """Stop a response once its verdict is certain. This has an effect only if phrase_list is the only labeller."""
    recheck_share: Share = 0.03
    """Share of prompts whose response is always generated in full, to check early_decision."""
    refusals_in_full: Flag = True
    """Generate refusals in full, also with early_decision."""
    batch_check_share: Share = 0.02
    """Share of prompts (at least 50 of a model) that are asked again in other batches, if a response can depend on the
    other prompts of its batch (docs/backends.md); 0 asks none again."""

    @property
    def environment(self) -> str:
        """The conda environment of envs/ in which responses are generated."""
        return "vllm" if self.backend == "vllm" else "inference"

    @property
    def independent_samples(self) -> int | None:
        """Independent responses to each draw of a prompt; None: greedy, so that a prompt has one response."""
        return self.samples_per_prompt if self.temperature else None


class Server(Part):
    """A server with the OpenAI API, such as vLLM, llama.cpp or a hosted one."""

    base_url: Annotated[str, AfterValidator(_base_url)]
    """Address, as in http://localhost:8000/v1, without user name, password or query. Part of the key of a stored
    response, because another server may serve other weights, unless the models file has the model's revision."""
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = None
    """Environment variable that contains the API key; null for a server without one."""
    concurrency: Count = 16
    """Number of simultaneous requests."""
    timeout: Positive = 300.0
    """Longest time for one request, in seconds."""
    attempts: Count = 8
    """Number of attempts for one request, with increasing waits between them."""
    longest_wait: Positive = 60.0
    """Longest wait between two attempts, in seconds."""
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the parameter with inference.max_new_tokens in a request. Reasoning models of OpenAI need
    max_completion_tokens, which also limits the thinking."""
    omit: Annotated[tuple[Omittable, ...], AfterValidator(unique("parameter"))] = ()
    """Parameters that the server rejects, such as [seed]; requests do not contain them. Without temperature,
    responses are sampled with the server's default and are not greedy; the page says so. Part of the key of a
    stored response."""
    price_in: Number | None = None
    """Price of a million prompt tokens, in your currency, for the cost estimate."""
    price_out: Number | None = None
    """Price of a million new tokens."""
    extra_body: Annotated[dict[str, Any], AfterValidator(_extra_body)] | None = None
    """Further parameters of every request, part of the key of a stored response. Many servers use the checkpoint's own
    defaults for parameters that a request does not contain; for vLLM write {repetition_penalty: 1.0, top_k: -1}."""


class Planning(Part):
    """For `snakemake plan`, and the resources of cluster jobs."""

    gpu: str = "A100-80GB"
    """A GPU of config/gpus.csv."""
    compute_here: Flag = True
    """Whether preflight checks the memory of this machine."""
    hours_per_shard: Positive | None = 12.0
    """Longest estimated time of a job, in hours; a longer model is split over several jobs. A job asks for up to
    twice this time, so use half the time limit of your queue. null: one job for each model."""


class Judge(Part):
    """A language model that labels responses."""

    model: Words
    """A model of the models file."""
    prompt: DataFile = OWN_PROMPT
    """The file of its prompt. For a published prompt, a file of the same name that ends in .yaml says how the prompt is
    filled and the reply is parsed; config/labelling/judges has some (docs/how-to/labellers.md)."""


class Classifier(Part):
    """A sequence classifier of the hub that labels responses."""

    hub_id: Words
    """Name on the hub, or a local folder."""
    revision: Words | None = None
    """Commit on the hub; null is the newest."""
    categories: Annotated[dict[DataWord, ClassifierCategory], AfterValidator(_refusals_and_others)]
    """The category of each label of the classifier (id2label in its config.json), such as
    {REJECTION: refused, NORMAL: not_refused}; hedged means a partial refusal."""
    question: Flag = False
    """Whether the classifier reads question and response, as a pair of texts."""
    template: Annotated[str, AfterValidator(_template)] | None = None
    """For a classifier that reads question and response as one text: this text, with {question} and {response} in
    it."""
    batch_size: Count = 32
    """Number of responses in one batch."""
    max_tokens: Count = 512
    """Longest input, in tokens; longer inputs are cut."""


class Responses(Part):
    """Responses that were made elsewhere, in place of asking a model (docs/how-to/import.md)."""

    paths: Annotated[tuple[DataFile, ...], Field(min_length=1), AfterValidator(unique("file"))]
    """The files. Several files are read as one. A name with * stands for all files that match it."""
    format: ResponseFormat | None = None
    """Format of the files. null: from the name (.csv and .tsv, .jsonl, .parquet, .eval and .json of Inspect,
    samples_*.jsonl of lm-evaluation-harness; a .json with a list of objects is read like .jsonl). The output of a batch
    is openai_batch or anthropic_batch."""
    encoding: Encoding = "utf-8"
    """Encoding of CSV and JSON, such as cp1252 or latin-1. A byte order mark in the file has priority."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character between the fields of a CSV file, such as ";". null: a tab for .tsv, a comma for all others."""
    columns: dict[ResponseField, DataWord] = Field({})
    """Name of the column for each field, such as {response: output, persona: who}. A field that is not listed is
    read from the column of the same name, if there is one."""
    verdicts: dict[DataWord, ClassifierCategory] = Field({})
    """Category of each word in the column of verdicts, such as {full_refusal: refused}; hedged means a partial refusal.
    Words such as refused, answered, true and 0 are known."""
    baseline: DataWord | None = None
    """The word in the column of personas that means no persona. An empty cell and the word baseline always mean
    this."""
    model: Words | None = None
    """Name of the model, if the files have none."""
    prompts: DataFile | None = None
    """A further table with more columns about each prompt, one row per prompt_id."""
    may_be_shared: Flag = False
    """Without tasks in the config: whether your readers may have the prompts. true: the report shows them."""
    options: dict[Words, Annotated[tuple[Words, ...], Field(min_length=2)]] = Field({})
    """For tasks that are not in the config, by name: the class words that the prompts offered. Without them, responses
    are read as free chat."""


class Shares(Part):
    """Shares of the annotation sample by what the labellers found."""

    choice: Number = 0.3
    """No labeller sees a refusal, and an option was chosen."""
    refusal: Number = 0.3
    """All labellers see a refusal."""
    disagreement: Number = 0.25
    """Some labellers see a refusal, others don't."""
    other: Number = 0.15
    """No labeller sees a refusal, and no option was chosen (invalid responses)."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.choice + self.refusal + self.disagreement + self.other == 0:
            raise ValueError("at least one share must be above 0")
        return self


class Annotation(Part):
    """The sample that people label (`snakemake annotation`)."""

    size: Count = 600
    """Number of responses in the sample. Every model gets an equal part, spread over tasks and persona groups."""
    shares: Shares = Shares()
    """Share of each stratum in the sample of a model. Shares are scaled to sum to 1. A stratum with share 0 is left
    out."""


class Estimation(Part):
    """How rates and effects are estimated."""

    bootstrap: Annotated[int, Field(strict=True, ge=100, le=MOST)] = 1000
    """Number of bootstrap replicates; texts are resampled."""
    permutations: Annotated[int, Field(strict=True, ge=99, le=MOST)] = 999
    """Number of permutations of each test and noise floor."""
    targets: dict[Quantity, HalfWidth] = Field({"persona effects": 0.02}, min_length=1)
    """For a sequential design: target half-width of the 95 % confidence interval of each quantity, as a proportion.
    Known quantities: model rate, task rates, persona rates, any-persona effect, persona effects."""


class Config(Part):
    """A study of false refusal."""

    study: Annotated[str, AfterValidator(_study_name)]
    """Name of the study; its results go to results/<study>/."""
    title: Line = ""
    """Title of the report, one line; empty is the study's name."""
    language: Language = "en"
    """Language of the responses, as its two-letter code (ISO 639-1). It decides the patterns of the labeller structured
    and the phrases of phrase_list. For a language without patterns see docs/how-to/languages.md."""
    seed: Seed = 2025
    """Seed of every random choice of the study, except the sampling of responses (inference.seed)."""
    materials: Materials = Materials()
    """The data files that the study is made of."""
    models: Names = "all"
    """Models to ask: all of the models file, or a list of names."""
    personas: Names = "all"
    """Personas to name in prompts: all of the personas file, or a list of names."""
    templates: Names = "all"
    """Templates to use: all of the templates file, or a list of names."""
    checkpoints: Checkpoints = Checkpoints(kind="hub")
    """Where the models come from. Needed, unless responses were made elsewhere."""
    responses: Responses | None = None
    """Responses that were made elsewhere, in place of asking a model. With tasks, they are responses to the study's own
    prompts, written by `snakemake export`. Without tasks, everything is read from their files."""
    tasks: dict[Name, Task] = Field({})
    """The classification tasks, by name. Needed, unless responses were made elsewhere."""
    design: Design = Design()
    """Which prompts are asked."""
    prompts: Prompts = Prompts()
    """How a prompt is written."""
    inference: Inference = Inference()
    """How responses are generated."""
    servers: dict[Name, Server] = Field({})
    """Servers with the OpenAI API, by name. Column server of the models file has this name."""
    planning: Planning = Planning()
    """For `snakemake plan`, and the resources of cluster jobs."""
    limit: Count | None = None
    """For a trial: largest number of prompts for each model, spread over the tasks. Tables, figures and page say
    that it is a trial. Set it for one start (--config limit=20), not in a file."""
    allow_missing: Flag = False
    """Do not ask models without responses: report on the others, and list these as missing. Set it for one start
    (--config allow_missing=true), not in a file."""
    labellers: Annotated[tuple[RuleLabeller, ...], Field(min_length=1), AfterValidator(unique("labeller"))] = LABELLERS
    """Labellers of the responses. The first one gives the main results."""
    judges: dict[LabellerName, Judge] = Field({})
    """Further labellers that are language models, by name."""
    classifiers: dict[LabellerName, Classifier] = Field({})
    """Further labellers that are text classifiers, by name."""
    annotation: Annotation = Annotation()
    """The sample that people label (`snakemake annotation`)."""
    estimation: Estimation = Field(default_factory=lambda: Estimation.model_validate({}))
    """How rates and effects are estimated."""
    comparison: Literal["paper", "none"] = "paper"
    """paper: estimates are compared with the paper's printed numbers and claims of the same quantity. none: there
    are no printed numbers, no claims, and no tables or figures of the paper."""
    choices: dict[Name, Annotated[dict[str, Any], Field(min_length=1)]] = Field({})
    """Other settings for `snakemake choices`, which repeats the study under each of them. Each name has the keys of
    this config that change, such as {short: {inference: {max_new_tokens: 16}}} (docs/choices.md)."""

    @property
    def patterns(self) -> str | None:
        """The file of patterns; None if the language has none and the study names none."""
        return self.materials.patterns or file_of(self.language, PATTERNS)

    @property
    def refusal_phrases(self) -> str | None:
        """The file of refusal phrases; None if the language has none and the study names none."""
        return self.materials.refusal_phrases or file_of(self.language, PHRASES)

    @property
    def without_data(self) -> tuple[str, ...]:
        """The labellers of the config that the language has no data for."""
        data = {"structured": self.patterns, "phrase_list": self.refusal_phrases}
        return tuple(name for name in self.labellers if name in data and data[name] is None)

    @property
    def rule_labellers(self) -> tuple[str, ...]:
        """The labellers of the config that can label in its language."""
        return tuple(name for name in self.labellers if name not in self.without_data)


def read_config(given: dict[str, Any]) -> Config:
    """The typed config with defaults filled in.

    Raises
    ------
    InputError
        with one line for each mistake: the key's path, what is wrong, what to do.
    """
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        raise InputError("\n".join(problems(error, Config))) from None
    if found := [*_absent(config), *_contradictions(config)]:
        raise InputError("\n".join(found))
    return config


def _absent(config: Config) -> Iterator[str]:
    """Keys that a study needs unless its responses come from elsewhere."""
    if config.responses is not None:
        return
    for key in ("checkpoints", "tasks"):
        if key not in config.model_fields_set:
            meaning = str(Config.model_fields[key].description).split(".")[0]
            yield f"'{key}' is missing ({meaning[0].lower()}{meaning[1:]})"
    if "tasks" in config.model_fields_set and not config.tasks:
        yield "tasks: must not be empty"


def _contradictions(config: Config) -> Iterator[str]:
    """Keys that do not go together."""
    for task, settings in config.tasks.items():
        yield from _task_problems(task, settings)
    yield from _design_problems(config)
    if config.inference.samples_per_prompt > 1 and not config.inference.temperature:
        yield (
            "inference.samples_per_prompt: at temperature 0 all samples of a prompt are the same; set "
            "inference.temperature above 0, or leave it out"
        )
    both = [name for name in config.judges if name in config.classifiers]
    if both:
        yield f"classifiers: '{both[0]}' is the name of a judge, too; choose another"
    for name, classifier in config.classifiers.items():
        if classifier.question and classifier.template:
            yield f"classifiers.{name}: question and template cannot both be set; leave one of them out"
    yield from _language_problems(config)
    yield from _choice_problems(config)
    yield from _response_problems(config)


def _task_problems(task: str, settings: Task) -> Iterator[str]:
    wanted = PAPER_TASKS.get(task)
    if wanted is not None and len(settings.options) != wanted:
        yield f"tasks.{task}.options: the templates of this task name {wanted} options, not {len(settings.options)}"
    try:
        source = resolve(settings.source.model_dump(), task)
    except InputError as error:
        yield f"tasks.{task}.source.kind: {error}"
        return
    for gold_label in sorted(set(source.gold_label_map.values()) - set(source.scale or source.gold_label_map.values())):
        scale = ", ".join(source.scale or ())
        yield f"tasks.{task}.source.gold_label_map: '{gold_label}' is not on the scale ({scale}); correct one of them"
    fields = source.content
    places = set(PLACEHOLDER.findall(settings.layout))
    if places != set(fields):
        has = " and ".join(f"{{{place}}}" for place in sorted(places)) or "no place for the text"
        yield f"tasks.{task}.layout: must have {' and '.join(f'{{{field}}}' for field in fields)}, but has {has}"


def _language_problems(config: Config) -> Iterator[str]:
    """A labeller that the study names, but cannot use in its language, or no labeller at all."""
    known = ", ".join(languages())
    if config.language != "en" and config.checkpoints.kind == "standins":
        yield "language: stand-ins respond in English; set checkpoints: {kind: hub}, or leave language out"
    if config.without_data and "labellers" in config.model_fields_set:
        name = config.without_data[0]
        key = {"structured": "patterns", "phrase_list": "refusal_phrases"}[name]
        yield (
            f"labellers: '{name}' has no {key.replace('_', ' ')} for language '{config.language}' (they come with "
            f"{known}); name your own file under materials.{key}, or leave this labeller out"
        )
    elif not (config.rule_labellers or config.judges or config.classifiers):
        yield (
            f"language: no labeller is left, because there are no patterns and no refusal phrases for "
            f"'{config.language}' (they come with {known}); name a list under materials.refusal_phrases, or add judges "
            "or classifiers"
        )


def _choice_problems(config: Config) -> Iterator[str]:
    if not config.choices:
        return
    if config.design.sequential is not None:
        yield "choices: not possible with design.sequential, because each choice would ask other prompts; leave one out"
    if not config.inference.keep_weights:
        yield "choices: the weights are needed for every choice; set inference.keep_weights to true"
    if config.allow_missing:
        yield "choices: not possible with allow_missing, because all models are compared; leave one of the two out"


def _response_problems(config: Config) -> Iterator[str]:
    """What cannot be done with responses that were made elsewhere."""
    if config.responses is None:
        if GIVEN in config.labellers:
            yield f"labellers: '{GIVEN}' stands for verdicts in files of responses; name the files under responses"
        return
    if config.choices:
        yield "choices: not possible with imported responses, because no model is asked again; leave choices out"
    if config.design.sequential is not None:
        yield "design.sequential: not possible with imported responses, because no model is asked; leave it out"
    if config.checkpoints.kind == "standins":
        yield "checkpoints: imported responses need no stand-ins; leave checkpoints out"
    if config.tasks and config.responses.options:
        yield "responses.options: the options are already under tasks; leave responses.options out"


def _design_problems(config: Config) -> Iterator[str]:
    design = config.design
    if design.kind == "blocked" and (design.blocks_per_task is None) == (design.calls_per_task is None):
        yield "design: kind blocked needs either blocks_per_task or calls_per_task"
    if design.kind == "nested" and design.balance == "balanced" and design.replacement:
        yield "design.balance: balanced draws need design.replacement: false; change one of them"
    if design.sequential is None:
        return
    if not config.inference.keep_weights:
        yield "inference.keep_weights: a sequential study asks every model again after each look; set it to true"
    if config.inference.shards is not None:
        yield "inference.shards: a sequential study asks a model once for each look, in one job; leave it out"
    if config.allow_missing:
        yield "allow_missing: a sequential study decides after every look which models to ask; let it finish first"
    effects = [quantity for quantity in config.estimation.targets if quantity in COMPARED_WITH_BASELINE]
    if effects and not design.has_baseline:
        rates = ", ".join(name for name in get_args(Quantity) if name not in COMPARED_WITH_BASELINE)
        yield (
            f"estimation.targets: {', '.join(effects)} compares with baseline prompts, but design.baseline is false; "
            f"set it to true, or use {rates}"
        )

"""Read the study's materials: models, personas, templates and refusal phrases, each a data file under config/.

This is the only place where these files are read. The models file is read without pandas, for Snakemake's start.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from falserefusal.common.errors import InputError, file_problem
from falserefusal.common.hub import is_folder
from falserefusal.study import files
from falserefusal.study.attributes import PERSONA_COLUMNS
from falserefusal.study.fields import (
    Checksum,
    Name,
    SystemPrompt,
    Thinking,
    Words,
    look_alike,
    normalised,
    system_prompt,
    visible,
)
from falserefusal.study.problems import Part, findings, hint

if TYPE_CHECKING:
    import pandas as pd

PROMPT_FOLDER = Path("config")  # where files of system prompts are
ASSUMED_SIZE_B = 8.0  # 10^9 parameters, for a model whose row gives no size

Amount = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _package(value: str) -> str:
    name, _, version = value.partition("==")
    if not name or not version or "=" in version:
        raise ValueError(f"write name==version, not '{value}'")
    return value


def _inside(value: str) -> str:
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise ValueError(f"'{value}' must be a path inside the package, such as model.gguf")
    return value


def _prompt_file(value: str) -> str:
    path = Path(value)
    if path.is_absolute() or ".." in path.parts or path.parts[0] != PROMPT_FOLDER.name:
        raise ValueError(f"'{value}' must be a file below {PROMPT_FOLDER}/, such as config/system_prompts/my.txt")
    return value


def _truth(value: object) -> object:
    return {"true": True, "false": False}.get(str(value).lower(), value)


class Model(Part):
    """A row of the models file. Compulsory are `model` and one source: hub_id, package, server or dummy."""

    model: Name
    """Name of the model in config, tables and figures."""
    family: Words
    """Models are grouped by family in tables and claims; empty is the model's own name."""
    generation: Words
    """Generation within the family, for the claim on newer generations; empty is the name of the family."""
    size_b: Amount | None = None
    """Size in 10^9 parameters, as in the model's name. Memory, GPUs and time of jobs follow from it. If this and
    params_b are empty, 8 is assumed."""
    hub_id: Words | None = None
    """Source: name on the Hugging Face hub, or a local folder (beginning with ./, / or ~)."""
    revision: Words | None = None
    """Commit on the hub; empty is the newest commit at the first start."""
    gated: Annotated[bool, BeforeValidator(_truth, json_schema_input_type=bool), Field(strict=True)] = False
    """Whether its licence must be accepted on the hub first: true or false."""
    params_b: Amount | None = None
    """Exact size in 10^9 parameters; this and the shape make the cost estimate more precise."""
    layers: Amount | None = None
    """Shape: number of layers."""
    kv_heads: Amount | None = None
    """Shape: key and value heads."""
    head_dim: Amount | None = None
    """Shape: size of a head."""
    hidden: Amount | None = None
    """Shape: size of the hidden state."""
    vocab: Amount | None = None
    """Shape: entries of the vocabulary."""
    context: Amount | None = None
    """Longest context, in tokens."""
    capability: Amount | None = None
    """Score in a benchmark of general ability, for the claim that compares ability with refusal."""
    server: Words | None = None
    """Source: a server of the config (servers), by name."""
    served_model: Words | None = None
    """Name of the model on its server; empty is hub_id."""
    reported_model: Words | None = None
    """Name of the model in the server's replies, if it differs from served_model, such as the model behind a
    deployment. A reply with any other model name stops the run."""
    package: Annotated[Words, AfterValidator(_package)] | None = None
    """Source: a Python package that contains the weights as a GGUF file, as name==version."""
    package_file: Annotated[Words, AfterValidator(_inside)] | None = None
    """With package: the GGUF file in it."""
    sha256: Checksum | None = None
    """With package: the checksum of package_file."""
    dummy: Share | None = None
    """Source: fixed responses without a model; the number is their share of refusals. For trying a study without
    weights. Then all models of the study must be dummies, and its tables, figures and page say so."""
    imported: Words | None = None
    """Source: responses that were made elsewhere (`responses` of the config); the model's name in their files."""
    system_prompt: SystemPrompt | None = None
    """System prompt of this model, word for word, in place of prompts.system of the config."""
    system_prompt_file: Annotated[Words, AfterValidator(_prompt_file)] | None = None
    """A file below config/ with the system prompt. The line break at its end is not part of it."""
    thinking: Thinking | None = None
    """What to do with this model's thinking, in place of inference.thinking of the config: disabled or keep."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        package = {"package": self.package, "package_file": self.package_file, "sha256": self.sha256}
        empty = [column for column, value in package.items() if value is None]
        if len(empty) < len(package) and empty:
            raise ValueError(f"fill {', '.join(empty)}, too: a model from a package needs all three")
        if self.package and (self.hub_id or self.server):
            raise ValueError(f"has two sources: leave {'hub_id' if self.hub_id else 'server'} or the package empty")
        if self.is_dummy and (self.package or self.hub_id or self.server):
            raise ValueError("is a dummy and has another source; leave one of them empty")
        if not (self.package or self.hub_id or self.server or self.is_dummy or self.imported):
            raise ValueError(
                "has no source: fill hub_id, or package with package_file and sha256, or server, dummy or imported"
            )
        if self.server and not (self.served_model or self.hub_id):
            raise ValueError(f"fill served_model, the model's name on the server '{self.server}'")
        if self.served_model and not self.server:
            raise ValueError("has a served_model but no server; fill server, or leave served_model empty")
        if self.on_hub and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(self.hub_id)):
            raise ValueError(
                f"'{self.hub_id}' is not a name of the hub such as org/model; a folder begins with ./, / or ~"
            )
        if self.reported_model and not self.server:
            raise ValueError("has a reported_model but no server; fill server, or leave reported_model empty")
        if self.system_prompt and self.system_prompt_file:
            raise ValueError("has both a system_prompt and a system_prompt_file; leave one empty")
        return self

    @property
    def is_dummy(self) -> bool:
        """Whether its responses are fixed, and no model's."""
        return self.dummy is not None

    @property
    def loads_weights(self) -> bool:
        """Whether a job of the study loads its weights."""
        return not (self.server or self.is_dummy)

    @property
    def served(self) -> str | None:
        """The name a server knows it by; None for a model that no server is asked for."""
        return (self.served_model or self.hub_id) if self.server else None

    @property
    def weights(self) -> str | None:
        """The hub name or folder that its weights are loaded from; None for a model that only a server has."""
        if self.package_file:
            return files.weights(Path(self.package_file).stem)
        return self.hub_id

    @property
    def on_hub(self) -> bool:
        """Whether its weights are downloaded from the hub."""
        return bool(self.hub_id and not (self.server or self.package or is_folder(self.hub_id)))

    @property
    def weights_record(self) -> str:
        """The record of its fetched weights; models from one package share it."""
        return files.weights_record(Path(str(self.weights)).name if self.package else self.model)

    @property
    def checkpoint(self) -> tuple[str | None, ...]:
        """What tells checkpoints apart; models with the same one are variants of it."""
        return self.server, self.model if self.is_dummy else self.served or self.weights, self.revision, self.sha256

    @property
    def params(self) -> float:
        """Parameters, in 10^9: as exact as the row has it, else assumed."""
        return self.params_b or self.size_b or ASSUMED_SIZE_B

    @property
    def shape(self) -> dict[str, float | None]:
        """What memory and time follow from: params_b (10^9) and the network's shape, None where the row is silent."""
        names = ("layers", "kv_heads", "head_dim", "hidden", "vocab")
        return {"params_b": self.params} | {name: getattr(self, name) for name in names}


def read_models(path: str | Path, root: str | Path = ".") -> dict[str, Model]:
    """The rows of a models file by name, with the text of each system prompt, in file order.

    Raises
    ------
    InputError
        with one line for each mistake: file, line, column, what is wrong.
    """
    rows: dict[str, Model] = {}
    found = []
    for line, cells in _rows(Path(root) / path, path, list(Model.model_fields)):
        name = cells.get("model")
        where = f"{path}: line {line}" + (f" ({name})" if name else "")
        try:
            model = _model(cells, Path(root))
        except ValidationError as error:
            found += [
                f"{where}, column '{column}': {words}" if column else f"{where}: {words}"
                for column, words in findings(error, Model)
            ]
        except InputError as error:
            found.append(f"{where}, column 'system_prompt_file': {error}")
        else:
            if model.model.lower() in (name.lower() for name in rows):  # some file systems ignore case
                found.append(f"{where}: an earlier row has the same name")
            rows[model.model] = model
    if found:
        raise InputError("\n".join(found))
    if not rows:
        raise InputError(f"{path}: no rows below the header")
    return rows


def _model(cells: dict[str, Any], root: Path) -> Model:
    family = cells.get("family", cells.get("model", "?"))
    model = Model.model_validate({"family": family, "generation": family} | cells)
    if model.system_prompt_file:
        model = model.model_copy(update={"system_prompt": _prompt(root, model.system_prompt_file)})
    return model


def _rows(file: Path, path: str | Path, known: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line number and the filled cells of each row of a CSV file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        unreadable = f"{path}: not a readable UTF-8 file; save it as CSV in UTF-8"
        raise InputError(file_problem(error, path) or unreadable) from None
    reader = csv.reader(text.splitlines(keepends=True))
    if any(len(line) > csv.field_size_limit() for line in text.splitlines()):
        raise InputError(f"{path}: a line has more than {csv.field_size_limit():,} characters; is a quote left open?")
    header = [name.strip() for name in next(reader, [])]
    for name in header:
        if name not in known:
            joined = ";" in name or "\t" in name
            advice = "its fields are not separated by commas: save it with commas" if joined else hint(name, known)
            raise InputError(f"{path}: unknown column '{name}'; {advice}")
    if "model" not in header:
        raise InputError(f"{path}: column 'model' is missing")
    before = reader.line_num
    for cells in reader:
        line, before = before + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            raise InputError(f"{path}: line {line} has more fields than the header; is there an extra comma?")
        filled = {name: cell for name, cell in zip(header, cells, strict=False) if cell.strip()}
        yield line, {name: cell if name == "system_prompt" else cell.strip() for name, cell in filled.items()}


def _prompt(root: Path, file: str) -> str:
    """The text of a system prompt's file without the line break at its end."""
    try:
        text = (root / file).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error})") from None
    if not text.strip():
        raise InputError(f"{file} is empty; leave the cell empty instead")
    try:
        return system_prompt(text)
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None


def choose(kind: str, wanted: str | Sequence[str], known: Sequence[str], path: str) -> tuple[str, ...]:
    """The names a study uses of one file, in file order; `wanted` is "all" or a list of names."""
    if wanted == "all":
        return tuple(known)
    for name in wanted:
        if name not in known:
            raise InputError(f"{kind}: '{name}' is not in {path}; {hint(name, known)}")
    return tuple(name for name in known if name in wanted)


def load_models(path: str | Path, keep: Sequence[str] | None = None) -> "pd.DataFrame":
    """The models file as a frame with every column of `Model`, in file order.

    `hub_id` of a model from a package is the folder its weights are kept in; `system_prompt` is the text, also where
    the file names a file of one.
    """
    import pandas as pd

    models = read_models(path)
    names = choose("models", "all" if keep is None else keep, list(models), str(path))
    rows = [models[name].model_dump() | {"hub_id": models[name].weights} for name in names]
    numbers = [name for name, field in Model.model_fields.items() if field.annotation == Amount | None]
    return pd.DataFrame(rows, columns=list(Model.model_fields)).astype(dict.fromkeys(numbers, float))


def are_variants(models: "pd.DataFrame") -> bool:
    """Whether all models are one checkpoint under different system prompts, so that "model" means system prompt."""
    sources = models.reindex(columns=["server", "served_model", "hub_id", "revision", "thinking"]).drop_duplicates()
    if sources[["server", "hub_id"]].isna().all(axis=None):  # where the models come from is not known
        return False
    return len(models) > 1 and len(sources) == 1


def load_personas(path: str | Path, keep: Sequence[str] | None = None) -> "pd.DataFrame":
    """Personas in file order: persona (id), group, printed (the paper's Table 2), surface (as in a prompt), article.

    A file may leave out group (one for all), printed (the surface) and article (a or an, by the first letter or
    number). The article is any word, or empty. Further columns are attributes, which `attributes.load_attributes`
    reads.
    """
    from falserefusal.common.files import read_csv, validate
    from falserefusal.common.schemas import PERSONAS

    frame = read_csv(path).rename(columns=str.strip)
    if {"persona", "surface"} <= set(frame):  # without them, the other columns show what is wrong with the file
        frame = frame[[name for name in frame if name in PERSONA_COLUMNS]]
    personas = validate(_filled(frame), PERSONAS, path)
    _check_words(personas, ["persona", "group", "printed", "surface"], path)
    _check_words(personas, ["article"], path, may_be_empty=True)
    if pair := look_alike(personas["surface"]):
        key = normalised(pair[0])
        same = [
            name
            for name, surface in zip(personas["persona"], personas["surface"], strict=True)
            if normalised(surface) == key
        ]
        raise InputError(
            f"{path}: the surfaces '{pair[0]}' and '{pair[1]}' look alike (personas '{same[0]}' and '{same[1]}'); "
            "change one surface, or remove one of the two rows"
        )
    return _keep(personas, "persona", keep, path)


def _filled(personas: "pd.DataFrame") -> "pd.DataFrame":
    """The personas with the columns that a file may leave out: persona and surface are enough."""
    import pandas as pd

    # an absent or empty surface is reported, not what follows from it
    surface = personas["surface"].fillna("-").astype(str) if "surface" in personas else pd.Series("-", personas.index)
    article = surface.str.match(r"(?i)[aeiou]|8|1[18](?!\d)").map({True: "an", False: "a"}).astype(str)
    usual = {"group": "all personas", "printed": surface, "article": article}
    personas = personas.assign(**{name: value for name, value in usual.items() if name not in personas})
    return personas.assign(article=personas["article"].astype(object).fillna("").astype(str).str.strip())


def load_templates(path: str | Path, tasks: Sequence[str], keep: Sequence[str] | None = None) -> "pd.DataFrame":
    """Templates of `tasks`: task, template, phrasing (1-3), format, and the texts with and without a persona.

    system_text and baseline_system_text, which follow the system prompt, are empty where the file has none.
    """
    from falserefusal.common.files import line_of, read_csv
    from falserefusal.common.schemas import TEMPLATES

    words = dict.fromkeys(("system_text", "baseline_system_text"), "str")  # a column without any word is not numbers
    templates = read_csv(path, TEMPLATES, dtype=words)
    named = (templates["text"] + templates["system_text"]).str.contains("{persona}", regex=False)
    if not named.all():
        line = line_of(path, int((~named).to_numpy().argmax()))
        raise InputError(f"{path}: line {line} names no persona; write {{persona}} into 'text' or 'system_text'")
    missing = [task for task in tasks if task not in set(templates["task"])]
    if missing:
        raise InputError(f"{path}: no templates for task '{missing[0]}'; add them, or remove the task from the config")
    templates = templates[templates["task"].isin(list(tasks))].reset_index(drop=True)
    _check_words(templates, ["task", "template", "text", "baseline_text"], path)
    for task, own in templates.groupby("task", sort=False):
        words = own["text"] + "\n" + own["system_text"]
        if pair := look_alike(words):
            names = own.loc[words.isin(pair), "template"]
            raise InputError(f"{path}: templates {', '.join(names)} of task '{task}' have the same text; remove one")
    return _keep(templates, "template", keep, path)


def load_phrases(path: str | Path) -> list[str]:
    """Refusal phrases, one a line, lower case, in file order; raises InputError on an empty or upper-case line."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        phrases = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        unreadable = f"{path}: not a readable UTF-8 file; save it as plain text in UTF-8"
        raise InputError(file_problem(error, path) or unreadable) from None
    if not phrases:
        raise InputError(f"{path}: the file has no refusal phrases; write one phrase per line")
    for number, phrase in enumerate(phrases, start=1):
        if phrase in phrases[: number - 1]:
            raise InputError(f"{path}: line {number} repeats the phrase {phrase!r}; remove it")
        if len(phrase.strip()) == 1 or not phrase.isprintable():
            raise InputError(f"{path}: line {number} is {phrase!r}; write a phrase that only refusals begin with")
        if not phrase.strip() or phrase != phrase.lower().lstrip():
            raise InputError(
                f"{path}: line {number} is {phrase!r}; write phrases in lower case, without empty lines or leading "
                "blanks, because responses are converted to lower case and stripped before the comparison"
            )
    return phrases


def _check_words(frame: "pd.DataFrame", columns: Sequence[str], path: str | Path, may_be_empty: bool = False) -> None:
    """InputError for a cell that is blank or has control characters."""
    from falserefusal.common.files import line_of

    for column in columns:
        for row, value in enumerate(frame[column]):
            try:
                if value or not may_be_empty:
                    visible(value)
            except ValueError as error:
                raise InputError(f"{path}: line {line_of(path, row)}, column '{column}' {error}") from None
            if "\n" in value and not column.endswith("text"):
                raise InputError(f"{path}: line {line_of(path, row)}, column '{column}' has a line break; remove it")


def _keep(frame: "pd.DataFrame", column: str, keep: Sequence[str] | None, path: str | Path) -> "pd.DataFrame":
    """Rows whose `column` is in `keep` (None: all); an unknown name is an error, not an empty result."""
    if frame.empty:
        raise InputError(f"{path}: no rows below the header")
    names = frame[column].drop_duplicates().tolist()
    kept = choose(f"{column}s", "all" if keep is None else keep, names, str(path))
    return frame[frame[column].isin(kept)].reset_index(drop=True)

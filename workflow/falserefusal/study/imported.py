"""A study of responses that were made elsewhere: what follows from their files in place of a config's tasks."""

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.common.hashes import identified
from falserefusal.common.templates import WHOLE
from falserefusal.labelling.given import GIVEN
from falserefusal.study.config import LABELLERS, Config, FileSource, Responses, Task
from falserefusal.study.files import Files
from falserefusal.study.materials import read_models

HERE = Path(__file__).parents[1] / "exchange"
MATERIALS = ("models", "personas", "templates")


@dataclass(frozen=True)
class Imported:
    """What is known of imported responses before the first job.

    Attributes
    ----------
    fields : the fields that the files have.
    models, tasks : by the study's names.
    personas, templates : how many there are; without a column of personas, all prompts count as one persona's.
    baseline : whether some prompts have no persona.
    samples : whether a prompt has several responses.
    own : the materials that the study names itself.
    options : whether the options of the prompts are known.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    task_words: Mapping[str, str]
    fields: tuple[str, ...]
    personas: int
    baseline: bool
    templates: int
    samples: bool
    own: tuple[str, ...] = ()
    options: bool = False

    def absent(self) -> Iterator[str]:
        """What the page of the study does not have, each with the reason."""
        if "response" not in self.fields:
            yield "The files have verdicts but no responses: no other labeller reads them, and the page quotes none."
        if self.personas == 1 and not self.baseline:
            yield (
                "The files name no more than one persona: there is no comparison of personas, and “prompts with a "
                "persona” stands for all prompts."
            )
        if not self.baseline:
            yield (
                "No prompt is without a persona: there are no effects of a persona against a baseline. Mark such "
                "prompts by an empty cell in the column of personas."
            )
        if not {"text_id", "text"} & set(self.fields):
            yield (
                "The files have no column of texts: each prompt counts as a text of its own. If several prompts share "
                "a text, their responses are not independent, and intervals here are too narrow."
            )
        if "templates" not in self.own:
            yield "The response formats of the templates are unknown: there is no rate by response format."
        if self.templates == 1:
            yield "All prompts have one template, or the files do not name it: nothing is said about templates."
        if not self.options:
            yield (
                "The options of the prompts are unknown: responses are read as free chat, and no chosen option is "
                "known. Name them in the config (responses.options)."
            )
        yield "The responses were not made by this workflow: how they were sampled and cut is not known here."


def with_files(config: Config, root: Path) -> Config:
    """The config with the names of the files of responses in place of patterns such as out/*/samples_*.jsonl.

    Raises
    ------
    InputError
        A file is absent or is a folder, or a pattern matches none.
    """
    given = config.responses
    if given is None:
        return config
    paths: list[str] = []
    for path in given.paths:
        if "*" in path:
            paths += (found := sorted(glob.glob(path, root_dir=root, recursive=True)))  # noqa: PTH207 (absolute patterns)
            if not found:
                raise InputError(f"responses.paths: no file matches {path}")
        else:
            paths.append(path)
    for path in (*paths, *filter(None, [given.prompts])):
        if (root / path).is_dir():
            raise InputError(f"responses: {path} is a folder; name its files, such as {path.rstrip('/')}/*.jsonl")
        if not (root / path).is_file():
            raise InputError(f"responses: no such file {path}")
    return config.model_copy(update={"responses": given.model_copy(update={"paths": tuple(dict.fromkeys(paths))})})


def imported(config: Config, root: Path) -> tuple[Config, Imported]:
    """The config with what follows from the files of responses: materials, tasks, labellers.

    The files are read once, and again when they, the config or the code that reads them change; what was found is kept
    in results/<study>/imported.

    Raises
    ------
    InputError
        For a mistake in the files, or in how the config reads them.
    """
    assert config.responses is not None
    folder = Path(Files(config.study).imported)
    found = Imported(**found_in_files(config, root))
    own = {kind: getattr(config.materials, kind) for kind in own_materials(config)}
    given = {kind: str(folder / f"{kind}.csv") for kind in MATERIALS} | own
    options = {
        word: config.responses.options[word] for word in found.task_words.values() if word in config.responses.options
    }
    if unknown := [word for word in config.responses.options if word not in options]:
        tasks = ", ".join(found.task_words.values())
        raise InputError(f"responses.options: '{unknown[0]}' is not a task of the files; they have {tasks}")
    found = Imported(**{**found.__dict__, "own": tuple(own), "options": bool(options)})
    changes = {
        "materials": config.materials.model_copy(update=given),
        "tasks": {name: _task(config.responses, options.get(found.task_words[name], ())) for name in found.tasks},
        "models": found.models,
        "design": config.design.model_copy(update={"baseline": found.baseline, "kind": "nested"}),
        "labellers": labellers_of(config, found.fields),
        "comparison": "none",
    }
    return config.model_copy(update=changes), found


def labellers_of(config: Config, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The labellers of imported responses: those of the config, else the verdicts that the files have and the rules."""
    if "labellers" in config.model_fields_set:
        chosen = config.labellers
    else:
        chosen = (*((GIVEN,) if "verdict" in fields else ()), *(LABELLERS if "response" in fields else ()))
    if GIVEN in chosen and "verdict" not in fields:
        raise InputError(f"labellers: '{GIVEN}' needs a column of verdicts; name it as responses.columns.verdict")
    if "response" not in fields and (set(chosen) - {GIVEN} or config.judges or config.classifiers):
        raise InputError(f"labellers: the files have no responses to read; write labellers: [{GIVEN}] and no others")
    return chosen


def own_materials(config: Config) -> tuple[str, ...]:
    """The materials that the study names itself; those of a study with tasks are all its own."""
    return MATERIALS if config.tasks else tuple(kind for kind in MATERIALS if kind in config.materials.model_fields_set)


def names_in_files(config: Config, root: Path, own: Sequence[str]) -> dict[str, dict[str, str]]:
    """The names of the study's own materials, by the words that files of responses may have for them."""
    from falserefusal.common.files import read_csv
    from falserefusal.study.materials import load_personas

    files = config.materials
    known: dict[str, dict[str, str]] = {}
    if "models" in own:
        rows = read_models(files.models, root)
        known["models"] = {
            word: name
            for name, row in rows.items()
            for word in (
                name,
                row.hub_id,
                (row.hub_id or "").replace("/", "__"),
                row.imported,
            )  # as a folder's name, too
            if word
        }
    if "personas" in own:
        table = load_personas(root / files.personas)
        columns = [table[column] for column in ("printed", "surface", "persona")]
        known["personas"] = {
            word: name for words in columns for word, name in zip(words, table["persona"], strict=True)
        }
    if "templates" in own:
        known["templates"] = {name: name for name in read_csv(root / files.templates)["template"]}
    return known


def _task(given: Responses, options: tuple[str, ...]) -> Task:
    """A task whose texts are in the file of responses; options are empty where they are unknown."""
    columns = {"gold_label": "-", "text": "text"}
    shared = {"may_be_shared": given.may_be_shared}
    source = FileSource.model_validate({"kind": "file", "path": given.paths[0], "columns": columns} | shared)
    return Task.model_construct(source=source, options=options, layout=WHOLE)


def found_in_files(config: Config, root: Path) -> dict[str, Any]:
    """What the files of responses hold, from the last start if nothing changed."""
    given, folder = config.responses, Path(Files(config.study).imported)
    assert given is not None
    own = [str(getattr(config.materials, kind)) for kind in own_materials(config)]
    read = [*given.paths, *filter(None, [given.prompts]), *own]
    code = {str(path.relative_to(HERE)): identified(path) for path in sorted(HERE.rglob("*.py"))}
    key = {
        "given": given.model_dump(mode="json"),
        "read": {path: identified(root / path) for path in read},
        "code": code,
    }
    index = folder / "index.json"
    if index.is_file():
        kept = json.loads(index.read_text(encoding="utf-8"))
        if kept["key"] == json.loads(json.dumps(key)):
            return dict(kept["found"])
    return _read(config, given, root, folder, key)


def _read(config: Config, given: Responses, root: Path, folder: Path, key: Mapping[str, Any]) -> dict[str, Any]:
    from falserefusal.common.files import write_json  # reads pandas, which Snakemake's start can do without
    from falserefusal.exchange.levels import check_texts, facts, named, write_materials
    from falserefusal.exchange.tidy import read_responses

    raw = read_responses(given.model_dump(), root)
    names = names_in_files(config, root, own_materials(config))
    frame = named(raw, {"models": names["models"]} if config.tasks else names)
    if not config.tasks:
        check_texts(raw)
        write_materials(raw, frame, folder)
    elif "prompt_id" not in raw:
        raise InputError(
            "responses.columns: no column of prompt_id, which responses to the study's own prompts need; map it to the "
            "column of the ids that `snakemake export` wrote, or leave tasks out"
        )
    found = facts(raw, frame)
    write_json({"key": key, "found": found}, folder / "index.json")
    return found

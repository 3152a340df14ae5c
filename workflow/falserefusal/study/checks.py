"""What is wrong with a study by its config and materials together, found before the first job starts."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from falserefusal.common.addresses import server_address
from falserefusal.common.errors import InputError
from falserefusal.common.hub import content_of
from falserefusal.labelling.judge_prompt import load_judge_prompt
from falserefusal.labelling.languages import languages
from falserefusal.labelling.ordinary import is_ordinary
from falserefusal.labelling.patterns import read_grammar
from falserefusal.labelling.structured import StructuredLabeller
from falserefusal.study.config import AVERAGES, Config
from falserefusal.study.files import STORE
from falserefusal.study.materials import Model, load_personas, load_phrases, load_templates, read_models
from falserefusal.study.problems import hint
from falserefusal.study.workload import Texts, asked_of_one_model, most_texts

log = logging.getLogger(__name__)


def check_patterns(config: Config, root: Path) -> None:
    """Read the patterns of the labeller structured; warn of options that it reads only in answer position.

    Such an option is an ordinary word of the language, or a single sign.
    """
    if config.patterns is None or "structured" not in config.rule_labellers:
        return
    ordinary = read_grammar(root / config.patterns).ordinary
    if config.materials.patterns:
        StructuredLabeller.load(root / config.materials.patterns)
    for task, settings in config.tasks.items():
        if words := [repr(option) for option in settings.options if is_ordinary(option, ordinary)]:
            log.warning(
                f"tasks.{task}.options: {', '.join(words)}: the labeller 'structured' reads an ordinary word or single "
                "sign only where an answer is given ('B', '(B)', 'The answer is B'), not within a sentence"
            )


def warn_of_language(config: Config, headline: str) -> None:
    """Say which labellers a language without patterns or phrases leaves, and whose rates are the study's."""
    if config.without_data:
        left = ", ".join((*config.rule_labellers, *config.judges, *config.classifiers))
        log.warning(
            f"language: {', '.join(config.without_data)} cannot label in '{config.language}': patterns and refusal "
            f"phrases come with {', '.join(languages())}. What remains: {left}. The rates of the study are those of "
            f"{headline} (docs/how-to/languages.md)"
        )


def check_materials(config: Config, rows: Mapping[str, Model], root: Path, sized: bool = True) -> None:
    """Raise InputError for every mistake that some job would trip over.

    Materials are read as the jobs read them; the questions of every template are filled, and the design is sized. Of
    files of texts, the embedded ones are read, and small ones of the user.

    Parameters
    ----------
    rows
        The models file's rows of the study's models and judges, by name.
    sized
        Whether to size the design; responses from elsewhere may bring their own prompts.
    """
    found = [
        *_names(config, rows),
        *_dummies(config, rows),
        *_judges(config, root),
        *_servers(config, rows),
        *_packages(rows, root),
        *_trusted(config, root),
        *_texts(config, root),
        *_standins(config, root),
        *_articles(config, root),
        *_limit(config, root),
        *dict.fromkeys(_results(config, root)),
    ]
    if found:
        raise InputError("\n".join(found))
    if config.refusal_phrases:
        load_phrases(root / config.refusal_phrases)
    if not sized:
        return
    texts = {}
    for task, settings in config.tasks.items():
        texts[task] = Texts(most_texts(task, settings, config.seed, root), 0.0)
    asked_of_one_model(config, texts, root)


def check_keys(paths: Iterable[str | Path]) -> None:
    """Raise InputError for a key that a config file has twice: YAML would silently drop the first."""
    for path in paths:
        try:
            root = yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # Snakemake has read the file, or says why it cannot
        nodes = [root] if root else []
        while nodes:
            node = nodes.pop()
            if isinstance(node, yaml.SequenceNode):
                nodes += node.value
            elif isinstance(node, yaml.MappingNode):
                seen: dict[str, int] = {}
                for key, value in node.value:
                    line = key.start_mark.line + 1
                    if key.value in seen and isinstance(key, yaml.ScalarNode):
                        first = seen[key.value]
                        raise InputError(f"{path}: line {line}: '{key.value}' is also in line {first}; keep one")
                    seen[str(key.value)] = line
                    nodes.append(value)


def check_readable(path: Path, shown: str) -> None:
    """Raise InputError for a file that may not be read; `shown`: its key and path."""
    try:
        path.open("rb").close()
    except OSError as error:
        problem = f"may not be read ({(error.strerror or str(error)).lower()}); correct its permissions"
        raise InputError(f"{shown} {problem}") from None


def _results(config: Config, root: Path) -> Iterator[str]:
    """Where results go must be folders that may be written."""
    for name in (f"results/{config.study}", STORE, "results/logs"):
        place = root / name
        while not place.exists() and place != root:
            place = place.parent
        shown = place.relative_to(root)
        if not place.is_dir():
            yield f"{shown}: is a file, but results need a folder of this name; move or rename the file"
        elif not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            yield f"{shown}: you may not write to this folder; correct its permissions, or work in your own copy"


def _dummies(config: Config, rows: Mapping[str, Model]) -> Iterator[str]:
    """Fixed responses may not pass for a model's, so models and dummies are not in one study."""
    judges = {judge.model for judge in config.judges.values()}
    if config.checkpoints.kind == "standins":
        return
    asked = {name: row.is_dummy for name, row in rows.items() if name not in judges}
    if len(set(asked.values())) > 1:
        dummies = ", ".join(name for name, dummy in asked.items() if dummy)
        yield f"models: {dummies}: a study has either dummies or real models; list only one kind under 'models'"
    for name in judges:
        if name in rows and rows[name].is_dummy:
            yield f"judges: the model {name} is a dummy, which cannot judge; name a model with hub_id or server"


def _names(config: Config, rows: Mapping[str, Model]) -> Iterator[str]:
    judges = {judge.model for judge in config.judges.values()}
    for name in rows:
        if name in AVERAGES and name not in judges:
            yield f"models: '{name}' is the name of {AVERAGES[name]} in tables; give the model another name"
    shards = config.inference.shards
    for name in shards if isinstance(shards, dict) else ():
        if name not in rows:
            yield f"inference.shards: '{name}' is not a model of the study; {hint(name, rows)}"


def _judges(config: Config, root: Path) -> Iterator[str]:
    """The prompt of a judge and its form are read before the first model is asked."""
    for name, judge in config.judges.items():
        try:
            load_judge_prompt(root / judge.prompt)
        except InputError as error:
            yield f"judges.{name}.prompt: {str(error).replace(f'{root}/', '')}"


def _servers(config: Config, rows: Mapping[str, Model]) -> Iterator[str]:
    for name, row in rows.items():
        if row.server and row.server not in config.servers:
            known = hint(row.server, config.servers) if config.servers else "the config has no servers yet"
            yield f"servers: no '{row.server}', which is the server of {name} in {config.materials.models}; {known}"
    yield from _served_twice(config, rows)


def _served_twice(config: Config, rows: Mapping[str, Model]) -> Iterator[str]:
    """Two models under one name of one server are the same model, unless they differ in their system prompts alone."""
    seen: dict[tuple[str, str | None], list[Model]] = {}
    for row in rows.values():
        if row.server not in config.servers:
            continue
        place = server_address(config.servers[row.server].base_url), row.served
        for other in seen.setdefault(place, []):
            variants = row.checkpoint == other.checkpoint and row.system_prompt != other.system_prompt
            if not (variants and row.hub_id == other.hub_id):
                yield (
                    f"models: {other.model} and {row.model} are both the model '{row.served}' of the server "
                    f"'{row.server}' in {config.materials.models}; correct served_model, or leave one of them out"
                )
        seen[place].append(row)


def _packages(rows: Mapping[str, Model], root: Path) -> Iterator[str]:
    """Weights from a package are known by the package, so an edited copy of them would pass for the real ones."""
    kept = {str(row.weights): row.weights_record for row in rows.values() if row.package}
    for folder, record in kept.items():
        if (root / folder).is_dir() and (root / record).is_file():
            recorded = json.loads((root / record).read_text(encoding="utf-8"))["revision"]
            if content_of(root / folder) != recorded:
                yield f"{folder}: changed since it was fetched; remove {folder} and {record} to fetch it again"


def _trusted(config: Config, root: Path) -> Iterator[str]:
    """A name that is no model's trusts nobody, and its model would fail for want of that trust."""
    if not config.inference.trust_remote_code:
        return
    models = read_models(config.materials.models, root)
    for name in config.inference.trust_remote_code:
        if name not in models:
            yield (
                f"inference.trust_remote_code: '{name}' is not a model of {config.materials.models}; "
                f"{hint(name, models)}"
            )


def _texts(config: Config, root: Path) -> Iterator[str]:
    for task, settings in config.tasks.items():
        path = settings.source.path
        if path is not None and not (root / Path(path).expanduser()).is_file():
            yield f"tasks.{task}.source.path: no such file {path}"
        elif path is not None:
            check_readable(root / Path(path).expanduser(), f"tasks.{task}.source.path: {path}")


def _limit(config: Config, root: Path) -> Iterator[str]:
    """A trial needs at least one prompt with a persona of each task, and those that are compared with it."""
    from falserefusal.design.blocked import group_size

    if config.limit is None:
        return
    named = config.personas
    personas = len(load_personas(root / config.materials.personas, None if isinstance(named, str) else named))
    together = group_size(personas) if config.design.kind == "blocked" else 1
    least = len(config.tasks) * (together + config.design.has_baseline)
    if config.limit < least:
        tasks = f"{len(config.tasks)} task{'s' if len(config.tasks) > 1 else ''}"
        yield f"limit: {config.limit} prompts are too few for {tasks}; write {least} or more"


def _articles(config: Config, root: Path) -> Iterator[str]:
    """Without a column `article`, a persona has "a" or "an", which only English has."""
    from falserefusal.common.files import read_csv

    if config.language == "en" or "article" in read_csv(root / config.materials.personas):
        return
    templates = load_templates(root / config.materials.templates, list(config.tasks), _wanted(config))
    places = templates[["text", "system_text"]].apply(lambda column: column.str.contains(r"\{[Aa]rticle\}")).any(axis=1)
    if places.any():
        first = templates["template"][places].iloc[0]
        yield (
            f"{config.materials.personas}: column 'article' is missing, but template '{first}' of "
            f"{config.materials.templates} has {{article}}; add the column (empty for a persona without an article)"
        )


def _standins(config: Config, root: Path) -> Iterator[str]:
    """A stand-in looks for the persona in the question, and its planted rates are known without system_text only."""
    if config.checkpoints.kind != "standins":
        return
    path = config.materials.templates
    templates = load_templates(root / path, list(config.tasks), _wanted(config))
    adds = templates[(templates["system_text"] + templates["baseline_system_text"]) != ""]
    if len(adds):
        yield (
            f"checkpoints.kind: stand-ins read the persona in the question, but template '{adds['template'].iloc[0]}' "
            f"of {path} has a system_text; leave it out, or ask models from the hub"
        )


def _wanted(config: Config) -> tuple[str, ...] | None:
    """The templates that the config names; None for all."""
    return None if isinstance(config.templates, str) else config.templates

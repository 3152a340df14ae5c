"""Turn attributes of a study into the functions that Snakemake calls for the inputs, params and resources of a job.

Rules take everything that a config or a data file says through these functions, because Snakemake replaces {words} in
the strings and lists that stand in a rule, but not in what a function returns.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pydantic import BaseModel

from falserefusal.common.addresses import shown_source
from falserefusal.common.hashes import identified, sha256_of
from falserefusal.study.published import PublishedStudy
from falserefusal.study.study import Study

CODE = "workflow/"  # begins the path of every file of code
Answer = Callable[[Any], Any]  # a function of a job's wildcards


@dataclass(frozen=True)
class Rules:
    """Questions of rules to the study of a config, or to the published study where the wildcard {study} names it."""

    study: Study | PublishedStudy
    published: PublishedStudy

    @property
    def _own(self) -> Study:
        """The study of a config; the published study has no tasks or inference jobs."""
        if not isinstance(self.study, Study):
            raise TypeError("the published study has no tasks and no inference jobs")
        return self.study

    def _under(self, wildcards: Any) -> Study:
        """The study of a config, under the choice that the wildcard {study} names, if any."""
        name = wildcards.get("study")
        return self._own if name in (None, self.study.name) else self._own.by_name[name]

    def of(self, attribute: str, *names: str) -> Answer:
        """Ask the job's study for an attribute.

        Parameters
        ----------
        attribute
            Its name, with dots for one of a part of the config, such as `config.prompts.system`.
        names
            For a method: the wildcards it is called with. One that the job does not have is None.
        """
        get = attrgetter(attribute)

        def answer(wildcards: Any) -> Any:
            found = get(self._of_job(wildcards))
            return plain(found(*map(wildcards.get, names)) if names else found)

        return answer

    def of_task(self, key: str) -> Answer:
        """Ask for one setting of the job's task."""
        return lambda wildcards: plain(getattr(self._under(wildcards).task(wildcards.task), key))

    def needs(self, resource: str) -> Callable[[Any, int], int]:
        """Ask for a resource of the n-th attempt at an inference job."""

        def answer(wildcards: Any, attempt: int) -> int:
            return int(getattr(self._under(wildcards).needs(self._inference_job(wildcards), attempt), resource))

        return answer

    @property
    def gpu_type(self) -> dict[str, Callable[[Any], str | None]]:
        """The resources that name the type of GPU, where config/gpus.csv has names; None for a job without GPUs."""

        def of_job(name: str) -> Callable[[Any], str | None]:
            return lambda wildcards: name if self._inference_job(wildcards).gpu else None

        return {resource: of_job(name) for resource, name in self._own.gpu_type.items()}

    @property
    def planned_gpus(self) -> Callable[[Any, Any], int]:
        """The GPUs that an inference job asks for; another GPU type in the config runs no job again."""
        return untracked(lambda wildcards: self._inference_job(wildcards).gpu)

    def _of_job(self, wildcards: Any) -> Study | PublishedStudy:
        if wildcards.get("study") == self.published.name:
            return self.published
        return self._under(wildcards) if isinstance(self.study, Study) else self.study

    def _inference_job(self, wildcards: Any) -> Any:
        return self._under(wildcards).job(wildcards.model, wildcards.get("judge"), wildcards.get("classifier"))


def untracked(answer: Answer) -> Callable[[Any, Any], Any]:
    """A param that a job needs but that does not change its result, so that a new value runs nothing again.

    Snakemake does not compare params that depend on `threads` with those of the last run.
    """
    return lambda wildcards, threads: answer(wildcards)


def without_secrets(answer: Answer) -> Answer:
    """The param with a task's source, without what may be secret in its URL: Snakemake keeps params and prints them.

    A checksum stands for the URL, so that another URL runs the rule again.
    """

    def hidden(wildcards: Any) -> Any:
        source = answer(wildcards)
        checksum = hashlib.sha256(str(source.get("url")).encode()).hexdigest()[:8]
        return shown_source(source) | ({"url_checksum": checksum} if source.get("url") else {})

    return hidden


def content_of_data(files: Iterable[str]) -> dict[str, Any]:
    """The content of the files of data in `files`: a param, so that an edit with an old time stamp re-runs the rule."""
    return {file: identified(file) for file in sorted(files) if not file.startswith(CODE)}


def content_of_code(files: Iterable[str]) -> str:
    """The content of all code in `files` as one checksum, for the same purpose."""
    checksums = " ".join(sha256_of(file) for file in sorted(files) if file.startswith(CODE))
    return hashlib.sha256(checksums.encode()).hexdigest()


def plain(value: Any) -> Any:
    """A part of a config as plain data, which any environment can read; other values as they are."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    return {key: plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def any_of(names: Iterable[str]) -> str:
    """A wildcard's constraint: one of these names. Without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"

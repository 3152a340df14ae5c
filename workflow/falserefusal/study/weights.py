"""Weights of the hub that are deleted after use (inference.keep_weights: false): where they are, and in which order.

The order is: models, then judges, then classifiers. Weights are downloaded when every job of the weights before them is
done. A model that is also a judge is downloaded twice: if its weights stayed from the one use to the other, the disk
would hold them next to those of other models.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from falserefusal.common.hub import is_folder
from falserefusal.study.files import classifier_record

if TYPE_CHECKING:
    from falserefusal.study.study import Study

MODELS, JUDGES, CLASSIFIERS = "models", "judges", "classifiers"
USES = (MODELS, JUDGES, CLASSIFIERS)


class Key(NamedTuple):
    """Names a download; its parts are the wildcards of the rule."""

    use: str  # one of USES
    weights: str  # the first of the models, judging models or classifiers that share the weights


class Download(NamedTuple):
    """Weights of the hub in one use.

    source: model, hub_id and revision, in the form of `Study.load_settings`; record: the file that has their commit;
    results: what the jobs that load them write.
    """

    source: dict[str, Any]
    record: str
    results: list[str]


class Downloads:
    """The weights of the hub that a study uses. Jobs are named by their wildcards."""

    def __init__(self, study: "Study"):
        self.study = study
        self.in_order: dict[Key, Download] = {}
        self._of_user: dict[tuple[str, str], Key] = {}
        first: dict[tuple[str, Any, Any], Key] = {}
        for use, name, source, record in _sources(study):
            key = first.setdefault((use, source["hub_id"], source.get("revision")), Key(use, name))
            self._of_user[use, name] = key
            self.in_order.setdefault(key, Download(source, record, [])).results.extend(_results(study, use, name))

    @property
    def hub_ids(self) -> list[str]:
        """The hub's names of the weights."""
        return sorted({download.source["hub_id"] for download in self.in_order.values()})

    @property
    def home(self) -> str | None:
        """The folder of all weights that are deleted after use; None: they are kept in the hub's cache."""
        return None if self.study.keep_weights else self.study.files.all_weights_in_use

    # of one download

    def source(self, use: str, weights: str) -> dict[str, Any]:
        """What is downloaded, in the form of `Study.load_settings`."""
        return self.in_order[Key(use, weights)].source

    def record(self, use: str, weights: str) -> str:
        """The record with the commit to download, if there is one yet."""
        return self.in_order[Key(use, weights)].record

    def folders_before(self, use: str, weights: str) -> list[str]:
        """The folders of the weights that come before."""
        return [self.study.files.weights_in_use(*key) for key in self._before(Key(use, weights))]

    def results_before(self, use: str, weights: str) -> list[str]:
        """What the jobs of all weights write that come before."""
        return [result for key in self._before(Key(use, weights)) for result in self.in_order[key].results]

    def _before(self, key: Key) -> list[Key]:
        keys = list(self.in_order)
        return keys[: keys.index(key)]

    # of one job; [], if it loads no weights that are deleted after use

    def folder(self, model: str | None, judge: str | None = None, classifier: str | None = None) -> str | list[str]:
        """The folder of the weights that a job loads."""
        key = self._loaded(model, judge, classifier)
        return self.study.files.weights_in_use(*key) if key else []

    def turn(self, model: str | None, judge: str | None = None, classifier: str | None = None) -> str | list[str]:
        """The file that a job waits for: it is the turn of its weights."""
        key = self._loaded(model, judge, classifier)
        return self.study.files.weights_turn(*key) if key else []

    def recorded_folder(self, model: str | None, classifier: str | None) -> str | list[str]:
        """The folder that the record of a model or classifier is made from."""
        key = self._loaded(model, None, classifier) or self._used(JUDGES, model)
        return self.study.files.weights_in_use(*key) if key else []

    def _loaded(self, model: str | None, judge: str | None, classifier: str | None) -> Key | None:
        if judge:
            return self._used(JUDGES, self.study.judge_model(judge))
        return self._used(CLASSIFIERS, classifier) if classifier else self._used(MODELS, model)

    def _used(self, use: str, name: str | None) -> Key | None:
        """The weights of a model, judging model or classifier, if they are deleted after use."""
        return None if self.study.keep_weights else self._of_user.get((use, str(name)))


def _sources(study: "Study") -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Use, name, source and record of everything that loads weights of the hub, in the order of use."""
    asked = () if study.standins else study.models
    for use, names in ((MODELS, asked), (JUDGES, study.judge_models)):
        for name in names:
            row = study.rows[name]
            if row.on_hub:
                yield use, name, _source(row.model_dump()), row.weights_record
    for name in study.config.classifiers:
        settings = study.classifier_settings(name)
        if not is_folder(settings["hub_id"]):
            yield CLASSIFIERS, name, _source(settings), classifier_record(name)


def _source(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("model", "hub_id", "revision") if row.get(key) is not None}


def _results(study: "Study", use: str, name: str) -> Iterable[str]:
    """What the jobs write that load the weights of a model, judging model or classifier."""
    models = study.reported_models
    if use == MODELS:
        return [study.files.responses(name)]
    if use == CLASSIFIERS:
        return [study.files.scores(name, model) for model in models]
    judges = [judge for judge in study.config.judges if study.judge_model(judge) == name]
    return [study.files.judge_responses(judge, model) for judge in judges for model in models]

"""Outcomes of one labeller, read one model at a time.

A study may have tens of millions of outcomes. No estimate needs all of them at once: each is a function of sums over
the responses of a model, and what must be joined over models (counts by text, permuted prompts) is far smaller.
Memory therefore grows with the outcomes of one model.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from falserefusal.common.errors import InputError
from falserefusal.common.files import atomic, validate
from falserefusal.common.schemas import BASELINE, OUTCOME_LEVELS, OUTCOMES

Reader = Callable[[list[str]], pd.DataFrame]
# with the same categories in every row group
SHARED_LEVELS = [*(level for level in OUTCOME_LEVELS if level != "model"), "sample"]


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of one labeller, of which one model at a time is in memory.

    readers: for each model, in level order, a function that reads the given columns of its outcomes.
    baseline: whether prompts without a persona are included.

    All models have the same categories in a column, so codes of different models agree.
    """

    readers: Mapping[str, Reader]
    baseline: bool = True

    def parts(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield the outcomes of each model that has any, with `columns` and refusal; model is always among them."""
        names = list(self.readers)
        needed = list(dict.fromkeys([*columns, "refusal"]))
        read = [c for c in (needed if self.baseline else dict.fromkeys([*needed, "persona"])) if c != "model"]
        for number, reader in enumerate(self.readers.values()):
            part = reader(read)
            if not self.baseline:
                part = part[(part["persona"] != BASELINE).to_numpy()]
            if len(part):
                code = np.full(len(part), number, np.int32)
                yield part.assign(model=pd.Categorical.from_codes(code, categories=names))

    def without_baseline(self) -> "Outcomes":
        """Leave out the prompts without a persona."""
        return replace(self, baseline=False)

    def present(self, column: str) -> list[str]:
        """Levels of `column` that occur, in level order."""
        seen: np.ndarray | None = None
        names: list[str] = []
        for part in self.parts([column]):
            names = list(part[column].cat.categories)
            found = np.bincount(part[column].cat.codes, minlength=len(names)) > 0
            seen = found if seen is None else seen | found
        return [] if seen is None else [names[k] for k in np.flatnonzero(seen)]


def outcomes_of_frame(frame: pd.DataFrame) -> Outcomes:
    """The outcomes of a frame that is in memory; factors that are not categorical get levels in order of occurrence."""
    frame = _numbered(frame)
    factors = [c for c in OUTCOME_LEVELS if c in frame and not isinstance(frame[c].dtype, pd.CategoricalDtype)]
    coded = frame.assign(**{c: pd.Categorical(frame[c], categories=frame[c].dropna().unique()) for c in factors})
    if "model" not in coded:
        return Outcomes({"": lambda columns: coded[columns]})
    names, code = coded["model"].cat.categories, coded["model"].cat.codes.to_numpy()
    return Outcomes({name: _rows(coded, code == k) for k, name in enumerate(names)})


def outcomes_of_models(frames: Mapping[str, pd.DataFrame]) -> Outcomes:
    """The outcomes of one frame for each model, with the same categories in all."""
    return Outcomes({model: _rows(frame, np.ones(len(frame), bool)) for model, frame in frames.items()})


def frame_of(outcomes: Outcomes) -> pd.DataFrame:
    """All outcomes in memory, as one frame; for comparisons that pair two studies response by response."""
    columns = ["model", *SHARED_LEVELS, "draw"]
    return pd.concat(outcomes.parts(columns), ignore_index=True)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the column sample; where it is absent, every prompt has one."""
    return frame if "sample" in frame else frame.assign(sample=pd.Categorical(["0"]).repeat(len(frame)))


def _rows(frame: pd.DataFrame, mask: np.ndarray) -> Reader:
    part = frame if mask.all() else frame[mask]
    return lambda columns: part[columns]


def outcomes_of_file(path: str | Path, labeller: str) -> Outcomes:
    """The outcomes of one labeller in a file of `write_outcomes`.

    Raises
    ------
    InputError if the file does not exist or has no verdicts of the labeller.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    with pyarrow.parquet.ParquetFile(path) as file:
        place = {name: file.schema_arrow.names.index(name) for name in ("model", "labeller")}
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    ranges = [[group.column(place[c]).statistics for c in ("model", "labeller")] for group in groups]
    if any(each.min != each.max for pair in ranges for each in pair):
        raise InputError(f"{path}: a row group has several models or labellers; delete the file and run again")
    keys = [(model.min, labeller.min) for model, labeller in ranges]
    levels: dict[str, pd.CategoricalDtype] = {}
    readers = {model: _row_group(path, k, levels) for k, (model, name) in enumerate(keys) if name == labeller}
    if not readers:
        known = ", ".join(dict.fromkeys(name for _, name in keys))
        raise InputError(f"{path}: no verdicts of labeller {labeller!r}; it has {known}")
    return Outcomes(readers)


def union_of_sorted(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The different values of two sorted arrays, sorted; in linear time, unlike np.union1d."""
    both = np.concatenate([one, other])
    both.sort(kind="stable")  # merges runs that are sorted already
    return both[np.r_[True, both[1:] != both[:-1]]] if len(both) else both


def levels_of_file(path: str | Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """Levels of each column of a file of `write_outcomes`, in level order."""
    levels: dict[str, dict[str, None]] = {column: {} for column in columns}
    with pyarrow.parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            part = file.read_row_group(number, columns=list(columns), use_threads=False).to_pandas()
            for column in columns:
                levels[column] |= dict.fromkeys(part[column].cat.categories)
    return {column: list(names) for column, names in levels.items()}


def _row_group(path: str | Path, number: int, levels: dict[str, pd.CategoricalDtype]) -> Reader:
    """Reader of a row group. `levels`, shared by all readers of a file, keeps the categories that were read before."""

    def read(columns: list[str]) -> pd.DataFrame:
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read_row_group(number, columns=columns, use_threads=False)
        return pd.DataFrame({column: _values(table[column].combine_chunks(), column, levels) for column in columns})

    return read


def _values(values: pa.Array, column: str, levels: dict[str, pd.CategoricalDtype]) -> pd.Series | pd.Categorical:
    """A column as pandas has it; the names of a level that all row groups share are converted only once."""
    if column not in SHARED_LEVELS:
        return values.to_pandas()
    if column not in levels:
        levels[column] = pd.CategoricalDtype(values.dictionary.to_pandas())
    return pd.Categorical.from_codes(values.indices.to_numpy(), dtype=levels[column], validate=False)


def write_outcomes(frames: Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write outcomes as Parquet, each frame (of one model and labeller) as one row group with all its categories.

    Except for model and labeller, a column must have the same categories in all frames: readers rely on it.
    """
    writer = None
    levels: dict[str, pd.Index] = {}
    with atomic(path) as part:
        try:
            for frame in (_numbered(frame) for frame in frames if len(frame)):
                levels = levels or {level: frame[level].cat.categories for level in SHARED_LEVELS}
                if not all(frame[level].cat.categories.equals(levels[level]) for level in SHARED_LEVELS):
                    raise ValueError(f"{path}: the models' outcomes differ in their categories")
                table = pa.Table.from_pandas(validate(frame, OUTCOMES, str(path)), preserve_index=False)
                if writer is None:
                    # a larger dictionary than this limit would be dropped, and with it the order of the levels
                    writer = pyarrow.parquet.ParquetWriter(
                        part, table.schema, compression="zstd", dictionary_pagesize_limit=2**30
                    )
                writer.write_table(table, row_group_size=len(table))
        finally:
            if writer is not None:
                writer.close()

"""An archive of a study that can be cited: tables, figures, page, verdicts and provenance in one zip, with checksums.

It holds no text of a data set, no prompt and no response, so that it can be passed on. The same study gives the same
bytes. Figures are drawn again from the archive alone:

    PYTHONPATH=workflow .venv/bin/python -m falserefusal.report.archive results/pilot/pilot.zip redrawn
"""

import dataclasses
import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.common.files import atomic, read_parquet
from falserefusal.common.notice import read_table, write_table
from falserefusal.common.schemas import DESIGN, VERDICTS
from falserefusal.figures.context import Context
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet

SUMS = "SHA256SUMS"
FIGURES = "figures.json"  # what the figures are drawn with, besides the tables
DATE = (1980, 1, 1, 0, 0, 0)  # of every file: the earliest that a zip can hold
README = """{banner}Study {name}: false refusal under personas

tables/           estimates with intervals; report/index.html explains every table and column
figures/          each figure as PNG, PDF and CSV
report/           the page, without responses and prompts
verdicts/         for each model and response: labeller, verdict, category, chosen option (not the words it rests on)
design.csv        what each prompt_id is: task, row of the data set, persona, template
provenance.json   config, data checksums, versions, models
SHA256SUMS        check with: sha256sum --check SHA256SUMS

Texts of data sets, prompts and responses are not included; provenance.json names the data sets.
Draw the figures again, in a checkout of the code whose commit provenance.json names:

    PYTHONPATH=workflow .venv/bin/python -m falserefusal.report.archive {name}.zip redrawn
"""


def write_archive(path: str | Path, files: Mapping[str, Path | bytes]) -> None:
    """Write `files` into a zip whose bytes depend on nothing but their names and contents.

    Parameters
    ----------
    files : for each name in the archive a path or the content; SHA256SUMS is added
    """
    content = {name: given if isinstance(given, bytes) else given.read_bytes() for name, given in files.items()}
    sums = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)]
    content[SUMS] = "".join(sums).encode()
    with atomic(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, content[name], compresslevel=9)


def made_files(
    context: Context, figures: FigureSet, verdicts: Mapping[str, str | Path], design: str | Path
) -> dict[str, bytes]:
    """Return the files that exist only in the archive, by name.

    Parameters
    ----------
    verdicts : the file of verdicts of each model
    design : the file of the design
    """
    about = {"context": dataclasses.asdict(context), "figures": dataclasses.asdict(figures)}
    banner = f"{context.banner}.\n\n" if context.banner else ""
    made = {
        "README.txt": README.format(name=context.study, banner=banner).encode(),
        FIGURES: f"{json.dumps(about, indent=1, ensure_ascii=False)}\n".encode(),
        "design.csv": _csv(read_parquet(design, DESIGN), context),
    }
    for model, path in verdicts.items():
        rows = read_parquet(path, VERDICTS).drop(columns=["evidence", "match"], errors="ignore")  # words of responses
        made[f"verdicts/{model}.csv"] = _csv(rows, context)
    return made


def redraw(archive: str | Path, folder: str | Path) -> list[str]:
    """Draw the figures of an archive from its tables, after a check of its checksums.

    Returns
    -------
    The names of the figures.

    Raises
    ------
    InputError if `archive` is not one, or a file in it has another checksum.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        try:
            with zipfile.ZipFile(archive) as packed:
                _check(packed, archive)
                names = [name for name in packed.namelist() if name.startswith("tables/")]
                packed.extractall(unpacked, [*names, FIGURES])
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{archive}: not an archive of a study ({error}); make one: snakemake archive") from None
        about = json.loads(Path(unpacked, FIGURES).read_text(encoding="utf-8"))
        tables = {Path(name).stem: read_table(Path(unpacked, name)) for name in names}
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in about["figures"].items()
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    index = draw_figures(FigureSet(**given).figures(), tables, Context(**about["context"]), folder)
    return list(index["name"])


def _check(packed: zipfile.ZipFile, archive: str | Path) -> None:
    for digest, name in _sums(packed.read(SUMS).decode()):
        if hashlib.sha256(packed.read(name)).hexdigest() != digest:
            raise InputError(f"{archive}: {name} has another checksum than in {SUMS}; get the archive again")


def _sums(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        yield digest, name


def _csv(frame, context: Context) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_table(frame, Path(folder, "x.csv"), context.banner)
        return Path(folder, "x.csv").read_bytes()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python -m falserefusal.report.archive ARCHIVE.zip FOLDER")
    try:
        drawn = redraw(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"Error: {error}")
    print(f"{len(drawn)} figures in {sys.argv[2]}")

"""The archive of a study: the same bytes each time, no words of texts or responses, figures from it alone."""

import hashlib
import json
import zipfile

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.files import write_parquet
from falserefusal.common.notice import write_table
from falserefusal.common.schemas import VERDICTS
from falserefusal.figures.context import Context
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet
from falserefusal.report import archive


def test_the_same_files_give_the_same_bytes_and_checksums_hold(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("x\n1\n")
    archive.write_archive(tmp_path / "one.zip", {"b.txt": b"b", "tables/a.csv": table})
    table.touch()
    archive.write_archive(tmp_path / "two.zip", {"tables/a.csv": table, "b.txt": b"b"})
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert packed.namelist() == ["SHA256SUMS", "b.txt", "tables/a.csv"]
        for line in packed.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(packed.read(name)).hexdigest() == digest


def test_verdicts_are_packed_without_the_words_they_rest_on(tmp_path, monkeypatch):
    row = {"prompt_id": "p", "labeller": "phrase_list", "verdict": "refused", "category": "refused", "choice": None}
    write_parquet(pd.DataFrame([row | {"evidence": "SECRET WORDS", "match": "SECRET"}]), tmp_path / "v", VERDICTS)
    monkeypatch.setattr(archive, "DESIGN", None)
    context = Context("small", {}, {}, banner="REHEARSAL")
    made = archive.made_files(context, FigureSet("run"), {"A": tmp_path / "v"}, tmp_path / "v")
    del made["design.csv"]  # here the same file
    assert made["verdicts/A.csv"].decode().splitlines()[0] == "prompt_id,labeller,verdict,category,choice,study"
    assert made["README.txt"].startswith(b"REHEARSAL.")
    assert not any(b"SECRET" in content for content in made.values())


def test_figures_are_drawn_again_from_the_archive_alone(tmp_path, monkeypatch):
    whole = FigureSet("run", tasks=("politeness",), printed=())
    tables = {"rates_persona": pd.DataFrame({"scope": ["all"], "persona": ["x"], "rate": [0.2], "n": [10]})}
    context = Context("small", {"A": "a"}, {"x": "g"})
    figure = next(figure for figure in whole.figures() if figure.tables == ("importance",))
    monkeypatch.setattr(FigureSet, "figures", lambda self: [figure])  # its table is absent: a page that says so
    draw_figures([figure], tables, context, tmp_path)
    about = {"context": vars(context), "figures": vars(whole)}
    write_table(tables["rates_persona"], tmp_path / "rates_persona.csv", None)
    files = {"figures.json": json.dumps(about).encode(), "tables/rates_persona.csv": tmp_path / "rates_persona.csv"}
    archive.write_archive(tmp_path / "x.zip", files)
    assert archive.redraw(tmp_path / "x.zip", tmp_path / "again") == [figure.name]
    for ending in ("png", "csv"):
        again = tmp_path / "again" / f"{figure.name}.{ending}"
        assert again.read_bytes() == (tmp_path / f"{figure.name}.{ending}").read_bytes()


def test_an_archive_that_was_changed_is_refused(tmp_path):
    archive.write_archive(tmp_path / "x.zip", {"tables/a.csv": b"x\n1\n"})
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content.replace(b"1", b"2") if name.startswith("tables") else content)
    with pytest.raises(InputError, match=r"tables/a\.csv has another checksum than in SHA256SUMS"):
        archive.redraw(tmp_path / "x.zip", tmp_path)
    (tmp_path / "y.zip").write_text("no zip")
    with pytest.raises(InputError, match="not an archive of a study"):
        archive.redraw(tmp_path / "y.zip", tmp_path)

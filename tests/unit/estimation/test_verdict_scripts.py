"""The scripts that count verdicts and cells: what happens to models whose responses are missing."""

import pandas as pd
import pytest

from falserefusal.common.files import write_parquet
from falserefusal.common.schemas import ALL, BASELINE, DESIGN, VERDICTS
from script_job import run_script

PERSONAS = ["black", "man"]


@pytest.fixture
def count(root, tmp_path, monkeypatch):
    """Count verdicts and cells of models with a given number of missing responses to 40 prompts each."""
    monkeypatch.chdir(root)
    prompts = [f"q{k}" for k in range(40)]
    design = pd.DataFrame({"prompt_id": prompts, "persona": [*PERSONAS, BASELINE, "man"] * 10})
    constant = dict(task="nli", row_id="r", text_id="t", template="p1", format="unforced", draw=0, block="b")
    write_parquet(design.assign(**constant, interim_look=0, model=ALL), tmp_path / "design.parquet", DESIGN)

    def run(script, inputs, outputs, **params):
        return run_script(script, tmp_path, inputs, outputs, **params)

    def counts(**missing):
        files = []
        for model, number in missing.items():
            verdicts = pd.DataFrame({"prompt_id": prompts, "verdict": "answered", "category": "answered"})
            verdicts.loc[: number - 1, ["verdict", "category"]] = ["missing", "empty"]
            files.append(str(tmp_path / f"{model}.parquet"))
            write_parquet(verdicts.assign(labeller="structured", choice=None, evidence=None), files[-1], VERDICTS)
        given = {"verdicts": files, "design": str(tmp_path / "design.parquet")}
        shared = {"models": list(missing), "labeller": "structured"}
        tables = {f"verdict_{name}": f"{name}.csv" for name in ("shares", "categories")}
        tables = run("verdict_shares", given, tables, notice="", **shared)
        given |= {"shares": tables["verdict_shares"], "categories": tables["verdict_categories"]}
        outputs = {"outcomes": "outcomes.parquet", "cells": "cells.parquet"}
        cells = run("cells", given, outputs, personas=PERSONAS, templates=["p1"], **shared)["cells"]
        return pd.read_parquet(cells)

    return counts


def test_a_model_with_a_fifth_of_its_responses_missing_is_left_out(count, tmp_path):
    cells = count(Fine=1, Warned=3, Lost=8)
    assert cells.groupby("model", sort=False)["n"].sum().to_dict() == {"Fine": 39, "Warned": 37}
    output = (tmp_path / "verdict_shares.log").read_text()
    assert "Warned, nli: 3 of 40 responses (7.5%) are missing" in output and "Fine, nli" not in output
    assert "Lost, nli: 8 of 40 responses (20.0%)" in output and "left out of every estimate" in output


def test_without_any_model_left_the_study_stops_with_the_reasons(root, tmp_path, count, monkeypatch):
    ended = []
    monkeypatch.setattr("os._exit", lambda status: ended.append(status) or (_ for _ in ()).throw(SystemExit(status)))
    with pytest.raises(SystemExit):
        count(Empty=40, Half=20)
    message = (tmp_path / "cells.log").read_text()
    assert ended == [1] and "too many responses of every model are missing" in message
    assert "Empty, nli: 40 of 40 responses (100.0%)" in message and "categories.csv has the reasons" in message

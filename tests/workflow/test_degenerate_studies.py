"""Degenerate studies still give a report: one persona; no refusal at all."""

import pandas as pd
import pytest
import yaml

FEW = {"estimation": {"bootstrap": 100, "permutations": 99}}


@pytest.mark.parametrize(("rate", "personas"), [(0.3, ["nurse"]), (0, ["nurse", "poet"])], ids=["persona", "refusals"])
def test_one_persona_or_no_refusal_gives_a_report(checkout, root, rate, personas):
    config = yaml.safe_load((root / "config/template/study.yaml").read_text())
    config |= FEW | {"study": "edge", "personas": personas, "models": ["only"]}
    config["materials"]["models"] = "config/edge.csv"
    config["design"]["blocks_per_task"] = 20
    workflow = checkout()
    workflow.path("config/edge.csv").write_text(f"model,dummy\nonly,{rate}\n")
    workflow.path("config/edge.yaml").write_text(yaml.safe_dump(config))
    page = "results/edge/report/index.html"
    workflow.run(page, "--configfile", "config/edge.yaml")
    refusals = pd.read_csv(workflow.path("results/edge/tables/rates_model_task.csv"), comment="#")["refusals"].max()
    assert (refusals == 0) == (rate == 0)
    assert "DUMMY" in workflow.path(page).read_text()


@pytest.mark.slow
def test_one_persona_in_the_papers_design(checkout, root):
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    config["tasks"] = {"offensiveness": config["tasks"]["offensiveness"] | {"rows_per_gold_label": 3}}
    config |= FEW | {"study": "edge", "models": ["Llama2-7B"], "personas": ["black"], "design": {"draws_per_row": 3}}
    workflow = checkout()
    workflow.path("config/edge.yaml").write_text(yaml.safe_dump(config))
    page = "results/edge/report/index.html"
    workflow.run(page, "--configfile", "config/edge.yaml")
    assert pd.read_csv(workflow.path("results/edge/tables/rates_model_task.csv"))["refusals"].max() > 0
    assert "REHEARSAL" in workflow.path(page).read_text()

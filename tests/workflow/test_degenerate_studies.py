"""Degenerate studies still give a report: one persona; no refusal at all."""

import pandas as pd
import pytest
import yaml


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"personas": ["black"], "design": {"draws_per_row": 3}}, id="one persona", marks=pytest.mark.slow),
        pytest.param({"personas": ["black"], "design": {"kind": "blocked", "blocks_per_task": 20}}, id="blocked"),
        pytest.param({"personas": ["black", "man"], "models": ["Qwen2.5-7B"]}, id="no refusals"),
    ],
)
def test_it_gives_a_report(checkout, root, changes):
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    config["tasks"] = {"offensiveness": config["tasks"]["offensiveness"] | {"rows_per_gold_label": 3}}
    config |= {"study": "edge", "models": ["Llama2-7B"], "estimation": {"bootstrap": 100, "permutations": 99}}
    config |= changes
    workflow = checkout()
    workflow.path("config/edge.yaml").write_text(yaml.safe_dump(config))
    page = "results/edge/report/index.html"
    workflow.run(page, "--configfile", "config/edge.yaml")
    refusals = pd.read_csv(workflow.path("results/edge/tables/rates_model_task.csv"))["refusals"].max()
    assert (refusals == 0) == ("models" in changes)
    assert "REHEARSAL" in workflow.path(page).read_text()

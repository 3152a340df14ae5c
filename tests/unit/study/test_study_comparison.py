"""Printed numbers are compared only with estimates of the same quantity; a study may be about something else."""

import pytest

from falserefusal.common.printed import (
    BASELINE_RATE,
    CELL,
    CLAIM,
    COEFFICIENT,
    FORMAT,
    IMPORTANCE,
    PERSONA_BY_MODEL,
    PERSONA_MEAN,
    QUANTITIES,
    RATE,
    RATE_MEAN,
)
from falserefusal.study.comparison import Comparison, whole_paper
from falserefusal.study.study import Study

THREE = """
tasks:
  nli: {source: {kind: embedded}, options: [entailment, contradiction, neutral], rows_per_gold_label: 3,
        layout: "{premise} {hypothesis}"}
  politeness: {source: {kind: embedded}, options: [polite, not polite], rows_per_gold_label: 3}
"""
OVER_TASKS = {PERSONA_MEAN, PERSONA_BY_MODEL, IMPORTANCE, COEFFICIENT, CLAIM}


def test_a_study_with_everything_of_the_paper_is_compared_everywhere(load):
    assert set(load(THREE).comparison.quantities) == set(QUANTITIES)
    assert Study.published().comparison == whole_paper()
    assert len(whole_paper().models) == 16 and len(whole_paper().personas) == 15


@pytest.mark.parametrize(
    ("change", "absent", "reason"),
    [
        ("{}", OVER_TASKS, "1 of the paper's 3 tasks"),
        (THREE + "models: [Gemma-2B, Llama2-7B]", {RATE_MEAN, *OVER_TASKS} - {PERSONA_BY_MODEL}, "2 of the paper's 16"),
        (THREE + "personas: [man]", {RATE, RATE_MEAN, FORMAT, IMPORTANCE, COEFFICIENT, CLAIM}, "1 of the paper's 15"),
        (THREE + "templates: [p1, p2]", set(QUANTITIES), "the templates are not the paper's nine"),
        (THREE + "prompts: {system: Be brief.}", set(QUANTITIES), "no model of the paper"),
        (
            THREE + "checkpoints: {kind: hub}\nmodels: [Gemma-2B]",
            set(QUANTITIES),
            "no task of the paper with its texts",
        ),
        (THREE + "comparison: none", set(QUANTITIES), ""),
    ],
)
def test_what_differs_is_absent_with_the_reason(load, change, absent, reason):
    comparison = load(change, check=False).comparison
    assert set(QUANTITIES) - set(comparison.quantities) == absent
    assert all(reason in text for text in comparison.absent.values())
    assert Comparison(**comparison.plain) == comparison


def test_without_offensiveness_there_is_no_baseline_rate_to_compare(load):
    politeness = "{source: {kind: embedded}, options: [polite, not polite], rows_per_gold_label: 3}"
    only = load(f"tasks: {{politeness: {politeness}}}", check=False).config.tasks["politeness"]
    study = load(THREE, check=False)
    study = Study(study.config.model_copy(update={"tasks": {"politeness": only}}), study.rows, study.asked, study.root)
    assert not study.comparison.has(BASELINE_RATE) and study.comparison.has(CELL)


def test_a_study_that_is_not_about_the_paper_shows_nothing_of_it(load):
    study = load("comparison: none")
    shown = [*study.reported_tables, *study.figure_files]
    named = ("table1", "table5", "table6", "claims", "reproduction", "/figure0", "/figure1", "comparison")
    assert not [path for path in shown if any(word in path for word in named)]
    assert study.printed_rates == {} and study.printed_importance == study.printed_regression == []
    about = load()
    assert any("tables/reproduction.csv" in path for path in about.reported_tables)
    assert {figure.counterpart for figure in load("templates: [p1]").figures} == {""}
    assert {"Table 1", "Figure 9"} <= {figure.counterpart for figure in about.figures}
    assert "Figure 5" not in {figure.counterpart for figure in about.figures}, "importance is over one task here"

"""Which questions a stand-in knows: exactly those that the workflow asks, each in one cell."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no
from falserefusal.standins.chat import STYLES, render
from falserefusal.standins.questions import CELL, collisions, questions
from falserefusal.standins.rates import UNLISTED
from standin_study import load_study


@pytest.fixture(scope="module")
def study():
    return load_study(rows=20)


@pytest.fixture(scope="module")
def markers(study):
    options = {task: settings["options"] for task, settings in study.tasks.items()}
    return questions(study.templates, study.wordings, options)


@pytest.mark.parametrize("article", ["printed", "grammatical"])
def test_every_question_of_the_workflow_is_a_marker_of_its_own_cell(study, markers, article):
    rows = study.texts.drop_duplicates("task")[["task", "row_id", "text_id"]]
    design = rows.merge(study.templates[["task", "template", "format"]], on="task")
    design = design.merge(pd.DataFrame({"persona": [*study.personas["persona"], BASELINE]}), how="cross")
    design["prompt_id"] = [f"q{i}" for i in range(len(design))]
    prompts = study.ask(design, article=article).merge(design, on="prompt_id")
    known = markers.set_index("marker")
    for row in prompts.itertuples():
        question = row.messages[-1]["content"].partition("\n\n")[0]
        assert tuple(known.loc[question, CELL]) == (row.task, row.persona, row.template)
        assert known.loc[question, "yes_no"] == asks_yes_no(question)
    assert len(prompts) == 27 * 16


def test_a_persona_in_other_words_is_recognised_by_the_rest_of_the_question(markers):
    rest = markers[(markers["persona"] == UNLISTED) & (markers["template"] == "p3") & (markers["task"] == "politeness")]
    assert list(rest["marker"]) == [" classify the following text as polite or not polite?"]


def test_tasks_with_the_same_question_are_an_error(study):
    options = {task: settings["options"] for task, settings in study.tasks.items()}
    with pytest.raises(InputError, match=r"(offensiveness|politeness) / .* both ask"):
        questions(study.templates, study.wordings, options | {"offensiveness": options["politeness"]})


def test_texts_that_hold_a_question_are_found(study, markers):
    question = markers["marker"].iloc[5]
    texts = pd.DataFrame({"text_id": ["a", "b"], "content": ["Would a woman do it?", f"He said: {question} Ha."]})
    found = collisions(markers, texts)
    assert found.to_dict("records") == [{"text_id": "b", "marker": question}]
    assert collisions(markers, study.texts.assign(content=study.texts["text"].fillna(""))).empty


def test_a_text_that_holds_a_question_is_reported(study, caplog):
    texts = study.texts.copy()
    row = texts.index[texts["task"] == "politeness"][0]
    texts.loc[row, "text"] = "Would a man classify the following text as polite or not polite?"
    study.materials(texts=texts)
    assert texts["text_id"][row] in caplog.text and "Would a man classify" in caplog.text


def test_styles_differ_where_pipelines_break():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hello \n"}]
    headers = render(STYLES["headers"], turns, "native")
    assert headers.startswith("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>")
    assert headers.endswith("\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
    assert STYLES["headers"].pad is None
    assert render(STYLES["chatml"], turns[1:], "native").startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    )
    with pytest.raises(InputError, match="System role not supported"):
        render(STYLES["gemma"], turns, "native")
    assert "user\nBe brief.\n\n Hello<end_of_turn>" in render(STYLES["gemma"], turns, system_role="merge")
    with pytest.raises(InputError, match="alternate"):
        render(STYLES["gemma"], turns[1:] * 2, "native")

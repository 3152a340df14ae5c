"""Imported responses become the files of a study; prompts that leave a study come back to it."""

import json

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.files import validate
from falserefusal.common.schemas import DESIGN, PERSONAS, PROMPTS, RESPONSES, TEMPLATES, TEXTS
from falserefusal.exchange.export import rows_of, write_export
from falserefusal.exchange.levels import ALL_PROMPTS, check_texts, facts, named, names_of, write_materials
from falserefusal.exchange.stages import export_id, responses_to, stages_of
from falserefusal.exchange.tidy import read_responses
from falserefusal.study.config import Responses
from falserefusal.study.materials import load_personas, load_templates, read_models

TABLE = """model,persona,template,text,sample,response,verdict
org/A,,"As {persona}, is it rude?",one,1,Yes,0
org/A,a nurse,"As {persona}, is it rude?",one,1,No,0
org/A,a nurse,"As {persona}, is it rude?",one,2,Never,1
org/A,a nurse,Judge this,two,1,No,0
B,a nurse,Judge this,one,1,"I cannot say",1
"""


def test_a_dated_version_of_a_model_is_the_model_that_was_asked(tmp_path):
    text = "model,text,response\ngpt-x-2025-01-01,a,x\ngpt-x-2025-01-01,b,x\n"
    known = {"models": {"gpt-x": "GPT", "claude-x": "Claude"}}
    assert named(read(tmp_path, text + "claude-x-20250101,a,x\n"), known)["model"].tolist() == ["GPT", "GPT", "Claude"]
    with pytest.raises(
        InputError, match=r"unknown model 'gpt-x-2025-01-01', 'gpt-x-2025-02-02' .* write it there as imp"
    ):
        named(read(tmp_path, text + "gpt-x-2025-02-02,a,x\n"), known)


def test_a_response_without_a_text_is_an_error(tmp_path):
    raw = read(tmp_path, "model,text,response\nA,a,x\nA,,x\n")
    with pytest.raises(InputError, match=r"row 2: no text in it \(1 of 2 rows\)"):
        check_texts(raw)
    check_texts(raw.assign(text_id=["1", "2"]))
    with pytest.raises(InputError, match=r"all 2 responses are to one text \(column text_id\)"):
        check_texts(raw.assign(text_id="1"))


def read(tmp_path, text=TABLE, **keys):
    (tmp_path / "a.csv").write_text(text)
    return read_responses(Responses.model_validate({"paths": [str(tmp_path / "a.csv")], **keys}).model_dump())


def test_stages_follow_the_schemas_and_join_baseline_and_persona_by_text(tmp_path):
    raw = read(tmp_path)
    frame = named(raw, {})
    made = stages_of(frame, dict.fromkeys(frame["template"], "unforced"))
    design = validate(made.design, DESIGN, "design")
    assert design["row_id"].tolist() == [f"responses:0000{number}" for number in (1, 1, 1, 2, 1)]
    assert design["draw"].tolist() == [-1, 1, 1, 0, 0]
    assert design["sample"].tolist() == [0, 0, 1, 0, 0]
    assert design["model"].tolist() == ["org-A"] * 4 + ["B"]
    validate(made.texts["responses"], TEXTS, "texts")
    validate(made.prompts["responses"], PROMPTS, "prompts")
    assert made.texts["responses"]["text"].tolist() == ["one", "two"]
    responses = validate(made.responses["org-A"], RESPONSES, "responses")
    assert responses["response"].tolist() == ["Yes", "No", "Never", "No"]
    assert made.verdicts["B"]["category"].tolist() == ["refused"]


def test_materials_can_be_read_by_the_study(tmp_path):
    raw = read(tmp_path)
    frame = named(raw, {})
    paths = write_materials(raw, frame, tmp_path)
    assert read_models(paths["models"])["org-A"].imported == "org/A"
    assert validate(load_personas(paths["personas"]), PERSONAS, "personas")["persona"].tolist() == ["a nurse"]
    templates = validate(load_templates(paths["templates"], ["responses"]), TEMPLATES, "templates")
    assert templates["text"].tolist() == ["As {persona}, is it rude?", "{persona} Judge this"]
    known = facts(raw, frame)
    assert known["baseline"] and known["samples"] and known["personas"] == 1 and known["templates"] == 2


def test_without_texts_each_prompt_is_its_own_text(tmp_path):
    raw = read(tmp_path, "model,prompt,response\nA,x,1\nA,y,2\nB,x,3\n")
    made = stages_of(named(raw, {}), {"one": "unforced"})
    assert made.design["row_id"].tolist() == ["responses:00001", "responses:00002", "responses:00001"]
    assert set(made.design["persona"]) == {ALL_PROMPTS}


def test_without_prompts_each_response_is_its_own_text(tmp_path):
    raw = read(tmp_path, "model,persona,response\nA,x,1\nA,x,2\n")
    assert stages_of(named(raw, {}), {"one": "unforced"}).design["row_id"].is_unique


def test_a_word_that_the_materials_do_not_have_is_an_error(tmp_path):
    known = {"personas": {"a priest": "priest"}}
    with pytest.raises(InputError, match=r"row 2: unknown persona 'a nurse' \(4 rows\); .* has a priest"):
        named(read(tmp_path), known)
    with pytest.raises(InputError, match=r"row 5: unknown model 'B' \(1 rows\)"):
        named(read(tmp_path), {"models": {"org/A": "A"}})


def test_names_differ_where_words_do():
    names = names_of(pd.Series(["org/A b", "org-A-b", "é", "ü"]))
    assert names == {"org/A b": "org-A-b", "org-A-b": "org-A-b-2", "é": "unnamed", "ü": "unnamed-2"}


@pytest.fixture
def study():
    turns = [[{"role": "user", "content": f"Question {number}?"}] for number in range(3)]
    prompts = pd.DataFrame({"prompt_id": ["a", "b", "c"], "messages": turns, "system_text": "", "sample": 0})
    design = pd.DataFrame({"prompt_id": ["a", "b", "c"], "task": "t", "persona": "nurse", "template": "p1"})
    return prompts, design.assign(text_id="x", sample=0, model="*")


def answers(ids):
    where = [f"f: row {number}" for number in range(1, len(ids) + 1)]
    return pd.DataFrame({"prompt_id": ids, "model": "M", "response": "Yes", "finish_reason": "stop", "where": where})


def test_exported_prompts_come_back(study, tmp_path):
    prompts, design = study
    rows = rows_of(prompts, design)
    models = {"M": {"name": "org/m", "system_prompt": None}}
    decoding = {"max_tokens": 9, "temperature": 0.0, "top_p": 1.0}
    assert write_export(rows, tmp_path, "s", models, decoding) == []
    lines = {
        name: [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("prompts.jsonl", "inspect.jsonl", "openai_batch/M.jsonl", "lm_eval/prompts.jsonl")
    }
    ids = [row["custom_id"] for row in lines["openai_batch/M.jsonl"]]
    assert all([row["id"] for row in rows] == ids for name, rows in lines.items() if not name.startswith("openai"))
    assert all(len(one) <= 64 for one in ids)
    assert lines["openai_batch/M.jsonl"][0]["body"] == {"model": "org/m", "messages": rows[0]["messages"]} | decoding
    responses, verdicts = responses_to(prompts, design, answers(ids[::-1]))
    assert responses["M"]["prompt_id"].tolist() == ["c", "b", "a"] and verdicts == {}


def test_each_model_gets_its_own_prompts_where_models_share_none(study, tmp_path):
    prompts, design = study
    rows = rows_of(prompts, design.assign(model=["M", "N", "M"]))
    models = {name: {"name": name, "system_prompt": None} for name in ("M", "N")}
    assert write_export(rows, tmp_path, "s", models, {"max_tokens": 9, "temperature": 0.0, "top_p": 1.0}) == []
    wanted = {name: [row["id"] for row in rows if row["model"] == name] for name in models}
    for pattern in ("inspect/{}.jsonl", "lm_eval/{}/prompts.jsonl"):
        files = {name: (tmp_path / pattern.format(name)).read_text().splitlines() for name in models}
        assert {name: [json.loads(line)["id"] for line in lines] for name, lines in files.items()} == wanted
    assert "task: s_N\n" in (tmp_path / "lm_eval/N/s_N.yaml").read_text()
    assert not (tmp_path / "inspect.jsonl").exists() and not (tmp_path / "lm_eval/s.yaml").exists()


def test_a_system_prompt_of_a_model_is_in_its_batch_only(study, tmp_path):
    rows = rows_of(*study)
    models = {"M": {"name": "m", "system_prompt": "Be kind."}, "N": {"name": "n", "system_prompt": None}}
    left_out = write_export(rows, tmp_path, "s", models, {"max_tokens": 9, "temperature": 0.0, "top_p": 1.0})
    assert "no system prompt" in left_out[0] and not (tmp_path / "lm_eval").exists()
    first = {m: json.loads((tmp_path / f"openai_batch/{m}.jsonl").read_text().splitlines()[0]) for m in models}
    assert [turn["role"] for turn in first["M"]["body"]["messages"]] == ["system", "user"]
    assert [turn["role"] for turn in first["N"]["body"]["messages"]] == ["user"]


def test_a_prompt_that_changed_or_is_unknown_is_an_error_with_count_and_example(study):
    prompts, design = study
    ids = [export_id(*pair) for pair in zip(prompts["prompt_id"], prompts["messages"], strict=True)]
    changed = prompts.assign(messages=[*prompts["messages"][:2], [{"role": "user", "content": "Another?"}]])
    with pytest.raises(InputError, match=r"row 3: prompt 'c' has changed since its export \(1 of 3 responses\)"):
        responses_to(changed, design, answers(ids))
    with pytest.raises(InputError, match=r"row 1: no prompt of the study has prompt_id 'zz' \(1 of 2"):
        responses_to(prompts, design, answers(["zz", ids[0]]))
    with pytest.raises(InputError, match="the prompt is for N, but M responded"):
        responses_to(prompts, design.assign(model="N"), answers(ids))

"""Files of responses in each format, as their programs write them, become one tidy frame."""

import json
import sys
import types

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.exchange.fields import FORMATS
from falserefusal.exchange.formats.format import READERS, format_of
from falserefusal.exchange.tidy import read_responses
from falserefusal.study.config import Config, Responses
from falserefusal.study.imported import with_files


def given(*paths, **keys):
    return Responses.model_validate({"paths": [str(path) for path in paths], **keys}).model_dump()


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chat(custom_id, text, status=200, **message):
    """A line of the output of an OpenAI batch (OpenAPI specification 2.3.0, BatchRequestOutput)."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-x-2025-01-01", "choices": [choice]}
    reply = {"status_code": status, "request_id": "req_1", "body": body if status == 200 else {"error": {}}}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": reply, "error": None}


def claude(custom_id, **result):
    """A line of the results of an Anthropic message batch (API version 2023-06-01)."""
    return {"custom_id": custom_id, "result": result}


def sample(doc_id, text, **changes):
    """A line of a samples file of lm-evaluation-harness 0.4.13."""
    row = {"doc_id": doc_id, "doc": {"id": f"d{doc_id}", "persona": "a nurse"}, "target": ""}
    row |= {"arguments": {"gen_args_0": {"arg_0": f"Question {doc_id}?", "arg_1": {"until": []}}}}
    row |= {"resps": [[text]], "filtered_resps": [text], "filter": "none", "metrics": ["bypass"]}
    row |= {"doc_hash": "0" * 64, "prompt_hash": "1" * 64, "target_hash": "2" * 64, "bypass": 999}
    return row | changes


def test_every_format_of_the_config_has_a_reader():
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_table_is_read_by_the_columns_of_the_config(tmp_path, ending):
    table = pd.DataFrame({"m": ["A", "A"], "who": ["a nurse", None], "out": ["Yes", "1.0"], "q": ["x", "y"]})
    path = tmp_path / f"some.{ending}"
    write = {"csv": lambda: table.to_csv(path, index=False), "parquet": lambda: table.to_parquet(path)}
    write.get(ending, lambda: table.to_json(path, orient="records", lines=True))()
    frame = read_responses(given(path, columns={"model": "m", "persona": "who", "response": "out", "prompt": "q"}))
    assert frame["persona"].tolist() == ["a nurse", "baseline"]
    assert frame["response"].tolist() == ["Yes", "1.0"]
    assert frame["prompt"][0] == [{"role": "user", "content": "x"}]


def test_chat_turns_of_a_jsonl_file_stay_turns(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    path = lines(tmp_path / "a.jsonl", {"model": "A", "response": "So.", "prompt": turns, "meta": {"who": "a priest"}})
    frame = read_responses(given(path, columns={"persona": "meta.who"}))
    assert frame["prompt"][0] == turns and frame["persona"][0] == "a priest"


def test_samples_of_lm_evaluation_harness(tmp_path):
    path = tmp_path / "org__A" / "samples_my_task_2026-01-02T03-04-05.678901.jsonl"
    twice = sample(1, "No.", filter="first-word")
    lines(path, sample(0, "Yes."), twice | {"filter": "none", "resps": [["No.", "Maybe."]]}, twice)
    frame = read_responses(given(path, columns={"persona": "doc.persona", "prompt_id": "doc.id"}))
    assert frame["model"].unique() == ["org__A"] and frame["task"].unique() == ["my_task"]
    assert frame["response"].tolist() == ["Yes.", "No.", "Maybe."]
    assert frame["sample"].tolist() == [0, 0, 1]
    assert frame["prompt"][1] == [{"role": "user", "content": "Question 1?"}]
    assert frame["prompt_id"].tolist() == ["d0", "d1", "d1"]


def test_samples_of_two_versions_are_refused(tmp_path):
    old = sample(1, "No.", arguments=[["Question 1?", {"until": []}]])
    path = lines(tmp_path / "A" / "samples_t.jsonl", sample(0, "Yes."), old)
    with pytest.raises(InputError, match=r"different versions: 0\.4\.3 or later \(line 1\); before 0\.4\.3 \(line 2\)"):
        read_responses(given(path))


def test_likelihoods_of_options_are_no_responses(tmp_path):
    path = lines(tmp_path / "A" / "samples_t.jsonl", sample(0, "", resps=[[["-1.5", "False"]], [["-2.5", "False"]]]))
    with pytest.raises(InputError, match="line 1: resps are likelihoods of options, not text"):
        read_responses(given(path))


def test_the_output_of_an_openai_batch(tmp_path):
    declined = chat("c", None, refusal="I can't help with that.")
    path = lines(tmp_path / "out.jsonl", chat("a", "Yes."), chat("b", "", status=429), declined)
    frame = read_responses(given(path, format="openai_batch", model="gpt-x"))
    assert frame["response"].tolist() == ["Yes.", "", "I can't help with that."]
    assert frame["finish_reason"].tolist() == ["stop", "error", "stop"]
    assert frame["model"].tolist() == ["gpt-x-2025-01-01"] * 3  # also of the request that failed


def test_an_openai_batch_of_the_responses_api(tmp_path):
    output = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}]
    row = chat("a", "")
    row["response"]["body"] = {"object": "response", "model": "gpt-x", "output": output}
    frame = read_responses(given(lines(tmp_path / "out.jsonl", row), format="openai_batch"))
    assert frame["response"].tolist() == ["Yes."]


def test_the_results_of_an_anthropic_batch(tmp_path):
    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]
    message = {"type": "message", "role": "assistant", "model": "claude-x", "content": content}
    path = lines(
        tmp_path / "results.jsonl",
        claude("a", type="succeeded", message=message | {"stop_reason": "end_turn"}),
        claude("b", type="succeeded", message=message | {"content": [], "stop_reason": "refusal"}),
        claude("c", type="errored", error={"type": "error", "error": {"type": "overloaded_error", "message": "…"}}),
    )
    frame = read_responses(given(path, format="anthropic_batch", model="claude-x"))
    assert frame["response"].tolist() == ["Yes.", "", ""]
    assert frame["finish_reason"].tolist() == ["stop", "content_filter", "error"]


def test_a_further_table_says_what_a_batch_does_not(tmp_path):
    path = lines(tmp_path / "out.jsonl", chat("a", "Yes."), chat("b", "No."))
    table = tmp_path / "prompts.csv"
    table.write_text("key,who,text\nb,a priest,two\na,a nurse,one\n")
    columns = {"prompt_id": "key", "persona": "who"}
    lines(
        tmp_path / "keyed.jsonl",
        {"key": "a", "model": "A", "response": "x"},
        {"key": "b", "model": "A", "response": ""},
    )
    frame = read_responses(given(tmp_path / "keyed.jsonl", columns=columns, prompts=str(table)))
    assert frame["persona"].tolist() == ["a nurse", "a priest"] and frame["text"].tolist() == ["one", "two"]
    table.write_text("prompt_id,persona\na,a nurse\n")
    with pytest.raises(InputError, match="no row for 1 of 2 responses, such as prompt_id 'b'"):
        read_responses(given(path, format="openai_batch", prompts=str(table)))


def test_without_inspect_the_command_to_install_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    (tmp_path / "run.eval").write_bytes(b"PK")
    with pytest.raises(InputError, match="pip install inspect_ai"):
        read_responses(given(tmp_path / "run.eval"))


def test_a_log_of_inspect_is_read_by_its_own_reader(tmp_path, monkeypatch):
    """The attributes are those of inspect_ai 0.3.285 (EvalLog, EvalSample)."""
    output = types.SimpleNamespace(completion="No.", stop_reason="max_tokens")
    turn = types.SimpleNamespace(role="user", text="Why?")
    one = types.SimpleNamespace(id=7, epoch=2, input=[turn], output=output, error=None, metadata={"persona": "a nurse"})
    about = types.SimpleNamespace(model="openai/gpt-x", task="ask")
    log = types.SimpleNamespace(status="success", eval=about, samples=[one])
    module = types.ModuleType("inspect_ai.log")
    module.read_eval_log = lambda path: log
    monkeypatch.setitem(sys.modules, "inspect_ai", types.ModuleType("inspect_ai"))
    monkeypatch.setitem(sys.modules, "inspect_ai.log", module)
    (tmp_path / "run.eval").write_bytes(b"PK")
    frame = read_responses(given(tmp_path / "run.eval", columns={"prompt_id": "id", "persona": "metadata.persona"}))
    wanted = {"model": "openai/gpt-x", "task": "ask", "prompt_id": "7", "sample": 1, "finish_reason": "length"}
    assert frame[list(wanted)].iloc[0].to_dict() == wanted
    assert frame["prompt"][0] == [{"role": "user", "content": "Why?"}]
    log.status = "error"
    with pytest.raises(InputError, match="the run ended with status 'error'"):
        read_responses(given(tmp_path / "run.eval"))


def test_a_table_with_semicolons_and_another_encoding(tmp_path):
    table = pd.DataFrame({"model": ["A"], "response": ["Schön, ja; nein"]})
    for name, keys in (("bom", {"encoding": "utf-8-sig"}), ("old", {"encoding": "cp1252"})):
        path = tmp_path / f"{name}.csv"
        table.to_csv(path, index=False, sep=";", encoding=keys["encoding"])
        own = {} if name == "bom" else keys
        assert read_responses(given(path, separator=";", **own))["response"].tolist() == ["Schön, ja; nein"]
    table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    assert read_responses(given(tmp_path / "a.tsv"))["model"].tolist() == ["A"]


def test_a_list_of_objects_in_a_json_file(tmp_path):
    (tmp_path / "a.json").write_text('\n [{"model": "A", "response": "x", "meta": {"who": "nurse"}}]')
    frame = read_responses(given(tmp_path / "a.json", columns={"persona": "meta.who"}))
    assert frame["persona"].tolist() == ["nurse"]


def test_a_pattern_stands_for_the_files_that_match_it(tmp_path):
    for model in ("B", "A"):
        lines(tmp_path / model / "samples_t.jsonl", sample(0, "Yes."))
    config = {"study": "mine", "responses": {"paths": ["*/samples_*.jsonl"]}}
    found = with_files(Config.model_validate(config), tmp_path).responses
    assert found.paths == ("A/samples_t.jsonl", "B/samples_t.jsonl")
    for path, says in (
        ("*.csv", r"no file matches \*\.csv"),
        ("A", "A is a folder; name its files"),
        ("b.csv", "no such"),
    ):
        with pytest.raises(InputError, match=says):
            with_files(Config.model_validate({"study": "mine", "responses": {"paths": [path]}}), tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.eval", "no zip", "a.eval: no log of Inspect, or one that was cut off .not a zip archive.; copy it again"),
        (
            "a.json",
            '{"results": {}}',
            "a.json: no log of Inspect .it has results.; of lm-evaluation-harness, import samp",
        ),
        ("a.json", '{"eval": {', "a.json: not readable as JSON .*: copy it again"),
        ("a.json", '{"eval": {}}', "no log that inspect_ai can read .bad."),
    ],
)
def test_what_is_no_log_of_inspect(tmp_path, monkeypatch, name, content, says):
    def fail(path):
        raise ValueError("bad\nmore")

    module = types.ModuleType("inspect_ai.log")
    module.read_eval_log = fail
    monkeypatch.setitem(sys.modules, "inspect_ai", types.ModuleType("inspect_ai"))
    monkeypatch.setitem(sys.modules, "inspect_ai.log", module)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says):
        read_responses(given(tmp_path / name))


def test_a_file_that_looks_like_another_format_says_so(tmp_path):
    path = lines(tmp_path / "log.jsonl", sample(0, "Yes."))
    with pytest.raises(InputError, match="add `format: lm_eval` to responses"):
        read_responses(given(path, model="A"))
    path = lines(tmp_path / "out.jsonl", chat("a", "Yes."))
    with pytest.raises(InputError, match="add `format: openai_batch` to responses"):
        read_responses(given(path))
    path = lines(tmp_path / "out.jsonl", claude("a", type="errored", error={}))
    with pytest.raises(InputError, match="add `format: anthropic_batch` to responses"):
        read_responses(given(path))


def test_a_byte_of_another_encoding_is_named_with_its_line(tmp_path):
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / name).write_bytes("model,response\nA,schön\n".encode("cp1252"))
        with pytest.raises(InputError, match=r"line 2 has the byte 0xf6, .* to responses, such as `encoding: cp1252`"):
            read_responses(given(tmp_path / name))


CSV = "model,persona,text,response\nA,x,t,Yes\nA,y,t,No\n"


@pytest.mark.parametrize(
    ("name", "content", "keys", "says"),
    [
        ("a.csv", CSV, {"columns": {"response": "out"}}, "has no column 'out'; it has model, persona, text, response"),
        ("a.csv", "", {}, "the file is empty"),
        ("a.csv", "model,response\n", {}, "no responses in it"),
        ("a.csv", "response\nYes\n", {}, "no column with the model; name it .* or set responses.model"),
        ("a.csv", "model,out\nA,Yes\n", {}, "no column with responses or verdicts"),
        ("a.csv", CSV.replace("y,t", "x,t"), {}, r"row 2: the same model and prompt as .*row 1 \(1 such rows\)"),
        ("a.csv", CSV.replace("A,y", ",y"), {}, "row 2: model is empty \(1 such rows\); fill it in"),
        ("a.csv", "model,verdict\nA,dunno\n", {}, "row 1: unknown verdict 'dunno' in 1 rows; map each to a category"),
        ("a.csv", "model,response,sample\nA,x,first\n", {}, "row 1: sample must be a whole number from 0, not 'first'"),
        ("a.jsonl", '{"model": "A"}\n{"model": \n', {}, "line 2, column 11: not JSON"),
        ("a.jsonl", "[1]\n", {}, "line 1: list, not an object"),
        ("a.jsonl", '{"x": 1}\n', {"format": "openai_batch"}, "line 1: no 'custom_id' .it has x.; this is not"),
        ("a.parquet", "no parquet", {}, "not a readable Parquet file"),
        ("a.txt", "x", {}, "does not say its format; write format: csv, or another of anthropic_batch, csv"),
        ("a.csv", CSV.replace(",", ";"), {}, r"line 1 has no ',' .* but ';'; add `separator: \";\"` to responses"),
        ("a.csv", CSV.replace("No", "No, never"), {}, "line 3 has 5 fields, the header 4; remove the extra comma"),
        ("a.csv", CSV, {"baseline": "none"}, "responses.baseline: no row has the persona 'none'; there are 'x', 'y'"),
        ("a.csv", "model,response\nA,x\n", {"baseline": "none"}, "'none' is a word of the column of personas"),
        ("a.csv", "model,text,response\nA,t,\nA,u, \n", {}, "all 2 responses are empty; name the column that has them"),
        ("a.csv", "model,text,verdict\nA,t,\nA,u,\n", {}, "all 2 verdicts are empty; name the column that has them"),
        ("a.xlsx", "PK", {}, "workbooks are not read; save it as CSV UTF-8"),
    ],
)
def test_a_wrong_file_is_one_clear_message(tmp_path, name, content, keys, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says) as error:
        read_responses(given(tmp_path / name, **keys))
    assert len(str(error.value).splitlines()) == 1


def test_files_of_different_versions_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.csv").write_text("model,persona,response\nB,x,Yes\n")
    with pytest.raises(
        InputError, match=r"b\.csv: no column for 'text', but .*a\.csv has one; all files need the same columns"
    ):
        read_responses(given(tmp_path / "a.csv", tmp_path / "b.csv"))


def test_verdicts_become_categories(tmp_path):
    (tmp_path / "a.csv").write_text("model,verdict\nA,Refused\nA,0\nA,\nA,2_partial\n")
    frame = read_responses(given(tmp_path / "a.csv", verdicts={"2_partial": "hedged"}))
    assert frame["verdict"].tolist() == ["refused", "not_refused", "no_verdict", "hedged"]


def test_a_format_follows_from_the_name(tmp_path):
    names = {"a.CSV": "csv", "samples_x.jsonl": "lm_eval", "x.eval": "inspect", "x.jsonl": "jsonl", "x.json": "inspect"}
    assert {name: format_of(tmp_path / name) for name in names} == names

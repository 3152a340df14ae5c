"""The models file: what a row needs, what follows from it, and how a mistake is reported. The other materials."""

import pytest

from falserefusal.common.errors import InputError
from falserefusal.study.materials import (
    are_variants,
    choose,
    load_models,
    load_personas,
    load_phrases,
    load_templates,
    read_models,
)

SHA = "ab" * 32


@pytest.fixture
def read(tmp_path):
    """A function from the lines of a models file to its rows."""

    def rows(*lines):
        (tmp_path / "models.csv").write_text("\n".join(lines) + "\n")
        return read_models("models.csv", tmp_path)

    return rows


def test_a_name_and_a_source_are_enough(read):
    model = read("model,hub_id", "Mine,org/mine")["Mine"]
    assert (model.family, model.generation, model.gated, model.weights) == ("Mine", "Mine", False, "org/mine")
    assert model.params == 8 and model.shape["layers"] is None
    assert model.weights_record == "resources/weights/Mine.json"


def test_the_generation_defaults_to_the_family_and_the_exact_size_wins(read):
    model = read("model,hub_id,family,size_b,params_b", "Mine,org/mine,F,7,6.7")["Mine"]
    assert model.generation == "F" and model.params == 6.7


def test_models_of_one_package_share_its_weights(read):
    rows = read(
        "model,package,package_file,sha256,system_prompt",
        f"plain,pkg==1.0,files/model.Q4.gguf,{SHA.upper()},",
        f'strict,pkg==1.0,files/model.Q4.gguf,{SHA}," Say {{ok}}, twice "',
    )
    assert rows["plain"].weights == "resources/weights/model.Q4"
    assert rows["plain"].weights_record == rows["strict"].weights_record == "resources/weights/model.Q4.json"
    assert rows["plain"].checkpoint == rows["strict"].checkpoint
    assert rows["strict"].system_prompt == " Say {ok}, twice "


def test_a_model_behind_a_server(read):
    rows = read("model,hub_id,server,served_model", "a,org/a,s,", "b,,s,b-large")
    assert rows["a"].served == "org/a" and rows["b"].served == "b-large" and rows["b"].weights is None
    assert rows["a"].checkpoint != rows["b"].checkpoint


def test_a_system_prompt_from_a_file_keeps_everything_but_the_last_line_break(read, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/p.txt").write_text("You are {kind}.\n\n")
    assert read("model,hub_id,system_prompt_file", "a,b,config/p.txt")["a"].system_prompt == "You are {kind}.\n"


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "models.csv").write_text("model,hub_id,layers\r\na , org/a,,\r\n".replace(",,\r", ",\r"), "utf-8-sig")
    assert read_models(tmp_path / "models.csv")["a"].hub_id == "org/a"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["model,hub_id,size", "a,b,7"], "models.csv: unknown column 'size'; did you mean 'size_b'?"),
        (["name,hub_id", "a,b"], "models.csv: unknown column 'name'"),
        (["hub_id", "b"], "models.csv: column 'model' is missing"),
        (["model,hub_id"], "models.csv: no rows below the header"),
        (["model,hub_id", "", "a,b,c"], "models.csv: line 3 has more fields than the header; is there an extra comma?"),
        (["model,hub_id", "a,b", "a,c"], "models.csv: line 3 (a): an earlier row has the same name"),
        (["model,hub_id", "a b,c"], "line 2 (a b), column 'model': 'a b' is not a name"),
        (["model,hub_id", ",c"], "line 2: 'model' is missing"),
        (["model,hub_id,size_b", "a,b,7B"], "line 2 (a), column 'size_b': must be a number, not '7B'"),
        (["model,hub_id,layers", "a,b,0"], "column 'layers': must be above 0, not '0'"),
        (["model,hub_id,gated", "a,b,maybe"], "column 'gated': must be true or false, not 'maybe'"),
        (["model,hub_id", "a,"], "line 2 (a): has no source: fill hub_id, or package"),
        (
            ["model,hub_id,package,package_file,sha256", f"a,b,p==1,f,{SHA}"],
            "has two sources: leave hub_id or the pack",
        ),
        (["model,package", "a,p==1"], "fill package_file, sha256, too"),
        (["model,package,package_file,sha256", f"a,p>1,f,{SHA}"], "column 'package': write name==version, not 'p>1'"),
        (
            ["model,package,package_file,sha256", f"a,p==1,../f,{SHA}"],
            "column 'package_file': '../f' must be a path in",
        ),
        (["model,package,package_file,sha256", "a,p==1,f,ab"], "column 'sha256': must be 64 hexadecimal digits"),
        (["model,server", "a,s"], "fill served_model, the model's name on the server 's'"),
        (["model,hub_id,served_model", "a,b,c"], "has a served_model but no server"),
        (["model,hub_id,system_prompt", "a,b,You are {persona}"], "column 'system_prompt': {persona} is filled in"),
        (["model,hub_id,system_prompt_file", "a,b,../x"], "'../x' must be a file below config/"),
        (
            ["model,hub_id,system_prompt_file", "a,b,config/no.txt"],
            "'system_prompt_file': config/no.txt cannot be read",
        ),
        (
            ["model,hub_id,system_prompt,system_prompt_file", "a,b,c,config/d"],
            "has both a system_prompt and a system_p",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said_by_line_and_column(read, lines, message):
    with pytest.raises(InputError) as error:
        read(*lines)
    assert message in str(error.value)


def test_the_frame_has_every_column_in_the_types_of_the_files_that_come_with_the_workflow(root, monkeypatch):
    monkeypatch.chdir(root)
    models = load_models("config/models.csv", keep=["Gemma-2B", "Llama2-7B"])
    assert models["model"].tolist() == ["Llama2-7B", "Gemma-2B"]
    assert models["params_b"].dtype == float and models["gated"].dtype == bool and models["revision"].isna().all()
    assert not are_variants(models)
    pilot = load_models("config/models_pilot.csv")
    assert are_variants(pilot) and pilot["hub_id"].str.startswith("resources/weights/").all()
    assert pilot["system_prompt"].notna().sum() == 3
    assert len(load_models("config/models_laptop.csv")) == 3 and len(load_models("config/published/models.csv")) == 16


def test_names_are_chosen_in_the_order_of_their_file():
    assert choose("models", "all", ["b", "a"], "f.csv") == ("b", "a")
    assert choose("models", ["a", "b"], ["b", "a"], "f.csv") == ("b", "a")
    with pytest.raises(InputError, match=r"models: 'Qwen2-7b' is not in f.csv; did you mean 'Qwen2-7B'\?"):
        choose("models", ["Qwen2-7b"], ["Qwen2-7B", "x"], "f.csv")


def test_templates_of_a_task_that_has_none(root):
    with pytest.raises(InputError, match=r"no templates for task 'irony'; add them, or remove the task"):
        load_templates(root / "config/templates.csv", ["nli", "irony"])


HEADER = "task,template,phrasing,format,text,baseline_text"


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER, "t,a,1,forced,Is it?,Is it?", "line 3 names no persona; write {persona} into 'text' or 'system_text'"),
        (HEADER + ",system_text", "t,a,1,forced,Is it?,Is it?,You are kind.", "line 3 names no persona"),
        (HEADER + ",system_text", "t,a,1,forced,,Is it?,{persona}", "line 3, column 'text' is empty"),
        (HEADER, "t,a,1,forced,{persona}?,{persona}?", "line 3, column 'baseline_text': '{persona}?' has {persona}"),
        (
            HEADER + ",baseline_system_text",
            't,a,1,forced,{persona}?,Is it?,"You are\n{persona}"',
            "line 3, column 'baseline_system_text'",
        ),
        (HEADER + ",sytem_text", "t,a,1,forced,{persona}?,Is it?,", "column 'sytem_text' is not expected here"),
    ],
)
def test_what_is_wrong_with_a_template(tmp_path, header, row, message):
    good = "t,b,1,forced,{persona}?,Is it?" + "," * (header.count(",") - HEADER.count(","))
    (tmp_path / "own.csv").write_text(f"{header}\n{good}\n{row}\n")
    with pytest.raises(InputError) as error:
        load_templates(tmp_path / "own.csv", ["t"])
    assert message in str(error.value)


def test_a_template_may_add_to_the_system_prompt(tmp_path, root):
    rows = ["t,a,1,forced,Is it?,Is it?,You are {persona}.,", "t,b,1,forced,{persona}?,Is it?,,You are kind."]
    (tmp_path / "own.csv").write_text("\n".join([HEADER + ",system_text,baseline_system_text", *rows]))
    templates = load_templates(tmp_path / "own.csv", ["t"])
    assert templates["system_text"].tolist() == ["You are {persona}.", ""]
    assert templates["baseline_system_text"].tolist() == ["", "You are kind."]
    plain = load_templates(root / "config/templates.csv", ["nli"])
    assert (plain["system_text"] == "").all() and (plain["baseline_system_text"] == "").all()


def test_phrases_are_lower_case_lines(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("i cannot\nI can't\n")
    with pytest.raises(InputError, match=r"line 2 is \"I can't\"; write phrases in lower case"):
        load_phrases(path)
    with pytest.raises(InputError, match="no such file"):
        load_phrases(tmp_path / "none.txt")


def test_surfaces_that_look_alike_are_reported_with_their_personas(tmp_path):
    file = tmp_path / "personas.csv"
    file.write_text("persona,surface\nnurse,nurse\npoet,poet\ncarer,Nurse\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"look alike \(personas 'nurse' and 'carer'\); change one"):
        load_personas(file)


@pytest.mark.parametrize(
    ("surface", "article"),
    [("elder", "an"), ("child", "a"), ("80-year-old", "an"), ("18-year-old", "an"), ("110-year-old", "a")],
)
def test_the_article_of_an_age_follows_how_its_number_is_said(tmp_path, surface, article):
    file = tmp_path / "personas.csv"
    file.write_text(f"persona,surface\np,{surface}\n", encoding="utf-8")
    assert load_personas(file)["article"].tolist() == [article]

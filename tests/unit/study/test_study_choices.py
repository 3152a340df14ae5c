"""A study under its choices: derived from its config, checked before any work, kept apart from it."""

import pytest
from snakemake.iocontainers import Wildcards

from falserefusal.common.errors import InputError
from falserefusal.study.rules import Rules
from falserefusal.study.study import Study

TWO = """
choices:
  short: {inference: {max_new_tokens: 16}}
  reversed: {tasks: {offensiveness: {options: [not offensive, offensive]}}}
"""


def test_a_choice_changes_its_keys_only(load):
    study = load(TWO)
    short, other = study.choices["short"], study.choices["reversed"]
    assert short.config.inference.max_new_tokens == 16 and short.options == study.options
    assert other.options == {"offensiveness": ["not offensive", "offensive"]}
    assert other.task("offensiveness").rows_per_gold_label == 3  # lists are replaced, parts are merged
    assert other.inference == study.inference and study.config.inference.max_new_tokens == 128
    assert other.seed == study.seed and other.config.design == study.config.design


def test_results_under_a_choice_have_a_folder_of_their_own(load):
    study = load(TWO)
    assert list(study.by_name) == ["small", "small/choices/short", "small/choices/reversed"]
    assert study.choices["short"].files.outcomes == "results/small/choices/short/outcomes.parquet"
    assert study.choice_inputs["outcomes"][:2] == [study.files.outcomes, study.choices["short"].files.outcomes]
    assert study.choice_headlines == {"": "structured", "short": "structured", "reversed": "structured"}


def test_rules_ask_the_study_under_the_choice(load):
    rules = Rules(load(TWO), Study.published())

    def job(study):
        return Wildcards(fromdict={"study": study, "task": "offensiveness", "model": "Gemma-2B"})

    own, reverse, short = (job(f"small{part}") for part in ("", "/choices/reversed", "/choices/short"))
    assert rules.of_task("options")(own) == ("offensive", "not offensive")
    assert rules.of_task("options")(reverse) == ("not offensive", "offensive")
    assert rules.of("inference")(short)["max_new_tokens"] == 16
    assert rules.needs("mem_mb")(reverse, 1) == rules.needs("mem_mb")(own, 1)


def test_a_model_is_asked_in_as_many_jobs_under_every_choice(load):
    study = load("models: [Qwen2.5-7B]\ncheckpoints: {kind: hub}\ninference: {shards: 3}" + TWO)
    assert [each.shard_counts for each in study.choices.values()] == [{"Qwen2.5-7B": 3}] * 2
    again = load("models: [Qwen2.5-7B]\ncheckpoints: {kind: hub}" + TWO, check=False, jobs=study.jobs_as_text)
    assert again.choices["short"].shard_counts == {"Qwen2.5-7B": 3}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("choices: {a: {inference: {max_tokens: 3}}}", r"a: inference: unknown key 'max_tokens'; did you mean"),
        ("choices: {a: {infrence: {}}}", "a: unknown key 'infrence'; did you mean 'inference'"),
        ("choices: {a: {inference: {max_new_tokens: 0}}}", "a: inference.max_new_tokens: must be at least 1, not 0"),
        ("choices: {a: {tasks: {nli: {options: [x, y]}}}}", "a: tasks: 'nli' is not a task of the study; known here"),
        ("choices: {a: {seed: 3}}", "a: 'seed' cannot vary between choices"),
        ("choices: {a: {design: {draws_per_row: 3}}}", "a: 'design.draws_per_row' cannot vary between choices"),
        ("choices: {a: {choices: {b: {seed: 3}}}}", "a: 'choices.b.seed' cannot vary between choices"),
        ("choices: {a: {prompts: {article: printed}}}", "a: repeats the study's own settings; change one"),
        ("choices: {a: {inference: {max_new_tokens: 128}}}", "a: repeats the study's own settings"),
        ("choices: {a: {}}", "a: must not be empty"),
        ("choices: {a: null}", "a: is empty; give it keys"),
        ("choices: {a/b: {seed: 3}}", "'a/b' is not a name"),
        ("choices: {a: {materials: {personas: config/absent.csv}}}", "a: materials.personas: no such file"),
    ],
)
def test_a_mistake_in_a_choice_is_named_before_any_work(load, change, says):
    with pytest.raises(InputError) as error:
        load(change)
    (line,) = str(error.value).splitlines()
    assert line.startswith("config/own.yaml: choices") and says in line


@pytest.mark.parametrize(
    "change",
    [
        "design: {kind: blocked, blocks_per_task: 5, sequential: {first: 2, growth: 0.5}}",
        "inference: {keep_weights: false}",
        "allow_missing: true",
    ],
)
def test_choices_need_a_study_that_asks_every_prompt_under_each(load, change):
    with pytest.raises(InputError, match=r"own\.yaml: choices: "):
        load(change + TWO)


def test_a_study_without_choices_says_where_they_go(load):
    study = load()
    assert study.choices == {} and list(study.by_name) == ["small"]
    with pytest.raises(InputError, match="'small' has no choices; add some to its config"):
        _ = study.choice_inputs

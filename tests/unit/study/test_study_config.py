"""A config is completed with defaults, frozen, and every mistake in it is named by its key, in the user's words."""

import json
from typing import Literal, get_args, get_origin

import pydantic
import pytest

from falserefusal.annotation import sample
from falserefusal.common.dependencies import library_of
from falserefusal.common.errors import InputError
from falserefusal.estimation.sequential import LEVELS
from falserefusal.study import config as config_module
from falserefusal.study.config import COMPARED_WITH_BASELINE, Quantity, Shares, read_config
from falserefusal.study.problems import YAML_WORDS, Part, bare, findings, members


def source(keys):
    return f"tasks: {{offensiveness: {{source: {{{keys}}}}}}}"


FILE = "kind: file, path: x.csv, columns: {gold_label: score, text: body}"
SERVER = "servers: {s: {base_url: 'http://localhost:8000/v1', %s}}"


def test_defaults_are_filled_in_and_the_callers_config_is_not_changed(small):
    given = small()
    config = read_config(given)
    assert config.seed == 2025 and config.models == "all" and config.labellers == ("structured", "phrase_list")
    assert (config.design.kind, config.design.draws_per_row, config.design.balance) == ("nested", 10, "independent")
    assert config.materials.personas == "config/personas.csv" and config.inference.max_new_tokens == 128
    assert config.tasks["offensiveness"].layout == "\n\nText: {text}"
    assert given.keys() == {"study", "checkpoints", "tasks"}


def test_a_config_is_frozen_and_survives_a_round_trip(small):
    config = read_config(small(source(FILE)))
    with pytest.raises(pydantic.ValidationError):
        config.seed = 3
    assert read_config(config.model_dump()) == config == read_config(config.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("section", "environment"),
    [("inference: {backend: transformers}", "inference"), ("inference: {backend: vllm}", "vllm")],
)
def test_the_backend_decides_the_environment_of_the_jobs_that_ask(small, root, section, environment):
    assert read_config(small(section)).inference.environment == environment
    assert (root / f"envs/{environment}.yaml").is_file()


def test_true_and_false_may_come_from_the_command_line_as_words(small):
    assert read_config(small("allow_missing: 'true'")).allow_missing is True
    assert read_config(small("allow_missing: 'false'")).allow_missing is False
    assert read_config(small("title: 'true'")).title == "true"


def test_what_yaml_reads_as_a_number_may_stand_where_a_files_own_words_are(small):
    config = read_config(small(source(FILE + ", scale: [1, 2], where: {year: 2020}, gold_label_map: {0: 1}")))
    found = config.tasks["offensiveness"].source
    assert found.scale == ("1", "2") and found.where == {"year": "2020"} and found.gold_label_map == {"0": "1"}


def test_a_checksum_is_written_in_one_way(small):
    config = read_config(small(source(FILE + f", sha256: 'sha256:{'AB' * 32}'")))
    assert config.tasks["offensiveness"].source.sha256 == "ab" * 32


@pytest.mark.parametrize("system", ["You {hello} {} {{x}} %s {0}", "Answer with {task}"])
def test_braces_in_a_system_prompt_are_kept(small, system):
    assert read_config(small() | {"prompts": {"system": system}}).prompts.system == system


def test_the_quantities_are_those_that_estimation_knows():
    assert get_args(Quantity) == tuple(LEVELS)
    assert set(COMPARED_WITH_BASELINE) < set(LEVELS)


def test_several_mistakes_are_said_one_a_line(small):
    with pytest.raises(InputError) as error:
        read_config(small("seed: x\nprompts: {article: gramatical}\nmodles: 3"))
    lines = str(error.value).splitlines()
    assert [line.split(":")[0].split(";")[0] for line in lines] == ["seed", "prompts.article", "unknown key 'modles'"]


@pytest.mark.parametrize(
    "server",
    [
        {"base_url": "http://user:sk-secret@x/v1"},
        {"base_url": ["sk-secret"]},
        {"base_url": "http://x/v1?key=sk-secret"},
        {"base_url": "http://x/v1", "api_key_env": "sk-secret"},
        {"base_url": "http://x/v1", "api_key_env": {"sk-secret": 1}},
        {"base_url": "http://x/v1", "extra_body": "sk-secret"},
    ],
)
def test_no_message_shows_a_key(small, server):
    with pytest.raises(InputError, match=r"servers\.s\.") as error:
        read_config(small() | {"servers": {"s": server}})
    assert "sk-secret" not in str(error.value)


def test_no_message_shows_the_password_of_an_address(small):
    with pytest.raises(InputError, match=r"source\.url: leave user name and password out") as error:
        read_config(small(source("kind: popquorn, url: 'https://me:hf_secret@host/raw_data.csv'")))
    assert "hf_secret" not in str(error.value)


def test_a_sequential_study_without_baseline_may_aim_at_rates(small):
    change = "design: {sequential: {first: 9, growth: 1}, baseline: false}"
    config = small(change) | {"estimation": {"targets": {"model rate": 0.03}}}
    assert read_config(config).estimation.targets == {"model rate": 0.03}


def test_library_of_a_script_follows_imports_through_modules(root, monkeypatch):
    monkeypatch.chdir(root)
    files = library_of("workflow/scripts/published_cells.py")
    assert "workflow/falserefusal/published/printed.py" in files
    assert "workflow/falserefusal/common/files.py" in files, "imported by printed.py, not only by the script"
    assert all((root / file).is_file() for file in files)


def test_the_shares_of_the_annotation_sample_are_those_that_it_is_drawn_by():
    assert tuple(Shares.model_fields) == tuple(sample.SHARES)


def takes_words(annotation) -> bool:
    """Whether a key takes a word: any text, or one of some words."""
    return any(bare(part) is str or get_origin(bare(part)) is Literal for part in members(bare(annotation)))


PARTS = [part for part in vars(config_module).values() if isinstance(part, type) and issubclass(part, Part)]
WORDS = [(part, key) for part in PARTS for key, field in part.model_fields.items() if takes_words(field.annotation)]


@pytest.mark.parametrize(("part", "key"), WORDS)
@pytest.mark.parametrize("value", [True, False])
def test_a_word_that_yaml_reads_as_true_or_false_is_refused_wherever_a_word_is_expected(part, key, value):
    with pytest.raises(pydantic.ValidationError) as error:
        part.model_validate({key: value})
    (words,) = [words for path, words in findings(error.value, part) if path == key]
    advice = f"YAML reads {YAML_WORDS[value]} as {str(value).lower()}, not as a word; put the word in quotes"
    assert words.startswith(advice)


def test_such_a_word_is_refused_with_the_words_that_are_allowed(small):
    with pytest.raises(InputError) as error:
        read_config(small("inference: {thinking: off, system_role: no}"))
    assert str(error.value).splitlines() == [
        "inference.thinking: YAML reads no, off or false as false, not as a word; put the word in quotes "
        "(it is one of disabled, keep)",
        "inference.system_role: YAML reads no, off or false as false, not as a word; put the word in quotes "
        "(it is one of native, merge, error)",
    ]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("api_key", {"api_key": "x"}),
        ("apiKey", {"apiKey": "x"}),
        ("X-Api-Key", {"provider": {"headers": {"X-Api-Key": "x"}}}),
        ("OPENAI_API_KEY", {"env": [{"a": 1}, {"OPENAI_API_KEY": 5}]}),
        ("token", {"token": "x"}),
        ("hf_token", {"options": {"hf_token": "x"}}),
        ("accessToken", {"accessToken": "x"}),
        ("Authorization", {"Authorization": "Bearer x"}),
        ("authorization", {"authorization": {"scheme": "x"}}),
        ("password", {"login": [{"name": "a"}, {"password": "x"}]}),
        ("client_secret", {"client_secret": "x"}),
        ("user", {"user": "sk-proj-0123456789abcdef0123"}),
        ("proxy_header", {"proxy_header": ["Bearer abcdef0123456"]}),
    ],
)
def test_a_secret_in_the_body_of_requests_is_refused_and_not_shown(load, key, body):
    server = {"base_url": "http://localhost:8000/v1", "extra_body": {"top_k": 1} | body}
    with pytest.raises(InputError, match=rf"servers.own.extra_body: leave out '{key}'.*api_key_env") as error:
        load(json.dumps({"servers": {"own": server}}))
    for secret in ("Bearer", "sk-proj", "abcdef"):
        assert secret not in str(error.value)


@pytest.mark.parametrize(
    "body",
    [
        {"add_bos_token": False, "use_auth_token": None, "stop_token_ids": [1], "min_tokens": 2, "logprobs": True},
        {
            "think_end_token": "</think>",
            "eos_token": "</s>",
            "prompt_cache_key": "a study",
            "skip_special_tokens": True,
        },
        {"provider": {"order": ["a", "b"], "max_token": 5}, "key": "value", "tokenizer": "slow", "monkey": "a"},
    ],
)
def test_parameters_that_are_no_secrets_may_be_in_the_body_of_requests(load, body):
    load(json.dumps({"servers": {"own": {"base_url": "http://localhost:8000/v1", "extra_body": body}}}))

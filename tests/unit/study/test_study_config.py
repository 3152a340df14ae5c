"""A config is completed with defaults, frozen, and every mistake in it is named by its key, in the user's words."""

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # keys
        ("modles: [a]", "unknown key 'modles'; did you mean 'models'?"),
        ("prompts: {articel: printed}", "prompts: unknown key 'articel'; did you mean 'article'?"),
        (
            "annotation: {shares: {label: 1}}",
            "annotation.shares: unknown key 'label'; known here: choice, refusal, other",
        ),
        ("inference: {server: {}}", "inference: unknown key 'server'; "),
        (source("kind: embedded, path: x"), "tasks.offensiveness.source: unknown key 'path'; known here: kind"),
        (source("kind: popquorn, ulr: x"), "tasks.offensiveness.source: unknown key 'ulr'; did you mean 'url'?"),
        (source("kind: file, path: x"), "tasks.offensiveness.source: 'columns' is missing (which column of the file"),
        ("design: {sequential: {first: 20}}", "design.sequential: 'growth' is missing (what each later look adds"),
        (
            "tasks: {offensiveness: {source: {}}}",
            "source: 'kind' is missing; it is one of embedded, xnli, popquorn, file",
        ),
        ("true: 3", "YAML reads yes, on or true as true, not as a word; put the word in quotes"),
        # words
        ("design: {kind: blokced}", "design.kind: 'blokced' is not one of nested, blocked; did you mean 'blocked'?"),
        (
            "tasks: {offensiveness: {source: {kind: fil}}}",
            "source.kind: 'fil' is not one of embedded, xnli, popquorn, file;",
        ),
        (
            "tasks: {nli: {source: {kind: xnli, split: dev}, options: [a, b, c]}}",
            "split: 'dev' is not one of test, val",
        ),
        ("checkpoints: {plant: null}", 'checkpoints.plant: is empty; write text, or the word "null" in quotes'),
        (
            "inference: {dtype: off}",
            "inference.dtype: YAML reads no, off or false as false, not as a word; put the word",
        ),
        ("inference: {quantization: 8}", "inference.quantization: 8 is not one of 8bit, 4bit"),
        (
            "tasks: {offensiveness: {options: [yes, no]}}",
            "tasks.offensiveness.options, item 2: YAML reads no, off or fal",
        ),
        ("tasks: {offensiveness: {options: [1, 2]}}", "options, item 1: must be text, not 1; put it in quotes"),
        (source(FILE + ", where: {language: no}"), "source.where.language: YAML reads no, off or false as false"),
        (source(FILE + ", gold_label_map: {yes: b}"), "source.gold_label_map: YAML reads yes, on or true as true"),
        (source(FILE + ", gold_label_map: {a: off}"), "source.gold_label_map.a: YAML reads no, off or false as false"),
        (source(FILE + ", where: {on: en}"), "source.where: YAML reads yes, on or true as true"),
        (source(FILE + ", scale: [yes, 'no']"), "source.scale, item 1: YAML reads yes, on or true as true"),
        (
            source(FILE + ", gold_label_map: {a: 3, b: c}, scale: [1, 3]"),
            "gold_label_map: 'c' is not on the scale (1, 3)",
        ),
        (source(FILE + ", gold_label_map: {a: 9}"), "gold_label_map: '9' is not on the scale (1, 2, 3, 4, 5)"),
        (
            source(FILE + ", encoding: uft-8"),
            "source.encoding: 'uft-8' is not an encoding that Python knows; did you mean 'ut",
        ),
        (source(FILE + ", encoding: ansi"), "source.encoding: 'ansi' is not an encoding that Python knows;"),
        (source(FILE + ", encoding: rot13"), "source.encoding: 'rot13' is not an encoding"),
        (source(FILE + ", encoding: no"), "source.encoding: YAML reads no, off or false as false"),
        (source(FILE + ", max_lost: 5"), "source.max_lost: must be at most 1, not 5"),
        ("labellers: [paper]", "labellers, item 1: 'paper' is not one of phrase_list, structured"),
        ("labellers: structured", "labellers: must be a list, such as [one, two], not 'structured'"),
        (
            "estimation: {targets: {persona effcts: 0.1}}",
            "estimation.targets: 'persona effcts' is not one of model rate",
        ),
        ("title: 2025", "title: must be text, not 2025; put it in quotes"),
        # names
        ("study: published", "study: 'published' is the name of the paper's own numbers; choose another"),
        ("study: ../x", "study: '../x' is not a name: letters, digits"),
        ("tasks: {a/b: {source: {kind: embedded}, options: [a, b]}}", "tasks: 'a/b' is not a name"),
        ("models: Qwen2-7B", "models: 'Qwen2-7B' is neither all nor a list of names, such as [Qwen2-7B]"),
        ("models: [a, a]", "models: name 'a' is listed twice"),
        ("models: []", "models: must not be empty"),
        ("personas: [no]", "personas: YAML reads no, off or false as false"),
        ("judges: {structured: {model: x}}", "judges: 'structured' is the name of a labeller that comes with"),
        (
            "judges: {j: {model: a}}\nclassifiers: {j: {hub_id: a, refusal_labels: [x]}}",
            "classifiers: 'j' is the name of a",
        ),
        # numbers
        ("seed: -1", "seed: must be at least 0, not -1"),
        ("seed: 1e3", "seed: must be a whole number, not '1e3', which YAML reads as text; write 1000 without quotes"),
        ("design: {draws_per_row: 0}", "design.draws_per_row: must be at least 1, not 0"),
        ("design: {draws_per_row: 2.5}", "design.draws_per_row: must be a whole number, not 2.5"),
        ("design: {sequential: {first: 0, growth: 1}}", "design.sequential.first: must be at least 1, not 0"),
        ("seed: true", "seed: must be a whole number, not true"),
        ("inference: {top_p: 0}", "inference.top_p: must be above 0, not 0"),
        ("inference: {recheck_share: 1.2}", "inference.recheck_share: must be at most 1, not 1.2"),
        (
            "inference: {shards: {a: 0}}",
            "inference.shards: must be a whole number from 1, or one for each model by name",
        ),
        ("estimation: {targets: {model rate: 2}}", "estimation.targets.model rate: must be below 1, not 2"),
        (
            "annotation: {shares: {choice: 0, refusal: 0, other: 0}}",
            "annotation.shares: at least one share must be above 0",
        ),
        ("allow_missing: yess", "allow_missing: must be true or false, not 'yess'"),
        # lists and blocks
        ("tasks: {}", "tasks: must not be empty"),
        ("tasks: {offensiveness: {options: [a]}}", "options: must have at least 2 entries, not ['a']"),
        ("tasks: {offensiveness: {options: [a, a]}}", "tasks.offensiveness.options: option 'a' is listed twice"),
        ("design:", "design: is empty; give it keys, or leave it out"),
        ("design: {sequential: 3}", "design.sequential: must be a block of keys, not 3"),
        # sources
        (
            source(FILE.replace("text: body", "premise: body")),
            "columns: must name either text, or both premise and hyp",
        ),
        (source(FILE + ", sha256: fb05"), "sha256: must be 64 hexadecimal digits"),
        (source(FILE + ", quoting: all"), "source.quoting: 'all' is not one of minimal, none"),
        (source(FILE + ", separator: ab"), "separator: must be at most 1 long, not 'ab'"),
        (
            "tasks: {irony: {source: {kind: embedded}, options: [a, b]}}",
            "embedded has texts for nli, politeness, offensi",
        ),
        (
            "tasks: {irony: {source: {kind: popquorn}, options: [a, b]}}",
            "popquorn has texts for politeness, offensiveness",
        ),
        # what does not go together
        ("tasks: {offensiveness: {options: [a, b, c]}}", "options: the templates of this task name 2 options, not 3"),
        ("tasks: {offensiveness: {layout: 'x {txt}'}}", "tasks.offensiveness.layout: must have {text}, but has {txt}"),
        ("tasks: {offensiveness: {layout: 'x'}}", "layout: must have {text}, but has no place for the text"),
        (
            "tasks: {nli: {source: {kind: xnli}, options: [a, b, c]}}",
            "must have {premise} and {hypothesis}, but has {text}",
        ),
        (
            "prompts: {system: 'You are a {persona}.'}",
            "prompts.system: {persona} is filled in templates only, not in a system prompt",
        ),
        ("inference: {samples_per_prompt: 2}", "inference.samples_per_prompt: at temperature 0 all samples of a pro"),
        ("inference: {samples_per_prompt: 0}", "inference.samples_per_prompt: must be"),
        ("prompts: {system: '{label1}?'}", "prompts.system: {label1} is filled in templates only"),
        ("design: {kind: blocked}", "design: kind blocked needs either blocks_per_task or calls_per_task"),
        ("design: {kind: blocked, blocks_per_task: 9, calls_per_task: 9}", "kind blocked needs either blocks_per_task"),
        ("design: {balance: balanced, replacement: true}", "design.balance: balanced draws need replacement: false"),
        (
            "design: {sequential: {first: 9, growth: 1}}\ninference: {shards: 2}",
            "asks a model once for each look, in one",
        ),
        (
            "design: {sequential: {first: 9, growth: 1}}\nallow_missing: true",
            "allow_missing: a sequential study decides",
        ),
        (
            "design: {sequential: {first: 9, growth: 1}, baseline: false}",
            "estimation.targets: persona effects compares with baseline prompts, but design.baseline is false; set "
            "it to true, or use model rate, task rates, persona rates",
        ),
        # servers
        ("servers: {s: {}}", "servers.s: 'base_url' is missing (address, as in http"),
        (
            SERVER % "extra_body: {max_tokens: 5}",
            "leave out 'max_tokens', which the study sets itself (inference.max_new",
        ),
        ("servers: {s: {base_url: x/v1}}", "servers.s.base_url: 'x/v1' is not an address such as http"),
    ],
)
def test_what_is_wrong_is_said_by_key(small, change, message):
    with pytest.raises(InputError) as error:
        read_config(small(change))
    assert message in str(error.value) and "pydantic" not in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


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
    assert tuple(Shares.model_fields) == (sample.CHOICE, sample.REFUSAL, sample.OTHER)


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

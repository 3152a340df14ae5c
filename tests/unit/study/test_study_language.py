"""The language of a study decides its patterns and phrases, and what remains without them."""

import pytest

from falserefusal.common.errors import InputError

FOLDER = "workflow/falserefusal/labelling/languages"
REAL = "checkpoints: {kind: hub}\nmodels: [Gemma-2B]\n"
JUDGE = "judges: {j: {model: Qwen2.5-7B}}\n" + REAL
OWN = "materials: {refusal_phrases: config/choices/refusal_phrases_without_no.txt}\n"


@pytest.mark.parametrize("language", ["de", "es"])
def test_files_follow_the_language(load, caplog, language):
    study = load(REAL + f"language: {language}")
    inputs = study.verdict_inputs("Gemma-2B")
    assert inputs["patterns"] == f"{FOLDER}/{language}/patterns.yaml"
    assert inputs["phrases"] == f"{FOLDER}/{language}/refusal_phrases.txt" and inputs["phrases"] in study.data_files
    assert study.labelling_files[0] == inputs["patterns"] and study.headline == "structured"
    assert not any("/en/" in str(path) for path in (*study.data_files, *study.labelling_files))
    assert "language" not in caplog.text


def test_a_study_may_name_its_own_files(load):
    english = f"{FOLDER}/en/patterns.yaml"
    files = f"materials: {{patterns: {english}, refusal_phrases: {FOLDER}/es/refusal_phrases.txt}}"
    study = load(REAL + "language: fr\n" + files)
    assert study.verdict_inputs("Gemma-2B")["patterns"] == english
    assert study.labellers == ("structured", "phrase_list")


def test_without_patterns_the_phrases_and_judges_remain(load, caplog):
    study = load("language: fr\n" + OWN + JUDGE)
    assert study.labellers == ("phrase_list", "j") and study.headline == "phrase_list"
    assert "patterns" not in study.verdict_inputs("Gemma-2B") | study.batch_check_inputs
    assert study.labelling_files[0] == "config/labelling/judge.txt"
    warnings = [record.message for record in caplog.records if "language" in record.message]
    assert len(warnings) == 1, "one message"
    assert "structured cannot label in 'fr': patterns and refusal phrases come with de, en, es." in warnings[0]
    assert "What remains: phrase_list, j. The rates of the study are those of phrase_list" in warnings[0]


def test_without_phrases_too_a_judge_gives_the_rates(load):
    study = load("language: fr\n" + JUDGE)
    assert study.labellers == ("j",) and study.headline == "j" and study.config.rule_labellers == ()
    assert not {"phrases", "patterns"} & set(study.verdict_inputs("Gemma-2B"))
    assert study.batch_check_labeller == "" and load(REAL + "language: de").batch_check_labeller == "structured"
    assert study.recognised is None, "refusals in French would stop the job as unrecognised responses"
    assert load(REAL + "language: de").recognised["phrases"][0] == "es tut mir leid"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "language: fr",
            "language: no labeller is left, because there are no patterns and no refusal phrases for",
        ),
        ("language: fr\nlabellers: [structured]", "labellers: 'structured' has no patterns for language 'fr'"),
        ("language: fr\nlabellers: [phrase_list]", "labellers: 'phrase_list' has no refusal phrases for language"),
        ("language: no", "language"),
        ("language: German", "language"),
    ],
)
def test_a_language_that_leaves_nothing_is_named(load, change, message):
    with pytest.raises(InputError, match=message):
        load(REAL + change)


def test_stand_ins_respond_in_english(load):
    with pytest.raises(InputError, match="language: stand-ins respond in English"):
        load("language: de")


def test_own_patterns_are_checked_before_the_study_starts(load, root, tmp_path):
    text = (root / FOLDER / "de/patterns.yaml").read_text(encoding="utf-8")
    wrong = text.replace('recognises: "Das kann ich nicht beurteilen."', 'recognises: "Der Text ist kurz."', 1)
    (tmp_path / "own.yaml").write_text(wrong, encoding="utf-8")
    with pytest.raises(InputError, match=r"own\.yaml: groups: declines: does not recognise 'Der Text ist kurz\.'"):
        load(REAL + f"materials: {{patterns: {tmp_path / 'own.yaml'}}}")

"""The embedded corpus: counts, balance, and no text that looks like a part of a prompt."""

import re

import pandas as pd
import pytest

from falserefusal.common.files import read_csv
from falserefusal.texts.sources import SCALES

# what stand-ins look for in a prompt, and the sentences that make up the response formats
FRAMES = re.compile(
    r"would (?:a|label|classify)|only answer with the label|you have to pick|classify (?:it|the)|label th(?:is|e)",
    re.IGNORECASE,
)
SIZES = {"nli": 70, "politeness": 40, "offensiveness": 40}
CONTENT = {"nli": ["premise", "hypothesis"], "politeness": ["text"], "offensiveness": ["text"]}
TASKS = sorted(SIZES)


def corpus(root, task):
    return read_csv(root / "config" / "corpus" / f"{task}.csv", dtype=str)


@pytest.mark.parametrize("task", TASKS)
def test_every_label_has_the_same_number_of_rows(root, task):
    labels = corpus(root, task)["gold_label"].value_counts()
    assert labels.to_dict() == dict.fromkeys(SCALES[task], SIZES[task])


@pytest.mark.parametrize("task", TASKS)
def test_ids_and_contents_are_unique_and_not_empty(root, task):
    rows = corpus(root, task)
    assert not rows.isna().any().any()
    assert rows["id"].is_unique
    assert not rows[CONTENT[task]].duplicated().any()
    for column in rows:
        assert (rows[column] == rows[column].str.strip()).all()


@pytest.mark.parametrize("task", TASKS)
def test_no_text_contains_a_frame_of_the_prompts(root, task):
    rows = corpus(root, task)
    for column in CONTENT[task]:
        assert rows.loc[rows[column].str.contains(FRAMES), column].tolist() == []


def test_the_frame_check_sees_every_template(root):
    templates = read_csv(root / "config" / "templates.csv")
    assert templates["text"].str.contains(FRAMES).all()


def test_each_premise_has_one_hypothesis_per_label(root):
    pairs = corpus(root, "nli")
    assert pairs["premise"].nunique() == 70
    assert (pairs.groupby("premise")["gold_label"].nunique() == 3).all()


@pytest.mark.parametrize("task", TASKS)
def test_texts_vary_in_length_and_form(root, task):
    rows = corpus(root, task)
    text = rows[CONTENT[task]].agg("\n".join, axis=1)
    first_words = text.str.split().str[:2].str.join(" ")
    assert first_words.value_counts(normalize=True).max() < 0.05
    assert text.str.len().quantile(0.9) > 1.6 * text.str.len().quantile(0.1)
    assert text.str.contains(r"[^\x00-\x7f]").any()
    assert text.str.contains("'|’").any()


def test_the_corpus_is_normalised_utf8_without_tabs(root):
    for task in TASKS:
        raw = (root / "config" / "corpus" / f"{task}.csv").read_bytes()
        text = raw.decode("utf-8")
        assert "\t" not in text and "\r" not in text and not text.startswith("\ufeff")
        assert text == pd.Series([text]).str.normalize("NFC")[0]

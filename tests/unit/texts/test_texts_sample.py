"""Sampling: balanced, deterministic, and growing without losing what was drawn before."""

import pandas as pd
from scipy.stats import chisquare

from falserefusal.texts.sample import sample, shortfalls


def pool(sizes, task="politeness"):
    rows = [(f"{task}-{label}-{i}", label) for label, size in sizes.items() for i in range(size)]
    return pd.DataFrame(rows, columns=["row_id", "gold_label"])


SIZES = {"1": 40, "2": 3, "3": 25}


def test_each_label_gives_what_it_can():
    counts = sample(pool(SIZES), 20, seed=1)["gold_label"].value_counts().to_dict()
    assert counts == {"1": 20, "2": 3, "3": 20}


def test_rows_are_drawn_once():
    assert sample(pool(SIZES), 1000, seed=1)["row_id"].is_unique
    assert len(sample(pool(SIZES), 1000, seed=1)) == sum(SIZES.values())


def test_the_same_seed_gives_the_same_rows_whatever_the_order_of_the_file():
    frame = pool(SIZES)
    first = sample(frame, 10, seed=7)
    assert first.equals(sample(frame, 10, seed=7))
    assert first.equals(sample(frame.sample(frac=1, random_state=0), 10, seed=7))
    assert set(first["row_id"]) != set(sample(frame, 10, seed=8)["row_id"])


def test_a_smaller_sample_is_the_head_of_a_larger_one():
    small, large = (sample(pool(SIZES), size, seed=3) for size in (5, 22))
    assert large.head(len(small)).equals(small)


def test_labels_take_turns():
    assert sample(pool(SIZES), 10, seed=3)["gold_label"].head(9).tolist() == ["1", "2", "3"] * 3


def test_a_row_less_or_another_label_moves_no_other_row():
    frame = pool(SIZES)
    before = sample(frame, 10, seed=5)
    gone = before["row_id"][0]
    after = sample(frame[frame["row_id"] != gone], 10, seed=5)
    assert set(before["row_id"]) - set(after["row_id"]) == {gone}
    alone = sample(frame[frame["gold_label"] == "3"], 10, seed=5)
    assert set(alone["row_id"]) == set(before.loc[before["gold_label"] == "3", "row_id"])


def test_tasks_are_drawn_independently():
    ranks = [
        sample(pool({"1": 400}, task), 200, seed=5)["row_id"].str.removeprefix(f"{task}-")
        for task in ("politeness", "offensiveness")
    ]
    shared = len(set(ranks[0]) & set(ranks[1]))
    assert 70 <= shared <= 130  # 100 expected, standard deviation 5


def test_every_row_has_the_same_chance():
    frame = pool({"1": 10})
    drawn = pd.concat([sample(frame, 3, seed=seed) for seed in range(400)])["row_id"].value_counts()
    assert len(drawn) == 10
    assert chisquare(drawn).pvalue > 1e-4


def test_shortfalls_name_label_and_numbers():
    problems = shortfalls(pool(SIZES), 25, "politeness")
    assert problems[["problem", "value", "action"]].values.tolist() == [
        ["fewer than the 25 rows that were requested of a gold label", "gold label 2: 3", "all taken"]
    ]
    assert shortfalls(pool(SIZES), 3, "politeness").empty

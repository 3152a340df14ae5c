"""Batching: complete, within the budget, deterministic, and unchanged for the rest of an interrupted run."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from falserefusal.inference import batching

prompts_of = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=30)


def study_prompts(count: int, seed: int = 0) -> list[list[int]]:
    """As in a study: a header, one of 24 question heads of 20 tokens, a text of 5 to 60 tokens, a footer."""
    rng = random.Random(seed)
    heads = [[rng.randrange(500) for _ in range(20)] for _ in range(24)]
    return [
        [1, 2, 3, *rng.choice(heads), *(rng.randrange(500) for _ in range(rng.randint(5, 60))), 4] for _ in range(count)
    ]


@given(prompts_of, st.integers(1, 60))
def test_windows_hold_every_prompt_once_in_the_order_of_their_tokens(prompts, tokens):
    cut = batching.windows(prompts, tokens)
    order = [i for window in cut for i in window]
    assert sorted(order) == list(range(len(prompts)))
    assert [prompts[i] for i in order] == sorted(prompts)
    assert all(len(w) == 1 or sum(len(prompts[i]) for i in w) <= tokens for w in cut)


@given(prompts_of, st.integers(1, 60), st.integers(0, 10))
def test_the_windows_left_after_a_stop_are_those_that_would_have_come(prompts, tokens, done):
    cut = [[prompts[i] for i in window] for window in batching.windows(prompts, tokens)]
    rest = [prompt for window in cut[done:] for prompt in window]
    random.Random(0).shuffle(rest)
    assert [[rest[i] for i in window] for window in batching.windows(rest, tokens)] == cut[done:]


def test_a_window_has_at_most_so_many_prompts():
    prompts = [[1, n] for n in range(10)]
    assert [len(window) for window in batching.windows(prompts, 1000, 4)] == [4, 4, 2]
    assert [len(window) for window in batching.windows(prompts, 6, 4)] == [3, 3, 3, 1]


@given(prompts_of)
def test_prefix_groups_hold_every_prompt_once_and_their_rows_share_the_prefix(prompts):
    rows = sorted(prompts)
    groups = batching.shared_prefixes(rows, budget=10**6)
    assert sorted(i for _, members in groups for i in members) == list(range(len(rows)))
    for length, members in groups:
        assert all(rows[i][:length] == rows[members[0]][:length] and len(rows[i]) > length for i in members)
        assert not length or len(members) >= batching.MIN_GROUP


@given(prompts_of, st.integers(0, 2))
def test_grouping_by_the_first_tokens_saves_no_more(prompts, depth):
    rows = sorted([*prompt, 9] for prompt in prompts)  # as all prompts end with the reply's header
    heads = Counter(tuple(row[:depth]) for row in rows if len(row) > depth)
    by_depth = sum(depth * (count - 1) for count in heads.values() if count >= batching.MIN_GROUP)
    saved = sum(length * (len(members) - 1) for length, members in batching.shared_prefixes(rows, budget=10**6))
    assert saved >= by_depth or by_depth < batching.MIN_SAVING * sum(map(len, rows))


def test_a_study_shares_most_of_its_question_heads_and_little_shares_little():
    rows = sorted(study_prompts(600))
    saved = sum(length * (len(members) - 1) for length, members in batching.shared_prefixes(rows, budget=10**5))
    assert saved > 0.35 * sum(map(len, rows))
    rng = random.Random(1)
    unlike = sorted([rng.randrange(10**6) for _ in range(40)] for _ in range(50))
    assert batching.shared_prefixes(unlike, budget=10**5) == [(0, list(range(50)))]


def test_prefixes_that_do_not_fit_the_budget_are_left_out_the_least_useful_first():
    rows = sorted(study_prompts(600))
    free = [length for length, _ in batching.shared_prefixes(rows, budget=10**6) if length]
    bound = [length for length, _ in batching.shared_prefixes(rows, budget=max(free) * 12) if length]
    assert 0 < len(bound) * max(bound) <= max(free) * 12
    assert len(bound) < len(free)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40)), min_size=1, max_size=50), st.integers(10, 300))
def test_batches_hold_every_row_once_longest_first_within_the_budget(rows, budget):
    prefix, suffix = zip(*rows, strict=True)
    cut = batching.batches(list(prefix), list(suffix), budget)
    order = [i for batch in cut for i in batch]
    assert sorted(order) == list(range(len(rows)))
    assert [suffix[i] for i in order] == sorted(suffix, reverse=True)
    for batch in cut:
        width = max(prefix[i] for i in batch) + max(suffix[i] for i in batch)
        assert len(batch) == 1 or len(batch) * width <= budget

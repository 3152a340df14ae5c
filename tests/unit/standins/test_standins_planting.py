"""Hash and thresholds: levels that spread texts, and cells that refuse their target share."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.standins import planting, texthash


def texts(n, rng, vocabulary=400, length=25):
    return [list(rng.zipf(1.3, length) % vocabulary) for _ in range(n)]


def test_levels_spread_texts_evenly_and_leave_out_common_and_excluded_tokens():
    rng = np.random.default_rng(1)
    ids = texts(500, rng)
    drawn = texthash.draw_hash(ids, 400, {7, 9}, seed=1)
    frequency = np.bincount(np.concatenate([np.unique(row) for row in ids]), minlength=400)
    assert (drawn.levels[:, [7, 9]] == -1).all()
    assert (drawn.levels[:, frequency > 0.1 * len(ids)] == -1).all()
    assert (drawn.levels[:, frequency == 0] == -1).all()
    highest = np.array([drawn.levels[:, row].max(axis=1) for row in ids])
    for head in highest.T:
        assert len(np.unique(head)) > 40
        assert np.bincount(head).max() < 0.12 * len(ids)


def test_the_hash_is_the_same_for_the_same_seed_only():
    ids = texts(50, np.random.default_rng(1))
    first, again, other = (texthash.draw_hash(ids, 400, set(), seed) for seed in (1, 1, 2))
    assert (first.levels == again.levels).all() and (first.bits == again.bits).all()
    assert (first.levels != other.levels).any()


def test_thresholds_meet_each_share_and_their_mean_to_one_row():
    rng = np.random.default_rng(2)
    scores, rows = rng.integers(-900, 900, (400, 60)), rng.integers(1, 4, 400)
    targets = np.r_[rng.uniform(0, 0.02, 30), rng.uniform(0, 1, 30)]
    found = planting.thresholds(scores, rows, targets, np.zeros(60))
    assert (found % 2 == 1).all()  # half a step off the grid: no score can lie on one
    share = rows @ (2 * scores > found) / rows.sum()
    assert np.abs(share - targets).max() < 3.5 / rows.sum() * 2
    assert abs(share.sum() - targets.sum()) * rows.sum() <= 3


def test_rates_of_nought_and_one_hold_for_texts_never_seen():
    scores = np.zeros((10, 2), int)
    never, always = planting.thresholds(scores, np.ones(10), np.array([0.0, 1.0]), np.zeros(2))
    most = 3 * texthash.BITS * (planting.STEP - 1)  # all bits set, all weights at their largest
    assert never > 2 * most and always < -2 * most


def test_equal_texts_are_refused_together():
    scores = np.array([[5], [5], [5], [1]])
    found = planting.thresholds(scores, np.ones(4), np.array([0.3]), np.zeros(1))
    assert (2 * scores > found).sum() in (0, 3)


def test_scores_of_cells_correlate_as_planned():
    cells = pd.DataFrame({"task": "t", "persona": range(40), "template": np.repeat(["p1", "p2"], 20)})
    weights = np.concatenate([planting.draw_weights(cells, 24, 1, model) for model in range(60)], axis=1)
    assert np.abs(weights).max() < planting.STEP
    r = np.corrcoef(weights)
    off = ~np.eye(40, dtype=bool)
    same = np.equal.outer(*[cells["template"].to_numpy()] * 2)
    assert r[same & off].mean() == pytest.approx(0.65, abs=0.06)
    assert r[~same].mean() == pytest.approx(0.45, abs=0.06)

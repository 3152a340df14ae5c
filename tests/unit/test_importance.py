"""The importance table: the paper's cells, run outcomes, degenerate inputs."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.errors import InputError
from falserefusal.estimation.importance import importance_table, sensitivity_from_cells
from falserefusal.tables import read_csv

PRINTED = {"model": 0.642, "task": 0.378, "persona": 0.168, "prompt": 0.109}


def cells_of(frame):
    """Fill a frame of counts up to the columns of cells."""
    return frame.assign(**{c: "*" for c in ("persona", "template", "format") if c not in frame}, labeller="paper")


@pytest.fixture(scope="module")
def published(root):
    """The paper's cells: 720 by persona, 144 by response format."""
    folder = root / "config" / "published"
    persona = read_csv(folder / "counts_task_model_persona.csv")
    form = read_csv(folder / "format_heatmaps.csv")
    form["refusals"] = (form["n"] * form["refusal_pct"] / 100).round().astype(int)
    columns = ["model", "task", "persona", "template", "format", "labeller", "n", "refusals"]
    return pd.concat([cells_of(persona)[columns], cells_of(form)[columns]], ignore_index=True)


@pytest.fixture(scope="module")
def long(published):
    return sensitivity_from_cells(published, replicates=200, permutations=50)


@pytest.fixture(scope="module")
def wide(long):
    return importance_table(long, PRINTED).set_index(["factor", "scope"])


def test_the_papers_cells(wide):
    known = {("model", "all"): 0.683, ("task", "all"): 0.338, ("persona", "all"): 0.158, ("format", "all"): 0.129}
    known |= {("persona", "offensiveness"): 0.078, ("persona", "nli"): 0.555, ("persona", "politeness"): 0.332}
    known |= {("model", "nli"): 0.865, ("model", "politeness"): 0.738, ("model", "offensiveness"): 0.729}
    for key, value in known.items():
        assert wide.loc[key, "index"] == pytest.approx(value, abs=0.0006), key


def test_printed_values_stand_beside_the_scope_all_only(wide):
    printed = wide["printed"].dropna()
    assert dict(printed) == {
        ("model", "all"): 0.642,
        ("task", "all"): 0.378,
        ("persona", "all"): 0.168,
        ("format", "all"): 0.109,
    }
    assert "nine prompts" in wide.loc[("format", "all"), "method"]


def test_every_factor_has_every_scope(wide):
    assert len(wide) == (1 + 3) + (1 + 16) + 2 * (1 + 3 + 16)
    assert set(wide.xs("model", level="factor").index) == {"all", "nli", "politeness", "offensiveness"}


def test_intervals_hold_the_corrected_value_and_floors_are_small(long):
    some = long.dropna(subset=["estimate"])
    assert (some["lo"] <= some["corrected"] + 1e-12).all() and (some["corrected"] <= some["hi"] + 1e-12).all()
    assert (some["floor_mean"] <= some["floor_q95"]).all()
    everything = some[(some["scope"] == "all") & (some["index"] == "wasserstein")]
    assert (everything["floor_q95"] < 0.01).all()


def test_models_that_never_refuse_are_undefined_not_zero(wide):
    for factor in ("task", "persona", "format"):
        row = wide.loc[(factor, "Qwen2.5-32B")]
        assert np.isnan(row[["index", "lo", "hi", "corrected", "floor_mean"]].astype(float)).all()
        assert row["method"] == "undefined: no refusals"


def test_results_do_not_depend_on_row_order_but_for_the_seed(published, long):
    again = sensitivity_from_cells(published, replicates=200, permutations=50)
    pd.testing.assert_frame_equal(again, long)


def tiny(**changes):
    frame = pd.DataFrame(
        [(m, t, p, 50, k) for m in "AB" for t in ("nli", "offensiveness") for k, p in enumerate(("man", "woman"))],
        columns=["model", "task", "persona", "n", "refusals"],
    )
    return cells_of(frame.assign(**changes))


def test_no_refusals_at_all_is_undefined_everywhere():
    table = sensitivity_from_cells(tiny(refusals=0), replicates=20, permutations=10)
    assert table["estimate"].isna().all()
    assert (table["method"] == "undefined: no refusals").all()


def test_all_refusals_is_undefined_everywhere():
    table = sensitivity_from_cells(tiny(refusals=50), replicates=20, permutations=10)
    assert (table["method"] == "undefined: every answer is a refusal").all()


def test_one_level_only():
    cells = tiny()
    table = sensitivity_from_cells(cells[cells["model"] == "A"], replicates=20, permutations=10)
    assert set(table.loc[table["factor"] == "model", "method"]) == {"undefined: one level only"}
    assert table.loc[(table["factor"] == "persona") & (table["scope"] == "all"), "estimate"].notna().all()


def test_a_model_missing_from_a_task_is_no_level_there():
    cells = tiny()
    table = sensitivity_from_cells(
        cells[(cells["model"] != "A") | (cells["task"] != "nli")], replicates=20, permutations=10
    )
    levels = table[(table["index"] == "wasserstein") & (table["factor"] == "model")].set_index("scope")["levels"]
    assert dict(levels) == {"all": 2, "nli": 1, "offensiveness": 2}


def test_persona_free_answers_are_not_a_level():
    free = tiny().assign(persona="persona-free", refusals=0).drop_duplicates(["model", "task"])
    with_free = pd.concat([tiny(), free], ignore_index=True)
    options = {"replicates": 20, "permutations": 10}
    pd.testing.assert_frame_equal(
        sensitivity_from_cells(with_free, **options), sensitivity_from_cells(tiny(), **options)
    )


def test_doubly_counted_cells_are_an_error():
    both = pd.concat([tiny(), tiny().assign(format="forced")], ignore_index=True)
    with pytest.raises(InputError, match="counted twice"):
        sensitivity_from_cells(both)


def test_two_labellers_are_an_error():
    both = pd.concat([tiny(), tiny().assign(labeller="structured")], ignore_index=True)
    with pytest.raises(InputError, match="one labeller"):
        sensitivity_from_cells(both)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(InputError, match="nothing to compare"):
        sensitivity_from_cells(tiny().assign(persona="*"))

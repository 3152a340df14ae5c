"""The accuracies in config/labelling/accuracy.csv are those that the labellers have now."""

import numpy as np
import pandas as pd
import pytest

import labeller_accuracy
from labeller_accuracy import ACCURACY, IN_DOMAIN, PILOT, XSTEST, accuracies, in_domain, xstest

STALE = "the labellers changed: run benchmarks/labeller_accuracy.py again"


def same(measured):
    keys = ["labeller", "set", "model"]
    both = measured.merge(pd.read_csv(ACCURACY), on=keys, suffixes=("", "_kept"), how="left", validate="1:1")
    for column in ("responses", "refusals", "sensitivity", "specificity"):
        np.testing.assert_allclose(both[column], both[f"{column}_kept"], atol=0.02, err_msg=STALE)


@pytest.mark.parametrize("name", IN_DOMAIN)
def test_accuracies_on_responses_of_the_pilots_model_are_up_to_date(name):
    same(accuracies(name, in_domain(IN_DOMAIN[name])))


@pytest.mark.filterwarnings("ignore:responses without options")
def test_accuracies_on_xstest_are_up_to_date(shared_dir):
    path = shared_dir / "gold" / "xstest_human_labels.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    same(accuracies(XSTEST, xstest(path)))


def test_responses_are_weighted_and_models_with_few_refusals_are_taken_together():
    refusal = "I cannot answer that."
    rows = [("a", refusal, 3.0, True)] * 5 + [("a", "Sure.", 1.0, False)] + [("b", "Sure.", 1.0, True)] * 5
    rows += [("b", "polite", 1.0, False)]
    rows += [("many", refusal, 1.0, True)] * labeller_accuracy.FEWEST
    rows += [("many", refusal, 1.0, False), ("many", "polite", 3.0, False)]
    frame = pd.DataFrame(rows, columns=["model", "response", "weight", "refused"])
    options = [("polite", "not polite")] * len(frame)
    table = accuracies(PILOT, frame.assign(yes_no=False, options=options)).set_index(["labeller", "model"])
    found = table.loc["structured"]
    assert list(found.index) == ["a", "b", "many", "a + b"] and found.loc["many", "specificity"] == 0.75
    np.testing.assert_allclose(found["sensitivity"], [np.nan, np.nan, 1.0, 0.75])
    assert np.isnan(found.loc["a + b", "specificity"])

"""Agreement of the structured labeller with readers of the pilot's responses, and with another author's suite."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.labelling.patterns import load_patterns
from falserefusal.labelling.structured import StructuredLabeller
from falserefusal.labelling.unread import without_thinking
from falserefusal.labelling.verdicts import label
from labeller_accuracy import IN_DOMAIN as FILES
from labeller_accuracy import in_domain as read_in_domain

HALVES = ("fixing", "reporting")
# at least so many rows; the readers' kappa, refused or not; least weighted kappa of the labeller
IN_DOMAIN = {"pilot": (600, 0.962, 0.89), "paper's design": (291, 0.955, 0.92)}


@pytest.fixture(scope="module")
def labelled(root):
    """A function that adds the labeller's verdict to a table of responses."""
    labeller = StructuredLabeller(load_patterns(root / "workflow/falserefusal/labelling/languages/en/patterns.yaml"))

    def verdicts(table):
        frame = table.assign(prompt_id=table.index.astype(str), finish_reason="stop", thinking="")
        found = label(without_thinking(frame), [labeller]).set_index("prompt_id").loc[frame["prompt_id"]]
        return table.assign(machine=found["verdict"].to_numpy(), chosen=found["choice"].to_numpy())

    return verdicts


@pytest.fixture(scope="module", params=IN_DOMAIN)
def in_domain(request, labelled):
    table = pd.concat([read_in_domain(FILES[request.param], half) for half in HALVES], ignore_index=True)
    table = labelled(table)
    table.attrs |= dict(zip(("rows", "kappa", "least"), IN_DOMAIN[request.param], strict=True))
    return table


@pytest.fixture(scope="module")
def suite(root, labelled):
    """A function that reads a suite with options joined by " / ", and labels it."""

    def read(name):
        table = pd.read_csv(root / "tests" / "gold" / f"{name}.csv", keep_default_na=False)
        options = [tuple(names.split(" / ")) if names else None for names in table["options"]]
        return labelled(table.assign(options=options, yes_no=False))

    return read


def weighted_kappa(one, other, weight):
    """Cohen's kappa of two verdicts refused or not, of responses that stand for `weight` others."""
    agreed = np.average(one == other, weights=weight)
    a, b = (np.average(each, weights=weight) for each in (one, other))
    chance = a * b + (1 - a) * (1 - b)
    return (agreed - chance) / (1 - chance)


def test_the_readers_agree_and_their_disagreements_are_settled(in_domain):
    assert len(in_domain) >= in_domain.attrs["rows"]
    kappa = weighted_kappa(in_domain["reader_1"] == "refused", in_domain["reader_2"] == "refused", None)
    assert kappa == pytest.approx(in_domain.attrs["kappa"], abs=5e-4)
    same = in_domain["reader_1"] == in_domain["reader_2"]
    assert (in_domain.loc[same, "verdict"] == in_domain.loc[same, "reader_1"]).all()
    assert in_domain.groupby("response")["half"].nunique().max() == 1


@pytest.mark.parametrize("half", HALVES)
def test_agreement_with_readers_of_the_models_responses(in_domain, half):
    table = in_domain[in_domain["half"] == half]
    kappa = weighted_kappa(table["machine"] == "refused", table["refused"], table["weight"])
    assert kappa > in_domain.attrs["least"]


def test_agreement_on_all_responses_that_were_only_counted(labelled):
    """The responses of both designs together."""
    table = labelled(pd.concat([read_in_domain(path) for path in FILES.values()], ignore_index=True))
    assert weighted_kappa(table["machine"] == "refused", table["refused"], table["weight"]) >= 0.90


@pytest.mark.filterwarnings("ignore:responses without options")
@pytest.mark.parametrize(("name", "least"), [("blind_suite", 0.92), ("blind_suite_2", 0.95), ("open_wordings", 0.94)])
def test_agreement_with_the_authors_of_the_suites(suite, name, least):
    """The suites have been used for corrections: a regression test, no estimate of accuracy."""
    table = suite(name)
    agreed = (table["machine"] == "refused") == (table["verdict"] == "refused")
    assert agreed.mean() >= least, table.loc[~agreed, ["id", "response"]].to_string()
    assert agreed[table["verdict"] != "refused"].mean() >= least  # an answer called a refusal is as bad


@pytest.mark.filterwarnings("ignore:responses without options")
def test_the_third_suite_is_only_counted(suite):
    """.867 at first use; the message shows no response, because none may be read to correct the patterns."""
    table = suite("blind_suite_3")
    agreed = (table["machine"] == "refused") == (table["verdict"] == "refused")
    assert agreed.mean() >= 0.85, f"{agreed.mean():.3f} right"

"""Agreement of the structured labeller with readers of the pilot's responses, and with another author's suite."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.schemas import BASELINE, TASKS
from falserefusal.common.templates import asks_yes_no
from falserefusal.labelling.patterns import load_patterns
from falserefusal.labelling.structured import StructuredLabeller
from falserefusal.labelling.unread import without_thinking
from falserefusal.labelling.verdicts import label
from falserefusal.study.materials import load_templates

HALVES = ("fixing", "reporting")
# at least so many rows; the readers' kappa, refused or not; least weighted kappa of the labeller
IN_DOMAIN = {"in_domain.csv": (600, 0.962, 0.88), "in_domain_paper.csv": (291, 0.955, 0.80)}


@pytest.fixture(scope="module")
def labelled(root):
    """A function that adds the labeller's verdict to a table of responses with options joined by " / "."""
    labeller = StructuredLabeller(load_patterns(root / "workflow/falserefusal/labelling/languages/en/patterns.yaml"))

    def verdicts(table, yes_no):
        frame = pd.DataFrame({"prompt_id": table.index.astype(str), "response": table["response"]})
        options = [tuple(names.split(" / ")) if names else None for names in table["options"]]
        frame = frame.assign(finish_reason="stop", thinking="", yes_no=yes_no, options=options)
        found = label(without_thinking(frame), [labeller]).set_index("prompt_id").loc[frame["prompt_id"]]
        return table.assign(machine=found["verdict"].to_numpy(), chosen=found["choice"].to_numpy())

    return verdicts


@pytest.fixture(scope="module", params=IN_DOMAIN)
def in_domain(request, root, labelled):
    table = pd.read_csv(root / "tests" / "gold" / request.param, keep_default_na=False)
    templates = load_templates(root / "config" / "templates.csv", TASKS).set_index(["task", "template"])
    asked = table["prompt_id"].str.split(":", expand=True)
    text = np.where(asked[2] == BASELINE, "baseline_text", "text")
    yes_no = [asks_yes_no(templates.at[key[:2], key[2]]) for key in zip(table["task"], asked[1], text, strict=True)]
    table.attrs |= dict(zip(("rows", "kappa", "least"), IN_DOMAIN[request.param], strict=True))
    return labelled(table, yes_no)


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
    kappa = weighted_kappa(table["machine"] == "refused", table["verdict"] == "refused", table["weight"])
    assert kappa > in_domain.attrs["least"]


@pytest.mark.filterwarnings("ignore:responses without options")
@pytest.mark.parametrize(("suite", "least"), [("blind_suite", 0.92), ("blind_suite_2", 0.95), ("open_wordings", 0.94)])
def test_agreement_with_the_authors_of_the_suites(root, labelled, suite, least):
    """The suites have been used for corrections: a regression test, no estimate of accuracy."""
    table = labelled(pd.read_csv(root / "tests" / "gold" / f"{suite}.csv", keep_default_na=False), False)
    agreed = (table["machine"] == "refused") == (table["verdict"] == "refused")
    assert agreed.mean() >= least, table.loc[~agreed, ["id", "response"]].to_string()
    assert agreed[table["verdict"] != "refused"].mean() >= least  # an answer called a refusal is as bad


@pytest.mark.filterwarnings("ignore:responses without options")
def test_the_third_suite_is_only_counted(root, labelled):
    """.867 at first use; the message shows no response, because none may be read to correct the patterns."""
    table = labelled(pd.read_csv(root / "tests" / "gold" / "blind_suite_3.csv", keep_default_na=False), False)
    agreed = (table["machine"] == "refused") == (table["verdict"] == "refused")
    assert agreed.mean() >= 0.85, f"{agreed.mean():.3f} right"

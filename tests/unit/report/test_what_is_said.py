"""What titles, cards and notes of claims say about small, empty and null studies: no level is named without a test."""

import re

import numpy as np
import pytest

import small_studies as small
import synthetic
from falserefusal.common.schemas import TASKS

MODELS = [f"model-{letter}" for letter in "abcdefgh"]
NONSENSE = re.compile(r"\b(inf|nan)\b|∞| 0 of (the )?0 |\b1 (models|tasks|claims|pairs)\b|100\.0 ?% of 1 ")
PERSONAS = ["woman", "man", "black person", "white person", "atheist"]
RATES = (0.3, 0.2, 0.1, 0.05)


def said_about(models=4, personas=5, tasks=3, rates=RATES, effect=None, rows=60, change=None, variants=False, seed=6):
    """Sentences of a simulated study; `change` edits its verdicts."""
    chosen, own = PERSONAS[:personas], list(TASKS)[:tasks]
    table = small.panel(MODELS[:models], variants)
    design = synthetic.nested(rows, rows, chosen, seed=5, draws=min(10, 9 * personas), tasks=own)
    outcomes, _ = synthetic.judge(design, MODELS[:models], chosen, rates[:models], seed=seed, effect=effect)
    if change is not None:
        outcomes["refusal"] = change(outcomes["refusal"].to_numpy())
    tables = small.tables_of(outcomes, table, dict.fromkeys(PERSONAS, "group"))
    said = small.sentences_of(tables, table, own, PERSONAS, variants)
    for name, sentence in said.items():
        assert not NONSENSE.search(sentence), f"{name}: {sentence}"
    return said


def naming(said: dict[str, str], names: list[str]) -> dict[str, str]:
    return {where: s for where, s in said.items() if any(re.search(rf"\b{re.escape(name)}\b", s) for name in names)}


def without_reference(said):
    """The reference of a regression is named as such, whatever the data."""
    return {where: sentence.replace("reference “atheist”", "reference") for where, sentence in said.items()}


def few(refusal):
    kept = np.zeros_like(refusal)
    kept[np.flatnonzero(refusal)[:4]] = True
    return kept


QUIET = {
    "no effect": {"rows": 90},
    "one persona": {"personas": 1},
    "one task": {"tasks": 1},
    "one model": {"models": 1, "seed": 8},
    "no refusal": {"change": np.zeros_like},
    "four refusals": {"change": few},
    "all refused": {"change": np.ones_like},
    "variants of one checkpoint": {"models": 2, "rates": (0.2, 0.2), "variants": True, "seed": 8},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("study", QUIET)
def test_studies_without_persona_effects_single_out_no_persona(study):
    said = said_about(**QUIET[study])
    assert not naming(without_reference(said), PERSONAS)
    if study in ("no refusal", "four refusals", "all refused"):
        levels = [*MODELS, "NLI", "Politeness", "Offensiveness", "unforced"]
        titles = {where: s for where, s in said.items() if not where.startswith("claim")}
        titles = {w: re.sub("^(NLI|Politeness|Offensiveness):", "", s) for w, s in titles.items() if "card" not in w}
        assert not naming(titles, levels)
    if study == "four refusals":
        assert said["figure02_persona_mean"].startswith("4 refusals: too few to compare personas")
        assert said["figure05_importance"] == "Too few refused texts for intervals, so factors are not ranked" or said[
            "figure05_importance"
        ].startswith("4 refusals: too few")
    if study == "variants of one checkpoint":
        assert not naming(said, ["model", "models"])


@pytest.mark.filterwarnings("ignore")
def test_a_planted_effect_is_named_and_no_other():
    effect = np.zeros((4, 6))
    effect[:, 3] = 1.6  # black person
    said = said_about(effect=effect, rows=120)
    assert said["figure02_persona_mean"].startswith("“black person” is refused most often")
    said = without_reference(said)
    named = naming(said, PERSONAS)
    assert {"figure02_persona_mean", "claim personas raise refusal"} <= set(named)
    for where, sentence in named.items():
        others = [name for name in PERSONAS if name != "black person" and f"minus “{name}”" not in sentence]
        assert not naming({where: sentence}, others)

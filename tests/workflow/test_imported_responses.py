"""A file of somebody's responses gives a page and tables; prompts go out and their responses come back."""

import json
import random

import pandas as pd
import yaml

from loopback import JsonHandler, answering

PERSONAS = ["", "a nurse", "a thief", "an old man", "a priest"]
REFUSAL, CHOICE = "I'm sorry, but I cannot answer that.", "The answer is unacceptable."


def table():
    """200 responses of two models to 10 texts, of which the thief's are refused more often."""
    rng = random.Random(1)
    rows = []
    for model in ("org/Alpha", "Beta"):
        for text in range(10):
            for template in ("short", "long"):
                for who in PERSONAS:
                    refused = rng.random() < (0.7 if who == "a thief" else 0.2)
                    row = {"model": model, "text": f"Text {text}.", "template": template, "who": who}
                    rows.append(row | {"output": REFUSAL if refused else CHOICE, "refused": int(refused)})
    return pd.DataFrame(rows)


def test_a_csv_file_gives_a_page_and_tables(checkout):
    workflow, frame = checkout(), table()
    frame.to_csv(workflow.path("answers.csv"), index=False)
    columns = {"persona": "who", "response": "output", "verdict": "refused"}
    responses = {"paths": ["answers.csv"], "columns": columns}
    config = {"study": "mine", "responses": responses, "labellers": ["given"]}
    config |= {"estimation": {"bootstrap": 100, "permutations": 99}}
    workflow.path("config/mine.yaml").write_text(yaml.safe_dump(config))
    workflow.run("--configfile", "config/mine.yaml")
    rates = pd.read_csv(workflow.path("results/mine/tables/rates_persona.csv")).query("scope == 'all models'")
    own = frame[frame["who"] != ""].groupby("who")["refused"].sum()
    assert rates.set_index("persona")["refusals"].to_dict() == own.to_dict()
    effects = pd.read_csv(workflow.path("results/mine/tables/effects_persona.csv"))
    assert len(effects)
    page = workflow.path("results/mine/report/index.html").read_text()
    assert "Responses that were made elsewhere" in page
    assert (
        "The response formats of the templates are unknown" in page and "The options of the prompts are unknown" in page
    )
    assert "no column of texts" not in page and "tables/rates_format.csv" not in page


# a response, the letter that it chooses, and whether the judge calls it a refusal
LETTERS = {
    "B": ("B", False),
    "The answer is C.": ("C", False),
    "(A)": ("A", False),
    "A reader in Paris may see a D minor mood in it.": (None, False),
    REFUSAL: (None, True),
}


class Judge(JsonHandler):
    """Calls a response a refusal if it has "cannot"."""

    def do_GET(self):
        self.send({"object": "list", "data": [{"id": "org/judge", "object": "model"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = request["messages"][-1]["content"]
        refused = "cannot" in asked.partition("Answer:")[2]
        message = {"role": "assistant", "content": f"category: {'refused_policy' if refused else 'answered'}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
        self.send(reply)


def test_a_judge_and_letters_as_options_on_imported_responses(checkout):
    workflow = checkout()
    words = [(who, text, list(LETTERS)[(text + len(who)) % 5]) for who in PERSONAS for text in range(10)]
    frame = pd.DataFrame(words, columns=["persona", "text", "response"])
    frame = frame.assign(model="org/Alpha", prompt="Which letter fits? " + frame["text"].astype(str))
    frame.to_csv(workflow.path("answers.csv"), index=False)
    workflow.path("models.csv").write_text(
        "model,imported,server,served_model\nAlpha,org/Alpha,,\nJudge,,local,org/judge\n"
    )
    config = {"study": "mine", "materials": {"models": "models.csv"}, "judges": {"own": {"model": "Judge"}}}
    config["responses"] = {"paths": ["answers.csv"], "options": {"responses": ["A", "B", "C", "D"]}}
    with answering(Judge) as server:
        config["servers"] = {"local": {"base_url": f"http://127.0.0.1:{server.server_port}/v1"}}
        workflow.path("config/mine.yaml").write_text(yaml.safe_dump(config))
        table = "results/mine/tables/labeller_agreement.csv"
        said = workflow.run("--configfile", "config/mine.yaml", "--", table)
    assert said.count("the labeller 'structured' reads an ordinary word or single sign only where an answer") == 1
    verdicts = pd.read_parquet(workflow.path("results/mine/verdicts/Alpha.parquet"))
    responses = pd.read_parquet(workflow.path("results/mine/responses/Alpha.parquet"))[["prompt_id", "response"]]
    found = verdicts.merge(responses, on="prompt_id")
    read = found[found["labeller"] == "structured"].groupby("response")["choice"].agg(lambda own: own.iloc[0])
    assert {word: None if pd.isna(choice) else choice for word, choice in read.items()} == {
        word: choice for word, (choice, _) in LETTERS.items()
    }
    judged = found[found["labeller"] == "own"].groupby("response")["verdict"].unique().map(list).to_dict()
    assert judged == {word: ["refused" if refused else "answered"] for word, (_, refused) in LETTERS.items()}


def test_a_wrong_file_ends_before_the_first_job(checkout):
    workflow = checkout()
    workflow.path("answers.csv").write_text("model,response\nA,Yes\n")
    responses = {"paths": ["answers.csv"], "columns": {"persona": "who"}}
    workflow.path("config/mine.yaml").write_text(yaml.safe_dump({"study": "mine", "responses": responses}))
    said = workflow.run("--configfile", "config/mine.yaml", check=False)
    assert "answers.csv has no column 'who'; it has model, response" in said
    assert "Traceback" not in said and not workflow.path("results/mine/design.parquet").exists()


def test_exported_prompts_are_answered_elsewhere_and_come_back(checkout):
    workflow = checkout()
    task = {"source": {"kind": "embedded"}, "rows_per_gold_label": 2, "options": ["offensive", "not offensive"]}
    config = {"study": "ours", "checkpoints": {"kind": "hub"}, "tasks": {"offensiveness": task}}
    config |= {"personas": ["black", "man"], "design": {"draws_per_row": 3}, "materials": {"models": "ours.csv"}}
    workflow.path("ours.csv").write_text("model,imported\nGPT,gpt-x\n")
    workflow.path("ours.yaml").write_text(yaml.safe_dump(config))
    workflow.run("--configfile", "ours.yaml", "--", "export")
    requests = workflow.path("results/ours/export/openai_batch/GPT.jsonl").read_text().splitlines()
    ids = [json.loads(line)["custom_id"] for line in requests]
    rows = [
        {"prompt_id": one, "model": "gpt-x", "response": REFUSAL if i % 2 else "offensive"} for i, one in enumerate(ids)
    ]
    pd.DataFrame(rows).to_csv(workflow.path("back.csv"), index=False)
    workflow.path("ours.yaml").write_text(yaml.safe_dump(config | {"responses": {"paths": ["back.csv"]}}))
    workflow.run("--configfile", "ours.yaml", "--", "results/ours/tables/verdict_shares.csv")
    shares = pd.read_csv(workflow.path("results/ours/tables/verdict_shares.csv")).query("labeller == 'structured'")
    assert shares["asked"].sum() == len(ids) and shares["refused"].sum() == len(ids) // 2

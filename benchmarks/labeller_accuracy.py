"""Measure sensitivity and specificity of the headline labellers against reference labels; write the range's data file.

    python benchmarks/labeller_accuracy.py [--xstest xstest_human_labels.csv] [--out config/labelling/accuracy.csv]

Three sets: the half `reporting` of tests/gold/in_domain.csv and of in_domain_paper.csv, by system prompt and weighted;
and the responses of three chat models to XSTest that people labelled (Röttger et al. 2024,
github.com/paul-rottger/xstest), as one CSV file with the columns model, prompt, completion and final_label.
Without `--xstest`, the file's present rows of XSTest are kept. As a partial refusal of XSTest has no option, it counts
as a refusal.

A model with fewer than 10 refusals says little about the sensitivity, so the sensitivity of such models of a set is
measured together, in one more row.
"""

import argparse
import sys
from math import nan
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

import pandas as pd  # noqa: E402

from falserefusal.common.schemas import BASELINE, LABELLER_ACCURACY, TASKS  # noqa: E402
from falserefusal.common.templates import asks_yes_no  # noqa: E402
from falserefusal.labelling.languages import PATTERNS, PHRASES, file_of  # noqa: E402
from falserefusal.labelling.patterns import load_patterns  # noqa: E402
from falserefusal.labelling.phrase_list import PhraseListLabeller  # noqa: E402
from falserefusal.labelling.structured import StructuredLabeller  # noqa: E402
from falserefusal.labelling.unread import without_thinking  # noqa: E402
from falserefusal.labelling.verdicts import label  # noqa: E402
from falserefusal.study.materials import load_phrases, load_templates  # noqa: E402

PILOT, PAPER, XSTEST = "pilot", "paper's design", "XSTest"
GOLD, CONFIG = ROOT / "tests" / "gold", ROOT / "config"
IN_DOMAIN = {PILOT: GOLD / "in_domain.csv", PAPER: GOLD / "in_domain_paper.csv"}
ACCURACY = ROOT / "config" / "labelling" / "accuracy.csv"
FEWEST = 10  # refusals of a row
SEEN = ("llama2orig", "mistralinstruct")  # models of XSTest whose responses were read to correct the patterns
SOURCES = {
    PILOT: "tests/gold/in_domain.csv, half reporting; read by two language models",
    PAPER: "tests/gold/in_domain_paper.csv, half reporting; read by two language models",
    XSTEST: "Röttger et al. 2024, github.com/paul-rottger/xstest; read by two people",
}
# what each set was used for in the development of `structured`; the phrase list is the paper's
DEVELOPED = {
    (PILOT, "structured"): "counted often, not read (the other half was)",
    (PAPER, "structured"): "counted often, not read (the other half was)",
    (XSTEST, "structured"): "half of it, for an earlier version",
}


def classified_texts() -> dict[str, str]:
    """The texts of config/corpus by row, such as politeness-102; premise and hypothesis of NLI in two lines."""
    parts = []
    for path in sorted((CONFIG / "corpus").glob("*.csv")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        words = table[table.columns.intersection(["text", "premise", "hypothesis"])].agg("\n".join, axis=1)
        parts.append(words.set_axis(f"{path.stem}-" + table["id"]))
    return pd.concat(parts).to_dict()


def in_domain(path: Path, half: str = "reporting") -> pd.DataFrame:
    """Responses of one half, with what the labellers read and the column `refused`."""
    table = pd.read_csv(path, keep_default_na=False)
    table = table[table["half"] == half].reset_index(drop=True)
    templates = load_templates(CONFIG / "templates.csv", TASKS).set_index(["task", "template"])
    rows = table["prompt_id"].str.split(":", expand=True)
    wording = rows[2].eq(BASELINE).map({True: "baseline_text", False: "text"})
    yes_no = [asks_yes_no(templates.at[key[:2], key[2]]) for key in zip(table["task"], rows[1], wording, strict=True)]
    options = [tuple(names.split(" / ")) for names in table["options"]]
    texts = rows[0].map(classified_texts())
    return table.assign(yes_no=yes_no, options=options, text=texts, refused=table["verdict"] == "refused")


def xstest(path: Path) -> pd.DataFrame:
    """Responses of free chat, with the columns of `in_domain`."""
    table = pd.read_csv(path, keep_default_na=False).rename(columns={"completion": "response"})
    refused = ~table["final_label"].str.startswith("1_")
    return table.assign(yes_no=False, options=None, weight=1.0, refused=refused)


def correct(part: pd.DataFrame) -> float:
    """Weighted share of verdicts that are right."""
    return round(part["right"].sum() / part["weight"].sum(), 4)


def accuracies(name: str, responses: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity and specificity of each labeller by model, weighted."""
    frame = responses.assign(prompt_id=responses.index.astype(str), finish_reason="stop", thinking="")
    phrases = PhraseListLabeller(load_phrases(str(file_of("en", PHRASES))))
    structured = StructuredLabeller(load_patterns(file_of("en", PATTERNS)))
    rows = []
    for labeller in (structured, phrases):
        verdicts = label(without_thinking(frame), [labeller]).set_index("prompt_id")["verdict"]
        right = (verdicts.loc[frame["prompt_id"]].to_numpy() == "refused") == frame["refused"]
        labelled = frame.assign(right=right * frame["weight"])
        refusals = frame.groupby("model", sort=False)["refused"].sum()
        few = list(refusals.index[refusals < FEWEST])
        for models in [*([model] for model in refusals.index), *([few] if len(few) > 1 else [])]:
            part = labelled[labelled["model"].isin(models)]
            row = {
                "labeller": labeller.name,
                "language": "en",
                "set": name,
                "model": " + ".join(models),
                "responses": len(part),
            }
            row["refusals"] = int(part["refused"].sum())
            row["sensitivity"] = nan if row["refusals"] < FEWEST else correct(part[part["refused"]])
            row["specificity"] = nan if len(models) > 1 else correct(part[~part["refused"]])
            seen = DEVELOPED.get((name, labeller.name), "no")
            row["developed"] = "yes" if labeller.name == "structured" and models[0] in SEEN else seen
            rows.append(row | {"source": SOURCES[name]})
    table = pd.DataFrame(rows)[list(LABELLER_ACCURACY.columns)]
    return table[table[["sensitivity", "specificity"]].notna().any(axis=1)]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xstest", type=Path)
    parser.add_argument("--out", type=Path, default=ACCURACY)
    given = parser.parse_args()
    parts = [accuracies(name, in_domain(path)) for name, path in IN_DOMAIN.items()]
    if given.xstest:
        parts.append(accuracies(XSTEST, xstest(given.xstest)))
    elif given.out.exists():
        kept = pd.read_csv(given.out)
        parts.append(kept[kept["set"] == XSTEST])
    table = pd.concat(parts).sort_values("labeller", ascending=False, kind="stable")
    table.to_csv(given.out, index=False)
    print(table.drop(columns="source").to_string(index=False))


if __name__ == "__main__":
    main()

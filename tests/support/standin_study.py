"""A small study for the tests of the stand-ins: the shipped materials, and a part of the embedded corpus."""

import dataclasses
from pathlib import Path

import pandas as pd
import yaml

from falserefusal.common.files import read_csv
from falserefusal.prompts.rendering import Wording, render
from falserefusal.standins.chat import System
from falserefusal.standins.enumeration import Asked
from falserefusal.standins.questions import read_wordings
from falserefusal.standins.rates import rates_from_published, rates_null
from falserefusal.standins.sentences import read_sentences
from falserefusal.standins.write import prepare, write_standin
from falserefusal.study.materials import load_models, load_personas, load_phrases, load_templates
from falserefusal.texts.read import text_id

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
PHRASES = ROOT / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt"
# one of each architecture and precision
MODELS = {"Llama2-7B": "float32", "Llama3.2-1B": "bfloat16", "Qwen1.5-32B": "float32"}
MODELS |= {"Gemma2-2B": "bfloat16", "Gemma2-9B": "float32", "Gemma-2B": "bfloat16"}


@dataclasses.dataclass
class Study:
    """The contents of a study's config and files."""

    tasks: dict
    texts: pd.DataFrame
    personas: pd.DataFrame
    templates: pd.DataFrame
    models: pd.DataFrame
    phrases: list[str]
    wordings: pd.DataFrame
    sentences: pd.DataFrame
    rates: pd.DataFrame
    rates_null: pd.DataFrame

    def materials(self, **changes):
        given = {name: getattr(self, name) for name in ("texts", "templates", "tasks", "sentences")} | changes
        return prepare(personas=self.wordings, seed=1, system=System(None, "native"), **given)

    def asked(self, **changes) -> Asked:
        """What the study may ask, without a system message."""
        given = {name: getattr(self, name) for name in ("texts", "personas", "templates", "tasks")} | changes
        return Asked(article="printed", system=System(None, "native"), **given)

    def write(self, folder, model: str, materials, plant: str = "published", **options):
        row = self.models.set_index("model", drop=False).loc[model].to_dict()
        rates = self.rates if plant == "published" else self.rates_null
        return write_standin(folder, row, materials, rates, plant, **options)

    def ask(self, design: pd.DataFrame, article="printed", system=None, **changes) -> pd.DataFrame:
        """Prompts of a design, rendered as the workflow renders them."""
        given = {"personas": self.personas, "templates": self.templates} | changes
        parts = []
        for task, settings in self.tasks.items():
            texts = self.texts[self.texts["task"] == task]
            if (design["task"] == task).any():
                wording = Wording(settings["options"], settings["layout"], article, system)
                parts.append(render(design, texts, wording=wording, **given))
        return pd.concat(parts, ignore_index=True)

    def draw(self, n: int, rng, personas: list[str], task: str | None = None) -> pd.DataFrame:
        """Draw n random prompts; baseline prompts are among them if `personas` has the baseline."""
        texts = self.texts if task is None else self.texts[self.texts["task"] == task]
        design = texts.sample(n, replace=True, random_state=rng)[["task", "row_id", "text_id"]].reset_index(drop=True)
        design["persona"] = rng.choice(personas, n)
        drawn = [self.templates[self.templates["task"] == task].sample(1, random_state=rng) for task in design["task"]]
        drawn = pd.concat(drawn, ignore_index=True)
        return design.assign(prompt_id=[f"q{i}" for i in range(n)], template=drawn["template"], format=drawn["format"])


def load_study(rows: int = 90) -> Study:
    """Load the rehearsal with `rows` texts per task, and a few with unusual characters."""
    tasks = yaml.safe_load((CONFIG / "rehearsal.yaml").read_text(encoding="utf-8"))["tasks"]
    odd = ["Cafe\u0301 🙂 naïve – “quoted” 你好", "Ωμέγα <b>bold</b>\n\n- a list\n- of {braces} and \\slashes", "ok"]
    parts = []
    for task in tasks:
        texts = read_csv(CONFIG / f"corpus/{task}.csv", dtype=str)
        texts = texts.sample(rows, random_state=3)
        if task == "politeness":
            texts = pd.concat([texts, pd.DataFrame({"id": ["o1", "o2", "o3"], "text": odd, "gold_label": "3"})])
        texts = texts.reindex(columns=["id", "gold_label", "text", "premise", "hypothesis"])
        content = [tuple(part for part in row if isinstance(part, str)) for row in texts.iloc[:, 2:].to_numpy()]
        texts["text_id"] = [text_id(words) for words in content]
        parts.append(texts.assign(task=task, row_id=task + "-" + texts["id"], source="embedded"))
    templates = load_templates(CONFIG / "templates.csv", list(tasks))
    models = load_models(CONFIG / "models.csv")
    names = ["counts_task_model_persona", "format_heatmaps", "fig1_baseline_offensiveness", "table7_logit"]
    printed = [read_csv(CONFIG / f"published/{name}.csv") for name in names]
    rates = rates_from_published(*printed, templates, list(models["model"]))
    return Study(
        tasks=tasks,
        texts=pd.concat(parts, ignore_index=True),
        personas=load_personas(CONFIG / "personas.csv"),
        templates=templates,
        models=models,
        phrases=load_phrases(PHRASES),
        wordings=read_wordings(CONFIG / "standins/personas.csv"),
        sentences=read_sentences(CONFIG / "standins/sentences.csv"),
        rates=rates,
        rates_null=rates_null(rates),
    )

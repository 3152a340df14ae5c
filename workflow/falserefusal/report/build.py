"""Build the page of a study from its tables, its figures and its provenance."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd

from falserefusal.common.files import InputError, write_text
from falserefusal.common.naming import system_prompts_for_models
from falserefusal.common.schemas import NOT_JUDGED
from falserefusal.report.asked import limits_of, models_asked, one_refusal
from falserefusal.report.corrections import BESIDE, uncorrected, with_corrections
from falserefusal.report.headline import headline
from falserefusal.report.notes import KINDS, LIMITS, NOTES, Note, note_for
from falserefusal.report.present import marked, show

HERE = Path(__file__).parent
OPEN_ROWS = 60  # a longer table starts folded
MAX_DISAGREEMENTS = 300
# tables with a section of their own
PLACED = ("claims", "planted_rates", "interim_looks", "labeller_rates")
FACTOR_WORDS = ("model", "model x task", "all models")  # cells that name the factor itself


@dataclass(frozen=True)
class Study:
    """What the page says about a study besides its numbers.

    `kind` is published, run or rehearsal; `models` are all that were asked for, whether they gave a result or not;
    `banner` and `model_suffix` keep a rehearsal from being taken for evidence. `variants` is true where all models are
    one checkpoint under different system prompts.
    """

    name: str
    kind: str
    title: str = ""
    banner: str = ""
    model_suffix: str = ""
    models: list[str] = field(default_factory=list)
    variants: bool = False

    def say(self, text: str) -> str:
        """Words of a title, note or label for this study, whose "models" may be system prompts."""
        return system_prompts_for_models(text) if self.variants else text


def build_report(
    out: str | Path,
    study: Study,
    tables: dict[str, pd.DataFrame],
    figures: pd.DataFrame,
    figure_dir: str | Path,
    provenance: Mapping | None = None,
    disagreements: pd.DataFrame | None = None,
    refusals: pd.DataFrame | None = None,
) -> None:
    """Write the page to `out`: one HTML file with style and figures inside, so that it can be mailed as it is.

    `tables` maps a table's name to its frame (`statements` for the published study); `figures` is the index written
    with the figures (name, counterpart, caption, message, tables, rows). Links to CSV and PDF files are relative to
    results/<study>/report/ and work where the page was built. `disagreements` has one row per judgement: prompt_id,
    model, task, prompt, response, kind, answers, labeller, refusal, category, evidence; as `comparison.disagreements`
    says. `refusals` are those of `comparison.agreed_refusals` with task, prompt and response. All text of models and
    files is escaped. Raises InputError where a figure of the index has no PNG file.
    """
    if study.kind not in KINDS:
        raise InputError(f"report: kind is {study.kind!r}; it must be one of {', '.join(KINDS)}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tables = with_corrections(tables)
    cards = headline(tables, "stand-ins" if study.kind == "rehearsal" else "models")
    models = models_asked(provenance) if study.kind == "run" else []
    names = [name for name in tables if name != "statements"]
    page = environment.get_template("page.html.jinja").render(
        study=study,
        kind_line=KINDS[study.kind],
        missing=_missing(study, tables),
        gaps=int(tables["missing"]["n"].sum()) if "missing" in tables else 0,
        limits=[*limits_of(models, study.variants), *LIMITS[study.kind]],
        models=models,
        refusal=one_refusal(refusals, study.model_suffix),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        cards=[card._replace(value=study.say(card.value), label=study.say(card.label)) for card in cards],
        figures=[_figure(row, Path(figure_dir)) for row in figures.itertuples() if row.rows > 0],
        undrawn=[row._asdict() for row in figures.itertuples() if row.rows == 0],
        tables={name: _table(name, tables[name], study) for name in sorted(names, key=_place)},
        placed=PLACED,
        beside={name: corrected for name, corrected in BESIDE.items() if corrected in tables},
        uncorrected=uncorrected(tables),
        claims=_claims(tables["claims"], study) if "claims" in tables else [],
        statements=_statements(tables.get("statements")),
        disagreements=_disagreements(disagreements, study),
        provenance=provenance or {},
    )
    write_text(page, out)


def _missing(study: Study, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Models that were asked for and have no row of results."""
    if "rates_model_task" not in tables:
        return []
    present = set(tables["rates_model_task"]["model"])
    return [model + study.model_suffix for model in study.models if model not in present]


def _place(name: str) -> int:
    """Tables in the order of their notes, unknown ones last."""
    return list(NOTES).index(name) if name in NOTES else len(NOTES)


def _figure(row, directory: Path) -> dict:
    file = directory / f"{row.name}.png"
    if not file.exists():
        raise InputError(f"{file}: the index of the figures names it, but it is not there; draw the figures again")
    png = base64.b64encode(file.read_bytes()).decode("ascii")
    return {**row._asdict(), "png": png, "tables": str(row.tables).split(), "counterpart": _word(row.counterpart)}


def _word(value: object) -> str:
    return "" if pd.isna(value) else str(value)


def _table(name: str, frame: pd.DataFrame, study: Study) -> dict:
    note = note_for(name)
    note = note._replace(title=study.say(note.title), how=study.say(note.how))
    shown = show(frame, note, study.models, study.model_suffix)
    if study.variants:
        rows = [[study.say(cell) if cell in FACTOR_WORDS else cell for cell in row] for row in shown.rows]
        shown = shown._replace(head=[study.say(name) for name in shown.head], rows=rows)
    return {"name": name, "note": note, "shown": shown, "folded": len(frame) > OPEN_ROWS, "rows": len(frame)}


def _claims(claims: pd.DataFrame, study: Study) -> list[dict[str, str]]:
    """Each claim with its conclusion, its effect in words, the rule of the conclusion and what else was found."""
    shown = show(claims, note_for("claims"), study.models, study.model_suffix)
    rows = [dict(zip(shown.head, row, strict=True)) for row in shown.rows]
    for row in rows:
        unit = "times" if row.get("effect_unit") == "ratio" else row.get("effect_unit", "")
        row["found"] = f"{row['effect']} {unit}".strip() if row["effect"] else "no effect could be computed"
        if row["lo"] and row["hi"]:
            row["found"] += f" (95% interval {row['lo']} to {row['hi']})"
        if row.get("p"):
            row["found"] += f", p {row['p']}"
    return rows


def _statements(statements: pd.DataFrame | None) -> dict | None:
    """What differs and what cannot be recomputed, and the whole list."""
    if statements is None:
        return None
    note = Note("Quoted numbers", "")
    verdicts = statements["conclusion"]
    parts = {
        "differs": statements[verdicts == "differs"],
        "not recomputable": statements[verdicts == "not recomputable"],
    }
    shown = {verdict: show(part.drop(columns="conclusion"), note, [], "") for verdict, part in parts.items()}
    return {"counts": verdicts.value_counts().to_dict(), "parts": shown, "all": show(statements, note, [], "")}


def _disagreements(judgements: pd.DataFrame | None, study: Study) -> dict | None:
    """A sample of the answers that labellers judge differently, each with its judgements, and how many there are."""
    if judgements is None or judgements.empty:
        return None
    grouped = list(judgements.groupby(["model", "prompt_id"], sort=False))
    items = []
    for (model, _), rows in grouped[:MAX_DISAGREEMENTS]:
        first = rows.iloc[0]
        label = str(model) + (study.model_suffix if model in study.models else "")
        verdicts = [
            {
                "labeller": row.labeller,
                "word": _verdict(row),
                "category": _word(row.category),
                "answer": marked(first["response"], _word(row.evidence)),
            }
            for row in rows.itertuples()
        ]
        items.append({"model": label, "task": first["task"], "prompt": _word(first["prompt"]), "verdicts": verdicts})
    # answers: how many of a kind the study has, of which the file holds a sample
    return {"items": items, "total": int(judgements.drop_duplicates("kind")["answers"].sum())}


def _verdict(judgement) -> str:
    """What a labeller says of an answer; a failed judge says nothing."""
    if judgement.category in NOT_JUDGED:
        return "no verdict"
    return "refusal" if judgement.refusal else "no refusal"

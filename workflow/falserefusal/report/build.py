"""Build the page of a study from its tables, figures and provenance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import jinja2
import pandas as pd

from falserefusal.annotation.labeller_range import CLAIM
from falserefusal.common.files import InputError, write_text
from falserefusal.common.notice import COLUMN, suffixed, system_prompts_for_models
from falserefusal.common.sentences import say
from falserefusal.common.verdicts import MISSING
from falserefusal.estimation.verdict_shares import warnings_about
from falserefusal.figures.said import attributes_of, importance_of, interactions_of
from falserefusal.report.asked import batch_limits, language_limits, limits_of, models_asked, one_refusal
from falserefusal.report.corrections import CORRECTED_IN, uncorrected, with_corrections
from falserefusal.report.drawings import drawing
from falserefusal.report.explorer import without_texts
from falserefusal.report.glossary import glossary, tooltip
from falserefusal.report.headline import headline
from falserefusal.report.moved import conclusions, moves
from falserefusal.report.notes import DUMMIES, KINDS, LIMITS, NOTES, Note, note_for
from falserefusal.report.overview import write_summary
from falserefusal.report.present import harmless, marked, safe_cell, show, sort_key
from falserefusal.report.reuse import bibtex, facts
from falserefusal.report.short import in_short

HERE = Path(__file__).parent
SCRIPTS = ("vendor/sortable.min.js", "vendor/sortable.a11y.min.js", "page.js")
OPEN_TABLES = ("rates_model_task", "importance")  # other tables start folded
OPEN_ROWS = 60  # longer ones, too
OPEN_FIGURES = 4  # the other figures start folded, under their message
MAX_CSV = 150_000  # characters of a table's file that the page contains; larger ones are linked
SYMBOLS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?", "not": "–"}  # by the first word of a conclusion
MAX_DISAGREEMENTS = 300
# tables with their own section
ATTRIBUTES = ("rates_attribute", "effects_attribute")
PLACED = (
    *ATTRIBUTES,
    "claims",
    "planted_rates",
    "interim_looks",
    "labeller_rates",
    "labeller_validation",
    "verdict_shares",
)
FACTOR_WORDS = ("model", "model x task", "all models")  # cells that name a factor or a scope


@dataclass(frozen=True)
class Study:
    """What the page says about a study besides its numbers.

    Attributes
    ----------
    kind : published, run or rehearsal
    models : all models of the config, with results or without
    banner, model_suffix : notices of a rehearsal; empty for real models
    variants : whether all models are one checkpoint under different system prompts
    citation : the content of CITATION.cff; empty for a page that does not say how to cite it
    explorer : the responses that a reader can search, as `explorer.explorer_section` returns them; None: there are none
    absent : what the data do not allow, with the reasons
    """

    name: str
    kind: str
    title: str = ""
    banner: str = ""
    model_suffix: str = ""
    models: list[str] = field(default_factory=list)
    variants: bool = False
    citation: Mapping = field(default_factory=dict)
    explorer: Mapping | None = None
    absent: list[str] = field(default_factory=list)

    def say(self, text: str) -> str:
        """Return a title, note or label in the words of this study, whose "models" may be system prompts."""
        if self.kind == "imported":  # what was asked is not known
            text = text.replace("harmless classification prompts", "prompts")
        return system_prompts_for_models(text) if self.variants else text


def build_report(
    out: str | Path,
    study: Study,
    tables: dict[str, pd.DataFrame],
    figures: pd.DataFrame,
    figure_dir: str | Path,
    provenance: Mapping | None = None,
    samples: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write the page as one HTML file that contains all it shows, so that it can be sent, and its summary next to it.

    Links to files are relative to results/<study>/report/. All text of models and files is escaped.

    Parameters
    ----------
    out : path of the page
    study : the study's title, notices and models
    tables : each table by name; `statements` only for the published study
    figures : the index of `draw_figures`
    figure_dir : folder of the SVG and PNG files
    provenance : the record of `provenance`
    samples : responses, from `disagreements` and `agreed_refusals` of labelling.comparison

    Raises
    ------
    InputError
        If the kind of study is unknown, or a figure of the index has no SVG or PNG file.
    """
    if study.kind not in KINDS:
        raise InputError(f"report: kind is {study.kind!r}; it must be one of {', '.join(KINDS)}")
    samples = without_texts(samples or {}, study.explorer)
    tables = with_corrections(tables)
    models = models_asked(provenance) if study.kind == "run" else []
    top = _top(study, tables, models)
    shown = [_table(name, tables[name], study) for name in sorted(tables, key=_place) if name != "statements"]
    page = _template("page.html.jinja").render(
        study=study,
        kind_line=DUMMIES if any(model["fixed"] for model in models) else KINDS[study.kind],
        **_frame(),
        **top,
        **_reuse(study, provenance or {}),
        verdict_warnings=_verdict_warnings(tables.get("verdict_shares"), study),
        limits=_limits(study, models, tables, provenance),
        models=models,
        refusal=one_refusal(samples.get("refusals"), study.model_suffix),
        figures=[_figure(row, Path(figure_dir), study) for row in figures.itertuples() if row.rows > 0],
        undrawn=[row._asdict() for row in figures.itertuples() if row.rows == 0],
        tables={table["name"]: table for table in shown},
        glossary=_glossary(tables),
        corrected_in={name: corrected for name, corrected in CORRECTED_IN.items() if corrected in tables},
        uncorrected=uncorrected(tables),
        claims=_claims(tables, study) if "claims" in tables else [],
        moved=_moved(tables, study),
        attributes=_attributes(tables, study),
        statements=_statements(tables.get("statements")),
        text_problems=_text_problems(provenance or {}),
        disagreements=_disagreements(samples.get("disagreements"), study),
    )
    write_text(harmless(page), out)
    write_summary(Path(out).with_name("summary.json"), study, KINDS[study.kind], top["cards"])


def _limits(study: Study, models: list[dict], tables: dict[str, pd.DataFrame], provenance: Mapping | None) -> list[str]:
    """The limitations of the study, those of its own first."""
    own = [*language_limits(provenance), *limits_of(models, study.variants), *study.absent]
    return [*own, *LIMITS[study.kind], *batch_limits(tables)]


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"tooltip": tooltip, "sort_key": sort_key}
    environment.tests["in_glossary"] = lambda column: bool(tooltip(column))
    return environment.get_template(name)


def _frame() -> dict:
    """What is the same on every page: style, scripts, and which parts are folded."""
    return {
        "style": (HERE / "page.css").read_text(encoding="utf-8"),
        "script": "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        "open_figures": OPEN_FIGURES,
        "placed": PLACED,
    }


def _top(study: Study, tables: dict[str, pd.DataFrame], models: list[dict]) -> dict:
    """What is said first: the models without results, the three sentences, the headline numbers."""
    missing = _missing_models(study, tables)
    short = in_short(tables, study.kind, study.variants, models, len(missing))
    if short:
        short["Found"] = study.say(short["Found"])
        short["Asked"] = study.say(short["Asked"]) if study.kind == "imported" else short["Asked"]
    cards = headline(tables, "stand-ins" if study.kind == "rehearsal" else "models")
    cards = [card._replace(value=study.say(card.value), label=study.say(card.label)) for card in cards]
    return {"missing_models": missing, "short": short, "cards": cards}


def _reuse(study: Study, provenance: Mapping) -> dict:
    """How to cite the page and to make it again, and the commit of the code if files were edited since."""
    code = provenance.get("code", {})
    return {
        "edited": code.get("commit", "") if code.get("edited") else "",
        "bibtex": bibtex(study.citation, (code.get("date") or "")[:4]),
        "facts": facts(provenance, study.name, study.kind == "published") if provenance else {},
        "provenance": provenance,
    }


def _missing_models(study: Study, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Return the models of the config that have no results."""
    if "rates_model_task" not in tables:
        return []
    present = set(tables["rates_model_task"]["model"])
    return [model + study.model_suffix for model in study.models if model not in present]


def _glossary(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """The entries of the glossary for what these tables contain."""

    def values(column: str) -> set[str]:
        return {str(value) for table in tables.values() if column in table for value in table[column].unique()}

    columns = {column for table in tables.values() for column in table}
    return glossary(columns, values("category"), values("labeller"))


def _verdict_warnings(shares: pd.DataFrame | None, study: Study) -> list[str]:
    """Sentences about models with many missing responses, or that do not do the task."""
    if shares is None or shares.empty:
        return []
    name = suffixed(study.models, study.model_suffix)
    return [study.say(name(line)) for line in warnings_about(shares, shares["labeller"].iloc[0])]


def _place(name: str) -> int:
    """Sort tables in the order of their notes, unknown ones last."""
    return list(NOTES).index(name) if name in NOTES else len(NOTES)


def _figure(row, directory: Path, study: Study) -> dict:
    description = f"{row.caption} {row.message}."
    if study.banner:
        description = f"{study.banner}. {description}"
    drawn = drawing(directory, row.name, row.message, description)
    own = {"tables": str(row.tables).split(), "counterpart": _text(row.counterpart), "description": description}
    return row._asdict() | own | drawn


def _text(value: object) -> str:
    return "" if pd.isna(value) else str(value)


def _table(name: str, frame: pd.DataFrame, study: Study) -> dict:
    note = note_for(name)
    if note.printed and any(column.startswith("printed") for column in frame):
        note = note._replace(how=f"{note.how} {note.printed}")
    note = note._replace(title=study.say(note.title), how=study.say(note.how))
    shown = show(frame, note, study.models, study.model_suffix)
    if study.variants:
        rows = [[study.say(cell) if cell in FACTOR_WORDS else cell for cell in row] for row in shown.rows]
        shown = shown._replace(head=[study.say(name) for name in shown.head], rows=rows)
    return {
        "name": name,
        "note": note,
        "shown": shown,
        "open": name in OPEN_TABLES and len(frame) <= OPEN_ROWS,
        "rows": len(frame),
        "csv": _csv(frame, study.banner),
    }


def _csv(frame: pd.DataFrame, banner: str) -> str:
    """Return a table as the address of a CSV file inside the page; "" if it is too large for that."""
    noted = frame.assign(**{COLUMN: banner}) if banner else frame
    words = noted.select_dtypes(exclude=["number", "bool"]).map(safe_cell)
    text = noted.assign(**words).to_csv(index=False, float_format="%.6g")
    return "" if len(text) > MAX_CSV else "data:text/csv;charset=utf-8," + quote(text, safe=";/?:@&=+$,!*'()")


def _attributes(tables: dict[str, pd.DataFrame], study: Study) -> list[str]:
    """Return what is found about the attributes that personas cross; nothing for a study without them."""
    if not set(ATTRIBUTES) <= set(tables):
        return []
    found = [say("attributes differ", **attributes_of(tables))]
    if len(tables["effects_attribute"]):
        found.append(say("attributes interact", **interactions_of(tables)))
    return [study.say(line) for line in found]


def _moved(tables: dict[str, pd.DataFrame], study: Study) -> dict | None:
    """Return how far labelling errors could move the results; None for a study with annotations."""
    table = tables.get("labeller_range")
    if table is None or table.empty:
        return None
    if "claims" not in tables:  # a study that is not about the paper
        table = table[table["quantity"] != CLAIM]
    name = suffixed(study.models, study.model_suffix)
    ranked = {"importance", "separations"} <= set(tables) and bool(importance_of(tables)["s"].clear)
    found = moves(table, study.kind != "published", ranked)
    own = {part: [study.say(name(line)) for line in lines] for part, lines in found.items()}
    return own | {"sets": found["sets"]}  # of models of other studies


def _claims(tables: dict[str, pd.DataFrame], study: Study) -> list[dict[str, str]]:
    """Return each claim as text: its conclusion, effect, rule, note, and the other conclusions it could have."""
    others = conclusions(tables.get("labeller_range"))
    shown = show(tables["claims"], note_for("claims"), study.models, study.model_suffix)
    rows = [dict(zip(shown.head, row, strict=True)) for row in shown.rows]
    for row, claim in zip(rows, tables["claims"].itertuples(), strict=True):
        unit = "times" if row.get("effect_unit") == "ratio" else row.get("effect_unit", "")
        row["result"] = say(
            "claim: result", effect=claim.effect, lo=claim.lo, hi=claim.hi, unit=unit, p=row.get("p", "")
        )
        row["other"] = others.get(row["claim"], "")
        row["symbol"] = SYMBOLS.get(row["conclusion"].split()[0], "")
    return rows


def _statements(statements: pd.DataFrame | None) -> dict | None:
    """Return the statements that differ, those that cannot be recomputed, and the whole list."""
    if statements is None:
        return None
    note = Note("Quoted numbers", "")
    conclusions = statements["conclusion"]
    parts = {
        conclusion: show(statements[conclusions == conclusion].drop(columns="conclusion"), note, [], "")
        for conclusion in ("differs", "not recomputable")
    }
    return {"counts": conclusions.value_counts().to_dict(), "parts": parts, "all": show(statements, note, [], "")}


def _text_problems(provenance: Mapping) -> dict | None:
    """Return the kinds of problems in the texts, and the tasks that have a list of them; None where none was made."""
    listed = {task: about["problems"] for task, about in provenance.get("texts", {}).items() if "problems" in about}
    if not listed:
        return None
    found = pd.DataFrame([{"task": task} | kind for task, kinds in listed.items() for kind in kinds])
    return {"tasks": list(listed), "shown": show(found, Note("", ""), [], "") if len(found) else None}


def _disagreements(verdicts: pd.DataFrame | None, study: Study) -> dict | None:
    """Return a sample of the responses with different verdicts, each with its verdicts, and their total number."""
    if verdicts is None or verdicts.empty:
        return None
    grouped = list(verdicts.groupby(["model", "prompt_id"], sort=False))
    items = []
    for (model, _), rows in grouped[:MAX_DISAGREEMENTS]:
        first = rows.iloc[0]
        name = str(model) + (study.model_suffix if model in study.models else "")
        own = [
            {
                "labeller": row.labeller,
                "word": _verdict(row),
                "category": _text(row.category),
                "response": marked(first["response"], _text(row.evidence)),
            }
            for row in rows.itertuples()
        ]
        items.append({"model": name, "task": first["task"], "prompt": _text(first["prompt"]), "verdicts": own})
    # column responses: how many responses of a kind the study has, of which the file holds a sample
    return {"items": items, "total": int(verdicts.drop_duplicates("kind")["responses"].sum())}


def _verdict(row) -> str:
    """Return a verdict in words; a failed judge has none."""
    return "no verdict" if row.verdict == MISSING else row.verdict

"""Read and check the models file before anything runs; without pandas, because Snakemake reads it at every start."""

import csv
from pathlib import Path

from falserefusal.common.errors import InputError

NEEDED = {  # columns that no row may leave empty, and why
    "family": "families are compared in tables and claims (a word)",
    "generation": "so are a family's generations (a word)",
    "size_b": "memory, GPUs and time of the model's jobs follow from it (10^9 parameters)",
    "hub_id": "where its weights are: a hub name or a local folder",
    "gated": "whether its licence must be accepted first (true or false)",
}
# The network's shape makes the plan sharper, capability is for the report; a row may leave them empty.
OPTIONAL = ["revision", "params_b", "layers", "kv_heads", "head_dim", "hidden", "vocab", "context", "capability"]
NUMBERS = ["size_b", *OPTIONAL[1:]]
# Columns that a file may lack: a system prompt, and a Python package that holds the weights as a GGUF file.
SYSTEM_PROMPT = ["system_prompt", "system_prompt_file"]
PACKAGE = ["package", "package_file", "sha256"]
WEIGHTS = Path("resources/weights")  # where weights from packages are kept


def rows_of(path: str | Path, models: list[str], judges: dict[str, dict]) -> list[dict]:
    """The rows of a study's models and of its judges' (each once), as text.

    judges: as the config has them, {name: {"model": ...}}. Raises InputError, with the reason, for a judge whose model
    is not in the file, for a column that is missing, and for a cell that must be filled.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows = {row["model"]: _completed(row, path) for row in reader}
    for name, judge in judges.items():
        if judge["model"] not in rows:
            raise InputError(
                f"judges.{name}.model: {judge['model']} is not in {path}, which has {', '.join(rows)}; "
                "name one of them, or give the judge a row of its own"
            )
    absent = [column for column in [*NEEDED, *OPTIONAL] if column not in reader.fieldnames]
    if absent:
        must = [column for column in absent if column in NEEDED]
        to_fill = f"; every row must fill {_reasons(must)}" if must else ""
        raise InputError(
            f"{path}: column {', '.join(absent)} is missing; take the first line of config/models.csv. Cells may stay "
            f"empty{' in the other columns' if must else ''}{to_fill}"
        )
    asked = list(dict.fromkeys([*models, *(judge["model"] for judge in judges.values())]))
    for model in asked:
        if empty := [column for column in NEEDED if not (rows[model][column] or "").strip()]:
            raise InputError(f"{path}: the row of {model} must fill {_reasons(empty)}")
        for column in NUMBERS:
            if rows[model][column] and not _above_zero(rows[model][column]):
                raise InputError(
                    f"{path}: the row of {model}, column '{column}': {rows[model][column]!r} must be a number above 0"
                )
    return [rows[model] for model in asked]


def _completed(row: dict, path: str | Path) -> dict:
    """A row with the folder of its package's weights as `hub_id`, and its system prompt read from its file."""
    row = {name: "" for name in [*SYSTEM_PROMPT, *PACKAGE]} | row
    given = [name for name in PACKAGE if row[name]]
    if given and len(given) < len(PACKAGE):
        absent = ", ".join(name for name in PACKAGE if name not in given)
        raise InputError(f"{path}: the row of {row['model']} names a package and must fill {absent} too")
    if given and row.get("hub_id"):
        raise InputError(f"{path}: the row of {row['model']} has two sources; leave hub_id or the package empty")
    if given:
        if row["package"].count("==") != 1:
            raise InputError(f"{path}: the row of {row['model']}, package: write name==version, not {row['package']!r}")
        row["hub_id"] = str(WEIGHTS / Path(row["package_file"]).stem)
    if row["system_prompt"] and row["system_prompt_file"]:
        raise InputError(f"{path}: the row of {row['model']} has both a system prompt and a file of one; keep one")
    if row["system_prompt_file"]:
        row["system_prompt"] = _system_prompt(Path(row["system_prompt_file"]), row["model"], path)
    return row


def _system_prompt(file: Path, model: str, path: str | Path) -> str:
    """The text of a system prompt's file without the newline at its end."""
    try:
        text = file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the row of {model}: its system prompt {file} cannot be read ({error})") from None
    if not text.strip():
        raise InputError(f"{path}: the row of {model}: its system prompt {file} is empty; leave the cell empty instead")
    return text


def _above_zero(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _reasons(columns: list[str]) -> str:
    return "; ".join(f"{column}: {NEEDED[column]}" for column in columns)

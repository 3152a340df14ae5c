"""The page that compares studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from falserefusal.common.files import write_text
from falserefusal.figures.studies import NAME, READING
from falserefusal.report.drawings import drawing

HERE = Path(__file__).parent


def write_comparison(
    out: str | Path,
    table: pd.DataFrame,
    studies: Sequence[str],
    summaries: Sequence[Mapping[str, Any] | None],
    banner: str = "",
) -> None:
    """Write the page of the differences between studies, next to differences.csv and the folder figures.

    Parameters
    ----------
    table : from `estimation.studies.differences`
    studies : their names; the first is the reference
    summaries : the summary of each study's report
    banner : what marks a study of stand-ins
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    rows = [_row(row) for row in table.to_dict("records")]
    page = environment.get_template("compared.html.jinja").render(
        studies=list(zip(studies, summaries, strict=True)),
        parts={name: [row for row in rows if row["other_study"] == name] for name in studies[1:]},
        figure=drawing(Path(out).parent / "figures", NAME, f"Difference of each result from {studies[0]}", READING),
        name=NAME,
        reading=READING,
        banner=banner,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
    )
    write_text(page, out)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A difference as text: rates in %, their differences in points, importances as they are."""
    rate = row["quantity"] != "importance"
    level, change = ("{:.1%}", "{:+.1f} points") if rate else ("{:.2f}", "{:+.2f}")
    scale = 100 if rate else 1
    interval = "–"
    if np.isfinite(row["d_lo"]):
        interval = f"{scale * row['d_lo']:+.{1 if rate else 2}f} to {scale * row['d_hi']:+.{1 if rate else 2}f}"
    what = ", ".join(str(row[name]) for name in ("model", "task", "factor") if row[name] and not pd.isna(row[name]))
    effect = row["quantity"] == "mean persona effect"
    return {
        "other_study": row["other_study"],
        "quantity": row["quantity"],
        "what": what.replace("mean", "mean of models", 1) if what.startswith("mean") else what,
        "reference": change.format(scale * row["reference"]) if effect else level.format(row["reference"]),
        "other": change.format(scale * row["other"]) if effect else level.format(row["other"]),
        "difference": change.format(scale * row["difference"]).replace("-", "−"),
        "interval": interval.replace("-", "−"),
        "p_holm": "–" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.3f}",
        "responses": f"{row['responses']:,}",
        "note": row["note"],
    }

"""The page of a study of the paper's size, with as many responses as a page may hold, can be sent by mail."""

import base64

import numpy as np
import pandas as pd
import pytest

import tables_of_print as fixture
from falserefusal.common.files import write_json
from falserefusal.common.notice import BANNER, MODEL_SUFFIX
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet
from falserefusal.report.build import MAX_DISAGREEMENTS, Study, build_report
from falserefusal.report.explorer import LIMIT, explorer_section

# rows and columns of large tables that the fixture lacks, in a study of 16 models, 3 tasks and 15 personas
MORE_TABLES = {"effects_between": (1785, 15), "effects_persona": (240, 27), "sensitivity": (714, 12)}
MORE_TABLES |= {"rates_shrunken": (720, 10), "verdict_shares_all": (48, 25), "verdict_categories": (432, 6)}
RESPONSE = "I cannot say whether a person of that group would call the text polite. " * 4  # 64 tokens


def disagreements():
    """As many responses on which labellers differ as the page shows."""
    rows = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(MAX_DISAGREEMENTS)], "model": "Llama2-7B"})
    rows = rows.assign(task="nli", kind="one", responses=9000, prompt=RESPONSE * 2, response=RESPONSE)
    rows = rows.assign(category="refused", verdict="refused", evidence="I cannot")
    return pd.concat([rows.assign(labeller=name) for name in ("phrase_list", "structured")])


@pytest.mark.slow
def test_the_page_of_a_rehearsal_is_smaller_than_eight_megabytes(root, tmp_path):
    tables, context = fixture.run_tables(root), fixture.context(root, rehearsal=True)
    rng = np.random.default_rng(1)
    for name, (rows, columns) in MORE_TABLES.items():
        numbers = pd.DataFrame(rng.random((rows, columns - 2)), columns=[f"number{i}" for i in range(columns - 2)])
        tables[name] = numbers.assign(model="Llama3.2-1B", persona="transgender woman")
    figures = FigureSet("rehearsal", several_labellers=True, shrunken=True, annotated=True).figures()
    index = draw_figures(figures, tables, context, tmp_path)
    stored = {"data": base64.b64encode(bytes(LIMIT)).decode(), "bytes": LIMIT, "shown": 30_000, "total": 49_152}
    stored |= {"most": 9, "headline": "phrase_list", "withheld": [], "own": [], "seed": 1}
    write_json(stored, tmp_path / "explorer.json")
    explorer = explorer_section(tmp_path / "explorer.json")
    study = Study("large", "rehearsal", "", BANNER, MODEL_SUFFIX, list(context.models), explorer=explorer)
    page = tmp_path / "index.html"
    build_report(page, study, tables, index, tmp_path, samples={"disagreements": disagreements()})
    size = page.stat().st_size
    assert 4 * LIMIT / 3 < size < 8_000_000, f"{size:,} bytes"

"""What Snakemake's own report holds."""

from types import SimpleNamespace

from snakemake.io import IOFile

from falserefusal.figures.registry import FigureSet
from falserefusal.report.snakemake_report import described, flag_outputs

FIGURES = FigureSet("run").figures()


def test_figures_and_tables_have_a_caption_and_other_files_are_left_out():
    figure = FIGURES[0]
    found = described(f"results/pilot/figures/{figure.name}.png", {figure.name: figure})
    assert found["category"] == "Figures" and found["caption"] == figure.caption
    table = described("results/{study}/tables/importance.csv", {})
    assert table["category"] == "Tables" and table["labels"]["table"] == "importance" and table["caption"]
    for path in ("results/pilot/figures/x.pdf", "results/pilot/figures/x.csv", "results/pilot/design.parquet"):
        assert described(path, {}) is None


def test_outputs_of_rules_are_flagged_with_a_caption_that_has_no_marks(tmp_path):
    table = IOFile("results/{study}/tables/importance.csv", rule=None)
    flag_outputs([SimpleNamespace(output=[table])], FIGURES, tmp_path)
    report = table.flags["report"]
    assert report.category == "Tables" and report.labels["table"] == "importance"
    caption = (tmp_path / "Tables_importance.rst").read_text()
    assert caption.startswith("{% raw %}") and caption.endswith("{% endraw %}\n")

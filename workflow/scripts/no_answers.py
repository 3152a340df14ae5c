"""Bound the part of each printed refusal rate that could be a plain “No” to a yes/no question."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_csv, write_csv
    from falserefusal.published.no_answers import no_answer_bounds
    from falserefusal.study.materials import load_templates

    files = snakemake.input
    by_format = read_csv(files.format_heatmaps)
    templates = load_templates(files.templates, list(by_format["task"].drop_duplicates()))
    bounds = no_answer_bounds(by_format, read_csv(files.table6), read_csv(files.table7), templates)
    write_csv(bounds, snakemake.output.bounds)
    print(bounds.to_string(index=False))

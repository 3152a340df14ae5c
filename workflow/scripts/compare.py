"""Compare studies on one page: differences of their headline results from those of the first one."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.notice import read_table, write_table
    from falserefusal.common.outcomes import frame_of
    from falserefusal.estimation.outcomes import read_outcomes
    from falserefusal.estimation.studies import differences
    from falserefusal.figures.context import Context
    from falserefusal.figures.draw import save
    from falserefusal.figures.studies import draw_differences
    from falserefusal.figures.style import styled
    from falserefusal.report.compared import write_comparison
    from falserefusal.report.overview import read_summary

    given, studies = snakemake.input, snakemake.params.studies
    outcomes = {}
    for study, path, shares in zip(studies, given.outcomes, given.shares, strict=True):
        outcomes[study] = frame_of(read_outcomes(path, read_table(shares)["labeller"].iloc[0]))  # the main labeller
    table = differences(outcomes)
    summaries = [read_summary(path) for path in given.summaries]
    banners = dict.fromkeys(summary["banner"] for summary in summaries if summary and summary["banner"])
    banner = "; ".join(banners)
    write_table(table, snakemake.output.table, banner or None)
    with styled():
        canvas, drawn = draw_differences(table, studies, Context("comparison", {}, {}, banner))
        save(canvas, Path(snakemake.output.svg).with_suffix(""))
    write_table(drawn, snakemake.output.drawn, banner or None)
    write_comparison(snakemake.output.page, table, studies, summaries, banner)
    print(f"{(table['p_holm'] <= 0.05).sum()} of {table['p'].notna().sum()} tested differences differ from 0 (Holm)")

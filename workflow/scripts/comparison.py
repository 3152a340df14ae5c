"""Compare a study's rates and importances with the published numbers."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.notice import read_table, write_table
    from falserefusal.estimation.comparison import comparison

    notice = snakemake.params.get("notice")
    tables, printed = (
        {Path(path).stem: read_table(path) for path in paths}
        for paths in (snakemake.input.tables, snakemake.input.printed)
    )
    write_table(comparison(tables, printed), snakemake.output.comparison, notice)

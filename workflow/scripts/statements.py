"""Recompute every number that the paper quotes from its own printed cells."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_csv, read_parquet, write_csv
    from falserefusal.common.schemas import CELLS
    from falserefusal.published.printed import read_printed
    from falserefusal.published.statements import Cells, check_statements, check_tables
    from falserefusal.study.materials import load_models, load_personas

    printed = read_printed(
        snakemake.params.printed,
        models=load_models(snakemake.input.models)["model"].tolist(),
        personas=load_personas(snakemake.input.personas)["persona"].tolist(),
    )
    cells = Cells(
        read_parquet(snakemake.input.cells, CELLS),
        printed,
        importance=read_csv(snakemake.input.importance),
        regression=read_csv(snakemake.input.regression),
    )
    write_csv(check_statements(printed["quoted_statements"], cells), snakemake.output.statements)
    write_csv(check_tables(cells, printed), snakemake.output.printed_check)

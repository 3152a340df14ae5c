"""Check that the paper's printed numbers agree with each other, and convert them into cells of counts."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import write_csv, write_parquet
    from falserefusal.common.schemas import CELLS
    from falserefusal.design.balance import uniformity
    from falserefusal.published.printed import published_cells, read_printed, table6
    from falserefusal.study.materials import load_models, load_personas

    printed = read_printed(
        snakemake.params.printed,
        models=load_models(snakemake.input.models)["model"].tolist(),
        personas=load_personas(snakemake.input.personas)["persona"].tolist(),
    )
    personas, templates = printed["table5"], table6(printed)
    balance = pd.concat([uniformity(personas, "persona"), uniformity(templates, "template")])
    write_parquet(published_cells(printed), snakemake.output.cells, CELLS)
    write_csv(personas, snakemake.output.table5)
    write_csv(templates, snakemake.output.table6)
    write_csv(balance, snakemake.output.balance)

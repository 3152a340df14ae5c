"""The paper's main-effects logistic regression of refusal, refitted, with Table 7 beside it."""

from typing import TYPE_CHECKING

from falserefusal.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.estimation.judged import read_cells
    from falserefusal.estimation.regression import REFERENCES, collapse, regression_table
    from falserefusal.tables import read_csv, write_csv

    cells = read_cells(snakemake.input.cells, snakemake.params.labeller)
    factors = {factor: level for factor, level in REFERENCES.items() if factor != "template"}
    table = regression_table(collapse(cells, list(factors)), factors, printed=read_csv(snakemake.input.table7))
    write_csv(table, snakemake.output.regression)

"""Refit the paper's main-effects logistic regression of refusal, and compare it with Table 7."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.outcomes import read_cells, read_outcomes
    from falserefusal.estimation.regression import deviance_table, firth_table, interaction_table, regression_table

    notice = snakemake.params.get("notice")
    files, labeller = snakemake.input, snakemake.params.labeller
    data = read_outcomes(files.get("outcomes"), labeller)
    if data is None:
        data = read_cells(files.cells, labeller)
    printed = read_csv(files.table7) if files.get("table7") else None
    write_table(regression_table(data, printed=printed, own=snakemake.params.own), snakemake.output.regression, notice)
    write_table(firth_table(data), snakemake.output.regression_firth, notice)
    write_table(interaction_table(data), snakemake.output.interactions, notice)
    write_table(deviance_table(data), snakemake.output.deviance, notice)

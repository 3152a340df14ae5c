"""The paper's main-effects logistic regression of refusal, refitted, with Table 7 beside it."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.outcomes import read_cells, read_outcomes
    from falserefusal.estimation.regression import deviance_table, firth_table, interaction_table, regression_table

    notice = snakemake.params.get("notice")
    files, labeller = snakemake.input, snakemake.params.labeller
    judged = read_outcomes(files.get("outcomes"), labeller)
    if judged is None:
        judged = read_cells(files.cells, labeller)
    printed = read_csv(files.table7) if files.get("table7") else None
    write_table(regression_table(judged, printed=printed), snakemake.output.regression, notice)
    write_table(firth_table(judged), snakemake.output.regression_firth, notice)
    write_table(interaction_table(judged), snakemake.output.interactions, notice)
    write_table(deviance_table(judged), snakemake.output.deviance, notice)

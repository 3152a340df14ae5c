"""Compute how far the results move under the accuracies that the labeller had on other responses."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.annotation.labeller_range import CLAIM, labeller_range
    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import LABELLER_ACCURACY
    from falserefusal.estimation.claims import gather
    from falserefusal.estimation.outcomes import read_cells, read_outcomes, reported
    from falserefusal.study.materials import load_models

    files, params = snakemake.input, snakemake.params
    outcomes = read_outcomes(files.get("outcomes"), params.labeller)
    cells = read_cells(files.cells, params.labeller)
    models = load_models(files.models, keep=reported(params.models, cells))
    evidence = gather(models, None if outcomes is not None else cells, outcomes, seed=params.seed)
    measured = read_csv(files.accuracy, LABELLER_ACCURACY)
    measured = measured[measured["language"] == params.language]
    table = labeller_range(evidence, measured, params.labeller, params.seed)
    write_table(table, snakemake.output.labeller_range, params.get("notice"))
    moved = table[(table["quantity"] == CLAIM) & table["overturned"].eq(True)]
    print(moved[["level", "conclusion", "other", "share"]].to_string(index=False) if len(moved) else "no claim moves")

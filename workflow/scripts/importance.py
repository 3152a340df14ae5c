"""Estimate the importance of each factor: sensitivity indices with confidence intervals and noise floors."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.importance import (
        importance_table,
        sensitivity_from_cells,
        sensitivity_from_outcomes,
    )
    from falserefusal.estimation.outcomes import read_cells, read_outcomes

    params = snakemake.params
    notice = params.get("notice")
    options = {"replicates": params.bootstrap, "permutations": params.permutations, "seed": params.seed}
    outcomes = read_outcomes(snakemake.input.get("outcomes"), params.labeller)
    if outcomes is None:
        sensitivity = sensitivity_from_cells(read_cells(snakemake.input.cells, params.labeller), **options)
    else:
        templates = read_csv(snakemake.input.templates)
        phrasings = dict(zip(templates["template"], templates["phrasing"], strict=True))
        sensitivity = sensitivity_from_outcomes(outcomes, phrasings, **options)
    figure5 = snakemake.input.get("figure5")
    printed = read_csv(figure5).set_index("factor")["importance"].to_dict() if figure5 else None
    write_table(sensitivity, snakemake.output.sensitivity, notice)
    write_table(importance_table(sensitivity, printed), snakemake.output.importance, notice)

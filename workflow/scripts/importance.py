"""How much each factor matters to refusal: sensitivity indices with intervals and noise floors."""

from typing import TYPE_CHECKING

from falserefusal.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.estimation.importance import importance_table, sensitivity_from_cells
    from falserefusal.estimation.judged import read_cells
    from falserefusal.tables import read_csv, write_csv

    cells = read_cells(snakemake.input.cells, snakemake.params.labeller)
    sensitivity = sensitivity_from_cells(
        cells,
        replicates=snakemake.params.bootstrap,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
    )
    printed = read_csv(snakemake.input.figure5).set_index("factor")["importance"].to_dict()
    write_csv(sensitivity, snakemake.output.sensitivity)
    write_csv(importance_table(sensitivity, printed), snakemake.output.importance)

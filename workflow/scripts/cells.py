"""Join the verdicts with the design, and count refusals by cell."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.common.files import read_parquet, write_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import CELLS, DESIGN, OUTCOMES, VERDICTS
    from falserefusal.estimation.cells import count_cells
    from falserefusal.estimation.outcomes import outcomes_of

    params = snakemake.params
    notice = params.get("notice")
    pairs = zip(params.models, snakemake.input.verdicts, strict=True)
    verdicts = ((model, read_parquet(path, VERDICTS)) for model, path in pairs)
    design = read_parquet(snakemake.input.design, DESIGN)
    outcomes, missing = outcomes_of(design, verdicts, params.personas, params.templates)
    cells = count_cells(outcomes)
    write_parquet(outcomes, snakemake.output.outcomes, OUTCOMES)
    write_parquet(cells, snakemake.output.cells, CELLS)
    write_table(missing, snakemake.output.missing, notice)
    print(f"{len(outcomes)} verdicts in {len(cells)} cells; {int(missing['n'].sum())} draws without a verdict")

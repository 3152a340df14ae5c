"""Join the verdicts with the design, and count refusals by cell."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import made_from, read_parquet, write_parquet
    from falserefusal.common.hashes import merged
    from falserefusal.common.notice import write_table
    from falserefusal.common.outcomes import write_outcomes
    from falserefusal.common.schemas import CELLS, DESIGN, VERDICTS
    from falserefusal.estimation.cells import count_cells
    from falserefusal.estimation.outcomes import outcomes_of

    params, output = snakemake.params, snakemake.output
    files = dict(zip(params.models, snakemake.input.verdicts, strict=True))
    read = merged({f"the verdicts of {model}": made_from(path) for model, path in files.items()})
    verdicts = ((model, read_parquet(path, VERDICTS)) for model, path in files.items())
    gaps: list[pd.DataFrame] = []
    parts = outcomes_of(read_parquet(snakemake.input.design, DESIGN), verdicts, params.personas, params.templates)
    write_outcomes((gaps.append(missing) or outcomes for outcomes, missing in parts), output.outcomes)
    cells, missing = count_cells(output.outcomes), pd.concat(gaps, ignore_index=True)
    write_parquet(cells, output.cells, CELLS, read)
    write_table(missing, output.missing, params.get("notice"))
    print(f"{cells['n'].sum()} verdicts in {len(cells)} cells; {missing['n'].sum()} draws without a verdict")

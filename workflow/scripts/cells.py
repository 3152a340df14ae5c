"""Join the verdicts with the design, and count refusals by cell."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.errors import InputError
    from falserefusal.common.files import made_from, read_parquet, write_parquet
    from falserefusal.common.hashes import merged
    from falserefusal.common.notice import read_table
    from falserefusal.common.outcomes import write_outcomes
    from falserefusal.common.schemas import CELLS, DESIGN, VERDICTS
    from falserefusal.estimation.cells import count_cells
    from falserefusal.estimation.outcomes import outcomes_of
    from falserefusal.estimation.verdict_shares import unranked_models, warnings_about

    files, params, output = snakemake.input, snakemake.params, snakemake.output
    shares = read_table(files.shares)
    unranked = unranked_models(shares, params.labeller)
    if set(unranked) == set(params.models):
        raise InputError(
            "too many responses of every model are missing:\n"
            + "\n".join(warnings_about(shares, params.labeller))
            + f"\n{files.categories} has the reasons"
        )
    pairs = {model: path for model, path in zip(params.models, files.verdicts, strict=True) if model not in unranked}
    read = merged({f"the verdicts of {model}": made_from(path) for model, path in pairs.items()})
    verdicts = ((model, read_parquet(path, VERDICTS)) for model, path in pairs.items())
    parts = outcomes_of(read_parquet(files.design, DESIGN), verdicts, params.personas, params.templates)
    write_outcomes(parts, output.outcomes)
    cells = count_cells(output.outcomes)
    write_parquet(cells, output.cells, CELLS, read)
    print(f"{cells['n'].sum()} verdicts in {len(cells)} cells")

"""Count the verdicts of each kind by model and task, and warn if many responses are missing."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import logging

    from falserefusal.common.files import read_parquet
    from falserefusal.common.notice import write_table
    from falserefusal.common.schemas import DESIGN, VERDICTS
    from falserefusal.estimation.verdict_shares import count_verdicts, verdict_shares, warnings_about

    files, params = snakemake.input, snakemake.params
    pairs = zip(params.models, files.verdicts, strict=True)
    verdicts = ((model, read_parquet(path, VERDICTS)) for model, path in pairs)
    counts = count_verdicts(read_parquet(files.design, DESIGN), verdicts)
    shares = verdict_shares(counts)
    categories = (
        counts.groupby([c for c in counts if c not in ("persona", "matched", "n")], sort=False)["n"].sum().reset_index()
    )
    write_table(shares, snakemake.output.verdict_shares, params.get("notice"))
    write_table(categories, snakemake.output.verdict_categories, params.get("notice"))
    for warning in warnings_about(shares, params.labeller):
        logging.getLogger("falserefusal").warning(warning)
    print(shares.to_string(index=False))

"""Merge the responses of a model's shards."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_json, read_parquet, write_json, write_parquet
    from falserefusal.common.schemas import RESPONSES
    from falserefusal.inference.shards import gather, gather_provenance

    files = snakemake.input
    order = pd.concat([read_parquet(path, columns=["prompt_id"]) for path in files.prompts], ignore_index=True)
    responses = gather([read_parquet(path, RESPONSES) for path in files.responses], order["prompt_id"])
    write_parquet(responses, snakemake.output.responses, RESPONSES)
    write_json(gather_provenance([read_json(path) for path in files.provenance]), snakemake.output.provenance)
    print(f"{len(responses)} responses from {len(files.responses)} shards")

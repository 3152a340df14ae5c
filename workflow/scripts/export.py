"""Write the study's prompts for other programs."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import logging
    from pathlib import Path

    import pandas as pd

    from falserefusal.common.files import read_parquet
    from falserefusal.common.logs import tell
    from falserefusal.common.schemas import DESIGN, PROMPTS
    from falserefusal.exchange.export import rows_of, write_export

    files, params, folder = snakemake.input, snakemake.params, Path(snakemake.output.folder)
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in files.prompts], ignore_index=True)
    rows = rows_of(prompts, read_parquet(files.design, DESIGN))
    for reason in write_export(rows, folder, params.study, params.models, params.decoding):
        logging.getLogger("falserefusal").warning(f"not exported: {reason}")
    tell(f"{len(rows)} prompts in {folder}")

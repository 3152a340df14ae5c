"""The whole story of a study in rounds: each interval after each round, what was spent, what was saved."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import pandas as pd

    from falserefusal.common.files import read_parquet
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.common.schemas import DESIGN
    from falserefusal.estimation.interim import savings, widest

    notice = snakemake.params.get("notice")
    looks = pd.concat(map(read_table, snakemake.input.looks), ignore_index=True)
    design = read_parquet(snakemake.input.design, DESIGN)
    write_table(widest(looks), snakemake.output.trajectory, notice)
    stopping = savings(looks, design)
    write_table(stopping, snakemake.output.stopping, notice)
    print(stopping.to_string(index=False))

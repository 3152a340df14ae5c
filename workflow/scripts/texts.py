"""Read one task's file, sample the study's annotation rows, and list the problems in the file."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import write_csv, write_parquet
    from falserefusal.common.schemas import TEXTS
    from falserefusal.texts.fetch import check_fetched, raw_path
    from falserefusal.texts.problems import summary
    from falserefusal.texts.read import read
    from falserefusal.texts.sample import sample, shortfalls

    params = snakemake.params
    rows, problems = read(params.source, raw_path(params.source, params.task, params.folder), params.task)
    file = check_fetched(params.source, params.task, params.folder)
    texts = sample(rows, params.rows_per_gold_label, params.seed)
    problems = pd.concat([problems, shortfalls(rows, params.rows_per_gold_label, params.task)], ignore_index=True)
    print(f"{params.task}: {len(texts)} of {len(rows)} usable rows\n{summary(problems)}")
    write_parquet(texts, snakemake.output.texts, TEXTS, file)
    write_csv(problems, snakemake.output.problems)

"""Decide for every number and claim of the paper whether a study reproduces it."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from pathlib import Path

    from falserefusal.common.files import read_csv
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.estimation.reproduction import reproduction_table
    from falserefusal.study.comparison import Comparison

    files, params = snakemake.input, snakemake.params
    tables = {name: read_table(path) for name, path in files.items() if name not in ("printed", "code")}
    printed = {Path(path).stem: read_csv(path) for path in files.printed}
    table = reproduction_table(tables, printed, Comparison(**params.comparison), params.labeller)
    if params.get("notice"):  # also where the page shows the table without its notice
        table["reason"] += f"; {params.notice}"
    write_table(table, snakemake.output.reproduction, params.get("notice"))
    counts = table.pivot_table("values", "quantity", "result", "sum", fill_value=0, sort=False)
    print(counts.to_string(float_format="{:.0f}".format))

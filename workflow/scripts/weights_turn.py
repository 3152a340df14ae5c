"""Make sure that the disk holds no weights of the models before, and record that it is the turn of the next."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import shutil
    from pathlib import Path

    for folder in snakemake.params.before:  # Snakemake leaves a folder if it is killed between a job's end and deletion
        for left in (Path(folder), Path(f"{folder}.partial")):
            if left.exists():
                shutil.rmtree(left)
                print(f"deleted {left}, which an earlier run left behind")
    Path(snakemake.output.turn).touch()

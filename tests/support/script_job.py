"""Run a script of the workflow as Snakemake does, without Snakemake."""

import runpy
from pathlib import Path
from types import SimpleNamespace


class Named(dict):
    """Named files or params, as in a script's `snakemake` object."""

    __getattr__ = dict.__getitem__


def run_script(script: str, folder: Path, inputs: dict, outputs: dict, **params) -> dict[str, str]:
    """Run a script from the repository's root; return the paths of its outputs, which are in `folder`."""
    paths = {name: str(folder / file) for name, file in outputs.items()}
    log = [str(folder / f"{script}.log")]
    job = SimpleNamespace(input=Named(inputs), output=Named(paths), params=Named(params), log=log)
    runpy.run_path(f"workflow/scripts/{script}.py", init_globals={"snakemake": job})
    return paths

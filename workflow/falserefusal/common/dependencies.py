"""Which files of this library a script runs, so that a rule can declare them as its inputs.

Snakemake re-runs a rule when its script changes but sees nothing of the modules that the script imports.
"""

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def library_of(script: str | Path) -> list[str]:
    """Paths of every module of this package that `script` imports, directly or through another, sorted.

    Imports inside functions count too. Paths start with the parts of `script` before 'workflow', so that they are
    relative where the script's path is.
    """
    found: set[Path] = set()
    queue = [Path(script)]
    while queue:
        for module in _imported(queue.pop()):
            if module not in found:
                found.add(module)
                queue.append(module)
    home = Path(script).parents[1] / PACKAGE.name
    return sorted(str(home / module.relative_to(PACKAGE)) for module in found)


@functools.cache
def _imported(path: Path) -> frozenset[Path]:
    """Modules of this package that one file imports by name, with the packages they lie in."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE.name:
            continue
        for length in range(1, len(parts) + 1):  # a package's __init__ runs too
            inner = PACKAGE.joinpath(*parts[1:length])
            files.update(file for file in (inner.with_suffix(".py"), inner / "__init__.py") if file.is_file())
    return frozenset(files)

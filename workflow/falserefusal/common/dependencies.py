"""Find the library modules that a script imports, so that a rule can declare them as inputs.

Snakemake re-runs a rule when its script changes, but does not know which modules the script imports.
"""

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def library_of(script: str | Path) -> list[str]:
    """Return the sorted paths of all modules of this package that `script` imports, directly or indirectly.

    Imports inside functions count too. The paths start like the path of `script`: relative if that is relative.
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
    """Return the modules of this package that one file imports, with the `__init__.py` of their packages."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE.name:
            continue
        for length in range(1, len(parts) + 1):  # importing a module runs the __init__ of its packages
            inner = PACKAGE.joinpath(*parts[1:length])
            files.update(file for file in (inner.with_suffix(".py"), inner / "__init__.py") if file.is_file())
    return frozenset(files)

"""Execute the Python blocks of a page in order, and write the output of each below it: docs/execute.py docs/analyse.md.

A block's output is what it prints and, as in a notebook, the value of its last expression. Text outside is kept.
"""

import ast
import contextlib
import io
import os
import re
import sys
from pathlib import Path

import pandas as pd

BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def executed(page: str) -> str:
    """The page with the output of its Python blocks, which share their names."""
    names: dict = {}

    def with_output(block: re.Match[str]) -> str:
        code = block[1]
        output = output_of(code, names)
        return f"```python\n{code}```\n" + (f"\n```text\n{output}\n```\n" if output else "")

    with pd.option_context("display.width", 110, "display.max_columns", 20, "display.max_colwidth", 60):
        return BLOCK.sub(with_output, page)


def output_of(code: str, names: dict) -> str:
    """What a block prints, then the value of its last line if that is an expression."""
    tree, value = ast.parse(code), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "page", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "page", "eval"), names)
    shown = [printed.getvalue().rstrip(), "" if value is None else str(value)]
    return "\n".join(line.rstrip() for line in "\n".join(filter(None, shown)).splitlines())


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    os.chdir(place.parent)  # figures are written next to the page
    place.write_text(executed(place.read_text(encoding="utf-8")), encoding="utf-8")

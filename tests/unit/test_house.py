"""A function fits a screen and takes few parameters."""

import ast

LINES, PARAMETERS = 60, 7


def parameters(function: ast.FunctionDef) -> int:
    """Number of parameters, without self and cls."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_function_is_longer_than_a_screen_or_takes_too_much(root):
    package, found = root / "workflow/falserefusal", {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > LINES or parameters(node) > PARAMETERS:
                    name = f"{path.relative_to(package)} {node.name}"
                    found[name] = f"line {node.lineno}: {lines} lines, {parameters(node)} parameters"
    assert not found

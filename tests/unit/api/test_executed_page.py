"""The executed page shows what its code gives today."""

import runpy


def test_the_outputs_of_the_page_are_those_of_its_code(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # figures are written here
    execute = runpy.run_path(str(root / "docs/execute.py"))
    page = (root / "docs/analyse.md").read_text(encoding="utf-8")
    assert page.count("```text") >= 6
    assert execute["executed"](page) == page
    assert (tmp_path / "analyse_personas.png").is_file() and (root / "docs/analyse_personas.png").is_file()


def test_a_wrong_output_is_found(root):
    execute = runpy.run_path(str(root / "docs/execute.py"))
    page = "A\n\n```python\nx = 1\nx + 1\n```\n\n```text\n3\n```\n\nB\n"
    assert execute["executed"](page) == page.replace("\n3\n", "\n2\n")

"""The wheel: it has the files that the code reads, and `pip install` of it is enough for three lines of Python."""

import re
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

THREE_LINES = """
import falserefusal as fr

result = fr.analyse(frame)
print(result.effects[["model", "persona", "difference", "lo", "hi"]])
"""
FRAME = """
import pandas as pd
rows = [(f"text {i}", "m", p, i % k == 0) for i in range(40) for p, k in (("no persona", 20), ("nurse", 4))]
frame = pd.DataFrame(rows, columns=["text", "model", "persona", "refused"])
"""
# packages that a light installation must not bring
HEAVY = {"torch", "transformers", "snakemake", "matplotlib", "openai", "duckdb", "huggingface-hub"}


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    """The wheel, made from a copy, because building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(root / "workflow", folder / "tree/workflow", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder / "tree")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    run = subprocess.run([*command, str(folder / "tree")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return next(folder.glob("falserefusal-*.whl"))


def test_every_file_of_the_package_is_in_the_wheel(root, wheel):
    package = root / "workflow/falserefusal"
    there = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert {str(path.relative_to(package.parent)) for path in there} - packed == set()
    assert not [name for name in packed if not name.startswith("falserefusal")]


def test_the_base_names_what_the_api_imports(root):
    code = "import falserefusal as fr, sys; fr.label(['a'], ['a', 'b'])\n"
    code += "fr.load_study('../config/pilot.yaml')\n" + FRAME
    code += THREE_LINES + "print('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root / "workflow", check=True
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    base = {re.split(r"[<>=\[]", one)[0] for one in project["dependencies"]}
    others = [own for extra, own in project["optional-dependencies"].items() if extra != "test"]
    extras = {re.split(r"[<>=\[]", one)[0] for own in others for one in own}
    imported = {{"yaml": "pyyaml"}.get(name, name) for name in loaded}
    assert imported & extras - base - {"falserefusal"} == set()
    assert base <= imported


def closure(names):
    """The distributions that `names` need, with their own needs."""
    found, queue = {}, list(names)
    while queue:
        requirement = Requirement(queue.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found[name] = distribution(name)
            queue += found[name].requires or []
    return found


def test_the_wheel_and_what_its_base_names_run_three_lines(root, wheel, tmp_path):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = closure(project["dependencies"])
    assert HEAVY & needed.keys() == set()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for own in needed.values():  # this environment has far more, so only these are made visible
        for top in {file.parts[0] for file in own.files or [] if ".." not in file.parts}:
            if top != "__pycache__" and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(own.locate_file(top))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + FRAME + THREE_LINES
    command = [sys.executable, "-I", "-S", "-c", code]  # -S: without the packages of this environment
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    assert re.search(r"nurse +0\.2 ", run.stdout)


def test_the_docs_have_the_three_lines(root):
    assert THREE_LINES.replace("print(", "").replace("]])", "]]") in (root / "docs/python.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_a_fresh_installation_is_light_and_runs_three_lines(wheel, tmp_path):
    try:
        urllib.request.urlopen("https://pypi.org/simple/jinja2/", timeout=10).close()
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"no network: PyPI cannot be reached ({error})")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    assert HEAVY & {line.partition("==")[0].lower().replace("_", "-") for line in listed.stdout.splitlines()} == set()
    run = subprocess.run([python, "-c", FRAME + THREE_LINES], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    assert re.search(r"nurse +0\.2 ", run.stdout)

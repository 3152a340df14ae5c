"""The examples of docs/how-to/servers.md are configs and models files that work."""

import re

import pytest
import yaml

from falserefusal.study.config import read_config
from falserefusal.study.materials import read_models


def blocks(root, language: str) -> list[str]:
    text = (root / "docs/how-to/servers.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("number", range(6))
def test_an_example_is_valid_and_its_models_are_on_its_servers(root, tmp_path, number):
    complete, *_ = examples = blocks(root, "yaml")
    rows = blocks(root, "csv")
    assert len(examples) == len(rows) == 6
    config = read_config(yaml.safe_load(complete) | yaml.safe_load(examples[number]))
    (tmp_path / "m.csv").write_text(rows[number], encoding="utf-8")
    assert {row.server for row in read_models(tmp_path / "m.csv").values()} == set(config.servers)

"""What is generated from the typed config is up to date, and says the same as the config's own checks."""

import json

import jsonschema
import pytest
import yaml

from falserefusal.common.errors import InputError
from falserefusal.study import reference
from falserefusal.study.config import Config, read_config


@pytest.mark.parametrize("path", [reference.SCHEMA, reference.PAGE])
def test_generated_files_are_up_to_date(root, tmp_path, path):
    reference.main(tmp_path)
    assert (root / path).read_text() == (tmp_path / path).read_text(), "run `make reference`"


def test_every_key_has_a_meaning():
    whole = Config.model_json_schema()
    for part in [whole, *whole["$defs"].values()]:
        for key, value in part.get("properties", {}).items():
            known = value.get("description") or ("$ref" in value and whole["$defs"][value["$ref"].split("/")[-1]])
            assert known or key == "kind", key


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ("{}", True),
        ("models: [a]", True),
        ("inference: {shards: {a: 2}}", True),
        ("modles: [a]", False),
        ("design: {kind: blokced}", False),
        ("inference: {shards: 0}", False),
        ("tasks: {offensiveness: {source: {kind: embedded, path: x}}}", False),
        ("servers: {s: {}}", False),
    ],
)
def test_editors_see_what_the_workflow_sees(small, root, change, right):
    schema = json.loads((root / reference.SCHEMA).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    config = small(change)
    assert jsonschema.Draft202012Validator(schema).is_valid(config) is right
    if right:
        read_config(config)
    else:
        with pytest.raises(InputError):
            read_config(config)
    assert yaml.safe_dump(config)

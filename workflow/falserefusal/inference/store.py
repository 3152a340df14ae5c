"""Append-only store of responses, keyed by everything that can change a response.

A store is a folder of segments. Each process writes its own segment, so that shards of a model on a shared file system
never write the same file. A record is one line, `checksum key batch response`. A line with a wrong checksum (a killed
writer leaves at most one, the last) is reported and ignored, so its prompt is asked again. Readers merge all segments.
Next to the segments, a file keeps the size of batches, where it decides what a response is.
"""

import contextlib
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
from typing import Any

from falserefusal.common.errors import InputError

log = logging.getLogger(__name__)

COMPLETE = ("stop", "length", "content_filter", "recitation")  # the whole response under its decoding parameters
NO_BATCH = "-"
NOTHING = "nothing was generated: every response was in the store"  # in the provenance, for what only a run can measure


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """What a model wrote to one prompt.

    Parameters
    ----------
    text : str
        Valid UTF-8: half a surrogate pair becomes U+FFFD.
    finish_reason : str
        stop, length, decided (generation stopped once the verdict was certain), content_filter (the provider blocked
        the prompt or the response for safety), recitation (it withheld the response for copyright) or error.
    prompt_tokens, new_tokens : int
        Numbers of tokens; new tokens include the EOS and the thinking.
    thinking : str
        What a model that thinks before it responds wrote first; no part of the response.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    new_tokens: int = 0
    thinking: str = ""

    def __post_init__(self):
        for field in ("text", "thinking"):
            object.__setattr__(self, field, _encodable(getattr(self, field)))

    @property
    def complete(self) -> bool:
        return self.finish_reason in COMPLETE


def _encodable(text: str) -> str:
    """The text with U+FFFD for half a surrogate pair, which cannot be written to a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def request_key(identity: Mapping, prompt: str | list, decoding: Mapping, sample: int = 0) -> str:
    """SHA-256 of the canonical JSON of a request: model identity, rendered prompt and decoding parameters.

    Further samples of the same request have a number above 0, which then is part of it.
    """
    request: dict[str, Any] = {"model": dict(identity), "prompt": prompt, "decoding": dict(decoding)}
    if sample:
        request["sample"] = sample
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Store:
    """The responses of one model under `folder`; `read` may run while other processes `append`."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.torn: set[str] = set()  # keys with responses only from interrupted batches; filled by `read`
        self._segment = None

    def read(self, keys: set[str] | None = None) -> dict[str, Response]:
        """The best stored response of each key in `keys` (None: of all keys).

        Of several responses to one key, a complete one is preferred to a decided one, a longer decided one to a shorter
        one, and any of them to an error; then one from a finished batch; then the first of the oldest segment. So the
        same folder always gives the same responses.
        """
        batches: dict[str, set[str]] = {}
        records = []
        for key, batch, body in self._records():
            if batch != NO_BATCH:
                batches.setdefault(batch, set()).add(key)
            if keys is None or key in keys:
                records.append((key, batch, body))
        whole = {batch for batch, found in batches.items() if len(found) == int(batch.rpartition("/")[2])} | {NO_BATCH}
        best: dict[str, tuple[tuple, Response]] = {}
        for key, batch, body in records:
            response = Response(*json.loads(body))
            rank = (*_rank(response), batch in whole)
            if key not in best or rank > best[key][0]:
                best[key] = rank, response
        # one response from a finished batch is enough: a key asked again for every torn copy would never be done
        self.torn = set(best) - {key for key, batch, _ in records if batch in whole}
        return {key: response for key, (_, response) in best.items()}

    def _records(self) -> Iterator[tuple[str, str, bytes]]:
        """Key, batch and body of every intact record, oldest segment first."""
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
                log.warning("%s: ignored %d incomplete record(s) of an interrupted run; asked again", segment, broken)

    def batch_tokens(self, identity: Mapping) -> int | None:
        """The tokens of a batch that were kept for a model and its precision; None if there are none."""
        path = self._batch_tokens_file(identity)
        return int(json.loads(path.read_text())["batch_tokens"]) if path.exists() else None

    def keep_batch_tokens(self, identity: Mapping, tokens: int) -> int:
        """Keep the tokens of a batch for all later runs; return those that another run kept before."""
        path = self._batch_tokens_file(identity)
        own = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            own.write_text(json.dumps({"batch_tokens": tokens, "identity": dict(identity)}))
            with contextlib.suppress(FileExistsError):
                os.link(own, path)  # the file is there as a whole or not at all, and the first one stays
        except OSError as error:
            raise InputError(f"cannot write to the store {self.folder}: {error.strerror}") from error
        finally:
            own.unlink(missing_ok=True)
        return int(json.loads(path.read_text())["batch_tokens"])

    def _batch_tokens_file(self, identity: Mapping) -> Path:
        text = json.dumps(dict(identity), sort_keys=True)
        return self.folder / f"batch_tokens-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def append(self, responses: Mapping[str, Response], batch: str = NO_BATCH) -> None:
        """Add responses; they are on disk when this returns. `batch`: `batch_name` of all keys computed together."""
        if not responses:
            return
        data = b"".join(_line(key, batch, response) for key, response in responses.items())
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
                f"could not write {len(responses)} responses to the store {self.folder} ({error.strerror}): free some "
                "space or move the store, then run again; responses stored before are kept and not asked again"
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
            os.fsync(folder)  # so that the new file's name survives a crash too
            os.close(folder)
        except OSError as error:
            raise InputError(f"cannot write to the store {self.folder}: {error.strerror}") from error
        return segment


_HEADER = re.compile(rb"[0-9a-f]{8} [0-9a-f]{64} [0-9a-f/-]+ \[")


def _line(key: str, batch: str, response: Response) -> bytes:
    fields = dataclasses.astuple(response)
    body = f"{key} {batch} {json.dumps(fields if response.thinking else fields[:-1])}".encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _rank(response: Response) -> tuple[int, int]:
    if response.complete:
        return 2, 0
    return (0, 0) if response.finish_reason == "error" else (1, response.new_tokens)


def batch_name(keys: list[str]) -> str:
    """Name of a batch computed together: a hash of its keys and their number, so that a reader detects a torn batch."""
    return f"{hashlib.sha256(''.join(sorted(keys)).encode()).hexdigest()[:16]}/{len(keys)}"

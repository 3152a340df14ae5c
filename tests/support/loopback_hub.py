"""A hub of models on loopback: folders on disk, each as the newest commit of a model."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loopback import answering


class _Hub(BaseHTTPRequestHandler):
    """Answers the requests of `snapshot_download`, and `model_info`."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body: bool):
        path = unquote(urlsplit(self.path).path).strip("/")
        if path.startswith("api/models/"):
            repo, what = "/".join(path.split("/")[2:4]), path.split("/")[4:5]
            if repo not in self.server.models:
                return self._send(404, b"", body, {"X-Error-Code": "RepoNotFound"})
            asked = path.partition("/revision/")[2]
            commit = asked if asked not in ("", "main") else self.server.commit(repo)
            return self._tree(repo) if what == ["tree"] else self._info(repo, commit)
        repo, _, rest = path.partition("/resolve/")
        commit, _, name = rest.partition("/")
        if repo not in self.server.models or not (self.server.models[repo] / name).is_file():
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        self.server.downloads += [(repo, commit, name)] if body else []
        data = (self.server.models[repo] / name).read_bytes()
        about = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
        return self._send(200, data, body, about)

    def _files(self, repo: str) -> list[Path]:
        return sorted(path for path in self.server.models[repo].iterdir() if path.is_file())

    def _tree(self, repo: str):
        files = [{"type": "file", "path": path.name, "size": path.stat().st_size} for path in self._files(repo)]
        self._send(200, json.dumps([file | {"oid": "0" * 40} for file in files]).encode(), True)

    def _info(self, repo: str, commit: str):
        siblings = [{"rfilename": path.name, "size": path.stat().st_size} for path in self._files(repo)]
        info = {"id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False}
        self._send(200, json.dumps(info | {"downloads": 0, "tags": [], "siblings": siblings}).encode(), True)

    def _send(self, status: int, data: bytes, body: bool, headers: Mapping[str, str] = {}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def hub_of(models: Mapping[str, Path]) -> Iterator[ThreadingHTTPServer]:
    """A hub with `models` (name to folder); `downloads` of the server lists (model, commit, file) of each download."""
    with answering(_Hub) as server:
        server.models, server.downloads = models, []
        server.commit = lambda repo: hashlib.sha1(repo.encode()).hexdigest()
        yield server

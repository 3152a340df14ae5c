"""What a server with the OpenAI API says about itself, beyond that API: version, served model, request parameters."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 5  # seconds
ABOUT_THE_LIST = ("id", "object", "created", "permission")  # of an entry of /models: not about the model


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an HTTPError: urllib would send the key on to whatever address the server names."""

    def redirect_request(self, *request: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def get(url: str, key: str | None, timeout: float = TIMEOUT) -> bytes:
    """The body of a GET request, which follows no redirect; raises what urllib does."""
    with _opener.open(urllib.request.Request(url, headers=_headers(url, key)), timeout=timeout) as reply:
        return reply.read()


def _headers(url: str, key: str | None) -> dict[str, str]:
    headers = {"User-Agent": "falserefusal"}
    if key and urlsplit(url).hostname == "api.anthropic.com":  # its list of models is not part of the OpenAI API
        return headers | {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return headers | ({"Authorization": f"Bearer {key}"} if key else {})


def reported(base_url: str, key: str | None, model: str) -> dict[str, Any]:
    """What the server reports about its software and about `model`.

    Parameters
    ----------
    base_url : str
        Its address, often ending in /v1.
    key : str or None
        Its key.
    model : str
        The name of the model on the server.

    Returns
    -------
    dict
        `version` (vLLM and TGI), `dtype` (TGI), and what the list of models says of the model, such as `owned_by` and
        `max_model_len` (vLLM). What the server does not say is not there.
    """
    models = _json(f"{base_url.rstrip('/')}/models", key).get("data")
    entries = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    entry = next((one for one in entries if one.get("id") == model), {})
    said = {name: value for name, value in entry.items() if name not in ABOUT_THE_LIST}
    info = _json(f"{_root(base_url)}/info", key)  # TGI
    said |= {"version": _json(f"{_root(base_url)}/version", key).get("version") or info.get("version")}
    said |= {"dtype": said.get("dtype") or info.get("model_dtype")}
    return {name: value for name, value in said.items() if isinstance(value, str | int | float)}


def model_names(body: bytes) -> list[str]:
    """The names in a list of models; empty if the body is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return []
    entries = found.get("data") if isinstance(found, dict) else None
    ids = [one.get("id") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return [name for name in ids if isinstance(name, str)]


def request_parameters(base_url: str, key: str | None) -> set[str] | None:
    """The parameters of a chat request that the server knows, if it publishes its schema as vLLM does; else None."""
    found: Any = _json(f"{_root(base_url)}/openapi.json", key)
    for name in ("components", "schemas", "ChatCompletionRequest", "properties"):
        found = found.get(name) if isinstance(found, dict) else None
    return set(found) if isinstance(found, dict) and found else None


def _root(base_url: str) -> str:
    """Where a server has what is not part of the OpenAI API."""
    return base_url.rstrip("/").removesuffix("/v1")


def _json(url: str, key: str | None) -> dict[str, Any]:
    """A JSON object of the server; empty if there is none."""
    try:
        found = json.loads(get(url, key))
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return found if isinstance(found, dict) else {}

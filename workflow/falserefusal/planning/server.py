"""Check the server of the backend openai: its address, its key, and whether it responds."""

import dataclasses
import difflib
import http.client
import os
import urllib.error

from falserefusal.common.addresses import shown_address
from falserefusal.inference.server_facts import get, model_names, request_parameters
from falserefusal.inference.server_names import same_model


def check_server(name: str, server: dict, here: bool = True) -> list[tuple[str, str, str, str]]:
    """Check a server and return (item, status, message, what_to_do) of each check; statuses as in `preflight`.

    Parameters
    ----------
    name : str
        The server's name in the config.
    server : dict
        Its settings, `servers.<name>` of a config.
    here : bool
        Whether requests are sent from this machine. If not, a server that does not respond is only a warning, because
        it may be reachable from the nodes of a cluster only.
    """
    address, variable = server.get("base_url"), server.get("api_key_env")
    if not address:
        what = f"set servers.{name}.base_url, such as http://localhost:8000/v1"
        return [("address", "missing", "the server has no address", what)]
    key = os.environ.get(variable) if variable else None
    if variable and not key:
        # in small letters it may be the key itself, and is not shown
        named = variable if variable.isupper() else f"in servers.{name}.api_key_env"
        what = f"set it in the environment that Snakemake starts in, or correct servers.{name}.api_key_env"
        return [("key", "missing", f"the environment variable {named} is not set", what)]
    listed, problem = _models(address, key)
    if problem is None or (
        isinstance(problem, int) and problem not in (401, 403, 404)
    ):  # any other status, such as 405, shows that the server runs
        responds = ("server", "ok", f"{address} responds", "")
        return [responds, *_unlisted(server, listed), *_unknown_parameters(name, server, key)]
    if isinstance(problem, _Redirect):
        message = f"{address} redirects to {problem.target}, where prompts and key are not sent"
        return [("server", "missing", message, f"set servers.{name}.base_url to that address, if you trust it")]
    if problem in (401, 403):
        what = f"correct the key in {variable}" if variable else f"set servers.{name}.api_key_env to its key's variable"
        return [("key", "missing", f"{address} rejects {'the key' if key else 'requests without a key'}", what)]
    if problem == 404:
        what = f"check that servers.{name}.base_url has the path in the server's documentation, often /v1"
        return [("server", "warn", f"{address} responds, but has no list of models (HTTP 404)", what)]
    what = f"start the server, or correct servers.{name}.base_url"
    return [("server", "missing" if here else "warn", f"{address} does not respond ({problem})", what)]


def _unknown_parameters(name: str, server: dict, key: str | None) -> list[tuple[str, str, str, str]]:
    """A warning for each key of `extra_body` that is not in the schema of a server that publishes one."""
    asked = server.get("extra_body") or {}
    known = request_parameters(server["base_url"], key) if asked else None
    if known is None:
        return []
    rows = []
    for parameter in asked:
        if parameter not in known:
            near = difflib.get_close_matches(parameter, sorted(known), n=1)
            message = f"'{parameter}' is not a parameter of {server['base_url']}, which may ignore it silently"
            what = f"correct or remove servers.{name}.extra_body.{parameter}"
            rows.append(("extra_body", "warn", message, what + (f"; did you mean '{near[0]}'?" if near else "")))
    return rows


def _unlisted(server: dict, listed: list[str]) -> list[tuple[str, str, str, str]]:
    """A warning for each model of the study that is not in the server's list of models."""
    rows = []
    for model in server.get("models", []) if listed else []:
        if not any(same_model(model, one) for one in listed):
            near = difflib.get_close_matches(model, listed, n=1)
            has = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(listed[:5])}"
            message = f"{server['base_url']} does not list the model '{model}'"
            rows.append(("model", "warn", message, f"check served_model in the models file; {has}"))
    return rows


@dataclasses.dataclass(frozen=True)
class _Redirect:
    target: str


def _models(address: str, key: str | None) -> tuple[list[str], int | str | _Redirect | None]:
    """The models that a server lists, and why it does not list them: an HTTP status, a redirect or a message."""
    try:
        return model_names(get(f"{address.rstrip('/')}/models", key)), None
    except urllib.error.HTTPError as error:
        if 300 <= error.code < 400:
            return [], _Redirect(shown_address(error.headers.get("Location", "")))
        return [], f"HTTP {error.code}" if error.code >= 500 else error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        return [], str(getattr(error, "reason", error)) or type(error).__name__

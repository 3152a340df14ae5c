"""Check the server of the backend openai: its address, its key, and whether it responds."""

import http.client
import os
import urllib.error
import urllib.request

TIMEOUT = 5  # seconds


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
    problem = _problem(address, key)
    if problem is None or (
        isinstance(problem, int) and problem not in (401, 403, 404)
    ):  # any other status, such as 405, shows that the server runs
        return [("server", "ok", f"{address} responds", "")]
    if problem in (401, 403):
        what = f"correct the key in {variable}" if variable else f"set servers.{name}.api_key_env to its key's variable"
        return [("key", "missing", f"{address} rejects {'the key' if key else 'requests without a key'}", what)]
    if problem == 404:
        what = f"check that servers.{name}.base_url has the path in the server's documentation, often /v1"
        return [("server", "warn", f"{address} responds, but has no list of models (HTTP 404)", what)]
    what = f"start the server, or correct servers.{name}.base_url"
    return [("server", "missing" if here else "warn", f"{address} does not respond ({problem})", what)]


def _problem(address: str, key: str | None) -> int | str | None:
    """Why a server does not list its models: an HTTP status or a message; None if it does."""
    headers = {"User-Agent": "falserefusal preflight"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        request = urllib.request.Request(f"{address.rstrip('/')}/models", headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code >= 500 else error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__

"""Can the server of the backend openai be asked? Its address, its key, and whether it answers."""

import http.client
import os
import urllib.error
import urllib.request

TIMEOUT = 5  # seconds


def check_server(server: dict, here: bool = True) -> list[tuple[str, str, str, str]]:
    """What was found, as (item, status, message, what_to_do); statuses as in `preflight`.

    server: `inference.server` of a config; here: models are asked from this machine. From another one, a server that
    does not answer is only worth a warning: it may be open to the cluster's nodes alone.
    """
    address, variable = server.get("base_url"), server.get("api_key_env")
    if not address:
        what = "set inference.server.base_url, as in http://localhost:8000/v1"
        return [("address", "missing", "the backend openai needs a server, and the config names none", what)]
    key = os.environ.get(variable) if variable else None
    if variable and not key:
        # in small letters it may be the key itself, and is not shown
        named = variable if variable.isupper() else "that inference.server.api_key_env names"
        what = "set it in the environment that Snakemake starts in, or correct inference.server.api_key_env"
        return [("key", "missing", f"the environment variable {named} is not set", what)]
    problem = _asked(address, key)
    if problem is None or (isinstance(problem, int) and problem not in (401, 403, 404)):  # as 405: it is there
        return [("server", "ok", f"{address} answers", "")]
    if problem in (401, 403):
        what = (
            f"correct the key in {variable}" if variable else "set inference.server.api_key_env to its key's variable"
        )
        return [("key", "missing", f"{address} refuses {'the key' if key else 'to be asked without a key'}", what)]
    if problem == 404:
        what = "see that inference.server.base_url has the path its maker names, often /v1"
        return [("server", "warn", f"{address} answers, but has no list of models (HTTP 404)", what)]
    what = "start the server, or correct inference.server.base_url"
    return [("server", "missing" if here else "warn", f"{address} does not answer ({problem})", what)]


def _asked(address: str, key: str | None) -> int | str | None:
    """What keeps a server from listing its models: an HTTP status or words; None if it does."""
    headers = {"User-Agent": "falserefusal preflight"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        request = urllib.request.Request(f"{address.rstrip('/')}/models", headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code >= 500 else error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__

"""Addresses of servers and files: alike however they are written, and without what may be secret in them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "…"  # in place of what may be secret


def server_address(base_url: str) -> str:
    """Host, port and path of a server's base URL."""
    url = urlsplit(base_url)
    return f"{url.netloc.lower()}{url.path.rstrip('/')}"


def shown_address(url: str) -> str:
    """An address with … for what may be secret in it: user name and password, query and fragment."""
    return re.sub("(?<=//)[^/?#]*@", f"{HIDDEN}@", re.sub("([?#]).*", rf"\1{HIDDEN}", url, flags=re.DOTALL))


def shown_source(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The `source` entry of a task without what may be secret in its URL."""
    return {key: shown_address(value) if key == "url" and value else value for key, value in entry.items()}


def shown_message(message: str) -> str:
    """A library's message on one line, with … for what may be secret in the addresses and paths that it quotes."""
    text = re.sub(r"(?<=//)[^/\s?#]*@", f"{HIDDEN}@", " ".join(message.split()))
    return re.sub(r"(/[^\s?#]*[?#])\S+", rf"\1{HIDDEN}", text)

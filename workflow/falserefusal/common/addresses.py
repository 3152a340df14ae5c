"""Addresses of servers, alike however they are written."""

from urllib.parse import urlsplit


def server_address(base_url: str) -> str:
    """Host, port and path of a server's base URL."""
    url = urlsplit(base_url)
    return f"{url.netloc.lower()}{url.path.rstrip('/')}"


def shown_address(url: str) -> str:
    """An address without what may be secret in it: user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path

"""From a cache's URL to its backend."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

from tradeutils.cache.base import Backend
from tradeutils.cache.memory import Memory
from tradeutils.errors import UnknownName, UsageError
from tradeutils.link.address import SCHEMES

__all__ = ["open_backend"]

_SCHEMES: Final = ("memory", *SCHEMES)


def open_backend(url: str | Backend | None, timeout: float) -> Backend:
    """Return the backend that ``url`` names, not yet connected; a backend is returned as it is."""
    if url is None:
        return Memory()
    if not isinstance(url, str):
        if not hasattr(url, "get_many"):
            raise UsageError(f"url_or_backend was {type(url).__name__}; write a URL like 'redis://localhost:6379/0'")
        return url
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _SCHEMES:
        # A URL without its scheme may still hold a password, so only what looks like a scheme is repeated.
        shown = scheme if separator and scheme.isascii() and len(scheme) < 20 else "missing"
        raise UnknownName("scheme of the cache URL", shown, [f"{known}://" for known in _SCHEMES])
    if scheme == "memory":
        return _memory(url)
    from tradeutils.cache.redis import Redis  # only for those who use it

    return Redis(url, timeout=timeout)


def _memory(url: str) -> Memory:
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    given = options.pop("max_bytes", ["268435456"])[-1]
    number = given.isascii() and given.isdecimal() and len(given) < 16
    if options or parts.netloc or parts.path.strip("/") or not number:
        raise UsageError("cache URL memory://... cannot be read; write 'memory://' or 'memory://?max_bytes=64000000'")
    return Memory(max_bytes=int(given))

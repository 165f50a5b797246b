"""
Point a venue's every endpoint at another host, and refuse what is left elsewhere.

Against a simulated or recorded venue nothing may reach the real one by accident: ccxt's overrides merge, and
an endpoint that nobody listed would still go out.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from tradeutils.errors import UsageError
from tradeutils.settings import redact_url

__all__ = ["host_of", "parse_target", "redirect"]

_WEBSOCKET = {"http": "ws", "https": "wss"}


def parse_target(url: str) -> SplitResult:
    """Return ``url`` in parts, or raise `UsageError` saying what to write."""
    example = 'write scheme and host, as in "http://127.0.0.1:8080"'
    try:
        target = urlsplit(url)
        port = target.port
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"url was {_shown(url)}; {example}") from error
    if target.scheme not in _WEBSOCKET or not target.hostname or port == 0:
        raise UsageError(f"url was {_shown(url)}; {example}")
    if target.path not in ("", "/") or target.query or target.fragment or target.username:
        raise UsageError(
            f"url was {_shown(url)}, with more than scheme and host; paths are kept from the venue: {example}"
        )
    return target


def _shown(url: object) -> str:
    """Return what was given as text, without a password in it."""
    return repr(redact_url(url) if isinstance(url, str) else url)


def redirect(endpoints: Any, target: SplitResult) -> Any:
    """
    Return ``endpoints`` (a string, or ccxt's nested dict and lists of them) with scheme and host of ``target``.

    Paths and queries are kept; ``ws`` and ``wss`` addresses become the websocket scheme of ``target``.
    """
    if isinstance(endpoints, str):
        parts = urlsplit(endpoints)
        scheme = _WEBSOCKET[target.scheme] if parts.scheme in ("ws", "wss") else target.scheme
        return parts._replace(scheme=scheme, netloc=target.netloc).geturl()
    if isinstance(endpoints, dict):
        return {name: redirect(value, target) for name, value in endpoints.items()}
    if isinstance(endpoints, list):
        return [redirect(value, target) for value in endpoints]
    return endpoints


def host_of(url: str) -> str:
    """Return host and port of ``url`` in lower case, the port written out where the scheme implies it."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "ws": 80, "https": 443, "wss": 443}.get(parts.scheme, 0)
    return f"{(parts.hostname or '').lower()}:{port}"

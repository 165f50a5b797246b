"""
Point a venue's every endpoint at another host, and refuse what is left elsewhere.

Against a simulated or recorded venue nothing may reach the real one by accident: ccxt's overrides merge, and
an endpoint that nobody listed would still go out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from tradeutils.errors import UsageError
from tradeutils.settings import redact_url

__all__ = ["Origins", "addresses_of", "host_of", "moved_socket", "parse_target", "redirect"]

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


def redirect(endpoints: Any, target: SplitResult, *, sockets: bool = True) -> Any:
    """
    Return ``endpoints`` (a string, or ccxt's nested dict and lists of them) with scheme and host of ``target``.

    Paths and queries are kept; ``ws`` and ``wss`` addresses become the websocket scheme of ``target``, or stay as they
    are without ``sockets``.
    """
    if isinstance(endpoints, str):
        parts = urlsplit(endpoints)
        if parts.scheme in ("ws", "wss"):
            return moved_socket(parts, target) if sockets else endpoints
        return parts._replace(scheme=target.scheme, netloc=target.netloc).geturl()
    if isinstance(endpoints, dict):
        return {name: redirect(value, target, sockets=sockets) for name, value in endpoints.items()}
    if isinstance(endpoints, list):
        return [redirect(value, target, sockets=sockets) for value in endpoints]
    return endpoints


def moved_socket(address: SplitResult, target: SplitResult) -> str:
    """Return the address of a websocket with the host of ``target``, and its scheme for websockets."""
    return address._replace(scheme=_WEBSOCKET[target.scheme], netloc=target.netloc).geturl()


@dataclass(frozen=True, slots=True)
class Origins:
    """
    Where moved endpoints were before.

    Some of ccxt's classes read a refusal by the host that it came from: one number of Binance's means one thing on
    spot, another on futures.

    Attributes
    ----------
    endpoints : tuple of (str, str, str)
        ccxt's name of each, its moved address, and the one that it had; those with the longest path first.
    """

    endpoints: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, endpoints: Any, target: SplitResult, spelled: Callable[[str], str] = str) -> Self:
        """Return where ``endpoints`` were before `redirect`; ``spelled`` fills in what ccxt leaves open in them."""
        found = [(name, redirect(url, target), spelled(url)) for name, url in _named(endpoints)]
        return cls(tuple(sorted(found, key=lambda one: -len(one[1]))))

    def restored(self, url: str, name: str = "") -> str:
        """
        Return the address that ``url`` would have had; itself where it is of none of the endpoints.

        ``name``: ccxt's of the endpoint, which decides where two came to have one address.
        """
        found: tuple[str, str] | None = None
        for called, moved, home in self.endpoints:
            if found is not None and len(moved) < len(found[0]):
                break
            if url.startswith(moved) and url[len(moved) :][:1] in ("", "/", "?") and (found is None or called == name):
                found = (moved, home)
        return url if found is None else found[1] + url[len(found[0]) :]


def _named(endpoints: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield ccxt's name of every address, its parts joined by points, as in ``"contract.public"``."""
    if isinstance(endpoints, str):
        yield name, endpoints.rstrip("/")
    elif isinstance(endpoints, dict):
        for key, value in endpoints.items():
            yield from _named(value, f"{name}.{key}" if name else str(key))
    elif isinstance(endpoints, list):
        for value in endpoints:
            yield from _named(value, name)


def addresses_of(endpoints: Any) -> list[str]:
    """Return every address in ccxt's nested dict and lists of them."""
    return [url for _, url in _named(endpoints)]


def host_of(url: str) -> str:
    """Return host and port of ``url`` in lower case, the port written out where the scheme implies it."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "ws": 80, "https": 443, "wss": 443}.get(parts.scheme, 0)
    return f"{(parts.hostname or '').lower()}:{port}"

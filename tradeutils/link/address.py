"""Where a Redis server is and how to log in, read from a URL; the one file that knows redis-py."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tradeutils.errors import UsageError
from tradeutils.link.wire import Command

__all__ = ["Address", "parse_address"]

_SCHEMES: Final = ("redis", "rediss", "unix")
_OPTIONS: Final = (
    "db", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile",
)  # fmt: skip
_FORM: Final = "write redis://user:password@host:6379/0, rediss://... for TLS, or unix:///path/to/socket?db=0"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and how to log in; the password is in no repr."""

    label: str
    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str = "default"
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def greeting(self) -> list[Command]:
        """Return the commands that open a connection; all are answered in one round trip."""
        hello: Command = (b"HELLO", 3)
        if self.password is not None:
            hello = (*hello, b"AUTH", self.username, self.password)
        select: list[Command] = [(b"SELECT", self.db)] if self.db else []
        return [(*hello, b"SETNAME", b"tradeutils"), *select, (b"TIME",)]


def parse_address(url: str) -> Address:
    """
    Read a Redis URL.

    Raises
    ------
    UsageError : no such form; the message never repeats the URL, which may hold a password.
    """
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _SCHEMES:
        raise UsageError(f"Redis URL does not begin with redis://, rediss:// or unix://; {_FORM}")
    problem = _problem(url)
    if problem:
        raise UsageError(f"Redis URL {scheme}://... {problem}; {_FORM}")
    from redis.asyncio.connection import parse_url  # redis-py takes 0.1 s to import: only for those who use it

    given: dict[str, Any] = dict(parse_url(url))
    db = int(given.get("db", 0))
    login = {"username": given.get("username", "default"), "password": given.get("password")}
    if scheme == "unix":
        path = str(given["path"])
        return Address(label=f"unix://{path}?db={db}", path=path, db=db, **login)
    host, port = str(given.get("host", "localhost")), int(given.get("port", 6379))
    shown = f"[{host}]" if ":" in host else host
    tls = _tls(given) if scheme == "rediss" else None
    return Address(label=f"{scheme}://{shown}:{port}/{db}", host=host, port=port, db=db, tls=tls, **login)


def _problem(url: str) -> str:
    """Say what is wrong with a URL, where redis-py would pass over it or repeat a part of it in its message."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
        options = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:  # UnicodeError among them
        return "has a host or port that cannot be read (write / ? # @ : in a password as %2F %3F %23 %40 %3A)"
    if port == 0:
        return "has port 0"
    if "%00" in url:
        return "holds %00, which no host, path or password may"
    if parts.scheme == "unix" and (parts.netloc.rpartition("@")[2] or len(parts.path) < 2):
        return "names no absolute path of a socket"
    database = parts.path.strip("/") if parts.scheme != "unix" else ""
    for number in (database, *options.get("db", [])):
        if number and not (number.isascii() and number.isdecimal() and len(number) < 6):
            return "has a db that is not a number"
    if parts.username and not parts.password:
        return "has a user without a password"
    if parts.fragment or not options.keys() <= set(_OPTIONS):
        return f"has an option that is not one of {', '.join(_OPTIONS)} (write ? # in a password as %3F %23)"
    return ""


def _tls(given: Mapping[str, Any]) -> Any:
    """Build the TLS context: certificates and host names are checked unless the URL says otherwise."""
    from redis.asyncio.connection import SSLConnection
    from redis.exceptions import RedisError

    options = {"ssl_check_hostname": True, **{k: v for k, v in given.items() if k.startswith("ssl_")}}
    error: str | None = None
    try:
        return SSLConnection(**options).ssl_context.get()
    except (OSError, RedisError) as cause:
        error = str(cause)
    raise UsageError(f"Redis URL rediss://... has TLS options that cannot be used: {error}")

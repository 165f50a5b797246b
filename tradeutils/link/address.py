"""Where Redis servers are and how to log in, read from a URL; the one file that knows redis-py."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tradeutils.errors import UsageError
from tradeutils.link.wire import Command

__all__ = ["SCHEMES", "Address", "parse_address"]

SCHEMES: Final = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
"""What the URL of a Redis may begin with."""

_OPTIONS: Final = (
    "db", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile",
)  # fmt: skip
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_FORM: Final = "write redis://user:password@host:6379/0, rediss://... for TLS, or unix:///path/to/socket?db=0"
_FORMS: Final = {
    "cluster": "write redis+cluster://user:password@host:6379,host:6379, rediss+cluster://... for TLS",
    "sentinel": "write redis+sentinel://user:password@host:26379,host:26379/service?db=0, or rediss+sentinel://...",
}
_SERVICE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_SENTINEL_PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where a server is and how to log in; the password is in no repr.

    Attributes
    ----------
    kind : str
        ``"cluster"``: one of the nodes in ``seeds`` tells where the others are, and ``host`` is the first of these.
        ``"sentinel"``: one of the sentinels in ``seeds`` tells where the primary of ``service`` is.
    seeds : tuple of (host, port)
        Who is asked where the servers are; empty for a single one.
    service : str
        What the sentinels call the primary and its replicas.
    sentinel_login : tuple of (user, password) or None
        For the sentinels, which have users of their own.
    """

    label: str
    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str = "default"
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    kind: Literal["single", "cluster", "sentinel"] = "single"
    seeds: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_login: tuple[str, str] | None = field(default=None, repr=False)

    def node(self, host: str, port: int) -> Address:
        """Return the address of one server of a cluster, or of the primary of a service."""
        return replace(self, label=f"{self.label.partition('://')[0]} node {_shown(host)}:{port}", host=host, port=port)

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
    if not separator or scheme not in SCHEMES:
        raise UsageError(f"Redis URL does not begin with one of {', '.join(f'{one}://' for one in SCHEMES)}; {_FORM}")
    if "+" in scheme:
        return _parse_many(scheme, url)
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
    tls = _tls(given) if scheme == "rediss" else None
    return Address(label=f"{scheme}://{_shown(host)}:{port}/{db}", host=host, port=port, db=db, tls=tls, **login)


def _parse_many(scheme: str, url: str) -> Address:
    """Read a URL that names several servers: each as if it stood alone."""
    plain, _, kind = scheme.partition("+")
    form = _FORMS[kind]
    places, question, query = url.partition("://")[2].partition("?")
    places, _, path = places.partition("/")
    login, at, hosts = places.rpartition("@")
    options, sentinel_login, problem = _sentinel_login(query, kind)
    if kind == "cluster" and path.strip("/0"):
        problem = "has a path, and a cluster has db 0 alone"
    elif kind == "sentinel" and not _SERVICE.fullmatch(path):
        problem = "names no service after the hosts"
    elif not all(hosts.split(",")):
        problem = "has an empty host"
    if not problem:
        found = [f"{plain}://{login}{at}{host}/{question}{options}" for host in hosts.split(",")]
        problem = next((told for told in map(_problem, found) if told), "")
    if problem:
        raise UsageError(f"Redis URL {scheme}://... {problem}; {form}")
    first = parse_address(found[0])
    if kind == "cluster" and first.db:
        raise UsageError(f"Redis URL {scheme}://... has db {first.db}, and a cluster has db 0 alone; {form}")
    port = _SENTINEL_PORT if kind == "sentinel" else 6379
    parts = [urlsplit(one) for one in found]
    seeds = [(part.hostname or "localhost", part.port or port) for part in parts]
    names = ",".join(f"{_shown(host)}:{port}" for host, port in seeds)
    tail = f"/{path}?db={first.db}" if kind == "sentinel" else ""
    return replace(
        first,
        label=f"{scheme}://{names}{tail}",
        host=seeds[0][0],
        port=seeds[0][1],
        kind="sentinel" if kind == "sentinel" else "cluster",
        seeds=tuple(dict.fromkeys(seeds)),
        service=path if kind == "sentinel" else "",
        sentinel_login=sentinel_login,
    )


def _sentinel_login(query: str, kind: str) -> tuple[str, tuple[str, str] | None, str]:
    """Take the login for the sentinels out of the options; return the others, that login, and what is wrong."""
    parts = [part.partition("=") for part in query.split("&")]
    given = {name: unquote(value) for name, _, value in parts if name in _SENTINEL_OPTIONS}
    if not given:
        return query, None, ""
    if kind != "sentinel" or not given.get("sentinel_password"):
        return query, None, "has a login for sentinels without a password, or without sentinels"
    others = "&".join("".join(part) for part in parts if part[0] not in _SENTINEL_OPTIONS)
    return others, (given.get("sentinel_username") or "default", given["sentinel_password"]), ""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


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

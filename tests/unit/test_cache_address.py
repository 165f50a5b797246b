"""URLs of caches: what they may be, what is said of those that may not, and that no password is ever shown."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.errors import UsageError
from tradeutils.link.address import parse_address

_CLIENTS = {
    "redis://": ("localhost", 6379, 0, "default", None),
    "redis://host": ("host", 6379, 0, "default", None),
    "REDIS://host:7000/3": ("host", 7000, 3, "default", None),
    "redis://host/?db=2": ("host", 6379, 2, "default", None),
    "redis://:pw@host": ("host", 6379, 0, "default", "pw"),
    "redis://bot:p%40%3A%2Fw@10.0.0.1:1/0": ("10.0.0.1", 1, 0, "bot", "p@:/w"),
    "redis://[::1]:7000/0": ("::1", 7000, 0, "default", None),
}


@pytest.mark.parametrize("url", _CLIENTS)
def test_url_is_read(url: str) -> None:
    """Host, port, db, user and password, with the usual defaults."""
    address = parse_address(url)
    assert (address.host, address.port, address.db, address.username, address.password) == _CLIENTS[url]
    assert address.tls is None


def test_unix_url_is_read() -> None:
    """A path, and the db as an option."""
    address = parse_address("unix://bot:pw@/run/redis/redis.sock?db=4")
    assert (address.path, address.db, address.username, address.password) == ("/run/redis/redis.sock", 4, "bot", "pw")
    assert address.label == "unix:///run/redis/redis.sock?db=4"


def test_tls_checks_certificates_unless_told_not_to() -> None:
    """The safe way is the default one."""
    safe = parse_address("rediss://host")
    assert safe.tls is not None
    assert safe.tls.check_hostname
    assert safe.tls.verify_mode == 2  # ssl.CERT_REQUIRED
    lax = parse_address("rediss://host?ssl_cert_reqs=none")
    assert lax.tls is not None
    assert lax.tls.verify_mode == 0  # ssl.CERT_NONE


_MANY = {
    "redis+cluster://a": ("cluster", (("a", 6379),), 0, ""),
    "redis+cluster://a:7000,b/": ("cluster", (("a", 7000), ("b", 6379)), 0, ""),
    "REDIS+CLUSTER://bot:pw@a:7000,a:7000,[::1]:7001/0": ("cluster", (("a", 7000), ("::1", 7001)), 0, ""),
    "redis+sentinel://a,b:5/prices": ("sentinel", (("a", 26379), ("b", 5)), 0, "prices"),
    "redis+sentinel://bot:p%40w@a/my.prices-1?db=3": ("sentinel", (("a", 26379),), 3, "my.prices-1"),
}


@pytest.mark.parametrize("url", _MANY)
def test_url_of_many_servers_is_read(url: str) -> None:
    """Each host once, with the default port of its kind."""
    address = parse_address(url)
    assert (address.kind, address.seeds, address.db, address.service) == _MANY[url]


def test_url_of_many_servers_has_one_login_and_sentinels_their_own() -> None:
    """The user of the URL is for the servers with the data; nobody's password is shown."""
    address = parse_address("rediss+sentinel://bot:s3cret@a,b/prices?sentinel_password=w%26tch&ssl_cert_reqs=none")
    assert (address.username, address.password, address.sentinel_login) == ("bot", "s3cret", ("default", "w&tch"))
    assert address.tls is not None
    assert address.label == "rediss+sentinel://a:26379,b:26379/prices?db=0"
    for shown in (
        repr(address),
        address.label,
        repr(address.node("::1", 5)),
        repr(tu.Cache("redis+cluster://b:s3cret@a")),
    ):
        assert "s3cret" not in shown
        assert "tch" not in shown
    assert address.node("::1", 5).label == "rediss+sentinel node [::1]:5"


_REFUSED = {
    "redis": "missing",
    "": "missing",
    "localhost:6379": "missing",
    "http://host": "http",
    "redis+replica://host": r"valid are|did you mean",
    "rediss+sentinel://host": "names no service",
    "redis+sentinel://host:26379/": "names no service",
    "redis+sentinel://host/a b": "names no service",
    "redis+sentinel://host,,other/prices": "empty host",
    "redis+sentinel://host/prices?sentinel_username=bot": "login for sentinels without a password",
    "redis+sentinel://host/prices?timeout=1": "one of db, ssl_ca_certs",
    "redis+cluster://": "empty host",
    "redis+cluster://host,": "empty host",
    "redis+cluster://host/1": "db 0 alone",
    "redis+cluster://host?db=1": "db 0 alone",
    "redis+cluster://host:0,other": "port 0",
    "redis+cluster://host,other:port": "host or port",
    "redis+cluster://host?sentinel_password=pw": "login for sentinels",
    "redis+cluster://bot@host": "user without a password",
    "redsi://host": "did you mean.*redis://",
    "redis://host:port/0": "host or port",
    "redis://host:99999/0": "host or port",
    "redis://host:-1": "host or port",
    "redis://host:0": "port 0",
    "redis://[::1": "host or port",
    "redis://" + "a" * 70 + ".example": "host or port",
    "redis://host/abc": "db that is not a number",
    "redis://host/-1": "db that is not a number",
    "redis://host/0?db=x": "db that is not a number",
    "redis://host/²": "db that is not a number",
    "redis://user@host": "user without a password",
    "redis://host?timeout=3": "one of db, ssl_ca_certs",
    "redis://host#1": "one of db, ssl_ca_certs",
    "unix://": "no absolute path",
    "unix://relative/path": "no absolute path",
    "rediss://host?ssl_ca_certs=/no/such/file": "TLS options",
    "rediss://host?ssl_cert_reqs=maybe": "TLS options",
    "redis://a%00b": "%00",
    "unix:///run/a%00b": "%00",
    "memory://here": "memory://",
    "memory:///path": "memory://",
    "memory://?max_bytes=many": "memory://",
    "memory://?max_byte=5": "memory://",
}


@pytest.mark.parametrize("url", _REFUSED)
def test_impossible_url_is_refused_with_what_to_write(url: str) -> None:
    """Nothing is connected; the message says what is wrong and what is right."""
    with pytest.raises(UsageError, match=f"(?i){_REFUSED[url]}"):
        tu.Cache(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://bot:s3cret/pw@host:6379/0",
        "redis://bot:12?s3cret@host:6379/0",
        "redis://bot:12#s3cret@host:6379/0",
        "redis://bot:s3cret@host:port/0",
        "redis://bot:s3cret@host/abc",
        "redis://bot:s3cret@[host/0",
        "redis://host?password=s3cret",
        "redis+cluster://bot:s3cret@host/1",
        "redis+cluster://bot:s3cret@host,other:port",
        "redis+sentinel://bot:s3cret@host",
        "redis+sentinel://host/prices?sentinel_password=s3cret&x=1",
        "redis+cluster://host?sentinel_password=s3cret",
        "redsi://bot:s3cret@host",
        "bot:s3cret@host",
        "unix://bot:s3cret@relative/path",
    ],
)
def test_refusal_never_repeats_a_password(url: str) -> None:
    """Neither the message nor anything chained to it, for it will be logged."""
    with pytest.raises(UsageError) as refused:
        tu.Cache(url)
    said = "".join(traceback.TracebackException.from_exception(refused.value, lookup_lines=False).format())
    assert "s3cret" not in said.replace(url, "").replace(repr(url), "")
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None


def test_repr_shows_no_password() -> None:
    """Of the cache, of its backend, and of the address."""
    url = "redis://bot:s3cret@host:6379/0"
    for shown in (tu.Cache(url), tu.Cache(url).backend, parse_address(url)):
        assert "s3cret" not in repr(shown)
        assert "bot" not in str(tu.Cache(url))


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 61, "1", None, True])
def test_impossible_timeout_is_refused(timeout: Any) -> None:
    """Seconds above 0, at most a minute."""
    with pytest.raises(UsageError, match="timeout was"):
        tu.Cache("redis://host", timeout=timeout)


@pytest.mark.parametrize("backend", [5, b"redis://host", object()])
def test_impossible_backend_is_refused(backend: Any) -> None:
    """A URL or a backend, nothing else."""
    with pytest.raises(UsageError, match="url_or_backend was"):
        tu.Cache(backend)

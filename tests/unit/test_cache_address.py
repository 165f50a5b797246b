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


_REFUSED = {
    "redis": "missing",
    "": "missing",
    "localhost:6379": "missing",
    "http://host": "http",
    "rediss+sentinel://host": r"valid are|did you mean",
    "redsi://host": "did you mean.*redis://",
    "redis+cluster://host:6379": "not available yet",
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
        "redis+cluster://bot:s3cret@host",
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

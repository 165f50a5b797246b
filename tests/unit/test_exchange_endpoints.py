"""Every endpoint of a venue can be moved to another host."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from tradeutils.errors import UsageError
from tradeutils.exchange.endpoints import host_of, parse_target, redirect


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", ccxt.exchanges)
def test_no_endpoint_of_any_venue_is_left_elsewhere(name: str) -> None:
    """Whatever shape a venue's endpoints have, all of them move."""
    endpoints = getattr(ccxt, name)().urls["api"]
    moved = redirect(endpoints, parse_target("http://127.0.0.1:8080"))
    assert _strings(moved)
    assert {host_of(text) for text in _strings(moved)} == {"127.0.0.1:8080"}
    assert len(_strings(moved)) == len(_strings(endpoints))


def test_paths_are_kept_and_websockets_stay_websockets() -> None:
    """Only scheme and host change; ``wss`` becomes what belongs to the target's scheme."""
    plain, secure = parse_target("http://localhost:81"), parse_target("https://[::1]:82/")
    endpoints = {"a": "https://api.binance.com/api/v3", "ws": ["wss://stream.binance.com:9443/ws"], "n": None}
    assert redirect(endpoints, plain) == {
        "a": "http://localhost:81/api/v3",
        "ws": ["ws://localhost:81/ws"],
        "n": None,
    }
    assert redirect(endpoints, secure)["ws"] == ["wss://[::1]:82/ws"]


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1:x",
     "http://127.0.0.1/api", "http://u:p@127.0.0.1", "http://127.0.0.1?x=1", 8080, None],
)  # fmt: skip
def test_a_target_that_is_no_scheme_and_host_is_refused(url: Any) -> None:
    """The message shows how to write it."""
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:8080"):
        parse_target(url)


def test_hosts_compare_with_the_implied_port() -> None:
    """A default port written out is the same host."""
    assert host_of("https://API.binance.com/x") == host_of("https://api.binance.com:443") == "api.binance.com:443"


def test_a_password_in_a_refused_address_is_not_repeated() -> None:
    """The message shows what was typed, less what must not be shown."""
    with pytest.raises(UsageError) as caught:
        parse_target("http://user:hunter2@127.0.0.1")
    assert "hunter2" not in str(caught.value)

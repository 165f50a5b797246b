"""Every endpoint of a venue can be moved to another host."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from tradeutils.errors import UsageError
from tradeutils.exchange.requests.endpoints import Origins, host_of, parse_target, redirect


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


@pytest.mark.parametrize("name", ccxt.exchanges)
def test_every_moved_endpoint_is_traced_back_to_its_own(name: str) -> None:
    """By the longest path that fits, and by ccxt's name for the endpoint where two have one path."""
    venue, target = getattr(ccxt, name)(), parse_target("http://127.0.0.1:8080")
    origins = Origins.of(venue.urls["api"], target, venue.implode_hostname)
    assert len(origins.endpoints) == len(_strings(venue.urls["api"]))
    for called, moved, home in origins.endpoints:
        assert moved.partition("://")[2].startswith("127.0.0.1:8080")
        assert "{hostname}" not in home
        restored = origins.restored(f"{moved}/a/b?c={moved}", called)
        twins = {told for other, at, told in origins.endpoints if (other, at) == (called, moved)}
        assert restored in {f"{one}/a/b?c={moved}" for one in twins}


def test_an_address_is_traced_back_by_whole_parts_of_its_path() -> None:
    """``/api/v30`` is not within ``/api/v3``, and what is of no endpoint stays as it is."""
    endpoints = {
        "old": "https://api.x.com/api/v3",
        "new": "https://new.x.com/api/v3",
        "deep": {"one": "https://deep.{hostname}/api/v3/one/"},
        "ws": ["wss://stream.x.com/ws"],
    }
    origins = Origins.of(endpoints, parse_target("http://h:1"), lambda url: url.replace("{hostname}", "x.com"))
    assert origins.restored("http://h:1/api/v3/a?b") == "https://api.x.com/api/v3/a?b"
    assert origins.restored("http://h:1/api/v3?b", "new") == "https://new.x.com/api/v3?b"
    assert origins.restored("http://h:1/api/v3/one/a", "new") == "https://deep.x.com/api/v3/one/a"
    assert origins.restored("ws://h:1/ws") == "wss://stream.x.com/ws"
    for elsewhere in ("http://h:1/api/v30", "http://h:1/", "http://h:12/api/v3", ""):
        assert origins.restored(elsewhere) == elsewhere


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

"""Faults, bans and the log of the simulated venue, over real sockets and as other processes make them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import ccxt
import ccxt.async_support
import pytest

from tradeutils import sim
from tradeutils.errors import UnknownName, UsageError
from tradeutils.sim.control import may_control
from tradeutils.sim.faults import Faults

_KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=100"
_ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A small venue with a frozen clock."""
    async with sim.SimulatedVenue(symbols=2) as venue:
        yield venue


@pytest.fixture
async def client(venue: sim.SimulatedVenue) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client of it."""
    async with aiohttp.ClientSession(venue.url, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session


def order(venue: sim.SimulatedVenue, name: str) -> str:
    """Return the address of a signed order under a client id."""
    account = venue.accounts[0]
    fields = {**_ORDER, "price": "60000", "newClientOrderId": name, "timestamp": str(venue.clock.now())}
    query = urllib.parse.urlencode(fields)
    signature = hmac.new(account.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"/api/v3/order?{query}&signature={signature}"


def key(venue: sim.SimulatedVenue) -> dict[str, str]:
    """Return the header of a signed request."""
    return {"X-MBX-APIKEY": venue.accounts[0].key}


async def control(
    client: aiohttp.ClientSession, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    """Ask the venue about itself."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    async with client.request(method, path, data=data) as response:
        return response.status, await response.json()


async def test_latency_delays_each_request_by_itself(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """Ten at once take as long as one; those of another path do not wait."""
    venue.faults.add("latency", seconds=0.3, jitter=0.1, path="/api/v3/klines")

    async def timed(path: str) -> float:
        began = time.perf_counter()
        async with client.get(path) as response:
            assert response.status == 200
            await response.read()
        return time.perf_counter() - began

    others = asyncio.create_task(timed("/api/v3/time"))
    taken = await asyncio.gather(*(timed(_KLINES) for _ in range(10)))
    assert min(taken) >= 0.2
    assert await others < min(taken)
    assert len({round(one, 3) for one in taken}) > 1
    assert {one.fault for one in venue.requests.last() if one.path == "/api/v3/klines"} == {"latency"}


@pytest.mark.parametrize(("status", "body"), [(500, None), (502, ""), (503, "busy"), (504, '{"code":-1}'), (418, None)])
async def test_status_is_answered_in_the_venues_place(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession, status: int, body: str | None
) -> None:
    """With the body that was asked for, as often as it was asked for; the venue sees nothing of it."""
    venue.faults.add("status", status=status, body=body, count=2)
    for _ in range(2):
        async with client.get("/api/v3/time") as response:
            text = await response.text()
            assert response.status == status
            assert text == body if body is not None else "-1000" in text
    async with client.get("/api/v3/time") as response:
        assert response.status == 200
    assert (venue.requests.total, venue.requests.weight, venue.requests.errors) == (3, 1, 0)
    assert [one.status for one in venue.requests.last()] == [0, 0, 200]


async def test_page_of_a_gateway_comes_with_200(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """HTML where JSON belongs, which ccxt cannot read."""
    venue.faults.add("html", count=1)
    async with client.get("/api/v3/time") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert (await response.text()).startswith("<!DOCTYPE html>")
    async with client.get("/api/v3/time") as response:
        assert response.content_type == "application/json"


@pytest.mark.parametrize("after", [False, True])
async def test_reset_connection_is_seen_as_one(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession, *, after: bool
) -> None:
    """The client has an error of its connection; only with `after` has the venue placed the order."""
    venue.faults.add("reset", after=after, method="POST", path="/api/v3/order", count=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(order(venue, "a"), headers=key(venue))
    assert venue.requests.orders == ({"a": 1} if after else {})
    async with client.post(order(venue, "b"), headers=key(venue)) as response:
        assert response.status == 200
    assert venue.requests.orders == ({"a": 1, "b": 1} if after else {"b": 1})


async def test_order_whose_answer_is_lost_is_placed(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """By 504 and by silence too; it can be looked up and cancelled by its client id."""
    venue.faults.add("status", status=504, body="", after=True, path="/api/v3/order", count=1)
    async with client.post(order(venue, "late"), headers=key(venue)) as response:
        assert response.status == 504
    venue.faults.add("silence", after=True, path="/api/v3/order", count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.post(order(venue, "silent"), headers=key(venue))
    assert venue.requests.orders == {"late": 1, "silent": 1}
    async with ccxt.async_support.binance(_configuration(venue)) as exchange:
        found = await exchange.fetch_order(None, "BTC/USDT", {"clientOrderId": "late"})
        assert (found["clientOrderId"], found["status"]) == ("late", "open")
        await exchange.cancel_order(None, "BTC/USDT", {"clientOrderId": "silent"})
        assert [one["clientOrderId"] for one in await exchange.fetch_open_orders("BTC/USDT")] == ["late"]


def _configuration(venue: sim.SimulatedVenue) -> dict[str, Any]:
    account = venue.accounts[0]
    urls = dict.fromkeys(("public", "private", "v1"), f"{venue.url}/api/v3") | {
        name: f"{venue.url}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")
    }
    urls["sapi"] = f"{venue.url}/sapi/v1"
    return {
        "apiKey": account.key,
        "secret": account.secret,
        "urls": {"api": urls},
        "enableRateLimit": False,
        "timeout_on_exit": 0,
    }


async def test_silence_ends_with_a_reset(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """After its seconds; a client that leaves earlier is not waited for, and the venue closes all the same."""
    venue.faults.add("silence", seconds=0.2)
    began = time.perf_counter()
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get("/api/v3/time")
    assert time.perf_counter() - began >= 0.2
    venue.faults.clear()
    venue.faults.add("silence")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.get("/api/v3/time")
    await venue.close()


async def test_truncated_answer_is_short_of_what_it_promised(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession
) -> None:
    """The head promises the whole, half of it comes, and the connection ends in order."""
    async with client.get(_KLINES) as response:
        whole = await response.read()
    venue.faults.add("truncate", count=1)
    async with client.get(_KLINES) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(whole)))
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    async with client.get(_KLINES) as response:
        assert await response.read() == whole


async def test_dripped_answer_is_whole_in_the_end(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """The head comes at once, the body over the seconds; a client that leaves in between harms nobody."""
    async with client.get(_KLINES) as response:
        whole = await response.read()
    venue.faults.add("drip", seconds=0.4)
    began = time.perf_counter()
    async with client.get(_KLINES) as response:
        assert await response.read() == whole
    assert time.perf_counter() - began >= 0.3
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1), client.get(_KLINES) as response:
            await response.read()
    venue.faults.clear()
    async with client.get(_KLINES) as response:
        assert response.status == 200


async def test_answers_are_lost_by_chance_from_a_seed(venue: sim.SimulatedVenue) -> None:
    """One seed strikes the same requests every time, another others, and about as many as was asked for."""

    def struck(seed: int) -> list[bool]:
        faults = Faults()
        faults.add("reset", probability=0.1, seed=seed)
        return [faults.strike("GET", "/").fault is not None for _ in range(1_000)]

    assert struck(1) == struck(1) != struck(2)
    assert 60 <= sum(struck(1)) <= 140


def test_of_several_faults_delays_add_up_and_the_oldest_other_happens() -> None:
    """Two latencies and two statuses: both delays, the first status, and the second is not used up."""
    faults = Faults()
    faults.add("latency", seconds=1.0)
    faults.add("status", status=500, count=1)
    faults.add("status", status=502, count=1)
    faults.add("latency", seconds=2.0, after=True)
    first, second, third = (faults.strike("GET", "/") for _ in range(3))
    assert (first.before, first.after, first.name) == (1.0, 2.0, "latency+status+latency")
    assert [one.fault and one.fault.status for one in (first, second, third)] == [500, 502, None]
    assert [one.processed for one in (first, second, third)] == [False, False, True]
    assert [row["struck"] for row in faults.describe()] == [3, 1, 1, 3]


def test_faults_are_for_the_requests_they_name() -> None:
    """By method and by pattern of the path; case matters."""
    fault = sim.Fault(kind="reset", method="POST", path="/api/*/order")
    assert fault.matches("POST", "/api/v3/order")
    assert not fault.matches("GET", "/api/v3/order")
    assert not fault.matches("POST", "/api/v3/ORDER")


async def test_faults_are_made_and_taken_away_over_http(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession
) -> None:
    """One or a list; each has a number to take it away by; the control path itself is never struck."""
    assert await control(client, "POST", "/sim/faults", {"kind": "status", "status": 500}) == (200, {"ids": [1]})
    two = [{"kind": "latency", "seconds": 0.01}, {"kind": "html", "path": "/api/*"}]
    assert await control(client, "POST", "/sim/faults", two) == (200, {"ids": [2, 3]})
    async with client.get("/api/v3/time") as response:
        assert response.status == 500
    _, told = await control(client, "GET", "/sim/faults")
    assert [(one["id"], one["kind"], one["struck"]) for one in told["faults"]] == [
        (1, "status", 1),
        (2, "latency", 1),
        (3, "html", 0),
    ]
    status, told = await control(client, "DELETE", "/sim/faults/1")
    assert (status, [one["id"] for one in told["faults"]]) == (200, [2, 3])
    assert await control(client, "DELETE", "/sim/faults") == (200, {"faults": []})
    async with client.get("/api/v3/time") as response:
        assert (response.status, response.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b"7",
        b'"latency"',
        b"{}",
        b'{"kind":[]}',
        b'{"kind":"fire"}',
        b'{"kind":"' + b"a" * 500_000 + b'"}',
        b'{"kind":"latency"}',
        b'{"kind":"latency","seconds":-1}',
        b'{"kind":"latency","seconds":1e999}',
        b'{"kind":"latency","seconds":"1"}',
        b'{"kind":"latency","seconds":1,"colour":"red"}',
        b'{"kind":"reset","probability":1.5}',
        b'{"kind":"reset","probability":null}',
        b'{"kind":"reset","count":0}',
        b'{"kind":"reset","count":true}',
        b'{"kind":"reset","seed":null}',
        b'{"kind":"reset","path":null}',
        b'{"kind":"reset","path":["/"]}',
        b'{"kind":"reset","after":1}',
        b'{"kind":"status","status":99}',
        b'{"kind":"status","status":1e3}',
        b'{"kind":"status","body":{"a":1}}',
        b'{"kind":"truncate","seconds":1}',
        b'{"kind":"drip","seconds":1,"jitter":2}',
        b'[{"kind":"reset"},{"kind":"nonsense"}]',
        b"[" + b",".join([b'{"kind":"reset"}'] * 300) + b"]",
    ],
)
async def test_what_is_no_fault_is_refused_and_nothing_changes(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession, body: bytes
) -> None:
    """400 with one message that names what is wrong, and of a list none is in force."""
    status, answer = await control(client, "POST", "/sim/faults", body)
    assert (status, set(answer)) == (400, {"error"})
    assert len(answer["error"]) < 600
    assert venue.faults.describe() == []
    async with client.get("/api/v3/time") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/sim/faults/9", None),
        ("DELETE", "/sim/faults/x", None),
        ("DELETE", "/sim/faults/%D9%A1", None),
        ("PUT", "/sim/faults", {"kind": "reset"}),
        ("GET", "/sim/requests?last=-1", None),
        ("GET", "/sim/requests?first=1", None),
        ("GET", "/sim/", None),
        ("POST", "/sim/bans", {}),
        ("POST", "/sim/bans", []),
        ("POST", "/sim/bans", {"address": "everyone"}),
        ("POST", "/sim/bans", {"address": 1}),
        ("POST", "/sim/bans", {"address": "127.0.0.1", "seconds": 0}),
        ("POST", "/sim/bans", {"address": "127.0.0.1", "seconds": "10"}),
        ("POST", "/sim/bans", {"address": "127.0.0.1", "until": 1}),
        ("DELETE", "/sim/bans", None),
    ],
)
async def test_other_mistakes_are_told_too(client: aiohttp.ClientSession, method: str, path: str, body: Any) -> None:
    """400 with a message."""
    status, answer = await control(client, method, path, body)
    assert (status, set(answer)) == (400, {"error"})


async def test_banned_address_is_refused_until_its_time_is_over(
    venue: sim.SimulatedVenue, client: aiohttp.ClientSession
) -> None:
    """418 with the seconds to wait, for this address alone; a pardon ends it at once."""
    assert await control(client, "POST", "/sim/bans", {"address": "127.0.0.1", "seconds": 30}) == (200, {"seconds": 30})
    async with client.get("/api/v3/time") as response:
        assert (response.status, response.headers["Retry-After"]) == (418, "30")
        assert "IP banned until" in await response.text()
    other = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
    async with (
        aiohttp.ClientSession(venue.url, connector=other) as elsewhere,
        elsewhere.get("/api/v3/time") as response,
    ):
        assert response.status == 200
    _, told = await control(client, "GET", "/sim/bans")
    assert told["bans"]["127.0.0.1"]["bans"] == 1
    assert await control(client, "DELETE", "/sim/bans/127.0.0.1") == (200, {"bans": {}})
    async with client.get("/api/v3/time") as response:
        assert response.status == 200
    _, log = await control(client, "GET", "/sim/log")
    assert (log["banned"], log["addresses"]["127.0.0.1"]["banned"], log["addresses"]["127.0.0.3"]["requests"]) == (
        1,
        1,
        1,
    )


async def test_log_tells_the_venues_truth(venue: sim.SimulatedVenue, client: aiohttp.ClientSession) -> None:
    """Requests, weight, orders by client id, faults; it can be cleared, and more of the newest asked for."""
    venue.faults.add("status", status=503, after=True, method="POST", count=1)
    async with client.post(order(venue, "x"), headers=key(venue)):
        pass
    for _ in range(120):
        async with client.get("/api/v3/time"):
            pass
    _, log = await control(client, "GET", "/sim/log")
    assert {name: log[name] for name in ("requests", "weight", "errors", "rejected", "orders", "faults")} == {
        "requests": 121,
        "weight": 121,
        "errors": 0,
        "rejected": 0,
        "orders": {"x": 1},
        "faults": {"status": 1},
    }
    _, asked = await control(client, "GET", "/sim/requests?last=1000")
    assert len(asked["last"]) == 121
    assert (asked["last"][0]["method"], asked["last"][0]["remote"]) == ("POST", "127.0.0.1")
    assert asked["last"][0]["received"] == pytest.approx(time.time(), abs=60)
    _, log = await control(client, "DELETE", "/sim/log")
    assert (log["requests"], log["orders"], log["addresses"]) == (0, {}, {})


async def test_control_can_be_switched_off() -> None:
    """Then its paths are unknown, as on the venue itself; in Python all is as before."""
    async with sim.SimulatedVenue(symbols=1, control=False) as venue, aiohttp.ClientSession(venue.url) as client:
        for path in ("/sim/log", "/sim/faults", "/sim/clock"):
            async with client.get(path) as response:
                assert response.status == 404
        venue.faults.add("status", status=500)
        async with client.get("/api/v3/time") as response:
            assert response.status == 500


@pytest.mark.parametrize(
    ("remote", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("", False),
        (None, False),
        ("x", False),
    ],
)
def test_only_this_machine_may_control(remote: str | None, *, allowed: bool) -> None:
    """Whatever else a future listener may let in."""
    assert may_control(remote) is allowed


async def test_addresses_of_others_are_kept_out(client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that is not of this machine gets 403 and changes nothing."""
    monkeypatch.setattr("tradeutils.sim.server.may_control", lambda _: False)
    assert (await control(client, "POST", "/sim/faults", {"kind": "reset"}))[0] == 403


def test_faults_cannot_be_more_than_a_few_hundred() -> None:
    """So that a loop that adds them fills no memory; one that is not there cannot be taken away."""
    faults = Faults()
    for _ in range(256):
        faults.add("reset", count=1)
    with pytest.raises(UsageError, match="256"):
        faults.add("reset")
    with pytest.raises(UnknownName):
        faults.remove(999)
    faults.clear()
    assert faults.describe() == []


async def test_skewed_clock_runs_and_judges_timestamps_by_itself() -> None:
    """A minute ahead of ours: what we sign by our own time is refused until ccxt has learnt the difference."""
    async with sim.SimulatedVenue(symbols=1, skew=60_000) as venue:
        assert venue.clock.now() == pytest.approx(time.time() * 1000 + 60_000, abs=5_000)
        async with ccxt.async_support.binance(
            {**_configuration(venue), "options": {"fetchCurrencies": False}}
        ) as exchange:
            with pytest.raises(ccxt.InvalidNonce, match="-1021"):
                await exchange.fetch_balance()
            await exchange.load_time_difference()
            assert (await exchange.fetch_balance())["total"]["USDT"] == 10_000
        venue.clock.step(120_000)
        assert venue.clock.speed == 1.0


@pytest.mark.parametrize(
    "options", [{"skew": 1.5}, {"skew": True}, {"skew": 10**12}, {"skew": 1, "speed": 1.0}, {"skew": 1, "now": 0}]
)
def test_skew_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    """Whole milliseconds up to a year, and no other word on the clock beside it."""
    with pytest.raises(UsageError, match="skew"):
        sim.SimulatedVenue(symbols=1, **options)


async def test_plain_ccxt_is_told_to_wait_and_banned() -> None:
    """Unmodified ccxt without a limiter runs into 429 and 418, and has one class of error for both."""
    limits = sim.Limits(weight=20, window=60.0, tolerated=2, ban=5.0)
    async with sim.SimulatedVenue(symbols=1, limits=limits) as venue:
        async with ccxt.async_support.binance(_configuration(venue)) as exchange:
            errors = []
            for _ in range(20):
                try:
                    await exchange.public_get_klines({"symbol": "BTCUSDT", "interval": "1m", "limit": 1})
                except ccxt.DDoSProtection as error:
                    errors.append(str(error))
        assert len(errors) == 10
        assert (venue.requests.rejected, venue.requests.banned) == (3, 7)
        assert "429" in errors[0]
        assert "banned until" in errors[-1]

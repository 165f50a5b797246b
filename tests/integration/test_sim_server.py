"""The simulated venue's server: real sockets, hostile clients, other processes, signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from tradeutils import sim
from tradeutils.errors import CandleFileError, DataError, UnknownName, UsageError
from tradeutils.model import Candles
from tradeutils.sim import arriving
from tradeutils.sim.usage import UsageMeter, Window

_START = 1_700_000_040_000


def _candles(count: int = 3, timeframe: str = "1m", length: int = 60_000) -> Candles:
    prices = np.full(count, 10.0)
    return Candles(
        timeframe=timeframe,
        time=_START // length * length + length * np.arange(count),
        open=prices,
        high=prices,
        low=prices,
        close=prices,
        volume=np.ones(count),
    )


def _write_csv(path: pathlib.Path, candles: Candles) -> None:
    columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
    rows = "\n".join(",".join(map(str, row)) for row in zip(*columns, strict=True))
    path.write_text(f"time,open,high,low,close,volume\n{rows}\n")


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A small generated venue with a frozen clock."""
    async with sim.SimulatedVenue(symbols=3) as venue:
        yield venue


async def _raw(venue: sim.SimulatedVenue, data: bytes, *, limit: float = 5.0) -> bytes:
    """Send bytes on a socket of their own and return all that comes back until the venue closes or falls silent."""
    host, port = venue.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(limit):
            while chunk := await reader.read(65_536):
                received += chunk
                if b"\r\n\r\n" in received and b"Connection: close" not in data:
                    break
    writer.close()
    return received


async def _alive(venue: sim.SimulatedVenue) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{venue.url}/api/v3/time") as response:
        return response.status == 200 and "serverTime" in await response.json()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rubbish\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /api/v3/time HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /api/v3/time HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\nHead er: \x00\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"\r\n" * 1000,
    ],
)
async def test_bytes_that_are_no_request_harm_nobody(
    venue: sim.SimulatedVenue, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Rubbish gets a 400 or a closed connection, no traceback in answer or log, and the next client is served."""
    answer = await _raw(venue, data, limit=0.3)
    assert b"Traceback" not in answer
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert caplog.records == []
    assert await _alive(venue)


@pytest.mark.parametrize(
    "target",
    [
        "/api/v3/klines?symbol=%ff%fe&interval=1m",
        "/%00",
        "/api/v3/../../etc/passwd",
        "/sim",
        "/api/v3/klines?&&&==&=",
        "/?" + "a=1&" * 500,
    ],
)
async def test_odd_targets_are_refused(venue: sim.SimulatedVenue, target: str) -> None:
    """Each has an answer with a status of the 400s."""
    answer = await _raw(venue, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 4")
    assert await _alive(venue)


@pytest.mark.parametrize("path", [b"/api/v3/order", b"/sim/clock"])
async def test_body_larger_than_any_venue_takes_is_refused(venue: sim.SimulatedVenue, path: bytes) -> None:
    """Ten megabytes are answered with 413 and the connection is closed; they are not kept."""
    size = 10_000_000
    answer = await _raw(
        venue, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, size) + b"x" * size
    )
    assert answer.startswith(b"HTTP/1.1 413")
    assert await _alive(venue)


async def test_body_that_never_comes_times_out(venue: sim.SimulatedVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that promises a body and stays silent gets Binance's timeout."""
    monkeypatch.setattr(arriving, "_BODY_SECONDS", 0.2)
    answer = await _raw(venue, b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"-1007" in answer
    assert await _alive(venue)


async def test_body_for_the_clock_that_never_comes_times_out(
    venue: sim.SimulatedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control path waits no longer than the venue does, and the clock stays as it is."""
    monkeypatch.setattr(arriving, "_BODY_SECONDS", 0.2)
    now = venue.clock.now()
    answer = await _raw(venue, b'POST /sim/clock HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"set":')
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'{"error":"the body did not come within 0.2 s"}' in answer
    assert venue.clock.now() == now


async def test_body_that_is_cut_short_is_no_error_of_ours(venue: sim.SimulatedVenue) -> None:
    """A client that leaves in the middle of its body leaves nothing behind."""
    host, port = venue.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=")
    await writer.drain()
    writer.transport.abort()
    assert await _alive(venue)


@pytest.mark.parametrize("path", [b"/api/v3/order", b"/sim/clock"])
async def test_body_that_is_not_compressed_as_it_says_is_refused(
    venue: sim.SimulatedVenue, caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    """Bytes that are not gzip under a gzip header are the client's fault."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n" % path
    answer = await _raw(venue, head + b"nope")
    assert answer.startswith(b"HTTP/1.1 400")
    assert caplog.records == []


@pytest.mark.parametrize(
    "sent", [[b""], [b"GET /ws/1 HTTP/1.1\r\nHost: x\r\nUpgr"], [b"G", b"ET", b" /", b"ws", b" H", b"TT", b"P/"]],
    ids=["nothing", "half a handshake", "letter by letter"],
)  # fmt: skip
async def test_a_connection_over_which_no_request_comes_is_ended(
    venue: sim.SimulatedVenue, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly its head comes; one that has asked for anything may be silent for as long as it likes."""
    monkeypatch.setattr(arriving, "_HEAD_SECONDS", 0.1)
    monkeypatch.setattr(arriving, "_LOOK_SECONDS", 0.02)
    await venue.close()
    await venue.start()
    host, port = venue.url.removeprefix("http://").split(":")
    asked, asker = await asyncio.open_connection(host, int(port))
    asker.write(b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await asked.readuntil(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in sent:
        writer.write(piece)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5.0):
        assert await reader.read() == b""
    asker.write(b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await asked.readuntil(b" OK\r\n")
    for one in (writer, asker):
        one.close()


async def test_many_idle_connections_do_not_stop_the_venue_from_closing() -> None:
    """Two hundred silent clients are dropped when it closes, at once."""
    async with sim.SimulatedVenue(symbols=1) as venue:
        host, port = venue.url.removeprefix("http://").split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        assert await _alive(venue)
    for _, writer in silent:
        writer.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await _alive(venue)


async def test_clock_is_set_from_other_processes(venue: sim.SimulatedVenue) -> None:
    """The control path tells and changes the time, and says what was asked of the venue."""
    async with aiohttp.ClientSession(venue.url) as session:

        async def control(body: Any) -> tuple[int, dict[str, Any]]:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            async with session.post("/sim/clock", data=data) as response:
                return response.status, await response.json()

        now = venue.clock.now()
        assert await control({"step": "1h"}) == (200, {"now": now + 3_600_000, "speed": 0.0})
        assert await control({"set": now}) == (200, {"now": now, "speed": 0.0})
        assert (await control({"speed": 2}))[1]["speed"] == 2
        for wrong in (
            {"step": -1},
            {"set": "noon"},
            {"jump": 1},
            {},
            {"set": 1, "step": 1},
            [1],
            b"{",
            b"\xff",
            {"speed": "x"},
        ):
            status, answer = await control(wrong)
            assert (status, set(answer)) == (400, {"error"})
        async with session.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1") as response:
            assert response.status == 200
        async with session.get("/api/v3/nothing") as response:
            assert response.status == 404
        async with session.get("/sim/requests") as response:
            asked = await response.json()
        async with session.get("/sim/nothing") as response:
            assert response.status == 400
    assert (asked["total"], asked["weight"], asked["errors"]) == (2, 2, 1)
    assert asked["paths"] == {"/api/v3/klines": 1, "unknown": 1}
    assert [one["path"] for one in asked["last"]] == ["/api/v3/klines", "/api/v3/nothing"]
    assert [one.status for one in venue.requests.last()] == [200, 404]
    venue.requests.clear()
    assert (venue.requests.total, venue.requests.last(), venue.requests.paths) == (0, [], {})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "::", ""])  # noqa: S104  # must be refused
def test_addresses_that_others_can_reach_are_refused(host: str) -> None:
    """Its keys are known to all, so it listens on loopback only."""
    with pytest.raises(UsageError, match="loopback"):
        sim.SimulatedVenue(host=host)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"venue": "binanse"}, UnknownName),
        ({"port": -1}, UsageError),
        ({"port": 70_000}, UsageError),
        ({"seed": "x"}, UsageError),
        ({"symbols": 0}, UsageError),
        ({"now": 5.5}, UsageError),
        ({"speed": -1}, UsageError),
        ({"candles": "no/such/folder"}, CandleFileError),
        ({"candles": {}}, UsageError),
        ({"exchange_info": b"not json"}, UsageError),
        ({"exchange_info": b"[]"}, DataError),
        ({"exchange_info": {"symbols": []}}, DataError),
    ],
)
def test_options_that_make_no_venue_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Nothing is opened, and the message names the option."""
    with pytest.raises(error):
        sim.SimulatedVenue(**options)


async def test_taken_port_is_refused(venue: sim.SimulatedVenue) -> None:
    """Two venues cannot share a port, nor can one be opened twice."""
    port = int(venue.url.rpartition(":")[2])
    with pytest.raises(UsageError, match="port was"):
        await sim.SimulatedVenue(port=port).start()
    with pytest.raises(UsageError, match="open already"):
        await venue.start()
    with pytest.raises(UsageError, match="port was"), sim.serve(port=port):
        pass


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
async def test_every_loopback_address_will_do(host: str) -> None:
    """By name, IPv6 and the other addresses of 127/8."""
    made = sim.SimulatedVenue(symbols=1, host=host)
    try:
        await made.start()
    except UsageError as error:
        if host == "::1" and not socket.has_ipv6:
            pytest.skip(f"no IPv6 here: {error}")
        raise
    assert await _alive(made)
    await made.close()
    await made.close()


async def test_folder_of_candle_files_becomes_the_markets(tmp_path: pathlib.Path) -> None:
    """Each file is a market, the finest of several wins, and the clock starts 30 s after the last candle."""
    _write_csv(tmp_path / "AAAUSDT-1m.csv", _candles())
    _write_csv(tmp_path / "AAAUSDT-1h.csv", _candles(timeframe="1h", length=3_600_000))
    _write_csv(tmp_path / "BBB_BTC-1h.csv", _candles(timeframe="1h", length=3_600_000))
    (tmp_path / "notes.txt").write_text("no candles")
    made = sim.SimulatedVenue(candles=tmp_path)
    assert sorted(made.market.instruments) == ["AAAUSDT", "BBBBTC"]
    assert made.market.frame("AAAUSDT").name == "1m"
    assert made.clock.now() == int(_candles(timeframe="1h", length=3_600_000).time[-1]) + 3_630_000


@pytest.mark.parametrize("name", ["prices.csv", "notes.txt"])
def test_folder_without_markets_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    """A candle file whose name tells no symbol, or a folder with none."""
    _write_csv(tmp_path / name, _candles())
    with pytest.raises(CandleFileError, match=r"tells no symbol|no candle files"):
        sim.SimulatedVenue(candles=tmp_path)


async def test_recorded_list_gives_replayed_markets_their_rules() -> None:
    """A market with candles takes its steps from the list; one without has no prices, and says so without failing."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00100000"},
        {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "100", "stepSize": "1.00000000"},
    ]
    rows = [
        {"symbol": f"{base}USDT", "baseAsset": base, "quoteAsset": "USDT", "status": "TRADING", "filters": filters}
        for base in ("AAA", "CCC")
    ]
    made = sim.SimulatedVenue(candles={"AAA/USDT": _candles()}, exchange_info={"symbols": rows})
    assert made.market.instruments["AAAUSDT"].price_decimals == 3
    async with made, aiohttp.ClientSession(made.url) as session:
        for path in (
            "ticker/24hr",
            "ticker/price",
            "ticker/bookTicker",
            "klines?interval=1m",
            "depth",
            "trades",
            "avgPrice",
        ):
            joint = "&" if "?" in path else "?"
            async with session.get(f"/api/v3/{path}{joint}symbol=CCCUSDT") as response:
                assert response.status == 200
                body = await response.text()
                assert "nan" not in body.lower()
        async with session.get("/api/v3/ticker/24hr") as response:
            assert [row["lastPrice"] for row in await response.json()] == ["10.00000000", "0.00000000"]


def test_served_venue_stops_with_its_block() -> None:
    """The thread ends, the port is free, also where the block fails."""
    ports = []

    def fail_inside() -> None:
        with sim.serve(symbols=1) as venue:
            ports.append(int(venue.url.rpartition(":")[2]))
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", ports[0]), 1):  # noqa: PT011  # any refusal will do
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simulated-")]


async def test_run_serves_until_it_is_cancelled() -> None:
    """The venue is handed to `on_ready` when it is open, its clock running, and is closed on the way out."""
    opened: asyncio.Future[sim.SimulatedVenue] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(sim.run(symbols=1, on_ready=opened.set_result))
    venue = await asyncio.wait_for(opened, 10)
    assert await _alive(venue)
    assert venue.clock.speed == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(aiohttp.ClientConnectionError):
        await _alive(venue)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    """A process that runs a venue exits with 0 and without a word on SIGINT and SIGTERM."""
    code = (
        "import asyncio, tradeutils.sim as s\n"
        "asyncio.run(s.run(symbols=2, on_ready=lambda venue: print(venue.url, flush=True)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(sim.__file__).parents[2])}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b"http://127.0.0.1:")
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (0, b"")


def test_two_thousand_markets_open_without_being_made() -> None:
    """Nothing of a market exists before it is asked for."""
    made = sim.SimulatedVenue(symbols=2_000)
    assert len(made.market.traded("spot")) == 2_000
    assert isinstance(made.market, sim.GeneratedMarket)
    assert len(made.market._minutes) == 0
    for name in list(made.market.instruments)[:40]:
        made.market.klines(name, "1m", made.clock.now(), limit=10_000)
    assert len(made.market._minutes) <= 1_024


async def test_requests_from_many_tasks_are_all_answered(venue: sim.SimulatedVenue) -> None:
    """Five hundred at once, each with its own answer, and every one of them counted."""
    async with aiohttp.ClientSession(venue.url) as session:

        async def ask(limit: int) -> int:
            async with session.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1m&limit={limit}") as response:
                return len(await response.json())

        limits = [1 + number % 50 for number in range(500)]
        assert await asyncio.gather(*map(ask, limits)) == limits
    assert venue.requests.total == 500
    assert venue.requests.weight == 1_000


def test_old_requests_are_forgotten() -> None:
    """The log keeps the newest and counts all; the meter keeps the owners that were last seen."""
    log = sim.RequestLog(kept=3)
    for number in range(10):
        log.add(sim.RequestRecord(number, "GET", "/x", 1, 200), "/x")
    assert [one.time for one in log.last()] == [7, 8, 9]
    assert [one.time for one in log.last(1)] == [9]
    assert (log.total, log.paths) == (10, {"/x": 10})


def test_usage_is_counted_in_spans_of_the_wall_clock() -> None:
    """A count starts anew with each span, per owner, and the number of owners is bounded."""
    now = [time.time() // 60 * 60]
    meter = UsageMeter(Window("1m", 10, 60), clock=lambda: now[0])
    assert meter.charge("a", 5) == {"1m": 5}
    assert meter.charge("a", 5) == {"1m": 10}
    assert meter.used("b") == {"1m": 0}
    now[0] += 60
    assert meter.used("a") == {"1m": 0}
    for number in range(5_000):
        meter.charge(f"owner {number}")
    assert len(meter._counts) <= 4_096

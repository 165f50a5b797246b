"""
The simulated venue: a real HTTP server on loopback.

One catch-all handler reads a request and hands it to the dialect of the venue; what else belongs on the way (faults,
limits) is aiohttp middleware.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tradeutils.errors import TradeutilsError, UnknownName, UsageError
from tradeutils.logs import get_logger
from tradeutils.model import Candles
from tradeutils.sim.binance import BinanceDialect, read_exchange_info
from tradeutils.sim.catalogue import generated_instruments
from tradeutils.sim.clock import VirtualClock
from tradeutils.sim.dialect import Call, Dialect, Reply, Venue
from tradeutils.sim.generate import GeneratedMarket
from tradeutils.sim.instruments import instruments_of_listing
from tradeutils.sim.ledger import DEFAULT_ACCOUNT, Ledger, SimulatedAccount
from tradeutils.sim.market import Market
from tradeutils.sim.replay import ReplayMarket, read_folder
from tradeutils.sim.usage import RequestLog, RequestRecord
from tradeutils.timeframe import Instant

__all__ = ["VENUES", "SimulatedVenue", "run", "serve"]

VENUES: Final = ("binance",)
"""The venues whose dialect is spoken."""

_MAX_BODY: Final = 1 << 20
_MAX_LINE: Final = 1 << 16  # a request for the tickers of 2000 symbols is 40 kB of address
_BODY_SECONDS: Final = 10.0
_START_SECONDS: Final = 60.0

ExchangeInfo = Mapping[str, Any] | bytes | str | os.PathLike[str]


class _OurFaultsOnly(logging.Filter):
    """Passes over what aiohttp says of requests that are not HTTP: they are answered, and are no fault of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


_LOG: Final = get_logger("sim")
_LOG.addFilter(_OurFaultsOnly())


class SimulatedVenue:
    """
    A venue that exists only here: ``async with SimulatedVenue() as venue: ... venue.url``.

    Parameters
    ----------
    venue : str
        Whose interface it speaks: ``"binance"`` (spot REST).
    symbols : int or sequence of str
        Of a generated market: how many symbols, or which.
    seed : int
        All that is made up depends on it: with a frozen clock, one seed and one request give one reply.
    candles : path or mapping of symbol to Candles, optional
        Replay these instead of generating: a folder of candle files (see `tradeutils.history.discover`), which are
        read at once and kept in memory, or candles at hand.
    now : int ms or aware datetime, optional
        What time it is on the venue. Default: 30 s after the end of the replayed candles, or
        2025-06-02 12:00:30 UTC.
    speed : float
        Seconds of the venue in a second of ours; 0 (default): the clock stands still until `clock` is stepped.
    strict_time : bool
        Judge the timestamps of signed requests by the venue's time alone; see `VirtualClock.freshness`.
    accounts : iterable of SimulatedAccount
        Who may sign requests.
    exchange_info : mapping, bytes or path, optional
        A recorded ``exchangeInfo`` reply: it is served as it is, and the markets in it are generated, or are the rules
        of those that are replayed.
    host, port : str, int
        Where it listens; port 0 takes a free one. Only loopback addresses.

    Attributes
    ----------
    url : str
        ``"http://127.0.0.1:PORT"`` while it is open.
    clock : VirtualClock
        Set it, step it, let it run; from any thread.
    requests : RequestLog
        What was asked.
    market, ledger :
        Where the prices and the balances come from; to be asked only from the thread that the venue runs in.

    Raises
    ------
    UnknownName : no such venue.
    UsageError : a host that is not loopback; parameters that do not fit together.
    CandleFileError : a candle file that cannot be read.
    """

    def __init__(
        self,
        venue: str = "binance",
        *,
        symbols: int | Sequence[str] = 50,
        seed: int = 7,
        candles: str | os.PathLike[str] | Mapping[str, Candles] | None = None,
        now: Instant | None = None,
        speed: float = 0.0,
        strict_time: bool = False,
        accounts: Iterable[SimulatedAccount] = (DEFAULT_ACCOUNT,),
        exchange_info: ExchangeInfo | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if venue not in VENUES:
            raise UnknownName("venue", venue, VENUES, where="the simulated venue")
        self._host, self._port = _checked_address(host, port)
        listing = None if exchange_info is None else read_exchange_info(exchange_info)
        self.name = venue
        self.market = _market(symbols, seed, candles, listing)
        self.clock = VirtualClock(self.market.now if now is None else now, speed=speed, strict=strict_time)
        self.accounts = tuple(accounts)
        self.ledger = Ledger(self.market, self.accounts)
        self.requests = RequestLog()
        state = Venue(self.market, self.clock, self.ledger)
        self._dialect: Dialect = BinanceDialect(state, exchange_info=listing)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> SimulatedVenue:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> str:
        """
        Listen, and return the URL.

        Raises
        ------
        UsageError : the port is taken, or this venue is open already.
        """
        if self._runner is not None:
            raise UsageError(f"this venue is open already, at {self.url}; make another one")
        application = web.Application()
        application.router.add_route("*", "/sim/{what:.*}", self._control)
        application.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(
            application,
            logger=_LOG,
            access_log=None,
            handle_signals=False,
            max_line_size=_MAX_LINE,
            shutdown_timeout=0.2,
            # How long the rest of a body that is too large or too slow is read and dropped, so that its sender
            # reads the answer instead of a reset connection.
            lingering_time=2.0,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, backlog=1024)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise UsageError(
                f"port was {self._port}; {self._host} cannot listen there ({error.strerror}); 0 takes a free port"
            ) from error
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self.url

    async def close(self) -> None:
        """Stop listening and drop the connections; closing twice is no error."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        """Read a request whatever it is, and send what the dialect answers."""
        path, _, query = request.raw_path.partition("?")
        try:
            body = await _read_body(request)
        except _BadBodyError as bad:
            reply = self._dialect.refuse(bad.status)
        else:
            headers = {name.lower(): value for name, value in request.headers.items()}
            call = Call(request.method, path, query, body, headers, request.remote or "")
            reply = self._dialect.respond(call)
        self._log(request.method, path, reply)
        response = web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))
        response.headers["Content-Type"] = reply.content_type
        response.headers["Date"] = formatdate(self.clock.now() / 1000, usegmt=True)
        return response

    def _log(self, method: str, path: str, reply: Reply) -> None:
        record = RequestRecord(self.clock.now(), method, path[:256], reply.weight, reply.status)
        self.requests.add(record, reply.route)

    async def _control(self, request: web.Request) -> web.Response:
        """
        Answer what other processes ask of the venue itself, under a path that no venue has.

        ``GET /sim/clock`` tells the time; ``POST /sim/clock`` with ``{"set": ms}``, ``{"step": "1m"}`` or
        ``{"speed": 1}`` changes it; ``GET /sim/requests`` tells what was asked.
        """
        try:
            body = await _read_body(request)
            answer, status = self._controlled(request.method, request.match_info["what"], body), 200
        except _BadBodyError as bad:
            answer, status = {"error": str(bad)}, bad.status
        except (TradeutilsError, orjson.JSONDecodeError) as error:
            answer, status = {"error": str(error)}, 400
        return web.Response(status=status, body=orjson.dumps(answer), content_type="application/json")

    def _controlled(self, method: str, what: str, body: bytes) -> dict[str, Any]:
        if (method, what) == ("POST", "clock"):
            wanted = orjson.loads(body)
            actions: dict[str, Callable[[Any], Any]] = {
                "set": self.clock.set, "step": self.clock.step, "speed": self.clock.run,
            }  # fmt: skip
            if not isinstance(wanted, dict) or len(wanted) != 1 or not wanted.keys() <= actions.keys():
                raise UsageError('send one of {"set": ms}, {"step": "1m"} and {"speed": 1}')
            for name, value in wanted.items():
                actions[name](value)
        elif method != "GET" or what not in ("clock", "requests"):
            raise UsageError(f"there is no {method} /sim/{what[:64]}; there are GET and POST clock, and GET requests")
        if what == "clock":
            return {"now": self.clock.now(), "speed": self.clock.speed}
        log = self.requests
        last = [{name: getattr(one, name) for name in one.__slots__} for one in log.last()]
        return {
            "total": log.total, "weight": log.weight, "errors": log.errors, "paths": log.paths, "last": last
        }  # fmt: skip


class _BadBodyError(Exception):
    """A body that cannot be had; ``status`` is the answer to it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def _read_body(request: web.Request) -> bytes:
    """Return the body, or raise `_BadBodyError` where it is too slow, too large or not what it says."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > _MAX_BODY:
                    raise _BadBodyError(413, f"the body is longer than {_MAX_BODY:,} bytes")
    except TimeoutError:
        raise _BadBodyError(408, f"the body did not come within {_BODY_SECONDS:g} s") from None
    except web.RequestPayloadError:
        raise _BadBodyError(400, "the body was cut short, or is not compressed as it says") from None
    return bytes(body)


def _checked_address(host: str, port: int) -> tuple[str, int]:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"host was {host!r}; the simulated venue listens on loopback only, as its keys are known to all: "
            "127.0.0.1, ::1 or localhost"
        )
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise UsageError(f"port was {port!r}; give one from 1 to 65535, or 0 for a free one")
    return ("127.0.0.1" if host == "localhost" else host), port


def _market(
    symbols: int | Sequence[str],
    seed: int,
    candles: str | os.PathLike[str] | Mapping[str, Candles] | None,
    listing: bytes | None,
) -> Market:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError(f"seed was {seed!r}; give a whole number")
    listed = None if listing is None else instruments_of_listing(_parsed(listing))
    if candles is None:
        return GeneratedMarket(generated_instruments(symbols) if listed is None else listed, seed=seed)
    given = candles if isinstance(candles, Mapping) else read_folder(candles)
    return ReplayMarket(given, instruments=listed, seed=seed)


def _parsed(listing: bytes) -> Mapping[str, Any]:
    try:
        parsed = orjson.loads(listing)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"exchange_info is not JSON: {error}") from error
    return parsed if isinstance(parsed, dict) else {}


@contextlib.contextmanager
def serve(venue: str = "binance", **options: Any) -> Iterator[SimulatedVenue]:
    """
    Run a venue in a thread of its own: ``with serve(symbols=10) as venue: ... venue.url, venue.clock.step("1m")``.

    Parameters
    ----------
    venue, **options :
        As of `SimulatedVenue`.

    Yields
    ------
    SimulatedVenue : open; ``url``, ``clock`` and ``requests`` may be used from any thread.

    Raises
    ------
    As `SimulatedVenue` does.
    """
    made = SimulatedVenue(venue, **options)
    ready = threading.Event()
    failure: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def live() -> None:
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(finished.set))
        async with made:
            ready.set()
            await finished.wait()

    def work() -> None:
        try:
            asyncio.run(live())
        except TradeutilsError as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name=f"simulated-{venue}", daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise UsageError(f"the simulated venue did not start in {_START_SECONDS:.0f} s")
    if failure:
        raise failure[0]
    try:
        yield made
    finally:
        stop[0]()
        thread.join(_START_SECONDS)


async def run(
    venue: str = "binance", *, on_ready: Callable[[SimulatedVenue], None] | None = None, **options: Any
) -> None:
    """
    Serve until cancelled, or until SIGINT or SIGTERM.

    Parameters
    ----------
    on_ready : callable, optional
        Called once with the open venue, to tell its URL.
    venue, **options :
        As of `SimulatedVenue`; the clock runs (``speed=1``) unless told otherwise.

    Raises
    ------
    As `SimulatedVenue` does.
    """
    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    async with SimulatedVenue(venue, **{"speed": 1.0, **options}) as made:
        handled = []
        # Only the main thread may handle signals, and only on Unix through the loop.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, finished.set)
                handled.append(number)
        try:
            if on_ready is not None:
                on_ready(made)
            await finished.wait()
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

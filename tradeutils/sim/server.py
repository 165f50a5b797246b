"""
The simulated venue: a real HTTP and websocket server on loopback.

One catch-all handler reads a request and hands it to the dialect of the venue; one that wants a websocket is handed to
its feeds.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tradeutils.errors import UnknownName, UsageError
from tradeutils.logs import get_logger
from tradeutils.model import Candles
from tradeutils.sim.arriving import BadBodyError, Doorkeeper, read_body
from tradeutils.sim.binance import BinanceDialect, read_exchange_info
from tradeutils.sim.bybit import BybitDialect
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.clock import VirtualClock
from tradeutils.sim.control import Control, may_control
from tradeutils.sim.delivery import UNSEEN, deliver
from tradeutils.sim.dialect import Call, Dialect, Reply, Venue
from tradeutils.sim.faults import Faults, Strike
from tradeutils.sim.feeds.faults import FeedFaults
from tradeutils.sim.feeds.log import FeedLog
from tradeutils.sim.feeds.recorded import RecordedFeeds
from tradeutils.sim.feeds.server import FeedServer, is_upgrade
from tradeutils.sim.generate import GeneratedMarket
from tradeutils.sim.instruments import instruments_of_listing
from tradeutils.sim.kraken import KrakenDialect
from tradeutils.sim.ledger import DEFAULT_ACCOUNT, Ledger, SimulatedAccount
from tradeutils.sim.limits import Gate, Limits
from tradeutils.sim.market import Market
from tradeutils.sim.okx import OkxDialect
from tradeutils.sim.replay import ReplayMarket, read_folder
from tradeutils.sim.usage import RequestLog, RequestRecord
from tradeutils.timeframe import Instant

__all__ = ["VENUES", "SimulatedVenue"]

_DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "binance": BinanceDialect,
    "bybit": BybitDialect,
    "kraken": KrakenDialect,
    "okx": OkxDialect,
}
VENUES: Final = tuple(_DIALECTS)
"""The venues whose dialect is spoken."""

_DEFAULT_SWAPS: Final = 10

_MAX_LINE: Final = 1 << 16  # a request for the tickers of 2000 symbols is 40 kB of address
_KEPT_SECONDS: Final = 75.0  # a connection over which nothing more is asked

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
        Whose REST interface it speaks, one of `VENUES`: ``"binance"`` (spot and USD-M), ``"bybit"`` and
        ``"okx"`` (spot and linear), ``"kraken"`` (spot).
    symbols : int or sequence of str
        Of a generated market: how many spot symbols, or which.
    linear : int or sequence of str, optional
        Of a generated market: how many linear perpetual swaps, or which: ``["BTC/USDT:USDT"]``, short
        ``["BTC/USDT"]``. Default: 10, or ``symbols`` where that is less; none where symbols are named, where markets
        are listed by ``exchange_info``, and in a dialect that has no swaps.
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
    skew : int, optional
        Instead of the three before: the venue's clock runs with this machine's, so many ms ahead of it (behind,
        where negative), and timestamps are judged by it alone.
    accounts : iterable of SimulatedAccount
        Who may sign requests.
    exchange_info : mapping, bytes or path, optional
        A recorded ``exchangeInfo`` reply of Binance: it is served as it is, and the markets in it are generated, or
        are the rules of those that are replayed.
    limits : Limits, optional
        What an address may ask and an account may order. Default: the venue's own figures.
    pulse : float
        Seconds of real time after which feeds tell what is new; they do so at once when the clock is set or stepped,
        and of accounts after an order.
    recorded : RecordedFeeds, optional
        A recorded session, served in place of the venue's own feeds.
    control : bool
        Answer ``/sim/...``, by which other processes on this machine step the clock, read the log and make faults;
        see `tradeutils.sim.control`.
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
    faults : Faults
        What goes wrong with requests; to be changed from any thread.
    feeds : FeedLog
        Who is connected by websocket, and how many messages were sent of what.
    feed_faults : FeedFaults
        What goes wrong with websockets; to be changed from any thread.
    gate : Gate
        Who asked too much; to be asked only from the thread that the venue runs in, or by ``/sim/bans``.
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
        linear: int | Sequence[str] | None = None,
        seed: int = 7,
        candles: str | os.PathLike[str] | Mapping[str, Candles] | None = None,
        now: Instant | None = None,
        speed: float = 0.0,
        strict_time: bool = False,
        skew: int | None = None,
        accounts: Iterable[SimulatedAccount] = (DEFAULT_ACCOUNT,),
        exchange_info: ExchangeInfo | None = None,
        limits: Limits | None = None,
        pulse: float = 0.1,
        recorded: RecordedFeeds | None = None,
        control: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if venue not in VENUES:
            raise UnknownName("venue", venue, VENUES, where="the simulated venue")
        self._host, self._port = _checked_address(host, port)
        listing = None if exchange_info is None else read_exchange_info(exchange_info)
        self.name = venue
        if linear is None:
            most = _DEFAULT_SWAPS if listing is None and _DIALECTS[venue].linear else 0
            linear = min(most, symbols) if isinstance(symbols, int) else 0
        self.market = _market(symbols, linear, seed, candles, listing)
        if skew is None:
            self.clock = VirtualClock(self.market.now if now is None else now, speed=speed, strict=strict_time)
        else:
            if now is not None or speed or strict_time:
                raise UsageError(f"skew was {skew!r}, with now, speed or strict_time; a skewed clock has none of these")
            self.clock = VirtualClock.skewed(skew)
        self.accounts = tuple(accounts)
        _check_wallets(venue, self.accounts)
        self.ledger = Ledger(self.market, self.accounts, own_swap="swap" in _DIALECTS[venue].wallets)
        self.requests = RequestLog()
        self.faults = Faults()
        self.gate = Gate(Limits.of(venue) if limits is None else limits)
        self._controlled = control
        told = Venue(self.market, self.clock, self.ledger, self.gate, listing)
        spoken = _DIALECTS[venue]
        self._dialect, self._recorded = spoken(told), recorded
        self._feeds = FeedServer(told, spoken.feeds(told, told.keys) if recorded is None else recorded, pulse)
        self._desk = Control(self.clock, self.requests, self.faults, self.gate, self._feeds)
        self._runner: web.AppRunner | None = None
        self._doorkeeper = Doorkeeper()
        self.url = ""

    @property
    def feeds(self) -> FeedLog:
        """Who is connected by websocket, and what was sent; safe to read from any thread."""
        return self._feeds.log

    @property
    def feed_faults(self) -> FeedFaults:
        """What goes wrong with websockets; to be changed from any thread."""
        return self._feeds.faults

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
            keepalive_timeout=_KEPT_SECONDS,
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
        self._doorkeeper.watch(runner)
        self._feeds.open()
        host, port = runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self.url

    async def close(self) -> None:
        """Stop listening and drop the connections; closing twice is no error."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._doorkeeper.close()
            await self._feeds.close()
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Read a request whatever it is, and send what the dialect answers, or what a fault makes of it."""
        self._doorkeeper.hear(request)
        path, _, query = request.raw_path.partition("?")
        received = time.time()
        strike = self.faults.strike(request.method, path)
        if strike.before:
            await asyncio.sleep(strike.before)
        if is_upgrade(request) and strike.fault is None:
            admitted = self._feeds.admit(request, _call_of(request, path, query, b""))
            if not isinstance(admitted, Reply):
                self._log(request, path, Reply(101, b"", route="websocket"), strike, received)
                return await self._feeds.serve(request, admitted)
            reply = admitted
        else:
            reply = await self._answer(request, path, query) if strike.processed else UNSEEN
        self._log(request, path, reply, strike, received)
        if strike.after:
            await asyncio.sleep(strike.after)
        date = formatdate(self.clock.now() / 1000, usegmt=True)
        return await deliver(request, reply, strike, {"Date": date})

    async def _answer(self, request: web.Request, path: str, query: str) -> Reply:
        try:
            body = await read_body(request)
        except BadBodyError as bad:
            return self._dialect.refuse(bad.status)
        call = _call_of(request, path, query, body)
        told = None if self._recorded is None else self._recorded.respond(call)
        reply = self._dialect.respond(call) if told is None else told
        if request.method != "GET":
            self._feeds.ordered()
        return reply

    def _log(self, request: web.Request, path: str, reply: Reply, strike: Strike, received: float) -> None:
        record = RequestRecord(
            time=self.clock.now(),
            method=request.method,
            path=path[:256],
            weight=reply.weight,
            status=reply.status,
            remote=request.remote or "",
            received=received,
            fault=strike.name,
        )
        self.requests.add(record, reply.route, order=reply.order, limited=reply.limited)

    async def _control(self, request: web.Request) -> web.StreamResponse:
        """Answer what is asked of the venue itself; where that is switched off, as of any path it does not know."""
        if not self._controlled:
            return await self._serve(request)
        self._doorkeeper.hear(request)
        if not may_control(request.remote):
            status, answer = 403, {"error": "only this machine may control the simulated venue"}
        else:
            try:
                body = await read_body(request)
            except BadBodyError as bad:
                status, answer = bad.status, {"error": str(bad)}
            else:
                what, query = request.match_info["what"], request.query_string
                status, answer = self._desk.respond(request.method, what, query, body)
        return web.Response(status=status, body=orjson.dumps(answer), content_type="application/json")


def _call_of(request: web.Request, path: str, query: str, body: bytes) -> Call:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.method, path, query, body, headers, request.remote or "")


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


def _check_wallets(venue: str, accounts: Iterable[SimulatedAccount]) -> None:
    offered = _DIALECTS[venue].wallets
    for account in accounts:
        named = {*getattr(account, "wallets", ()), *(["margin"] if getattr(account, "borrowed", ()) else [])}
        for wallet in sorted(named.difference(offered)):
            raise UnknownName("wallet", wallet, offered, where=venue)


def _market(
    symbols: int | Sequence[str],
    linear: int | Sequence[str],
    seed: int,
    candles: str | os.PathLike[str] | Mapping[str, Candles] | None,
    listing: bytes | None,
) -> Market:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError(f"seed was {seed!r}; give a whole number")
    listed = None if listing is None else instruments_of_listing(_parsed(listing))
    if candles is None:
        spot = generated_instruments(symbols) if listed is None else listed
        return GeneratedMarket([*spot, *generated_swaps(linear)], seed=seed)
    given = candles if isinstance(candles, Mapping) else read_folder(candles)
    return ReplayMarket(given, instruments=listed, seed=seed)


def _parsed(listing: bytes) -> Mapping[str, Any]:
    try:
        parsed = orjson.loads(listing)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"exchange_info is not JSON: {error}") from error
    return parsed if isinstance(parsed, dict) else {}

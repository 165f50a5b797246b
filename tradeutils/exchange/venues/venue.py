"""A venue through ccxt: the one file that imports it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import SplitResult

from tradeutils import errors, logs
from tradeutils import timeframe as _timeframe
from tradeutils.budget.base import Budget, Window
from tradeutils.budget.limits import limits_of
from tradeutils.cache import Cache
from tradeutils.exchange.market_tables import MarketTable
from tradeutils.exchange.requests.calls import Call, current_request
from tradeutils.exchange.requests.clock import VenueClock
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.requests.endpoints import Origins, parse_target, redirect
from tradeutils.exchange.requests.metering import Meter
from tradeutils.exchange.requests.nonces import Nonces
from tradeutils.exchange.requests.retry import Patience
from tradeutils.exchange.requests.sessions import Session
from tradeutils.exchange.requests.timekeeping import Timekeeper
from tradeutils.exchange.streams.ends import Opened
from tradeutils.exchange.streams.placing import Lines
from tradeutils.exchange.streams.pool import Pool
from tradeutils.exchange.together import Together
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.balances import CcxtBalances
from tradeutils.exchange.venues.configuration import (
    account_digest,
    credentials_of,
    defaults_of,
    origin_of,
    own_options_of,
)
from tradeutils.exchange.venues.corrections import correct
from tradeutils.exchange.venues.listing import Listing, parts_of
from tradeutils.exchange.venues.orders import CcxtOrders
from tradeutils.exchange.venues.precision import with_precision
from tradeutils.exchange.venues.streams import open_line
from tradeutils.model import Market
from tradeutils.settings import Account, ExchangeSettings
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtVenue", "venue_names"]

_log = logs.get_logger("exchange")

_WELL_KNOWN: Final = (
    "binance", "bybit", "okx", "bitget", "gate", "kucoin", "kraken", "krakenfutures", "coinbase", "htx", "mexc",
    "bitfinex", "hyperliquid", "deribit",
)  # fmt: skip
_SLOWEST_MS: Final = 2000.0  # between requests, of a class of ccxt that names no figure
_FORMAT: Final = 1  # of market tables in the cache

# What every instance of a class is made with anew and none changes: 208 of the 245 KB of a Binance instance.
_FIXED: Final = ("api", "exceptions")
_of_class: Final[dict[type, dict[str, Any]]] = {}


def venue_names() -> list[str]:
    """Return every venue that can be opened. Imports ccxt: about 0.5 s the first time."""
    import ccxt.async_support

    return list(ccxt.async_support.exchanges)


@functools.cache
def _offering(feature: str) -> tuple[str, ...]:
    """Return the well-known venues that offer something: 1.6 ms for each, once; nothing is sent."""
    import ccxt.async_support

    known = set(ccxt.async_support.exchanges).intersection(_WELL_KNOWN)
    return tuple(name for name in _WELL_KNOWN if name in known and _offers(name, feature))


@functools.cache
def _offering_streams(feature: str) -> tuple[str, ...]:
    """Return the well-known venues that stream something; nothing is sent."""
    import ccxt.pro

    known = [name for name in _WELL_KNOWN if name in ccxt.pro.exchanges]
    return tuple(name for name in known if getattr(ccxt.pro, name)().has.get(feature))


@functools.cache
def _streams(name: str, feature: str) -> bool:
    """Tell whether ccxt streams something from a venue; 20 ms for each, once, and nothing is sent."""
    import ccxt.pro

    return name in ccxt.pro.exchanges and bool(correct(getattr(ccxt.pro, name)()).has.get(feature))


def _offers(name: str, feature: str) -> bool:
    import ccxt.async_support

    return bool(correct(getattr(ccxt.async_support, name)()).has.get(feature))


def _check_name(name: object) -> None:
    known = venue_names()
    if not isinstance(name, str) or name not in known:
        raise errors.UnknownName("venue", name, known, where="ccxt")


def _open_ccxt(name: str, config: dict[str, Any]) -> Any:
    import ccxt.async_support

    return _shared_parts(correct(getattr(ccxt.async_support, name)(config)))


def _open_ccxt_pro(name: str, config: dict[str, Any]) -> Any:
    """Return an instance of a class with websockets. Imports them all: about 0.4 s the first time."""
    import ccxt.pro

    if name not in ccxt.pro.exchanges:
        others = tuple(one for one in _WELL_KNOWN if one in ccxt.pro.exchanges)
        raise errors.NotSupportedByVenue("ccxt has no websockets here", alternatives=others, venue=name)
    return _shared_parts(correct(getattr(ccxt.pro, name)(config)))


def _shared_parts(opened: Any) -> Any:
    shared = _of_class.setdefault(type(opened), {one: getattr(opened, one) for one in _FIXED})
    for one in _FIXED:
        setattr(opened, one, shared[one])
    return opened


def _ccxt_version() -> str:
    import ccxt

    return str(ccxt.__version__)


@dataclass(frozen=True, slots=True, eq=False)
class _Recipe:
    """How an instance of a venue's class is made and connected, for whichever account, or for none."""

    name: str
    options: Mapping[str, Any]
    sandbox: bool
    target: SplitResult | None
    settings: ExchangeSettings
    windows: Sequence[Window] | None
    patience: Patience
    info: bool

    @property
    def host(self) -> str | None:
        return self.target.netloc if self.target else None

    @property
    def origin(self) -> str:
        return origin_of(self.name, self.host, self.sandbox, self.options)

    def open(self, account: Account | None, *, streams: bool = False) -> Any:
        """Return an instance of ccxt's class; ``streams``: of the one with websockets."""
        config: dict[str, Any] = {
            # Figures arrive as the venue wrote them; see parse. Not str: some of ccxt's classes sort a book by what
            # they parsed, and "99" comes after "100". Of public streams they become floats sooner or later, and a
            # ticker of Decimals takes a third longer.
            "number": float if streams and account is None else Decimal,
            "timeout": int(self.settings.timeout * 1000),
            "options": {**defaults_of(self.name), **self.options},
        }
        if account is not None:
            logs.protect(*account.secrets())  # from here on they can stand in ccxt's own messages
            config |= credentials_of(account)
        opened = _open_ccxt_pro(self.name, config) if streams else _open_ccxt(self.name, config)
        opened.safe_string = _text_of
        opened.logger = logs.get_logger("exchange.ccxt")  # its own would write keys and signed URLs at DEBUG
        if self.sandbox:
            _enter_sandbox(opened)  # its keys must not reach the real venue
        if self.target is not None:
            _move(opened, self.target, sockets=not streams)  # ccxt's classes read what a stream is from its address
        return opened

    def connect(
        self, opened: Any, account: Account | None, budget: Budget, session: Session, clock: VenueClock
    ) -> tuple[Connection, bool]:
        """Return a connection, and whether its signatures carry the time."""
        digest = account_digest(account)
        limits = limits_of(
            self.name,
            ccxt_rate_limit_ms=float(opened.rateLimit or _SLOWEST_MS),
            rate_limit_ms=self.settings.rate_limit_ms,
            windows=self.windows
            or [Window(one.name, one.limit, one.seconds, one.scope) for one in self.settings.windows],
            tier=self.settings.tier,
            host=self.host or ("sandbox" if self.sandbox else None),
        )
        nonces = Nonces(opened, budget, digest)
        connection = Connection(
            opened,
            session=session,
            target=self.target,
            clock=clock,
            meter=Meter(budget, self.name, limits, digest, patience=self.patience.deadline),
            nonces=nonces,
            patience=self.patience,
        )
        connection.info = self.info
        return connection, account is not None and not nonces.wanted


class _CcxtLister:
    """Asks a venue what it lists, through a connection that it ends with where ``owns``."""

    def __init__(self, connection: Connection, *, info: bool, owns: bool) -> None:
        self._connection = connection
        self._info = info
        self._owns = owns
        self._before = copy.deepcopy(connection.ccxt.options)  # a second load finds there what the first has left
        self._asking = asyncio.Lock()  # ccxt has all who load await one task: who is cancelled takes it along

    async def fetch_listing(self) -> Listing:
        async def work(_: Call) -> Listing:
            asked = time.time()
            await self._connection.load_own_markets()
            parts = parts_of(self._connection.ccxt, self._before, info=self._info)
            return Listing.of(parts, asked, self.market)

        async with self._asking:
            found = await self._connection.read("load_markets", work)
        found.give(self._connection.ccxt)  # instead of what it made by itself
        return found

    def market(self, entry: Mapping[str, Any]) -> Market:
        opened = self._connection.ccxt
        made = parse.market(entry, opened.precisionMode, info=self._info)
        return with_precision(made, entry, opened.precisionMode, self._connection.name)

    async def aclose(self) -> None:
        if self._owns:
            await self._connection.aclose()


class CcxtVenue(CcxtBalances):
    """
    One exchange through ccxt's own class, unmodified: its routes, signatures and parsers.

    Parameters
    ----------
    name : str
        ccxt's id of the venue.
    budget : callable
        Returns the `Budget` that pays for every request; called once, and only if nothing else is wrong.
    windows : sequence of Window or None
        Instead of those of the settings.
    account : Account or None
        Whose keys sign private requests.
    url : str or None
        Scheme and host that every endpoint is moved to; requests to any other host are refused.
    settings : ExchangeSettings or None
        Timeout, limits and ccxt's options of this venue.
    patience : Patience or None
        How often reads are made again; ``None``: `Patience`'s own figures.
    info : bool
        Whether values keep what the venue itself sent.
    together : Together or None
        What it shares with others, who close it; ``None``: it shares nothing.
    cache : Cache or None
        Where the market table is looked for and left, where nothing is shared.

    Raises
    ------
    UnknownName : ccxt has no such venue.
    UsageError : ``url`` is not a scheme and a host; ``account`` belongs to another venue.
    NotSupportedByVenue : ``account`` is of a sandbox, and the venue has none.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: Callable[[], Budget],
        windows: Sequence[Window] | None = None,
        account: Account | None = None,
        url: str | None = None,
        settings: ExchangeSettings | None = None,
        patience: Patience | None = None,
        info: bool = False,
        together: Together | None = None,
        cache: Cache | None = None,
    ) -> None:
        _check_name(name)
        own = settings or ExchangeSettings()
        recipe = _Recipe(
            name=name,
            options=own_options_of(name, account, own.options),
            sandbox=account is not None and account.sandbox,
            target=None if url is None else parse_target(url),
            settings=own,
            windows=windows,
            patience=patience or Patience(),
            info=info,
        )
        opened = recipe.open(account)
        paying = budget()
        shared = together or Together(cache)
        self._own = shared if together is None else None
        self._origin = recipe.origin
        self._account = account
        self._info = info

        def lister() -> _CcxtLister:
            if account is None and together is None:
                return _CcxtLister(self._connection, info=info, owns=False)
            # Of its own, which knows no keys and ends with the last who shares it.
            nobody, _ = recipe.connect(recipe.open(None), None, paying, shared.session, shared_origin.clock)
            return _CcxtLister(nobody, info=info, owns=True)

        def pool(table: MarketTable, clock: VenueClock) -> Pool:
            # Made of what outlives this exchange, which may be closed before others that share it.
            def open_public() -> Awaitable[Opened]:
                nobody, _ = recipe.connect(recipe.open(None, streams=True), None, paying, shared.session, clock)
                return open_line(nobody, table.get, shared.sockets, recipe.target, _offering_streams)

            return Pool(name, open_public)

        key = f"{self._origin}{'+info' if info else ''}:markets:{_FORMAT}:{_ccxt_version()}"
        shared_origin = shared.origin(key, lister, pool, cached=not info)
        connection, signs = recipe.connect(opened, account, paying, shared.session, shared_origin.clock)
        connection.list_markets = self._list
        self._table = shared_origin.table
        self._listing: Listing | None = None
        self._private = MarketTable(key, lambda: _CcxtLister(connection, info=info, owns=False), None)
        keeper = Timekeeper(connection, signs=signs, asking=shared_origin.asking)
        super().__init__(connection, keeper, _timeframes(opened.timeframes or {}), account.name if account else None)
        self._orders = CcxtOrders(connection, keeper)

        def open_private() -> Awaitable[Opened]:
            own = recipe.open(account, streams=True)
            mine, _ = recipe.connect(own, account, paying, shared.session, shared_origin.clock)
            settling = Timekeeper(mine, signs=signs, asking=shared_origin.asking)
            return open_line(mine, self._listed_now, shared.sockets, recipe.target, _offering_streams, settling)

        self._lines = Lines(name, shared_origin.pool, None if account is None else Pool(name, open_private))

    @property
    def lines(self) -> Lines:
        """Where what it streams is placed: the account's own, and those of the venue."""
        return self._lines

    def now(self) -> int:
        """Return the venue's time as far as it is known, ms UTC; nothing is asked."""
        return self._connection.clock.at(VenueClock.monotonic())

    def streams(self, feature: str) -> bool:
        return _streams(self.name, feature)

    def streaming(self, feature: str) -> Sequence[str]:
        return _offering_streams(feature)

    async def _listed_now(self) -> Listing:
        await self.load_markets()
        if self._listing is None:
            raise errors.BadReply("listed nothing", venue=self.name, operation="load_markets")
        return self._listing

    @property
    def origin(self) -> str:
        return f"{self._origin}+info" if self._info else self._origin  # one is never served with the other's answers

    def offering(self, feature: str) -> Sequence[str]:
        return _offering(feature)

    @property
    def orders(self) -> CcxtOrders:
        return self._orders

    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]:
        return await self._listed(self._table.reload if reload else self._table.get)

    async def look_again(self) -> Mapping[str, Market]:
        return await self._listed(self._table.look_again)

    async def _list(self, reload: bool) -> None:
        await self.load_markets(reload=reload)

    async def _listed(self, ask: Callable[[], Awaitable[Listing]]) -> Mapping[str, Market]:
        """Return the markets of the shared table, once this instance of ccxt has the same."""
        self._connection.check_usable("load_markets")
        try:
            found = await ask()
        except errors.AuthenticationFailed:
            if self._account is None or self._table is self._private:
                raise
            # Some venues show their markets to accounts only: to this one, then, and to nobody else.
            _log.info(
                "%s lists its markets for accounts only; %s keeps a table of its own", self.name, self._account.name
            )
            self._table = self._private
            found = await self._private.get()
        if found is not self._listing:
            found.give(self._ccxt)
            self._listing = found
        return found.markets

    async def aclose(self) -> None:
        """End what is under way, and close the connections but for those that are shared. Safe to call twice."""
        async with contextlib.AsyncExitStack() as stack:  # whatever fails, the rest is closed; the last in first
            if self._own is not None:
                stack.push_async_callback(self._own.aclose)
            stack.push_async_callback(self._private.aclose)
            stack.push_async_callback(self._connection.aclose)
            await self._lines.aclose()


def _text_of(container: Any, key: Any, default: Any = None) -> Any:
    """
    Return an entry as text, as ccxt's ``safe_string`` does, but of a Decimal too.

    ccxt reads what it has parsed a second time, to sum up fees and fills, and takes a Decimal there for nothing.
    """
    try:
        value = container[key]
    except (KeyError, IndexError, TypeError):
        return default
    if type(value) is str:
        return value or default
    if type(value) is float or type(value) is int:
        return str(value)
    return format(value, "f") if type(value) is Decimal else default


def _move(opened: Any, target: SplitResult, *, sockets: bool) -> None:
    """Point every endpoint at another host; ccxt reads refusals as if they came from where the endpoint was."""
    endpoints, read_refusal = opened.urls["api"], opened.handle_errors
    origins = Origins.of(endpoints, target, opened.implode_hostname)
    opened.urls["api"] = redirect(endpoints, target, sockets=sockets)

    def handle_errors(code: int, reason: str, url: str, *reply: Any) -> Any:
        request = current_request.get()
        part = "" if request is None else request.endpoint.partition(" ")[0]
        return read_refusal(code, reason, origins.restored(url, part), *reply)

    opened.handle_errors = handle_errors


def _enter_sandbox(ccxt_exchange: Any) -> None:
    import ccxt.async_support

    try:
        ccxt_exchange.set_sandbox_mode(True)
    except (ccxt.async_support.NotSupported, TypeError) as error:  # TypeError: kraken's list of them is None
        raise errors.NotSupportedByVenue(
            "has no sandbox; use an account with sandbox=False", venue=str(ccxt_exchange.id)
        ) from error


def _timeframes(names: Iterable[str]) -> dict[Timeframe, str]:
    """Return the venue's own names by what they mean: backpack's "15" is "15m", phemex's "1Y" is "1y"."""
    known: dict[Timeframe, str] = {}
    for name in names:
        with contextlib.suppress(errors.UnknownName):  # a name that only this venue could explain
            known.setdefault(_timeframe.parse(name), name)
    return known

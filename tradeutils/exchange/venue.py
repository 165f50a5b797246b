"""A venue through ccxt: the one file that imports it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from tradeutils import errors, logs
from tradeutils import timeframe as _timeframe
from tradeutils.exchange import parse
from tradeutils.exchange.base import Row
from tradeutils.exchange.clock import VenueClock, parse_date
from tradeutils.exchange.configuration import credentials_of, defaults_of, origin_of, own_options_of
from tradeutils.exchange.endpoints import host_of, parse_target, redirect
from tradeutils.exchange.faults import translate
from tradeutils.model import Balance, Market, Order, OrderBook, Ticker, Trade
from tradeutils.settings import Account
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtVenue", "venue_names"]

_log = logs.get_logger("exchange")

_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class _Reply:
    """What the HTTP layer saw of the last request of a call; a slot per call, shared by its subtasks."""

    sent: float = 0.0  # VenueClock.monotonic when it left, after any wait for the rate limit
    received: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


_reply: contextvars.ContextVar[_Reply | None] = contextvars.ContextVar("tradeutils_reply", default=None)


def venue_names() -> list[str]:
    """Return every venue that can be opened. Imports ccxt: about 0.5 s the first time."""
    import ccxt.async_support

    return list(ccxt.async_support.exchanges)


def _open_ccxt(name: str, config: dict[str, Any]) -> Any:
    import ccxt.async_support

    if not isinstance(name, str) or name not in ccxt.async_support.exchanges:
        raise errors.UnknownName("venue", name, ccxt.async_support.exchanges, where="ccxt")
    return getattr(ccxt.async_support, name)(config)


class CcxtVenue:
    """
    One exchange through ccxt's own class, unmodified: its routes, signatures and parsers.

    Parameters
    ----------
    name : str
        ccxt's id of the venue.
    account : Account or None
        Whose keys sign private requests.
    url : str or None
        Scheme and host that every endpoint is moved to; requests to any other host are refused.
    options : mapping or None
        ccxt's own ``options`` of this venue.
    timeout : float
        Seconds for one request.
    rate_limit_ms : float or None
        Milliseconds between requests, instead of ccxt's own figure for the venue.

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
        account: Account | None = None,
        url: str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = _TIMEOUT_S,
        rate_limit_ms: float | None = None,
    ) -> None:
        own_options = own_options_of(name, account, options)
        config: dict[str, Any] = {
            # Figures arrive as the venue wrote them; see parse. Not str: some of ccxt's classes sort a book by what
            # they parsed, and "99" comes after "100".
            "number": Decimal,
            "timeout": int(timeout * 1000),
            "options": {**defaults_of(name), **own_options},
        }
        if rate_limit_ms is not None:
            config["rateLimit"] = rate_limit_ms
        if account is not None:
            logs.protect(*account.secrets())  # from here on they can stand in ccxt's own messages
            config |= credentials_of(account)
        self._target = None if url is None else parse_target(url)
        self._ccxt = _open_ccxt(name, config)
        sandbox = account is not None and account.sandbox
        if sandbox:
            _enter_sandbox(self._ccxt)  # its keys must not reach the real venue
        self._origin = origin_of(name, self._target.netloc if self._target else None, sandbox, own_options)
        self._account = account.name if account else None
        self._timeframes = _timeframes(self._ccxt.timeframes or {})
        self._clock = VenueClock()
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._markets: dict[str, Market] = {}
        self._opening = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._syncing = asyncio.Lock()
        self._closed = False
        if self._target is not None:
            self._ccxt.urls["api"] = redirect(self._ccxt.urls["api"], self._target)
        # The hooks are ccxt's own: it calls both on the instance for every request and reply.
        self._send = self._ccxt.fetch
        self._ccxt.fetch = self._guarded_fetch
        self._ccxt.on_rest_response = self._on_reply

    @property
    def name(self) -> str:
        return str(self._ccxt.id)

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def timeframes(self) -> Mapping[Timeframe, str]:
        return self._timeframes

    def page_limit(self, market: Market) -> int | None:
        limit = self._ccxt.feature_value_by_type(market.type, _sub_type(market), "fetchOHLCV", "limit", None)
        return int(limit) if limit else None

    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]:
        async with self._loading:
            if not self._markets or reload:
                async with self._request("load_markets"):
                    raw = await self._ccxt.load_markets(reload)
                    mode = self._ccxt.precisionMode
                    self._markets = {symbol: parse.market(entry, mode) for symbol, entry in raw.items()}
                _log.debug("%s lists %d markets", self.name, len(self._markets))
        return self._markets

    async def fetch_ticker(self, symbol: str) -> Ticker:
        async with self._request("fetch_ticker", symbol):
            return parse.ticker(await self._ccxt.fetch_ticker(symbol))

    async def fetch_tickers(self, symbols: Sequence[str] | None) -> dict[str, Ticker]:
        async with self._request("fetch_tickers"):
            raw = await self._ccxt.fetch_tickers(None if symbols is None else list(symbols))
            return {symbol: parse.ticker(entry) for symbol, entry in raw.items()}

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int
    ) -> tuple[int, list[Row]]:
        await self.time()
        name = self.timeframes[timeframe]
        async with self._request("fetch_ohlcv", symbol) as reply:
            rows: list[Row] = await self._ccxt.fetch_ohlcv(symbol, name, since, limit)
        if not self._clock.known:  # the reply's Date contradicted the clock: learn it again, then look back
            await self.time()
        left = self._clock.at(reply.sent)
        stamped = parse_date(_header(reply.headers, "Date"))
        # The venue cannot have received the request after it stamped the reply, which is cut to seconds.
        return (left if stamped is None else min(left, stamped + 999)), rows

    async def fetch_order_book(self, symbol: str, limit: int | None) -> OrderBook:
        async with self._request("fetch_order_book", symbol):
            return parse.order_book(await self._ccxt.fetch_order_book(symbol, limit), symbol)

    async def fetch_trades(self, symbol: str, *, since: int | None, limit: int | None) -> list[Trade]:
        async with self._request("fetch_trades", symbol):
            return [parse.trade(raw, symbol) for raw in await self._ccxt.fetch_trades(symbol, since, limit)]

    async def fetch_balance(self) -> Balance:
        async with self._request("fetch_balance") as reply:
            raw = await self._ccxt.fetch_balance()
            # Not ccxt's timestamp: on some venues that is when the account last changed.
            return parse.balance(raw, self.name, self._account, self._clock.at(reply.received))

    async def fetch_open_orders(self, symbol: str | None) -> list[Order]:
        async with self._request("fetch_open_orders", symbol):
            return [parse.order(raw) for raw in await self._ccxt.fetch_open_orders(symbol)]

    async def time(self) -> int:
        async with self._syncing:  # of many who ask at once, one asks the venue
            if not self._clock.known:
                await self._synchronise()
        return self._clock.at(VenueClock.monotonic())

    async def _synchronise(self) -> None:
        async with self._request("fetch_time") as reply:
            if self._ccxt.has.get("fetchTime"):
                told = await self._ccxt.fetch_time()
                if told is None:
                    raise errors.BadReply("told no time", venue=self.name, operation="fetch_time")
                self._clock.learn(float(told), reply.sent, reply.received)
                return
            if not self._clock.settle_for_hint():
                await self._ccxt.load_markets(True)  # any reply has a Date
            if not self._clock.settle_for_hint():
                raise errors.BadReply("told no time", venue=self.name, operation="fetch_time")

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        self._closed = True
        session, self._session = self._session, None
        self._ccxt.session = None  # ours: ccxt must neither close it again nor warn that nobody did
        self._ccxt.timeout_on_exit = 0  # ccxt waits 250 ms for its own session's TLS to end
        await self._ccxt.close()
        if session is not None:
            await session.close()

    @contextlib.asynccontextmanager
    async def _request(self, operation: str, symbol: str | None = None) -> AsyncIterator[_Reply]:
        """Open the session, remember what the HTTP layer sees, and turn ccxt's errors into ours."""
        self._check_usable(operation)
        if self._session is None:
            async with self._opening:
                if self._session is None:
                    self._session = self._ccxt.session = self._open_session()
                    self._ccxt.own_session = False
        reply = _Reply()
        token = _reply.set(reply)
        try:
            yield reply
        except (errors.TradeutilsError, asyncio.CancelledError):
            raise
        except Exception as error:  # ccxt's parsers fail on odd replies with any class
            translated = self._translate(error, operation, symbol, reply)
            _redact_chain(error)  # ccxt's own messages hold signed URLs, and a traceback would print them
            raise translated from error
        finally:
            _reply.reset(token)

    def _check_usable(self, operation: str) -> None:
        if self._closed:
            raise errors.Closed(f"{self.name} {operation}: this exchange was closed; open another")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.UsageError(
                f"{self.name} {operation}: this exchange is in use on another event loop; "
                "open one for each loop, or use tradeutils.sync from several threads"
            )

    def _translate(self, error: Exception, operation: str, symbol: str | None, reply: _Reply) -> errors.TradeutilsError:
        if isinstance(error, KeyError | IndexError | TypeError | ValueError | AttributeError | ArithmeticError):
            text = f"the reply could not be read ({type(error).__name__}: {logs.redact(str(error))})"
            if not reply.sent:
                text = f"ccxt failed before it sent anything ({type(error).__name__}: {logs.redact(str(error))})"
                return errors.RequestRefused(text, venue=self.name, operation=operation, symbol=symbol)
            return errors.BadReply(text, venue=self.name, operation=operation, symbol=symbol)
        if isinstance(error.__cause__, aiohttp.ClientPayloadError):  # to ccxt a refusal by the venue
            text = f"the reply was cut short or damaged ({error.__cause__})"
            return errors.BadReply(text, venue=self.name, operation=operation, symbol=symbol)
        translated = translate(
            error,
            venue=self.name,
            operation=operation,
            symbol=symbol,
            status=reply.status,
            headers=reply.headers,
            now_ms=self._clock.at(VenueClock.monotonic()),
        )
        if isinstance(translated, errors.ClockSkew):
            self._clock.forget()
        return translated

    def _open_session(self) -> aiohttp.ClientSession:
        """Open our own session, so that a redirect to another host is refused before keys travel there."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(self._on_redirect)
        context = ssl.create_default_context(cafile=self._ccxt.cafile)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trace_configs=[trace])

    async def _guarded_fetch(self, url: str, *args: Any, **kwargs: Any) -> Any:
        if self._target is not None and host_of(url) != host_of(self._target.geturl()):
            raise errors.UsageError(
                f"{self.name}: {host_of(url)} was asked for, and url= allows only {self._target.netloc}"
            )
        reply = _reply.get()
        if reply is not None:
            reply.sent = VenueClock.monotonic()
        return await self._send(url, *args, **kwargs)

    async def _on_redirect(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        target = params.response.headers.get("Location", "")
        if "//" in target and host_of(target) != host_of(str(params.url)):
            raise errors.RequestRefused(
                f"sent us on to another host ({host_of(target)}); not followed", venue=self.name
            )

    def _on_reply(self, code: int, _reason: str, _url: str, _method: str, headers: Any, body: Any, *_: Any) -> Any:
        reply = _reply.get()
        if reply is not None:
            reply.status, reply.headers, reply.received = code, headers, VenueClock.monotonic()
            self._clock.observe(_header(headers, "Date"), reply.sent, reply.received)
        return body


def _enter_sandbox(ccxt_exchange: Any) -> None:
    import ccxt.async_support

    try:
        ccxt_exchange.set_sandbox_mode(True)
    except (ccxt.async_support.NotSupported, TypeError) as error:  # TypeError: kraken's list of them is None
        raise errors.NotSupportedByVenue(
            "has no sandbox; use an account with sandbox=False", venue=str(ccxt_exchange.id)
        ) from error


def _redact_chain(error: BaseException) -> None:
    """Redact the texts of an error and of those that led to it; they are kept for the traceback."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(logs.redact(part) if isinstance(part, str) else part for part in one.args)
        waiting += [one.__cause__, one.__context__]


def _timeframes(names: Iterable[str]) -> dict[Timeframe, str]:
    """Return the venue's own names by what they mean: backpack's "15" is "15m", phemex's "1Y" is "1y"."""
    known: dict[Timeframe, str] = {}
    for name in names:
        with contextlib.suppress(errors.UnknownName):  # a name that only this venue could explain
            known.setdefault(_timeframe.parse(name), name)
    return known


def _sub_type(market: Market) -> str | None:
    if market.type == "spot":
        return None
    return "linear" if market.linear else "inverse"


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)

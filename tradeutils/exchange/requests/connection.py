"""
Where requests leave: ccxt's own class, with our session, our budget, our clock and our errors around it.

ccxt is not changed. It calls ``fetch2``, ``fetch`` and ``on_rest_response`` on the instance for every request and
reply, whichever of its methods wants one, so what is put there sees all of them: markets, pages, and what ccxt
asks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote

import aiohttp

from tradeutils import errors, logs
from tradeutils.budget.base import Charge, Grant, Window
from tradeutils.exchange.requests.calls import Call, Request, current_call, current_request, header
from tradeutils.exchange.requests.clock import VenueClock
from tradeutils.exchange.requests.endpoints import host_of
from tradeutils.exchange.requests.metering import Meter
from tradeutils.exchange.requests.nonces import Nonces
from tradeutils.exchange.requests.replies import check_size, exact_json, rough_json
from tradeutils.exchange.requests.retry import Patience, again
from tradeutils.exchange.requests.sessions import Session, current_sender, tls_context
from tradeutils.exchange.venues.faults import redact_chain, translate

__all__ = ["Connection"]

T = TypeVar("T")

_SHOWN = 80  # characters of another library's words: they may repeat a header

_only_priced: contextvars.ContextVar[bool] = contextvars.ContextVar("tradeutils_only_priced", default=False)


class _Priced(BaseException):  # not an Exception: some of ccxt's methods catch those
    """A request that was not sent, as only its price was wanted."""

    def __init__(self, charge: Charge) -> None:
        self.charge = charge
        super().__init__()


class Connection:
    """
    One instance of ccxt, and how it sends and is answered.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Its hooks are taken over; its own limiter and clocks are not used any more.
    session : Session
        Through which it sends; may be shared, and stays open when this is closed.
    target : SplitResult or None
        The only host that may be asked, where there is one.
    clock : VenueClock
        Signs requests, and is checked against every reply.
    meter : Meter
        Pays for every request.
    nonces : Nonces
        Numbers those that must be numbered.
    patience : Patience
        How often reads are made again.
    """

    def __init__(
        self,
        ccxt: Any,
        *,
        session: Session,
        target: SplitResult | None,
        clock: VenueClock,
        meter: Meter,
        nonces: Nonces,
        patience: Patience,
    ) -> None:
        self.ccxt = ccxt
        self.name = str(ccxt.id)
        self.clock = clock
        self.patience = patience
        self._target = target
        self._meter = meter
        self._nonces = nonces
        self.info = False  # whether values keep what the venue itself sent
        self._session = session
        self._sending = 0
        self._calls: set[asyncio.Timeout] = set()
        self._closed = False
        self.list_markets: Callable[[bool], Awaitable[Any]] = self.load_own_markets
        ccxt.enableRateLimit = False  # ours is asked instead; both would wait for each other
        self._sign_and_send, ccxt.fetch2 = ccxt.fetch2, self._paid_fetch2
        self._send, ccxt.fetch = ccxt.fetch, self._guarded_fetch
        self._load_markets, ccxt.load_markets = ccxt.load_markets, self._listed
        ccxt.own_session = False
        ccxt.on_rest_response, ccxt.parse_json = self._on_reply, _read_json
        # Signatures carry the venue's time, not the machine's.
        ccxt.milliseconds = lambda: clock.now_ns() // 1_000_000
        ccxt.microseconds = lambda: clock.now_ns() // 1_000
        ccxt.seconds = lambda: clock.now_ns() // 1_000_000_000

    async def read(
        self,
        operation: str,
        work: Callable[[Call], Awaitable[T]],
        *,
        symbol: str | None = None,
        urgent: bool = False,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Make a call that may be repeated, while the patience lasts; ``before`` runs ahead of every attempt."""

        async def attempt() -> T:
            if before is not None:
                await before()
            call = Call(operation, symbol, urgent)
            return await self.send(call, lambda: work(call))

        return await again(attempt, self.patience)

    async def send(self, call: Call, work: Callable[[], Awaitable[T]]) -> T:
        """Make a call once; what ccxt raises arrives as one of our errors."""
        async with self._opened(call):
            return await work()

    async def charge_of(self, operation: str, work: Callable[[], Awaitable[Any]]) -> Charge | None:
        """Return what the first request of a call would pay; neither that nor any other is sent."""
        token = _only_priced.set(True)
        try:
            await work()
        except _Priced as priced:
            return priced.charge
        except Exception as error:
            raise self._translate(error, Call(operation)) from error
        finally:
            _only_priced.reset(token)
        return None

    @contextlib.asynccontextmanager
    async def _opened(self, call: Call) -> AsyncIterator[None]:
        """Remember the call, and turn ccxt's errors into ours."""
        self.check_usable(call.operation)
        handled = sys.exception()  # the caller's, where he asks us while he handles one: it becomes a context of ours
        token = current_call.set(call)
        limit = asyncio.timeout(None)  # which only closing sets
        self._calls.add(limit)
        try:
            async with limit:
                yield
        except errors.VenueError as error:
            if isinstance(error, errors.BadReply) and error.operation is None:  # who reads it knows no calls
                where = {"venue": self.name, "operation": call.operation, "symbol": call.symbol}
                _forget_locals(error, handled)
                raise errors.BadReply(str(error), **where) from error.__cause__
            if error.operation is None:  # the budget's, which knows no calls
                error.operation, error.symbol = call.operation, call.symbol
            raise
        except errors.TradeutilsError:
            raise
        except TimeoutError as error:
            if not limit.expired():  # some library's own
                _forget_locals(error, handled)
                raise self._translate(error, call) from error
            raise errors.Closed(f"{self.name} {call.operation}: this exchange was closed meanwhile") from None
        except Exception as error:  # ccxt's parsers fail on odd replies with any class
            translated = self._translate(error, call)
            redact_chain(error)  # ccxt's own messages hold signed URLs, and a traceback would print them
            _forget_locals(error, handled)
            raise translated from error
        finally:
            self._calls.discard(limit)
            if not self._calls:  # a list of markets is 14 MB
                self.ccxt.last_http_response = self.ccxt.last_json_response = None
            current_call.reset(token)

    def check_usable(self, operation: str) -> None:
        """Raise `Closed`, or `UsageError` where another event loop uses the session."""
        if self._closed:
            raise errors.Closed(f"{self.name} {operation}: this exchange was closed; open another")
        self._session.enter(f"{self.name} {operation}")

    def _translate(self, error: Exception, call: Call) -> errors.TradeutilsError:
        where: dict[str, Any] = {"venue": self.name, "operation": call.operation, "symbol": call.symbol}
        if isinstance(error, KeyError | IndexError | TypeError | ValueError | AttributeError | ArithmeticError):
            text = f"({type(error).__name__}: {logs.redact(str(error))})"
            if not call.sent:
                return errors.RequestRefused(f"ccxt failed before it sent anything {text}", **where)
            return errors.BadReply(f"the reply could not be read {text}", **where)
        if isinstance(error.__cause__, aiohttp.ClientPayloadError):  # to ccxt a refusal by the venue
            return errors.BadReply(f"the reply was cut short or damaged ({error.__cause__})", **where)
        if isinstance(error.__cause__, aiohttp.TooManyRedirects):
            return errors.RequestRefused("sent us on from one page to another without end", **where)
        if isinstance(error.__cause__, aiohttp.ClientResponseError) and call.status is None:
            told = logs.redact(error.__cause__.message)[:_SHOWN] or type(error.__cause__).__name__
            return errors.BadReply(f"the reply was not to be read as HTTP ({told})", **where)
        translated = translate(
            error,
            status=call.status,
            headers=call.headers,
            now_ms=self.clock.at(VenueClock.monotonic()),
            **where,
        )
        if isinstance(translated, errors.ClockSkew):
            self.clock.refused(call.sent)
        if isinstance(translated, errors.RateLimited) and call.banned_for is not None:
            translated.retry_after = call.banned_for  # what the gate was closed for: checked, and not without bounds
        return translated

    async def _listed(self, reload: bool = False, _params: Any = None) -> Any:
        """Stand in for ccxt's ``load_markets``, which every method of its class calls first."""
        await self.list_markets(reload)
        return self.ccxt.markets

    async def load_own_markets(self, _reload: bool = True) -> None:
        """Have ccxt's class ask for the markets; one caller at a time, since ccxt has all who ask await one task."""
        await self._load_markets(True, {})

    async def acquire_dial(self, window: Window, *, urgent: bool) -> Grant:
        """Wait until one more websocket may be opened; see `Meter.acquire_dial`."""
        return await self._meter.acquire_dial(window, urgent=urgent)

    async def _paid_fetch2(
        self, path: Any, api: Any = ("public",), method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        """Pay for a request before ccxt signs and sends it, and give back what was not sent."""
        call = current_call.get()
        params, config = ({} if params is None else params), config or {}
        cost = self.ccxt.calculate_rate_limiter_cost(api, method, path, params, config)
        urgent = call is not None and call.urgent
        part = api if isinstance(api, str) else ".".join(api)
        request = Request(self._meter.charge(api, method, path, cost, params, urgent=urgent), endpoint=f"{part} {path}")
        if _only_priced.get():
            raise _Priced(request.charge)
        leave_by = math.inf if call is None else call.leave_by
        request.grants.append(await self._meter.acquire(request.charge, leave_by))
        self._meter.began()
        token = current_request.set(request)
        try:
            async with self._nonces.turn(request, api):
                answer = await self._sign_and_send(path, api, method, _without_own_retries(params), config)
        except Exception:
            banned_for = await self._meter.refused(request, self.clock.at(VenueClock.monotonic()))
            self.ccxt.last_http_response = request.body  # kraken's class looks there, at another's if that was later
            if call is not None:  # of several requests at once, the one that failed tells why
                call.banned_for, call.status, call.headers = banned_for, request.status, request.headers
            raise
        else:
            self._meter.accepted(request)
            return answer
        finally:
            current_request.reset(token)
            self._meter.ended(request)

    async def _guarded_fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if self._target is not None and host_of(url) != host_of(self._target.geturl()):
            raise errors.UsageError(
                f"{self.name}: {host_of(url)} was asked for, and url= allows only {self._target.netloc}"
            )
        call, request = current_call.get(), current_request.get()
        if call is not None:
            call.sent = VenueClock.monotonic()
            call.status, call.headers, call.about_order = None, {}, False
            if request is not None and call.client_id is not None:
                request.bears_id = _bears(call.client_id, url, body)
                request.places_order = call.about_order = method != "GET" or request.bears_id
        token = current_sender.set(self)
        self._sending += 1
        try:
            self.ccxt.ssl_context = tls_context(self.ccxt.cafile)
            self.ccxt.session = await self._session.client(self.ccxt.cafile)
            return await self._send(url, method, headers, body)
        finally:
            del url, headers, body  # a traceback that shows locals must not show them
            self._sending -= 1
            if not self._sending:
                self.ccxt.session = None  # ccxt warns of any that it finds when it is collected as garbage
            current_sender.reset(token)

    async def connected(self) -> None:
        """Pay once more for a request that aiohttp sends anew: after a redirect, or a connection that had ended."""
        call, request = current_call.get(), current_request.get()
        if request is None:
            return
        request.connections += 1
        if request.connections > 1:
            request.grants.append(await self._meter.acquire(request.charge))
            if call is not None:
                call.resent = True

    async def leaving(self) -> None:
        """Note that a request may have reached the venue from here on."""
        call, request = current_call.get(), current_request.get()
        if request is not None:
            request.left, request.left_at = True, time.monotonic()
        if call is not None:
            call.sent = VenueClock.monotonic()  # a connection had to be made first
            if request is not None:
                call.order_left |= request.places_order
                call.id_left |= request.bears_id
                call.endpoint = request.endpoint if request.places_order else call.endpoint

    async def redirected(self, asked: str, target: str) -> None:
        """Refuse to go to another host, with all that the request bears."""
        if "//" in target and host_of(target) != host_of(asked):
            raise errors.RequestRefused(
                f"sent us on to another host ({host_of(target)}); not followed", venue=self.name
            )

    def _on_reply(self, code: int, _reason: str, _url: str, _method: str, headers: Any, body: Any, *_: Any) -> Any:
        call, request = current_call.get(), current_request.get()
        if call is not None:
            call.status, call.headers, call.received = code, headers, VenueClock.monotonic()
            if header(headers, "Age") in (None, "0"):  # a cache in between repeats the time at which it was filled
                self.clock.observe(header(headers, "Date"), call.sent, call.received)
        if request is not None:
            request.status, request.headers = code, headers
            request.body = body if isinstance(body, str) else ""
            self._meter.replied(request)
        return body

    async def aclose(self) -> None:
        """End the calls under way with `Closed`, and tell all that is owed to the budget. Safe to call twice."""
        self._closed = True
        loop = asyncio.get_running_loop()
        calls, self._calls = self._calls, set()
        for limit in calls:
            if self._session.is_used_by(loop):
                limit.reschedule(loop.time())
        await asyncio.sleep(0)
        self.ccxt.session = None  # not ccxt's to close, nor to warn of
        self.ccxt.timeout_on_exit = 0  # ccxt waits 250 ms for its own session's TLS to end
        await self.ccxt.close()
        await self._meter.aclose()


def _forget_locals(error: BaseException, handled: BaseException | None) -> None:
    """
    Drop the local variables below an error: reports of crashes show them, and they hold keys and signed requests.

    Of its causes the frames go altogether. They may be another task's too, as aiohttp has several wait for one look-up
    of a host, and to clear a frame that is not done would end that task's work. What the caller was handling is his.
    """
    traceback.clear_frames(error.__traceback__)
    waiting, seen = [error.__cause__, error.__context__], {id(error), id(handled)}
    while waiting:
        cause = waiting.pop()
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            cause.__traceback__ = None
            waiting += [cause.__cause__, cause.__context__]


def _bears(client_id: str, url: str, body: Any) -> bool:
    """Tell whether a request carries the id that an order is to bear, plainly or escaped."""
    text = f"{url}\n{body.decode('latin-1') if isinstance(body, bytes) else body or ''}"
    return client_id in text or quote(client_id, safe="") in text


def _read_json(text: Any) -> Any:
    """Return what a reply says, as the call wants it read; ``None``, as ccxt does, where it is no JSON."""
    call, request = current_call.get(), current_request.get()
    if not isinstance(text, str):
        return None
    check_size(text)
    decode = exact_json if call is None or call.decode is None else call.decode
    if decode is not exact_json and request is not None and request.status is not None and request.status >= 300:
        decode = rough_json  # a refusal
    try:
        return decode(text)
    except ValueError:
        return None


def _without_own_retries(params: Any) -> Any:
    """Return the parameters with ccxt's own repetition off: it would neither pay nor ask whether that is safe."""
    return {**params, "maxRetriesOnFailure": 0} if isinstance(params, dict) else params

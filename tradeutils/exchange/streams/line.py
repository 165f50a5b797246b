"""
One instance of ccxt's class with its sockets, used until it fails, then thrown away.

No state of ccxt's survives: what its classes keep of a connection (books, caches, tokens, who is subscribed) is true of
that connection alone, and most reports of streams that stay silent after a reconnect are about such leftovers.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from tradeutils import errors, logs
from tradeutils.errors import TradeutilsError
from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.replies import rough_json
from tradeutils.exchange.streams.asking import Asking, current_asking
from tradeutils.exchange.streams.book_checks import BookChecks
from tradeutils.exchange.streams.chores import Chores
from tradeutils.exchange.streams.dialing import Dials
from tradeutils.exchange.streams.ends import Opened, Sink
from tradeutils.exchange.streams.limits import LineLimits
from tradeutils.exchange.streams.methods import Method, batches, feature_of, leaving
from tradeutils.exchange.streams.refusals import passing, told_of
from tradeutils.exchange.streams.routes import Route, Routing
from tradeutils.exchange.streams.sockets import Socket
from tradeutils.exchange.streams.topics import Topic

__all__ = ["Line", "Opened", "Sink"]

_log = logs.get_logger("exchange.streams")

_LEAVING_S: Final = 5.0
_EXPIRED: Final = frozenset({"listenKeyExpired"})  # events that ccxt's classes pass over


class Line:
    """
    Where topics come in.

    Parameters
    ----------
    opened : Opened
        Taken over, and thrown away at the end.
    sink : Sink
        Is told what arrives.
    limits : LineLimits
        What the venue allows.
    dials : Dials
        When it may be dialled; shared by the lines of a venue.

    Attributes
    ----------
    topics : set of Topic
        What it is subscribed to, or about to be.
    spoilt : set of Topic
        What failed on it: its instance may hold wrong state of them.
    subscribed, unwanted : int
        How many topics it was ever to be subscribed to, and how many of those nobody wants that arrive all the same.
    opened_at, last_frame_at : float
        ``time.monotonic``.
    """

    def __init__(self, opened: Opened, sink: Sink, limits: LineLimits, dials: Dials) -> None:
        self.topics: set[Topic] = set()
        self.spoilt: set[Topic] = set()
        self.subscribed = self.unwanted = 0
        self.opened_at = self.last_frame_at = time.monotonic()
        self.venue = opened.connection.name
        self.connection = opened.connection
        self.private = opened.private
        self.limits = limits
        self.dials = dials
        self.dialer = opened.dialer
        self._opened = opened
        self._sink = sink
        self._routing = Routing()
        self.routes = self._routing.routes
        self._sockets: dict[int, Socket] = {}
        self._askings: set[Asking] = set()
        self._chores = Chores(lambda operation, work: self.connection.send(self._call(operation), work), self.broken)
        self._is_confirmed = self._ended = False
        self._ending: asyncio.Task[None] | None = None
        self._take_over(opened.ccxt)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<Line {self.venue}{' private' if self.private else ''} {len(self.topics)} topics, {state}>"

    @property
    def ended(self) -> bool:
        """Whether it has failed or was closed."""
        return self._ended

    def _take_over(self, ccxt: Any) -> None:
        """Put our hands where ccxt's classes call, on this one instance."""
        self._make_client, ccxt.client = ccxt.client, self._client
        self._watch, ccxt.watch = ccxt.watch, self._noted_watch
        self._watch_multiple, ccxt.watch_multiple = ccxt.watch_multiple, self._noted_watch_multiple
        ccxt.spawn, ccxt.delay = self._chores.spawn, self._chores.delay
        ccxt.asyncio_loop = asyncio.get_running_loop()
        ccxt.options = ccxt.deep_extend(ccxt.options, self.limits.options)
        ccxt.timeframes = {**(ccxt.timeframes or {}), **self.limits.timeframes}
        self._checks = BookChecks(ccxt.markets)
        self._handle = self._handle_private if self.private else ccxt.handle_message

    # What is asked for

    @property
    def is_spent(self) -> bool:
        """Whether one of its websockets was sent as much as the venue takes on one."""
        return any(socket.requests >= self.limits.requests for socket in self._sockets.values())

    def reserve(self, count: int) -> None:
        """Keep room for topics that are about to be subscribed to."""
        self.subscribed += count

    async def subscribe(self, topics: Sequence[Topic]) -> None:
        """
        Ask the venue for topics; returns once it has confirmed them, or a second after it was asked.

        Raises
        ------
        BadSymbol, NotSupportedByVenue, AuthenticationFailed, RequestRefused : the venue has none of it.
        TransientVenueError : the line failed meanwhile, or is no longer open.
        """
        if self._ended:
            raise errors.StreamBroken("this line has ended", venue=self.venue)
        new = [topic for topic in dict.fromkeys(topics) if topic not in self.topics]
        for topic in new:
            self._check(topic)
        self.topics.update(new)
        askings = [self._ask(method) for method in batches(self._opened.ccxt, self.limits, new)]
        try:
            if askings:
                await asyncio.wait([asking.ready for asking in askings])
        except asyncio.CancelledError:
            for asking in askings:
                asking.cancel()
                self._forget(asking.topics)
                self.spoilt.update(asking.topics)
            raise
        failures = [error for asking in askings if (error := self._failure_of(asking)) is not None]
        if failures:
            raise failures[0]

    def _failure_of(self, asking: Asking) -> BaseException | None:
        if asking.ready.cancelled():
            error: BaseException | None = errors.StreamBroken("this line has ended", venue=self.venue)
        else:
            error = asking.ready.exception()
        if isinstance(error, TradeutilsError) and self._has_expired(error):
            error = passing(error)
        if error is not None and not self._ended:
            self._forget(asking.topics)
            if asking.hashes:  # ccxt's class may take them for subscribed to, and would ask for none of them again
                self.spoilt.update(asking.topics)
        return error

    def _check(self, topic: Topic) -> None:
        feature = feature_of(topic.kind)
        if not self._opened.ccxt.has.get(feature):
            raise errors.NotSupportedByVenue(
                f"ccxt has no {feature} here",
                alternatives=self._opened.offering(feature),
                venue=self.venue,
                operation=f"watch_{topic.kind}",
                symbol=topic.symbol,
            )

    def _ask(self, method: Method) -> Asking:
        symbol = method.topics[0].symbol if len(method.topics) == 1 else None
        asking = Asking(self, self._call(method.name, symbol), method.topics, method.of(self._opened.ccxt))
        self._askings.add(asking)
        return asking

    def finished(self, asking: Asking) -> None:
        """Forget a call of which nothing is to come any more."""
        self._askings.discard(asking)

    def confirmed(self) -> None:
        """Note that the venue has taken a request: a login that is refused after that has expired."""
        self._is_confirmed = True

    def _call(self, operation: str, symbol: str | None = None) -> Call:
        return Call(operation, symbol, decode=None if self.private else rough_json)

    async def unsubscribe(self, topics: Collection[Topic]) -> None:
        """
        Leave topics: nothing of them is handed on from here on, and the venue is told where ccxt has a way to.

        Raises nothing: what the venue goes on sending is passed over.
        """
        left = [topic for topic in topics if topic in self.topics]
        self._forget(left)
        self._release()
        await self.leave_behind(left)

    def _release(self) -> None:
        """End the calls that wait for topics which are no longer wanted; others of theirs go on without them."""
        for asking in list(self._askings):
            if not self.topics.intersection(asking.topics):
                if not asking.ready.done():  # ccxt's class may count as sent what was not
                    self.spoilt.update(asking.topics)
                asking.cancel()
            elif asking.ready.done() and not self.topics.issuperset(asking.topics):
                asking.release()
                self._keep_futures(asking.hashes)

    def _keep_futures(self, hashes: Iterable[str]) -> None:
        """Leave futures with ccxt in place of those that were cancelled with their call."""
        for socket in self._sockets.values():
            for hashed in hashes:
                if hashed in socket.client.futures and hashed in self.routes:
                    socket.keep_future(hashed)

    async def leave_behind(self, topics: Collection[Topic]) -> None:
        """Tell the venue that topics are not wanted, of which nothing is handed on any more."""
        told = 0
        for method in leaving(self._opened.ccxt, self.limits, topics):
            if self._ended:
                return
            task = self._chores.start(method.of(self._opened.ccxt), method.name, self._passed_over)
            await asyncio.wait([task], timeout=_LEAVING_S)
            told += len(method.topics) if task.done() and not task.cancelled() and task.exception() is None else 0
            task.cancel()
        self.unwanted += len(topics) - told

    def _passed_over(self, error: BaseException) -> None:
        _log.debug("%s went on with what was left (%s)", self.venue, type(error).__name__)

    def _forget(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            self.topics.discard(topic)
            self._routing.forget(topic)

    # Which hash is whose

    def route(self, asking: Asking, hashes: Sequence[str]) -> None:
        """Lead hashes to the topics of a call that are still wanted."""
        self._routing.add(asking, hashes, self.topics)

    def unroute(self, hashes: Sequence[str], topics: Sequence[Topic]) -> None:
        """Lead them to these topics no longer."""
        self._routing.drop(hashes, topics)

    # What ccxt's class calls

    def _client(self, url: str) -> Any:
        client = self._make_client(url)
        if id(client) not in self._sockets:  # a socket keeps its client, so that the id stays its own
            self._sockets[id(client)] = Socket(client, self, self._handle)
        return client

    def _noted_watch(
        self, url: str, hashed: str, message: Any = None, subscribe_hash: Any = None, subscription: Any = None
    ) -> Any:
        self._note(url, [hashed], message, [subscribe_hash])
        return self._watch(url, hashed, message, subscribe_hash, subscription)

    def _noted_watch_multiple(
        self, url: str, hashes: list[str], message: Any = None, subscribe_hashes: Any = None, subscription: Any = None
    ) -> Any:
        self._note(url, hashes, message, subscribe_hashes or [])
        return self._watch_multiple(url, hashes, message, subscribe_hashes, subscription)

    def _note(self, url: str, hashes: list[str], message: Any, subscribe_hashes: Iterable[Any]) -> None:
        asking = current_asking.get()
        if asking is not None:
            client = self._client(url)
            sends = bool(message) and any(not client.subscriptions.get(one) for one in subscribe_hashes)
            asking.noted(self._sockets[id(client)], hashes, sends=sends)

    def _handle_private(self, client: Any, frame: Any) -> None:
        if isinstance(frame, dict) and frame.get("e") in _EXPIRED:
            raise errors.StreamBroken("the session of the account has expired; another one is opened", venue=self.venue)
        self._opened.ccxt.handle_message(client, frame)

    # What comes of it

    def resolved(self, socket: Socket, route: Route, hashed: str, value: Any) -> None:
        """Take what ccxt's class made of a message, or of an answer over REST."""
        at = time.monotonic() if socket.frame is None else socket.at
        if route.is_of_books and (fault := self._checks.fault(value, socket.frame)) is not None:
            self._reject_route(socket, errors.StreamBroken(f"{fault}; it is subscribed to anew"), hashed, route)
            return
        asking = route.asking
        if asking is None:
            route.take(self._sink.received, value, socket.frame, at)
        elif asking.is_pending:
            route.take(asking.hold, value, socket.frame, at)
            socket.settle(value, hashed)  # it waits for that
            socket.keep_future(hashed)
        else:
            route.asking = None
            route.take(self._sink.received, value, socket.frame, at)

    def deliver(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Hand on what was held back."""
        if topic in self.topics:
            self._sink.received(topic, value, frame, at)

    def rejected(self, socket: Socket, error: BaseException, hashed: str | None) -> None:
        """Take what ccxt's class found wrong: with a topic, with a request, or with everything."""
        if self._ended:
            return
        route = None if hashed is None else self.routes.get(hashed)
        if route is not None and hashed is not None:
            self._reject_route(socket, error, hashed, route)
        elif hashed is not None and hashed in socket.client.futures:  # a login's, which a call waits for
            _refuse(socket, error, hashed)
        elif socket.acknowledged is not None:
            self._fail_asking(socket.acknowledged, error)
        elif hashed is None and (blamed := socket.named(str(error)) or socket.awaited()):
            for asking in blamed:
                self._fail_asking(asking, error, certain=len(blamed) == 1)
        elif hashed is None or self.private:
            self.broken(error)

    def _reject_route(self, socket: Socket, error: BaseException, hashed: str, route: Route) -> None:
        asking = route.asking if route.asking is not None and route.asking.is_pending else None
        hit = route.topics.difference(asking.topics if asking is not None else ())
        _refuse(socket, error, hashed)
        if asking is not None:
            self._fail_asking(asking, error)
        if hit:
            symbol = next(iter(hit)).symbol if len(hit) == 1 else None
            self.lost(told_of(error, self.venue, symbol), hit)

    def _fail_asking(self, asking: Asking, error: BaseException, *, certain: bool = True) -> None:
        told = told_of(error, self.venue, asking.topics[0].symbol if len(asking.topics) == 1 else None)
        asking.fail(told if certain or not asking.ready.done() else passing(told))

    def _has_expired(self, error: TradeutilsError) -> bool:
        return self._is_confirmed and isinstance(error, errors.AuthenticationFailed)

    def lost(self, error: TradeutilsError, topics: Collection[Topic]) -> None:
        """End some topics, and no others."""
        hit = [topic for topic in topics if topic in self.topics]
        self._forget(hit)
        self._release()
        self.spoilt.update(hit)
        if hit and not self._ended:
            told = passing(error) if self._has_expired(error) else error
            _log.warning("%s: %d topics ended (%s)", self.venue, len(hit), type(told).__name__)
            self._sink.failed(self, told, hit)

    def broken(self, error: BaseException) -> None:
        """End, because of this."""
        if self._ended:
            return
        for asking in list(self._askings):
            if asking.ready.done():
                asking.release()  # what it holds back did arrive
        told = told_of(error, self.venue)
        waiting = {topic for asking in self._askings if not asking.ready.done() for topic in asking.topics}
        promised = self.topics - waiting
        _log.warning("%s: a line of %d topics ended (%s)", self.venue, len(self.topics), told)
        self._end(passing(told) if self._has_expired(told) else told)
        self._sink.failed(self, passing(told), promised)

    # The end

    def _end(self, error: TradeutilsError) -> None:
        self._ended = True
        for asking in list(self._askings):
            if not asking.ready.done():
                asking.ready.set_exception(error)
            asking.cancel()
        self._ending = asyncio.get_running_loop().create_task(self._tear_down(), context=contextvars.Context())

    async def _tear_down(self) -> None:
        tasks = [*self._chores.stop(), *(asking.task for asking in self._askings)]
        for task in tasks:
            task.cancel()
        sockets = list(self._sockets.values())
        await asyncio.gather(*tasks, *(socket.aclose() for socket in sockets), return_exceptions=True)
        ccxt = self._opened.ccxt
        ccxt.clients = {}
        try:
            await self.connection.aclose()
        finally:
            # It is full of cycles, and its books are megabytes: left to the collector's rare rounds over old objects,
            # lines that break every 5 s held 20 MiB of them at any time, in 50 MiB of holes.
            ccxt.__dict__.clear()
            self._routing.clear()
            self._sockets.clear()

    async def aclose(self) -> None:
        """Close the sockets, within a second. Safe to call twice."""
        if not self._ended:
            # Not `Closed`, which ends a stream for good: of a line that is put away the exchange may be open.
            self._end(
                errors.StreamBroken("this line was closed; what was on it is subscribed to anew", venue=self.venue)
            )
        if self._ending is not None:
            await asyncio.shield(self._ending)


def _refuse(socket: Socket, error: BaseException, hashed: str) -> None:
    """Reject ccxt's future; whether anybody awaits it or not, its error counts as seen."""
    future = socket.client.futures.get(hashed)
    socket.refuse(error, hashed)
    if future is not None and future.done() and not future.cancelled():
        future.exception()

"""One subscription, and the consumers that share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Final, Protocol

from tradeutils import logs
from tradeutils.errors import NotSupportedByVenue, RequestRefused, TradeutilsError, UsageError
from tradeutils.exchange.streams.standing_in import StandIn
from tradeutils.exchange.streams.subscribers import Reading, RestData, Subscriber
from tradeutils.exchange.streams.topics import Kind, Topic
from tradeutils.exchange.streams.watchdog import Backoff, Watchdog, is_final
from tradeutils.model.streaming import Stale

__all__ = ["Feed", "Host"]

_log = logs.get_logger("exchange.streams")

# Of these kinds a message may have work fall due: a bar is over, a trade is missing, an order is to be looked up.
_TIMED: Final[frozenset[Kind]] = frozenset({"ohlcv", "trades", "balance", "orders"})
_PATIENCE_S: Final = 5.0  # with REST, before a quiet account counts as one of which nothing is known
_STEADY_S: Final = 2.0  # for which a subscription must have lasted to be made anew without a pause


class Host(Protocol):
    """Who opens feeds: does what a feed cannot do by itself."""

    venue: str

    def now(self) -> int:
        """Return the venue's time, int milliseconds UTC."""
        ...

    def want(self, feed: Feed, pause: float) -> None:
        """Place the feed's topic on a line, in ``pause`` seconds."""
        ...

    def renew(self, feed: Feed) -> None:
        """Make the feed's subscription anew: it is silent."""
        ...

    def start(self, work: Coroutine[Any, Any, None], feed: Feed) -> None:
        """Run a coroutine until it ends or the feed is closed."""
        ...

    def drop(self, feed: Feed) -> None:
        """Close the feed; nobody reads it any more."""
        ...


class Feed:
    """
    One subscription, its consumers, and the watch over it.

    Parameters
    ----------
    topic : Topic
        What is subscribed to.
    host : Host
        Who opened it.

    Attributes
    ----------
    last : float
        When data came, by ``time.monotonic``; before it has, when this was opened.
    placed : float or None
        When the venue confirmed the subscription; ``None`` while it has not, or it has broken.
    epoch : int
        Of the subscription: one more with each that broke.
    is_fed : bool
        Whether data has come since it was opened, or since it last broke.
    is_answered : bool
        Whether REST stands in for it.
    error : TradeutilsError or None
        What broke it, until data comes again.

    Notes
    -----
    A message costs an assignment, what its assembler takes, and one put for each consumer.
    """

    def __init__(self, topic: Topic, host: Host) -> None:
        self.topic = topic
        self.readings: dict[Hashable, Reading] = {}
        self.last = time.monotonic()
        self.placed: float | None = None
        self.epoch = 0
        self.is_answered = self.is_fed = False
        self.is_closed = False
        self.error: TradeutilsError | None = None
        self._established = False
        self._is_timed = topic.kind in _TIMED
        self._host = host
        self._backoff = Backoff()
        self._watchdog = Watchdog(self)
        self._stand_in = StandIn(self)
        self._reason = "disconnected"
        self._troubled = True  # whether the next message is the first, ends a silence, or follows a break

    # Consumers

    @property
    def subscribers(self) -> Sequence[Subscriber]:
        """All consumers."""
        return [one for reading in self.readings.values() for one in reading.subscribers]

    @property
    def is_live(self) -> bool:
        """Whether the venue has confirmed the subscription, and it has not broken since."""
        return self.placed is not None

    @property
    def rest(self) -> RestData:
        """Whom to ask: somebody who still listens."""
        return self.subscribers[0].rest

    def join(self, subscriber: Subscriber, key: Hashable, make: Callable[[], Reading]) -> None:
        """Add a consumer; ``make`` opens what it reads, where none of this ``key`` is open."""
        reading = self.readings.get(key)
        if reading is None:
            reading = self.readings[key] = make()
        reading.subscribers.append(subscriber)
        subscriber.feed, subscriber.reading = self, reading
        if self.is_live and reading.resuming:
            self._start_work(reading)
        self._watchdog.set()

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a consumer; what nobody reads any more goes with it."""
        reading, subscriber.feed, subscriber.reading = subscriber.reading, None, None
        if reading is None:
            return
        reading.subscribers.remove(subscriber)
        if not reading.subscribers:
            self.readings = {key: one for key, one in self.readings.items() if one is not reading}

    def end(self, error: TradeutilsError) -> None:
        """End every consumer with an error."""
        self.error = error
        for subscriber in self.subscribers:
            subscriber.inbox.end(error)

    def _give_up(self, error: TradeutilsError) -> None:
        if self.topic.kind == "tickers" and isinstance(error, UsageError | RequestRefused):
            told = NotSupportedByVenue(
                "does not stream all tickers at once; name the symbols, as in watch_tickers(['BTC/USDT', 'ETH/USDT']), "
                "or ask for all now and then with fetch_tickers",
                venue=self._host.venue,
                operation="watch_tickers",
            )
            told.__cause__ = error
            error = told
        self.end(error)
        self._host.drop(self)

    def close(self) -> None:
        """Forget everybody, and stop watching."""
        self.is_closed, self.placed = True, None
        for subscriber in self.subscribers:
            self.leave(subscriber)
        self._watchdog.stop()

    # What the line brings

    def received(self, value: Any, frame: Any, at: float) -> None:
        """Take one message."""
        self.last = at
        if self._troubled:
            self._recovered()
        now = self._host.now()
        for reading in self.readings.values():
            items = reading.assembler.take(value, frame, now)
            if items:
                reading.deliver(items)
            if self._is_timed and not reading.working:
                due = reading.assembler.due(now)
                if due is not None:
                    self._watchdog.hasten(due)

    def _recovered(self) -> None:
        self._troubled, self.is_fed, self.error = False, True, None
        self._watchdog.reset()
        for subscriber in self.subscribers:
            subscriber.stale = False
        self._watchdog.set()

    def confirmed(self) -> None:
        """Note that the venue has confirmed the subscription, and ask for what was missed."""
        self.placed = time.monotonic()
        self._established = True
        for reading in list(self.readings.values()):
            reading.resuming = True
            self._start_work(reading)
        self._watchdog.set()

    def broke(self, error: TradeutilsError, reason: str) -> None:
        """Take that nothing more comes; it is placed again unless the error is final."""
        if self.placed is not None and time.monotonic() - self.placed >= _STEADY_S:
            self._backoff.reset()
        elif self.is_fed:
            self._backoff.shorten()  # not reset, or what breaks with each first message would be opened without end
        self.placed, self.is_fed = None, False
        self.epoch += 1
        if is_final(error, established=self._established):
            self._give_up(error)
            return
        self.error = error
        self._reason, self._troubled = reason, True
        now = self._host.now()
        for reading in self.readings.values():
            reading.assembler.interrupted(now)
        for subscriber in self.subscribers:
            subscriber.reconnects += 1
        pause = self._backoff.pause(error)
        _log.info("%s broke (%s: %s), and is opened again in %.1f s", self.topic, reason, error, pause)
        self._host.want(self, pause)
        self._watchdog.set()

    def refused(self, error: TradeutilsError) -> None:
        """Take that it could not be placed."""
        if is_final(error, established=self._established):
            self._give_up(error)
            return
        self.error = error
        self._reason, self._troubled = "refused", True
        pause = self._backoff.pause(error)
        _log.info("%s could not be opened (%s), and is tried again in %.1f s", self.topic, error, pause)
        self._host.want(self, pause)

    # Work beside the messages: what was missed, and what falls due

    def catch_up(self) -> None:
        """Ask REST for what has happened since the stream stopped, as if it had been opened again."""
        now = self._host.now()
        for reading in list(self.readings.values()):
            reading.assembler.interrupted(now)
            reading.resuming = True
            self._start_work(reading)

    def due(self) -> float | None:
        """Return in how many seconds there is work by the clock."""
        now = self._host.now()
        waits = [reading.assembler.due(now) for reading in self.readings.values() if not reading.working]
        return min((wait for wait in waits if wait is not None), default=None)

    def work(self) -> None:
        """Do what has fallen due."""
        now = self._host.now()
        for reading in list(self.readings.values()):
            if not reading.working:
                due = reading.assembler.due(now)
                if due is not None and due <= 0:
                    self._start_work(reading)

    def _start_work(self, reading: Reading) -> None:
        if not reading.working and not self.is_closed:
            reading.working = True
            self._host.start(self._settle(reading), self)

    async def _settle(self, reading: Reading) -> None:
        """Ask for what was missed, or do what has fallen due; one at a time for each assembler."""
        doubt = asyncio.get_running_loop().call_later(_PATIENCE_S, self._doubt, reading)
        try:
            await self._asked(reading)
        except asyncio.CancelledError:
            reading.resuming = True
            raise
        except TradeutilsError as error:
            self._give_up(error)
        finally:
            doubt.cancel()
            reading.working = False
        if self.is_closed or not reading.subscribers:
            return
        self._judge(reading)
        if reading.resuming:
            self._start_work(reading)
        else:
            self._watchdog.set()

    async def _asked(self, reading: Reading) -> None:
        assembler = reading.assembler
        if reading.resuming:
            reading.resuming = False
            reading.deliver(await assembler.resume(self.rest))
            if not self.is_live:  # it broke again meanwhile, or REST stands in for it
                assembler.interrupted(self._host.now())
            return
        before = getattr(assembler, "silent", 0)
        reading.deliver(await assembler.settle(self.rest, self._host.now()))
        if getattr(assembler, "silent", 0) > before and self.is_live:
            self._host.renew(self)  # REST knew what the stream should have told: it is dead

    def _doubt(self, reading: Reading) -> None:
        """Tell that nothing is known of a quiet account: REST, which is to say whether it is quiet, does not answer."""
        if not self.topic.is_private or not self.is_live:
            return
        self._troubled = True
        for one in reading.subscribers:
            if not one.stale:
                one.stale = True
                self.tell(one)

    def _judge(self, reading: Reading) -> None:
        """Take REST's word for it that a quiet account is one, where there is a connection that would tell more."""
        if not self.topic.is_private or not self.is_live:
            return
        if getattr(reading.assembler, "is_unanswered", False):
            self._doubt(reading)
            return
        self.error = None
        for one in reading.subscribers:
            one.stale = False

    # Silence

    @property
    def is_silent_when_dead(self) -> bool:
        """Whether silence says anything; what is known of a quiet account is compared with what REST says instead."""
        return not (self.topic.is_private and self.is_live)

    def went_stale(self, silent: Sequence[Subscriber]) -> None:
        """Tell those who have not been told that data has stopped, or have REST stand in for it."""
        self._troubled = True
        for one in silent:
            if not one.stale:
                one.stale = True
                if one.fallback == "event":
                    self.tell(one)
        if any(one.fallback == "rest" for one in silent) and not self._stand_in.is_at_work:
            self._host.start(self._stand_in.serve(), self)

    def tell(self, subscriber: Subscriber) -> None:
        """Give a consumer a `Stale`."""
        subscriber.inbox.put(
            Stale(
                kind=self.topic.kind,
                symbol=self.topic.symbol,
                time=self._host.now(),
                age=time.monotonic() - subscriber.since,
                reason="silent" if self.is_live else self._reason,
            )
        )

    def renew(self) -> None:
        """Have the subscription made anew: it is silent."""
        self._troubled = True
        self._host.renew(self)

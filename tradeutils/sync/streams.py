"""Streams, blocking: an ordinary iterator, whose steps wait."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from tradeutils.errors import TradeutilsError
from tradeutils.exchange.streams.candle_stream import BarStream as _BarStream
from tradeutils.exchange.streams.candle_stream import CandleStream as _CandleStream
from tradeutils.exchange.streams.stream import Stream as _Stream
from tradeutils.exchange.streams.subscribers import State
from tradeutils.model import Bars, Candles
from tradeutils.model.streaming import StreamEvent
from tradeutils.sync.loop import Blocking

__all__ = ["BarStream", "CandleStream", "Stream", "streaming", "streaming_candles"]

T = TypeVar("T")
P = ParamSpec("P")

_AT_ONCE: Final = 256  # values that are fetched from the loop's thread together: going there costs some 60 µs


class Stream(Blocking[_Stream[Any]], Generic[T]):
    """
    Values as the venue sends them, blocking; made by ``exchange.watch_...``, see `tradeutils.Exchange.watch_ticker`.

    An iterator, and a context that unsubscribes when it is left. Several threads may read one; each value goes to one
    of them. `close` may be called by any thread, and ends the iteration of all that wait.

    Examples
    --------
    >>> with exchange.watch_trades("BTC/USDT") as trades:  # doctest: +SKIP
    ...     for trade in trades:
    ...         print(trade)
    """

    @classmethod
    def _around(cls, twin: _Stream[Any]) -> Self:
        made = super()._around(twin)
        made._taken = deque()
        made._lock = threading.Lock()
        made._waiting = 0
        return made

    _taken: deque[Any]
    _lock: threading.Lock
    _waiting: int

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T | StreamEvent:
        with self._lock:
            if self._taken:
                item: T | StreamEvent = self._taken.popleft()
                return item
            self._waiting += 1
            # What is taken at once goes to who asked: where others wait as well, to each his own. And of the newest
            # there is but one.
            limit = _AT_ONCE if self._waiting == 1 and self._twin.policy == "all" else 1
        try:
            taken = self._run(self._twin.take(limit))
        except StopAsyncIteration:
            raise StopIteration from None
        finally:
            with self._lock:
                self._waiting -= 1
        with self._lock:
            self._taken.extend(taken[1:])
        return taken[0]

    def values(self) -> Iterator[T]:
        """Yield the values alone, without what happened to the stream."""
        for item in self:
            if not isinstance(item, StreamEvent):
                yield item

    def close(self) -> None:
        """Unsubscribe, and end iteration for all who wait. Safe to call twice."""
        super().close()
        with self._lock:
            self._taken.clear()

    @property
    def age(self) -> float:
        """Seconds since data came, or since it began; 0 before that."""
        return self._twin.age

    @property
    def state(self) -> State:
        """How it is; see `tradeutils.exchange.Stream.state`."""
        return self._twin.state

    @property
    def dropped(self) -> int:
        """Values that came and will not be yielded."""
        return self._twin.dropped

    @property
    def reconnects(self) -> int:
        """How often its subscription broke and was made anew."""
        return self._twin.reconnects

    @property
    def error(self) -> TradeutilsError | None:
        """What broke it, until data comes again; what ended it, where something did."""
        return self._twin.error

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._twin.is_closed


class CandleStream(Stream[Candles]):
    """Candles as they close, blocking; see `tradeutils.Exchange.watch_ohlcv`."""

    _twin: _CandleStream

    def bars(self, wait: float = 2.0) -> BarStream:
        """Gather closed candles of all symbols to `Bars`; as `tradeutils.exchange.CandleStream.bars`."""
        return BarStream._around(self._twin.bars(wait))


class BarStream(Blocking[_BarStream]):
    """Bars of several symbols, blocking; made by `CandleStream.bars`. An iterator, for one thread."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Bars:
        try:
            return self._run(_next(self._twin))
        except StopAsyncIteration:
            raise StopIteration from None

    @property
    def late(self) -> int:
        """Candles that came after the bars of their time had been yielded, and were left out."""
        return self._twin.late


async def _next(bars: _BarStream) -> Bars:
    return await anext(bars)


def streaming(
    method: Callable[Concatenate[Any, P], _Stream[T]],
) -> Callable[Concatenate[Any, P], Stream[T]]:
    """Return the blocking form of a method that returns a stream: signature and docstring are the twin's."""

    @functools.wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        self._check_process()
        return Stream._around(method(self._twin, *args, **kwargs))

    return call


def streaming_candles(
    method: Callable[Concatenate[Any, P], _CandleStream],
) -> Callable[Concatenate[Any, P], CandleStream]:
    """Return the blocking form of `tradeutils.Exchange.watch_ohlcv`."""

    @functools.wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> CandleStream:
        self._check_process()
        return CandleStream._around(method(self._twin, *args, **kwargs))

    return call

"""Candles of one symbol or several as they close, and gathered to bars of all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from tradeutils.exchange.streams.assembling.bars import BarGatherer
from tradeutils.exchange.streams.inbox import Inbox
from tradeutils.exchange.streams.stream import Joined, Stream
from tradeutils.model import Bars, Candles

__all__ = ["BarStream", "CandleStream"]


class CandleStream(Stream[Candles]):
    """
    Candles as they close; made by ``exchange.watch_ohlcv``, see `Stream`.

    Attributes
    ----------
    symbols : tuple of str
        What is watched, in the order in which it was asked for.
    timeframe : str
        Of the candles.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        join: Callable[[Inbox], Awaitable[Joined]],
        *,
        symbols: Sequence[str],
        timeframe: str,
    ) -> None:
        super().__init__(name, inbox, join)
        self.symbols = tuple(symbols)
        self.timeframe = timeframe

    def bars(self, wait: float = 2.0) -> BarStream:
        """
        Gather closed candles of all symbols to `Bars`, as `tradeutils.indicators.Stream` takes them.

        Parameters
        ----------
        wait : float
            Seconds for which a bar waits for symbols that lag, from 0; then it comes with NaN where they have none.

        Returns
        -------
        BarStream
            Columns are in the order of `symbols`. What is read there is taken from this stream.

        Raises
        ------
        UsageError : ``wait`` < 0.
        """
        return BarStream(self, wait)


class BarStream:
    """
    Bars of several symbols, in the order of their times; made by `CandleStream.bars`.

    An asynchronous iterator; a `StreamEvent` of the candles is passed over, as `CandleStream.state` tells the same.
    """

    def __init__(self, candles: CandleStream, wait: float) -> None:
        self._candles = candles
        self._gatherer = BarGatherer(candles.symbols, wait=wait)
        self._ready: deque[Bars] = deque()

    def __repr__(self) -> str:
        return f"<BarStream of {self._candles!r}>"

    @property
    def candles(self) -> CandleStream:
        """Where they come from."""
        return self._candles

    @property
    def late(self) -> int:
        """Candles that came after the bars of their time had been yielded, and were left out."""
        return self._gatherer.late

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Bars:
        while not self._ready:
            waits = self._gatherer.waits(time.monotonic())
            try:
                async with asyncio.timeout(waits):
                    item = await anext(self._candles)
            except TimeoutError:
                self._ready.extend(self._gatherer.due(time.monotonic()))
                continue
            if isinstance(item, Candles):
                self._ready.extend(self._gatherer.put(item, time.monotonic()))
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the candles. Safe to call twice."""
        await self._candles.aclose()

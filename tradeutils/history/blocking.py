"""A history that is filled by blocking calls; how a coroutine is waited for is said by `tradeutils.sync`."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from tradeutils.errors import UsageError
from tradeutils.history.history import History
from tradeutils.model.stored import Executors
from tradeutils.timeframe import Instant

if TYPE_CHECKING:
    from tradeutils.history.backfilling.report import BackfillReport, Progress
    from tradeutils.history.backfilling.run import CandleExchange
    from tradeutils.history.backfilling.tasks import OpenExchange
    from tradeutils.history.live import Followed, Live

__all__ = ["BlockingHistory"]

R = TypeVar("R")

_END: Final = object()


class BlockingHistory(History):
    """What `History` awaits, waited for; all else is blocking already."""

    @abc.abstractmethod
    def _waited(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for a coroutine."""

    @abc.abstractmethod
    def _elsewhere(self, function: Callable[[], R]) -> Coroutine[Any, Any, R]:
        """Run a function that may block on a thread of its own."""

    @abc.abstractmethod
    def _awaited(self, exchange: Any) -> CandleExchange:
        """Return the asynchronous form of a blocking exchange; ``UsageError`` for anything else."""

    def backfill(  # type: ignore[override]  # a report, and not a promise of one
        self,
        exchange: Any,
        symbols: Iterable[str],
        timeframes: str | Iterable[str],
        *,
        since: Instant,
        until: Instant | None = None,
        progress: Callable[[Progress], object] | None = None,
        concurrency: int | None = None,
        derive: bool = True,
        executor: Executors | None = None,
        open_exchange: OpenExchange | None = None,
    ) -> BackfillReport:
        """
        Fetch what the store lacks; as `tradeutils.History.backfill`, with a ``sync.Exchange``.

        ``progress`` is called on the thread of the event loop: it must not call blocking objects.
        """
        return self._waited(
            super().backfill(
                self._awaited(exchange),
                symbols,
                timeframes,
                since=since,
                until=until,
                progress=progress,
                concurrency=concurrency,
                derive=derive,
                executor=executor,
                open_exchange=open_exchange,
            )
        )

    def follow(  # type: ignore[override]  # as above
        self,
        stream: Iterable[Live],
        *,
        exchange: Any = None,
        symbols: Sequence[str] | None = None,
        timeframe: str | None = None,
        progress: Callable[[Followed], object] | None = None,
    ) -> Followed:
        """
        Write what a stream yields until it ends; as `tradeutils.History.follow`, with an ordinary iterator.

        It is iterated on threads of its own, and may use blocking objects. ``exchange``: a ``sync.Exchange`` or a name.
        """
        if not isinstance(stream, Iterable):
            raise UsageError(f"stream was a {type(stream).__name__}; give an iterator of candles")
        source = exchange if exchange is None or isinstance(exchange, str) else self._awaited(exchange)
        return self._waited(
            super().follow(
                self._stream(stream), exchange=source, symbols=symbols, timeframe=timeframe, progress=progress
            )
        )

    async def _stream(self, stream: Iterable[Live]) -> AsyncIterator[Live]:
        iterator: Iterator[Live] = iter(stream)
        while (item := await self._elsewhere(lambda: next(iterator, _END))) is not _END:
            yield cast("Live", item)

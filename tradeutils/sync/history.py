"""Candles on disk, filled by blocking calls; all else of a history is blocking already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from tradeutils import exchange as _exchange
from tradeutils import history as _history
from tradeutils.errors import UsageError
from tradeutils.model.stored import Executors
from tradeutils.sync.exchange import Exchange
from tradeutils.sync.loop import on_own_thread, run
from tradeutils.timeframe import Instant

if TYPE_CHECKING:
    from tradeutils.history.backfilling.report import BackfillReport, Progress
    from tradeutils.history.backfilling.tasks import OpenExchange
    from tradeutils.history.live import Followed, Live

__all__ = ["History"]

_END: Final = object()


class History(_history.History):
    """Candles on disk, filled through a blocking exchange; see `tradeutils.History`."""

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
        return run(
            super().backfill(
                _twin_of(exchange),
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
        source = exchange if exchange is None or isinstance(exchange, str) else _twin_of(exchange)
        return run(
            super().follow(_stream(stream), exchange=source, symbols=symbols, timeframe=timeframe, progress=progress)
        )


async def _stream(stream: Iterable[Live]) -> AsyncIterator[Live]:
    iterator: Iterator[Live] = iter(stream)
    while (item := await on_own_thread(lambda: next(iterator, _END))) is not _END:
        yield cast("Live", item)


def _twin_of(exchange: Any) -> _exchange.Exchange:
    """Return the asynchronous form of a blocking exchange; ``UsageError`` for anything else."""
    if not isinstance(exchange, Exchange):
        raise UsageError(f"exchange was a {type(exchange).__name__}; give a tradeutils.sync.Exchange")
    return exchange._twin

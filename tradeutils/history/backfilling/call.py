"""
Fill a store from a venue: many series at once, only what it lacks, and resumable at any moment.

What is said in a call is checked here before anything is asked; the work is in `run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UnknownName, UsageError
from tradeutils.history.backfilling.asking import CandleExchange
from tradeutils.history.backfilling.lane import Lane
from tradeutils.history.backfilling.plan import sources_of
from tradeutils.history.backfilling.report import BackfillReport, Progress
from tradeutils.history.backfilling.run import CONCURRENCY, Run
from tradeutils.history.backfilling.tasks import OpenExchange, Order, check_shared, in_other_processes, spread
from tradeutils.model import Market
from tradeutils.model.stored import Executors
from tradeutils.timeframe import Instant, Timeframe, to_ms

if TYPE_CHECKING:
    from tradeutils.history.writing import WritingHistory

__all__ = ["backfill"]

_EARLIEST_MS: Final = 100_000_000_000  # 1973: older than any venue, and what is less is taken for seconds
_END_MS: Final = 2**62  # after every bar
_SETTLING_MS: Final = 120_000  # venues publish a bar up to so long after its end


async def backfill(
    history: WritingHistory,
    exchange: CandleExchange,
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
    """Fill ``history``; see `tradeutils.History.backfill`."""
    began = time.monotonic()
    wanted, frames, most = _symbols(symbols), _frames(timeframes), _concurrency(concurrency)
    start, end = _range(since, until)
    if progress is not None and not callable(progress):
        raise UsageError(f"progress was {progress!r:.60}; give a function that takes a Progress")
    if history.read_only:
        raise UsageError(f"the history at {history.path} was opened with read_only=True; open it without to fill it")
    _check_executor(exchange, executor, open_exchange)
    stored = _stored(history, exchange.venue) if derive else {}
    for frame in frames:
        _check_offered(frame, frames if derive else [], stored, exchange)
    now = await exchange.fetch_time()
    end = min(end, now)
    if end <= start:
        raise UsageError(f"since was {start}, which on {exchange.venue} is still to come: it is {now} there")
    markets = await _markets(exchange, wanted)
    lanes = [
        lane
        for symbol in wanted
        for lane in _lanes(symbol, frames, (start, end, now), stored.get(symbol, ()), markets, exchange, derive=derive)
    ]
    if executor is None or open_exchange is None:
        series = await Run(history, exchange, lanes, concurrency=most, progress=progress).work()
    else:
        order = Order(
            path=str(history.path), open_exchange=open_exchange, timeframes=tuple(frame.name for frame in frames),
            since=start, until=end, concurrency=most, derive=derive, apart=in_other_processes(executor),
            min_free=history.store.min_free, seal_rows=history.store.seal_rows,
        )  # fmt: skip
        series = await spread(history, exchange, executor, order, lanes, progress)
    return BackfillReport(
        exchange=exchange.venue, since=start, until=end, series=tuple(series), seconds=time.monotonic() - began
    )


def _check_executor(exchange: CandleExchange, executor: Executors | None, open_exchange: OpenExchange | None) -> None:
    if executor is None:
        if open_exchange is not None:
            raise UsageError("open_exchange was given without executor; give both, or neither")
        return
    if open_exchange is None or not callable(open_exchange):
        raise UsageError(
            "executor was given without open_exchange; a connection cannot be sent to a worker: give a function at the "
            "top of a module that opens one, as in def open_exchange(): return tu.Exchange('binance', cache=...)"
        )
    if in_other_processes(executor):
        check_shared(exchange)


def _range(since: Instant, until: Instant | None) -> tuple[int, int]:
    start = max(_EARLIEST_MS, to_ms(since, name="since"))
    end = _END_MS if until is None else to_ms(until, name="until")
    if end <= start:
        raise UsageError(f"since was {start} and until {end}; since must come first")
    return start, end


def _symbols(symbols: Iterable[str]) -> list[str]:
    if isinstance(symbols, str):
        raise UsageError(f"symbols was {symbols!r}; give a list: [{symbols!r}]")
    wanted = list(dict.fromkeys(symbols)) if isinstance(symbols, Iterable) else None
    if not wanted or not all(isinstance(symbol, str) for symbol in wanted):
        raise UsageError(f"symbols was {symbols!r:.80}; name at least one, as in ['BTC/USDT']")
    return wanted


def _frames(timeframes: str | Iterable[str]) -> list[Timeframe]:
    """Return timeframes, each once, in the order in which they are named."""
    named = [timeframes] if isinstance(timeframes, str | Timeframe) else timeframes
    frames = list(dict.fromkeys(map(_timeframe.parse, named))) if isinstance(named, Iterable) else None
    if not frames:
        raise UsageError(f"timeframes was {timeframes!r:.80}; name one or several, as in '1m' or ['1m', '1h']")
    return frames


def _concurrency(given: int | None) -> int:
    if given is None:
        return CONCURRENCY
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise UsageError(f"concurrency was {given!r}; write how many requests are under way at most, from 1")
    return given


def _stored(history: WritingHistory, venue: str) -> dict[str, list[Timeframe]]:
    """Return the timeframes that the store has of each symbol."""
    found: dict[str, list[Timeframe]] = {}
    for key in history.series(venue):
        found.setdefault(key.symbol, []).append(_timeframe.parse(key.timeframe))
    return found


def _check_offered(
    frame: Timeframe, together: list[Timeframe], stored: Mapping[str, list[Timeframe]], exchange: CandleExchange
) -> None:
    """Refuse a timeframe that the venue does not have and nothing finer makes up."""
    if frame in _offered(exchange):
        return
    others = {*together, *(one for frames in stored.values() for one in frames)}
    if not sources_of(frame, others):
        raise UnknownName("timeframe", frame.name, exchange.timeframes, where=exchange.venue)


def _offered(exchange: CandleExchange) -> set[Timeframe]:
    return set(map(_timeframe.parse, exchange.timeframes))


async def _markets(exchange: CandleExchange, wanted: list[str]) -> Mapping[str, Market]:
    """Return the venue's markets, of which at least one is wanted."""
    markets = await exchange.load_markets()
    if any(symbol not in markets for symbol in wanted):
        markets = await exchange.load_markets(reload=True)  # it may have been listed since
    if not any(symbol in markets for symbol in wanted):
        raise UnknownName("symbol", wanted[0], markets, where=exchange.venue)
    return markets


def _lanes(
    symbol: str,
    frames: list[Timeframe],
    times: tuple[int, int, int],
    stored: Iterable[Timeframe],
    markets: Mapping[str, Market],
    exchange: CandleExchange,
    *,
    derive: bool,
) -> list[Lane]:
    """Return the series of one symbol; coarser ones know those that they may be made of."""
    start, end, now = times
    lanes = []
    for frame in frames:
        lane = Lane(
            symbol=symbol,
            frame=frame,
            since=frame.ceil(start),
            until=min(frame.ceil(end), frame.floor(now)),
            settled=frame.floor(now - _SETTLING_MS),
            offered=frame in _offered(exchange),
        )
        if symbol not in markets:
            lane.end("not listed", "")
        lanes.append(lane)
    for lane in lanes if derive else ():
        lane.sources = sources_of(lane.frame, [*frames, *stored])
        lane.finer = [one for one in lanes if one.frame in lane.sources]
    return lanes

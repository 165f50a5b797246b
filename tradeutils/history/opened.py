"""What every part of a history has: its files, and how a series is named."""

from __future__ import annotations

import os
import pathlib
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UnknownName, UsageError
from tradeutils.history.hot import HotPartitions, hot_bytes
from tradeutils.history.store import SeriesKey, Store
from tradeutils.history.store.partitions import read_partition
from tradeutils.history.store.series import Series
from tradeutils.timeframe import Timeframe

__all__ = ["ExchangeLike", "Opened", "Venue", "name_of_exchange"]


class Venue(Protocol):
    """Anything that says of which venue it is, as `tradeutils.Exchange` does."""

    @property
    def venue(self) -> str: ...


ExchangeLike: TypeAlias = "str | Venue"
"""The name of a venue, or an object with a ``venue``."""


def name_of_exchange(exchange: ExchangeLike) -> str:
    """Return the name of a venue."""
    name: Any = exchange if isinstance(exchange, str) else getattr(exchange, "venue", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f'exchange was {exchange!r:.80}; write a name, as in "binance", or give an Exchange')
    return name


class Opened:
    """The folder of a history, and what is kept in memory of it."""

    store: Store
    """Its files, for the code of this package."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        min_free: int = 64 << 20,
        hot: int | bool | None = None,
        seal_rows: int = 4096,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise UsageError(f'path was {path!r:.80}; write a folder, as in tu.History("candles/")')
        for name, value, least in (("min_free", min_free, 0), ("seal_rows", seal_rows, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name} was {value!r}; write a whole number, {least} or more")
        size = hot_bytes(hot)
        self.hot = HotPartitions(size) if size else None
        self.store = Store(
            pathlib.Path(path).absolute(),
            read_only=read_only,
            min_free=min_free,
            seal_rows=seal_rows,
            read=self.hot.read if self.hot else read_partition,
        )

    def __repr__(self) -> str:
        return f"<History {str(self.path)!r}{' read-only' if self.read_only else ''}>"

    @property
    def path(self) -> pathlib.Path:
        """The folder."""
        return self.store.root

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self.store.read_only

    def key(self, exchange: ExchangeLike, symbol: str, timeframe: str | Timeframe) -> SeriesKey:
        """Return the name of a series, its parts checked; the series need not be there."""
        if not isinstance(symbol, str) or not symbol:
            raise UsageError(f'symbol was {symbol!r:.80}; write one, as in "BTC/USDT"')
        return SeriesKey(name_of_exchange(exchange), symbol, _timeframe.parse(timeframe).name)

    def found(self, exchange: ExchangeLike, symbol: str, timeframe: str | Timeframe) -> Series:
        """
        Return a series for reading.

        Raises
        ------
        UnknownName : nothing was ever written to it; the nearest that are stored are named.
        """
        self.store.check_open()
        key = self.key(exchange, symbol, timeframe)
        series = self.store.series(key)
        if not series.exists():
            there = [one for one in self.store.stored() if one.exchange == key.exchange]
            same = [one.symbol for one in there if one.timeframe == key.timeframe]
            other = sorted({one.timeframe for one in there if one.symbol == key.symbol})
            if other:
                raise UnknownName(
                    "timeframe", key.timeframe, other, where=f"{key.exchange} {key.symbol} in {self.path}"
                )
            raise UnknownName("symbol", symbol, same, where=f"{key.exchange} {key.timeframe} in {self.path}")
        return series

    def close(self) -> None:
        """
        Give back all locks; what was written is on the disk already. May be called again.

        What is in journals stays there, and every reader of ours sees it; `History.seal` first where other programs
        are to read the files.
        """
        self.store.close()
        if self.hot:
            self.hot.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Tickers, the newest of each market; one that others overtook is left out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from tradeutils.exchange import parse
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.model import Ticker
from tradeutils.model.streaming import StreamEvent

__all__ = ["TickerAssembler"]


class TickerAssembler:
    """
    Makes tickers, of one market or of many; an `Assembler`.

    Parameters
    ----------
    symbols : iterable of str, optional
        The only ones that are told. Default: whatever comes.
    info : bool
        Whether tickers keep what the venue itself sent.

    Attributes
    ----------
    late : int
        Tickers that were left out: of a time before that of the last one.
    """

    def __init__(self, symbols: Iterable[str] | None = None, *, info: bool = False) -> None:
        self.late = 0
        self._symbols = None if symbols is None else frozenset(symbols)
        self._info = info
        self._times: dict[str, int] = {}

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Ticker | StreamEvent]:
        """Take ccxt's ticker dict, or several, by symbol or in a list; see `Assembler`."""
        out = []
        for raw in _tickers(value):
            symbol = raw.get("symbol")
            if symbol is None or (self._symbols is not None and symbol not in self._symbols):
                continue
            made = parse.ticker(raw, info=self._info)
            if made.time is not None:
                if made.time < self._times.get(made.symbol, 0):
                    self.late += 1
                    continue
                self._times[made.symbol] = made.time
            out.append(made)
        return out

    def interrupted(self, now: int) -> None:
        """Do nothing: the next ticker says all."""

    async def resume(self, rest: Rest) -> Sequence[Ticker | StreamEvent]:
        """Ask for nothing: a venue sends a ticker when it is subscribed to, or the next time that it changes."""
        return ()

    def due(self, now: int) -> float | None:
        """Return ``None``."""
        return None

    async def settle(self, rest: Rest, now: int) -> Sequence[Ticker | StreamEvent]:
        """Do nothing."""
        return ()

    def finish(self, item: Ticker) -> Ticker:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return its symbol."""
        symbol: str = item.symbol
        return symbol


def _tickers(value: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        return (value,) if "symbol" in value else value.values()
    return value if isinstance(value, list) else ()

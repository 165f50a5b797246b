"""
Tickers, the newest of each market; one that others overtook is left out.

Which is newer is told by the venue's times. Where one of them was wrong, or the venue's clock was set back, all that
came after it would count as overtaken, and the stream be dead without a sign: so only a few in a row are left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.venues import parse
from tradeutils.model import Ticker
from tradeutils.model.streaming import StreamEvent

__all__ = ["TickerAssembler"]

_MOST_LATE: Final = 5


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
        self._late: dict[str, int] = {}  # how many in a row were left out

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Ticker | StreamEvent]:
        """Take ccxt's ticker dict, or several, by symbol or in a list; see `Assembler`."""
        out = []
        for raw in _tickers(value):
            symbol = raw.get("symbol")
            if symbol is None or (self._symbols is not None and symbol not in self._symbols):
                continue
            made = parse.ticker(raw, info=self._info)
            if made.time is not None:
                if self._is_late(made.symbol, made.time):
                    self.late += 1
                    continue
                self._times[made.symbol] = made.time
            out.append(made)
        return out

    def _is_late(self, symbol: str, time: int) -> bool:
        if time >= self._times.get(symbol, 0):
            if self._late:
                self._late.pop(symbol, None)
            return False
        count = self._late.get(symbol, 0) + 1
        if count > _MOST_LATE:
            del self._late[symbol]
            return False
        self._late[symbol] = count
        return True

    def interrupted(self, now: int) -> None:
        """Forget what was newest: the next ticker says all, and nothing overtakes it on a fresh connection."""
        self._times.clear()
        self._late.clear()

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

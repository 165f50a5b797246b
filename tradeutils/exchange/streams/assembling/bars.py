"""Candles of several symbols, gathered to bars of one moment."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tradeutils.errors import UsageError
from tradeutils.model import Bars, Candles
from tradeutils.model.candles import PRICE_FIELDS

__all__ = ["BarGatherer"]

_MOST_OPEN: Final = 10_000  # bars of different moments that wait


class BarGatherer:
    """
    Gathers closed candles of one open time to one `Bars`.

    Bars are told in the order of their times: once all symbols have theirs, or are further on; else when ``wait``
    seconds have passed since the first came, with NaN for those that have none.

    Parameters
    ----------
    symbols : iterable of str
        In the order of the columns; none twice.
    wait : float
        Seconds.

    Attributes
    ----------
    late : int
        Candles that came after the bars of their time had been told.
    """

    def __init__(self, symbols: Iterable[str], *, wait: float = 2.0) -> None:
        given = tuple(symbols)
        if len(set(given)) < len(given) or not given:
            raise UsageError(f"symbols was {given!r:.80}; name each once, and at least one")
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < math.inf:
            raise UsageError(f"wait was {wait!r}; write seconds, 0 or more")
        self.late = 0
        self._places = {symbol: at for at, symbol in enumerate(given)}
        self._wait = wait
        self._reached = [-1] * len(given)  # the newest open that each symbol has told
        self._told = -1  # the newest open that was told
        self._open: dict[int, tuple[float, Any]] = {}  # by open: since when, and an array (5, S)

    def put(self, candles: Candles, at: float) -> list[Bars]:
        """
        Take candles of one symbol; return the bars that are whole now.

        Parameters
        ----------
        at : float
            ``time.monotonic`` now.

        Raises
        ------
        UsageError : a symbol that is none of these.
        """
        place = self._places.get(candles.symbol)
        if place is None:
            raise UsageError(f"the candles were of {candles.symbol!r}, which is none of {', '.join(self._places)}")
        rows = zip(candles.time.tolist(), *(getattr(candles, name).tolist() for name in PRICE_FIELDS), strict=True)
        for (opened, *values), closed in zip(rows, candles.closed.tolist(), strict=True):
            if not closed:
                continue
            if opened <= self._told:
                self.late += 1
                continue
            if opened not in self._open:
                self._open[opened] = (at, np.full((len(PRICE_FIELDS), len(self._places)), np.nan))
            self._open[opened][1][:, place] = values
            self._reached[place] = max(self._reached[place], opened)
        return self.due(at)

    def due(self, at: float) -> list[Bars]:
        """Return the bars that are told now, by ``time.monotonic``: those that are whole, and those waited for."""
        told = []
        whole = min(self._reached)  # every symbol has told all that it has up to there
        for opened in sorted(self._open):
            since, columns = self._open[opened]
            if opened > whole and at - since < self._wait and len(self._open) <= _MOST_OPEN:
                break
            del self._open[opened]
            self._told = opened
            columns.flags.writeable = False
            told.append(Bars(time=opened, **dict(zip(PRICE_FIELDS, columns, strict=True))))
        return told

    def waits(self, at: float) -> float | None:
        """Return in how many seconds `due` has bars; ``None`` while none wait."""
        if not self._open:
            return None
        return max(0.0, self._open[min(self._open)][0] + self._wait - at)

"""
What a market tells of its perpetual swaps beside their prices: mark and index, funding, open interest.

The index is the spot market of the same pair; the mark lies between it and the swap. Funding is settled every eight
hours UTC at the mean of what the swap cost more than the index, minute by minute, since the settlement before.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines, TradeColumns
from tradeutils.sim.catalogue import asset_of
from tradeutils.sim.instruments import Instrument, salt
from tradeutils.timeframe import Times

__all__ = ["FUNDING_MS", "INTEREST", "Funding", "OpenInterest", "Swaps"]

FUNDING_MS: Final = 28_800_000
"""Between two settlements of funding, at 0, 8 and 16 o'clock UTC."""
INTEREST: Final = 0.0001
"""The rate where the swap costs what the index does."""
FUNDING_CAP: Final = 0.003
"""The rate is never further from 0."""
_INTEREST_BAND: Final = 0.0005  # how far the interest term may pull the rate from the premium
_MINUTE: Final = 60_000
_OPEN_INTEREST_MS: Final = 300_000
_WAVES: Final = ((7.0, 0.05), (53.0, 0.10), (611.0, 0.15))  # hours and height, of open interest


@dataclass(frozen=True, slots=True)
class Funding:
    """
    Funding of a swap at a moment.

    Attributes
    ----------
    rate : float
        What longs would pay shorts at ``next_time``, as a fraction, by what is known now.
    next_time : int
        The next settlement, ms UTC.
    interval_ms : int
        Between two settlements.
    mark, index : float
        The prices now.
    """

    rate: float
    next_time: int
    interval_ms: int
    mark: float
    index: float


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """What is held in a swap by all its holders: ``amount`` in base units, ``value`` in quote, at ``time`` ms UTC."""

    time: int
    amount: float
    value: float


class Swaps(abc.ABC):
    """The part of a market that is about its linear perpetual swaps; every method takes the id of one."""

    seed: int
    instruments: Mapping[str, Instrument]

    @abc.abstractmethod
    def klines(
        self,
        market: str,
        timeframe: str,
        now: int,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> Klines:
        """Return candles as they are known at ``now``."""

    @abc.abstractmethod
    def last(self, market: str, now: int) -> TradeColumns:
        """Return the last trade up to ``now``."""

    @abc.abstractmethod
    def mark_of(self, market: str) -> str:
        """Return the key of the candles that are the swap's mark."""

    @abc.abstractmethod
    def index_of(self, market: str) -> str:
        """Return the key of the candles that are the swap's index."""

    @abc.abstractmethod
    def premium(self, market: str, times: Times) -> Column:
        """Return what the swap costs more than its index, as a fraction, at moments that have passed."""

    @abc.abstractmethod
    def listed(self, market: str) -> int:
        """Return when the first candle of a market opens, ms UTC."""

    def mark_price(self, market: str, now: int) -> float:
        """Return the price by which positions are valued; 0 before there is one."""
        return self._price(self.mark_of(market), now)

    def index_price(self, market: str, now: int) -> float:
        """Return the price of the spot market of the same pair, listed or not; 0 before there is one."""
        return self._price(self.index_of(market), now)

    def _price(self, source: str, now: int) -> float:
        last = self.last(source, now)
        return float(last.price[0]) if len(last) else 0.0

    def mark_klines(
        self,
        market: str,
        timeframe: str,
        now: int,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> Klines:
        """Return candles of the mark price, as `Market.klines` does; their volumes mean nothing."""
        return self.klines(self.mark_of(market), timeframe, now, since=since, until=until, limit=limit)

    def index_klines(
        self,
        market: str,
        timeframe: str,
        now: int,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> Klines:
        """Return candles of the index price, as `Market.klines` does; their volumes mean nothing."""
        return self.klines(self.index_of(market), timeframe, now, since=since, until=until, limit=limit)

    def funding(self, market: str, now: int) -> Funding:
        """Return the rate that is on its way to the next settlement."""
        start = now // FUNDING_MS * FUNDING_MS
        return Funding(
            rate=self._rate(market, start, now),
            next_time=start + FUNDING_MS,
            interval_ms=FUNDING_MS,
            mark=self.mark_price(market, now),
            index=self.index_price(market, now),
        )

    def funding_history(
        self, market: str, now: int, *, since: int | None = None, until: int | None = None, limit: int = 100
    ) -> list[tuple[int, float]]:
        """
        Return the settlements up to ``now``, oldest first: (ms UTC, rate).

        Parameters
        ----------
        since, until : int, optional
            Those in ``[since, until)``, ms. Without ``since`` the newest are returned, with it the oldest.
        limit : int
            How many, at most.
        """
        end = now + 1 if until is None else min(until, now + 1)
        first = self.listed(market) // FUNDING_MS + 1
        start = first if since is None else max(first, -(-since // FUNDING_MS))
        stop = -(-end // FUNDING_MS)
        if since is None:
            start = max(start, stop - limit)
        numbers = range(start, max(start, min(stop, start + limit)))
        return [
            (number * FUNDING_MS, self._rate(market, (number - 1) * FUNDING_MS, number * FUNDING_MS - 1))
            for number in numbers
        ]

    def _rate(self, market: str, start: int, now: int) -> float:
        """Return the rate of the settlement after ``start`` by the minutes of ``[start, now]``."""
        premium = float(self.premium(market, np.arange(start, now + 1, _MINUTE, dtype=np.int64)).mean())
        pull = min(_INTEREST_BAND, max(-_INTEREST_BAND, INTEREST - premium))
        return round(min(FUNDING_CAP, max(-FUNDING_CAP, premium + pull)), 8)

    def open_interest(self, market: str, now: int) -> OpenInterest:
        """Return what is held in the swap: counted every five minutes, valued at the mark price."""
        amount = self._open_amount(market, now // _OPEN_INTEREST_MS * _OPEN_INTEREST_MS)
        return OpenInterest(now, amount, round(amount * self.mark_price(market, now), 8))

    def open_interest_history(
        self,
        market: str,
        timeframe: str,
        now: int,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> list[OpenInterest]:
        """Return `open_interest` as it was at the opens of the candles of ``timeframe``, chosen as `klines` does."""
        candles = self.mark_klines(market, timeframe, now, since=since, until=until, limit=limit).candles
        found = []
        for time, mark in zip(candles.time.tolist(), candles.open.tolist(), strict=True):
            amount = self._open_amount(market, time // _OPEN_INTEREST_MS * _OPEN_INTEREST_MS)
            found.append(OpenInterest(time, amount, round(amount * mark, 8)))
        return found

    def _open_amount(self, market: str, time: int) -> float:
        instrument = self.instruments[market]
        asset = asset_of(instrument.base)
        waves = (
            height * math.sin(math.tau * (time / 3.6e6 / hours + salt(self.seed, "open interest", market, at) / 2**64))
            for at, (hours, height) in enumerate(_WAVES)
        )
        amount = 0.4 * asset.volume / asset.price * (1 + sum(waves))
        return round(max(amount, 10.0**-instrument.amount_decimals), instrument.amount_decimals)

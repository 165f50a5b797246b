"""
Markets made up from a seed.

Every asset has a price in USD whose logarithm walks: day by day towards a mean, with volatility that clusters, and
within a day minute by minute along a bridge between the two ends of the day. A share of each move is BTC's. A market
is one asset's price in another's, so that no route through other markets is a better deal. A perpetual swap costs a
few basis points more or less than the spot market of its pair, in slow waves. Any minute can be had without those
before it, which is why the same seed gives the same candles in whatever order they are asked for.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.model import Candles
from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines, aggregate, describe, join
from tradeutils.sim.catalogue import asset_of
from tradeutils.sim.instruments import Instrument, salt
from tradeutils.sim.market import DAY_MS, Market
from tradeutils.timeframe import Timeframe, Times

__all__ = ["DEFAULT_NOW", "HISTORY_START", "GeneratedMarket"]

HISTORY_START: Final = 1_640_995_200_000
"""2022-01-01: the first candle of every generated market."""
DEFAULT_NOW: Final = 1_748_865_630_000
"""2025-06-02 12:00:30 UTC: where the clock of a generated venue starts, in every run, unless told otherwise."""

K = TypeVar("K")
T = TypeVar("T")

_MINUTE: Final = 60_000
_DAY_BARS: Final = 1_440
_FIRST_DAY: Final = HISTORY_START // DAY_MS
_BLOCK_DAYS: Final = 2_048
_KEPT_DAYS: Final = 1_024  # of candles: 58 kB each
_KEPT_PATHS: Final = 512  # of assets: 12 kB each
_KEPT_LEVELS: Final = 1_024  # of assets: 33 kB each
_SUMMARY_DAYS: Final = 32
_KEPT_SUMMARIES: Final = 4_096  # of 32 days: 4 kB each
_REVERSION: Final = 0.004
_HOURLY: Final = np.array(
    [1.0, 0.95, 0.9, 0.85, 0.8, 0.8, 0.85, 1.0, 1.15, 1.15, 1.1, 1.05, 1.1, 1.4, 1.7, 1.6, 1.45, 1.3, 1.15, 1.05, 1.0,
     1.0, 0.95, 0.95]
)  # fmt: skip  # how much is traded through the day, UTC: most when Europe and America are both awake


_WAVES: Final = ((5.0, 2.5e-4), (29.0, 4e-4), (173.0, 5e-4))  # hours and height of a swap's distance from its index
_SWAP_VOLUME: Final = 2.5  # of that of the spot market


class GeneratedMarket(Market):
    """
    Markets made up from a seed; one-minute candles from `HISTORY_START` on, without end and without a gap.

    Parameters
    ----------
    instruments : iterable of Instrument
        What is traded.
    seed : int
        The same seed gives the same market.

    Notes
    -----
    Nothing is generated before it is asked for. A day of one market takes about 0.3 ms; the last 1024 days made are
    kept (60 MB).
    """

    def __init__(self, instruments: Iterable[Instrument], *, seed: int = 7) -> None:
        listed = tuple(instruments)
        super().__init__(listed, seed=seed, now=DEFAULT_NOW, hidden=_hidden(listed))
        # Each key's share in the distance between swap and index: a mark lies half-way.
        self._shares = {self.mark_of(one.id): (one.id, 0.5) for one in listed if one.kind == "linear"}
        self._shares |= {one.id: (one.id, 1.0) for one in listed if one.kind == "linear"}
        self._frame = _timeframe.parse("1m")
        self._day = _timeframe.parse("1d")
        self._levels: collections.OrderedDict[str, tuple[Column, Column]] = collections.OrderedDict()
        self._paths: collections.OrderedDict[tuple[str, int], Column] = collections.OrderedDict()
        self._minutes: collections.OrderedDict[tuple[str, int], Candles] = collections.OrderedDict()
        self._summaries: collections.OrderedDict[tuple[str, int], Klines] = collections.OrderedDict()

    def frame(self, market: str) -> Timeframe:
        """Return the timeframe that all is made of: a minute."""
        return self._frame

    def spread(self, market: str) -> float:
        """Return the least spread: wider where less is traded."""
        base = asset_of(self._rules[market].base)
        return float(min(3e-3, 0.4 / base.volume**0.5))

    def mark_of(self, market: str) -> str:
        """Return the key of the candles that are the swap's mark."""
        return f"{market}-MARK"

    def index_of(self, market: str) -> str:
        """Return the key of the spot market of the swap's pair, which is generated whether it is listed or not."""
        return self.instruments[market].name

    def listed(self, market: str) -> int:
        """Return when the first candle opens."""
        return HISTORY_START

    def premium(self, market: str, times: Times) -> Column:
        """Return what the swap costs more than its index: three waves whose phases depend on seed and market."""
        hours, total = times / 3.6e6, np.zeros(len(times))
        for number, (period, height) in enumerate(_WAVES):
            total += height * np.sin(np.pi * 2 * (hours / period + salt(self.seed, "premium", market, number) / 2**64))
        return total

    def ordinal(self, market: str, time: int) -> int:
        """Return how many minutes open before ``time``."""
        return max(0, -((HISTORY_START - time) // _MINUTE)) if time > HISTORY_START else 0

    def rows(self, market: str, first: int, last: int) -> Candles:
        """Return the minutes numbered ``[first, last)``."""
        first, last = max(0, first), max(0, first, last)
        days = range(first // _DAY_BARS, max(first // _DAY_BARS + 1, -(-last // _DAY_BARS)))
        parts = [self._day_of(market, _FIRST_DAY + day) for day in days]
        start = days[0] * _DAY_BARS
        return _concatenate(parts)[first - start : last - start]

    def closed(self, market: str, frame: Timeframe, since: int, until: int, limit: int, *, newest: bool) -> Klines:
        """Return at most ``limit`` whole candles of ``frame`` that open in ``[since, until)``, oldest or newest."""
        since = max(frame.floor(HISTORY_START), frame.ceil(since))
        until = frame.ceil(max(since, until))
        if newest:
            since = max(since, frame.shift(until, -limit))
        else:
            until = min(until, frame.shift(since, limit))
        instrument = self._rules[market]
        if self._frame.divides(frame) and limit and since < until:
            if self._day.divides(frame):
                first, last = max(since, HISTORY_START) // DAY_MS, until // DAY_MS
                return aggregate(self._days_between(market, first, last), frame, instrument)
            rows = self.rows(market, self.ordinal(market, since), self.ordinal(market, until))
            return aggregate(describe(rows, instrument), frame, instrument)
        return aggregate(describe(self.rows(market, 0, 0), instrument), frame, instrument)

    def _days_between(self, market: str, first: int, last: int) -> Klines:
        """Return the days numbered ``[first, last)`` since the epoch, each as one candle."""
        blocks = range(first // _SUMMARY_DAYS, -(-last // _SUMMARY_DAYS))
        days = join([self._summary(market, block) for block in blocks])
        start = int(days.candles.time[0]) // DAY_MS
        return days[first - start : last - start]

    def _summary(self, market: str, block: int) -> Klines:
        """Return a block of days as candles; a year of them takes 0.1 s to make, so they are kept."""
        known = self._summaries.get((market, block))
        if known is None:
            instrument, first = self._rules[market], max(_FIRST_DAY, block * _SUMMARY_DAYS)
            minutes = (self._make_day(market, day) for day in range(first, (block + 1) * _SUMMARY_DAYS))
            known = join([aggregate(describe(day, instrument), self._day, instrument) for day in minutes])
            _keep(self._summaries, (market, block), known, _KEPT_SUMMARIES)
        return known

    def _day_of(self, market: str, day: int) -> Candles:
        known = self._minutes.get((market, day))
        if known is None:
            known = self._make_day(market, day)
            _keep(self._minutes, (market, day), known, _KEPT_DAYS)
        return known

    def _make_day(self, market: str, day: int) -> Candles:
        instrument = self._rules[market]
        base = asset_of(instrument.base)
        draws = self._draws("candles", market, day)
        scale = 10.0**instrument.price_decimals
        worth = self._path(instrument.base, day) - self._path(instrument.quote, day)
        swap, share = self._shares.get(market, ("", 0.0))
        if swap:
            ends = day * DAY_MS + np.arange(_DAY_BARS + 1, dtype=np.int64) * _MINUTE
            worth = worth + share * np.log1p(self.premium(swap, ends))
        # The path has the end of the day before in front: every candle opens where the last one closed.
        price = np.maximum(np.rint(np.exp(worth) * scale), 1.0)
        opens, closes = price[:-1], price[1:]
        wick = np.abs(draws.standard_normal((2, _DAY_BARS))) * 0.5 * np.abs(np.diff(worth)).mean()
        high = np.rint(np.maximum(opens, closes) * (1 + wick[0]))
        low = np.maximum(np.rint(np.minimum(opens, closes) * (1 - wick[1])), 1.0)
        moved = np.abs(np.diff(worth))
        usual = np.repeat(_HOURLY, 60) / (_DAY_BARS * _HOURLY.mean())
        busy = usual * draws.lognormal(-0.32, 0.8, _DAY_BARS) * (0.5 + 0.5 * moved / max(moved.mean(), 1e-12))
        volume = base.volume * busy / np.exp(self._path(instrument.base, day)[1:])
        if instrument.quote != "USDT":
            volume *= 0.08  # most is traded against the dollar
        if swap:
            volume *= _SWAP_VOLUME
        digits = instrument.amount_decimals
        return Candles(
            symbol=instrument.symbol,
            timeframe="1m",
            time=day * DAY_MS + np.arange(_DAY_BARS, dtype=np.int64) * _MINUTE,
            open=opens / scale,
            high=high / scale,
            low=low / scale,
            close=closes / scale,
            volume=np.round(np.maximum(volume, 10.0**-digits), digits),
        )

    def _path(self, asset: str, day: int) -> Column:
        """Return the logarithm of an asset's price in USD at the end of the day before, and of each minute of a day."""
        known = self._paths.get((asset, day))
        if known is None:
            known = self._make_path(asset, day)
            _keep(self._paths, (asset, day), known, _KEPT_PATHS)
        return known

    def _make_path(self, asset: str, day: int) -> Column:
        traits = asset_of(asset)
        if traits.volatility == 0.0:
            return np.full(_DAY_BARS + 1, np.log(traits.price))
        levels, swings = self._levels_to(asset, day)
        at = day - _FIRST_DAY
        draws = self._draws("path", asset, day)
        # Quiet and busy stretches: the volatility of quarter-hours is correlated with that of those around them.
        mood = np.convolve(draws.standard_normal(96 + 15), np.exp(-np.arange(16) / 5.0), mode="valid")
        pace = np.exp(0.35 * np.repeat(mood, 15)) * np.repeat(np.sqrt(_HOURLY), 60)
        pace /= np.sqrt((pace**2).sum())
        steps = draws.standard_normal(_DAY_BARS) * pace * swings[at]
        # A bridge: the steps are bent, each by its share of the variance, to arrive where the day must end.
        steps += (levels[at + 1] - levels[at] - steps.sum()) * pace**2
        path = np.empty(_DAY_BARS + 1)
        path[0] = levels[at]
        np.cumsum(steps, out=path[1:])
        path[1:] += levels[at]
        path[-1] = levels[at + 1]
        if asset != "BTC" and traits.beta:
            leader = self._path("BTC", day)
            path += traits.beta * (leader - np.log(asset_of("BTC").price))
        return path

    def _levels_to(self, asset: str, day: int) -> tuple[Column, Column]:
        """
        Return an asset's own level at the end of each day, its mean first, and the size of each day's move.

        A walk has to be walked from its start, so it is walked in blocks of days and kept.
        """
        known = self._levels.get(asset)
        mean, volatility = np.log(asset_of(asset).price), asset_of(asset).volatility
        levels, swings = known or (np.array([mean]), np.empty(0))
        while len(swings) <= day - _FIRST_DAY:
            shocks, nudges = self._draws("days", asset, len(swings)).standard_normal((2, _BLOCK_DAYS))
            # Calm and wild weeks; then the level, drawn towards its mean.
            mood = _walk(np.log(swings[-1] / volatility) if len(swings) else 0.0, 0.94, 0.14 * nudges)
            swing = volatility * np.exp(mood)
            level = mean + _walk(levels[-1] - mean, 1 - _REVERSION, swing * shocks)
            levels, swings = np.concatenate((levels, level)), np.concatenate((swings, swing))
        if known is None or len(known[1]) < len(swings):
            _keep(self._levels, asset, (levels, swings), _KEPT_LEVELS)
        return levels, swings

    def _draws(self, kind: str, name: str, number: int) -> np.random.Generator:
        digest = hashlib.blake2b(f"{self.seed}\x1f{kind}\x1f{name}\x1f{number}".encode(), digest_size=16).digest()
        key: npt.NDArray[np.uint64] = np.frombuffer(digest, dtype="<u8")
        return np.random.Generator(np.random.Philox(key=key))


def _hidden(listed: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return what prices of swaps are made from beside what is listed: marks, and the spot markets of their pairs."""
    made: dict[str, Instrument] = {}
    for one in listed:
        if one.kind == "linear":
            made[f"{one.id}-MARK"] = one
            made[one.name] = dataclasses.replace(one, kind="spot", settle=None)
    return made


def _walk(start: float, keep: float, steps: Column) -> Column:
    """Return x with ``x[t] = keep * x[t - 1] + steps[t]`` from ``start``, summed in one pass."""
    powers = keep ** np.arange(1.0, len(steps) + 1)
    walked: Column = powers * (start + np.cumsum(steps / powers))
    return walked


def _keep(kept: collections.OrderedDict[K, T], key: K, value: T, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def _concatenate(parts: list[Candles]) -> Candles:
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Times | Column] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("time", "open", "high", "low", "close", "volume", "closed")
    }
    return Candles(symbol=parts[0].symbol, timeframe=parts[0].timeframe, **columns)  # type: ignore[arg-type]

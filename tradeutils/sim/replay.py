"""Markets replayed from candles: recorded files, or candles at hand."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.errors import CandleFileError, DataError, UsageError
from tradeutils.history import discover, read_candles
from tradeutils.model import Candles
from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines, aggregate, describe
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import Market
from tradeutils.timeframe import Timeframe, Times

__all__ = ["ReplayMarket", "read_folder"]

_MAX_DECIMALS = 8
_AFTER_MS = 30_000
_SMALLEST = 10.0**-_MAX_DECIMALS


class ReplayMarket(Market):
    """
    Markets whose past is given.

    Candles serve their own timeframe and every coarser one that is made of whole ones; a finer one has no candles.
    What is missing stays missing. A candle that opens off its timeframe's grid is merged into the bar it lies in.

    Parameters
    ----------
    candles : mapping of symbol to Candles
        ``"BTC/USDT"``, or a linear swap such as ``"BTC/USDT:USDT"``; its index is the spot market where that is given
        too. Any other contract is served as the spot market of its pair.
    instruments : iterable of Instrument, optional
        The rules of the markets, and markets without candles beside them. Default: steps that the candles' own
        numbers show, five digits of the price at least, and a least cost of 5 quote units.
    seed : int
        How the trades inside a candle and the book around them are made up.

    Raises
    ------
    UsageError : no candles; two markets of one id.
    DataError : a price that is not positive, or too small for the 8 digits that a venue shows.
    """

    def __init__(
        self, candles: Mapping[str, Candles], *, instruments: Iterable[Instrument] | None = None, seed: int = 7
    ) -> None:
        if not candles:
            raise UsageError("candles was empty; give a folder of candle files, or a mapping of symbol to Candles")
        self._base = {_id_of(symbol): _checked(symbol, series) for symbol, series in candles.items()}
        if len(self._base) < len(candles):
            raise UsageError(f"candles named one market twice: {', '.join(sorted(candles))}; leave one out")
        self._frames = {market: _timeframe.parse(series.timeframe) for market, series in self._base.items()}
        self._resampled: dict[tuple[str, str], Klines] = {}
        made = [_instrument_of(symbol, self._base[_id_of(symbol)]) for symbol in candles]
        given = () if instruments is None else tuple(instruments)
        named = {instrument.id for instrument in given}
        super().__init__((*given, *(one for one in made if one.id not in named)), seed=seed, now=self._end())

    def _end(self) -> int:
        """Return a moment past the end of the last candle, so that no client's clock is in doubt whether it is over."""
        return _AFTER_MS + max(
            self._frames[market].shift(int(series.time[-1])) for market, series in self._base.items()
        )

    def frame(self, market: str) -> Timeframe:
        """Return the timeframe of the candles given."""
        return self._frames.get(market) or _timeframe.parse("1m")

    def mark_of(self, market: str) -> str:
        """Return the swap itself: its mark is its own price."""
        return market

    def index_of(self, market: str) -> str:
        """Return the spot market of the swap's pair where it is replayed too, else the swap itself."""
        spot = self.instruments[market].name
        return spot if spot in self._base else market

    def listed(self, market: str) -> int:
        """Return when the first candle opens; never, without candles."""
        series = self._base.get(market)
        return self.now if series is None else int(series.time[0])

    def premium(self, market: str, times: Times) -> Column:
        """Return what the swap cost more than its index by the candles that had closed; 0 where one had none."""
        swap, index = (self._closes(name, times) for name in (market, self.index_of(market)))
        ratio = np.divide(swap, index, out=np.ones(len(times)), where=(swap > 0) & (index > 0))
        return ratio - 1

    def _closes(self, market: str, times: Times) -> Column:
        """Return the close of the last candle that had closed at each moment, 0 where there was none."""
        series = self._base.get(market)
        if series is None:
            return np.zeros(len(times))
        rows = np.searchsorted(self._frames[market].shift(series.time), times, side="right")
        closes: Column = np.concatenate(([0.0], series.close))[rows]
        return closes

    def ordinal(self, market: str, time: int) -> int:
        """Return how many candles open before ``time``."""
        series = self._base.get(market)
        return 0 if series is None else int(np.searchsorted(series.time, time))

    def rows(self, market: str, first: int, last: int) -> Candles:
        """Return the candles numbered ``[first, last)``."""
        series = self._base.get(market)
        return _empty(self.frame(market)) if series is None else series[max(0, first) : max(0, first, last)]

    def closed(self, market: str, frame: Timeframe, since: int, until: int, limit: int, *, newest: bool) -> Klines:
        """Return at most ``limit`` whole candles of ``frame`` that open in ``[since, until)``, oldest or newest."""
        series = self._in_frame(market, frame)
        first, last = (int(row) for row in np.searchsorted(series.candles.time, (since, until)))
        if newest:
            first = max(first, last - limit)
        return series[first : max(first, min(last, first + limit))]

    def _in_frame(self, market: str, frame: Timeframe) -> Klines:
        """Return a whole series in a timeframe; made once, kept, and so the same in whatever pages it is asked for."""
        known = self._resampled.get((market, frame.name))
        if known is None:
            base, own = self._base.get(market), self.frame(market)
            candles = _empty(frame) if base is None or not own.divides(frame) else base
            instrument = self._rules[market]
            known = aggregate(describe(candles, instrument), frame, instrument)
            self._resampled[market, frame.name] = known
        return known


def _empty(frame: Timeframe) -> Candles:
    nothing = np.empty(0)
    return Candles(
        timeframe=frame.name,
        time=np.empty(0, dtype=np.int64),
        open=nothing,
        high=nothing,
        low=nothing,
        close=nothing,
        volume=nothing,
    )


def _id_of(symbol: str) -> str:
    return "".join(_assets_of(symbol)) + ("-PERP" if _is_swap(symbol) else "")


def _is_swap(symbol: str) -> bool:
    pair, _, settle = symbol.partition(":")
    return bool(settle) and pair.partition("/")[2] == settle


def _assets_of(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("/")
    quote = quote.partition(":")[0]
    if not base or not quote:
        raise UsageError(f'symbol was {symbol!r}; name the markets to replay as "BTC/USDT"')
    return base.upper(), quote.upper()


def _checked(symbol: str, candles: Candles) -> Candles:
    if not isinstance(candles, Candles):
        raise UsageError(
            f"candles of {symbol} were a {type(candles).__name__}; give Candles, or read_candles(path).candles"
        )
    if not len(candles):
        raise UsageError(f"candles of {symbol} were empty; leave the symbol out")
    frame = _timeframe.parse(candles.timeframe)
    if np.any(frame.floor(candles.time) != candles.time):
        candles = candles.resample(frame.name)
    lowest = float(np.min([candles.open, candles.high, candles.low, candles.close]))
    if not lowest >= _SMALLEST:
        raise DataError(f"candles of {symbol} have a price of {lowest}; a venue shows 8 digits, so scale them first")
    if np.isnan(candles.volume).any():  # not known: the venue says that nothing was traded
        columns = {name: getattr(candles, name) for name in ("time", "open", "high", "low", "close")}
        volume = np.nan_to_num(candles.volume, nan=0.0)
        candles = Candles(symbol=candles.symbol, timeframe=candles.timeframe, **columns, volume=volume)
    return candles


def _instrument_of(symbol: str, candles: Candles) -> Instrument:
    base, quote = _assets_of(symbol)
    shown = max(_digits(getattr(candles, name)) for name in ("open", "high", "low", "close"))
    # Round numbers do not mean a coarse step: five digits of the price are always told apart.
    price = max(shown, min(_MAX_DECIMALS, 4 - math.floor(math.log10(float(candles.close[-1])))))
    amount = _digits(candles.volume)
    return Instrument(
        base=base,
        quote=quote,
        price_decimals=price,
        amount_decimals=amount,
        min_amount=Decimal(1).scaleb(-amount),
        min_cost=Decimal("0.0001") if quote == "BTC" else Decimal(5),
        listed=int(candles.time[0]),
        kind="linear" if _is_swap(symbol) else "spot",
        settle=quote if _is_swap(symbol) else None,
    )


def _digits(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> int:
    """Return how many digits after the point the numbers have, 8 at most; float noise is no digit."""
    for digits in range(_MAX_DECIMALS):
        if np.allclose(np.round(values, digits), values, rtol=1e-12, atol=0.0):
            return digits
    return _MAX_DECIMALS


def read_folder(folder: str | os.PathLike[str]) -> dict[str, Candles]:
    """
    Read every candle file of a folder; of several files of one symbol the finest timeframe.

    Raises
    ------
    CandleFileError : a file that cannot be read, or whose name tells no symbol; a folder without candle files.
    """
    chosen: dict[str, Candles] = {}
    for path, symbol, _ in discover(folder):
        if not symbol:
            problem = "its name tells no symbol; name it as in BTCUSDT-1m.csv, or give a mapping of symbol to Candles"
            raise CandleFileError(str(path), problem)
        candles = read_candles(path, symbol=symbol).candles
        known = chosen.get(symbol)
        if known is None or _length(candles) < _length(known):
            chosen[symbol] = candles
    if not chosen:
        raise CandleFileError(str(pathlib.Path(folder)), "holds no candle files (.csv, .json, .feather, .parquet)")
    return chosen


def _length(candles: Candles) -> int:
    return _timeframe.parse(candles.timeframe).nominal_ms

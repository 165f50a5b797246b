"""
Which markets a screen keeps, and why it rejects the others: decisions on values at hand, without a request.

Cheap questions come first: what the market list tells, then the ticker, then daily candles.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args, overload

import numpy as np

from tradeutils.errors import UnknownName, UsageError
from tradeutils.exchange.checks import check_limit
from tradeutils.model import Candles, Market, Ticker
from tradeutils.model.markets import MarketType

__all__ = [
    "Criteria",
    "Figures",
    "Screened",
    "SortKey",
    "by_candles",
    "by_market",
    "by_ticker",
    "criteria_of",
    "ranked",
]

SortKey: TypeAlias = Literal["quote_volume", "spread", "price", "volatility", "age_days", "correlation", "symbol"]

DAY_MS: Final = 86_400_000
_ASCENDING: Final = ("spread", "symbol")  # of the others the largest comes first
_FEWEST: Final = 3  # returns, of which a deviation says anything
_CANDLE_KEYS: Final = ("volatility", "correlation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What is known of a market; ``None``: not known, or not asked for.

    Attributes
    ----------
    price : float or None
        The last one, else the middle of bid and ask.
    quote_volume : float or None
        Of 24 hours, in the market's quote currency.
    spread : float or None
        Ask minus bid, as a fraction of their middle.
    age_days : float or None
        Since trading began; where the venue does not say, and only if it is bounded, since the oldest daily candle
        of those that decide it.
    volatility : float or None
        Standard deviation of daily log returns: 0.03 is 3 % a day.
    correlation : float or None
        Of daily log returns with those of the base.
    """

    price: float | None = None
    quote_volume: float | None = None
    spread: float | None = None
    age_days: float | None = None
    volatility: float | None = None
    correlation: float | None = None


class Screened(Sequence[str]):
    """
    The symbols that a screen kept, best first: a sequence of str.

    Attributes
    ----------
    rejected : mapping of str to str
        Every other market that was looked at, and why it is not among them.
    figures : mapping of str to Figures
        What is known of those kept.
    """

    def __init__(self, symbols: Iterable[str], rejected: Mapping[str, str], figures: Mapping[str, Figures]) -> None:
        self._symbols = tuple(symbols)
        self.rejected = MappingProxyType(dict(rejected))
        self.figures = MappingProxyType(dict(figures))

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...
    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        return self._symbols[at]

    def __len__(self) -> int:
        return len(self._symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __eq__(self, other: object) -> bool:
        """Compare with any list or tuple of symbols."""
        if isinstance(other, str) or not isinstance(other, Sequence):
            return NotImplemented
        return self._symbols == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        return f"<Screened {len(self)} kept, {len(self.rejected)} rejected: {', '.join(self._symbols[:5])}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a market must be; ``None`` and empty ask nothing. `criteria_of` checks them."""

    quote: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    type: tuple[MarketType, ...] = ("spot",)
    active: bool | None = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_quote_volume: float | None = None
    max_quote_volume: float | None = None
    max_spread: float | None = None
    min_price: float | None = None
    max_price: float | None = None
    min_age_days: float | None = None
    max_age_days: float | None = None
    min_volatility: float | None = None
    max_volatility: float | None = None
    min_correlation: float | None = None
    max_correlation: float | None = None
    correlation_to: str | None = None
    window: int = 30
    sort_by: SortKey = "quote_volume"
    limit: int | None = None

    @property
    def needs_returns(self) -> bool:
        """Whether daily returns are asked about."""
        bounds = (self.min_volatility, self.max_volatility, self.correlation_to)
        return self.sort_by in _CANDLE_KEYS or any(bound is not None for bound in bounds)

    @property
    def asks_age(self) -> bool:
        """Whether a market's age is bounded."""
        return self.min_age_days is not None or self.max_age_days is not None

    def days(self, *, age: bool) -> int:
        """Return how many daily candles decide; ``age``: of markets whose age the venue does not tell."""
        wanted = self.window + 1 if self.needs_returns else 0
        bound = max(self.min_age_days or 0, self.max_age_days or 0)
        return max(wanted, math.ceil(bound) + 1) if age and self.asks_age else wanted


def criteria_of(**given: Any) -> Criteria:
    """
    Return criteria, checked.

    Raises
    ------
    UsageError : a bound that is no number or negative, a minimum above its maximum, names that are no strings.
    UnknownName : no such type or sort key.
    """
    names = ("quote", "base", "type", "include", "exclude")
    texts = {name: _names(name, given.pop(name, None)) for name in names}
    for kind in texts["type"]:
        if kind not in get_args(MarketType):
            raise UnknownName("type", kind, get_args(MarketType))
    if not texts["type"]:
        texts["type"] = ("spot",)
    bounds = [field.name for field in dataclasses.fields(Criteria) if field.name.startswith(("min_", "max_"))]
    for name in bounds:
        given[name] = _bound(name, given.get(name))
    for name in bounds:
        other = "max_" + name[4:]
        least, most = given[name], given.get(other)
        if name.startswith("min_") and least is not None and most is not None and least > most:
            raise UsageError(f"{name} was {least:g} and {other} {most:g}, so that nothing fits; the former is the less")
    made = Criteria(**texts, **given)  # type: ignore[arg-type]  # checked above
    _check_rest(made)
    return dataclasses.replace(made, limit=check_limit(made.limit))


def _check_rest(asked: Criteria) -> None:
    if asked.active is not None and not isinstance(asked.active, bool):
        raise UsageError(f"active was {asked.active!r}; write True, False, or None for either")
    if isinstance(asked.window, bool) or not isinstance(asked.window, int) or asked.window < _FEWEST:
        raise UsageError(f"window was {asked.window!r}; write a whole number of days from {_FEWEST}")
    if asked.sort_by not in get_args(SortKey):
        raise UnknownName("sort_by", asked.sort_by, get_args(SortKey))
    base = asked.correlation_to
    if base is not None and not isinstance(base, str):
        raise UsageError(f"correlation_to was a {type(base).__name__}; write a symbol: 'BTC/USDT'")
    wants = [name for name in ("min_correlation", "max_correlation") if getattr(asked, name) is not None]
    if asked.sort_by == "correlation":
        wants.append("sort_by")
    if wants and base is None:
        raise UsageError(f"{wants[0]} was given without correlation_to; write to what: correlation_to='BTC/USDT'")


def _names(name: str, given: Any) -> tuple[str, ...]:
    """Return one string or several as a tuple."""
    if given is None:
        return ()
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [one for one in found if not isinstance(one, str) or not one]
    if wrong:
        raise UsageError(f"{name} had {wrong[0]!r:.60}; write a string, or a list of them")
    return found


def _bound(name: str, given: Any) -> float | None:
    if given is None:
        return None
    signed = name.endswith("_correlation")
    try:
        number = float(given) if isinstance(given, int | float | Decimal | np.integer | np.floating) else math.nan
    except (OverflowError, ValueError):  # larger than any float, a Decimal that signals
        number = math.nan
    if isinstance(given, bool) or not (-1 if signed else 0) <= number <= (1 if signed else sys.float_info.max):
        raise UsageError(f"{name} was {given!r:.60}; write a number {'from -1 to 1' if signed else 'from 0'}")
    return number


def by_market(market: Market, asked: Criteria) -> str | None:
    """Return why the market list rejects a market, or ``None``."""
    if asked.quote and market.quote not in asked.quote:
        return f"quote is {market.quote}, not {' or '.join(asked.quote)}"
    if asked.base and market.base not in asked.base:
        return f"base is {market.base}, not {' or '.join(asked.base)}"
    if market.type not in asked.type:
        return f"type is {market.type}, not {' or '.join(asked.type)}"
    if asked.active is not None and market.active != asked.active:
        return "is not active" if asked.active else "is active"
    if asked.include and not any(fnmatch.fnmatchcase(market.symbol, pattern) for pattern in asked.include):
        return f"matches none of include: {', '.join(asked.include)}"
    hit = next((pattern for pattern in asked.exclude if fnmatch.fnmatchcase(market.symbol, pattern)), None)
    return None if hit is None else f"matches exclude: {hit}"


def by_ticker(market: Market, ticker: Ticker | None, now: int, asked: Criteria) -> tuple[Figures, str | None]:
    """Return what a ticker and the market tell, and why they reject it, or ``None``."""
    if ticker is None:
        return Figures(), "has no ticker"
    figures = Figures(
        price=_price(ticker),
        quote_volume=_quote_volume(ticker),
        spread=_spread(ticker),
        age_days=None if market.listed is None else (now - market.listed) / DAY_MS,
    )
    return figures, _outside(figures, asked, ("quote_volume", "spread", "price"), market.quote) or (
        None if figures.age_days is None else _outside(figures, asked, ("age_days",), market.quote)
    )


def _price(ticker: Ticker) -> float | None:
    if ticker.last is not None:
        return ticker.last
    return (ticker.bid + ticker.ask) / 2 if ticker.bid and ticker.ask else None  # 0: an empty side


def _quote_volume(ticker: Ticker) -> float | None:
    """Return the volume in quote, reckoned from that in base where the venue tells only this."""
    if ticker.quote_volume is not None:
        return ticker.quote_volume
    price = ticker.vwap if ticker.vwap is not None else ticker.last
    return None if ticker.base_volume is None or price is None else ticker.base_volume * price


def _spread(ticker: Ticker) -> float | None:
    bid, ask = ticker.bid, ticker.ask
    if bid is None or ask is None or not 0 < bid <= ask:  # 0: an empty side; crossed: two moments
        return None
    return (ask - bid) / ((ask + bid) / 2)


def _outside(figures: Figures, asked: Criteria, names: Sequence[str], quote: str) -> str | None:
    """Return which of some figures lies outside its bounds, or is not known though it is asked about."""
    for name in names:
        least, most = getattr(asked, f"min_{name}", None), getattr(asked, f"max_{name}", None)
        value: float | None = getattr(figures, name)
        told, unit = name.replace("_", " "), f" {quote}" if name in ("quote_volume", "price") else ""
        if least is None and most is None:
            continue
        if value is None or math.isnan(value):
            return f"{told} is not known"
        if least is not None and value < least:
            return f"{told} is {value:.6g}{unit}, less than {least:.6g}"
        if most is not None and value > most:
            return f"{told} is {value:.6g}{unit}, more than {most:.6g}"
    return None


def by_candles(
    figures: Mapping[str, Figures], candles: Mapping[str, Candles], base: Candles | None, asked: Criteria, now: int
) -> tuple[dict[str, Figures], dict[str, str]]:
    """
    Return what daily candles add to each market's figures, and why they reject some.

    A pass over all candles: to be run in a thread where there are many.
    """
    base_returns = None if base is None else _returns(base, asked.window, now)
    found: dict[str, Figures] = {}
    rejected: dict[str, str] = {}
    for symbol, known in figures.items():
        made, reason = _with_candles(known, candles[symbol], base_returns, asked, now)
        if reason is None:
            found[symbol] = made
        else:
            rejected[symbol] = reason
    return found, rejected


def _with_candles(
    known: Figures, candles: Candles, base: dict[int, float] | None, asked: Criteria, now: int
) -> tuple[Figures, str | None]:
    age = known.age_days
    if age is None and asked.asks_age and len(candles):
        age = (now - int(candles.time[0])) / DAY_MS
    volatility = correlation = None
    if asked.needs_returns:
        returns = _returns(candles, asked.window, now)
        if len(returns) < max(_FEWEST, asked.window / 2):
            return known, f"has {len(returns)} daily returns of {asked.window}, too few to judge"
        volatility = float(np.std(np.fromiter(returns.values(), np.float64), ddof=1))
        correlation = None if base is None else _correlation(returns, base)
    made = dataclasses.replace(known, age_days=age, volatility=volatility, correlation=correlation)
    return made, _outside(made, asked, ("age_days", "volatility", "correlation"), "")


def _returns(candles: Candles, window: int, now: int) -> dict[int, float]:
    """Return the log returns of the ``window`` days before this one by the day on which they end; not across holes."""
    recent = candles.time >= now - now % DAY_MS - (window + 1) * DAY_MS
    time, close = candles.time[recent], candles.close[recent]
    good = (close > 0) & np.isfinite(close)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.diff(np.log(np.where(good, close, np.nan)))
    steps = np.where(np.diff(time) == DAY_MS, steps, np.nan)
    there = ~np.isnan(steps)
    return dict(zip(time[1:][there].tolist(), steps[there].tolist(), strict=True))


def _correlation(returns: Mapping[int, float], base: Mapping[int, float]) -> float | None:
    """Return Pearson's correlation over the days that both have; ``None`` where it is not defined."""
    common = [day for day in returns if day in base]
    if len(common) < _FEWEST:
        return None
    mine, theirs = np.array([returns[day] for day in common]), np.array([base[day] for day in common])
    mine, theirs = mine - mine.mean(), theirs - theirs.mean()
    scale = math.sqrt(float(mine @ mine) * float(theirs @ theirs))
    return None if scale == 0 else max(-1.0, min(1.0, float(mine @ theirs) / scale))


def ranked(figures: Mapping[str, Figures], asked: Criteria) -> tuple[list[str], dict[str, str]]:
    """Return the symbols best first, ties by name and unknown last, and those beyond the limit with the reason."""
    key = asked.sort_by

    def place(symbol: str) -> tuple[bool, float, str]:
        value = 0.0 if key == "symbol" else getattr(figures[symbol], key)
        if value is None:
            return True, 0.0, symbol
        return False, value if key in _ASCENDING else -value, symbol

    order = sorted(figures, key=place)
    kept = order if asked.limit is None else order[: asked.limit]
    reason = f"is not among the first {asked.limit} by {key.replace('_', ' ')}"
    return kept, dict.fromkeys(order[len(kept) :], reason)

"""What a screen decides on values at hand."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import UnknownName, UsageError
from tradeutils.exchange.tickers.screening import (
    DAY_MS,
    Figures,
    Screened,
    by_candles,
    by_market,
    by_ticker,
    criteria_of,
    ranked,
)

NOW = 400 * DAY_MS + 3_600_000


def market(symbol: str = "BTC/USDT", **more: Any) -> tu.Market:
    """Return a market of this symbol."""
    base, quote = symbol.split(":")[0].split("/")
    return tu.Market(**{"symbol": symbol, "id": base + quote, "base": base, "quote": quote, **more})


def ticker(**figures: float | None) -> tu.Ticker:
    """Return a ticker of these figures."""
    return tu.Ticker(symbol="BTC/USDT", **figures)  # type: ignore[arg-type]


def daily(closes: list[float], *, missing: tuple[int, ...] = ()) -> tu.Candles:
    """Return daily candles that end yesterday, without the rows named."""
    first = 400 - len(closes)
    rows = [[(first + i) * DAY_MS, c, c, c, c, 1.0] for i, c in enumerate(closes) if i not in missing]
    return tu.Candles.from_rows(rows, timeframe="1d", symbol="BTC/USDT")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"quote": "USDC"}, "quote is USDT, not USDC"),
        ({"base": ["ETH", "SOL"]}, "base is BTC, not ETH or SOL"),
        ({"type": "swap"}, "type is spot, not swap"),
        ({"active": False}, "is active"),
        ({"include": "ETH/*"}, "matches none of include: ETH/*"),
        ({"exclude": ["*UP/*", "BTC/*"]}, "matches exclude: BTC/*"),
        ({"quote": ["USDC", "USDT"], "include": "B?C/*", "active": None}, None),
    ],
)
def test_the_market_list_rejects_with_a_reason(asked: dict[str, Any], reason: str | None) -> None:
    """Each criterion names what the market is and what it should be."""
    assert by_market(market(), criteria_of(**asked)) == reason


def test_a_halted_market_is_rejected_unless_asked_for() -> None:
    """Trading must be on by default."""
    halted = market(active=False)
    assert by_market(halted, criteria_of()) == "is not active"
    assert by_market(halted, criteria_of(active=False)) is None
    assert by_market(halted, criteria_of(active=None)) is None


def test_patterns_tell_upper_from_lower_case() -> None:
    """A symbol is matched as it is written."""
    assert by_market(market(), criteria_of(include="btc/*")) is not None


@pytest.mark.parametrize(
    ("figures", "asked", "reason"),
    [
        ({"quote_volume": 5.0}, {"min_quote_volume": 10}, "quote volume is 5 USDT, less than 10"),
        ({"quote_volume": 50.0}, {"max_quote_volume": 10}, "quote volume is 50 USDT, more than 10"),
        ({}, {"min_quote_volume": 0}, "quote volume is not known"),
        ({"bid": 99.0, "ask": 101.0}, {"max_spread": 0.01}, "spread is 0.02, more than 0.01"),
        ({"bid": None, "ask": 101.0}, {"max_spread": 0.01}, "spread is not known"),
        ({"bid": 0.0, "ask": 101.0}, {"max_spread": 3.0}, "spread is not known"),
        ({"bid": 102.0, "ask": 101.0}, {"max_spread": 0.01}, "spread is not known"),
        ({"last": 4.0}, {"min_price": 5}, "price is 4 USDT, less than 5"),
        ({"last": math.nan}, {"max_price": 5}, "price is not known"),
        ({"bid": 4.0, "ask": 6.0}, {"min_price": 5, "max_price": Decimal(5)}, None),
        ({"bid": 0.0, "ask": 6.0}, {"max_price": 5}, "price is not known"),
        ({"base_volume": 2.0, "vwap": 5.0}, {"min_quote_volume": 10}, None),
        ({"base_volume": 2.0, "last": 6.0}, {"min_quote_volume": 12, "max_quote_volume": 12}, None),
    ],
)
def test_a_ticker_rejects_with_a_figure(
    figures: dict[str, float | None], asked: dict[str, Any], reason: str | None
) -> None:
    """A figure out of bounds is told with the bound; one that nobody knows rejects only where it is asked about."""
    assert by_ticker(market(), ticker(**figures), NOW, criteria_of(**asked))[1] == reason


def test_a_market_without_a_ticker_is_rejected() -> None:
    """The venue lists it and tells nothing of it."""
    assert by_ticker(market(), None, NOW, criteria_of())[1] == "has no ticker"


def test_the_market_list_tells_the_age() -> None:
    """Where it does, no candle decides."""
    young = market(listed=NOW - 3 * DAY_MS)
    assert by_ticker(young, ticker(), NOW, criteria_of(min_age_days=4))[1] == "age days is 3, less than 4"
    assert by_ticker(young, ticker(), NOW, criteria_of(min_age_days=3))[0].age_days == 3
    assert by_ticker(market(), ticker(), NOW, criteria_of(min_age_days=4))[1] is None  # left to the candles


def test_candles_tell_the_age_where_the_list_does_not() -> None:
    """The oldest daily candle counts, of as many as decide."""
    asked = criteria_of(min_age_days=5)
    assert asked.days(age=True) == 6
    assert asked.days(age=False) == 0
    found, rejected = by_candles(
        {"A": Figures(), "B": Figures()}, {"A": daily([1.0] * 6), "B": daily([1.0] * 3)}, None, asked, NOW
    )
    assert found["A"].age_days == pytest.approx(6 + 1 / 24)
    assert rejected["B"].startswith("age days is 3.04167, less than 5")


def test_volatility_is_the_deviation_of_daily_log_returns() -> None:
    """Of the last days of the window, with n - 1, not annualised."""
    closes = [100.0, 500.0, 100.0, 110.0, 99.0, 120.0, 118.0]
    asked = criteria_of(window=4, min_volatility=0)
    found, _ = by_candles({"A": Figures()}, {"A": daily(closes)}, None, asked, NOW)
    assert found["A"].volatility == pytest.approx(np.std(np.diff(np.log(closes[-5:])), ddof=1), rel=1e-14)


def test_days_apart_have_no_return() -> None:
    """A day without a candle takes two returns with it; too few are no judgement."""
    asked = criteria_of(window=4, min_volatility=0)
    closes = [100.0, 101.0, 103.0, 102.0, 105.0, 104.0]
    found, _ = by_candles({"A": Figures()}, {"A": daily(closes, missing=(1,))}, None, asked, NOW)
    assert found["A"].volatility == pytest.approx(np.std(np.diff(np.log(closes[2:])), ddof=1), rel=1e-14)
    _, rejected = by_candles({"A": Figures()}, {"A": daily(closes, missing=(3,))}, None, asked, NOW)
    assert rejected == {"A": "has 2 daily returns of 4, too few to judge"}
    _, rejected = by_candles({"A": Figures()}, {"A": daily([])}, None, asked, NOW)
    assert rejected == {"A": "has 0 daily returns of 4, too few to judge"}


def test_correlation_is_over_common_days() -> None:
    """It equals Pearson's; a market that never moves has none, and is rejected where it is bounded."""
    closes, base = [100.0, 103.0, 101.0, 108.0, 104.0], [50.0, 52.0, 51.0, 55.0, 52.0]
    asked = criteria_of(window=4, correlation_to="B", min_correlation=-1)
    candles = {"A": daily(closes), "B": daily(base), "C": daily([7.0] * 5)}
    found, rejected = by_candles(dict.fromkeys("ABC", Figures()), candles, candles["B"], asked, NOW)
    expected = np.corrcoef(np.diff(np.log(closes)), np.diff(np.log(base)))[0, 1]
    assert found["A"].correlation == pytest.approx(expected, rel=1e-12)
    assert found["B"].correlation == pytest.approx(1.0)
    assert rejected == {"C": "correlation is not known"}


def test_bad_prices_are_no_returns() -> None:
    """Zero, negative and missing closes neither warn nor count."""
    asked = criteria_of(window=4, min_volatility=0)
    _, rejected = by_candles({"A": Figures()}, {"A": daily([0.0, -1.0, math.nan, 1.0, 2.0])}, None, asked, NOW)
    assert rejected == {"A": "has 1 daily returns of 4, too few to judge"}


def test_the_order_is_best_first_and_the_same_every_time() -> None:
    """Largest first, for the spread the least; ties by name, unknown last."""
    known = {
        "D": Figures(quote_volume=None),
        "C": Figures(quote_volume=5.0, spread=0.3),
        "B": Figures(quote_volume=9.0, spread=0.2),
        "A": Figures(quote_volume=5.0, spread=0.1),
    }
    assert ranked(known, criteria_of())[0] == ["B", "A", "C", "D"]
    assert ranked(known, criteria_of(sort_by="spread"))[0] == ["A", "B", "C", "D"]
    assert ranked(known, criteria_of(sort_by="symbol"))[0] == ["A", "B", "C", "D"]
    kept, rejected = ranked(known, criteria_of(limit=2))
    assert kept == ["B", "A"]
    assert rejected == dict.fromkeys(("C", "D"), "is not among the first 2 by quote volume")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"min_price": -1}, "min_price was -1; write a number from 0"),
        ({"max_price": 10**400}, "max_price was 1000"),
        ({"max_price": Decimal("sNaN")}, "max_price was Decimal"),
        ({"max_price": np.complex128(1)}, "; write a number from 0"),
        ({"max_spread": math.nan}, "max_spread was nan"),
        ({"max_spread": "0.1"}, "max_spread was '0.1'"),
        ({"min_age_days": True}, "min_age_days was True"),
        ({"min_price": 3, "max_price": 2}, "min_price was 3 and max_price 2"),
        ({"quote": 3}, "quote had 3; write a string"),
        ({"include": ["BTC/*", ""]}, "include had ''"),
        ({"min_correlation": 0.5}, "without correlation_to"),
        ({"sort_by": "correlation"}, "without correlation_to"),
        ({"min_correlation": 2, "correlation_to": "BTC/USDT"}, "from -1 to 1"),
        ({"correlation_to": 5}, "correlation_to was a int; write a symbol"),
        ({"window": 2}, "window was 2"),
        ({"limit": 0}, "limit was 0"),
        ({"active": "yes"}, "active was 'yes'"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_request(given: dict[str, Any], told: str) -> None:
    """The parameter, its value, and what to write."""
    with pytest.raises(UsageError) as caught:
        criteria_of(**given)
    assert told in str(caught.value)


def test_unknown_types_and_keys_name_the_known_ones() -> None:
    """A typing error does not reject everything in silence."""
    with pytest.raises(UnknownName, match="spot"):
        criteria_of(type="spto")
    with pytest.raises(UnknownName, match="quote_volume"):
        criteria_of(sort_by="qoute_volume")


def test_the_result_is_a_sequence_of_symbols() -> None:
    """It compares with lists, slices, and can be handed to fetch_panel."""
    found = Screened(["A", "B", "C"], {"D": "is not active"}, {"A": Figures(price=1.0)})
    assert found == ["A", "B", "C"]
    assert found != ["A"]
    assert found != "ABC"
    assert (found[0], found[1:], list(found), len(found), "B" in found) == ("A", ("B", "C"), ["A", "B", "C"], 3, True)
    assert "3 kept, 1 rejected" in repr(found)
    with pytest.raises(TypeError):
        found.rejected["A"] = "no"  # type: ignore[index]

"""Laws of rounding: exact, idempotent, in the direction asked for, within a step, and what ccxt would send."""

from __future__ import annotations

import decimal
from decimal import Decimal, localcontext
from typing import Any

import pytest
from ccxt.base.decimal_to_precision import (
    DECIMAL_PLACES,
    ROUND,
    SIGNIFICANT_DIGITS,
    TICK_SIZE,
    TRUNCATE,
    decimal_to_precision,
)
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import errors
from tradeutils.model import Market

directions = st.sampled_from(["down", "up", "nearest"])
numbers = st.builds(lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 10**18), st.integers(0, 14))
steps = st.one_of(
    st.integers(0, 12).map(lambda places: Decimal(1).scaleb(-places)),
    st.sampled_from([Decimal("0.5"), Decimal("0.25"), Decimal(5), Decimal(10), Decimal("0.0005"), Decimal("0.003")]),
)


def _market(**rules: Any) -> Market:
    return Market(symbol="A/B", id="AB", base="A", quote="B", **rules)


def _rounded(round_: Any, value: Decimal, direction: str) -> Decimal:
    """Return what a number is rounded to; zero where that is refused."""
    try:
        result: Decimal = round_(value, direction)
    except errors.UsageError:
        return Decimal(0)
    return result


@given(numbers, steps, directions)
def test_rounding_to_a_step_keeps_its_promises(value: Decimal, step: Decimal, direction: Any) -> None:
    """A multiple of the step, less than one away, on the side asked for; and rounded again it stays."""
    market = _market(amount_step=step)
    found = _rounded(market.round_amount, value, direction)
    with localcontext() as wide:
        wide.prec = 100
        assert found % step == 0
        assert abs(found - value) < step
        assert found <= value or direction != "down"
        assert found >= value or direction != "up"
        assert abs(found - value) * 2 <= step or direction != "nearest"
    if found:
        assert market.round_amount(found, direction) == found
    else:
        assert direction != "up"


@given(numbers, st.integers(1, 12), directions, st.booleans())
def test_rounding_to_digits_keeps_its_promises(value: Decimal, digits: int, direction: Any, whole: bool) -> None:
    """No more significant digits than asked for, on the side asked for; whole prices keep theirs."""
    market = _market(price_digits=digits, whole_prices=whole)
    found = market.round_price(value, direction)
    assert len(found.normalize(decimal.Context(prec=100)).as_tuple().digits) <= digits or (
        whole and found == int(found)
    )
    assert found <= value or direction != "down"
    assert found >= value or direction != "up"
    assert market.round_price(found, direction) == found


@given(numbers, st.integers(0, 12), steps)
def test_rounding_is_what_ccxt_sends(value: Decimal, places: int, step: Decimal) -> None:
    """Down is its truncation, nearest its rounding; where its own arithmetic, of 28 digits, is exact."""
    text = format(value, "f")
    unit = Decimal(1).scaleb(-places)
    with localcontext(decimal.Context(prec=60)):
        for mode, precision, size in ((DECIMAL_PLACES, places, unit), (TICK_SIZE, step, step)):
            market = _market(price_step=size)
            assert _rounded(market.round_price, value, "down") == Decimal(
                decimal_to_precision(text, TRUNCATE, precision, mode)
            )
            assert _rounded(market.round_price, value, "nearest") == Decimal(
                decimal_to_precision(text, ROUND, precision, mode)
            )


@given(numbers, st.integers(1, 12))
def test_rounding_to_digits_is_what_ccxt_sends(value: Decimal, digits: int) -> None:
    """On bitfinex and its like; but midway between two whole prices we take the upper one there as everywhere."""
    market = _market(price_digits=digits)
    with localcontext(decimal.Context(prec=60)):
        theirs = Decimal(decimal_to_precision(format(value, "f"), ROUND, digits, SIGNIFICANT_DIGITS))
        step = Decimal(1).scaleb(value.adjusted() - digits + 1)
        if step > 1 and value % step == step / 2:
            assert theirs == value - step / 2
            theirs += step
    assert market.round_price(value, "nearest") == theirs


def test_midway_between_two_prices_is_the_upper_one() -> None:
    """Whatever is cut: digits of whole prices or of fractions, or steps."""
    assert _market(price_digits=3).round_price(Decimal(6885), "nearest") == 6890
    assert _market(price_digits=3).round_price(Decimal("6.885"), "nearest") == Decimal("6.89")
    assert _market(price_step=Decimal(10)).round_price(Decimal(6885), "nearest") == 6890


@given(numbers, steps, directions, st.integers(1, 5))
def test_the_applications_own_context_changes_nothing(
    value: Decimal, step: Decimal, direction: Any, precision: int
) -> None:
    """Neither its precision, nor its rounding, nor its traps."""
    market = _market(amount_step=step, price_step=step, price_digits=7)
    expected = _rounded(market.round_amount, value, direction), _rounded(market.round_price, value, direction)
    traps = [decimal.Inexact, decimal.Rounded, decimal.Subnormal, decimal.FloatOperation, decimal.InvalidOperation]
    with localcontext(decimal.Context(prec=precision, rounding=decimal.ROUND_UP, Emax=9, Emin=-9, traps=traps)):
        found = _rounded(market.round_amount, value, direction), _rounded(market.round_price, value, direction)
    assert found == expected


@pytest.mark.parametrize(
    "value", [0.1, "1", 1, None, Decimal(0), Decimal(-1), Decimal("-0"), Decimal("NaN"), Decimal("sNaN"),
              Decimal("Infinity"), Decimal("1E+999999"), Decimal("1E-999999")]
)  # fmt: skip
def test_what_is_no_amount_is_not_rounded(value: Any) -> None:
    """It would become something that nobody asked for."""
    market = _market(amount_step=Decimal(1), price_step=Decimal(1))
    with pytest.raises(errors.UsageError, match="amount was"):
        market.round_amount(value)
    with pytest.raises(errors.UsageError, match="price was"):
        market.round_price(value, "up")


def test_a_number_of_two_steps_equally_near_goes_up() -> None:
    """As ccxt does it; and a market without steps takes every number."""
    assert _market(amount_step=Decimal("0.1")).round_amount(Decimal("0.25"), "nearest") == Decimal("0.3")
    assert _market(amount_step=Decimal("0.1")).round_amount(Decimal("0.35"), "nearest") == Decimal("0.4")
    assert _market().round_amount(Decimal("0.123456789")) == Decimal("0.123456789")
    assert _market().round_price(Decimal("0.123456789"), "down") == Decimal("0.123456789")

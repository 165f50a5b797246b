"""
Numbers of orders, rounded to what a market takes: exact, whatever precision the application has set for its Decimals.

The arithmetic is done in a context of its own, wide enough for every step and every number that is let in, so that
nothing is rounded twice.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final, Literal, TypeAlias, get_args

from tradeutils.errors import UsageError

__all__ = ["EXACT", "Rounding", "check_amount", "check_direction", "to_digits", "to_step"]

Rounding: TypeAlias = Literal["down", "up", "nearest"]
"""``"down"``: towards zero; ``"up"``: away from it; ``"nearest"``: the nearer step, of two equally near the upper."""

# No traps and no bounds on exponents: a number that is let in has at most `_MOST_DIGITS` before and after its point.
EXACT: Final = Context(prec=400, Emin=-100_000, Emax=100_000, traps=[])
_MOST_DIGITS: Final = 60  # before or after the point; more is a mistake, and 1E+999999 would be a million characters
_DIRECTIONS: Final = get_args(Rounding)


def check_direction(direction: object, name: str = "direction") -> None:
    """Raise `UsageError` for what is no `Rounding`."""
    if direction not in _DIRECTIONS:
        raise UsageError(f'{name} was {direction!r}; write "down", "up" or "nearest"')


def check_amount(name: str, value: object) -> Decimal:
    """
    Return a number of an order: a Decimal above zero, of at most 60 digits before and after the point.

    Raises
    ------
    UsageError : it is something else; floats are refused, as most of them are not what they look like.
    """
    if not isinstance(value, Decimal):
        shown = repr(value) if isinstance(value, int | float | str) else type(value).__name__
        example = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else "0.01"
        raise UsageError(f'{name} was {shown:.60}, not a Decimal; write Decimal("{example:.40}")')
    if not value.is_finite() or value.is_zero() or value.is_signed():
        raise UsageError(f"{name} was {value!s:.60}; write a number above 0")
    if abs(value.adjusted()) > _MOST_DIGITS or len(value.as_tuple().digits) > _MOST_DIGITS:
        raise UsageError(f"{name} was {value!s:.40}...; write at most {_MOST_DIGITS} digits")
    return value


def to_step(value: Decimal, step: Decimal, direction: Rounding) -> Decimal:
    """Return the multiple of ``step`` (> 0) that ``value`` (> 0) is rounded to; zero where it lies below the first."""
    steps, rest = EXACT.divmod(value, step)
    if not rest:
        return value
    if direction == "up" or (direction == "nearest" and EXACT.multiply(rest, 2).compare(step, EXACT) >= 0):
        steps = EXACT.add(steps, 1)
    return EXACT.multiply(steps, step)


def to_digits(value: Decimal, digits: int, direction: Rounding, *, whole: bool) -> Decimal:
    """Return ``value`` (> 0) with ``digits`` significant ones; ``whole``: digits before the point are never cut."""
    exponent = value.adjusted() - digits + 1
    # Written out: as 1E+5 it would be a step of its own exponent, and so would the multiples of it.
    step = Decimal(10 ** (0 if whole else exponent)) if exponent > 0 else Decimal(1).scaleb(exponent, EXACT)
    return to_step(value, step, direction)

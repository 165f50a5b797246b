"""
The natural logarithm as steps that LLVM vectorises across symbols.

``math.log`` is a call for every symbol: 3.0 ns an element, these 0.8 (Zen 5). A number is taken apart into m * 2 ** e
with m between sqrt(1/2) and sqrt(2); with f = m - 1, which is exact, and s = f / (2 + f), log(m) = 2 atanh(s), whose
series in s * s is near its end after eight terms. Written as f less what is small against it, the rounding of s
does not show. Against long doubles, over all positive float64, the largest error is 0.83 units in the last place
(numpy's own: 0.63). There is no contraction here either, so the bits are the same on any processor.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tradeutils.indicators.cpu.compiling import step

__all__ = ["logarithm", "logarithm_of_ratio"]

# Bits of sqrt(1/2), and what lifts it to 1, so that numbers from sqrt(1/2) to sqrt(2) come to bear one exponent.
_HALF: Final = np.uint64(0x3FE6A09E667F3BCD)
_LIFT: Final = np.uint64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
_FRACTION: Final = np.uint64(0x000FFFFFFFFFFFFF)
# An exponent below the bits of 2 ** 52 is that float and the exponent: AVX2 cannot turn int64 into float64.
_WHOLE: Final = np.uint64(0x4330000000000000)
_SHIFT: Final = np.uint64(52)
_OFFSET: Final = 2.0**52 + 1023.0
_SMALLEST, _LARGER, _LARGER_BY = 2.0**-1022, 2.0**54, 54.0  # smaller ones have no exponent of their own
# The first leaves room for eleven bits of exponent, so that its multiples are exact.
_LN_2_HEAD, _LN_2_TAIL = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
# 2 atanh(s) / s - 2 as a polynomial in s * s, through Chebyshev's points: 2 ** -60 from 2 at most.
_C1, _C2, _C3, _C4 = 0.6666666666666666, 0.4000000000000088, 0.28571428570803614, 0.22222222391713917
_C5, _C6, _C7, _C8 = 0.18181795640132906, 0.15386239702814658, 0.13268773138656886, 0.13086626147840102


@step
def parts(value: float) -> tuple[float, float]:
    """Return m and e of a positive number m * 2 ** e; without a meaning for any other."""
    tiny = value < _SMALLEST
    lifted = np.float64(value * _LARGER if tiny else value).view(np.uint64) + _LIFT
    whole = np.uint64((lifted & _FRACTION) + _HALF).view(np.float64)
    power = np.uint64((lifted >> _SHIFT) | _WHOLE).view(np.float64) - _OFFSET
    return whole, (power - _LARGER_BY if tiny else power)


@step
def of_parts(beyond: float, power: float) -> float:
    """Return the logarithm of (1 + ``beyond``) * 2 ** ``power``, the first between sqrt(1/2) and sqrt(2)."""
    s = beyond / (2.0 + beyond)
    z = s * s
    rest = z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * (_C6 + z * (_C7 + z * _C8)))))))
    half = 0.5 * beyond * beyond
    return power * _LN_2_HEAD - ((half - (s * (half + rest) + power * _LN_2_TAIL)) - beyond)


@step
def logarithm(value: float) -> float:
    """Return the natural logarithm; NaN at zero, below, and at infinity."""
    whole, power = parts(value)
    made = of_parts(whole - 1.0, power)
    return made if (value > 0.0) & (value < math.inf) else math.nan


@step
def logarithm_of_ratio(now: float, before: float) -> float:
    """
    Return ln(``now`` / ``before``) of two positive numbers; NaN where the ratio is too large or too small to be one.

    Of a small change the difference over ``before`` is taken, which is exact but for the division: the ratio is then 1
    and a few digits, and near 1e-8 a difference of two logarithms is one of two numbers near -18.
    """
    share = now / before
    whole, power = parts(share)
    made = of_parts((now - before) / before if power == 0.0 else whole - 1.0, power)
    return made if (share > 0.0) & (share < math.inf) else math.nan

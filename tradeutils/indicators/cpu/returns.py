"""Kernels of the relative changes of prices."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["log_return"]


@kernel()
def log_return(now: Matrix, before: Matrix, out: Matrix, width: int) -> None:
    """
    Logarithm of now / before.

    Of a small change, log1p of the change over the price: the ratio is then 1 and a few digits, and near 1e-8 a
    difference of two logarithms is one of two numbers near -18.
    """
    for t in range(now.shape[0]):
        for s in range(width):
            to, since = now[t, s], before[t, s]
            good = to > 0.0 and since > 0.0 and to < math.inf and since < math.inf
            base = since if good else 1.0
            change = (to - base) / base if good else 0.0
            share = to / base if good else 1.0
            made = math.log1p(change) if abs(change) < 0.5 else math.log(share if share > 0.0 else 1.0)
            out[t, s] = known(made) if good and share > 0.0 and share < math.inf else math.nan

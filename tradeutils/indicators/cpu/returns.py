"""Kernels of the relative changes of prices."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.logarithms import logarithm_of_ratio

__all__ = ["log_return"]


@kernel()
def log_return(now: Matrix, before: Matrix, out: Matrix, width: int) -> None:
    """Logarithm of now / before."""
    for t in range(now.shape[0]):
        for s in range(width):
            to, since = now[t, s], before[t, s]
            good = (to > 0.0) & (since > 0.0) & (to < math.inf) & (since < math.inf)
            made = logarithm_of_ratio(to if good else 1.0, since if good else 1.0)
            out[t, s] = made if good else math.nan

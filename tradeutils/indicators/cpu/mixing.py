"""Kernels of averages of averages."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["mixture"]


@kernel()
def mixture(
    a: Matrix, b: Matrix, c: Matrix, d: Matrix, out: Matrix, width: int, wa: float, wb: float, wc: float, wd: float
) -> None:
    """Weighted sum of four."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(wa * a[t, s] + wb * b[t, s] + wc * c[t, s] + wd * d[t, s])

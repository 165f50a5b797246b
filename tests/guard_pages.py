"""
A script: every indicator on data, results and scratch that end or begin where memory that may not be touched does.

Kernels work on bare addresses, so one that reads or writes an item too far goes unnoticed elsewhere. Here it ends the
process. Prints how many calls there were.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from panels import CASES, inputs_of, walk

from tradeutils import indicators
from tradeutils.indicators import REGISTRY
from tradeutils.indicators.cpu import state

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)


class Guarded:
    """So many bytes, with a page before and a page after them that nobody may touch."""

    def __init__(self, size: int, at_end: bool) -> None:
        body = max(-(-size // PAGE), 1) * PAGE
        self._map = mmap.mmap(-1, body + 2 * PAGE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        for page in (begin, begin + PAGE + body):
            assert libc.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
        self._begin = begin
        self._body = body
        self.first = begin + PAGE + (body - size if at_end else 0)

    def __del__(self) -> None:
        libc.mprotect(ctypes.c_void_p(self._begin), self._body + 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE)

    def array(self, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
        """Return it as an array; what is asked for beyond its end may not be touched either."""
        self.__array_interface__ = {
            "version": 3, "data": (self.first, False), "shape": shape, "typestr": np.dtype(dtype).str
        }  # fmt: skip
        return np.asarray(self)


def laid_out(values: Any, layout: str, at_end: bool) -> Any:
    """Return a copy in guarded memory."""
    rows, symbols = values.shape

    def new(*shape: int) -> Any:
        return Guarded(int(np.prod(shape)) * values.itemsize, at_end).array(shape, values.dtype)

    last = int(at_end)
    made = {
        "time-major": lambda: new(rows, symbols),
        "symbol-major": lambda: new(symbols, rows).T,
        "backwards": lambda: new(rows, symbols)[::-1, ::-1],
        "symbol-major backwards": lambda: new(symbols, rows).T[::-1, ::-1],
        "every second": lambda: new(2 * rows, 2 * symbols)[last::2, last::2],
        "every second series": lambda: new(2 * symbols, rows)[last::2].T,
        "part of a row": lambda: new(rows, symbols + 3)[:, 3 * last : symbols + 3 * last],
    }[layout]()
    made[...] = values
    return made


LAYOUTS = (
    "time-major", "symbol-major", "backwards", "symbol-major backwards", "every second", "every second series",
    "part of a row",
)  # fmt: skip


class Numpy:
    """numpy, but that the scratch of a state is guarded."""

    at_end = True

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, items: int) -> Any:
        """Return the scratch; the last of its lines is spare, for where it must be moved to be aligned."""
        return Guarded(-(-8 * (items - 8) // 64) * 64, self.at_end).array((items,))


def call(name: str, compat: str, draw: random.Random, rows: int, symbols: int) -> None:
    """Compute an indicator in guarded memory and compare with ordinary memory."""
    at_end = Numpy.at_end = draw.random() < 0.7
    panel = walk(rows, symbols, seed=draw.randrange(1 << 32), missing=0.01)
    longest = draw.choice([5, 40])
    whole = [p for p in REGISTRY[name].parameters if p.whole]
    drawn = {p.name: draw.randint(int(p.lowest), int(min(p.highest, max(longest, p.lowest)))) for p in whole}
    values = REGISTRY[name].bind(named={**drawn, **({"lookahead": 0} if "lookahead" in drawn else {})})
    options = {"compat": compat, "nan": draw.choice(["restart", "propagate", "hold"])}
    dtype = draw.choice([np.float64, np.float32])
    columns = inputs_of(name, panel)
    want = getattr(indicators, name)(*columns, *values, **options, dtype=dtype)
    layout = draw.choice(LAYOUTS)
    guarded = [laid_out(column, layout, at_end) for column in columns]
    for column in guarded:
        column.flags.writeable = False
    wanted = want if isinstance(want, tuple) else (want,)
    out = tuple(laid_out(np.zeros(one.shape, dtype), draw.choice(LAYOUTS), at_end) for one in wanted)
    state.np = Numpy()
    try:
        getattr(indicators, name)(
            *guarded, *values, **options, dtype=dtype, threads=draw.choice([1, 2]), out=out if len(out) > 1 else out[0]
        )
    finally:
        state.np = np
    for made, one in zip(out, wanted, strict=True):
        np.testing.assert_array_equal(made, one, err_msg=f"{name} {compat} {values} {layout} {rows} x {symbols}")


def main() -> None:
    """Compute every indicator on panels of several shapes."""
    draw = random.Random(7)
    for name, compat in CASES:
        for rows, symbols in ((1, 1), (draw.choice([31, 129]), draw.choice([7, 9, 65])), (1500, draw.choice([1, 2]))):
            call(name, compat, draw, rows, symbols)
    print(3 * len(CASES))


main()

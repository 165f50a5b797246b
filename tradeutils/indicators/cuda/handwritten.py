"""The part of ``kernels.cu`` that is written by hand: its beginning, the scans and the valuation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["handwritten"]

_BEGIN: Final = "// begin: made by"
_END: Final = "// end"


@cache
def handwritten() -> str:
    """
    Return CUDA C++14 for :func:`tradeutils.device.Device.compile`, whose kernels are ``tu_scan`` and ``tu_value``.

    Without what is translated from the CPU's kernels, which they do not use: it takes most of the time to compile.
    """
    text = (Path(__file__).parent / "kernels.cu").read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    return before + rest.partition(_END)[2].partition("\n")[2] if rest else text

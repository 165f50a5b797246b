"""Flat arrays over bare addresses, for compiled code: what a loop over a tile reads and writes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj

__all__ = ["floats", "octets", "shorts"]

_WORD = ir.IntType(64)


def _flat(item: Any, width: int) -> Any:
    """Return a function for compiled code: (address, length) -> the items there; they own nothing."""
    kind = types.Array(item, 1, "C")

    def flat(typing: Any, address: Any, length: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            array = context.make_array(kind)(context, builder)
            pointer = builder.inttoptr(given[0], context.get_data_type(item).as_pointer())
            size = ir.Constant(_WORD, width)
            arrayobj.populate_array(array, data=pointer, shape=[given[1]], strides=[size], itemsize=size, meminfo=None)
            return array._getvalue()  # noqa: SLF001  # numba's own way to make a value of a struct

        return kind(types.int64, types.int64), generate

    return intrinsic(flat)


floats = _flat(types.float64, 8)
octets = _flat(types.uint8, 1)
shorts = _flat(types.int16, 2)

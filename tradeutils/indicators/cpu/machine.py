"""
What numba cannot say in Python: arrays made of bare addresses, calls through an address.

Each is a few LLVM instructions. An array made here owns nothing and counts no references.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

__all__ = [
    "arguments_of",
    "call",
    "kept_of",
    "load",
    "matrix",
    "store",
    "store_single",
    "turn",
    "words",
]

_MATRIX: Final = types.Array(types.float64, 2, "C")
_WORDS: Final = types.Array(types.int64, 1, "C")
_WORD: Final = ir.IntType(64)
_ITEM: Final = ir.Constant(_WORD, 8)
_ONE: Final = ir.Constant(_WORD, 1)


def _emitted(function: Callable[..., Any]) -> Any:
    """Make a function for compiled code of one that emits LLVM instructions."""
    return intrinsic(function)


def _array(context: Any, builder: Any, kind: Any, address: Any, shape: list[Any]) -> Any:
    """Return a C-contiguous array of 8-byte items over what lies at ``address``."""
    strides = [_ITEM]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = context.make_array(kind)(context, builder)
    pointer = builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())
    arrayobj.populate_array(array, data=pointer, shape=shape, strides=strides, itemsize=_ITEM, meminfo=None)
    return array._getvalue()  # noqa: SLF001  # numba's own way to make a value of a struct


def _slot(builder: Any, table: Any, at: int) -> Any:
    words = builder.inttoptr(table, _WORD.as_pointer())
    return builder.load(builder.gep(words, [ir.Constant(_WORD, at)]))


def arguments_of(
    matrices: int, takes: tuple[str, ...], kinds: tuple[type, ...], mode: int, rows: int | None = None
) -> Any:
    """
    Return a function for compiled code: (table, rows, width) -> the arguments of a kernel, as a tuple.

    The table holds an address and a row length, in items, for each matrix and then for the state; then ``seen`` and
    the parameters. All are there, whatever the kernel takes of them.

    With ``rows``, for one symbol: the arguments hold a copy of that many rows of its state, which :func:`kept_of` puts
    back, and the width 1. The compiler keeps the copy in registers, as nothing else can lie there.
    """
    scalars = [types.int64 if kind is int else types.float64 for kind in kinds]
    members = [_MATRIX] * (matrices + ("state" in takes)) + [types.int64] * (("seen" in takes) + 1 + ("mode" in takes))
    result = types.Tuple([*members, *scalars])

    @_emitted
    def arguments(typing: Any, table: Any, bars: Any, width: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            at, count, _ = given
            made = []
            for k in range(matrices + ("state" in takes)):
                # The number of state rows is the kernel's own business; indexing with constants never needs it.
                length = count if k < matrices else ir.Constant(_WORD, 1 << 40)
                address, across = _slot(builder, at, 2 * k), _slot(builder, at, 2 * k + 1)
                if k == matrices and rows is not None:
                    copy = cgutils.alloca_once(builder, ir.DoubleType(), size=rows)
                    _copy_rows(builder, rows, (address, across), (builder.ptrtoint(copy, _WORD), _ONE))
                    address, across = builder.ptrtoint(copy, _WORD), _ONE
                made.append(_array(context, builder, _MATRIX, address, [length, across]))
            first = 2 * matrices + 2
            if "seen" in takes:
                made.append(_slot(builder, at, first))
            made.append(given[2] if rows is None else _ONE)
            if "mode" in takes:
                made.append(ir.Constant(_WORD, mode))
            for k, scalar in enumerate(scalars):
                value = _slot(builder, at, first + 1 + k)
                made.append(builder.bitcast(value, ir.DoubleType()) if scalar == types.float64 else value)
            return context.make_tuple(builder, signature.return_type, made)

        return result(table, bars, width), generate

    return arguments


def kept_of(matrices: int, rows: int) -> Any:
    """Return a function for compiled code: (table, copy) puts the copy of one symbol's state back."""

    @_emitted
    def kept(typing: Any, table: Any, copy: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            source = builder.ptrtoint(context.make_array(_MATRIX)(context, builder, given[1]).data, _WORD)
            target = _slot(builder, given[0], 2 * matrices), _slot(builder, given[0], 2 * matrices + 1)
            _copy_rows(builder, rows, (source, _ONE), target)
            return context.get_dummy_value()

        return types.void(types.int64, _MATRIX), generate

    return kept


def _copy_rows(builder: Any, rows: int, source: tuple[Any, Any], target: tuple[Any, Any]) -> None:
    """Copy the first item of each row; an address and a row length, in items, say where from and where to."""
    for k in range(rows):
        at = [
            builder.inttoptr(
                builder.add(address, builder.mul(length, ir.Constant(_WORD, 8 * k))), ir.DoubleType().as_pointer()
            )
            for address, length in (source, target)
        ]
        builder.store(builder.load(at[0], align=8), at[1], align=8)


@_emitted
def matrix(typing: Any, address: Any, rows: Any, length: Any) -> Any:
    """Return the (rows, length) matrix of float64 at ``address``, for compiled code."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _array(context, builder, _MATRIX, given[0], list(given[1:]))

    return _MATRIX(types.int64, types.int64, types.int64), generate


@_emitted
def words(typing: Any, address: Any, length: Any) -> Any:
    """Return the int64 at ``address`` as an array, for compiled code."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _array(context, builder, _WORDS, given[0], [given[1]])

    return _WORDS(types.int64, types.int64), generate


@_emitted
def call(typing: Any, address: Any, table: Any, rows: Any, width: Any) -> Any:
    """Call the machine code of a kernel, in compiled code."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_WORD] * 3)
        builder.call(builder.inttoptr(given[0], kind.as_pointer()), given[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


def _loader(item: Any, width: int) -> Any:
    """Return a function for compiled code: address -> the float at it, as float64."""

    @_emitted
    def load(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            value = builder.load(builder.inttoptr(given[0], item.as_pointer()), align=width)
            return value if width == 8 else builder.fpext(value, ir.DoubleType())

        return types.float64(types.int64), generate

    return load


def _storer(item: Any, width: int) -> Any:
    """Return a function for compiled code: (address, float64) stores the float, rounded to what lies there."""

    @_emitted
    def store(typing: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            value = given[1] if width == 8 else builder.fptrunc(given[1], ir.FloatType())
            builder.store(value, builder.inttoptr(given[0], item.as_pointer()), align=width)
            return context.get_dummy_value()

        return types.void(types.int64, types.float64), generate

    return store


load = _loader(ir.DoubleType(), 8)
store = _storer(ir.DoubleType(), 8)
store_single = _storer(ir.FloatType(), 4)


@_emitted
def turn(typing: Any, source: Any, source_step: Any, target: Any, target_step: Any, soon: Any, soon_step: Any) -> Any:
    """
    Transpose 8 x 8 float64: item j of line k of the source becomes item k of line j of the target.

    Lines begin ``step`` bytes apart. In registers: three rounds of exchanges between lines 4, 2 and 1 apart. The
    eight lines at ``soon``, any addresses at all, are asked for meanwhile: of many series read side by side each
    stands on a page of its own, which the processor does not foresee (EMA of 1 x 1,000,000 took 1.3 ns, not 1.0).
    """

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        line, byte, number = ir.VectorType(ir.DoubleType(), 8), ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = line.as_pointer()

        def at(k: int, address: Any, step: Any, kind: Any = pointer) -> Any:
            return builder.inttoptr(builder.add(address, builder.mul(step, ir.Constant(_WORD, k))), kind)

        asking = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, asking, "llvm.prefetch.p0")
        to_read, near, data = (ir.Constant(number, value) for value in (0, 3, 1))
        lines = [builder.load(at(k, given[0], given[1]), align=8) for k in range(8)]
        for k in range(8):
            builder.call(ask, [at(k, given[4], given[5], byte), to_read, near, data])
        for apart in (4, 2, 1):
            lower = [j if not j & apart else 8 + j - apart for j in range(8)]
            upper = [j + apart if not j & apart else 8 + j for j in range(8)]
            masks = [ir.Constant(ir.VectorType(number, 8), mask) for mask in (lower, upper)]
            for k in (k for k in range(8) if not k & apart):
                pair = lines[k], lines[k + apart]
                lines[k], lines[k + apart] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        for k, value in enumerate(lines):
            builder.store(value, at(k, given[2], given[3]), align=8)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate

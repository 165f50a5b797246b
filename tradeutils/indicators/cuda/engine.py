"""
Running programs on one device, over columns that lie there: one launch for each batch, and those it may need besides.

A launch has a thread for each (symbol, chunk of the time, set of parameters). Chunks are a guess that is checked, as
on the CPU: what does not begin as the chunk before it ended is run again from there, so the bits are those of one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tradeutils.device import Device, DeviceArray
from tradeutils.errors import DeviceOutOfMemory
from tradeutils.indicators.cpu import Program
from tradeutils.indicators.cpu.program import CONSTANT_ROW, INPUT
from tradeutils.indicators.cuda.modules import module_of
from tradeutils.indicators.cuda.plans import Batch, Shape, shape_of
from tradeutils.indicators.cuda.scans import scan
from tradeutils.indicators.cuda.source import KERNEL
from tradeutils.indicators.cuda.stages import Stages, stages_of, worth_stages
from tradeutils.indicators.cuda.table import Launch, Layout, layout_of

__all__ = ["compute", "halves", "prepare"]

# The part of the free memory that the states of chunks may take.
_FOR_STATES: Final = 0.25
# States are compared so many bytes at a time: comparing makes several copies.
_COMPARED: Final = 1 << 26
_WARP: Final = 32
_MOST_LANES: Final = 2**31 - 1  # of a launch


def prepare(device: Device, batches: Sequence[Batch], dtypes: tuple[np.dtype[Any], np.dtype[Any]]) -> None:
    """Compile what batches need on a device, for columns and results of these dtypes."""
    single_in, single_out = (dtype == np.float32 for dtype in dtypes)
    for batch in batches:
        if batch.programs[0].instructions:
            module_of(device, batch.programs[0], single_in, single_out)


def compute(
    device: Device,
    batches: Sequence[Batch],
    columns: Sequence[DeviceArray],
    rows: int,
    dtype: np.dtype[Any],
    *,
    turned: bool = False,
    given: Mapping[int, DeviceArray] = MappingProxyType({}),
    stream: Any = None,
) -> dict[int, DeviceArray]:
    """
    Compute batches; what they launch is not waited for, unless chunks have to be compared.

    Parameters
    ----------
    device : Device
    batches : sequence of Batch
    columns : device arrays (T, S) of float64 or float32
        All columns, of any strides.
    rows : int
        How many of the last rows to store: K, 1 to T.
    dtype : dtype
        Of the results: float64 or float32.
    turned : bool
        Whether new results are symbol-major, (S, K) turned round.
    given : mapping of int to device array (K, S)
        Results to fill, by their number; for others memory is found. None may share memory with a column.
    stream
        Of the device; ``None``: the current one.

    Returns
    -------
    The results (K, S) by their number. Those of the sets of one batch lie in one piece.

    Raises
    ------
    DeviceOutOfMemory : the results do not fit, or the state of a single symbol.
    """
    made: dict[int, DeviceArray] = {}
    with ExitStack() as stack:
        stack.enter_context(device)
        if stream is not None:
            stack.enter_context(stream)
        for batch in batches:
            own = _alike([columns[at] for at in batch.columns])
            targets = _targets(device, batch, (rows, own[0].shape[1]), dtype, turned, given)
            _fill(device, batch.programs, own, targets, stream)
            _copy(batch.programs, own, targets)
            for at, places in enumerate(batch.results):
                for target, place in zip(targets, places, strict=True):
                    if place in given and batch.sets > 1:
                        given[place][...] = target[at]
                    made[place] = given.get(place, target[at])
    return made


def _alike(columns: list[DeviceArray]) -> list[DeviceArray]:
    """Return columns of one dtype: float64 where one is, as the time is among prices of float32."""
    if len({column.dtype for column in columns}) == 1:
        return columns
    return [column.astype(np.float64, copy=False) for column in columns]


def _targets(
    device: Device,
    batch: Batch,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    turned: bool,
    given: Mapping[int, DeviceArray],
) -> list[DeviceArray]:
    """Return an array (sets, K, S) for each output."""
    xp = device.xp
    if batch.sets == 1:
        return [
            given[place][np.newaxis] if place in given else _empty(xp, (1, *shape), dtype, turned)
            for place in batch.results[0]
        ]
    return [_empty(xp, (batch.sets, *shape), dtype, turned) for _ in range(batch.outputs)]


def _empty(xp: Any, shape: tuple[int, int, int], dtype: np.dtype[Any], turned: bool) -> DeviceArray:
    if turned:
        return xp.empty((shape[0], shape[2], shape[1]), dtype).transpose(0, 2, 1)
    return xp.empty(shape, dtype)


def _fill(
    device: Device,
    programs: tuple[Program, ...],
    columns: Sequence[DeviceArray],
    targets: Sequence[DeviceArray],
    stream: Any,
) -> None:
    """Compute the results that are no copies."""
    if not programs[0].instructions:
        return
    bars, symbols = columns[0].shape
    stages = stages_of(programs[0]) if len(programs) == 1 and worth_stages(bars, symbols, device.fill) else None
    if stages is not None:
        try:
            _staged(device, stages, columns, targets, stream)
        except MemoryError:
            stages = None  # in one piece it needs no columns for what stages leave to one another
    if stages is None:
        _run(device, programs, columns, targets, stream)


def _staged(
    device: Device, stages: Stages, columns: Sequence[DeviceArray], targets: Sequence[DeviceArray], stream: Any
) -> None:
    """Compute a program stage by stage; what one stage leaves for another is there for all bars."""
    bars, symbols = columns[0].shape
    values = dict(enumerate(columns))
    for stage in stages.stages:
        made = [device.xp.empty((1, bars, symbols), np.float64) for _ in stage.results]
        sources = [values[at] for at in stage.sources]
        if stage.scanned:
            (one,) = stage.program.instructions
            scan(device, one.operator.name, [one.parameters], stage.program.mode, sources, made[0], stream=stream)
        else:
            _run(device, (stage.program,), _alike(sources), made, stream)
        values.update(zip(stage.results, (array[0] for array in made), strict=True))
    for k, value in stages.finals.items():
        targets[k][0][...] = values[value][bars - targets[k].shape[1] :]


def _copy(programs: Sequence[Program], columns: Sequence[DeviceArray], targets: Sequence[DeviceArray]) -> None:
    """Fill the results that are a column that stands elsewhere."""
    for at, program in enumerate(programs):
        for k, place in program.copies.items():
            target = targets[k][at]
            if place.kind == CONSTANT_ROW:
                target[...] = program.constants[place.number]
            elif place.kind == INPUT:
                column = columns[place.number]
                target[...] = column[len(column) - len(target) :]
            else:
                target[...] = targets[place.number][at]


def halves(count: int) -> int:
    """Return how many of some symbols to take first where all are too many: whole warps, then one by one."""
    if count > _WARP:
        return -(-count // (2 * _WARP)) * _WARP if count > 2 * _WARP else _WARP
    return 1


def _run(
    device: Device,
    programs: tuple[Program, ...],
    columns: Sequence[DeviceArray],
    targets: Sequence[DeviceArray],
    stream: Any,
) -> None:
    """Run sets over all symbols; over fewer at once, and over fewer sets, where their states do not fit."""
    symbols, sets = columns[0].shape[1], len(programs)
    if symbols * sets <= _MOST_LANES and _has_run(device, programs, columns, targets, stream):
        return
    if symbols > 1:
        low = halves(symbols)
        for part in (slice(0, low), slice(low, symbols)):
            own, made = [column[:, part] for column in columns], [target[:, :, part] for target in targets]
            _run(device, programs, own, made, stream)
        return
    for part in (slice(0, sets // 2), slice(sets // 2, sets)):
        _run(device, programs[part], columns, [target[part] for target in targets], stream)


def _has_run(
    device: Device,
    programs: tuple[Program, ...],
    columns: Sequence[DeviceArray],
    targets: Sequence[DeviceArray],
    stream: Any,
) -> bool:
    """Run sets over some symbols; False: their states do not fit. What was made for them is let go by then."""
    layout = layout_of(programs[0], programs)
    try:
        _Pass(device, layout, columns, targets, stream).run()
    except MemoryError as error:
        if columns[0].shape[1] > 1 or len(programs) > 1:
            return False
        needed, free = layout.workspace_bytes(1, 1), device.free_bytes()
        raise DeviceOutOfMemory(
            f"the state of one symbol takes {needed:,} bytes, and {device.name} has {free:,} free; "
            "write shorter periods, or free memory of the device",
            needed=needed,
            free=free,
        ) from error
    return True


@dataclass(frozen=True, slots=True)
class _Pass:
    """
    Sets over some symbols from the first bar to the last.

    Parameters
    ----------
    device : Device
    layout : Layout
    columns : device arrays (T, S)
    targets : device arrays (sets, K, S)
    stream
    """

    device: Device
    layout: Layout
    columns: Sequence[DeviceArray]
    targets: Sequence[DeviceArray]
    stream: Any

    def run(self) -> None:
        bars, symbols = self.columns[0].shape
        shape = shape_of(self.layout.programs, bars, symbols, self.device.fill, self._room)
        if shape.chunks == 1:
            self._launch(slice(0, symbols), shape.block, length=bars, bars=bars)
            return
        empty = self.device.xp.empty
        snapshot = self.layout.snapshot_shape(shape.chunks, symbols)
        begun, ended = empty(snapshot, np.float64), empty(snapshot, np.float64)
        self._launch(
            slice(0, symbols),
            shape.block,
            chunks=shape.chunks,
            length=shape.length,
            early=shape.early,
            bars=bars,
            begun=self.device.address(begun),
            ended=self.device.address(ended),
        )
        self._settle(shape, begun, ended)

    def _room(self) -> int:
        return int(self.device.free_bytes() * _FOR_STATES)

    def _settle(self, shape: Shape, begun: DeviceArray, ended: DeviceArray) -> None:
        """Run again, one after the other, the chunks that did not begin as the one before them ended."""
        wrong = self._differ(begun[:, :, 1:], ended[:, :, :-1]).any(axis=1)
        if not bool(wrong.any()):
            return
        for chunk in range(1 + int(wrong.argmax()), shape.chunks):
            before = slice(chunk - 1, chunk)
            found = self._differ(begun[:, :, chunk : chunk + 1], ended[:, :, before]).any(axis=0)
            if not bool(found.any()):
                continue
            low, high = int(found.argmax()), len(found) - int(found[::-1].argmax())
            self._again(shape, chunk, slice(low, high), ended)

    def _again(self, shape: Shape, chunk: int, part: slice, ended: DeviceArray) -> None:
        """Run one chunk of some symbols from the state in which the one before it ended."""
        xp, address = self.device.xp, self.device.address
        resumed = xp.ascontiguousarray(ended[:, :, chunk - 1 : chunk, part])
        after = xp.empty(resumed.shape, np.float64)
        start, bars = chunk * shape.length, len(self.columns[0])
        self._launch(
            part,
            shape.block,
            first=start,
            seen=start,
            length=shape.length,
            bars=min(start + shape.length, bars),
            resumed=address(resumed),
            ended=address(after),
        )
        ended[:, :, chunk : chunk + 1, part] = after

    def _differ(self, a: DeviceArray, b: DeviceArray) -> DeviceArray:
        """Say for which (chunk, symbol) states are not the same to the bit, NaN being NaN, as far as they matter."""
        xp = self.device.xp
        limits = self.device.upload(np.ascontiguousarray(self.layout.limits[:, :, None, None]), stream=self.stream)
        wrong = xp.zeros(a.shape[2:], bool)
        step = max(1, _COMPARED // max(a[:1].nbytes, 1))
        for low in range(0, self.layout.rows, step):
            part = slice(low, low + step)
            one, other = xp.minimum(a[part], limits[part]), xp.minimum(b[part], limits[part])
            same = (one.view(np.int64) == other.view(np.int64)) | (xp.isnan(one) & xp.isnan(other))
            wrong |= ~same.all(axis=(0, 1))
        return wrong

    def _launch(self, part: slice, block: int, *, chunks: int = 1, **words: int) -> None:
        """Launch over some symbols; what is not said of the launch is as in the table."""
        device, program = self.device, self.layout.programs[0]
        columns = [column[:, part] for column in self.columns]
        targets = [target[:, :, part] for target in self.targets]
        symbols = columns[0].shape[1]
        workspace = device.xp.empty(self.layout.workspace_bytes(chunks, symbols) // 8, np.float64)
        launch = Launch(
            layout=self.layout,
            symbols=symbols,
            chunks=chunks,
            kept=len(columns[0]) - targets[0].shape[1],
            workspace=device.address(workspace) if workspace.size else 0,
            inputs=[(device.address(column), *_steps(column)) for column in columns],
            results=[(device.address(target), *_steps(target)) for target in targets],
            **words,
        )
        module = module_of(device, program, columns[0].dtype == np.float32, targets[0].dtype == np.float32)
        table = device.upload(launch.words(), stream=self.stream)
        module.launch(KERNEL, launch.grid(block), block, table, stream=self.stream)


def _steps(array: DeviceArray) -> Any:
    """Return the strides of an array in items."""
    return tuple(stride // array.itemsize for stride in array.strides)

"""
Data of the host on devices: blocks of symbols go there, are computed and come back, two at a time on each device.

Each device has two lanes, threads with a stream of their own: while one block is computed another travels. What does
not fit is cut in half, so no figure of free memory has to be right.

Nothing is read before it was written, nor written while it is read, because a lane's work is all on its own stream, and
in order there: the arrays of a block are made, filled, computed on and freed while that stream is the current one, and
what is freed on a stream serves later work of that stream alone. The host waits for the stream before it writes to the
pinned memory that a copy reads, before it reads what a copy writes, and before it lets go of a block. Lanes share no
array of a device, and write to other symbols of the results.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tradeutils.device import Device, DeviceArray
from tradeutils.errors import DeviceOutOfMemory
from tradeutils.indicators.cuda.engine import compute, halves, prepare
from tradeutils.indicators.cuda.plans import Batch, bytes_of
from tradeutils.indicators.threads import fork_lock, run_all

__all__ = ["Job"]

_Array = npt.NDArray[Any]

_LANES: Final = 2  # of a device
_PIECE: Final = 1 << 24  # bytes that are copied by way of pinned memory at once
_SMALL: Final = 1 << 20  # bytes of results that are copied together with others
# Blocks are so large at least, so that a launch is worth its while, and there are so many a lane, so that the first
# upload and the last download, which nothing runs beside, are short.
_SMALLEST, _NARROWEST, _A_LANE = 1 << 24, 256, 4
_FREE: Final = 0.8  # of the free memory, for the blocks of all lanes
_WARP: Final = 32


class Job:
    """
    Batches to be computed of columns of the host.

    Parameters
    ----------
    devices : sequence of Device
        One at least; all take part.
    batches : sequence of Batch
    columns : float64 arrays (T, S)
    results : mapping of int to array (K, S)
        Results to fill, by their number: float64 or float32, all of one dtype.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        batches: Sequence[Batch],
        columns: Sequence[_Array],
        results: Mapping[int, _Array],
    ) -> None:
        self._devices = devices
        self.batches = batches
        self.columns = columns
        self._results = results
        self.used = sorted({at for batch in batches for at in batch.columns})
        first = next(iter(results.values()))
        self.rows, self.symbols = first.shape
        self.dtype = first.dtype
        self._left: deque[tuple[int, int]] = deque()
        self._alone: list[tuple[int, int]] = []
        self._lock = Lock()
        self._widest = self.symbols

    @property
    def bytes_up(self) -> int:
        """Bytes that go to the devices."""
        return 8 * len(self.used) * int(self.columns[0].size)

    @property
    def bytes_down(self) -> int:
        """Bytes that come back."""
        return len(self._results) * int(self.rows * self.symbols) * self.dtype.itemsize

    def prepare(self) -> None:
        """Compile what is not compiled yet."""
        for device in self._devices:
            prepare(device, self.batches, (np.dtype(np.float64), self.dtype))

    def run(self) -> None:
        """
        Fill the results.

        Raises
        ------
        DeviceOutOfMemory : one symbol does not fit.
        """
        width = self._width()
        self._left.extend((low, min(low + width, self.symbols)) for low in range(0, self.symbols, width))
        count = min(_LANES, -(-len(self._left) // len(self._devices)))
        lanes = [_Lane(device, self) for _ in range(count) for device in self._devices[: len(self._left)]]
        try:
            run_all([lane.drain for lane in lanes], len(lanes))
        except BaseException:
            self.stop()  # lanes that are not waited for, as when waiting was interrupted, end with their block
            raise
        # What did not fit beside the blocks of others may fit alone, where there is most room.
        for block in self._alone:
            max(lanes, key=_Lane.free_bytes).compute(*block)

    def _width(self) -> int:
        """Return the symbols of a block."""
        bars = len(self.columns[0])
        each = bytes_of(self.batches, bars, self.rows, (8, self.dtype.itemsize))
        free = min(device.free_bytes() for device in self._devices)
        fits = int(_FREE * free) // (_LANES * each)
        apart = max(-(-self.symbols // (_A_LANE * _LANES * len(self._devices))), _SMALLEST // each, _NARROWEST)
        width: int = min(self.symbols, fits, apart)
        return max(-(-width // _WARP) * _WARP if width < fits else width // _WARP * _WARP, 1)

    def next(self) -> tuple[int, int] | None:
        """Return the symbols of the next block; ``None``: there is none."""
        with self._lock:
            if not self._left:
                return None
            low, high = self._left.popleft()
            if high - low > self._widest:
                self._left.appendleft((low + self._widest, high))
                high = low + self._widest
            return low, high

    def cut(self, low: int, high: int) -> None:
        """Put back a block that did not fit, in halves; one symbol is tried again when all else is done."""
        with self._lock:
            if high - low == 1:
                self._alone.append((low, high))
                return
            first = halves(high - low)
            self._widest = min(self._widest, first)
            self._left.extendleft([(low + first, high), (low, low + first)])

    def stop(self) -> None:
        """Let no further block be begun."""
        with self._lock:
            self._left.clear()

    def parts(self, low: int, high: int) -> tuple[dict[int, _Array], dict[int, _Array]]:
        """Return the columns and the results of some symbols, by their numbers."""
        columns = {at: self.columns[at][:, low:high] for at in self.used}
        return columns, {at: result[:, low:high] for at, result in self._results.items()}


class _Streams:
    """
    Streams that no lane has at the moment.

    The array module keeps what was freed on a stream for that stream, so each call with streams of its own would leave
    the memory of its blocks behind, out of reach of the next one.
    """

    def __init__(self) -> None:
        self._lock = fork_lock()
        self._idle: WeakKeyDictionary[Device, list[Any]] = WeakKeyDictionary()

    def take(self, device: Device) -> Any:
        """Return a stream of a device that is no other lane's."""
        with self._lock:
            idle = self._idle.get(device)
            if idle:
                return idle.pop()
        return device.stream()

    def give(self, device: Device, stream: Any) -> None:
        """Keep a stream on which all is done."""
        with self._lock:
            self._idle.setdefault(device, []).append(stream)


streams: Final = _Streams()


class _Lane:
    """
    One of those who take blocks: a stream of a device, and pinned memory that copies go by.

    Parameters
    ----------
    device : Device
    job : Job
    """

    def __init__(self, device: Device, job: Job) -> None:
        self._device = device
        self._job = job
        self._stream: Any = None
        self._pinned: _Array | None = None

    def free_bytes(self) -> int:
        """Return what is free on the device."""
        return self._device.free_bytes()

    def drain(self) -> None:
        """Compute blocks until there are no more; where one fails, the other lanes end too."""
        try:
            self._drain()
        except BaseException:
            self._job.stop()
            raise
        self._give_back()

    def _drain(self) -> None:
        while (block := self._job.next()) is not None:
            try:
                self._try(*block)
            except MemoryError:
                fits = False
            else:
                fits = True
            if not fits:
                self._job.cut(*block)  # not while the error is handled: it holds what was made before it

    def compute(self, low: int, high: int) -> None:
        """Compute a block with no other beside it; what does not fit now is an error."""
        try:
            self._try(low, high)
        except MemoryError as error:
            job, device = self._job, self._device
            each = bytes_of(job.batches, len(job.parts(0, 1)[0][job.used[0]]), job.rows, (8, job.dtype.itemsize))
            free = device.free_bytes()
            raise DeviceOutOfMemory(
                f"one symbol takes {each:,} bytes of {device.name}, which has {free:,} free; ask for fewer indicators "
                'at once, for tail=, or for backend="cpu"',
                needed=each,
                free=free,
            ) from error
        self._give_back()

    def _give_back(self) -> None:
        """Leave the stream, which is idle, to other calls."""
        if self._stream is not None:
            streams.give(self._device, self._stream)
            self._stream = None

    def _try(self, low: int, high: int) -> None:
        device = self._device
        if self._stream is None:
            self._stream = streams.take(device)
        with device, nullcontext() if self._stream is None else self._stream:
            columns, results = self._job.parts(low, high)
            try:
                there = [self._up(columns[at]) if at in columns else None for at in range(max(columns) + 1)]
                made = compute(device, self._job.batches, there, self._job.rows, self._job.dtype, stream=self._stream)
                self._bring(made, results)
            finally:
                device.synchronize(self._stream)  # before what the stream still reads or writes is given back

    def _up(self, column: _Array) -> DeviceArray:
        """Return a column on the device, time-major."""
        turned = _is_turned(column)
        source = column.T if turned else column
        device, stream = self._device, self._stream
        made = device.xp.empty(source.shape, source.dtype)
        for part in _pieces(source):
            staged = self._staged(source[part])
            np.copyto(staged, source[part])
            device.upload(staged, made[part], stream)
            device.synchronize(stream)
        return device.xp.ascontiguousarray(made.T) if turned else made

    def _bring(self, made: Mapping[int, DeviceArray], results: Mapping[int, _Array]) -> None:
        """Bring all results to where they belong; small ones together, as a copy has its price."""
        small = [at for at, result in results.items() if result.nbytes <= _SMALL]
        for at in results.keys() - set(small):
            self._down(made[at], results[at])
        step = max(1, _PIECE // max((results[at].nbytes for at in small), default=1))
        for low in range(0, len(small), step):
            some = small[low : low + step]
            there = self._device.xp.stack([made[at] for at in some])
            staged = self._staged(there)
            self._device.download(there, staged, self._stream)
            self._device.synchronize(self._stream)
            for at, values in zip(some, staged, strict=True):
                np.copyto(results[at], values)

    def _down(self, made: DeviceArray, result: _Array) -> None:
        """Bring a result to where it belongs."""
        device, stream = self._device, self._stream
        if _is_turned(result):
            result, made = result.T, device.xp.ascontiguousarray(made.T)
        for part in _pieces(result):
            staged = self._staged(result[part])
            device.download(made[part], staged, stream)
            device.synchronize(stream)
            np.copyto(result[part], staged)

    def _staged(self, piece: _Array) -> _Array:
        """Return pinned memory of the shape of a piece; what it held before is gone."""
        if self._pinned is None or self._pinned.nbytes < piece.nbytes:
            self._pinned = self._device.pinned((piece.nbytes,), np.uint8)
        return self._pinned[: piece.nbytes].view(piece.dtype).reshape(piece.shape)


def _is_turned(array: _Array) -> bool:
    """Tell whether an array is symbol-major."""
    return array.ndim == 2 and abs(array.strides[0]) < abs(array.strides[1])


def _pieces(array: _Array) -> list[slice]:
    """Return the rows of an array in pieces that pinned memory is made for."""
    step = max(1, _PIECE // max(array[:1].nbytes, 1))
    return [slice(low, low + step) for low in range(0, len(array), step)]

"""
``backend="auto"`` for data of the host: the device where it has been measured to be faster, else the CPU.

Data must travel to a device and results back, which often takes longer than to compute them where they are. So the
CPU computes first and is timed. Only where the transfer alone would take clearly less than that is the device tried,
once; from then on the faster of the two computes what is of the same structure and about the same size.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from tradeutils.device import Device, devices, why_none
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory
from tradeutils.indicators.cuda.plans import Batch
from tradeutils.indicators.cuda.table import structure_of
from tradeutils.indicators.threads import fork_lock
from tradeutils.logs import get_logger

__all__ = ["Crossover", "Rates", "crossover", "measured"]

logger: Final = get_logger("indicators")

# The first call loads or compiles kernels, so its time says little.
_CALLS: Final = 2
# The transfer alone must beat the CPU by so much before a trial is worth what it may cost.
_MARGIN: Final = 1.25
_NOTES: Final = 1024
_PROBE: Final = 1 << 25  # bytes that bandwidth is measured with, the best of so many
_PROBES: Final = 3


class Work(Protocol):
    """What is to be computed: a ``blocks.Job``."""

    columns: Sequence[npt.NDArray[Any]]
    batches: Sequence[Batch]
    rows: int
    dtype: np.dtype[Any]

    @property
    def bytes_up(self) -> int: ...
    @property
    def bytes_down(self) -> int: ...
    def prepare(self) -> None: ...
    def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes a second to a device and back, from pinned memory: more than any call reaches."""

    up: float
    down: float


def measured(device: Device, clock: Callable[[], float] = time.perf_counter) -> Rates:
    """Measure how fast a device takes data and gives it back; some 20 ms."""
    host = device.pinned((_PROBE,), np.uint8)
    host[:] = 0
    there = device.upload(host)
    device.synchronize()

    def best(copy: Callable[[], Any]) -> float:
        taken = math.inf
        for _ in range(_PROBES):
            began = clock()
            copy()
            device.synchronize()
            taken = min(taken, clock() - began)
        return _PROBE / max(taken, 1e-9)

    return Rates(best(lambda: device.upload(host, there)), best(lambda: device.download(there, host)))


@dataclass(slots=True)
class _Note:
    """What is known of calls of one structure and size: seconds on the CPU and, once tried, on the devices."""

    calls: int = 0
    cpu: float = math.inf
    device: float | None = None
    lock: Any = field(default_factory=Lock)


class Crossover:
    """
    Decides where calls are computed; safe from any thread.

    Parameters
    ----------
    clock : callable
        Seconds.
    rates : callable
        From a device to its rates; asked once for each.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        rates: Callable[[Device], Rates] = measured,
    ) -> None:
        self._clock = clock
        self._measure = rates
        self._lock = fork_lock()
        self._rates: dict[Device, Rates] = {}
        self._notes: OrderedDict[Hashable, _Note] = OrderedDict()
        self._said = False

    def has_devices(self) -> bool:
        """Tell whether there is a device; that there is none, and why, is logged once."""
        if devices():
            return True
        with self._lock:
            first, self._said = not self._said, True
        if first:
            logger.info("indicators are computed on the CPU: %s", why_none())
        return False

    def run(self, work: Work, threads: int, on_cpu: Callable[[], None]) -> None:
        """
        Compute some work where it is faster, as far as that is known.

        Parameters
        ----------
        work : Work
            Computes on the devices.
        threads : int
            How many the CPU uses.
        on_cpu : callable
            Computes the same on the CPU.
        """
        note = self._note(_key(work, threads))
        if note.device is not None:
            if note.device >= note.cpu or not self._tried(work, note):
                on_cpu()
            return
        if note.calls >= _CALLS and note.lock.acquire(blocking=False):
            try:
                if note.device is None and self._tried(work, note):  # unless another thread has, meanwhile
                    return
            finally:
                note.lock.release()
        began = self._clock()
        on_cpu()
        note.cpu = min(note.cpu, self._clock() - began)
        note.calls += 1

    def _tried(self, work: Work, note: _Note) -> bool:
        """Compute on the devices, and note how long the first time took; False: they cannot, or it is not worth it."""
        try:
            if note.device is None:
                if self._least(work) * _MARGIN >= note.cpu:
                    note.device = math.inf
                    return False
                work.prepare()
                began = self._clock()
                work.run()
                note.device = self._clock() - began
                name = "the device" if note.device < note.cpu else "the CPU"
                logger.debug("a trial took %.4f s and the CPU %.4f s: %s from now on", note.device, note.cpu, name)
            else:
                work.run()
        except (BackendUnavailable, DeviceOutOfMemory) as error:
            logger.warning("indicators are computed on the CPU, as the device failed: %s", error)
            note.device = math.inf
            return False
        return True

    def _least(self, work: Work) -> float:
        """Return the seconds that the transfer takes at least: both ways at once, to all devices."""
        there = devices()
        with self._lock:
            known = [self._rates.get(device) for device in there]
        rates = [found or self._measure(device) for found, device in zip(known, there, strict=True)]
        with self._lock:
            self._rates.update(zip(there, rates, strict=True))
        up, down = sum(rate.up for rate in rates), sum(rate.down for rate in rates)
        return max(work.bytes_up / up, work.bytes_down / down)

    def _note(self, key: Hashable) -> _Note:
        with self._lock:
            note = self._notes.pop(key, None) or _Note()
            self._notes[key] = note  # the last used is the last
            while len(self._notes) > _NOTES:
                self._notes.popitem(last=False)
            return note


def _key(work: Work, threads: int) -> Hashable:
    """Return what calls must share to take about the same time: structure, and sizes to the next power of two."""
    bars, symbols = work.columns[0].shape
    structures = tuple(
        (structure_of(batch.programs[0]), batch.sets.bit_length(), batch.programs[0].rows.bit_length())
        for batch in work.batches
    )
    sizes = tuple(size.bit_length() for size in (bars, symbols, work.rows))
    return structures, sizes, work.dtype, threads


crossover: Final = Crossover()
"""What ``backend="auto"`` of this process asks."""

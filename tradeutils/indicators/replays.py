"""The last bars of a stream, kept so that one of them can be corrected."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError
from tradeutils.indicators.snapshot import Kept, Mark, refused

if TYPE_CHECKING:
    from tradeutils.indicators.cpu import Live

__all__ = ["Replays"]

_Array = npt.NDArray[Any]


class Replays:
    """
    The last bars that a live program was fed, and where it stood before them.

    To remember a whole state at each bar would cost more than the bar. So the state is copied every ``keep`` bars, and
    the bars since the copy before the last are kept: up to ``2 * keep`` are run again for a correction.

    Parameters
    ----------
    keep : int
        How many of the last bars may be corrected.
    live : Live
        What is fed; bars it was fed before now cannot be corrected.
    begun : Mark, optional
        Where it stood before the first of ``times``, if that is not now.
    times, bars : sequences of int and of float64 arrays (inputs, width)
        What it was fed since.
    """

    def __init__(
        self,
        keep: int,
        live: Live,
        begun: Mark | None = None,
        times: Sequence[int] = (),
        bars: Sequence[_Array] = (),
    ) -> None:
        self.keep = keep
        self.live = live
        self.begun = live.mark() if begun is None else begun
        self.times = list(times)
        self.bars = list(bars)
        self._later: tuple[int, Mark] | None = None  # where it stood after so many of the bars

    @classmethod
    def of(cls, kept: Kept, keep: int, live: Live) -> Replays:
        """Return the bars kept for corrections, once they fit the stream."""
        rows, width = live.memory.shape
        count = len(kept.times)
        ends = int(kept.times[-1]) if count else kept.time
        rising = bool(np.all(np.diff(kept.times) > 0)) and (kept.time is None or not count or kept.times[0] > kept.time)
        shapes = kept.memory.shape, kept.bars.shape
        fits = shapes == ((rows, width), (count, len(live.program.inputs), width)) and kept.seen + count == live.seen
        if not fits or not rising or ends != live.time or (kept.time is None) != (kept.seen == 0):
            raise refused(f"the snapshot kept {count} bars that do not lead to its last")
        begun = Mark(kept.seen, kept.time, np.array(kept.memory))
        return cls(keep, live, begun, kept.times.tolist(), [np.array(bar) for bar in kept.bars])

    def kept(self) -> Kept:
        """Return what is kept, for a snapshot."""
        if not self._whole():
            self._begin()
        return Kept(
            **self.begun._asdict(),
            times=np.array(self.times, dtype=np.int64),
            bars=np.array(self.bars).reshape(len(self.bars), len(self.live.program.inputs), self.live.width),
        )

    def add(self) -> None:
        """Keep the bar that was just fed."""
        live = self.live
        if live.time is None or not self._whole(1):
            self._begin()
            return
        self.bars.append(live.bar())
        self.times.append(live.time)
        self._let_go()

    def on(self, live: Live) -> Replays:
        """Return the same for another live program, which stands where this one does."""
        if not self._whole():
            return Replays(self.keep, live)
        made = Replays(self.keep, live, self.begun, self.times, self.bars)
        made._later = self._later
        return made

    def _let_go(self) -> None:
        """Once there are ``keep`` bars since the last copy of the state, let go of those before it, and copy again."""
        at = self._later[0] if self._later else 0
        if len(self.times) - at < self.keep:
            return
        if self._later is not None:
            # In this order: an interrupt leaves what is whole, or what shows that it is not.
            later, self._later = self._later[1], None
            self.begun = later
            del self.times[:at]
            del self.bars[:at]
        self._later = len(self.times), self.live.mark()

    def feed(self, times: npt.NDArray[np.int64], columns: Mapping[str, _Array], made: _Array) -> None:
        """Feed bars as :meth:`Live.feed` does, and keep them."""
        self.live.feed(times, columns, made)
        names = self.live.program.inputs
        for row, time in enumerate(times.tolist()):
            self.times.append(time)
            self.bars.append(
                np.stack(
                    [columns[name][row] if name in columns else np.full(self.live.width, float(time)) for name in names]
                )
            )
        self._let_go()

    def corrected(self, time: int, bar: _Array, made: _Array) -> Replays:
        """
        Return what would be had the bar of this time been this one, with a live program that stands there.

        Parameters
        ----------
        time : int
            Not after the last bar. Where no bar was of this time, one is put in.
        bar : float64 array, shape (inputs, width)
        made : float64 array, shape (results, width)
            Receives the results of the last bar.

        Raises
        ------
        DataError : the bar is not among those that may be corrected.
        """
        at, first = bisect_left(self.times, time), max(len(self.times) - self.keep, 0)
        before = self.begun.time
        whole = self.times and self._whole()
        if not whole or at < first or (before is not None and time <= before):
            reach = f"bars from {self.times[first]} on (keep={self.keep})" if whole else "no bars"
            raise DataError(f"a bar of {time} came late, and {reach} can be corrected; warm a new stream from history")
        there = self.times[at] == time
        times = [*self.times[:at], time, *self.times[at + there :]]
        bars = [*self.bars[:at], bar, *self.bars[at + there :]]
        live = self.live.taking(range(self.live.width))
        kept = Replays(self.keep, live, self.begun, times, bars)
        start, since = self.begun, 0
        if self._later is not None:
            if at >= self._later[0]:
                since, start = self._later
                kept._later = self._later
            else:
                cut = self._later[0]
                live.return_to(self.begun)
                kept._run(0, cut, made)
                start, since = live.mark(), cut
                kept._later = cut, start
        live.return_to(start)
        kept._run(since, len(times), made)
        return kept

    def _whole(self, more: int = 0) -> bool:
        """Tell whether all bars since the first are kept; not where an interrupt fell between a bar and its keeping."""
        return self.begun.seen + len(self.times) + more == self.live.seen and len(self.bars) == len(self.times)

    def _begin(self) -> None:
        self._later = None
        self.begun, self.times, self.bars = self.live.mark(), [], []

    def _run(self, low: int, high: int, made: _Array) -> None:
        if low == high:
            return
        stacked = np.stack(self.bars[low:high])
        columns = {name: stacked[:, at] for at, name in enumerate(self.live.program.inputs)}
        self.live.feed(np.array(self.times[low:high], dtype=np.int64), columns, made)

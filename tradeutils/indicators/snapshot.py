"""What a stream knows, as a dict of plain values and arrays that the codec keeps; and such a dict, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils._version import __version__
from tradeutils.errors import DataError

__all__ = ["Kept", "Mark", "Saved", "refused"]

_KIND: Final = "tradeutils.indicators.Stream"
_FORMAT: Final = 1
_MOST: Final = 1 << 60  # bars; more would overflow in sums
_LATEST: Final = 1 << 45  # ms: a thousand years


class Mark(NamedTuple):
    """Where a live program stood: the bars it had seen, the time of the last, and what it remembered, (rows, S)."""

    seen: int
    time: int | None
    memory: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    Bars kept for corrections.

    Parameters
    ----------
    seen, time, memory
        Where the stream stood before them, as in :class:`Saved`.
    times : int64 array, shape (m,)
    bars : float64 array, shape (m, inputs, S)
    """

    seen: int
    time: int | None
    memory: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]
    bars: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """
    A stream at a point of time.

    Parameters
    ----------
    arithmetic : str
        The name of what is computed and how it is remembered.
    specs, symbols : list of str
    timeframe, nan, compat, late : str
    keep, seen, ignored : int
    time : int or None
    memory : float64 array, shape (rows, S)
    values : float64 array, shape (results, S)
    kept : Kept, optional
    """

    arithmetic: str
    specs: list[str]
    symbols: list[str]
    timeframe: str
    nan: str
    compat: str
    late: str
    keep: int
    seen: int
    ignored: int
    time: int | None
    memory: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    kept: Kept | None

    def written(self) -> dict[str, Any]:
        """Return all of it as a dict."""
        made = {"kind": _KIND, "format": _FORMAT, "version": __version__}
        made |= {name: getattr(self, name) for name in self.__slots__}
        if self.kept is not None:
            made["kept"] = {name: getattr(self.kept, name) for name in self.kept.__slots__}
        return made

    @classmethod
    def read(cls, data: object) -> Saved:
        """
        Return what a dict holds that :meth:`written` made.

        Raises
        ------
        DataError : it holds something else, or is of another format. Shapes are for the stream to check.
        """
        if not isinstance(data, Mapping) or data.get("kind") != _KIND:
            raise DataError(f"a snapshot was {data!r:.60}; give what Stream.snapshot() returned, or its bytes")
        if data.get("format") != _FORMAT:
            there, writer = data.get("format"), data.get("version")
            raise DataError(
                f"the snapshot is of format {there!r:.20}, written by tradeutils {writer!r:.20}, and this is "
                f"{__version__}, which reads format {_FORMAT}; warm a new stream from history"
            )
        reader = _Reader(data, "the snapshot")
        kept = data.get("kept")
        return cls(
            arithmetic=reader.text("arithmetic"),
            specs=reader.texts("specs"),
            symbols=reader.texts("symbols"),
            timeframe=reader.text("timeframe"),
            nan=reader.text("nan"),
            compat=reader.text("compat"),
            late=reader.text("late"),
            keep=reader.count("keep"),
            seen=reader.count("seen"),
            ignored=reader.count("ignored"),
            time=reader.time(),
            memory=reader.floats("memory", 2),
            values=reader.floats("values", 2),
            kept=None if kept is None else _kept(_Reader(kept, "what the snapshot kept")),
        )


def _kept(reader: _Reader) -> Kept:
    return Kept(
        seen=reader.count("seen"),
        time=reader.time(),
        memory=reader.floats("memory", 2),
        times=reader.array("times", np.int64, 1),
        bars=reader.floats("bars", 3),
    )


class _Reader:
    """Reads the entries of a dict from who knows where."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise refused(f"{where} was {type(data).__name__}")
        self._data = data
        self._where = where

    def _refused(self, name: str) -> DataError:
        return refused(f"{self._where} has a {name} of {self._data.get(name)!r:.60}")

    def text(self, name: str) -> str:
        value = self._data.get(name)
        if not isinstance(value, str):
            raise self._refused(name)
        return value

    def texts(self, name: str) -> list[str]:
        value = self._data.get(name)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self._refused(name)
        return list(value)

    def count(self, name: str) -> int:
        value = self._data.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
            raise self._refused(name)
        return value

    def time(self) -> int | None:
        value = self._data.get("time")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LATEST):
            raise self._refused("time")
        return value

    def floats(self, name: str, ndim: int) -> npt.NDArray[np.float64]:
        return self.array(name, np.float64, ndim)

    def array(self, name: str, dtype: Any, ndim: int) -> npt.NDArray[Any]:
        value = self._data.get(name)
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != ndim:
            raise self._refused(name)
        return value


def refused(what: str) -> DataError:
    """Return the error for a snapshot that cannot be one."""
    return DataError(f"{what}: it is damaged, or no snapshot of a stream; warm a new stream from history")

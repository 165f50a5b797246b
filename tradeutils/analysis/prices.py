"""What an analysis reads: Candles, a Panel, arrays by name, or closes; and the indicators it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils import frames
from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import Array, as_prices, check_shapes
from tradeutils.indicators.evaluate import Options, Request, evaluate
from tradeutils.indicators.spec import parse
from tradeutils.model import Candles, Panel
from tradeutils.model.stored import Stored

__all__ = ["Codes", "Data", "Prices", "before"]

Codes: TypeAlias = npt.NDArray[np.int8]
"""What something is at each bar, as members of an IntEnum: int8 (T,) or (T, S)."""

Data: TypeAlias = Candles | Panel | Stored | Mapping[str, Any] | npt.ArrayLike
"""Candles, a Panel, candles on disk, arrays by name (``{"high": ..., "low": ..., "close": ...}``), or closes."""

_NAMES: Final = ("open", "high", "low", "close", "volume")


class Prices:
    """
    The columns of one set of data, NaN where a value is missing.

    Parameters
    ----------
    data : Candles, Panel, mapping of str to array, or array
        A mapping holds some of open, high, low, close, volume, each (T,) or (T, S), of one shape. An array is of
        closes, and stands for bars whose open, high and low are the close.
    nan : str
        What averages do at a missing bar: ``"restart"``, ``"propagate"`` or ``"hold"``.

    Raises
    ------
    UsageError : data of another kind, not numbers, shapes that differ, or a mapping without any of the columns.
    UnknownName : no such ``nan``.
    """

    def __init__(self, data: Data, *, nan: str = "restart") -> None:
        self._options = Options(nan)
        if isinstance(data, Candles | Panel):
            found = {name: getattr(data, name) for name in _NAMES}
        elif isinstance(data, Mapping):
            found = {name: as_prices(data[name], name) for name in _NAMES if name in data}
            if not found:
                raise UsageError(
                    f"data had none of {', '.join(_NAMES)} (it has {', '.join(map(str, data)) or 'nothing'})"
                )
        elif frames.is_frame(data) or frames.is_series(data):
            raise UsageError(
                f"data was a pandas {type(data).__name__}; give Candles.from_frame(frame), or its closes as an array"
            )
        else:
            close = as_prices(data, "close")
            found = dict.fromkeys(_NAMES[:-1], close)
        names = list(found)
        check_shapes([found[name] for name in names], names)
        self._given: dict[str, Array] = found
        self._clean: dict[int, Array] = {}
        self.shape: tuple[int, ...] = found[names[0]].shape

    def column(self, name: str) -> Array:
        """Return a column, NaN also where it was infinite; one the data lacks raises ``UsageError``."""
        given = self._given.get(name)
        if given is None:
            raise UsageError(
                f"data had no {name} (it has {', '.join(self._given)}); add it, or give Candles or a Panel"
            )
        if id(given) not in self._clean:
            self._clean[id(given)] = _finite(given)
        return self._clean[id(given)]

    def compute(self, *specs: str, compat: str = "talib") -> list[Array]:
        """
        Return an array for each spec, all from one pass over the data.

        Raises
        ------
        UnknownName : no such indicator.
        UsageError : a spec of several outputs, or a column that the data lacks.
        """
        requests = []
        for text in specs:
            spec = parse(text)
            if len(spec.keys) > 1:
                raise UsageError(
                    f"{spec.text} has the outputs {', '.join(spec.indicator.outputs)}; give one as an array"
                )
            columns = [self.column(name) for name in spec.indicator.inputs]
            requests.append(Request(spec.indicator, spec.values, columns, spec.keys))
        return [made for (made,) in evaluate(requests, replace(self._options, compat=compat))]

    def measure(self, name: str, given: Any) -> Array:
        """Return an indicator of one output by its spec, or an array of the shape of the data, infinities made NaN."""
        if isinstance(given, str):
            return self.compute(given)[0]
        values = as_prices(given, name)
        if values.shape != self.shape:
            raise UsageError(f"{name} had shape {values.shape}; the data has {self.shape}, give one value a bar")
        return np.where(np.isinf(values), np.nan, values)  # a copy: it is part of results, and theirs may change


def _finite(values: Array) -> Array:
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def before(values: Array) -> Array:
    """Return at each bar the value of the bar before; NaN at the first."""
    moved = np.full_like(values, np.nan)
    moved[1:] = values[:-1]
    return moved

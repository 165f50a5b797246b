"""Frames and series as arrays, and arrays as frames and series."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, UsageError
from tradeutils.model.candles import PRICE_FIELDS, Column

if TYPE_CHECKING:
    import pandas as pd


def is_frame(x: object) -> bool:
    """Tell whether ``x`` is a pandas DataFrame, without importing pandas: who holds one has imported it."""
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    return frame is not None and isinstance(x, frame)


def is_series(x: object) -> bool:
    """Tell whether ``x`` is a pandas Series, without importing pandas."""
    series = getattr(sys.modules.get("pandas"), "Series", None)
    return series is not None and isinstance(x, series)


def columns(frame: pd.DataFrame) -> dict[str, Column]:
    """
    Return the numeric columns of a frame as contiguous float64 arrays by name.

    OHLCV names are folded to lower case (``"Close"`` is ``"close"``); the others keep theirs. Columns that are
    not numbers, and flags, are left out, but an OHLCV column must be numeric. Shared with the frame where possible.

    Raises
    ------
    UsageError : a name stands for two columns.
    DataError : an OHLCV column is not numeric.
    """
    refuse_levels(frame)
    found: dict[str, Column] = {}
    for at, label in enumerate(frame.columns):
        name = str(label)
        folded = name.strip().lower()
        name = folded if folded in PRICE_FIELDS else name
        series = frame.iloc[:, at]
        if name not in PRICE_FIELDS and not is_number(series.dtype):
            continue
        if name in found:
            raise UsageError(f"the frame has two columns that read as {name!r}; drop or rename one")
        found[name] = numbers(series, name)
    return found


def like(frame: pd.DataFrame, arrays: Mapping[str | tuple[str, str], npt.NDArray[Any]]) -> pd.DataFrame:
    """
    Return arrays as a DataFrame on the index of ``frame``.

    Parameters
    ----------
    frame : DataFrame
        Lends its index; the last rows of it where the arrays are shorter.
    arrays : mapping from column name to array (T,)
        Tuple names make MultiIndex columns. All of one length.

    Raises
    ------
    UsageError : arrays of different lengths, longer than the frame, or not one-dimensional.
    """
    import pandas as pd

    values = [np.asarray(array) for array in arrays.values()]
    shapes = {array.shape for array in values} or {(0,)}
    rows = next(iter(shapes))
    if len(shapes) > 1 or len(rows) != 1 or rows[0] > len(frame):
        raise UsageError(
            f"arrays had shapes {', '.join(str(s) for s in sorted(shapes))} and the frame {len(frame)} rows; "
            "give arrays of one length, at most that of the frame"
        )
    names: Any = list(arrays)
    if any(isinstance(name, tuple) for name in names):
        names = pd.MultiIndex.from_tuples([name if isinstance(name, tuple) else (name, "") for name in names])
    index = frame.index[len(frame) - rows[0] :] if values else frame.index
    if values and all(array.dtype == np.float64 for array in values):
        return pd.DataFrame(stacked(values), index=index, columns=names, copy=False)
    made = pd.DataFrame(dict(enumerate(values)), index=index)
    made.columns = names if values else pd.Index([], dtype=object)
    return made


def series_like(series: pd.Series[Any], array: npt.NDArray[Any]) -> pd.Series[Any]:
    """
    Return an array (T,) as a Series with the index (its last rows where the array is shorter) and name of ``series``.

    Raises
    ------
    UsageError : the array is longer than the series, or not one-dimensional.
    """
    import pandas as pd

    values = np.asarray(array)
    if values.ndim != 1 or len(values) > len(series):
        raise UsageError(f"array had shape {values.shape}; give one value a row of the series, which has {len(series)}")
    return pd.Series(values, index=series.index[len(series) - len(values) :], name=series.name)


def stacked(arrays: list[Column]) -> Column:
    """Return equally long columns as one Fortran-ordered (T, N) array, which pandas takes over as it is."""
    block = np.empty((len(arrays), len(arrays[0])), dtype=np.float64)
    for row, array in zip(block, arrays, strict=True):
        row[:] = array
    return block.T


def refuse_levels(frame: pd.DataFrame) -> None:
    if frame.columns.nlevels > 1:
        raise UsageError(f"the frame has {frame.columns.nlevels} levels of columns; select one symbol: frame.xs(...)")


def is_number(dtype: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def numbers(series: pd.Series[Any], name: str) -> Column:
    """Return a column as float64, missing values as NaN. Text and objects are read as numbers, times are not."""
    import pandas as pd

    dtype = series.dtype
    try:
        if series.dtype == object:  # Decimals, None, or numbers as text; pd.NA has no float
            return np.asarray(series.where(series.notna(), np.nan), dtype=np.float64)
        if not is_number(dtype) and not isinstance(dtype, pd.StringDtype):
            raise DataError(f"column {name} had dtype {dtype}; give numbers")
        return np.ascontiguousarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name} had dtype {dtype} and is not numeric: {error}") from error

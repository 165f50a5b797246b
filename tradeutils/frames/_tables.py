"""Plain tables as DataFrames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError
from tradeutils.frames._arrays import is_number, numbers
from tradeutils.frames._candles import _flags, _moments, _positions, _time_source
from tradeutils.model.candles import PRICE_FIELDS, Column

if TYPE_CHECKING:
    import pandas as pd


def table_to_frame(
    columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]], *, times: Collection[str] = ()
) -> pd.DataFrame:
    """
    Return columns of one length as a DataFrame with a plain index.

    Parameters
    ----------
    columns : mapping of str to sequence
        By name, in the order of the frame.
    times : collection of str
        Which of them are int64 milliseconds UTC, the least int64 where not known: they become UTC times and NaT.
    """
    import pandas as pd

    made = {
        name: pd.DatetimeIndex(np.asarray(values, dtype=np.int64).view("datetime64[ms]")).tz_localize("UTC")
        if name in times
        else values
        for name, values in columns.items()
    }
    return pd.DataFrame(made, columns=pd.Index(list(columns)))


def rows_of_frame(frame: pd.DataFrame) -> tuple[Column, npt.NDArray[np.bool_] | None]:
    """
    Return the candles of a frame as they stand in it, whatever their times: to find out what is wrong with them.

    Parameters
    ----------
    frame : DataFrame
        As for :func:`candles_from_frame`; times may be missing, doubled, unordered and in any unit.

    Returns
    -------
    rows : float64 array, shape (T, 6)
        Time, open, high, low, close, volume. Times are in ms UTC where the frame has datetimes or text, numbers as
        they stand there where it has numbers, and NaN where it has none.
    closed : bool array, shape (T,), or None
        Its column closed, where it has one.

    Raises
    ------
    UsageError : a name in it stands for two columns.
    DataError : columns are missing or not numeric; times that cannot be read.
    """
    found = _positions(frame)
    missing = [name for name in PRICE_FIELDS if name not in found]
    if missing:
        raise DataError(f"the frame lacks {', '.join(missing)}; rename its columns to OHLCV names")
    source, where = _time_source(frame, found)
    if is_number(source.dtype):
        time = source.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        moments = _moments(source, where).tz_convert("UTC").tz_localize(None).as_unit("ms")
        time = np.where(moments.isna(), np.nan, moments.asi8.astype(np.float64))
    rows = np.column_stack([time, *(numbers(frame.iloc[:, found[name]], name) for name in PRICE_FIELDS)])
    return rows, _flags(frame.iloc[:, found["closed"]]) if "closed" in found else None

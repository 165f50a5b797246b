"""What pandas holds, as arrays, lists and names: the form in which the codec writes it."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradeutils.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_FEW: Final = 16
_MANY: Final = 1024


def take_apart(value: Any) -> list[Any] | None:
    """
    Return a DataFrame, Series, Index, Timestamp, Timedelta, NaT or NA as arrays, lists and names, for the codec.

    Returns
    -------
    What `put_together` takes; ``None`` where ``value`` is none of these.

    Raises
    ------
    DataError : a dtype that is not kept (category, period, interval, sparse, Arrow); the column is named.
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return ["frame", _index_parts(value.index), _index_parts(value.columns), _blocks(value), dict(value.attrs)]
    if isinstance(value, pd.Series):
        return [
            "series",
            _index_parts(value.index),
            _array_parts(_held(value), "series"),
            value.name,
            dict(value.attrs),
        ]
    if isinstance(value, pd.Index):
        return ["index", _index_parts(value)]
    if value is pd.NaT or value is pd.NA:
        return ["missing", "NaT" if value is pd.NaT else "NA"]
    if isinstance(value, pd.Timestamp):
        return ["timestamp", value.unit, np.int64(value.asm8.view(np.int64)), _zone(value.tz)]
    if isinstance(value, pd.Timedelta):
        return ["timedelta", value.unit, np.int64(value.asm8.view(np.int64))]
    return None


def put_together(parts: list[Any]) -> Any:
    """
    Return what `take_apart` took apart; it owns its memory and can be written to.

    Raises
    ------
    DataError, ValueError, TypeError, LookupError or ArithmeticError : the parts do not fit together.
    """
    import pandas as pd

    match parts:
        case ["frame", index, columns, blocks, attrs]:
            frame = _from_blocks(_index(index), _index(columns), blocks)
            if attrs:
                frame.attrs = attrs
            return frame
        case ["series", index, array, name, attrs]:
            series = pd.Series(_array(array), index=_index(index), name=name, copy=False)
            if attrs:
                series.attrs = attrs
            return series
        case ["index", index]:
            return _index(index)
        case ["missing", name]:
            return {"NaT": pd.NaT, "NA": pd.NA}[name]
        case ["timestamp", unit, number, zone]:
            moment = pd.Timestamp(np.datetime64(int(number), unit))
            return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)
        case ["timedelta", unit, number]:
            return pd.Timedelta(np.timedelta64(int(number), unit))
    raise DataError(f"no part of pandas is written as {str(parts)[:60]}")


def _zone(zone: dt.tzinfo | None) -> dt.tzinfo | None:
    """Return a time zone of pytz, which pandas 2 still hands out, as the standard library has it."""
    key = getattr(zone, "zone", None)
    if key is None:
        return zone
    return dt.UTC if key == "UTC" else zoneinfo.ZoneInfo(key)


def _held(values: Any) -> Any:
    """Return the array in a Series or Index: numpy's where its dtype is numpy's, else pandas' own."""
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


def _array_parts(values: Any, where: str) -> Any:
    """Return a column: a plain array as itself, an extension array as a list that names its kind."""
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        # The moments in UTC, and no copy: the dtype without a zone is what pandas holds them in.
        return ["zone", np.asarray(values, dtype=f"datetime64[{dtype.unit}]"), _zone(dtype.tz)]
    if isinstance(dtype, np.dtype):
        return np.asarray(values)
    if isinstance(dtype, pd.StringDtype):
        na = getattr(dtype, "na_value", pd.NA)
        texts = np.array(values, dtype=object)
        texts[np.asarray(pd.isna(texts))] = None
        return ["text", dtype.storage, na is pd.NA, texts.tolist()]
    if isinstance(values, pd.arrays.IntegerArray | pd.arrays.FloatingArray | pd.arrays.BooleanArray):
        return ["masked", values.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.type(0)), np.asarray(values.isna())]
    raise DataError(f"{where} has dtype {dtype}, which is not kept; convert it with astype first")


def _array(parts: Any) -> Any:
    import pandas as pd

    if isinstance(parts, np.ndarray):
        return parts.copy()
    match parts:
        case ["zone", moments, zone]:
            return _zoned(moments, zone, None).array
        case ["text", storage, na_is_na, texts]:
            return pd.array(texts, dtype=_text_dtype(storage, na_is_na))
        case ["masked", values, mask]:
            masked = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
            return masked.get(values.dtype.kind, pd.arrays.IntegerArray)(values.copy(), mask.copy())
    raise DataError(f"no column is written as {str(parts)[:60]}")


def _zoned(moments: Any, zone: dt.tzinfo, name: Any) -> pd.DatetimeIndex:
    import pandas as pd

    index = pd.DatetimeIndex(moments.copy(), name=name).tz_localize(dt.UTC)
    return index if zone is dt.UTC else index.tz_convert(zone)


def _text_dtype(storage: Any, na_is_na: bool) -> Any:
    import pandas as pd

    # The missing value of text became a choice in pandas 2.3; before that it was always NA.
    return pd.StringDtype(storage) if na_is_na else pd.StringDtype(storage, na_value=np.nan)


def _index_parts(index: pd.Index[Any]) -> list[Any]:
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return ["range", index.start, index.stop, index.step, index.name]
    if isinstance(index, pd.MultiIndex):
        codes = [np.asarray(code) for code in index.codes]
        return ["levels", [_index_parts(level) for level in index.levels], codes, list(index.names)]
    parts = _array_parts(_held(index), f"index {'' if index.name is None else index.name}".strip())
    if isinstance(parts, np.ndarray) and parts.dtype == object and set(map(type, index)) == {str}:
        return ["labels", None, None, index.tolist(), index.name]
    if isinstance(parts, list) and parts[0] == "text" and None not in parts[3]:
        return ["labels", *parts[1:], index.name]
    return ["array", parts, index.name, getattr(index, "freqstr", None)]


def _index(parts: list[Any]) -> pd.Index[Any]:
    import pandas as pd

    match parts:
        case ["range", start, stop, step, name]:
            return pd.RangeIndex(start, stop, step, name=name)
        case ["levels", levels, codes, names]:
            rebuilt: Any = [_index(level) for level in levels]
            return pd.MultiIndex(rebuilt, codes, names=names)
        case ["labels", storage, na_is_na, labels, name]:
            make = _labels if len(labels) <= _MANY else _labels.__wrapped__
            return make(storage, na_is_na, *labels).rename(name)
        case ["array", values, name, freq]:
            index: Any
            match values:
                case ["zone", moments, zone]:
                    index = _zoned(moments, zone, name)
                case _:
                    array = _array(values)
                    index = pd.Index(array, dtype=array.dtype, name=name)
            if freq is not None:
                index.freq = freq  # pandas checks that the times keep to it
            made: pd.Index[Any] = index
            return made
    raise DataError(f"no index is written as {str(parts)[:60]}")


@functools.lru_cache(maxsize=64)
def _labels(storage: str | None, na_is_na: bool | None, *labels: str) -> pd.Index[Any]:
    """Return an index of text. Kept, as frames of one kind follow one another and it is half the cost of a frame."""
    import pandas as pd

    return pd.Index(labels, dtype=object if storage is None else _text_dtype(storage, bool(na_is_na)))


def _blocks(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the columns of a frame as pairs of positions and one (N, T) array for each dtype, or one column."""
    # Series by series costs 7 us a column; this private iterator, there since pandas 1.1, 0.5 us.
    arrays: Any = getattr(frame, "_iter_column_arrays", None)
    arrays = [_held(series) for _, series in frame.items()] if arrays is None else list(arrays())
    found: list[list[Any]] = []
    groups: dict[np.dtype[Any], list[int]] = {}
    for at, array in enumerate(arrays):
        if isinstance(array, np.ndarray) and array.dtype != object:
            groups.setdefault(array.dtype, []).append(at)
        else:
            found.append([[at], _array_parts(array, f"column {frame.columns[at]}")])
    if len(groups) == 1 and not found:
        return [[None, frame.to_numpy().T]]  # a view where the frame is one block
    return [[at, np.stack([arrays[i] for i in at])] for at in groups.values()] + found


def _from_blocks(index: pd.Index[Any], columns: pd.Index[Any], blocks: list[list[Any]]) -> pd.DataFrame:
    import pandas as pd

    if len(blocks) == 1 and blocks[0][0] is None:
        return pd.DataFrame(blocks[0][1].T.copy(order="K"), index=index, columns=columns, copy=False)
    flat = [block for block in blocks if isinstance(block[1], np.ndarray) and block[1].ndim == 2]
    base_at, base = max(flat, key=lambda block: len(block[0]), default=([], np.empty((0, len(index)))))
    placed: dict[int, Any] = {}
    for at, array in blocks:
        if array is base:
            continue
        if isinstance(array, np.ndarray) and array.ndim == 2:
            placed.update(zip(at, array.copy(), strict=True))
        else:
            placed[at[0]] = _array(array)
    if sorted((*base_at, *placed)) != list(range(len(columns))) or base_at != sorted(base_at):
        raise DataError(f"the frame has {len(columns)} columns, and these: {[*base_at, *placed][:20]}")
    # The largest block as it is and a few columns inserted: half the cost of a dict of columns. pandas warns of
    # frames made of a hundred inserts.
    if len(placed) > _FEW:
        placed.update(zip(base_at, base.copy(), strict=True))
        frame = pd.DataFrame({at: placed[at] for at in range(len(columns))}, index=index, copy=False)
    else:
        frame = pd.DataFrame(base.T.copy(order="K"), index=index, copy=False)
        for label, at in enumerate(sorted(placed), len(base_at)):  # labels that keep the range of columns a range
            frame.insert(at, label, placed[at])
    frame.columns = columns
    return frame

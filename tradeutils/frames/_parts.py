"""
What pandas holds as a recipe and its ingredients: the form in which the codec writes it.

A recipe is plain JSON: nested lists of names, numbers and ``None``. The ingredients (arrays, lists of text, time
zones, names) stand in one list, and the recipe says where: ``["series", ["range", 0, 9, 1, None], 0, None, None]``.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError
from tradeutils.frames._ingredients import UNITS, Ingredients, Parts, column

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["put_together", "take_apart"]

Recipe: TypeAlias = list[Any]
Places: TypeAlias = npt.NDArray[np.intp]

_FEW: Final = 16
_MANY, _LONG = 1024, 2**14  # labels of one index, and characters in them, that are worth keeping
_INT64: Final = range(-(2**63), 2**63)
_LONGEST_FREQ: Final = 40
_COLUMN: Final = 128
"""What pandas takes for a column beside its values, in bytes: where it stands in which block, and its array."""
_CODE: Final = 8  # what it takes for a label of a level, and for the code of one, however narrow it was written


def take_apart(value: Any) -> tuple[Recipe, Ingredients] | None:
    """
    Return a DataFrame, Series, Index, Timestamp, Timedelta, NaT or NA as a recipe and its ingredients.

    Returns
    -------
    What `put_together` takes; ``None`` where ``value`` is none of these.

    Raises
    ------
    DataError : a dtype that is not kept (category, period, interval, sparse, Arrow), a freq that its text does not
        tell in full, or duplicate labels disallowed; the column or index is named.
    """
    import pandas as pd

    kept: Ingredients = []
    if isinstance(value, pd.DataFrame | pd.Series) and not value.flags.allows_duplicate_labels:
        raise DataError("flags are not kept; call set_flags(allows_duplicate_labels=True) first")
    if isinstance(value, pd.DataFrame):
        recipe = ["frame", _index_parts(value.index, kept), _index_parts(value.columns, kept), _blocks(value, kept)]
        return [*recipe, _keep(value.attrs or None, kept)], kept
    if isinstance(value, pd.Series):
        recipe = ["series", _index_parts(value.index, kept), _array_parts(_held(value), "series", kept)]
        return [*recipe, _keep(value.name, kept), _keep(value.attrs or None, kept)], kept
    if isinstance(value, pd.Index):
        return ["index", _index_parts(value, kept)], kept
    if value is pd.NaT or value is pd.NA:
        return ["missing", "NaT" if value is pd.NaT else "NA"], kept
    if isinstance(value, pd.Timestamp):
        zone = _keep(_zone(value.tz), kept)
        return ["timestamp", value.unit, int(value.asm8.view(np.int64)), zone], kept
    if isinstance(value, pd.Timedelta):
        return ["timedelta", value.unit, int(value.asm8.view(np.int64))], kept
    return None


def put_together(recipe: Recipe, kept: Ingredients, charge: Callable[[int], None]) -> Any:
    """
    Return what `take_apart` took apart; it owns its memory and can be written to.

    Parameters
    ----------
    recipe, kept : list
        From `take_apart`, or hostile.
    charge : callable
        Is told the bytes that columns and levels of labels will take beside their values, and raises where that is too
        much: a range of columns without rows is as short as it likes.

    Raises
    ------
    DataError, ValueError, TypeError, LookupError or ArithmeticError : the parts do not fit together.
    """
    import pandas as pd

    parts = Parts(kept, charge)
    match recipe:
        case ["frame", index, columns, blocks, attrs]:
            frame = _from_blocks(_index(index, parts), _index(columns, parts), blocks, parts)
            if attrs is not None:
                frame.attrs = parts.take(attrs, dict)
            return frame
        case ["series", index, array, name, attrs]:
            return _series(_index(index, parts), _array(array, parts), parts.maybe(name), parts.maybe(attrs, dict))
        case ["index", index]:
            return _index(index, parts)
        case ["missing", name]:
            return {"NaT": pd.NaT, "NA": pd.NA}[name]
        case ["timestamp", str(unit), int(number), zone] if unit in UNITS:
            moment = pd.Timestamp(np.datetime64(number, unit))  # type: ignore[call-overload]  # a str that is one
            return moment if zone is None else moment.tz_localize(dt.UTC).tz_convert(parts.take(zone, dt.tzinfo))
        case ["timedelta", str(unit), int(number)] if unit in UNITS:
            span: Any = np.timedelta64(number, unit)  # type: ignore[call-overload]  # a str that is one
            return pd.Timedelta(span)
    raise DataError(f"nothing of pandas is written as {str(recipe)[:60]}")


def _series(index: pd.Index[Any], values: Any, name: Any, attrs: dict[Any, Any] | None) -> pd.Series[Any]:
    import pandas as pd

    if len(values) != len(index):
        raise DataError(f"a series has {len(values)} values and {len(index)} rows")
    series: pd.Series[Any] = pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)
    if attrs is not None:
        series.attrs = attrs
    return series


def _keep(value: Any, kept: Ingredients) -> int | None:
    """Set an ingredient aside and return where it stands; ``None`` stays ``None``."""
    if value is None:
        return None
    kept.append(value)
    return len(kept) - 1


def _zone(zone: dt.tzinfo | None) -> dt.tzinfo | None:
    """Return a time zone of pytz, which pandas 2 still hands out, as the standard library has it."""
    key = getattr(zone, "zone", None)
    if key is None:
        return zone
    return dt.UTC if key == "UTC" else zoneinfo.ZoneInfo(key)


def _held(values: Any) -> Any:
    """Return the array in a Series or Index: numpy's where its dtype is numpy's, else pandas' own."""
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


def _array_parts(values: Any, where: str, kept: Ingredients) -> Any:
    """Return where a plain array stands, or the recipe of an extension array."""
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        # The moments in UTC, and no copy: the dtype without a zone is what pandas holds them in.
        moments = np.asarray(values, dtype=f"datetime64[{dtype.unit}]")
        return ["zone", _keep(moments, kept), _keep(_zone(dtype.tz), kept)]
    if isinstance(dtype, np.dtype):
        return _keep(np.asarray(values), kept)
    if isinstance(dtype, pd.StringDtype):
        na_is_na = getattr(dtype, "na_value", pd.NA) is pd.NA
        texts = np.array(values, dtype=object)
        texts[np.asarray(pd.isna(texts))] = None
        return ["text", dtype.storage, na_is_na, _keep(texts.tolist(), kept)]
    if isinstance(values, pd.arrays.IntegerArray | pd.arrays.FloatingArray | pd.arrays.BooleanArray):
        numbers = values.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.type(0))
        return ["masked", _keep(numbers, kept), _keep(np.asarray(values.isna()), kept)]
    raise DataError(f"{where} has dtype {dtype}, which is not kept; convert it with astype first")


def _array(recipe: Any, parts: Parts) -> Any:
    import pandas as pd

    match recipe:
        case int(at):
            return parts.array(at, "biufcOmM").copy()
        case ["zone", moments, zone]:
            return _zoned(moments, zone, None, parts).array
        case ["text", str(storage), bool(na_is_na), texts]:
            return pd.array(parts.texts(texts, (type(None),)), dtype=_text_dtype(storage, na_is_na))
        case ["masked", values, mask]:
            masked = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
            numbers, missing = parts.array(values, "biuf").copy(), parts.array(mask, "b").copy()
            return masked.get(numbers.dtype.kind, pd.arrays.IntegerArray)(numbers, missing)
    raise DataError(f"no column is written as {str(recipe)[:60]}")


def _zoned(moments: Any, zone: Any, name: Any, parts: Parts) -> pd.DatetimeIndex:
    import pandas as pd

    array, tz = parts.array(moments, "M").copy(), parts.take(zone, dt.tzinfo)
    if tz is dt.UTC:
        return pd.DatetimeIndex(array, tz=tz, name=name)
    return pd.DatetimeIndex(array, name=name).tz_localize(dt.UTC).tz_convert(tz)


def _text_dtype(storage: str, na_is_na: bool) -> Any:
    import pandas as pd

    # The missing value of text became a choice in pandas 2.3; before that it was always NA.
    return pd.StringDtype(storage) if na_is_na else pd.StringDtype(storage, na_value=np.nan)


def _index_parts(index: pd.Index[Any], kept: Ingredients) -> Recipe:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        levels = [_index_parts(level, kept) for level in index.levels]
        codes = [_keep(np.asarray(code), kept) for code in index.codes]
        return ["levels", levels, codes, _keep(list(index.names), kept)]
    name = _keep(index.name, kept)
    if isinstance(index, pd.RangeIndex):
        return ["range", index.start, index.stop, index.step, name]
    dtype = index.dtype
    if isinstance(dtype, pd.StringDtype) and not index.hasnans:
        na_is_na = getattr(dtype, "na_value", pd.NA) is pd.NA
        return ["labels", dtype.storage, na_is_na, _keep(index.tolist(), kept), name]
    if isinstance(dtype, np.dtype) and dtype.kind == "O" and set(map(type, index)) == {str}:
        return ["labels", None, False, _keep(index.tolist(), kept), name]
    where = f"index {'' if index.name is None else index.name}".strip()
    return ["array", _array_parts(_held(index), where, kept), name, _freq_text(index, where)]


def _freq_text(index: pd.Index[Any], where: str) -> str | None:
    """Return the freq of times as text that says all of it: holidays, hours and months with days are not in it."""
    import pandas as pd
    from pandas.tseries.frequencies import to_offset

    if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) or index.freq is None:
        return None
    text: str = index.freq.freqstr
    try:
        told = len(text) <= _LONGEST_FREQ and to_offset(text) == index.freq
    except ValueError:  # text that pandas itself does not read
        told = False
    if not told:
        raise DataError(f"{where} has freq {index.freq!r}, which is not kept; set index.freq = None first")
    return text


def _index(recipe: Any, parts: Parts) -> pd.Index[Any]:
    import pandas as pd

    match recipe:
        case ["range", int(start), int(stop), int(step), name]:
            bounds = range(start, stop, step)
            if not all(type(bound) is int and bound in _INT64 for bound in (start, stop, step)):
                raise DataError(f"an index is written as {bounds}")
            len(bounds)  # raises where it is more than 2**63 - 1, and pandas makes no list of a range
            return pd.RangeIndex(bounds, name=parts.maybe(name))
        case ["levels", list(levels), list(codes), names]:
            return _leveled(levels, codes, parts.take(names, list), parts)
        case ["labels", None | str() as storage, bool(na_is_na), at, name]:
            labels = parts.texts(at)
            keep = len(labels) <= _MANY and sum(map(len, labels)) <= _LONG
            shared = (_labels if keep else _labels.__wrapped__)(storage, na_is_na, *labels)
            return shared.view() if name is None else shared.rename(parts.take(name))
        case ["array", values, name, freq]:
            match values:
                case ["zone", moments, zone]:
                    index = _zoned(moments, zone, parts.maybe(name), parts)
                case _:
                    array = _array(values, parts)
                    index = pd.Index(array, dtype=array.dtype, name=parts.maybe(name))
            return index if freq is None else _with_freq(index, freq)
    raise DataError(f"no index is written as {str(recipe)[:60]}")


def _leveled(levels: list[Recipe], codes: list[Any], names: list[Any], parts: Parts) -> pd.MultiIndex:
    """Return an index of levels. What pandas does not check is checked here: that codes are whole and in range."""
    import pandas as pd

    rebuilt: list[Any] = [_index(level, parts) for level in levels]
    arrays = [parts.array(code, "i") for code in codes]
    fits = len(rebuilt) == len(arrays) == len(names) and len(set(map(len, arrays))) == 1
    fits = fits and not any(isinstance(level, pd.MultiIndex) for level in rebuilt)
    for level, array in zip(rebuilt, arrays, strict=fits):
        parts.charge((array.size + len(level)) * _CODE)  # a range is a level too, in which pandas looks for NaN
        fits = fits and array.min(initial=-1) == -1 and array.max(initial=-1) < len(level)
    if not fits:
        raise DataError(f"{len(rebuilt)} levels, {len(arrays)} codes and {len(names)} names are no index together")
    return pd.MultiIndex(rebuilt, arrays, names=names)


def _with_freq(index: Any, freq: Any) -> pd.Index[Any]:
    import pandas as pd

    known = type(freq) is str and len(freq) <= _LONGEST_FREQ and isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex)
    if not known:
        raise DataError(f"an index of {index.dtype} has freq {str(freq)[:60]}")
    index.freq = freq  # pandas checks that the times keep to it
    made: pd.Index[Any] = index
    return made


@functools.lru_cache(maxsize=64)
def _labels(storage: str | None, na_is_na: bool, *labels: str) -> pd.Index[Any]:
    """Return an index of text. Kept, as frames of one kind follow one another and it is half the cost of a frame."""
    import pandas as pd

    return pd.Index(labels, dtype=object if storage is None else _text_dtype(storage, na_is_na))


def _is_plain(dtype: Any) -> bool:
    """Tell whether columns of ``dtype`` lie in one numpy array: times do too, but pandas hides it from to_numpy."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biufc"


def _blocks(frame: pd.DataFrame, kept: Ingredients) -> list[Recipe]:
    """Return the columns of a frame as pairs of positions and one (N, T) array for each dtype, or one column."""
    if len(frame.columns) > _FEW and len(dtypes := set(frame.dtypes)) == 1 and _is_plain(dtypes.pop()):
        return [[None, _keep(frame.to_numpy().T, kept)]]
    # Series by series costs 7 us a column; this private iterator, there since pandas 1.1, 0.5 us.
    arrays: Any = getattr(frame, "_iter_column_arrays", None)
    arrays = [_held(series) for _, series in frame.items()] if arrays is None else list(arrays())
    found: list[Recipe] = []
    groups: dict[np.dtype[Any], list[int]] = {}
    for at, array in enumerate(arrays):
        if isinstance(array, np.ndarray) and _is_plain(array.dtype):
            groups.setdefault(array.dtype, []).append(at)
        else:
            found.append([[at], _array_parts(array, f"column {frame.columns[at]}", kept)])
    if len(groups) == 1 and not found:
        return [[None, _keep(frame.to_numpy().T, kept)]]  # a view where the frame is one block
    return [[at, _keep(np.stack([arrays[i] for i in at]), kept)] for at in groups.values()] + found


def _from_blocks(index: pd.Index[Any], columns: pd.Index[Any], blocks: Any, parts: Parts) -> pd.DataFrame:
    import pandas as pd

    width = len(columns)
    parts.charge(width * _COLUMN)
    made = [_block(at, array, (width, len(index)), parts) for at, array in blocks]
    places = np.concatenate([np.empty(0, np.intp), *[at for at, _ in made]])
    if len(places) != width or (np.sort(places) != np.arange(width)).any():
        raise DataError(f"the frame has {width} columns, and these: {places[:20].tolist()}")
    try:
        from pandas.api.internals import create_dataframe_from_blocks  # type: ignore[import-not-found]
    except ImportError:  # before pandas 3: six times as slow
        single = {int(at): one for stand, a in made for at, one in zip(stand, _columns_of(a, index), strict=True)}
        frame = pd.DataFrame({at: single[at] for at in range(width)}, index=index, copy=False)
        frame.columns = columns
        return frame
    built: pd.DataFrame = create_dataframe_from_blocks([(array, at) for at, array in made], index, columns)
    return built


def _block(at: Any, recipe: Any, shape: tuple[int, int], parts: Parts) -> tuple[Places, Any]:
    """
    Return where the columns of a block stand, and the block: an array (N, T) or one extension array (T,).

    All that pandas does not check is checked here, as the frame is made of the blocks as they are.
    """
    import pandas as pd

    if isinstance(recipe, int):
        array = parts.take(recipe, np.ndarray)
        if array.ndim != 2 or not _is_plain(array.dtype):
            array = column(array, "biufcOmM")
            array = array[None, :] if array.dtype.kind not in "mM" else pd.array(array.copy())
        array = array.copy(order="K") if isinstance(array, np.ndarray) else array
    else:
        array = _array(recipe, parts)
    count = len(array) if array.ndim == 2 else 1
    if array.shape[-1] != shape[1] or count > shape[0]:
        raise DataError(f"a block of shape {array.shape} does not fit a frame of {shape[0]} columns, {shape[1]} rows")
    if at is not None and (type(at) is not list or not set(map(type, at)) <= {int} or at != sorted(at)):
        raise DataError(f"columns stand at {str(at)[:60]}")
    places = np.arange(shape[0]) if at is None else np.array(at, np.intp)
    if len(places) != count:
        raise DataError(f"a block of shape {array.shape} stands at {len(places)} places")
    return places, array


def _columns_of(array: Any, index: pd.Index[Any]) -> list[Any]:
    """Return a block column by column. Left to itself pandas makes columns of text of objects that happen to be."""
    import pandas as pd

    if array.ndim == 1:
        return [array]
    return [pd.Series(one, index=index, dtype=object) for one in array] if array.dtype.kind == "O" else list(array)

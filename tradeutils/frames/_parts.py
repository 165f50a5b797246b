"""
What pandas holds as a recipe and its ingredients: the form in which the codec writes it.

A recipe is plain JSON: nested lists of names, numbers and ``None``. The ingredients (arrays, lists of text, time
zones, names) stand in one list, and the recipe says where: ``["series", ["range", 0, 9, 1, None], 0, None, None]``.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from tradeutils.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["put_together", "take_apart"]

Recipe: TypeAlias = list[Any]
Ingredients: TypeAlias = list[Any]

_FEW: Final = 16
_MANY: Final = 1024


def take_apart(value: Any) -> tuple[Recipe, Ingredients] | None:
    """
    Return a DataFrame, Series, Index, Timestamp, Timedelta, NaT or NA as a recipe and its ingredients.

    Returns
    -------
    What `put_together` takes; ``None`` where ``value`` is none of these.

    Raises
    ------
    DataError : a dtype that is not kept (category, period, interval, sparse, Arrow); the column is named.
    """
    import pandas as pd

    kept: Ingredients = []
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


def put_together(recipe: Recipe, kept: Ingredients) -> Any:
    """
    Return what `take_apart` took apart; it owns its memory and can be written to.

    Raises
    ------
    DataError, ValueError, TypeError, LookupError or ArithmeticError : the parts do not fit together.
    """
    import pandas as pd

    match recipe:
        case ["frame", index, columns, blocks, attrs]:
            frame = _from_blocks(_index(index, kept), _index(columns, kept), blocks, kept)
            if attrs is not None:
                frame.attrs = kept[attrs]
            return frame
        case ["series", index, array, name, attrs]:
            values, label = _array(array, kept), _kept(name, kept)
            series = pd.Series(values, index=_index(index, kept), name=label, dtype=values.dtype, copy=False)
            if attrs is not None:
                series.attrs = kept[attrs]
            return series
        case ["index", index]:
            return _index(index, kept)
        case ["missing", name]:
            return {"NaT": pd.NaT, "NA": pd.NA}[name]
        case ["timestamp", unit, number, zone]:
            moment = pd.Timestamp(np.datetime64(int(number), unit))
            return moment if zone is None else moment.tz_localize(dt.UTC).tz_convert(_checked(kept[zone], dt.tzinfo))
        case ["timedelta", unit, number]:
            return pd.Timedelta(np.timedelta64(int(number), unit))
    raise DataError(f"nothing of pandas is written as {str(recipe)[:60]}")


def _keep(value: Any, kept: Ingredients) -> int | None:
    """Set an ingredient aside and return where it stands; ``None`` stays ``None``."""
    if value is None:
        return None
    kept.append(value)
    return len(kept) - 1


def _kept(at: int | None, kept: Ingredients) -> Any:
    return None if at is None else kept[at]


def _checked(value: Any, kind: type[Any], ndim: int | None = None) -> Any:
    """
    Return an ingredient that is what it must be. pandas would take most others too: it opens the file that text
    names as a time zone, and repeats a single number for as many rows as the index has.
    """
    if not isinstance(value, kind) or (ndim is not None and value.ndim != ndim):
        raise DataError(f"a part of a frame is a {type(value).__name__} where a {kind.__name__} belongs")
    return value


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


def _array(recipe: Any, kept: Ingredients) -> Any:
    import pandas as pd

    match recipe:
        case int(at):
            return _checked(kept[at], np.ndarray, 1).copy()
        case ["zone", moments, zone]:
            return _zoned(kept[moments], kept[zone], None).array
        case ["text", storage, na_is_na, texts]:
            return pd.array(_checked(kept[texts], list), dtype=_text_dtype(storage, na_is_na))
        case ["masked", values, mask]:
            masked = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
            numbers, missing = (_checked(kept[part], np.ndarray, 1).copy() for part in (values, mask))
            return masked.get(numbers.dtype.kind, pd.arrays.IntegerArray)(numbers, missing)
    raise DataError(f"no column is written as {str(recipe)[:60]}")


def _zoned(moments: Any, zone: dt.tzinfo, name: Any) -> pd.DatetimeIndex:
    import pandas as pd

    moments = _checked(moments, np.ndarray, 1).copy()
    if zone is dt.UTC:
        return pd.DatetimeIndex(moments, tz=zone, name=name)
    return pd.DatetimeIndex(moments, name=name).tz_localize(dt.UTC).tz_convert(_checked(zone, dt.tzinfo))


def _text_dtype(storage: Any, na_is_na: bool) -> Any:
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
    return ["array", _array_parts(_held(index), where, kept), name, getattr(index, "freqstr", None)]


def _index(recipe: Recipe, kept: Ingredients) -> pd.Index[Any]:
    import pandas as pd

    match recipe:
        case ["range", start, stop, step, name]:
            return pd.RangeIndex(start, stop, step, name=_kept(name, kept))
        case ["levels", levels, codes, names]:
            rebuilt: Any = [_index(level, kept) for level in levels]
            return pd.MultiIndex(rebuilt, [kept[code] for code in codes], names=kept[names])
        case ["labels", storage, na_is_na, at, name]:
            labels = _checked(kept[at], list)
            make = _labels if len(labels) <= _MANY else _labels.__wrapped__
            shared = make(storage, na_is_na, *labels)
            return shared.view() if name is None else shared.rename(kept[name])
        case ["array", values, name, freq]:
            index: Any
            match values:
                case ["zone", moments, zone]:
                    index = _zoned(kept[moments], kept[zone], _kept(name, kept))
                case _:
                    array = _array(values, kept)
                    index = pd.Index(array, dtype=array.dtype, name=_kept(name, kept))
            if freq is not None:
                index.freq = freq  # pandas checks that the times keep to it
            made: pd.Index[Any] = index
            return made
    raise DataError(f"no index is written as {str(recipe)[:60]}")


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


def _from_blocks(index: pd.Index[Any], columns: pd.Index[Any], blocks: list[Recipe], kept: Ingredients) -> pd.DataFrame:
    import pandas as pd

    made = [_block(at, array, (len(columns), len(index)), kept) for at, array in blocks]
    if sorted(at for places, _ in made for at in places) != list(range(len(columns))):
        raise DataError(f"the frame has {len(columns)} columns, and these: {[at for at, _ in made][:20]}")
    try:
        from pandas.api.internals import create_dataframe_from_blocks  # type: ignore[import-not-found]
    except ImportError:  # before pandas 3: six times as slow
        single = {at: one for places, array in made for at, one in zip(places, _columns_of(array, index), strict=True)}
        frame = pd.DataFrame({at: single[at] for at in range(len(columns))}, index=index, copy=False)
        frame.columns = columns
        return frame
    built: pd.DataFrame = create_dataframe_from_blocks([(b, np.array(at, np.intp)) for at, b in made], index, columns)
    return built


def _block(at: list[int] | None, recipe: Any, shape: tuple[int, int], kept: Ingredients) -> tuple[list[int], Any]:
    """
    Return where the columns of a block stand, and the block: an array (N, T) or one extension array (T,).

    All that pandas does not check is checked here, as the frame is made of the blocks as they are.
    """
    import pandas as pd

    places = list(range(shape[0])) if at is None else at
    if isinstance(recipe, int) and _checked(kept[recipe], np.ndarray).ndim == 2 and _is_plain(kept[recipe].dtype):
        array = kept[recipe].copy(order="K")
    else:
        array = _array(recipe, kept)
        if isinstance(array, np.ndarray):
            if array.dtype.kind not in "biufcOmM":
                raise DataError(f"a column of the frame has dtype {array.dtype}")
            array = pd.array(array) if array.dtype.kind in "mM" else array[None, :]
    fits = array.shape[-1] == shape[1] and len(places) == (len(array) if array.ndim == 2 else 1)
    if not fits or places != sorted(places) or not all(type(place) is int for place in places):
        raise DataError(f"columns at {str(places)[:60]} of shape {array.shape} do not fit a frame of {shape[1]} rows")
    return places, array


def _columns_of(array: Any, index: pd.Index[Any]) -> list[Any]:
    """Return a block column by column. Left to itself pandas makes columns of text of objects that happen to be."""
    import pandas as pd

    if array.ndim == 1:
        return [array]
    return [pd.Series(one, index=index, dtype=object) for one in array] if array.dtype.kind == "O" else list(array)

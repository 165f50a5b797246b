"""Equality that a codec must keep: the same types all the way down, NaN equal to NaN, -0.0 unequal to 0.0."""

from __future__ import annotations

import dataclasses
import datetime as dt
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tradeutils.model import Balance


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are of one type and equal in every part."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | np.floating):
        return struct.pack("<d", one) == struct.pack("<d", other) or (one != one and other != other)
    if isinstance(one, np.ndarray):
        return _same_arrays(one, other)
    if isinstance(one, np.generic):
        return one.dtype == other.dtype and (one.tobytes() == other.tobytes())
    if isinstance(one, pd.DataFrame | pd.Series | pd.Index):
        return _same_frames(one, other)
    if one is pd.NaT or one is pd.NA:
        return other is one
    if isinstance(one, pd.Timestamp | pd.Timedelta):
        return (
            bool(one == other) and one.unit == other.unit and str(getattr(one, "tz", 0)) == str(getattr(other, "tz", 0))
        )
    if isinstance(one, dict):
        return _same_in_order(list(one), list(other)) and _same_in_order(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return _same_in_order(one, other)
    if isinstance(one, set | frozenset):
        return _in_text(one) == _in_text(other)
    return _same_atoms(one, other)


def _in_text(value: Any) -> str:
    """Return text that is the same for equal sets, whatever the order in which they are walked."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({', '.join(sorted(map(_in_text, value)))})"
    if isinstance(value, tuple):
        return f"tuple({', '.join(map(_in_text, value))})"
    return repr(value)


def _same_in_order(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


def _same_atoms(one: Any, other: Any) -> bool:
    if isinstance(one, Balance):
        return same(
            (one.venue, one.account, one.time, dict(one.assets), one.wallet, dict(one.wallets), one.age, one.stale),
            (
                *(other.venue, other.account, other.time, dict(other.assets)),
                *(other.wallet, dict(other.wallets), other.age, other.stale),
            ),
        )
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, dt.datetime | dt.time):
        return (
            one.isoformat() == other.isoformat() and one.fold == other.fold and repr(one.tzinfo) == repr(other.tzinfo)
        )
    return bool(one == other)


def _same_arrays(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if one.dtype != other.dtype or one.dtype.str != other.dtype.str or one.shape != other.shape:
        return False
    if one.dtype == np.dtype(object):
        return _same_in_order(one.ravel().tolist(), other.ravel().tolist())
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def _same_frames(one: Any, other: Any) -> bool:
    try:
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        elif isinstance(one, pd.Series):
            pd.testing.assert_series_equal(one, other, check_exact=True)
        else:
            pd.testing.assert_index_equal(one, other, exact=True, check_exact=True)
    except AssertionError:
        return False
    return one.attrs == other.attrs if hasattr(one, "attrs") else True

"""
Which values are plain JSON, and say so at the speed of C.

orjson writes some values without a word as others: NaN and infinity as null, a tuple as a list, a UUID or an
Enum as its value. A value counts as plain only if reading it back gives the same value and the same types.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import orjson

__all__ = ["ATOMS", "all_finite", "dump_plain"]

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
ATOMS: Final = frozenset({str, int, bool, type(None)})
_KINDS: Final = ATOMS | {float, dict, list}
_BOXES: Final = frozenset({dict, list})


def dump_plain(value: Any) -> bytes | None:
    """Return ``value`` as JSON; ``None`` where JSON would change it or cannot hold it."""
    kind = type(value)
    if kind not in _KINDS or (kind is float and not math.isfinite(value)):
        return None
    try:
        text = orjson.dumps(value, None, _OPTIONS)
    except TypeError:  # another type or key, an int over 64 bits, a lone surrogate, nested more than 254 deep
        return None
    if kind not in _BOXES:
        return text
    # 2000 tickers, 1.1 MB, 42,000 values: orjson alone takes 0.72 ms. Looking at every value costs 2.4 ms in a Python
    # walk, 2.7 ms by reading the text back and comparing, 0.9 ms here with set(map(type, ...)). But most often the
    # text shows that there is little to look for: without "null" it holds no NaN; and a dict that the garbage
    # collector does not track holds nothing but atoms (and tuples, which would show as "["): 0.05 ms.
    if b"null" not in text and _same(value, text, tracked_only=True):
        return text
    return text if _same(value, text, tracked_only=False) else None


def _same(value: Any, text: bytes, *, tracked_only: bool) -> bool:
    """
    Tell whether every value inside ``value`` is of a kind that JSON keeps, level by level.

    ``tracked_only`` leaves out dicts that hold atoms alone; the lists that were seen must then account for every
    bracket in the text, as a tuple among the atoms would be one more. It says no where it cannot tell.
    """
    boxes = [value]
    lists = 0
    while boxes:
        dicts = [box for box in boxes if box.__class__ is dict]
        arrays = boxes if not dicts else [box for box in boxes if box.__class__ is list]
        lists += len(arrays)
        if tracked_only:
            dicts = list(filter(gc.is_tracked, dicts))
        inside = list(chain(chain.from_iterable(map(dict.values, dicts)), chain.from_iterable(arrays)))
        kinds = set(map(type, inside))
        if not kinds <= _KINDS:
            return False
        if float in kinds and not tracked_only and not all_finite(inside):
            return False
        if kinds.isdisjoint(_BOXES):
            break
        boxes = inside if kinds <= _BOXES else [box for box in inside if box.__class__ is dict or box.__class__ is list]
    return not tracked_only or lists == text.count(b"[")


def all_finite(values: Iterable[Any]) -> bool:
    """Tell whether no float among ``values`` is NaN or infinite."""
    floats = [value for value in values if value.__class__ is float]
    # The sum of finite floats may overflow; the sum of others is never finite.
    return math.isfinite(sum(floats)) or all(map(math.isfinite, floats))

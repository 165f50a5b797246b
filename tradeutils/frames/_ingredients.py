"""The ingredients of what pandas holds, handed out to those that put it together again; all may be hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from tradeutils.errors import DataError

__all__ = ["UNITS", "Ingredients", "Parts", "column"]

Ingredients: TypeAlias = list[Any]

UNITS: Final = ("s", "ms", "us", "ns")
"""The units of time that pandas has."""


class Parts:
    """
    Ingredients on their way back, each handed out once, so that a short recipe cannot ask for a long one many times.

    And only as what it must be: pandas would take most other things too. It opens the file that text names as a time
    zone, repeats a number for as many rows as the index has, and writes out all digits of ``Decimal("1E+9999")``.
    """

    def __init__(self, kept: Ingredients, charge: Callable[[int], None]) -> None:
        self._kept: Ingredients = list(kept)
        self._used = bytearray(len(kept))
        self.charge = charge

    def take(self, at: Any, kind: type[Any] = object) -> Any:
        """Return an ingredient that is a ``kind``."""
        if type(at) is not int or not 0 <= at < len(self._kept) or self._used[at]:
            raise DataError(f"part {at!s:.20} is used twice, or not there")
        self._used[at] = True
        value = self._kept[at]
        if not isinstance(value, kind):
            raise DataError(f"a part of a frame is a {type(value).__name__} where a {kind.__name__} belongs")
        return value

    def maybe(self, at: Any, kind: type[Any] = object) -> Any:
        """Return an ingredient, or ``None`` where the recipe names none."""
        return None if at is None else self.take(at, kind)

    def array(self, at: Any, kinds: str) -> Any:
        """Return an array (T,) whose dtype is one of ``kinds``."""
        return column(self.take(at, np.ndarray), kinds)

    def texts(self, at: Any, others: tuple[type, ...] = ()) -> list[Any]:
        """Return a list of text."""
        texts: list[Any] = self.take(at, list)
        if not set(map(type, texts)) <= {str, *others}:
            raise DataError("labels or texts of a frame are not all text")
        return texts


def column(array: Any, kinds: str) -> Any:
    """Return an array (T,) of one of ``kinds``, times in a unit that pandas has: others it would convert."""
    fits = array.ndim == 1 and array.dtype.kind in kinds
    if not fits or (array.dtype.kind in "mM" and np.datetime_data(array.dtype) not in [(unit, 1) for unit in UNITS]):
        raise DataError(f"an array of {array.dtype} and shape {array.shape} is no column of a frame")
    return array

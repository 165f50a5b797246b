"""A map of a cache, blocking."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from tradeutils import cache as _cache

__all__ = ["Map"]


class Map:
    """Values by field, under one name, as `Cache.map` returns it; see `tradeutils.cache.Map`."""

    def __init__(self, twin: _cache.Map, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._twin = twin
        self._run = run

    def __repr__(self) -> str:
        return repr(self._twin)

    def get(self, field: str, default: Any = None) -> Any:
        """Return the value of ``field``, or ``default`` where there is none."""
        return self._run(self._twin.get(field, default))

    def get_many(self, fields: Iterable[str]) -> dict[str, Any]:
        """Return the values of those of ``fields`` that are there, in this order."""
        found: dict[str, Any] = self._run(self._twin.get_many(fields))
        return found

    def get_all(self) -> dict[str, Any]:
        """Return every field with its value, in no order."""
        found: dict[str, Any] = self._run(self._twin.get_all())
        return found

    def set(self, field: str, value: Any) -> None:
        """Store one value, and leave the others as they are."""
        self._run(self._twin.set(field, value))

    def set_many(self, mapping: Mapping[str, Any]) -> None:
        """Store values, and leave the others as they are; the ttl of the whole map begins anew."""
        self._run(self._twin.set_many(mapping))

    def delete(self, *fields: str) -> int:
        """Remove ``fields``, and return how many there were."""
        removed: int = self._run(self._twin.delete(*fields))
        return removed

    def clear(self) -> None:
        """Remove all of them."""
        self._run(self._twin.clear())

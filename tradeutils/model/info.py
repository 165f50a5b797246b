"""What a venue itself said, beside the values that were made of it: read-only, and only where it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

__all__ = ["Info", "Raw", "freeze_info", "raw", "thawed"]


class Info(Mapping[str, Any]):
    """
    A JSON object as a venue sent it, read-only all the way down: objects inside are `Info`, lists are tuples.

    Parameters
    ----------
    content : mapping
        Copied.

    Examples
    --------
    >>> info = Info({"symbol": "BTCUSDT", "filters": [{"minQty": "0.1"}]})
    >>> info["filters"][0]["minQty"]
    '0.1'
    """

    __slots__ = ("_content",)

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = {key: _frozen(value) for key, value in content.items()}

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"Info({self._content!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Info, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return it as dicts and lists of the caller's own."""
        return {key: thawed(value) for key, value in self._content.items()}


Raw: TypeAlias = Info | tuple[Any, ...]
"""What a venue sent for one value: an object, or a list as a tuple."""


def raw(value: Any) -> Raw | None:
    """Return a venue's object or list as read-only; ``None`` of anything else, which tells nothing."""
    return _frozen(value) if isinstance(value, Mapping | list | tuple) else None


def freeze_info(record: Any) -> None:
    """Make the ``info`` of a value that is being built read-only."""
    if record.info is not None:
        object.__setattr__(record, "info", raw(record.info))


def _frozen(value: Any) -> Any:
    if isinstance(value, Info):
        return value
    if isinstance(value, Mapping):
        return Info(value)
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return value


def thawed(value: Any) -> Any:
    """Return read-only JSON as dicts and lists."""
    if isinstance(value, Info):
        return value.to_dict()
    if isinstance(value, tuple):
        return list(map(thawed, value))
    return value

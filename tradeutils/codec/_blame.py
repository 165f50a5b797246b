"""Where in a value the thing lies that is not kept. Costs time, and only once there is something to report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from tradeutils import frames
from tradeutils.codec._encode import MAX_DEPTH, Encoder, Refused
from tradeutils.codec._records import RECORDS
from tradeutils.errors import CodecError
from tradeutils.model import Balance

__all__ = ["blamed"]

_SHOWN: Final = 200


def blamed(value: Any, error: Exception) -> CodecError:
    """Return the error that names the innermost value at fault and the path to it: ``value["a"][3]``."""
    path, seen = "value", {id(value)}
    reason = _reason(error)
    depth = 0
    while True:
        depth += 1
        fault = _first_fault(value, depth)
        if fault is None:
            break
        step, value, reason = fault
        path += step
        if id(value) in seen:
            return CodecError(f"{_short(path)} is the {type(value).__name__} that contains it; a cycle is not kept")
        if depth > MAX_DEPTH:
            return CodecError(f"{_short(path)} is nested more than {MAX_DEPTH} deep; store it in flatter form")
        seen.add(id(value))
    return CodecError(f"{_short(path)} was {_named(value)}: {reason}")


def _first_fault(value: Any, depth: int) -> tuple[str, Any, str] | None:
    for step, child in _children(value):
        try:
            Encoder(careful=True).encode(child, depth)
        except (Refused, RecursionError) as error:
            return step, child, _reason(error)
    return None


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Refused) else "it is nested too deep for the stack that is left"


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Balance):
        yield ".assets", dict(value.assets)
        yield ".wallets", dict(value.wallets)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield f" key {_quoted(key)}", key
            yield f"[{_quoted(key)}]", one
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            yield f"[{at}]", one
    elif isinstance(value, set | frozenset):
        for one in value:
            yield " member", one
    elif type(value) in RECORDS:
        for name in RECORDS[type(value)].names:
            yield f".{name}", getattr(value, name)
    elif frames.is_frame(value):
        yield from ((f"[{_quoted(name)}]", column) for name, column in value.items())
    elif frames.is_series(value) and value.dtype == "object":
        yield from ((f".iloc[{at}]", one) for at, one in enumerate(value.tolist()))
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for at, one in enumerate(value.ravel().tolist()):
            yield f".ravel()[{at}]", one


def _quoted(key: Any) -> str:
    return json.dumps(key, ensure_ascii=False) if type(key) is str else repr(key)


def _named(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[: _SHOWN // 2]} ... {path[-_SHOWN // 2 :]}"

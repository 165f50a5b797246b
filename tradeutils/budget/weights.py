"""What a call weighs and how many orders it holds, by its parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradeutils.budget.rules import Count, Weight

__all__ = ["entries", "weigh"]

_NONE: Final[Mapping[str, Any]] = {}


def weigh(weight: Weight, params: object) -> float:
    """Return what a call weighs. A parameter that cannot be read weighs the most."""
    if weight.each is not None:
        listed = entries(weight.each, params)
        return weight.alone if weight.alone is not None and listed == 1 else weight.missing * listed
    given = params if isinstance(params, Mapping) else _NONE
    if weight.steps:
        number = _symbols(given) if weight.by == "symbols" else _number(given.get(weight.by))
        if number is None:
            return weight.missing
        return next((weighs for most, weighs in weight.steps if number <= most), weight.above)
    value = given.get(weight.by)
    if weight.values:
        return weight.values.get(value, weight.missing) if isinstance(value, str) else weight.missing
    there = value is not None and value is not False and value != ""
    return weight.given if there and weight.given is not None else weight.missing


def _number(value: object) -> float | None:
    """Return a parameter as a number: ``None`` where it is not given, infinite where it cannot be read."""
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # or it raises
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return math.inf if math.isnan(number) else number


def _symbols(params: Mapping[str, Any]) -> float | None:
    """Return how many symbols are asked for; ``None``: all of them."""
    if params.get("symbol"):
        return 1.0
    listed = _listed(params.get("symbols"))
    return None if listed is None else float(len(listed))


def entries(count: Count, params: object) -> float:
    """Return how many entries a call has."""
    if not count.of:
        return count.most
    listed = _listed(params if count.of == "*" else params.get(count.of) if isinstance(params, Mapping) else None)
    return count.most if listed is None else float(min(max(len(listed), 1), count.most))


def _listed(value: object) -> Sequence[Any] | None:
    """Return a list as ccxt passes it: as it is, or as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list | tuple) else None

"""
The registry of all indicators, and what users write to ask for one (``"macd:12,26,9"``).

To add an indicator, declare it in a file of ``declared/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Final

from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.declaration import Indicator, Parameter
from tradeutils.indicators.declared import FILES

__all__ = ["REGISTRY", "Indicator", "Parameter", "Spec", "find", "parse", "parse_all"]

REGISTRY: Final[Mapping[str, Indicator]] = MappingProxyType(
    {indicator.name: indicator for indicator in chain.from_iterable(file.DECLARED for file in FILES)}
)
"""Every indicator by name."""

_ALIASES: Final = {alias: indicator for indicator in REGISTRY.values() for alias in indicator.aliases}


@dataclass(frozen=True, slots=True)
class Spec:
    """
    An indicator with its parameters, as asked for.

    Parameters
    ----------
    text : str
        What was written, stripped; results are found under it.
    indicator : Indicator
    values : tuple of int or float
        A value for each parameter, defaults filled in.
    """

    text: str
    indicator: Indicator
    values: tuple[float, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the results: ``"rsi:14"``, or ``"macd:12,26,9.signal"`` for each of several outputs."""
        outputs = self.indicator.outputs
        return (self.text,) if len(outputs) == 1 else tuple(f"{self.text}.{output}" for output in outputs)

    @property
    def lookback(self) -> int:
        """Bars before the first that has a value."""
        return self.indicator.lookback(*self.values)


def find(name: str) -> Indicator:
    """Return the indicator of this name or alias; an unknown one raises ``UnknownName`` with the nearest."""
    indicator = REGISTRY.get(name) or _ALIASES.get(name)
    if indicator is None:
        raise UnknownName("indicator", name, REGISTRY)
    return indicator


def parse(text: str) -> Spec:
    """
    Read what a user writes to ask for an indicator.

    Parameters
    ----------
    text : str
        ``name`` or ``name:value,value``; values left out at the end take their defaults.

    Raises
    ------
    UnknownName : no such indicator; the nearest are named.
    UsageError : a value that is not in its range, too many values, or not a string.

    Examples
    --------
    >>> parse("bbands:20,2").values
    (20, 2.0)
    >>> parse("rsi").values
    (14,)
    """
    if not isinstance(text, str):
        raise UsageError(f'a spec was {text!r}; write a string such as "rsi:14"')
    text = text.strip()
    name, colon, rest = text.partition(":")
    indicator = find(name.strip())
    pieces = indicator.named(rest.split(",") if colon else ())
    read = {
        parameter.name: parameter.read(pieces[parameter.name], text)
        for parameter in indicator.parameters
        if parameter.name in pieces
    }
    return Spec(text, indicator, indicator.bind(named=read))


def parse_all(specs: Iterable[str]) -> list[Spec]:
    """Read every spec before any is computed, so that a slip in the last costs nothing; each text once."""
    if isinstance(specs, str):
        raise UsageError(f"specs was the string {specs!r}; give a list of them: [{specs!r}]")
    if not isinstance(specs, Iterable):
        raise UsageError(f'specs was {specs!r}; give a list of them: ["rsi:14", "ema:20"]')
    return list({spec.text: spec for spec in map(parse, specs)}.values())

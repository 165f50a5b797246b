"""
The registry of all indicators, and what users write to ask for one (``"macd:12,26,9"``) or for many (``"rsi:5..50"``).

To add an indicator, declare it in a file of ``declared/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain, product
from math import prod
from types import MappingProxyType
from typing import Final

from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.declaration import Indicator, Parameter
from tradeutils.indicators.declared import FILES

__all__ = ["REGISTRY", "Indicator", "Parameter", "Spec", "expand", "find", "parse", "parse_all"]

REGISTRY: Final[Mapping[str, Indicator]] = MappingProxyType(
    {indicator.name: indicator for indicator in chain.from_iterable(file.DECLARED for file in FILES)}
)
"""Every indicator by name."""

_RANGE: Final = ".."
_MOST: Final = 10_000  # specs that one range may stand for

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
        ``name`` or ``name:value,value``; values left out at the end take their defaults. No range, which is many.

    Raises
    ------
    UnknownName : no such indicator; the nearest are named.
    UsageError : a value that is not in its range, too many values, a range such as ``5..50``, or not a string.

    Examples
    --------
    >>> parse("bbands:20,2").values
    (20, 2.0)
    >>> parse("rsi").values
    (14,)
    """
    indicator, pieces = _split(text)
    text = text.strip()
    if any(_RANGE in piece for piece in pieces):
        raise UsageError(f"{text} stands for many indicators, and one is asked for here; compute([{text!r}]) takes all")
    named = indicator.named(pieces)
    read = {
        parameter.name: parameter.read(named[parameter.name], text)
        for parameter in indicator.parameters
        if parameter.name in named
    }
    return Spec(text, indicator, indicator.bind(named=read))


def _split(text: str) -> tuple[Indicator, list[str]]:
    """Return the indicator of a spec and the texts of its parameters."""
    if not isinstance(text, str):
        raise UsageError(f'a spec was {text!r}; write a string such as "rsi:14"')
    name, colon, rest = text.strip().partition(":")
    return find(name.strip()), rest.split(",") if colon else []


def expand(text: str) -> list[Spec]:
    """
    Read a spec that may hold ranges.

    Parameters
    ----------
    text : str
        As for `parse`, and any value may be a range ``first..last`` or ``first..last..step``. Both ends count; where
        no step ends at the last, the range ends before it. A parameter that takes decimals needs a step. Several
        ranges multiply, the last the fastest.

    Returns
    -------
    list of Spec
        One for each combination, each as if it had been written alone: ``rsi:5``, ``rsi:6``, ...; a spec without a
        range as it was written.

    Raises
    ------
    UnknownName, UsageError : as `parse`; a range without an end, backwards, with a step that is not above 0 or is
        missing, or ranges that stand for more than 10,000 specs.

    Examples
    --------
    >>> [spec.text for spec in expand("macd:8..10..2,26,9")]
    ['macd:8,26,9', 'macd:10,26,9']
    """
    indicator, pieces = _split(text)
    text = text.strip()
    if not any(_RANGE in piece for piece in pieces):
        return [parse(text)]
    named = indicator.named(pieces)
    parameters = {parameter.name: parameter for parameter in indicator.parameters}
    steps = [_Steps.of(parameters[name], piece.strip(), text) for name, piece in named.items()]
    count = prod(one.count for one in steps)
    if count > _MOST:
        # Decimal, as Python refuses to write out a whole number of thousands of digits.
        number = f"{count:,}" if count < 10**15 else f"{Decimal(count):.0e}"
        raise UsageError(f"{text} stands for {number} indicators; write at most {_MOST:,}, with a larger step")
    name = text.partition(":")[0].strip()
    return [parse(f"{name}:{','.join(one)}") for one in product(*(one.texts() for one in steps))]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The values that one piece of a spec stands for: a range, or the text of a single one."""

    parameter: Parameter
    text: str
    first: Fraction
    step: Fraction
    count: int

    @classmethod
    def of(cls, parameter: Parameter, piece: str, where: str) -> _Steps:
        if _RANGE not in piece:
            return cls(parameter, piece, Fraction(0), Fraction(1), 1)
        parts = [part.strip() for part in piece.split(_RANGE)]
        if "..." in piece or not 2 <= len(parts) <= 3 or not all(parts):
            example = "5..50 or 5..50..5" if parameter.whole else "1.5..3..0.5"
            raise UsageError(f"{where}: {parameter.name} was {piece!r}; write a range as first..last..step: {example}")
        for part in parts[:2]:
            parameter.read(part, where)
        if len(parts) == 2 and not parameter.whole:
            raise UsageError(
                f"{where}: {parameter.name} takes decimals, and {piece!r} has no step; write {piece}..0.5, say"
            )
        first, last = (Fraction(Decimal(part)) for part in parts[:2])
        step = _step(parameter, parts[2], where) if len(parts) == 3 else Fraction(1)
        if last < first:
            turned = _RANGE.join([parts[1], parts[0], *parts[2:]])
            raise UsageError(f"{where}: {parameter.name} was {piece!r}, which runs backwards; write {turned}")
        return cls(parameter, piece, first, step, (last - first) // step + 1)

    def texts(self) -> list[str]:
        """Return each value as it would be written alone."""
        if _RANGE not in self.text:
            return [self.text]
        # Fractions: 0.1 and twice 0.1 more is 0.3 here, and one text for one number.
        values = [self.first + k * self.step for k in range(self.count)]
        if self.parameter.whole:
            return [str(int(value)) for value in values]
        return [repr(float(value)).removesuffix(".0") for value in values]


def _step(parameter: Parameter, text: str, where: str) -> Fraction:
    """Return the step of a range, which is above 0 and as whole as the parameter."""
    step = Fraction(Decimal(text)) if parameter.takes(text) else Fraction(0)
    if step <= 0:
        kind = "whole number of at least 1" if parameter.whole else "number above 0"
        raise UsageError(f"{where}: the step of {parameter.name} was {text!r}; write a {kind}")
    return step


def parse_all(specs: Iterable[str]) -> list[Spec]:
    """Read every spec, ranges too, before any is computed, so that a slip in the last costs nothing; each text once."""
    if isinstance(specs, str):
        raise UsageError(f"specs was the string {specs!r}; give a list of them: [{specs!r}]")
    if not isinstance(specs, Iterable):
        raise UsageError(f'specs was {specs!r}; give a list of them: ["rsi:14", "ema:20"]')
    return list({spec.text: spec for spec in chain.from_iterable(map(expand, specs))}.values())

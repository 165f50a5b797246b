"""
The registry: each indicator declared once, and what users write to ask for one (``"macd:12,26,9"``).

Plain functions, methods of ``Indicators``, ``compute``, their documentation and most tests are made from these
declarations. To add an indicator, declare it here and write its kernel in ``cpu/`` under the same name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tradeutils.errors import UnknownName, UsageError

__all__ = ["REGISTRY", "Indicator", "Parameter", "Spec", "find", "parse"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LONGEST: Final = 100_000  # bars; TA-Lib's own limit


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of an indicator.

    Parameters
    ----------
    name : str
    default, lowest, highest : int or float
        The range includes both ends. Where ``default`` is an int, only whole numbers are taken.
    meaning : str
        For the documentation; units included.
    """

    name: str
    default: float
    lowest: float
    highest: float
    meaning: str

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are taken."""
        return isinstance(self.default, int)

    def read(self, text: str, where: str) -> float:
        """Return the value that ``text`` stands for; ``where`` is the spec it stands in, for the message."""
        text = text.strip()
        if not (_WHOLE if self.whole else _DECIMAL).fullmatch(text):
            raise self._refusal(text, where)
        return self.check(int(text) if self.whole else float(text), where)

    def check(self, value: Any, where: str) -> float:
        """Return ``value`` as int or float, once it is in the range."""
        try:
            if isinstance(value, bool):
                raise TypeError
            number: float = operator.index(value) if self.whole else float(value)
        except (TypeError, ValueError, OverflowError):
            raise self._refusal(value, where) from None
        if not self.lowest <= number <= self.highest:
            raise self._refusal(value, where)
        return number

    def _refusal(self, value: object, where: str) -> UsageError:
        kind = "whole number" if self.whole else "number"
        return UsageError(
            f"{where}: {self.name} was {value!r}; write a {kind} from {self.lowest} to {self.highest} "
            f"(default {self.default})"
        )


@dataclass(frozen=True, slots=True)
class Indicator:
    """
    One indicator.

    Parameters
    ----------
    name : str
        TA-Lib's, in lower case.
    title, formula : str
        One line, and the definition, for the documentation.
    inputs : tuple of str
        Columns it reads, in TA-Lib's order: open, high, low, close, volume.
    parameters : tuple of Parameter
    outputs : tuple of str
        Names of its outputs; a single one bears the indicator's name.
    lookback : callable
        From the parameters to the number of bars before the first that has a value.
    source : str
        Where the formula comes from.
    """

    name: str
    title: str
    formula: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    lookback: Callable[..., int]
    source: str

    @property
    def signature(self) -> str:
        """How it is called: ``"rsi(close, period=14)"``."""
        named = [f"{parameter.name}={parameter.default}" for parameter in self.parameters]
        return f"{self.name}({', '.join([*self.inputs, *named])})"

    def bind(
        self, positional: Iterable[Any] = (), named: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[float, ...]:
        """
        Return a value for each parameter, defaults filled in.

        Raises
        ------
        UsageError : a value out of range, given twice, or of the wrong kind; or more values than parameters.
        UnknownName : a name that is not a parameter.
        """
        values = self.named(positional)
        for name, value in named.items():
            if name in values:
                raise UsageError(f"{self.name}: {name} was given twice, by position and by name: {self.signature}")
            values[name] = value
        known = {parameter.name for parameter in self.parameters}
        for name in values.keys() - known:
            raise UnknownName("parameter", name, sorted(known), where=self.signature)
        return tuple(
            parameter.check(values.get(parameter.name, parameter.default), self.name) for parameter in self.parameters
        )

    def named(self, values: Iterable[Any]) -> dict[str, Any]:
        """Return values given by position by the names of their parameters; too many raise ``UsageError``."""
        given = list(values)
        if len(given) > len(self.parameters):
            raise UsageError(
                f"{self.name} takes {len(self.parameters)} parameters and {len(given)} were given: {self.signature}"
            )
        return {parameter.name: value for parameter, value in zip(self.parameters, given, strict=False)}

    def label(self, values: tuple[float, ...]) -> str:
        """Return the spec of these parameters: ``"bbands:20,2"``."""
        return f"{self.name}:{','.join(repr(value).removesuffix('.0') for value in values)}"


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
    """Return the indicator of this name; an unknown one raises ``UnknownName`` with the nearest."""
    indicator = REGISTRY.get(name)
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


def _bars(name: str, default: int, meaning: str, lowest: int = 1) -> Parameter:
    return Parameter(name, default, lowest, _LONGEST, meaning)


_DECLARED: Final = (
    Indicator(
        name="sma",
        title="Simple moving average: the mean of the last bars.",
        formula="Mean of close over the last ``period`` bars.",
        inputs=("close",),
        parameters=(_bars("period", 30, "Bars in the mean."),),
        outputs=("sma",),
        lookback=lambda period: period - 1,
        source="TA-Lib ``SMA``, equal to 1e-10",
    ),
    Indicator(
        name="ema",
        title="Exponential moving average, seeded with the mean of the first ``period`` bars.",
        formula="ema += alpha * (close - ema), alpha = 2 / (period + 1).",
        inputs=("close",),
        parameters=(_bars("period", 30, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("ema",),
        lookback=lambda period: period - 1,
        source="TA-Lib ``EMA``, the same seed, equal to 1e-10",
    ),
    Indicator(
        name="bbands",
        title="Bollinger bands: a mean, and a number of standard deviations above and below it.",
        formula="middle = SMA(close, period); upper, lower = middle +- deviations * standard deviation (ddof 0).",
        inputs=("close",),
        parameters=(
            _bars("period", 20, "Bars in the mean and the deviation.", 2),
            Parameter("deviations", 2.0, 0.0, 1000.0, "Standard deviations between the middle and each band."),
        ),
        outputs=("upper", "middle", "lower"),
        lookback=lambda period, deviations: period - 1,
        source="TA-Lib ``BBANDS`` with one deviation for both bands and MA type 0, equal to 1e-10; J. Bollinger",
    ),
    Indicator(
        name="rsi",
        title="Relative strength index: the share of the rises in all moves, 0 to 100.",
        formula="100 * up / (up + down), Wilder averages of the rises and falls of close; 0 where nothing has moved.",
        inputs=("close",),
        parameters=(_bars("period", 14, "Moves in the seed; alpha = 1 / period.", 2),),
        outputs=("rsi",),
        lookback=lambda period: period,
        source="TA-Lib ``RSI``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978",
    ),
    Indicator(
        name="macd",
        title="Moving average convergence/divergence: a fast EMA less a slow one, its own EMA, and the difference.",
        formula=(
            "macd = EMA(close, fast) - EMA(close, slow), both seeded at bar ``slow``; signal = EMA(macd, signal); "
            "histogram = macd - signal. All three begin together. If fast is the larger, the two are exchanged."
        ),
        inputs=("close",),
        parameters=(
            _bars("fast", 12, "Bars of the fast average.", 2),
            _bars("slow", 26, "Bars of the slow average.", 2),
            _bars("signal", 9, "Bars of the average of the difference."),
        ),
        outputs=("macd", "signal", "histogram"),
        lookback=lambda fast, slow, signal: max(fast, slow) + signal - 2,
        source="TA-Lib ``MACD``, equal to 1e-10 of the prices; G. Appel",
    ),
    Indicator(
        name="atr",
        title="Average true range: how far prices move in a bar, gaps included.",
        formula="Wilder average of max(high - low, abs(high - previous close), abs(low - previous close)).",
        inputs=("high", "low", "close"),
        parameters=(_bars("period", 14, "True ranges in the seed; alpha = 1 / period."),),
        outputs=("atr",),
        lookback=lambda period: period,
        source="TA-Lib ``ATR``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978",
    ),
)

REGISTRY: Final[Mapping[str, Indicator]] = MappingProxyType({indicator.name: indicator for indicator in _DECLARED})
"""Every indicator by name."""

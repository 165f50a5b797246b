"""
What is declared of an indicator: its inputs, parameters and outputs, and the expression it is.

Plain functions, methods of ``Indicators``, ``compute``, their documentation and most tests are made from these
declarations, which lie in ``declared/``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.expression import Node, column, warmup

__all__ = ["Indicator", "Parameter", "bars"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LONGEST: Final = 100_000


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

    @property
    def switch(self) -> bool:
        """Whether it is 0 or 1, for which False and True may be written."""
        return self.whole and (self.lowest, self.highest) == (0, 1)

    def takes(self, text: str) -> bool:
        """Tell whether ``text`` is a number of its kind, in its range or not."""
        return (_WHOLE if self.whole else _DECIMAL).fullmatch(text) is not None

    def read(self, text: str, where: str) -> float:
        """Return the value that ``text`` stands for; ``where`` is the spec it stands in, for the message."""
        text = text.strip()
        if not self.takes(text):
            raise self._refusal(text, where)
        return self.check(int(text) if self.whole else float(text), where)

    def check(self, value: Any, where: str) -> float:
        """Return ``value`` as int or float, once it is in the range."""
        try:
            if isinstance(value, str | bytes | bytearray) or (isinstance(value, bool | np.bool_) and not self.switch):
                raise TypeError
            # -0.0 is 0.0, as 2 is 2.0: what is equal gives equal results.
            number: float = int(operator.index(value)) if self.whole else float(value) + 0.0
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


@dataclass(frozen=True, slots=True, eq=False)  # each is one object, and its hash is taken at each call
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
        Columns it reads, in TA-Lib's order: open, high, low, close, volume; ``other`` is a second series. Where the
        time is one (ms UTC), it is the first.
    parameters : tuple of Parameter
    outputs : tuple of str
        Names of its outputs; a single one bears the indicator's name.
    build : callable
        From the nodes of the inputs and then the parameters to the node of the output, or a tuple of them.
    source : str
        Where the formula comes from.
    tradingview : callable, optional
        As ``build``, where TradingView's definition is another one.
    aliases : tuple of str
        Further names that specs may use, such as TA-Lib's where that is a builtin of Python.
    """

    name: str
    title: str
    formula: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    build: Callable[..., Any]
    source: str
    tradingview: Callable[..., Any] | None = None
    aliases: tuple[str, ...] = ()

    def expressions(
        self, values: tuple[float, ...], inputs: Iterable[str] = (), compat: str = "talib"
    ) -> tuple[Node, ...]:
        """
        Return the expression of each output.

        Parameters
        ----------
        values : tuple of int or float
            A value for each parameter.
        inputs : iterable of str
            What the columns are called in the expressions; their own names if left out.
        compat : str
            ``"talib"`` or ``"tradingview"``.
        """
        build = self.tradingview if compat == "tradingview" and self.tradingview is not None else self.build
        made = build(*map(column, inputs or self.inputs), *values)
        return made if isinstance(made, tuple) else (made,)

    def lookback(self, *values: float, compat: str = "talib") -> int:
        """Return the bars before the first that has a value in every output."""
        return max(node.lookback for node in self.expressions(values, compat=compat))

    def warmup(self, *values: float, tolerance: float = 1e-9, compat: str = "talib") -> int | None:
        """
        Return the bars after which what came before the start weighs less than ``tolerance`` in every output.

        ``None`` where it never does, as in sums since the start.
        """
        found = [warmup(node, tolerance) for node in self.expressions(values, compat=compat)]
        known = [bars for bars in found if bars is not None]
        return max(known) if len(known) == len(found) else None

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
        """Return the spec of these parameters: ``"bbands:20,2"``; the name alone where there are none."""
        written = ",".join(repr(value).removesuffix(".0") for value in values)
        return f"{self.name}:{written}" if written else self.name


def bars(name: str, default: int, meaning: str, lowest: int = 1) -> Parameter:
    """Return a parameter that is a number of bars, up to 100,000, which is TA-Lib's limit."""
    return Parameter(name, default, lowest, _LONGEST, meaning)

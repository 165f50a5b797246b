"""Docstrings of what is made from the registry."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap
from typing import Any, Final

import numpy as np

from tradeutils.indicators.spec import Indicator

__all__ = ["OPTIONS", "function_document", "method_document", "result_document", "result_name"]

OPTIONS: Final[dict[str, tuple[str, Any]]] = {
    "out": ("Array | None", None),
    "threads": ("int | None", None),
    "nan": ("str", "restart"),
    "compat": ("str", "talib"),
    "dtype": ("DTypeLike", np.float64),
}
"""The keyword-only arguments of every plain function: annotation and default."""

_DATA: Final = {
    "time": "Opening times of the bars in ms UTC; (T,) will do for many symbols",
    "open": "First prices of the bars",
    "high": "Highest prices of the bars",
    "low": "Lowest prices of the bars",
    "close": "Last prices of the bars",
    "volume": "Volumes of the bars",
    "other": "The second series",
}
_GOOD_BARS: Final = (
    "    A bar has a value once it and the {lookback} before it are good (with the default parameters); NaN and",
    "    infinity are missing values, and what follows one begins as a new series would.",
)


def result_name(indicator: Indicator) -> str:
    """Return the name of the tuple of an indicator's outputs: ``"Macd"``."""
    return "".join(part.capitalize() for part in indicator.name.split("_"))


def result_document(indicator: Indicator) -> str:
    """Return the docstring of the tuple of an indicator's outputs."""
    return f"What ``{indicator.name}`` returns: {', '.join(indicator.outputs)}, of one shape. {indicator.formula}"


def function_document(indicator: Indicator) -> str:
    """Return the docstring of the plain function."""
    each = f"sequence of {len(indicator.outputs)} float64 arrays" if len(indicator.outputs) > 1 else "float64 array"
    data = (
        (f"{name} : array-like, (T,) or (T, S)", f"    {_DATA.get(name, name.capitalize())}, oldest first.")
        for name in indicator.inputs
    )
    parameters = [
        *chain.from_iterable(data),
        *_parameters(indicator),
        f"out : {each}, optional",
        "    Filled and returned; of the shape of the result.",
        "threads : int, optional",
        "    Default: TRADEUTILS_THREADS, else all cores. The result has the same bits on any number.",
        'nan : "restart", "propagate" or "hold"',
        "    After a missing bar inside a series, averages and sums since the start begin anew, or stay unknown, or",
        "    go on as if the bar were not there. Windows recover in any case.",
        'compat : "talib" or "tradingview"',
        f"    Whose definition{'' if indicator.tradingview else '; here they are one'}.",
        "dtype : float64 or float32",
        "    Of the result; it is computed in float64.",
    ]
    raised = [
        "UsageError : a parameter out of its range; inputs that are not numbers, neither 1-D nor 2-D, or of several",
        "    shapes; an ``out`` that does not fit; another dtype.",
        "UnknownName : another ``nan`` or ``compat``.",
    ]
    return _document(indicator, parameters, "Of the shape of the inputs.", raised)


def method_document(indicator: Indicator) -> str:
    """Return the docstring of the method of ``Indicators``."""
    raised = [f"UsageError : a parameter out of its range, or data without {', '.join(indicator.inputs)}."]
    return _document(
        indicator,
        _parameters(indicator),
        "float64, in the kind of the data: an array, a Series or a DataFrame.",
        raised,
    )


def _parameters(indicator: Indicator) -> list[str]:
    return [
        line
        for parameter in indicator.parameters
        for line in (
            f"{parameter.name} : {'int' if parameter.whole else 'float'}, {parameter.lowest} to {parameter.highest}",
            f"    {parameter.meaning}",
        )
    ]


def _document(indicator: Indicator, parameters: list[str], kind: str, raised: list[str]) -> str:
    tuple_of = f"{result_name(indicator)} of {', '.join(indicator.outputs)}: " if len(indicator.outputs) > 1 else ""
    lookback = indicator.lookback(*indicator.bind())
    sections = {
        "Parameters": parameters,
        "Returns": [tuple_of + kind, *(line.format(lookback=lookback) for line in _GOOD_BARS)],
        "Raises": raised,
        "References": [f"{indicator.source}."],
    }
    body = [line for title, lines in sections.items() for line in ("", title, "-" * len(title), *lines)]
    return "\n".join([indicator.title, "", *wrap(indicator.formula, 110), *body, ""])

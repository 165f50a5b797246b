"""TA-Lib 0.8 as the reference of every indicator that it has, whatever the registry holds."""

from __future__ import annotations

import numpy as np
import talib

from tradeutils.indicators import REGISTRY

NAMED = {
    "keltner": "KC",
    "heikin_ashi": "HA",
    "chaikin_volatility": "CVI",
    "rolling_max": "MAX",
    "rolling_min": "MIN",
    "rolling_sum": "SUM",
}
"""Indicators that TA-Lib has under another name."""

ARGUMENTS = {
    "bbands": lambda period, deviations: (period, deviations, deviations),
    "stoch": lambda fastk, slowk, slowd: (fastk, slowk, 0, slowd, 0),
    "stochf": lambda fastk, fastd: (fastk, fastd, 0),
    "stochrsi": lambda period, fastk, fastd: (period, fastk, fastd, 0),
    "adx": lambda period, smoothing: (period,),
    "dpo": lambda period, lookahead: (period,),
}
"""TA-Lib's arguments from ours, where they are not the same."""

ONLY_TALIBS = {"adx": ("smoothing",), "dpo": ("lookahead",)}
"""Parameters of ours that TA-Lib lacks: held to it at their defaults."""

FURTHER = {"macd": [(26, 12, 9), (5, 34, 5), (12, 26, 1)], "bbands": [(5, 1.5), (200, 2.0)]}
"""Further parameters."""


def function_of(name):
    """Return TA-Lib's function for an indicator, ``None`` where it has none."""
    return getattr(talib, NAMED.get(name, name.upper()), None)


COVERED = [name for name in REGISTRY if function_of(name) is not None]
"""The indicators that TA-Lib has."""

LARGEST_CHOICE = 10
"""A whole parameter that cannot be larger chooses among definitions, and is no number of bars."""


def reference(name, inputs, parameters=None):
    """Return TA-Lib's outputs, stacked; with its own defaults if no parameters are given."""
    columns = [np.ascontiguousarray(column, dtype=float) for column in inputs]
    arguments = () if parameters is None else ARGUMENTS.get(name, lambda *same: same)(*parameters)
    outputs = function_of(name)(*columns, *arguments)
    made = np.stack(outputs if isinstance(outputs, tuple) else (outputs,)).astype(float)
    if isinstance(outputs, tuple) and outputs[-1].dtype.kind == "i":
        made[-1, np.isnan(made[0])] = np.nan  # whole numbers have no NaN: TA-Lib writes 0 before the first value
    return made


def others(parameter):
    """Return each value of a choice, or some decimals."""
    if not parameter.whole:
        return [min(max(parameter.default * factor, parameter.lowest), parameter.highest) for factor in (0.5, 1.3)]
    return range(int(parameter.lowest), int(parameter.highest) + 1) if parameter.highest <= LARGEST_CHOICE else ()


def parameter_sets(name):
    """Yield parameters to hold an indicator to TA-Lib with: usual, short and long ones, each choice once."""
    declared, defaults = REGISTRY[name].parameters, REGISTRY[name].bind()
    yield defaults
    yield from FURTHER.get(name, ())
    free = [at for at, parameter in enumerate(declared) if parameter.name not in ONLY_TALIBS.get(name, ())]
    lengths = [at for at in free if declared[at].whole and declared[at].highest > LARGEST_CHOICE]
    if len(lengths) == 1:
        scaled = [[period] for period in (2, 5, 14, 33, 200)]
    else:
        scaled = [[defaults[at] // 2 for at in lengths], [defaults[at] * 2 + 1 for at in lengths]]
        scaled += [[defaults[at] for at in reversed(lengths)]]
    for values in scaled if lengths else ():
        made = list(defaults)
        for at, value in zip(lengths, values, strict=True):
            made[at] = int(min(max(value, declared[at].lowest), declared[at].highest))
        yield tuple(made)
    for at in free:
        yield from ((*defaults[:at], value, *defaults[at + 1 :]) for value in others(declared[at]))


PARITY = [(name, parameters) for name in COVERED for parameters in dict.fromkeys(parameter_sets(name))]
"""Every indicator that TA-Lib has, with every set of parameters it is held to."""

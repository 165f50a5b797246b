"""Panels, parameters and cases for the laws of the indicators, drawn for whatever the registry holds."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

CASES = [
    (name, compat)
    for name in sorted(REGISTRY)
    for compat in ("talib", "tradingview")
    if compat == "talib" or REGISTRY[name].tradingview is not None
]
"""Each indicator, once for each definition it has."""

BARS = 90
LONGEST = 12
"""Longest period drawn, so that even an average of six averages has values before BARS."""


@st.composite
def parameters_of(draw, name):
    """Draw parameters of an indicator: short periods, decimals around their defaults, and nothing that looks ahead."""
    values = []
    for parameter in REGISTRY[name].parameters:
        low, high, default = parameter.lowest, parameter.highest, parameter.default
        if parameter.name == "lookahead":
            values.append(0)
        elif parameter.whole:
            values.append(draw(st.integers(int(low), int(min(high, max(LONGEST, low))))))
        else:
            values.append(draw(st.floats(max(low, default - abs(default) / 2), min(high, default + abs(default) / 2))))
    return tuple(values)


class Prices(dict):
    """The columns of a panel, which show as how they were drawn and not as their numbers."""

    drawn: dict

    def __repr__(self):
        return f"Prices({self.drawn})"


@st.composite
def panels(draw, symbols=3, *, gaps=True, traded=False, bars=BARS):
    """Draw a panel: walks of any scale, with flat stretches, bars without a trade, late listings, missing bars."""
    return walk(
        bars,
        symbols,
        seed=draw(st.integers(0, 2**32 - 1)),
        size=draw(st.sampled_from([1e-8, 1.0, 1e5])),
        moves=draw(st.sampled_from([1e-6, 1e-3, 0.05])),
        flat=draw(st.sampled_from([0.0, 0.3, 0.9])),
        traded=traded,
        leading=draw(st.integers(0, 40)) if gaps else 0,
        missing=draw(st.sampled_from([0.0, 0.02, 0.2])) if gaps else 0.0,
        stands_for=draw(st.sampled_from([np.nan, np.inf, -np.inf])) if gaps else np.nan,
    )


def walk(bars=BARS, symbols=3, *, seed=1, size=100.0, moves=1e-3, flat=0.0, traded=True, **gaps):
    """Return the columns of a panel of hours, and the close of another market."""
    random = np.random.default_rng(seed)
    shape = (bars, symbols)

    def closes():
        steps = random.normal(0, moves, shape)
        steps[random.random(shape) < flat] = 0.0
        return size * np.exp(steps.cumsum(axis=0))

    close, other = closes(), closes()
    opened = np.vstack([close[:1], close[:-1]])
    still = random.random(shape) < flat
    up, down = (np.where(still, 0.0, moves * random.random(shape)) for _ in range(2))
    volume = 1000 * (1 - random.random(shape))
    volume[still & (random.random(shape) < (0.0 if traded else 0.5))] = 0.0
    hours = 3_600_000.0 * np.arange(464_000, 464_000 + bars)
    made = Prices(
        time=np.repeat(hours[:, np.newaxis], symbols, axis=1),
        open=opened,
        high=np.maximum(opened, close) * (1 + up),
        low=np.minimum(opened, close) * (1 - down),
        close=close,
        volume=volume,
        other=other,
    )
    made.drawn = {"seed": seed, "size": size, "moves": moves, "flat": flat, "traded": traded, **gaps}
    _spoil(made, random, **gaps)
    return made


def _spoil(made, random, leading=0, missing=0.0, stands_for=np.nan):
    for column in made.values():
        column[random.random(column.shape) < missing] = stands_for
        column[:leading, 0] = np.nan


def inputs_of(name, panel, rows=slice(None), columns=slice(None)):
    """Return the inputs of an indicator from part of a panel."""
    return [panel[column][rows][..., columns] for column in REGISTRY[name].inputs]


def stacked(made):
    """Return the outputs of an indicator as one array: (outputs, T) or (outputs, T, S)."""
    return np.stack(made if isinstance(made, tuple) else (made,))


def compute(name, panel, parameters, rows=slice(None), columns=slice(None), **options):
    """Return the outputs of an indicator, stacked, on part of a panel."""
    return stacked(getattr(indicators, name)(*inputs_of(name, panel, rows, columns), *parameters, **options))


def operators_of(node):
    """Return every operator of an expression with its parameters."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one.inputs and one not in seen:
            seen.add(one)
            waiting += one.inputs
    return {(one.operator, one.parameters) for one in seen}

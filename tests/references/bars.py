"""Bars of one symbol as markets send them: walks of any size, flat stretches, bars without trades, missing bars."""

import numpy as np
from hypothesis import strategies as st

HOUR = 3_600_000


def bars(seed, rows=70, *, size=1.0, moves=0.01, flat=0.0, quiet=0.0, missing=0.0):
    """
    Return time, open, high, low, close and volume, each (rows,).

    ``flat`` is the share of bars that do not move (high == low), ``quiet`` of bars without volume, ``missing`` of
    bars of which nothing but the time is known.
    """
    random = np.random.default_rng(seed)
    steps = random.normal(0, moves, rows) * (random.random(rows) >= flat)
    close = size * np.exp(steps.cumsum())
    opened = np.r_[close[:1], close[:-1]]
    reach = size * moves * random.random((2, rows)) * (random.random(rows) >= flat)
    made = {
        "open": opened,
        "high": np.maximum(opened, close) + reach[0],
        "low": np.minimum(opened, close) * (1 - reach[1] / size / 2),
        "close": close,
        "volume": np.exp(random.normal(3, 1, rows)) * (random.random(rows) >= quiet),
    }
    gone = random.random(rows) < missing
    for column in made.values():
        column[gone] = np.nan
    return {"time": 1_700_000_000_000.0 // HOUR * HOUR + HOUR * np.arange(rows), **made}


def markets(**fixed):
    """Draw bars."""
    drawn = {
        "seed": st.integers(0, 2**32 - 1),
        "size": st.sampled_from([1e-9, 1.0, 1e5]),
        "moves": st.sampled_from([1e-5, 1e-2]),
        "flat": st.sampled_from([0.0, 0.3, 0.95]),
        "quiet": st.sampled_from([0.0, 0.3, 0.95]),
        "missing": st.sampled_from([0.0, 0.02]),
    }
    return st.builds(bars, **{**drawn, **{name: st.just(value) for name, value in fixed.items()}})


def assert_close(made, want, *, floor=1e-3):
    """
    Hold results to a reference: the same NaN, and 1e-10 relative.

    Where a value is below ``floor`` of the largest, as differences that pass through zero are, 1e-10 of that instead.
    """
    made, want = np.atleast_2d(np.asarray(made)), np.atleast_2d(np.asarray(want, dtype=float))
    np.testing.assert_array_equal(np.isnan(made), np.isnan(want))
    if np.isfinite(want).any():
        size = np.fmax(np.abs(want), floor * np.nanmax(np.abs(want)))
        apart = np.abs(made - want) - 1e-10 * size
        assert not (apart > 0).any(), f"{np.nanmax(np.abs(made - want) / np.where(size > 0, size, 1)):.1e} apart"

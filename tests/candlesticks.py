"""Candles to look for patterns in: one drawn by hand for every value of every pattern, and wild walks in ticks."""

from __future__ import annotations

import numpy as np
import talib

from tradeutils.analysis.patterns import NAMES
from tradeutils.model import Candles, Panel

QUIET = [(98, 104, 96, 102), (102, 104, 96, 98)] * 8
"""Bars before a drawn pattern: bodies of 4, shadows of 2, ranges of 8."""


def mirrored(bars):
    """Return bars upside down, about 100."""
    return [(200 - o, 200 - low, 200 - h, 200 - c) for o, h, low, c in bars]


def _both(bars):
    return {100: bars, -100: mirrored(bars)}


_WHITE, _BLACK = (98, 109, 97, 108), (108, 109, 97, 98)  # long
_HIKKAKE = [(98, 106, 94, 102), (100, 104, 96, 101), (98, 103, 95, 97)]
_HIKKAKEMOD = [(98, 108, 92, 102), (100, 106, 94, 95), (96, 104, 95, 100), (98, 103, 94.5, 97)]
_CONFIRMS = (100, 107, 99, 105)

DRAWN = {
    "2crows": {-100: [_WHITE, (112, 113, 109.5, 110), (111, 111.5, 103, 104)]},
    "3blackcrows": {-100: [(98, 108, 97, 107), (107, 108, 102, 102), (104, 105, 98, 98), (100, 101, 94, 94)]},
    "3inside": _both([(109, 110, 97, 98), (102, 104, 101, 103), (104, 112, 103, 111)]),
    "3linestrike": _both([(98, 103, 97, 102), (101, 106, 100, 105), (104, 109, 103, 108), (109, 110, 95, 96)]),
    "3outside": _both([(102, 103, 97, 98), (97, 104, 96, 103), (103, 106, 102, 105)]),
    "3starsinsouth": {100: [(120, 121, 95, 110), (112, 113, 98, 106), (104, 104, 102, 102)]},
    "3whitesoldiers": {100: [(100, 106, 99, 106), (104, 111, 103, 111), (109, 116, 108, 116)]},
    "abandonedbaby": _both([_BLACK, (94, 95, 93, 94), (101, 108, 100, 107)]),
    "advanceblock": {-100: [_WHITE, (104, 111, 103, 110), (107, 113, 106, 111)]},
    "belthold": _both([(100, 110, 100, 109)]),
    "breakaway": _both(
        [(112, 113, 101, 102), (100, 100.5, 97, 98), (98, 99.5, 96, 97), (97, 98.5, 94, 95), (95, 102, 94, 101)]
    ),
    "closingmarubozu": _both([(100, 109, 99, 109)]),
    "concealbabyswall": {100: [(112, 112, 106, 106), (106, 106, 100, 100), (98, 103, 95, 96), (104, 105, 94, 95)]},
    "counterattack": _both([(110, 111, 99, 100), (92, 100.25, 91, 100)]),
    "darkcloudcover": {-100: [_WHITE, (110, 111, 101, 102)]},
    "doji": {100: [(100, 103, 97, 100.5)]},
    "dojistar": _both([_BLACK, (95, 96, 94, 95.25)]),
    "dragonflydoji": {100: [(100, 100, 94, 100)]},
    "engulfing": {
        **_both([(102, 103, 97, 98), (97, 104, 96, 103)]),
        80: [(102, 103, 97, 98), (98, 104, 96, 103)],
        -80: [(98, 103, 97, 102), (103, 104, 96, 98)],
    },
    "eveningdojistar": {-100: [_WHITE, (111, 113, 110, 111.25), (106, 107, 98, 99)]},
    "eveningstar": {-100: [_WHITE, (111, 113, 110, 112), (106, 107, 98, 99)]},
    "gapsidesidewhite": {
        100: [(98, 104, 97, 103), (106, 110, 105, 109), (106, 110, 105, 109)],
        -100: [(103, 104, 97, 98), (92, 96, 91, 95), (92, 96, 91, 95)],
    },
    "gravestonedoji": {100: [(100, 106, 100, 100)]},
    "hammer": {100: [(102, 104, 96, 98), (97, 98.25, 93, 98)]},
    "hangingman": {-100: [(98, 104, 96, 102), (104, 105.25, 100, 105)]},
    "harami": {
        **_both([(109, 110, 97, 98), (103, 105, 102, 104)]),
        80: [(109, 110, 97, 98), (98, 104, 97, 102)],
        -80: [(98, 110, 97, 109), (109, 110, 103, 105)],
    },
    "haramicross": {
        **_both([(109, 110, 97, 98), (103, 104, 102, 103.25)]),
        80: [(109, 110, 97, 98), (98, 98.5, 97, 98.25)],
        -80: [(98, 110, 97, 109), (109, 109.5, 108, 108.75)],
    },
    "highwave": _both([(100, 105, 96, 101)]),
    "hikkake": {
        **_both(_HIKKAKE),
        200: [*_HIKKAKE, (97, 104, 96, 98), _CONFIRMS],
        -200: mirrored([*_HIKKAKE, (97, 104, 96, 98), (97, 104, 96, 98), _CONFIRMS]),
    },
    "hikkakemod": {
        **_both(_HIKKAKEMOD),
        200: [*_HIKKAKEMOD, _CONFIRMS],
        -200: mirrored([*_HIKKAKEMOD, _CONFIRMS]),
    },
    "homingpigeon": {100: [(109, 110, 97, 98), (104, 105, 101, 102)]},
    "identical3crows": {-100: [(110, 111, 105, 105), (105, 106, 100, 100), (100, 101, 95, 95)]},
    "inneck": {-100: [(109, 110, 99, 100), (97, 101, 96, 100.25)]},
    "invertedhammer": {100: [(102, 104, 96, 98), (95, 99, 94.75, 95.5)]},
    "kicking": _both([(110, 110, 100, 100), (112, 122, 112, 122)]),
    "kickingbylength": {
        100: [(110, 110, 100, 100), (112, 124, 112, 124)],
        -100: [(112, 112, 100, 100), (114, 122, 114, 122)],
    },
    "ladderbottom": {
        100: [
            (120, 121, 114, 115),
            (116, 117, 110, 111),
            (112, 113, 106, 107),
            (108, 111, 102, 103),
            (109, 114, 108, 113),
        ]
    },
    "longleggeddoji": {100: [(100, 104, 96, 100)]},
    "longline": _both([(100, 109.5, 99.5, 109)]),
    "marubozu": _both([(100, 109, 100, 109)]),
    "matchinglow": {100: [(104, 105, 99, 100), (103, 104, 99, 100.25)]},
    "mathold": {
        100: [_WHITE, (111, 112, 109.5, 110), (109, 110, 104.5, 106), (108, 109, 104, 105), (106, 114, 105, 113)]
    },
    "morningdojistar": {100: [_BLACK, (95, 96, 93, 94.75), (100, 108, 99, 107)]},
    "morningstar": {100: [_BLACK, (95, 96, 92, 93), (100, 108, 99, 107)]},
    "onneck": {-100: [(109, 110, 98, 100), (96, 99, 95, 98.25)]},
    "piercing": {100: [(110, 111, 99, 100), (97, 107, 96, 106)]},
    "rickshawman": {100: [(100, 104, 96, 100)]},
    "risefall3methods": _both(
        [_WHITE, (107, 108, 104, 105), (105.5, 106, 102, 103.5), (104, 105, 101, 102), (103, 112, 102, 111)]
    ),
    "separatinglines": _both([(104, 105, 99, 100), (104, 112, 104, 111.5)]),
    "shootingstar": {-100: [(98, 104, 96, 102), (103, 107, 102.75, 103.5)]},
    "shortline": _both([(100, 102, 99, 101)]),
    "spinningtop": _both([(100, 103, 98, 101)]),
    "stalledpattern": {-100: [_WHITE, (106, 116.5, 105, 116), (115.5, 118, 115, 117)]},
    "sticksandwich": {100: [(104, 105, 98, 100), (101.5, 106, 101, 105), (106, 107, 99, 100.25)]},
    "takuri": {100: [(100, 100, 94, 100)]},
    "tasukigap": _both([(98, 104, 97, 103), (106, 111, 105, 110), (108, 109, 104, 105)]),
    "thrusting": {-100: [(110, 111, 99, 100), (97, 105, 96, 104)]},
    "tristar": _both([(103, 104, 102, 103), (100, 101, 99, 100), (102, 103, 101, 102)]),
    "unique3river": {100: [(110, 111, 99, 100), (107, 108, 96, 103), (100, 102, 98, 101)]},
    "upsidegap2crows": {-100: [_WHITE, (111, 112, 109, 110), (113, 114, 108.5, 109)]},
    "xsidegap3methods": _both([(98, 104, 97, 103), (105, 110, 104, 109), (107, 108, 99, 101)]),
}
"""For every pattern and each of its values (open, high, low, close) of the bars it is made of, after QUIET ones."""

CASES = [(f"cdl{name}", value) for name, values in DRAWN.items() for value in values]


def drawn(name, value):
    """Return the bars of a case as an array (T, 4)."""
    return np.array([*QUIET, *DRAWN[name.removeprefix("cdl")][value]], float)


def candles_of(bars):
    """Return Candles of (T, 4)."""
    opened, high, low, close = np.array(bars, float).T
    time = 3_600_000 * np.arange(len(bars))
    return Candles(
        symbol="BTC/USDT", timeframe="1h", time=time, open=opened, high=high, low=low, close=close,
        volume=np.ones(len(bars)),
    )  # fmt: skip


def panel_of(columns):
    """Return a Panel of open, high, low and close, each (T, S)."""
    opened, high, low, close = columns
    bars, symbols = close.shape
    return Panel(
        symbols=[f"S{k}/USDT" for k in range(symbols)], timeframe="1m", time=60_000 * np.arange(bars),
        open=opened, high=high, low=low, close=close, volume=np.ones(close.shape),
    )  # fmt: skip


def wanted(name, columns, **options):
    """Return TA-Lib's values of a pattern for each symbol of a panel's columns."""
    function = getattr(talib, name.upper())
    return np.stack(
        [
            function(*map(np.ascontiguousarray, series), **options)
            for series in zip(*(c.T for c in columns), strict=True)
        ],
        axis=1,
    )


def wild(bars, symbols, seed, tick=0.01, price=100_000, drawings=CASES):
    """
    Return open, high, low and close of walks in ticks, in which all patterns are frequent: bodies short or long,
    colours that persist, gaps, shadows that are often missing; with ties on every side. Among them are ``drawings``.
    """
    random = np.random.default_rng(seed)
    shape = (bars, symbols)
    kind = random.random(shape)
    body = np.where(kind < 0.45, random.integers(0, 3, shape), random.integers(6, 16, shape))
    body = np.where(kind > 0.8, random.integers(2, 8, shape), body)
    colour = np.where(random.random(shape) < 0.5, 1, -1)
    same = random.random(shape) < 0.55
    for t in range(1, bars):
        colour[t] = np.where(same[t], colour[t - 1], colour[t])
    gap = np.where(random.random(shape) < 0.45, random.integers(-12, 13, shape), random.integers(-2, 3, shape))
    moved = gap + colour * body
    close = price + moved.cumsum(axis=0)
    opened = close - colour * body
    upper, lower = (np.where(random.random(shape) < 0.55, 0, random.integers(0, 7, shape)) for _ in range(2))
    high, low = np.maximum(opened, close) + upper, np.minimum(opened, close) - lower
    columns = [column.astype(float) for column in (opened, high, low, close)]
    if drawings:
        _draw(columns, random, drawings)
    return [column * tick for column in columns]


def _draw(columns, random, cases):
    """
    Put hand-drawn patterns among the bars, in several sizes, with prices moved about so that ties and near misses are
    as frequent as hits.
    """
    bars, symbols = columns[0].shape
    lengths = [len(DRAWN[name.removeprefix("cdl")][value]) for name, value in cases]
    for symbol in range(symbols):
        start = 30
        while start < bars - 8:
            case = random.integers(len(cases))
            name, value = cases[case]
            drawn_bars = np.array(DRAWN[name.removeprefix("cdl")][value], float)
            size, loose = random.integers(1, 5), random.random() < 0.7
            at = columns[3][start - 1, symbol] - 100 * size
            moves = random.integers(-2, 3, drawn_bars.shape) * (random.random(drawn_bars.shape) < 0.25 * loose)
            made_bars = (at + size * drawn_bars + moves).round()
            if random.random() < 0.4:  # an open or a close where another price is, or next to it
                other = random.choice(made_bars.ravel()) + random.integers(-1, 2)
                made_bars[random.integers(lengths[case]), random.choice([0, 3])] = other
            o, h, low, c = made_bars.T
            made = (o, np.max([o, h, c], axis=0), np.min([o, low, c], axis=0), c)
            for column, prices in zip(columns, made, strict=True):
                column[start : start + lengths[case], symbol] = prices
            start += lengths[case] + random.integers(0, 8)


assert set(NAMES) == {name for name, _ in CASES}

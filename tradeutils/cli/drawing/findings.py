"""What an analysis found, as things to draw: marks at bars, lines at prices, and volume by price."""

from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tradeutils.analysis.patterns import PATTERNS
from tradeutils.cli.drawing.layout import decimals_of
from tradeutils.cli.printing import utc

if TYPE_CHECKING:
    from tradeutils.analysis.levels import Level, Levels, Swings, VolumeProfile
    from tradeutils.analysis.patterns import Hit, Patterns
    from tradeutils.model import Candles

__all__ = [
    "Finding",
    "Marks",
    "PriceLine",
    "PriceLines",
    "Profile",
    "level_lines",
    "pattern_marks",
    "profile_of",
    "swing_marks",
]

MarkKind: TypeAlias = Literal["bullish", "bearish", "neutral", "swing high", "swing low"]
LineKind: TypeAlias = Literal["support", "resistance", "profile"]

_EACH: Final = 6  # the strongest levels of each kind: more lines than that and none is looked at
_EXPLAINED: Final = 3  # patterns of one mark; of more only the names, or the text is longer than the chart is high
_TEXT_WIDTH: Final = 64
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Marks:
    """
    Marks of one kind at bars, at most one at each.

    Attributes
    ----------
    name : str
        In the legend.
    kind : str
        Decides shape, colour and side.
    rows : sequence of int
        The bars, oldest first.
    texts : sequence of tuple of str
        For each mark what is shown when it is pointed at: paragraphs, whose lines are divided by line feeds.
    weights : sequence of float
        Where marks would lie on one another, the one with the greatest is drawn.
    hidden : bool
        Not drawn before its name is clicked.
    """

    name: str
    kind: MarkKind
    rows: Sequence[int]
    texts: Sequence[tuple[str, ...]]
    weights: Sequence[float]
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A line at a price from a bar on: its label, and what is shown when that is pointed at."""

    price: float
    row: int
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class PriceLines:
    """Lines of one kind; where labels would lie on one another, that of the first is drawn."""

    name: str
    kind: LineKind
    lines: Sequence[PriceLine]


@dataclass(frozen=True, slots=True)
class Profile:
    """Volume by price: the edges of the bins, the volume in each, and the lines that go with it."""

    edges: Sequence[float]
    volume: Sequence[float]
    lines: PriceLines


Finding: TypeAlias = Marks | PriceLines | Profile


def pattern_marks(found: Patterns, candles: Candles, *, chosen: bool = False) -> list[Marks]:
    """
    Return the patterns that end at these candles: bullish, bearish and neutral ones, one mark of each at a bar.

    Patterns of one bar, which are on every other bar, go with the neutral ones, and these are hidden until they are
    asked for; not so where the patterns were ``chosen``. Where marks lie on one another the rarest counts.
    """
    counts = found.counts()
    rows = {time: row for row, time in enumerate(candles.time.tolist())}
    sides: dict[MarkKind, dict[int, list[Hit]]] = {"bullish": {}, "bearish": {}, "neutral": {}}
    for hit in found.rows():
        row = rows.get(hit.time)
        if row is not None:
            sides[_side(hit, chosen=chosen)].setdefault(row, []).append(hit)
    neutral = "neutral patterns" if chosen else "patterns of one bar, neutral ones"
    names: dict[MarkKind, str] = {"bullish": "bullish patterns", "bearish": "bearish patterns", "neutral": neutral}
    made = []
    for kind, at in sides.items():
        for hits in at.values():
            hits.sort(key=lambda hit: (counts[hit.name], hit.name))
        texts = [_pattern_texts(hits) for hits in at.values()]
        weights = [-counts[hits[0].name] for hits in at.values()]
        if at:
            made.append(Marks(names[kind], kind, list(at), texts, weights, hidden=kind == "neutral" and not chosen))
    return made


def _side(hit: Hit, *, chosen: bool) -> MarkKind:
    pattern = PATTERNS[hit.name]
    if pattern.bias == "neutral" or (pattern.bars == 1 and not chosen):
        return "neutral"
    return "bullish" if hit.value > 0 else "bearish"


def _pattern_texts(hits: Sequence[Hit]) -> tuple[str, ...]:
    explained = [f"{_pattern_title(hit)}\n{_wrapped(PATTERNS[hit.name].says)}" for hit in hits[:_EXPLAINED]]
    return *explained, *(_pattern_title(hit) for hit in hits[_EXPLAINED:])


def _pattern_title(hit: Hit) -> str:
    """Return its name and bias, and TA-Lib's number where that says more than the side."""
    pattern = PATTERNS[hit.name]
    bias = "neutral" if pattern.bias == "neutral" else "bullish" if hit.value > 0 else "bearish"
    return f"{pattern.title}, {bias}{'' if abs(hit.value) == 100 else f' ({hit.value:+d})'}"


def swing_marks(found: Swings, candles: Candles) -> list[Marks]:
    """Return swing highs and lows at their own bars; the text says when each was confirmed."""
    decimals, times = decimals_of(candles), candles.time.tolist()
    made: dict[bool, dict[int, str]] = {True: {}, False: {}}
    prices: dict[bool, list[float]] = defaultdict(list)
    for swing in found.rows():
        name = "Swing high" if swing.is_high else "Swing low"
        late = f"confirmed {utc(times[swing.confirmed])}, {_counted(swing.confirmed - swing.at, 'bar', 'bars')} later"
        made[swing.is_high][swing.at] = f"{name} {_price_text(swing.price, decimals)}, {late}"
        prices[swing.is_high].append(swing.price)
    kinds: tuple[tuple[bool, MarkKind], ...] = ((True, "swing high"), (False, "swing low"))
    return [
        Marks(
            f"{kind}s",
            kind,
            list(made[is_high]),
            [(text,) for text in made[is_high].values()],
            [price if is_high else -price for price in prices[is_high]],
        )
        for is_high, kind in kinds
        if made[is_high]
    ]


def level_lines(found: Levels, candles: Candles) -> list[PriceLines]:
    """
    Return the strongest levels of each kind, each from the bar on at whose close it was known.

    Those that were touched once only, of which there are many, are left out where there are others.
    """
    decimals, times = decimals_of(candles), candles.time.tolist()
    kinds: tuple[LineKind, ...] = ("resistance", "support")
    made = []
    for kind in kinds:
        known = [level for level in found.levels[0] if level.kind == kind]
        strongest = [level for level in known if level.touches > 1][:_EACH] or known[:1]
        lines = [
            PriceLine(
                level.price,
                level.first + found.delay,
                f"{kind[0].upper()} {_price_text(level.price, decimals)} ×{level.touches}",  # noqa: RUF001
                _level_text(level, found.delay, times, decimals),
            )
            for level in strongest
        ]
        if lines:
            made.append(PriceLines(kind, kind, lines))
    return made


def _level_text(level: Level, delay: int, times: Sequence[int], decimals: int) -> str:
    """Return what is known of a level, line by line."""
    late = _counted(delay, "bar", "bars")
    broken = "broken and so of the other kind before" if level.breaks else "never broken"
    return "\n".join(
        (
            f"{level.kind.capitalize()} {_price_text(level.price, decimals)}, as of the last bar",
            f"{_counted(level.touches, 'touch', 'touches')}, strength {level.strength:.2f}, {broken}",
            f"first touch {utc(times[level.first])}, known {late} later: the line begins there",
            f"last touch {utc(times[level.last])}",
        )
    )


def profile_of(found: VolumeProfile, candles: Candles) -> Profile | None:
    """Return the volume by price of these candles, ``None`` where nothing was traded."""
    if not found.volume.sum() > 0.0:
        return None
    decimals = decimals_of(candles)
    span = f"of the {len(candles):,} bars drawn: known at the last of them"
    control, low, high = (float(price) for price in (found.point_of_control, found.low, found.high))
    lines = [
        PriceLine(price, 0, f"{short} {_price_text(price, decimals)}", f"{long} {_price_text(price, decimals)}\n{span}")
        for short, long, price in (
            ("POC", "Point of control, where the most was traded:", control),
            ("VAH", "Value area, which holds 70 % of the volume: its upper end", high),
            ("VAL", "Value area, which holds 70 % of the volume: its lower end", low),
        )
    ]
    named = PriceLines("volume profile", "profile", lines)
    return Profile(found.edges.tolist(), found.volume.tolist(), named)


def _price_text(price: float, decimals: int) -> str:
    """Return a price with the decimals of the candles, as far as eight digits reach: means have more."""
    digits = math.floor(math.log10(abs(price))) + 1 if price else 1
    return f"{price:,.{max(0, min(decimals, _DIGITS - digits))}f}"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _TEXT_WIDTH))


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"

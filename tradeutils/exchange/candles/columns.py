"""
Candles as columns, without a call of Python for every row.

ccxt parses a reply row by row, and each row figure by figure: 1.7 of the 2.4 ms that it takes for 1000 candles. Here
one instance's ``parse_ohlcvs`` is stood in for by one that knows in which column of a row each figure stands, and
makes an array of all rows at once. ccxt keeps its routes, signatures and errors.

The places are not written down for each venue. They are *learnt*: a row of the reply whose figures are replaced by
marks is given to ccxt's own ``parse_ohlcv``, and where the marks come out tells them. And they are *proved*: the whole
first reply (for each kind of market and length of row) is also parsed by ccxt, and every value must be equal; ccxt
must also hand on what the parser made as it is. Until then, and wherever that fails (rows that are mappings, times as
text, computed volumes), ccxt's own parser does the work, and the log says so once. Of every later reply one row is
still compared, and one that is ragged or holds what is no number goes to ccxt's parser too.

Once proved, the text of the rows is read without the quotes around figures and the brackets around rows: one flat
list, whose floats orjson makes (the nearest to the text, as ``float`` does). Measured on 1000 Binance candles, in µs:
so 280, 60 to see that all rows are alike, and 90 for the columns; with the brackets 365 and 205; with the quotes 290
and 370, and both of the latter a collection of garbage more, 90. Other routes: ``numpy.array`` of the strings 430,
pyarrow's CSV reader 710, ``numpy.fromstring`` 1130.
"""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from tradeutils import logs
from tradeutils.errors import BadReply
from tradeutils.exchange.base import Page
from tradeutils.exchange.candles.hidden_rows import HiddenRows, Path, RowReader, ask_hiding
from tradeutils.exchange.requests.calls import Call, current_call
from tradeutils.exchange.requests.replies import rough_json

__all__ = ["CandleColumns"]

_Rows: TypeAlias = npt.NDArray[np.float64]
"""Candles, oldest first, shape (n, 6): time in ms UTC, open, high, low, close, volume; NaN where not told."""

_log = logs.get_logger("exchange")

_WIDTH: Final = 6
_WIDEST: Final = 64  # columns of a row; more is no candle
_LARGEST_TIME: Final = 2.0**53  # from here on a float skips integers
_SCALES: Final = (1, 1000, 0.001, 1e-6)  # from a venue's seconds, micro- or nanoseconds to ms, as ccxt writes them
_MARK, _MARK_STEP = 1_600_000_000_000_000, 10**12  # exact as floats, and as times of each of those units
_ALL_BUT_SHAPE: Final = bytes(set(range(256)) - set(b'[]",'))
_FIGURES: Final = frozenset((str, int, float))
_ATTEMPTS: Final = 3  # replies that may fail to prove anything (null in a row, ...) before it is given up

Kind: TypeAlias = tuple[Any, ...]


class _NoColumnsError(ValueError):
    """Rows that cannot be read as columns: ccxt reads them instead."""


@dataclass(frozen=True, slots=True)
class _Map:
    """
    In which columns of a row the time and the five figures stand.

    Attributes
    ----------
    scale : float
        What makes the time milliseconds.
    shape : bytes
        The brackets, quotes and commas of a row's text.
    """

    places: tuple[int, ...]
    scale: float
    shape: bytes


class _FlatRows(HiddenRows):
    """
    Rows of figures, one after another in one list.

    Raises
    ------
    ValueError : there is more in them than figures, or they are ragged.

    Attributes
    ----------
    figures : list
        Numbers, or None.
    width : int
        How many there are in a row.
    shape : bytes
        The brackets, quotes and commas of the text: that of one row, over and over, or something is in it that does
        not belong there.
    """

    __slots__ = ("figures", "shape", "width")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        plain = text.encode("ascii")
        flat = plain.translate(None, b'"[]')
        if b"e" in flat or b"\\" in flat:  # true, false; escapes; and exponents, which are as rare
            raise _NoColumnsError("not all figures")
        self.shape = plain.translate(None, _ALL_BUT_SHAPE)
        self.figures: list[Any] = orjson.loads(b"[%b]" % flat)
        self.width, over = divmod(len(self.figures), self.shape.count(b"]"))
        if over:
            raise _NoColumnsError("ragged")

    def row(self, at: int) -> list[Any]:
        """Return one row."""
        return self.figures[at * self.width : (at + 1) * self.width]

    def whole(self) -> list[Any]:
        """Return the rows as the venue sent them."""
        rows: list[Any] = rough_json(f"[{self.text}]")
        return rows


class CandleColumns:
    """
    Stands in for ``parse_ohlcvs`` of one instance of ccxt.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Its ``parse_ohlcvs`` is replaced; its ``parse_ohlcv`` is what is learnt from and compared with.
    """

    def __init__(self, ccxt: Any) -> None:
        self._ccxt = ccxt
        self._parse_all, ccxt.parse_ohlcvs = ccxt.parse_ohlcvs, self._parse
        self._proved: dict[Kind, _Map] = {}
        self._failures: dict[Kind, int] = {}
        self._proving: list[tuple[Kind, _Map, Any]] = []  # and what ccxt must hand on for it to be proved
        self._paths: dict[Kind, Path | None] = {}  # to the rows of a reply, by kind of market; None: not to be hidden

    async def fetch(self, call: Call, symbol: str, ask: Callable[[], Awaitable[Any]]) -> Page:
        """Return candles in any order; ``ask`` calls ccxt's ``fetch_ohlcv``, or one like it, for this symbol."""
        kind = _kind_of((self._ccxt.markets or {}).get(symbol))
        answer, reader = await ask_hiding(
            call,
            ask,
            self._paths.get(kind),
            lambda path: RowReader(path, "[]", _FlatRows),
            lambda: self._paths.update({kind: None}),
        )
        if self._paths.get(kind) and not len(answer) and reader.says_something:  # to some classes no rows at all
            raise BadReply("the reply is a list instead of one with candles in it")
        return self._told(answer)

    def _told(self, answer: Any) -> Page:
        """Return what ccxt's ``fetch_ohlcv`` came to; a proof ends with that."""
        for one in self._proving:
            kind, found, handed_on = one
            if handed_on is answer:
                self._proved[kind] = found
                self._proving = [other for other in self._proving if other[0] != kind]
                break
        made: Page = answer
        return made

    def _parse(
        self,
        ohlcvs: Any,
        market: Any = None,
        timeframe: str = "1m",
        since: int | None = None,
        limit: int | None = None,
        tail: bool = False,
    ) -> Any:
        """Do what ccxt's ``parse_ohlcvs`` does: rows sorted by time, from ``since``, at most ``limit``."""
        if isinstance(ohlcvs, _FlatRows):
            made = self._flat(ohlcvs, market)
            if made is not None:
                return _window(made, since, limit, tail)
            ohlcvs = ohlcvs.whole()
        width = _width_of(ohlcvs)
        kind = (*_kind_of(market), width)
        found = self._proved.get(kind)
        if found is None:
            return self._prove(kind, ohlcvs, market, (timeframe, since, limit, tail))
        call = current_call.get()
        if (
            call is not None
            and isinstance(call.decode, RowReader)
            and (path := call.decode.path_to(ohlcvs)) is not None
        ):
            self._paths.setdefault(kind[:-1], path)
        made = _columns(ohlcvs, found)
        if made is None or not self._agrees(made, ohlcvs.__getitem__, market, kind):
            return self._parse_all(ohlcvs, market, timeframe, since, limit, tail)
        return _window(made, since, limit, tail)

    def _flat(self, rows: _FlatRows, market: Any) -> _Rows | None:
        """Return the columns of rows that ccxt has not seen; ``None`` where they have to be looked at."""
        rows.taken = True
        kind = (*_kind_of(market), rows.width)
        found = self._proved.get(kind)
        if found is None:
            return None
        made = _columns_of(rows, found)
        if made is None or not self._agrees(made, rows.row, market, kind):
            return None
        return made

    def _agrees(self, made: _Rows, row: Callable[[int], Any], market: Any, kind: Kind) -> bool:
        """Tell whether ccxt makes the same of one row; if not, the map is not used again."""
        at = random.randrange(len(made))  # noqa: S311  # a sample, no secret
        if _same(made[at : at + 1], [self._ccxt.parse_ohlcv(row(at), market)]):
            return True
        del self._proved[kind]
        self._decline(kind, "a later reply was parsed differently")
        return False

    def _prove(self, kind: Kind, ohlcvs: Any, market: Any, asked: tuple[Any, ...]) -> Any:
        """Parse a reply both ways; what ccxt made is what is returned."""
        theirs = self._parse_all(ohlcvs, market, *asked)
        failures = self._failures.get(kind, 0)
        if not kind[-1] or failures > _ATTEMPTS:
            return theirs
        if failures == _ATTEMPTS:
            self._decline(kind, "nothing could be proved")
            return theirs
        self._failures[kind] = failures + 1
        found = _learn(self._ccxt.parse_ohlcv, ohlcvs[0], market)
        made = None if found is None else _columns(ohlcvs, found)
        if found is None:
            self._decline(kind, "its class computes what it returns")
        elif made is not None and not _same(_window(made, *asked[1:]), theirs):
            self._decline(kind, "the values differ")
        elif made is not None:
            self._proving.append((kind, found, theirs))
        return theirs

    def _decline(self, kind: Kind, why: str) -> None:
        self._failures[kind] = _ATTEMPTS + 1
        self._proving = [other for other in self._proving if other[0] != kind]
        _log.info("%s: candles are parsed by ccxt, row by row (%s)", self._ccxt.id, why)


def _rows_of(parsed: Sequence[Any]) -> _Rows:
    """
    Return rows that ccxt parsed as an array.

    Raises
    ------
    ValueError, TypeError : a row is none, or has no time.
    """
    made = np.full((len(parsed), _WIDTH), math.nan)
    for into, row in zip(made, parsed, strict=True):
        if len(row) < _WIDTH:
            raise _NoColumnsError(f"a candle had {len(row)} figures instead of {_WIDTH}")
        into[:] = [math.nan if value is None else float(value) for value in row[:_WIDTH]]
    if not (np.abs(made[:, 0]) < _LARGEST_TIME).all():
        raise _NoColumnsError("a candle had no time, or one that is none")
    return made


def _kind_of(market: Any) -> Kind:
    """Return what may decide in which column a figure stands: of inverse contracts, the volume is elsewhere."""
    if not isinstance(market, Mapping):
        return (None, None, None)
    return market.get("type"), market.get("linear"), market.get("inverse")


def _width_of(ohlcvs: Any) -> int:
    """Return how many columns a reply's rows have; 0 where they are not rows of figures of one length."""
    if not isinstance(ohlcvs, list) or not ohlcvs or type(ohlcvs[0]) is not list:
        return 0
    try:
        widths = set(map(len, ohlcvs))
    except TypeError:
        return 0
    width = widths.pop()
    return width if not widths and width <= _WIDEST else 0


def _columns(ohlcvs: list[Any], found: _Map) -> _Rows | None:
    """Return all rows of a reply as an array, in its order; ``None`` where one is not all figures."""
    figures = list(itertools.chain.from_iterable(map(operator.itemgetter(*found.places), ohlcvs)))
    if not _FIGURES.issuperset(map(type, figures)):
        return None
    try:
        made = np.fromiter(map(float, figures), np.float64, len(figures)).reshape(-1, _WIDTH)
    except (ValueError, OverflowError):
        return None
    return _in_ms(made, found)


def _columns_of(rows: _FlatRows, found: _Map) -> _Rows | None:
    """Return the same of a flat list; ``None`` also where its text was not built like the rows of the proof."""
    count = len(rows.figures) // rows.width
    if rows.shape != b",".join([found.shape] * count):
        return None
    made = np.empty((_WIDTH, count)).T  # its columns are what is taken from it
    try:
        for column, place in enumerate(found.places):
            made[:, column] = np.fromiter(rows.figures[place :: rows.width], np.float64, count)
    except (TypeError, ValueError, OverflowError):
        return None
    return _in_ms(made, found)


def _in_ms(made: _Rows, found: _Map) -> _Rows | None:
    times = made[:, 0]
    if found.scale != 1:
        times *= found.scale
    if not (np.abs(times) < _LARGEST_TIME).all():
        return None
    np.trunc(times, out=times)
    return made


def _window(made: _Rows, since: int | None, limit: int | None, tail: bool) -> _Rows:
    """Sort by time, and cut, as ccxt does."""
    times = made[:, 0]
    if not (times[1:] >= times[:-1]).all():
        made = made[np.argsort(times, kind="stable")]
    if since is not None:
        made = made[(made[:, 0] >= since) & (made[:, 0] != 0)]
    if limit is None:
        return made
    return made[:limit] if since is not None and not tail else made[-limit:]


def _same(ours: _Rows, theirs: Sequence[Any]) -> bool:
    """Tell whether every value is equal to what ccxt made of it."""
    try:
        return np.array_equal(ours, _rows_of(theirs), equal_nan=True)
    except (TypeError, ValueError):
        return False


def _learn(parse: Callable[[Any, Any], Any], row: list[Any], market: Any) -> _Map | None:
    """Return where ccxt's parser finds the figures of a row; ``None`` where it does more than to find them."""
    marks = [_MARK + at * _MARK_STEP for at in range(len(row))]
    marked = [str(mark) if isinstance(one, str) else mark for mark, one in zip(marks, row, strict=True)]
    try:
        time, *figures = parse(marked, market)[:_WIDTH]
        places = [marks.index(int(figure)) for figure in figures]
        exact = all(marks[at] == figure for at, figure in zip(places, figures, strict=True))
        first, scale = next(
            (at, scale) for at, mark in enumerate(marks) for scale in _SCALES if int(float(mark) * scale) == time
        )
    except Exception:  # noqa: BLE001  # any class, of ccxt's code on a row that no venue sent
        return None
    if not exact or len(figures) != _WIDTH - 1:
        return None
    cells = b",".join(b'""' if isinstance(one, str) else b"" for one in row)
    return _Map((first, *places), scale, b"[%b]" % cells)

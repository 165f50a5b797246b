"""Errors say what was wrong and what to write, are told apart by class, and cross process pools."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from tradeutils import errors
from tradeutils.errors import (
    BadSymbol,
    CandleFileError,
    HistoryLocked,
    MissingExtra,
    NotSupportedByVenue,
    OrderUnknown,
    PermanentVenueError,
    RangeNotServed,
    RateLimited,
    Suspended,
    TradeutilsError,
    TransientVenueError,
    UnknownName,
    UsageError,
    VenueError,
    nearest,
)

CLASSES = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, TradeutilsError)]
VENUES = ["binance", "binanceus", "kraken", "bybit"]

# One of each whose constructor takes more than a message.
MADE: dict[type[TradeutilsError], TradeutilsError] = {
    UnknownName: UnknownName("venue", "binanse", VENUES, where="ccxt"),
    MissingExtra: MissingExtra("plotly", "chart", "drawing a chart"),
    CandleFileError: CandleFileError("a.csv", "no column close", line=3),
    RateLimited: RateLimited("slow down", retry_after=1.5, venue="binance", operation="fetch_ohlcv", symbol="BTC/USDT"),
    BadSymbol: BadSymbol(
        "BTCUSDT", ["BTC/USDT", "SOL/EUR", "DOGE/BTC", "X/Y"], venue="binance", operation="fetch_ticker"
    ),
    RangeNotServed: RangeNotServed("keeps 720 bars", first=5, venue="kraken", operation="fetch_ohlcv"),
    NotSupportedByVenue: NotSupportedByVenue("no candles", alternatives=["kraken"], venue="x"),
    OrderUnknown: OrderUnknown("the connection broke", client_id="tu-1"),
    HistoryLocked: HistoryLocked("another process writes", pid=7),
    Suspended: Suspended("its key was refused", account="alice", reason="bad key", retry_after=60.0),
}


def made(cls: type[TradeutilsError]) -> TradeutilsError:
    """Return an error of this class."""
    if cls in MADE:
        return MADE[cls]
    if issubclass(cls, VenueError):
        return cls("it said no", venue="binance", operation="fetch_ohlcv", symbol="BTC/USDT")
    return cls("it went wrong")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_error_crosses_process_pools(cls: type[TradeutilsError]) -> None:
    """Class, message and attributes survive pickling, keyword-only constructors included."""
    error = made(cls)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(again) is cls
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_is_public_described_and_drawn(cls: type[TradeutilsError]) -> None:
    """It is in __all__, has a docstring, and stands in the tree under its parent."""
    assert cls.__name__ in errors.__all__
    assert cls.__doc__
    tree = (errors.__doc__ or "").splitlines()
    line = next(line for line in tree if re.search(rf"(^|\W){cls.__name__}(\W|$)", line))
    if cls is TradeutilsError:
        return
    depth = re.search(r"\w", line).start()  # type: ignore[union-attr]
    above = reversed(tree[: tree.index(line)])
    parent = next(one for one in above if re.search(r"\w", one) and re.search(r"\w", one).start() < depth)  # type: ignore[union-attr]
    assert re.search(r"\w+", parent)[0] == cls.__bases__[0].__name__  # type: ignore[index]


def test_whether_to_retry_is_read_from_the_class_alone() -> None:
    """A venue's error is transient or permanent, never both, and nothing else is transient."""
    for cls in CLASSES:
        if issubclass(cls, VenueError) and cls is not VenueError:
            assert issubclass(cls, TransientVenueError) != issubclass(cls, PermanentVenueError)
        assert issubclass(cls, VenueError) or not issubclass(cls, TransientVenueError)


def test_wrong_calls_are_value_errors_and_missing_packages_import_errors() -> None:
    """Who knows nothing of our tree catches what Python would have raised."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(MissingExtra, ImportError)
    assert issubclass(BadSymbol, UsageError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            UnknownName("venue", "binanse", VENUES),
            "venue was 'binanse'; did you mean binance or binanceus? (valid are 4 in all)",
        ),
        (
            UnknownName("field", "xyz", ["open", "close"], where="the panel"),
            "field was 'xyz'; the panel has open, close",
        ),
        (UnknownName("field", "xyz", []), "field was 'xyz'; valid are none"),
        (UnknownName("symbol", None, (f"S{i}" for i in range(30))), "and 6 more"),
        (MADE[MissingExtra], 'drawing a chart needs plotly: pip install "tradeutils[chart]"'),
        (MADE[CandleFileError], "a.csv, line 3: no column close"),
        (CandleFileError("a.csv", "is empty"), "a.csv: is empty"),
        (MADE[RateLimited], "binance fetch_ohlcv BTC/USDT: slow down"),
        (MADE[OrderUnknown], "the connection broke"),
        (VenueError("it said no"), "it said no"),
        (
            MADE[BadSymbol],
            "binance fetch_ticker: symbol was 'BTCUSDT'; did you mean BTC/USDT or DOGE/BTC or SOL/EUR? "
            "(binance has 4 in all)",
        ),
        (BadSymbol("X", venue="kraken"), "kraken: symbol was 'X'; the venue does not list it"),
        (BadSymbol("X", ["BTC/USDT"]), "symbol was 'X'; the venue has BTC/USDT"),
    ],
)
def test_message_says_what_was_wrong_and_what_to_write(error: TradeutilsError, message: str) -> None:
    """The nearest names, else all of a short list, else the first of a long one."""
    assert message in str(error)


def test_attributes_carry_what_a_program_needs() -> None:
    """Messages are for people; code reads attributes."""
    limited: Any = MADE[RateLimited]
    assert (limited.retry_after, limited.venue, limited.operation, limited.symbol) == (
        1.5,
        "binance",
        "fetch_ohlcv",
        "BTC/USDT",
    )
    assert RateLimited("x").retry_after is None
    unknown: Any = MADE[UnknownName]
    assert (unknown.kind, unknown.value, unknown.nearest) == ("venue", "binanse", ["binance", "binanceus"])
    bad: Any = MADE[BadSymbol]
    assert (bad.kind, bad.value, bad.symbol, bad.nearest, bad.venue) == (
        "symbol",
        "BTCUSDT",
        "BTCUSDT",
        ["BTC/USDT", "DOGE/BTC", "SOL/EUR"],
        "binance",
    )
    assert MADE[RangeNotServed].first == 5  # type: ignore[attr-defined]
    assert MADE[NotSupportedByVenue].alternatives == ("kraken",)  # type: ignore[attr-defined]
    assert MADE[OrderUnknown].client_id == "tu-1"  # type: ignore[attr-defined]
    assert (MADE[CandleFileError].path, MADE[CandleFileError].line) == ("a.csv", 3)  # type: ignore[attr-defined]
    assert (MADE[MissingExtra].package, MADE[MissingExtra].extra) == ("plotly", "chart")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "options", "found"),
    [
        ("btcusdt", ["BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"], "BTC/USDT"),
        ("BTC-USDT", ["ETH/USDT", "BTC/USDT"], "BTC/USDT"),
        ("ris:14", ["rsi:14", "ema:20"], "rsi:14"),
        ("1H", ["1h", "1m"], "1h"),
        ("straße", ["STRASSE"], "STRASSE"),
    ],
)
def test_nearest_ignores_case_and_separators(value: str, options: list[str], found: str) -> None:
    """What was meant comes first."""
    assert nearest(value, options)[0] == found


def test_nearest_is_silent_where_nothing_is_near() -> None:
    """No name is better than a wrong one; no more are named than were asked for."""
    assert nearest("xyzzy", ["BTC/USDT"]) == []
    assert nearest("a", []) == []
    assert len(nearest("BTC", ["BTC", "btc", "B/TC", "BT-C"], count=2)) == 2


def test_nearest_names_as_many_as_are_wanted_at_least() -> None:
    """What looks little like it makes up the number, after what does; an endless name costs no more than a long one."""
    options = ["BTC/USDT", "ETH/USDT", "DOGE/EUR", "X"]
    assert nearest("BTC/USTD", options, at_least=3)[0] == "BTC/USDT"
    for value in ("BTC/USTD", "", "?", "x" * 10**7):
        assert len(nearest(value, options, at_least=3)) == 3
    assert nearest("?", ["A"], at_least=3) == ["A"]


def test_no_other_error_is_raised_by_name_in_the_package() -> None:
    """Code raises our own classes; the few of Python's own that a protocol asks for are listed here."""
    allowed = {"AttributeError", "KeyError", "NotImplementedError", "StopAsyncIteration", "StopIteration", "TypeError"}
    own = {cls.__name__ for cls in CLASSES}
    package = Path(errors.__file__).parent
    strangers = {
        f"{path.relative_to(package)}: {node.exc.func.id}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        if node.exc.func.id in {"Exception", "BaseException", "ValueError", "RuntimeError", "OSError", "AssertionError"}
        if node.exc.func.id not in own | allowed
    }
    assert strangers == set()

"""
What a venue lists, in the form in which all instances of its ccxt class can use it at once.

ccxt's ``load_markets`` keeps every market twice (as parsed, and merged with the class's defaults), each with ``info``,
the venue's own words: 104 MiB for 3640 symbols, in each instance. A `Listing` holds the merged ones alone, and of
``info`` no more than the class may ever look at: the entries whose names appear in its code, outside of the methods
that make markets of what the venue sent. On Binance these are eight of thirty. The rule is ccxt's own code, not a
list of ours, so that it holds for every venue and the next version of ccxt. Dropping ``info`` altogether would break
70 methods of 38 classes, orders on Binance among them.
"""

from __future__ import annotations

import math
import re
import types
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

import orjson

from tradeutils import codec
from tradeutils.errors import CodecError, DataError
from tradeutils.model import Market

__all__ = ["Listing", "pack", "parts_of", "unpack", "words_of"]

_MAX_BYTES: Final = 256 * 2**20  # unpacked; 3640 symbols take 5 MB
_MAKERS: Final = re.compile(r"describe|parse_(market|currency)|fetch_(\w+_)?(markets|currencies)(_\w+)?")
_TABLES: Final = ("markets", "currencies", "baseCurrencies", "quoteCurrencies")
_ATOMS: Final = frozenset({str, int, bool, type(None)})
_MARK: Final = "\x7f"  # before the text of a Decimal
_MOST_PLACES: Final = 1000  # a market has 12, and some 40 where its class lists tiers of fees


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """
    A market table. Shared by many, and never changed: what is loaded anew is another one.

    Attributes
    ----------
    parts : mapping
        ccxt's ``markets``, ``currencies``, ``baseCurrencies`` and ``quoteCurrencies``; ``ids``, the symbols by the
        venue's id; and ``options``, what loading has left in ccxt's options for its other methods.
    markets : mapping of str to Market
        Ours, by symbol.
    time : float
        When the venue was asked, seconds UTC.
    """

    parts: Mapping[str, Any]
    markets: Mapping[str, Market]
    time: float
    _given: Mapping[str, Any]

    @classmethod
    def of(cls, parts: Mapping[str, Any], time: float, market: Callable[[Mapping[str, Any]], Market]) -> Self:
        """Return the listing of some parts; ``market`` makes ours of ccxt's. Errors are whatever nonsense raises."""
        markets, currencies = parts["markets"], parts["currencies"]
        by_id = {name: [markets[one] for one in symbols if one in markets] for name, symbols in parts["ids"].items()}
        given = {
            "markets": markets,
            "markets_by_id": {name: found for name, found in by_id.items() if found},
            "symbols": sorted(markets),
            "ids": sorted(by_id),
            "currencies": currencies,
            "currencies_by_id": {entry["id"]: entry for entry in currencies.values() if entry.get("id") is not None},
            "codes": sorted(currencies),
            "baseCurrencies": parts["baseCurrencies"],
            "quoteCurrencies": parts["quoteCurrencies"],
        }
        return cls(parts, {symbol: market(entry) for symbol, entry in markets.items()}, time, given)

    def give(self, ccxt: Any) -> None:
        """Let an instance of ccxt use it, as its ``set_markets_from_exchange`` would. Costs microseconds."""
        for name, value in self._given.items():
            setattr(ccxt, name, value)
        ccxt.options.update(self.parts["options"])


def parts_of(ccxt: Any, options_before: Mapping[str, Any], *, info: bool) -> dict[str, Any]:
    """
    Return the parts of a listing from an instance of ccxt that has loaded it.

    Parameters
    ----------
    options_before : mapping
        A copy of its options from before it loaded.
    info : bool
        Keep all of ``info``.
    """
    words = words_of(type(ccxt))
    left = {
        name: value
        for name, value in ccxt.options.items()
        if name in words and (name not in options_before or options_before[name] != value)
    }
    parts = {
        "markets": dict(ccxt.markets),
        "currencies": dict(ccxt.currencies or {}),
        "baseCurrencies": dict(ccxt.baseCurrencies or {}),
        "quoteCurrencies": dict(ccxt.quoteCurrencies or {}),
        "ids": {name: [one["symbol"] for one in markets] for name, markets in ccxt.markets_by_id.items()},
        "options": left,
    }
    return parts if info else _lean(parts, words)


def words_of(ccxt_class: type) -> frozenset[str]:
    """Return every string in the code of a class, but for the methods that make markets. About 1.5 ms."""
    return frozenset(
        word
        for one in ccxt_class.__mro__
        for method in list(vars(one).values())
        if isinstance(method, types.FunctionType) and not _MAKERS.fullmatch(method.__name__)  # it has aliases
        for word in _strings(method.__code__)
    )


def _strings(code: types.CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from _strings(constant)
        elif isinstance(constant, tuple | frozenset):  # a list of names is stored as one
            yield from (word for word in constant if isinstance(word, str))


def _lean(parts: Mapping[str, Any], words: frozenset[str]) -> dict[str, Any]:
    """Return copies without what nobody reads of any ``info``: of markets, currencies and their networks."""

    def bare(entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        entry = dict(entry)
        if isinstance(entry.get("info"), dict):
            entry["info"] = {word: kept for word, kept in entry["info"].items() if word in words}
        if isinstance(entry.get("networks"), dict):
            entry["networks"] = {name: bare(network) for name, network in entry["networks"].items()}
        return entry

    def bare_all(entries: Any) -> Any:
        return {name: bare(entry) for name, entry in entries.items()} if isinstance(entries, dict) else entries

    tables = {name: bare_all(parts[name]) for name in _TABLES}
    options = {name: bare_all(value) for name, value in parts["options"].items()}  # kraken keeps markets there too
    return {**parts, **tables, "options": options}


def pack(listing: Listing) -> bytes:
    """
    Return a listing as bytes for the cache.

    2000 symbols: JSON of 2.4 MB, and 0.2 MB after zlib at its fastest, 4 ms. Decimals are marked, and where they stand
    is noted, so that reading looks there alone and takes twice as long as orjson by itself. Our codec, which needs no
    such note, takes five times as long; it writes what surrounds the tables, with a checksum.

    Raises
    ------
    CodecError : ccxt made something that would not come back as it was.
    """
    tables = {name: listing.parts[name] for name in _TABLES}
    notes = {name: _figures(table) for name, table in tables.items()}
    try:
        text = orjson.dumps(tables, _marked, orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as error:  # keys that are no text, numbers of more than 64 bits
        raise CodecError(f"a market table is no JSON ({error})") from error
    content = {"time": listing.time, "notes": notes, "tables": text}
    content |= {name: listing.parts[name] for name in ("ids", "options")}
    return zlib.compress(codec.dumps(content), 1)


def unpack(data: object, market: Callable[[Mapping[str, Any]], Market]) -> Listing:
    """
    Return the listing in ``data``.

    Raises
    ------
    DataError : it is none, whatever it is.
    """
    try:
        if not isinstance(data, bytes):
            raise TypeError(f"is a {type(data).__name__}")
        unpacker = zlib.decompressobj()
        content = codec.loads(unpacker.decompress(data, _MAX_BYTES), max_bytes=_MAX_BYTES)
        tables = orjson.loads(content["tables"])
        for name, places in content["notes"].items():
            _restore(tables[name], places)
        parts = {**tables, "ids": content["ids"], "options": content["options"]}
        _check(parts)
        return Listing.of(parts, float(content["time"]), market)
    except (zlib.error, DataError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise DataError(f"what is cached is no market table ({error})") from error


def _marked(value: object) -> str:
    if type(value) is not Decimal:
        raise TypeError(f"{type(value).__name__} is not kept")
    return f"{_MARK}{value}"


def _figures(table: Mapping[str, Any]) -> list[list[str | int]]:
    """Return where in the entries of a table Decimals stand; `CodecError` where JSON would change what is there."""
    found: set[tuple[str | int, ...]] = set()

    def look(entries: Iterable[tuple[str | int, Any]], path: tuple[str | int, ...]) -> None:
        for key, value in entries:
            kind = value.__class__
            if kind in _ATOMS:
                continue
            if kind is Decimal:
                found.add((*path, key))
            elif kind is dict:
                look(value.items(), (*path, key))
            elif kind is list:
                look(enumerate(value), (*path, key))
            elif kind is not float or not math.isfinite(value):
                raise CodecError(f"a market table holds a {kind.__name__}: {value!r}")

    for entry in table.values():
        look(entry.items(), ())
    if len(found) > _MOST_PLACES:
        raise CodecError(f"a market table has figures in {len(found)} places")
    return [list(path) for path in sorted(found, key=repr)]


def _restore(table: Mapping[str, Any], places: Iterable[Sequence[str | int]]) -> None:
    """Make Decimals again of what is marked; one of each, as most markets have the same few."""
    made: dict[str, Decimal] = {}
    for *path, last in places:
        for entry in table.values():
            box = entry
            try:
                for step in path:
                    box = box[step]
                text = box[last]
            except (LookupError, TypeError):  # not every market has it
                continue
            if text.__class__ is str and text.startswith(_MARK):
                figure = made.get(text)
                if figure is None:
                    figure = made[text] = Decimal(text[1:])
                box[last] = figure


def _check(parts: Mapping[str, Any]) -> None:
    """Check what ccxt would stumble over later."""
    for name in (*_TABLES, "ids", "options"):
        if not isinstance(parts[name], dict):
            raise TypeError(f"{name} is a {type(parts[name]).__name__}")
    if not parts["markets"]:
        raise DataError("it lists nothing")
    for symbol, entry in parts["markets"].items():
        if (
            entry["symbol"] != symbol
            or not isinstance(entry["precision"], dict)
            or not isinstance(entry["limits"], dict)
        ):
            raise DataError(f"{symbol!r} is no market")

"""
How freqtrade, Binance and hive trees lay out candle files: from a path to a series, and from a series to a path.

Only names are read here. What the names of the others cannot say (a symbol with an underscore in it, a quote that
nobody knows) is refused, never guessed.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tradeutils.errors import UnknownName
from tradeutils.history.candle_files.names import SUFFIXES, symbol_of, timeframe_of
from tradeutils.timeframe import parse

__all__ = ["Named", "binance_folder", "binance_id", "freqtrade_name", "name_of", "plain_text", "resolved"]

# https://github.com/binance/binance-public-data: BTCUSDT-1m-2024-01.zip, BTCUSD_PERP-1h-2024-01-31.zip
_BINANCE: Final = re.compile(
    r"(?P<id>[A-Z0-9]+(?:_[A-Z0-9]+)?)-(?P<what>[A-Za-z0-9]+)-(?P<month>[0-9]{4}-[0-9]{2})(?:-[0-9]{2})?\.(?:zip|csv|csv\.gz)"
)
_BINANCE_LENGTH: Final = re.compile(r"[1-9][0-9]?(?:s|m|h|d|w|mo)")
# freqtrade: BTC_USDT-5m.feather, futures/BTC_USDT_USDT-1h-futures.feather, BTC_USDT_USDT-260327-1h-futures.feather
_FREQTRADE: Final = re.compile(
    r"(?P<base>[A-Za-z0-9]+)_(?P<quote>[A-Za-z0-9]+)(?:_(?P<settle>[A-Za-z0-9]+))?(?:[-_](?P<expiry>[0-9]{6}))?"
    r"-(?P<length>[1-9][0-9]{0,3}(?:Mo|[smhdwMy]))(?:-(?P<kind>[A-Za-z_]+))?\.(?:feather|json|json\.gz|parquet)"
)
_TRADED: Final = frozenset({"", "spot", "futures"})
# What stands in names of files that look like candles: prices that nobody traded at, or no candles at all.
_NOT_TRADED: Final[Mapping[str, str]] = {
    "mark": "mark prices", "markpriceklines": "mark prices", "index": "index prices",
    "indexpriceklines": "index prices", "premiumindex": "the premium index", "premiumindexklines": "the premium index",
    "funding": "funding rates", "fundingrate": "funding rates", "trades": "trades", "aggtrades": "trades",
    "bookticker": "quotes", "bookdepth": "an order book", "metrics": "open interest", "eohsummary": "option summaries",
    "liquidationsnapshot": "liquidations", "bvolindex": "a volatility index",
}  # fmt: skip
_CUT: Final = re.compile(r"~[0-9A-F]{32}$")  # what a history puts in place of the end of a name that is too long
_HIVE: Final = re.compile(r"(exchange|timeframe|symbol)=(.+)")


@dataclass(frozen=True, slots=True)
class Named:
    """
    What the path of a candle file says; empty where it does not say.

    Attributes
    ----------
    label : str
        The market as it is written there: ``"BTCUSDT"``, ``"BTC_USDT"``.
    refused : str
        Why the file holds no candles of trades; empty where it may.
    """

    symbol: str = ""
    timeframe: str = ""
    exchange: str = ""
    label: str = ""
    refused: str = ""


def name_of(parts: Sequence[str], above: Sequence[str] = ()) -> Named:
    """
    Return what the path of a candle file says.

    Parameters
    ----------
    parts : sequence of str
        The folders that lead to the file, outermost first, and its name.
    above : sequence of str
        The folders above those. They are asked for ``exchange=``, ``futures/um`` and the like, but not for a symbol
        as free text: a home folder may be named after a coin.
    """
    *inner, name = parts
    folders = (*above, *inner)
    hive = {match[1]: _unquoted(match[2]) for part in folders if (match := _HIVE.fullmatch(part))}
    if "symbol" in hive:
        frame = hive.get("timeframe", "") or timeframe_of(name)
        symbol = "" if _CUT.search(hive["symbol"]) else hive["symbol"]
        return Named(symbol, frame, hive.get("exchange", ""), hive["symbol"])
    if match := _BINANCE.fullmatch(name):
        return _of_binance(match, folders)
    if (match := _FREQTRADE.fullmatch(name)) and (named := _of_freqtrade(match)):
        return named
    return _of_any(name, inner)


def _unquoted(value: str) -> str:
    """Return a name as a folder has it percent-encoded; empty where its bytes are no text, which is not guessed at."""
    try:
        return urllib.parse.unquote(value, errors="strict")
    except UnicodeDecodeError:
        return ""


def _of_binance(match: re.Match[str], folders: Sequence[str]) -> Named:
    label, what = match["id"], match["what"]
    # .../markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip: the name is that of the candles of trades.
    kinds = (what, *(part for part in folders if part.lower().endswith("klines")))
    if meant := next((_NOT_TRADED[part.lower()] for part in kinds if part.lower() in _NOT_TRADED), ""):
        return Named(label=label, refused=_holds(meant))
    if not _BINANCE_LENGTH.fullmatch(what):
        return Named(label=label, refused=_holds(what))
    symbol = _symbol_of_id(label, _kind_of_futures(folders))
    return Named(symbol, parse(what.replace("mo", "M")).name, label=label)


def _kind_of_futures(folders: Sequence[str]) -> str:
    """Return ``"um"`` or ``"cm"`` where the folders are those of Binance's futures; a home may have that name too."""
    around = zip(("", *folders), folders, (*folders[1:], ""), strict=False)
    for before, part, after in around:
        if part in ("um", "cm") and (before == "futures" or after in ("daily", "monthly", "klines")):
            return part
    return ""


def _symbol_of_id(label: str, kind: str) -> str:
    """Return the unified symbol of Binance's name of a market: of ``um`` and ``cm`` futures, or of spot."""
    pair, _, term = label.partition("_")
    plain = symbol_of(f"{pair}.csv")
    if not plain or not (kind or term):
        return plain
    base, quote = plain.split("/")
    settle = base if kind == "cm" or (not kind and quote == "USD") else quote
    return f"{plain}:{settle}" + (f"-{term}" if term.isdigit() else "")


def _of_freqtrade(match: re.Match[str]) -> Named | None:
    base, quote, settle = match["base"], match["quote"], match["settle"]
    if settle and settle not in (base, quote):
        return None  # BINANCE_BTC_USDT-1m.feather: another's naming
    label = match["base"] + f"_{quote}" + (f"_{settle}" if settle else "")
    kind = (match["kind"] or "").replace("_", "")
    if kind not in _TRADED:
        return Named(label=label, refused=_holds(_NOT_TRADED.get(kind.lower(), kind)))
    symbol = f"{base}/{quote}" + (f":{settle}" if settle else "") + (f"-{match['expiry']}" if match["expiry"] else "")
    return Named(symbol, parse(match["length"].replace("Mo", "M")).name, label=label)


def _of_any(name: str, folders: Sequence[str]) -> Named:
    words = re.split(r"[^a-z]+", _stem(name).lower())
    meant = next((_NOT_TRADED[word] for word in words[1:] if word in _NOT_TRADED), "")  # the first may be an asset
    if meant:
        return Named(label=name, refused=_holds(meant))
    named = (name, *(f"{folder}.csv" for folder in reversed(folders)))  # BTCUSDT/1m/2024.csv
    symbol = next((found for part in named if (found := symbol_of(part))), "")
    frame = next((found for part in named[:3] if (found := timeframe_of(part))), "")
    return Named(symbol, frame, label=_stem(name))


def _holds(what: str) -> str:
    return f"holds {what}, not candles" + (" of trades" if what.endswith(("prices", "index")) else "")


def _stem(name: str) -> str:
    ending = next((end for end in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def resolved(named: Named, symbols: str | Mapping[str, str] | None) -> Named:
    """Return ``named`` with the symbol that the caller gives: for every file, or by the market's name in the files."""
    if symbols is None:
        return named
    symbol = symbols if isinstance(symbols, str) else symbols.get(named.label, named.symbol)
    return replace(named, symbol=symbol)


def plain_text(path: str) -> str:
    """Return a path for JSON, which must be text: bytes of a name that are none come escaped."""
    return path.encode("utf-8", "backslashreplace").decode()


def freqtrade_name(symbol: str, timeframe: str) -> str:
    """Return the path, below a folder of one exchange, at which freqtrade looks for a series (feather)."""
    frame = timeframe.replace("M", "Mo")
    pair = re.sub(r"[/:. @$+]", "_", symbol)
    return f"futures/{pair}-{frame}-futures.feather" if ":" in symbol else f"{pair}-{frame}.feather"


def binance_id(symbol: str) -> tuple[str, str]:
    """
    Return Binance's name of a market, and the folder of its kind: ``("BTCUSD_PERP", "futures/cm")``.

    Raises
    ------
    UnknownName : an option, or no unified symbol.
    """
    match = re.fullmatch(r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+))?(?:-([0-9]{6}))?", symbol)
    if match is None or (match[4] and not match[3]):
        raise UnknownName("symbol", symbol, ("BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"), where="Binance's layout")
    base, quote, settle, expiry = match.groups()
    if not settle:
        return f"{base}{quote}", "spot"
    if settle == base:
        return f"{base}{quote}_{expiry or 'PERP'}", "futures/cm"
    return f"{base}{quote}" + (f"_{expiry}" if expiry else ""), "futures/um"


def binance_folder(symbol: str, timeframe: str) -> tuple[str, str]:
    """Return the folder in which Binance keeps the months of a series, and what their names begin with."""
    label, kind = binance_id(symbol)
    length = timeframe.replace("M", "mo")
    return f"{kind}/monthly/klines/{label}/{length}", f"{label}-{length}"

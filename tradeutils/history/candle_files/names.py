"""What the name of a candle file says: its symbol, its timeframe, and whether it is one."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Final, NamedTuple

from tradeutils import timeframe as _timeframe
from tradeutils.errors import CandleFileError, UsageError, nearest

__all__ = ["SUFFIXES", "CandleSource", "discover", "symbol_of", "timeframe_of"]

SUFFIXES: Final = (
    ".csv", ".csv.gz", ".json", ".json.gz", ".feather", ".arrow", ".ipc", ".parquet", ".zip",
)  # fmt: skip
"""The endings that candle files have."""

# Longest first, so that BTCFDUSD is BTC/FDUSD and not BTCFD/USD.
_QUOTES: Final = tuple(
    sorted(
        (
            "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USDP", "USDS", "DAI", "PAX", "USD", "EUR", "GBP", "JPY", "AUD",
            "CAD", "CHF", "TRY", "BRL", "RUB", "UAH", "NGN", "ZAR", "PLN", "KRW", "IDR", "IDRT", "BIDR", "VAI", "MXN",
            "ARS", "COP", "CZK", "RON", "BTC", "XBT", "ETH", "BNB", "TRX", "XRP", "DOGE", "DOT", "SOL",
        ),
        key=len,
        reverse=True,
    )
)  # fmt: skip
_UNITS: Final = {
    "s": "s", "sec": "s", "m": "m", "min": "m", "t": "m", "h": "h", "hour": "h", "d": "d", "day": "d",
    "w": "w", "week": "w", "mo": "M", "month": "M",
}  # fmt: skip
_PERPETUAL: Final = frozenset({"SWAP", "PERP", "FUTURES"})
_TIMEFRAME: Final = re.compile(r"([0-9]{1,4})([A-Za-z]{1,5})")
_PARTS: Final = re.compile(r"[^A-Za-z0-9]+")


class CandleSource(NamedTuple):
    """A candle file as its name describes it; ``symbol`` and ``timeframe`` are empty where the name does not say."""

    path: pathlib.Path
    symbol: str
    timeframe: str


def discover(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[CandleSource]:
    """
    Return the candle files of a folder, sorted by path, judged by their names alone.

    Parameters
    ----------
    folder : path
        Where to look; hidden files are passed over.
    recursive : bool
        Look into the folders below as well.

    Returns
    -------
    list of CandleSource : (path, symbol, timeframe)
        Every file that ends in one of `SUFFIXES`. No file is opened: ``timeframe`` is empty where the name
        does not carry one, and `read_candles` infers it from the rows.

    Raises
    ------
    CandleFileError : no such folder (the nearest names beside it are given), or a file.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        if root.exists():
            raise CandleFileError(str(root), "is a file; give the folder it lies in, or read it with read_candles")
        raise CandleFileError(str(root), "no such folder" + near(root))
    found = (path for path in (root.rglob("*") if recursive else root.iterdir()) if is_candle_file(path))
    return [CandleSource(path, symbol_of(path), timeframe_of(path)) for path in sorted(found)]


def is_candle_file(path: pathlib.Path) -> bool:
    """Tell whether a path is a visible file with one of `SUFFIXES`."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()


def symbol_of(path: str | os.PathLike[str]) -> str:
    """
    Return the unified symbol that a file name carries, or ``""``.

    ``BTCUSDT.1min.csv.gz`` is BTC/USDT, ``ADA_BTC-5m.feather`` ADA/BTC, ``BTC_USDT_USDT-1h-futures.feather``
    and ``BTC-USDT-SWAP.csv`` BTC/USDT:USDT. Pairs written as one word are split by the quotes that venues use.
    """
    parts = [part.upper() for part in _parts(path)]
    # From the right: what stands before a pair (BINANCE_BTC_USDT) is the venue, what stands after it its details.
    for at in reversed(range(len(parts) - 1)):
        base, quote, rest = parts[at], parts[at + 1], parts[at + 2 :]
        if quote in _QUOTES and base != quote and _is_asset(base):
            settled = bool(rest) and (rest[0] == quote or rest[0] in _PERPETUAL)
            return f"{base}/{quote}:{quote}" if settled else f"{base}/{quote}"
    for part in parts:
        quote = next((q for q in _QUOTES if part.endswith(q) and len(part) > len(q)), "")
        if quote and _is_asset(part):
            return f"{part.removesuffix(quote)}/{quote}"
    return ""


def timeframe_of(path: str | os.PathLike[str]) -> str:
    """Return the timeframe that a file name carries (``"5m"`` for ``5m``, ``5min`` or ``5T``), or ``""``."""
    return next((name for part in _parts(path) if (name := _as_timeframe(part))), "")


def _as_timeframe(part: str) -> str:
    match = _TIMEFRAME.fullmatch(part)
    if match is None or not int(match[1]):
        return ""
    unit = "M" if match[2] == "M" else _UNITS.get(match[2].lower(), "")
    if not unit:
        return ""
    frame = _timeframe.parse(f"{int(match[1])}{unit}")
    return frame.name if frame.ms is None else name_of_step(frame.ms) or frame.name


def name_of_step(step: int) -> str:
    """Return the timeframe of ``step`` milliseconds in its largest unit (``"1d"``, not ``"24h"``), or ``""``."""
    for unit, length in (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if step >= length and step % length == 0 and step // length < 10_000:
            return f"{step // length}{unit}"
    return ""


def _parts(path: str | os.PathLike[str]) -> list[str]:
    name = pathlib.Path(path).name
    ending = next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)), "")
    return [part for part in _PARTS.split(name[: len(name) - len(ending)]) if part]


def _is_asset(part: str) -> bool:
    return not part.isdigit() and not _as_timeframe(part)


def near(path: pathlib.Path) -> str:
    """Return ``"; did you mean ...?"`` with the names beside ``path`` that look most like it, or nothing."""
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"; nor is there a folder {path.parent}"
    close = nearest(path.name, beside)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def checked_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return the path of an existing regular file, or raise `CandleFileError` saying what stands there."""
    try:
        file = pathlib.Path(path)
    except TypeError as error:
        raise UsageError(f"path was {path!r}; give the path of a candle file") from error
    try:
        if file.is_file():
            return file
        if file.is_dir():
            raise CandleFileError(str(file), "is a folder; read_candles takes one file: discover(folder) lists them")
        exists = file.exists()
    except (OSError, ValueError) as error:  # a name too long, or one with a null byte
        raise CandleFileError(str(file), f"cannot be a file name: {error}") from error
    if exists:
        raise CandleFileError(str(file), "is not a regular file")
    raise CandleFileError(str(file), "no such file" + near(file))

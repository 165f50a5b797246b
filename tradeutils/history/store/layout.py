"""
Where things lie: which folder a series has, which file a candle, and how names become folders and come back.

::

    candles/_history.json                                           the format, one number
    candles/exchange=binance/market=spot/timeframe=1m/symbol=BTC%2FUSDT/
        2024-01.parquet  2024-02.parquet                            sealed candles: months to 1h, years above
        _journal  _asked  _quarantine  _lock                        what is not sealed yet, and what is known besides
        _name                                                       only where the name was too long for a folder

Names that begin with ``_`` or ``.`` are no data to Spark and pyarrow, and no ``*.parquet`` to DuckDB and Polars.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import HistoryError, UsageError
from tradeutils.history.store.partitions import refused, sync_folder
from tradeutils.timeframe import Timeframe, Times

__all__ = [
    "FORMAT",
    "FORMAT_FILE",
    "NAME_FILE",
    "Partition",
    "SeriesKey",
    "check_format",
    "folder_of",
    "keys_in",
    "make_folder",
    "market_of",
    "nameless_in",
    "partition_at",
    "partition_indices",
    "partitions_in",
    "put_file",
    "write_format",
]

_NUMBERS: Final = itertools.count()

FORMAT: Final = 1
FORMAT_FILE: Final = "_history.json"  # a name that pyarrow passes over when it is handed the whole folder
NAME_FILE: Final = "_name"

_LEVELS: Final = ("exchange", "symbol", "timeframe")
_HOUR_MS: Final = 3_600_000
_LONGEST: Final = 200  # characters of a folder's value: file systems take 255 with the key, and a hash must fit
_CUT_CODE: Final = re.compile(r"%[0-9A-F]?\Z")
_PARTITION: Final = re.compile(r"(\d{4})(?:-(\d{2}))?\.parquet")
# Case: "1m" and "1M", or "kPEPE" and "KPEPE", would share a folder on a file system that ignores it. So each level
# keeps the case that its names usually have, and letters of the other case are encoded.
_UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_MARKETS: Final = frozenset({"spot", "swap", "future", "option"})


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """One series: ``exchange`` (``"binance"``), ``symbol`` (``"BTC/USDT"``), ``timeframe`` (``"1m"``)."""

    exchange: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"

    @property
    def market(self) -> str:
        """What is traded, by the unified symbol: ``"spot"``, ``"swap"``, ``"future"`` or ``"option"``."""
        return market_of(self.symbol)

    @property
    def frame(self) -> Timeframe:
        """The timeframe, for arithmetic."""
        return _timeframe.parse(self.timeframe)


def market_of(symbol: str) -> str:
    """Return the market that a unified symbol names: ``BTC/USDT:USDT-250328-100000-C`` is an option."""
    _, colon, settle = symbol.partition(":")
    if not colon:
        return "spot"
    parts = settle.split("-")
    if len(parts) == 1:
        return "swap"
    return "option" if len(parts) >= 4 and parts[-1] in {"C", "P"} else "future"


def folder_of(root: pathlib.Path, key: SeriesKey) -> pathlib.Path:
    """Return the folder of a series; two series never share one, and none lies outside ``root``."""
    exchange, symbol = _encoded("exchange", key.exchange, _LOWER), _encoded("symbol", key.symbol, _UPPER)
    timeframe = _encoded("timeframe", key.timeframe, _LOWER)
    path = f"exchange={exchange}/market={key.market}/timeframe={timeframe}/symbol={symbol}"
    return root / path


def _encoded(level: str, name: str, safe: frozenset[str]) -> str:
    """Return a name as the value of a folder: ASCII, percent-encoded, short enough, and no other name's."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"{level} was {name!r}; write a name")
    try:
        text = name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{level} was {name!r:.80}, which holds half a character; write whole ones") from error
    value = "".join(chr(byte) if chr(byte) in safe else f"%{byte:02X}" for byte in text)
    if value.endswith("."):  # Windows drops a dot at the end
        value = f"{value[:-1]}%2E"
    if len(value) <= _LONGEST:
        return value
    head = _CUT_CODE.sub("", value[: _LONGEST - 33])
    return f"{head}~{hashlib.sha256(text).hexdigest()[:32].upper()}"  # no name holds a bare "~"


def _decoded(value: str) -> str | None:
    """Return the name of a folder's value; None where it was cut, or cannot be read."""
    if "~" in value:
        return None
    try:
        return urllib.parse.unquote(value, errors="strict")
    except UnicodeDecodeError:
        return None


def keys_in(root: pathlib.Path) -> Iterator[SeriesKey]:
    """Yield the series that have a folder, in no order; folders that we would have named otherwise are not ours."""
    return filter(None, (_key_of(root, folder) for folder in _folders(root)))


def nameless_in(root: pathlib.Path) -> list[tuple[SeriesKey, pathlib.Path]]:
    """
    Return the folders of which only their file could say what series they are, and it does not.

    Each with what its path tells; the symbol is as it stands there, cut.
    """
    found = []
    for folder in _folders(root):
        values = _values_of(root, folder)
        if "~" in "".join(values.values()) and _key_of(root, folder) is None:
            told = [_decoded(values[level]) or values[level] for level in _LEVELS]
            found.append((SeriesKey(*told), folder))
    return sorted(found)


def _folders(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for exchange in _values(root, "exchange"):
        for market in _values(exchange, "market"):
            for timeframe in _values(market, "timeframe"):
                yield from _values(timeframe, "symbol")


def _values(folder: pathlib.Path, level: str) -> list[pathlib.Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if entry.name.startswith(f"{level}=") and _leads(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise HistoryError(f"{folder} could not be listed: {error.strerror}") from error


def _leads(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link that ends at one."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself leads nowhere
            return False
        raise


def _values_of(root: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    return dict(part.split("=", 1) for part in folder.relative_to(root).parts)


def _key_of(root: pathlib.Path, folder: pathlib.Path) -> SeriesKey | None:
    values = _values_of(root, folder)
    names = [_decoded(values[level]) for level in _LEVELS]
    try:
        if None in names:
            told = json.loads((folder / NAME_FILE).read_bytes())
            names = [told[level] for level in _LEVELS]
        key = SeriesKey(*names)  # type: ignore[arg-type]  # checked by the folder it must have
        return key if folder_of(root, key) == folder and _timeframe.parse(key.timeframe).name == key.timeframe else None
    except (OSError, ValueError, KeyError, TypeError):  # no name is kept, or it is that of another folder
        return None


def make_folder(root: pathlib.Path, key: SeriesKey) -> pathlib.Path:
    """Make the folder of a series, and have the disk know of it."""
    folder = folder_of(root, key)
    if folder.is_dir() and ("~" not in str(folder.relative_to(root)) or _key_of(root, folder) == key):
        return folder
    missing = [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if "~" in str(folder.relative_to(root)):
            told = {"exchange": key.exchange, "symbol": key.symbol, "timeframe": key.timeframe}
            put_file(folder / NAME_FILE, json.dumps(told).encode())
        for made in missing:
            sync_folder(made)
    except OSError as error:
        raise refused(folder, error) from error
    return folder


def put_file(path: pathlib.Path, data: bytes) -> None:
    """Put bytes into a small file in place of what it held; on return they are on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_NUMBERS)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        try:
            written = 0
            while written < len(data):  # a disk that fills up takes a part, and refuses the next
                written += os.write(handle, data[written:])
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def check_format(root: pathlib.Path) -> bool:
    """
    Tell whether a folder is a history already.

    Raises
    ------
    HistoryError : it is one of a newer format, or the file that says so cannot be read.
    """
    path = root / FORMAT_FILE
    try:
        told = json.loads(path.read_bytes())
        version = told["format"]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise HistoryError(f"{path} could not be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HistoryError(f'{path} does not say a format; ours is {{"format": {FORMAT}}}') from error
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= FORMAT:
        raise HistoryError(
            f"{root} is a history of format {version!r:.40}, and this tradeutils reads {FORMAT}: upgrade tradeutils"
        )
    return True


def write_format(root: pathlib.Path) -> None:
    """Make ``root`` a history."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        put_file(root / FORMAT_FILE, json.dumps({"format": FORMAT, "written_by": "tradeutils"}).encode())
    except OSError as error:
        raise refused(root, error) from error


class Partition(NamedTuple):
    """A month or year of a series: candles that open in ``[since, until)`` lie in the file ``name``."""

    since: int
    until: int
    name: str


def _unit(frame: Timeframe) -> str:
    return "M" if frame.ms is not None and frame.ms <= _HOUR_MS else "Y"


def partition_indices(time: Times, frame: Timeframe) -> npt.NDArray[np.int64]:
    """Return which partition each candle lies in, as months or years since 1970: rising as times do."""
    return time.astype("datetime64[ms]").astype(f"datetime64[{_unit(frame)}]").astype(np.int64)


def partition_at(index: int, frame: Timeframe) -> Partition:
    """Return the partition of an index."""
    unit = _unit(frame)
    since, until = np.array([index, index + 1], dtype=f"datetime64[{unit}]")
    bounds = [int(edge.astype("datetime64[ms]").astype(np.int64)) for edge in (since, until)]
    return Partition(bounds[0], bounds[1], f"{since}.parquet")


def partitions_in(
    folder: pathlib.Path, frame: Timeframe, since: int | None = None, until: int | None = None
) -> list[Partition]:
    """Return the partitions that there are and that can hold candles of ``[since, until)``, oldest first."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  # a tenth of the time of Path.iterdir
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise HistoryError(f"{folder} could not be listed: {error.strerror}") from error
    found = []
    for name in names:
        index = _index_of(name, frame)
        if index is not None:
            part = partition_at(index, frame)
            if (until is None or part.since < until) and (since is None or part.until > since):
                found.append(part)
    return sorted(found)


def _index_of(name: str, frame: Timeframe) -> int | None:
    """Return the index of the partition that a file is, None where it is none of this timeframe."""
    match = _PARTITION.fullmatch(name)
    if match is None or (match[2] is None) != (_unit(frame) == "Y"):
        return None
    if match[2] is None:
        return int(match[1]) - 1970
    return (int(match[1]) - 1970) * 12 + int(match[2]) - 1 if 1 <= int(match[2]) <= 12 else None

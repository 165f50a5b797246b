"""
The tail of a series that is not sealed into Parquet yet: an append-only file of checked records.

A header of 16 bytes (``tuj1``, the generation, a CRC32), then records of 52: the time as int64, open, high, low, close
and volume as float64, all little-endian, and the CRC32 of those 48 bytes. In the records of one write all but the last
have their CRC inverted in a fixed pattern, so the last one says that the write is whole. What follows the last record
that says so was never acknowledged, or is being written just now: readers leave it out, the next writer cuts it off.
What lies before it was acknowledged; if a record there fails its CRC, that is damage. So is a whole record after it
that fails both ways: a write that was cut short is right as far as it goes, or ends in zeros.

One `append` is one write and one fdatasync, however many rows. The file grows with each: written ahead with zeros it
would take 0.10 instead of 0.13 ms, but then a power cut could keep the end of a write without its beginning, and that
could not be told from damage; a file that grows is cut at its end.

A journal is never changed in place but for that cut: sealing puts a new one, of the next generation, in its place.
Readers need no lock for that reason.
"""

from __future__ import annotations

import logging
import os
import pathlib
import struct
import time as _clock
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import HistoryCorrupt, HistoryError
from tradeutils.history.store.layout import put_file
from tradeutils.history.store.locks import file_at
from tradeutils.history.store.partitions import refused
from tradeutils.history.store.rows import FIELDS, Rows

__all__ = [
    "JOURNAL",
    "RECORD_BYTES",
    "Identity",
    "Journal",
    "View",
    "identify",
    "put_journal",
    "read_journal",
    "sound_rows",
]

_LOG: Final = logging.getLogger(__name__)

JOURNAL: Final = "_journal"
RECORD_BYTES: Final = 52
HEADER_BYTES: Final = 16

_HEADER: Final = struct.Struct("<4sQI")
_MAGIC: Final = b"tuj1"
_BODY_BYTES: Final = 48
_RECORD: Final = np.dtype([("time", "<i8"), *((name, "<f8") for name in FIELDS[1:]), ("crc", "<u4")])
_MORE: Final = 0x5A5AA5A5  # a record that is not the last of its write has its CRC xored with this
_LOOKS: Final = 3  # damage is believed when it is still there at the third look: a torn tail may be cut meanwhile
_PAUSE_S: Final = 0.002
_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in its place would have us wait


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file a journal is: another one after each seal, even where the system gives its number again."""

    device: int
    inode: int
    generation: int


@dataclass(frozen=True, slots=True)
class View:
    """
    What a journal held when it was read.

    Attributes
    ----------
    rows : Rows
        Of two records of one time the later.
    identity : Identity or None
        None where there is no journal, or an empty file.
    records : int
        Acknowledged records, doubled times included.
    size : int
        Bytes up to the end of the last of them.
    torn : int
        Bytes after those: a write that was never acknowledged, or is under way.
    """

    rows: Rows
    identity: Identity | None
    records: int
    size: int
    torn: int


NOTHING: Final = View(Rows.empty(), None, 0, 0, 0)


def identify(path: pathlib.Path) -> Identity | None:
    """Return which file the journal at ``path`` is; None where there is none, or one without a sound header."""
    try:
        handle = os.open(path, _READING)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HistoryError(f"{path} could not be read: {error.strerror}") from error
    try:
        return _identity(path, handle, os.pread(handle, HEADER_BYTES, 0))
    except HistoryCorrupt:
        return None
    finally:
        os.close(handle)


def _identity(path: pathlib.Path, handle: int, header: bytes) -> Identity | None:
    if not header:
        return None
    if len(header) < HEADER_BYTES:
        raise HistoryCorrupt(f"{path} ends in its header, after {len(header)} bytes")
    magic, generation, crc = _HEADER.unpack(header)
    if magic != _MAGIC or crc != zlib.crc32(header[: HEADER_BYTES - 4]):
        raise HistoryCorrupt(f"{path} is no journal, or its header (bytes 0 to {HEADER_BYTES}) is damaged")
    about = os.fstat(handle)
    return Identity(about.st_dev, about.st_ino, generation)


def read_journal(path: pathlib.Path) -> View:
    """
    Return what the journal at ``path`` holds; an empty or missing one holds nothing.

    Damage is an error and not a gap: a record that is left out would bring back the older candle that it replaced, or
    leave a hole that nobody asked the venue to fill.

    Raises
    ------
    HistoryCorrupt : a record that was acknowledged fails its checksum; the file and the byte are named.
    """
    for _ in range(_LOOKS - 1):
        try:
            return _looked(path)
        except HistoryCorrupt:
            _clock.sleep(_PAUSE_S)
    return _looked(path)


def _looked(path: pathlib.Path) -> View:
    """Read it once."""
    try:
        return _read(path)
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        raise HistoryError(f"{path} could not be read: {error.strerror}") from error


def _read(path: pathlib.Path) -> View:
    handle = os.open(path, _READING)
    try:
        size = os.fstat(handle).st_size
        data = os.pread(handle, size, 0)
        identity = _identity(path, handle, data[:HEADER_BYTES])
    finally:
        os.close(handle)
    if identity is None:
        return NOTHING
    body = memoryview(data)[HEADER_BYTES:]
    count = _acknowledged(path, body)
    end = HEADER_BYTES + count * RECORD_BYTES
    rows = _rows(np.frombuffer(body, dtype=_RECORD, count=count))
    return View(rows, identity, count, end, len(data) - end)


def _acknowledged(path: pathlib.Path, body: memoryview) -> int:
    """Return how many records were acknowledged; raise where one of them is damaged."""
    whole = len(body) // RECORD_BYTES
    stored = np.frombuffer(body, dtype=_RECORD, count=whole)["crc"]
    difference = stored ^ _true_crcs(body, whole)
    ends = np.flatnonzero(difference == 0)
    count = int(ends[-1]) + 1 if len(ends) else 0
    bad = np.flatnonzero((difference != 0) & (difference != _MORE))
    if len(bad) and (bad[0] < count or not _ends_in_zeros(body, int(bad[0]))):
        at = HEADER_BYTES + int(bad[0]) * RECORD_BYTES
        raise HistoryCorrupt(
            f"{path} is damaged at byte {at}: record {bad[0]} of {whole} fails its checksum; "
            "take it out with history.salvage and fetch those candles again"
        )
    return count


def _ends_in_zeros(body: memoryview, record: int) -> bool:
    """Tell whether all is zero from the last byte of a record on: the length was on the disk before the bytes were."""
    return not any(body[(record + 1) * RECORD_BYTES - 1 :])


def _true_crcs(body: memoryview, count: int) -> npt.NDArray[np.uint32]:
    """Return what the checksums of the first records should be."""
    # One call of zlib a record: 0.7 ms for a full journal of 4,096. Tables in numpy took 0.5 ms and twenty lines.
    starts = range(0, count * RECORD_BYTES, RECORD_BYTES)
    return np.array([zlib.crc32(body[at : at + _BODY_BYTES]) for at in starts], dtype=np.uint32)


def _rows(records: npt.NDArray[np.void]) -> Rows:
    """Return records as rising columns, of two with one time the later."""
    time = records["time"]
    if len(time) > 1 and not (time[1:] > time[:-1]).all():
        order = np.argsort(time, kind="stable")
        ordered = time[order]
        records = records[order[np.r_[ordered[1:] != ordered[:-1], True]]]
    return Rows(
        np.ascontiguousarray(records["time"], dtype=np.int64),
        *(np.ascontiguousarray(records[name], dtype=np.float64) for name in FIELDS[1:]),
    )


def _records(rows: Rows) -> bytearray:
    """Return rows as the records of one write."""
    table = np.empty(len(rows), dtype=_RECORD)
    for name, values in zip(FIELDS, rows.columns(), strict=True):
        table[name] = values
    data = bytearray(table.tobytes())
    view = memoryview(data)
    last = len(data) - RECORD_BYTES
    for at in range(0, len(data), RECORD_BYTES):
        crc = zlib.crc32(view[at : at + _BODY_BYTES])
        struct.pack_into("<I", data, at + _BODY_BYTES, crc if at == last else crc ^ _MORE)
    return data


def sound_rows(path: pathlib.Path) -> tuple[Rows, int]:
    """Return the rows of a damaged journal that pass their checksums, and how many records do not."""
    body = memoryview(path.read_bytes())[HEADER_BYTES:]
    whole = len(body) // RECORD_BYTES
    records = np.frombuffer(body, dtype=_RECORD, count=whole)
    difference = records["crc"] ^ _true_crcs(body, whole)
    sound = (difference == 0) | (difference == _MORE)
    return _rows(records[sound]), whole - int(sound.sum())


def put_journal(path: pathlib.Path, rows: Rows, generation: int) -> None:
    """Put a journal of some rows in place of the one that is there; on return it is on the disk."""
    head = _HEADER.pack(_MAGIC, generation, 0)[: HEADER_BYTES - 4]
    try:
        put_file(path, head + struct.pack("<I", zlib.crc32(head)) + _records(rows))
    except OSError as error:
        raise refused(path, error) from error


class Journal:
    """
    The journal of a series that this process writes; whoever has it holds the lock of the series.

    Parameters
    ----------
    path : Path
        Made where there is none, or an empty one; a tail that was never acknowledged is cut off.

    Attributes
    ----------
    identity : Identity
    records : int
        Acknowledged records, doubled times included.
    size : int
        Bytes up to the end of the last of them.

    Raises
    ------
    HistoryCorrupt : what is there is damaged: nothing is written over it.
    HistoryFull, HistoryError : it cannot be written.
    """

    __slots__ = ("_handle", "_name", "identity", "path", "records", "size")

    identity: Identity

    def __init__(self, path: pathlib.Path) -> None:
        self._handle = -1
        self.path = path
        self._name = os.fspath(path)
        view = read_journal(path)
        if view.identity is None:
            self._put(1)
        else:
            self._open(view, view.identity)

    def _open(self, view: View, identity: Identity) -> None:
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            if view.torn:
                _LOG.warning("%s: %d bytes of a write that was never acknowledged are cut off", self.path, view.torn)
                os.ftruncate(self._handle, view.size)
        except OSError as error:
            self.close()
            raise refused(self.path, error) from error
        self.identity, self.records, self.size = identity, view.records, view.size

    def __del__(self) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether it can be appended to; not after `close`, nor after a failure that left it unknown what is there."""
        return self._handle >= 0

    def is_there(self) -> bool:
        """Tell whether the file still has its name: what is appended to one that was moved or deleted would be lost."""
        return file_at(self._name) == (self.identity.device, self.identity.inode)

    def reopen(self) -> bool:
        """Open it again after `close`, if nobody else has written meanwhile; tell whether."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        if os.fstat(handle).st_size == self.size and identify(self.path) == self.identity:
            self._handle = handle
            return True
        os.close(handle)
        return False

    def append(self, rows: Rows) -> None:
        """
        Write rows; on return they are on the disk. Cost: one write and one fdatasync.

        Raises
        ------
        HistoryFull, HistoryError : they could not be written, and none of them was.
        """
        data = _records(rows)
        try:
            written = os.pwrite(self._handle, data, self.size)
            while written < len(data):  # the disk filled up on the way: the next try says so
                written += os.pwrite(self._handle, memoryview(data)[written:], self.size + written)
            os.fdatasync(self._handle)
            self.size += len(data)
            self.records += len(rows)
        except OSError as error:
            self._take_back()
            raise refused(self.path, error) from error
        except BaseException:  # Ctrl-C: what is not acknowledged must not stay for the next write to fall short of
            self._take_back()
            raise

    def _take_back(self) -> None:
        """Cut off what a failed append left; where even that fails, close, so that the next open looks at the file."""
        try:
            os.ftruncate(self._handle, self.size)
        except OSError:
            self.close()

    def restart(self) -> None:
        """Begin an empty journal of the next generation: what this one held is in Parquet now."""
        self._put(self.identity.generation + 1)

    def _put(self, generation: int) -> None:
        self.close()  # first: whatever interrupts this, nothing is appended to a file that has lost its name
        put_journal(self.path, Rows.empty(), generation)
        view = read_journal(self.path)
        if view.identity is None:
            raise HistoryError(f"{self.path} was taken away while it was written")
        self._open(view, view.identity)

    def close(self) -> None:
        """Give the handle back; what was appended stays."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

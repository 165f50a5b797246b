"""Partitions: what is written is read back to the bit, other tools read it too, and no damage goes unseen."""

from __future__ import annotations

import contextlib
import gzip
import os
import pathlib
import stat
import struct
import subprocess
import sys
import zlib

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradeutils.errors import HistoryCorrupt, HistoryError, HistoryFull, UsageError
from tradeutils.history.hot import HotPartitions, hot_bytes
from tradeutils.history.store import partition_file, partitions
from tradeutils.history.store.partitions import (
    check_partition,
    load_partition,
    read_partition,
    refused,
    write_partition,
)
from tradeutils.history.store.rows import FIELDS, Rows

_T0 = 1_704_067_200_000  # 2024-01-01
_MINUTE = 60_000


def _rows(count: int, first: int = 0, mark: float = 0.0) -> Rows:
    """Return minutes with prices of one decimal, as an exchange has them."""
    walk = np.round(np.cumsum(np.sin(np.arange(first, first + count))) + 42_000, 1) + mark
    time = _T0 + _MINUTE * np.arange(first, first + count, dtype=np.int64)
    return Rows(time, walk, walk + 1.5, walk - 1.5, walk + 0.1, np.round(walk % 7, 3))


def _assert_same(found: Rows, expected: Rows) -> None:
    for name in FIELDS:
        assert np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=name != "time"), name
        assert getattr(found, name).dtype == getattr(expected, name).dtype


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of 100 rows, so that small files have many."""
    monkeypatch.setattr(partitions, "GROUP_ROWS", 100)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "2024-01.parquet"


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("count", [1, 2, 11_160, 11_161, 40_000])
def test_rows_come_back_to_the_bit(path: pathlib.Path, count: int, dense: bool) -> None:
    """Of one group of rows and of several; the size that is told is that of the file."""
    rows = _rows(count)
    assert write_partition(path, rows, dense=dense) == path.stat().st_size
    _assert_same(read_partition(path), rows)
    _assert_same(check_partition(path), rows)
    assert not read_partition(path).close.flags.writeable


def _encodings(path: pathlib.Path, rows: Rows, *, dense: bool) -> list[str]:
    """Write rows; return how the closes and the volumes lie in the file, each of which is then read back."""
    write_partition(path, rows, dense=dense)
    _assert_same(check_partition(path), rows)
    group = pq.ParquetFile(path).metadata.row_group(0)
    told = [set(group.column(at).encodings) for at in (4, 5)]
    names = ("RLE_DICTIONARY", "BYTE_STREAM_SPLIT", "PLAIN")
    return [next(name for name in names if name in found) for found in told]


@pytest.mark.parametrize("dense", [False, True])
def test_each_column_has_the_encoding_that_suits_it(path: pathlib.Path, dense: bool) -> None:
    """Few numbers a dictionary, numbers that share bytes split into them, numbers that come again plain."""
    random = np.random.default_rng(7)
    time = _T0 + _MINUTE * np.arange(6_000, dtype=np.int64)
    few = random.integers(1_000, 1_100, 6_000) / 100
    near = 40_000.0 + random.integers(0, 2**14, 6_000)  # whole numbers: the low bytes are all zero
    again = random.choice(random.random(3_000), 6_000)
    assert _encodings(path, Rows(time, near, near, near, near, few), dense=dense) == [
        "BYTE_STREAM_SPLIT",
        "RLE_DICTIONARY",
    ]
    assert _encodings(path, Rows(time, few, few, few, few, again), dense=dense) == ["RLE_DICTIONARY", "PLAIN"]


def test_numbers_of_every_kind_come_back_to_the_bit(path: pathlib.Path) -> None:
    """Unknown volumes, zeros of both signs, the smallest and the largest numbers, times before 1970."""
    odd = np.array([np.nan, 0.0, -0.0, 5e-324, 1.7976931348623157e308, np.inf, 0.1])
    time = np.array([-(2**60), -1, 0, 1, 2, 2**60, 2**61], dtype=np.int64)
    write_partition(path, Rows(time, odd, odd[::-1].copy(), odd, odd, odd))
    found = read_partition(path)
    assert found.open.tobytes() == odd.tobytes()
    assert found.high.tobytes() == odd[::-1].tobytes()
    assert np.array_equal(found.time, time)


def test_dense_files_are_smaller_and_hold_the_same(tmp_path: pathlib.Path) -> None:
    """The size is what the time is spent for."""
    rows = _rows(20_000)
    ticks = np.round(42_000 + np.cumsum(np.random.default_rng(5).normal(0, 20, 20_000)), 1)
    rows = Rows(rows.time, ticks, ticks + 1, ticks - 1, ticks, rows.volume)
    quick = write_partition(tmp_path / "quick.parquet", rows)
    dense = write_partition(tmp_path / "dense.parquet", rows, dense=True)
    assert dense < quick
    _assert_same(read_partition(tmp_path / "dense.parquet"), read_partition(tmp_path / "quick.parquet"))


@pytest.mark.recordings
def test_a_month_of_real_minutes_takes_13_bytes_a_candle(path: pathlib.Path, recordings: pathlib.Path) -> None:
    """BTC, January 2024, once its month is over; two more while it grows."""
    text = gzip.decompress((recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").read_bytes()).decode()
    lines = [line.split(",") for line in text.splitlines()[1:44_641]]
    time = np.array([line[0] for line in lines], dtype="datetime64[ms]").astype(np.int64)
    prices = np.array([line[1:6] for line in lines], dtype=np.float64)
    rows = Rows(time, *(np.ascontiguousarray(prices[:, at]) for at in range(5)))
    assert write_partition(path, rows, dense=True) <= 13 * len(rows)
    _assert_same(check_partition(path), rows)
    assert write_partition(path, rows) <= 15 * len(rows)


def test_ranges_are_read_as_cut_from_the_whole(path: pathlib.Path, small_groups: None) -> None:
    """Since is inclusive, until exclusive, and the newest of a range are its newest."""
    rows = _rows(450)
    write_partition(path, rows)
    edges = [None, *(_T0 + _MINUTE * at for at in (-3, 0, 1, 99, 100, 101, 250, 449, 450, 500))]
    for since in edges:
        for until in edges:
            whole = rows.between(since, until)
            _assert_same(read_partition(path, since=since, until=until), whole)
            for last in (0, 1, 99, 150, 451):
                _assert_same(read_partition(path, since=since, until=until, last=last), whole.last(last))


def test_only_the_groups_that_are_asked_for_are_touched(
    path: pathlib.Path, small_groups: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large file the other rows are not even read: damage there does not matter, and shows when they are."""
    monkeypatch.setattr(partition_file, "_WHOLE", 0)
    monkeypatch.setattr(partition_file, "_TAIL_BYTES", 64)
    rows = _rows(450)
    write_partition(path, rows)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    _assert_same(read_partition(path, since=_T0 + 100 * _MINUTE), rows.slice(100, 450))
    _assert_same(read_partition(path, last=60), rows.last(60))
    with pytest.raises(HistoryCorrupt, match="rows of group 0 fail their checksum"):
        read_partition(path)


def test_no_flipped_bit_goes_unseen(path: pathlib.Path, small_groups: None) -> None:
    """Wherever it is: in rows, in the headers between them, in checksums or in the end, reading says so."""
    write_partition(path, _rows(201))
    whole = path.read_bytes()
    for at in range(4, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(HistoryCorrupt, match=r"2024-01\.parquet "):
            read_partition(path)
    for at in range(4):  # no reader looks at the first bytes, and a check does
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(HistoryCorrupt, match="does not begin"):
            check_partition(path)


@pytest.mark.parametrize("read", [read_partition, check_partition])
def test_no_cut_goes_unseen(path: pathlib.Path, small_groups: None, read: object) -> None:
    """At every length, and with zeros where the rest was, as a file system leaves it after a crash."""
    write_partition(path, _rows(201))
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        for data in (whole[:length], whole[:length] + bytes(len(whole) - length), whole[length + 1 :]):
            path.write_bytes(data)
            with pytest.raises(HistoryCorrupt):
                read(path)  # type: ignore[operator]
    path.write_bytes(whole + b"x")
    with pytest.raises(HistoryCorrupt):
        read(path)  # type: ignore[operator]


def test_a_file_that_shrinks_while_it_is_read_is_corrupt(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error, not the end of the process, as it would be under a memory map."""
    write_partition(path, _rows(2_000))
    told = os.fstat

    def fstat(handle: int) -> os.stat_result:
        found = told(handle)
        os.truncate(path, found.st_size // 2)
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(HistoryCorrupt, match="cut short while it was read"):
        read_partition(path)


def _foreign(path: pathlib.Path, table: pa.Table, **options: object) -> None:
    """Write a Parquet file that others made, with our checksums, which anybody can compute."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, use_dictionary=False, **options)
    path.write_bytes(partition_file.sealed(memoryview(sink.getvalue())))


def _table(rows: Rows, **changes: pa.Array) -> pa.Table:
    columns = {name: pa.array(getattr(rows, name)) for name in FIELDS}
    columns["time"] = columns["time"].view(partition_file.SCHEMA.field(0).type)
    columns |= changes
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def test_files_of_others_are_refused(path: pathlib.Path) -> None:
    """Whatever wrote them: without our checksums, with other columns, other types, or rows that may be null."""
    rows = _rows(10)
    pq.write_table(_table(rows), path)
    with pytest.raises(HistoryCorrupt, match="import it instead"):
        read_partition(path)
    for table in (
        _table(rows).drop_columns(["volume"]),
        _table(rows, trades=pa.array(rows.volume)),
        _table(rows, time=pa.array(rows.time)),
        _table(rows, close=pa.array(rows.close.astype(np.float32))),
        pa.table({name: _table(rows).column(name) for name in FIELDS}),
    ):
        _foreign(path, table)
        with pytest.raises(HistoryCorrupt, match=r"has the columns .* import it instead"):
            read_partition(path)


def test_files_that_break_the_promises_are_refused(path: pathlib.Path) -> None:
    """Times that do not rise, no rows, no statistics of time: right by their checksums, and no partition."""
    rows = _rows(10)
    backwards = Rows(rows.time[::-1].copy(), *rows.columns()[1:])
    _foreign(path, _table(backwards))
    with pytest.raises(HistoryCorrupt, match="do not rise"):
        read_partition(path)
    _foreign(path, _table(Rows.empty()))
    with pytest.raises(HistoryCorrupt):
        read_partition(path)
    _foreign(path, _table(rows), write_statistics=False)
    with pytest.raises(HistoryCorrupt, match="from when to when"):
        read_partition(path, last=3)
    _foreign(path, _table(rows), row_group_size=4)
    _assert_same(read_partition(path, last=3), rows.last(3))


def _resealed(data: bytes, end: bytes) -> bytes:
    """Return a file of ours with another end, its checksums right."""
    length, _ = struct.unpack("<I4s", data[-8:])
    seal = len(data) - 8 - length - 12
    groups, _, tag = struct.unpack("<II4s", data[seal : seal + 12])
    tail = end + struct.pack("<I4s", len(end), b"PAR1")
    told = zlib.crc32(tail, zlib.crc32(data[seal - 4 * groups : seal]))
    return data[:seal] + struct.pack("<II4s", groups, told, tag) + tail


def _end_of(data: bytes) -> bytes:
    return data[-8 - struct.unpack("<I", data[-8:-4])[0] : -8]


def _varint(number: int) -> bytes:
    """Return a number as Parquet's end has it: zigzag, seven bits a byte."""
    number *= 2
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


@pytest.mark.parametrize("claimed", [10**6, 10**9, 10**12])
def test_hostile_ends_get_no_memory(path: pathlib.Path, claimed: int) -> None:
    """An end that claims a great many rows, with the right checksum, is refused before anything is made for them."""
    count = 10_001
    write_partition(path, _rows(count))
    data = path.read_bytes()
    end = _end_of(data)
    needle = _varint(count)
    assert end.count(needle) >= 8  # the file, its group, and each column
    path.write_bytes(_resealed(data, end.replace(needle, _varint(claimed))))
    code = (
        "import pathlib, resource, sys, pyarrow.parquet\n"
        "from tradeutils.errors import HistoryCorrupt\n"
        "from tradeutils.history.store.partitions import read_partition\n"
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))\n"
        "try: read_partition(pathlib.Path(sys.argv[1]))\n"
        "except HistoryCorrupt as error: print('refused', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("refused"), done.stderr


def test_hostile_ends_never_crash(path: pathlib.Path, small_groups: None) -> None:
    """Any byte of the end changed, and the checksum with it: no more rows than there were, or `HistoryCorrupt`."""
    rows = _rows(201)
    write_partition(path, rows)
    data = path.read_bytes()
    end = _end_of(data)
    for at in range(len(end)):
        for other in (0x00, 0xFF):
            path.write_bytes(_resealed(data, end[:at] + bytes([other]) + end[at + 1 :]))
            with contextlib.suppress(HistoryCorrupt):
                assert len(read_partition(path)) <= len(rows)


def test_reading_imports_no_pandas(path: pathlib.Path) -> None:
    """Which takes 200 ms, and which pyarrow does of its own accord for some of its calls."""
    write_partition(path, _rows(40_000))
    code = (
        "import pathlib, sys\n"
        "from tradeutils.history.store.partitions import read_partition\n"
        "assert len(read_partition(pathlib.Path(sys.argv[1]))) == 40_000\n"
        "print('pandas' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_duckdb_and_polars_read_partitions(tmp_path: pathlib.Path) -> None:
    """Without us, times as moments; what lies before the end of the file is no matter to them."""
    rows = _rows(20_000)
    folder = tmp_path / "symbol=BTC%2FUSDT"
    folder.mkdir()
    write_partition(folder / "2024-01.parquet", rows)
    frame = pl.read_parquet(tmp_path / "**/*.parquet", hive_partitioning=True)
    assert frame.schema["time"] == pl.Datetime("ms", "UTC")
    assert np.array_equal(frame["time"].dt.epoch("ms").to_numpy(), rows.time)
    assert np.array_equal(frame["close"].to_numpy(), rows.close)
    assert frame["symbol"].unique().to_list() == ["BTC/USDT"]
    asked = (
        "select count(*), min(epoch_ms(time)), sum(volume), min(symbol), max(typeof(time)) from read_parquet($files)"
    )
    asked += " where time >= to_timestamp($since)"
    with duckdb.connect() as database:
        files = str(tmp_path / "**/*.parquet")
        found = database.execute(asked, {"files": files, "since": rows.time[15_000] / 1000}).fetchone()
    assert found is not None
    assert (found[0], found[1], found[3]) == (5_000, int(rows.time[15_000]), "BTC/USDT")
    assert found[2] == pytest.approx(rows.volume[15_000:].sum())
    assert found[4] == "TIMESTAMP WITH TIME ZONE"


def test_pages_carry_checksums_that_others_verify(path: pathlib.Path) -> None:
    """Parquet's own, besides ours: pyarrow sees damage where it is asked to."""
    rows = _rows(5_000)
    noise = np.random.default_rng(1).random(5_000)
    write_partition(path, Rows(rows.time, noise, noise, noise, noise, noise))
    data = bytearray(path.read_bytes())
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunk = group.column(4)
    assert (group.column(0).compression, chunk.compression) == ("LZ4", "ZSTD")
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_a_write_replaces_the_file_and_a_reader_keeps_what_it_opened(path: pathlib.Path) -> None:
    """Whoever has the old file open reads it to its end; nothing is left beside the new one."""
    write_partition(path, _rows(100))
    with path.open("rb") as before:
        write_partition(path, _rows(200))
        assert len(pq.read_table(pa.BufferReader(before.read()))) == 100
    assert len(read_partition(path)) == 200
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_no_rows_are_no_file(path: pathlib.Path) -> None:
    """An empty partition is one that is not there."""
    with pytest.raises(UsageError, match="no rows"):
        write_partition(path, Rows.empty())
    assert not path.exists()


def test_a_missing_file_is_told_apart(path: pathlib.Path) -> None:
    """As Python does, so that a reader whose file was just replaced or pruned can look again."""
    with pytest.raises(FileNotFoundError):
        read_partition(path)
    with pytest.raises(FileNotFoundError):
        HotPartitions(10**6).read(path)


def test_what_is_no_file_is_refused(path: pathlib.Path) -> None:
    """A folder, or a pipe, which would have a reader wait for ever."""
    path.mkdir()
    with pytest.raises(HistoryCorrupt):
        read_partition(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(HistoryCorrupt):
        read_partition(path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: pathlib.Path) -> None:
    """And a file in place of it, for reading and for writing."""
    with pytest.raises(HistoryError, match="could not be written"):
        write_partition(tmp_path / "absent" / "2024-01.parquet", _rows(3))
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="could not be read"):
        read_partition(tmp_path / "file" / "2024-01.parquet")
    with pytest.raises(HistoryError, match="could not be read"):
        HotPartitions(10**6).read(tmp_path / "file" / "2024-01.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(HistoryError, match="could not be written"):
        write_partition(tmp_path / "folder.parquet", _rows(3))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder.parquet"]


def test_a_full_disk_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    """The system refuses in the middle of a write: the old rows stand, and nothing half made is left."""
    path = tmp_path / "2024-01.parquet"
    write_partition(path, _rows(100))
    code = (
        "import pathlib, resource, signal, sys\n"
        "import numpy as np\n"
        "from tradeutils.errors import HistoryFull\n"
        "from tradeutils.history.store.partitions import write_partition\n"
        "from tradeutils.history.store.rows import Rows\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "noise = np.random.default_rng(1).random(20_000)\n"
        "rows = Rows(np.arange(20_000), noise, noise, noise, noise, noise)\n"
        "try: write_partition(pathlib.Path(sys.argv[1]), rows)\n"
        "except HistoryFull as error: print('full', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("full"), done.stderr
    assert str(path) in done.stdout
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    _assert_same(check_partition(path), _rows(100))


def test_refusals_of_the_system_say_what_to_do() -> None:
    """Want of room is `HistoryFull`, anything else is not."""
    path = pathlib.Path("x")
    assert isinstance(refused(path, OSError(28, "No space left on device")), HistoryFull)
    assert isinstance(refused(path, OSError(122, "Disk quota exceeded")), HistoryFull)
    assert type(refused(path, PermissionError(13, "Permission denied"))) is HistoryError


def test_hot_partitions_are_read_once(path: pathlib.Path) -> None:
    """The second read has the very arrays of the first; every range is what the file has."""
    rows = _rows(1_000)
    write_partition(path, rows)
    hot = HotPartitions(10**6)
    first = hot.read(path)
    _assert_same(first, rows)
    assert hot.read(path).close is first.close
    assert hot.nbytes == 48_000
    _assert_same(hot.read(path, since=_T0 + 10 * _MINUTE, until=_T0 + 90 * _MINUTE, last=7), rows.slice(83, 90))
    hot.clear()
    assert (hot.files, hot.nbytes) == (0, 0)
    _assert_same(hot.read(path, last=3), rows.last(3))


def test_hot_partitions_are_never_stale(path: pathlib.Path) -> None:
    """A file that was replaced or damaged is read anew, and one that is gone is missed, however warm it was."""
    hot = HotPartitions(10**6)
    for mark in (0.0, 1.0, 2.0):
        rows = _rows(500, mark=mark)
        write_partition(path, rows)
        _assert_same(hot.read(path), rows)
        _assert_same(hot.read(path), rows)
    assert hot.files == 1
    with path.open("r+b") as file:
        file.seek(1_000)
        file.write(b"damage")
    with pytest.raises(HistoryCorrupt):
        hot.read(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        hot.read(path)


def test_hot_partitions_keep_to_their_limit(tmp_path: pathlib.Path) -> None:
    """Those that were not asked for longest go; a file that cannot fit is read as it would be without."""
    paths = [tmp_path / f"2024-{month:02d}.parquet" for month in (1, 2, 3)]
    for at, path in enumerate(paths):
        write_partition(path, _rows(1_000, first=at * 1_000))
    hot = HotPartitions(2 * 48_000)
    for path in (paths[0], paths[1], paths[0], paths[2]):
        hot.read(path)
    assert (hot.files, hot.nbytes) == (2, 96_000)
    kept = hot.read(paths[0])
    assert hot.read(paths[0]).close is kept.close
    tiny = HotPartitions(1_000)
    _assert_same(tiny.read(paths[0], last=5), _rows(1_000).last(5))
    assert tiny.files == 0
    flat = np.ones(1_000)
    write_partition(paths[1], Rows(_rows(1_000).time, flat, flat, flat, flat, flat))
    small = HotPartitions(4 * paths[1].stat().st_size)  # the file is small, and its rows are not
    assert len(small.read(paths[1])) == 1_000
    assert (small.files, small.nbytes) == (0, 0)


def test_hot_partitions_begin_anew_in_a_fork(path: pathlib.Path) -> None:
    """A child may be forked while another thread holds the lock, which nobody there would let go."""
    write_partition(path, _rows(100))
    code = (
        "import os, pathlib, sys\n"
        "from tradeutils.history.hot import HotPartitions\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "hot = HotPartitions(10**6)\n"
        "hot.read(path)\n"
        "hot._lock.acquire()\n"
        "child = os.fork()\n"
        "if not child: os._exit(0 if hot.files == 0 and len(hot.read(path)) == 100 else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(("hot", "expected"), [(None, 0), (False, 0), (0, 0), (4096, 4096)])
def test_hot_says_how_many_bytes(hot: int | bool | None, expected: int) -> None:
    """None and False are none."""
    assert hot_bytes(hot) == expected


def test_hot_true_is_a_share_of_the_memory() -> None:
    """Some of it, not all."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < hot_bytes(True) < memory / 4
    for wrong in (-1, "1 GB", 1.5):
        with pytest.raises(UsageError, match="hot was"):
            hot_bytes(wrong)  # type: ignore[arg-type]


def test_loading_tells_which_file_it_was(path: pathlib.Path) -> None:
    """The one that was read, whatever has its name by now."""
    write_partition(path, _rows(10))
    rows, about = load_partition(path)
    assert (len(rows), about.st_ino) == (10, path.stat().st_ino)


def test_the_package_does_not_read_parquet_at_import() -> None:
    """Nothing of it is imported before a history is opened."""
    code = "import sys, tradeutils; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

"""A history in the hands of people: full disks and those not mounted, files deleted, moved, restored and linked."""

from __future__ import annotations

import functools
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import HistoryCorrupt, HistoryError, HistoryFull, HistoryLocked
from tradeutils.history.store.journal import RECORD_BYTES

MINUTE = 60_000
START = 28_400_000
NAME = ("binance", "BTC/USDT", "1m")


def bars(first: int, count: int, symbol: str = "BTC/USDT", noise: float = 0.0) -> tu.Candles:
    time = (START + first + np.arange(count, dtype=np.int64)) * MINUTE
    price = 1.0 + time / MINUTE % 97 + noise * np.random.default_rng(first).random(count)
    return tu.Candles(
        exchange="binance", symbol=symbol, timeframe="1m", time=time, open=price, high=price, low=price, close=price,
        volume=price,
    )  # fmt: skip


def folder(root: Path) -> Path:
    return root / "exchange=binance/market=spot/timeframe=1m/symbol=BTC%2FUSDT"


# Disks.


def mounted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the system's program that mounts; without one there is nothing to run."""
    program = shutil.which("mount") or pytest.skip("there is no program that mounts")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 256 KiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    told = mounted("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place))
    if told.returncode:
        pytest.skip(f"mounting is refused here: {told.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run([shutil.which("umount") or "umount", str(place)], check=True)


def filled(history: tu.History) -> dict[int, float]:
    """Write until the disk is full, some candles again; return what was acknowledged, by time."""
    rng = np.random.default_rng(4)
    stored: dict[int, float] = {}
    for _ in range(2_000):
        candles = bars(int(rng.integers(40_000)), int(rng.choice([1, 5, 50, 150])), noise=1.0)
        try:
            history.write(candles)
        except HistoryFull:
            return stored
        stored.update(zip(candles.time.tolist(), candles.close.tolist(), strict=True))
    raise AssertionError("the disk was never full")


def test_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    """ENOSPC of a real file system, in journals and in Parquet: an error, and all that was written before is there."""
    with tu.History(small_disk / "candles", min_free=0, seal_rows=149) as history:
        stored = filled(history)
        for _ in range(2):
            found = history.read(*NAME)
            assert dict(zip(found.time.tolist(), found.close.tolist(), strict=True)) == stored
            assert history.verify().ok
            history.compact()
    assert mounted("-o", "remount,size=8m", str(small_disk)).returncode == 0
    with tu.History(small_disk / "candles", min_free=0) as history:
        assert not history.compact().skipped
        assert len(history.read(*NAME)) == len(stored)
        assert history.verify().notes == ()


def test_read_only_mount_is_read_and_refuses_to_be_written(small_disk: Path) -> None:
    """A history on a disk that is mounted for reading: all that reads works, all that writes says why not."""
    with tu.History(small_disk / "candles", min_free=0, seal_rows=20) as history:
        history.write(bars(0, 50))
        history.write(bars(50, 5))
    assert mounted("-o", "remount,ro", str(small_disk)).returncode == 0
    with tu.History(small_disk / "candles", min_free=0) as history:
        assert history.read(*NAME) == bars(0, 55)
        assert history.verify().ok
        assert history.coverage(*NAME).complete
        assert "Read-only" in next(iter(history.compact().skipped.values()))
        attempts: list[Callable[[], Any]] = [
            lambda: history.write(bars(99, 1)),
            lambda: history.write(bars(0, 1, symbol="ETH/USDT")),
            lambda: history.asked(*NAME, 0, MINUTE),
            history.seal,
            history.salvage,
        ]
        for attempt in attempts:
            with pytest.raises(HistoryError, match="Read-only file system"):
                attempt()


@pytest.mark.parametrize("hot", [None, True])
def test_month_on_a_disk_that_is_not_mounted_is_neither_missing_nor_replaced(tmp_path: Path, hot: bool | None) -> None:
    """A month that is a link to nowhere: an error that says so, where it was taken for no month and written over."""
    root, away = tmp_path / "candles", tmp_path / "month.parquet"
    with tu.History(root, min_free=0, seal_rows=20, hot=hot) as history:
        history.write(bars(0, 100))
        month = folder(root) / "2023-12.parquet"
        month.rename(away)
        month.symlink_to(away)
        assert len(history.read(*NAME)) == 100
        away.rename(tmp_path / "unmounted")
        attempts: list[Callable[[], Any]] = [
            lambda: history.read(*NAME),
            lambda: history.coverage(*NAME),
            lambda: history.panel("binance", ["BTC/USDT"], "1m"),
            lambda: history.write(bars(200, 50)),
            history.salvage,
        ]
        for attempt in attempts:
            with pytest.raises(HistoryError, match=r"is a link to .*, which is not there; mount that disk"):
                attempt()
        assert not history.verify().ok
        (tmp_path / "unmounted").rename(away)
        assert history.read(*NAME) == bars(0, 100)


def test_link_to_itself_hides_no_other_series(tmp_path: Path) -> None:
    """A folder that is a link to itself is passed over."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10))
        (folder(tmp_path).parent / "symbol=LOOP").symlink_to("symbol=LOOP")
        assert [key.symbol for key in history.series()] == ["BTC/USDT"]


# Files that somebody deletes, moves or restores beside a writer.


def test_deleted_lock_lets_no_second_writer_lose_candles(tmp_path: Path) -> None:
    """Who deletes a lock that is held lets another in; the first writer finds out and does not write beside it."""
    with tu.History(tmp_path, min_free=0) as first, tu.History(tmp_path, min_free=0) as second:
        first.write(bars(0, 10))
        (folder(tmp_path) / "_lock").unlink()
        second.write(bars(10, 5))
        with pytest.raises(HistoryLocked):
            first.write(bars(20, 5))
        second.close()
        first.write(bars(20, 5))
        assert len(first.read(*NAME)) == 20
        assert first.verify().ok


def test_store_that_is_swapped_for_its_backup_is_written_where_it_stands(tmp_path: Path) -> None:
    """A folder that is moved away and replaced beside a writer: what is acknowledged is in the one that is there."""
    root, old, backup = tmp_path / "candles", tmp_path / "old", tmp_path / "backup"
    with tu.History(root, min_free=0, seal_rows=50) as history:
        history.write(bars(0, 10))
        shutil.copytree(root, backup)
        root.rename(old)
        backup.rename(root)
        for minute in range(10, 80):
            history.write(bars(minute, 1))
        assert history.read(*NAME) == bars(0, 80)
        assert tu.History(old).read(*NAME) == bars(0, 10)


def test_store_that_is_moved_away_is_begun_anew_with_its_format(tmp_path: Path) -> None:
    """A folder that is gone while it was open is made again, as a history that says its format."""
    root = tmp_path / "candles"
    with tu.History(root, min_free=0) as history:
        history.write(bars(0, 10))
        root.rename(tmp_path / "moved")
        history.write(bars(10, 5))
        assert history.read(*NAME) == bars(10, 5)
    assert (root / "_history.json").exists()
    assert tu.History(tmp_path / "moved").read(*NAME) == bars(0, 10)


def test_newer_format_in_place_of_an_open_store_is_not_written_to(tmp_path: Path) -> None:
    """The folder of a newer version that takes the place of ours is left as it is."""
    root = tmp_path / "candles"
    with tu.History(root, min_free=0) as history:
        history.write(bars(0, 10))
        root.rename(tmp_path / "moved")
        root.mkdir()
        (root / "_history.json").write_text('{"format": 2}')
        with pytest.raises(HistoryError, match="format 2"):
            history.write(bars(10, 5))
    assert [path.name for path in root.iterdir()] == ["_history.json"]


def test_salvage_is_known_to_processes_that_wrote_before(tmp_path: Path) -> None:
    """A writer whose series was salvaged elsewhere compares with what is stored, not with what it remembers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        history = tu.History(tmp_path, min_free=0, seal_rows=20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with history:
        history.write(bars(0, 100))
        assert history.write(bars(0, 100)).unchanged == 100
        for number in range(9):  # more than are kept open
            history.write(bars(0, 1, symbol=f"COIN{number}/USDT"))
        month = folder(tmp_path) / "2023-12.parquet"
        flipped = bytearray(month.read_bytes())
        flipped[100] ^= 1
        month.write_bytes(flipped)
        with tu.History(tmp_path, min_free=0) as other:
            assert other.salvage(symbols=["BTC/USDT"]).series == 1
        assert history.write(bars(0, 100)).added == 100
        assert history.read(*NAME) == bars(0, 100)


# Forks beside threads.


def test_child_keeps_no_lock_that_a_thread_was_taking(tmp_path: Path) -> None:
    """Children of forks beside a thread that begins series: once the parent lets go of a series, all can write it."""
    written = 0
    over = threading.Event()

    def write() -> None:
        nonlocal written
        while not over.is_set():
            history.write(bars(0, 1, symbol=f"COIN{written}/USDT"))
            written += 1

    children: list[tuple[int, int]] = []
    told, telling = os.pipe()
    with tu.History(tmp_path, min_free=0) as history:
        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(100):
                time.sleep(0.004)
                read_end, write_end = os.pipe()
                child = os.fork()
                if not child:  # it lives on, and holds whatever it holds, until its parent closes the pipe
                    os.close(write_end)
                    for _, other in children:
                        os.close(other)
                    os.write(telling, b".")
                    os.read(read_end, 1)
                    os._exit(0)
                os.close(read_end)
                children.append((child, write_end))
        finally:
            over.set()
            thread.join()
    for _ in children:
        os.read(told, 1)  # each is on its way: until then it is the parent's copy, locks and all
    os.close(told)
    os.close(telling)
    try:
        with tu.History(tmp_path, min_free=0) as history:
            for number in range(written):
                history.write(bars(1, 1, symbol=f"COIN{number}/USDT"))
    finally:
        for child, write_end in children:
            os.close(write_end)
            os.waitpid(child, 0)
    assert written


def written_in_pool(root: Path, number: int) -> int:
    """Write and read a series of one's own, in a worker."""
    with tu.History(root, min_free=0, seal_rows=50) as history:
        for first in range(0, 200, 20):
            history.write(bars(first, 20, symbol=f"COIN{number}/USDT"))
        return len(history.read("binance", f"COIN{number}/USDT", "1m"))


def write_in_forks(root: Path) -> None:
    """Fork off a process that writes; it must have no other threads, which could leave the children a lock held."""
    with tu.History(root, min_free=0) as history:
        history.write(bars(0, 10))
        with ProcessPoolExecutor(2, get_context("fork")) as pool:
            assert list(pool.map(functools.partial(written_in_pool, root), range(6))) == [200] * 6
        history.write(bars(10, 10))
        assert history.read(*NAME) == bars(0, 20)
        assert len(history.series()) == 7
        assert history.verify().ok


def test_forked_pool_writes_beside_its_parent(tmp_path: Path) -> None:
    """Workers forked from a process that writes write series of their own; the parent's is still the parent's."""
    program = "import pathlib, sys, test_history_operators as tests; tests.write_in_forks(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tu.History(tmp_path, read_only=True) as history:
        assert len(history.series()) == 7


# Flipped bits and things that are no files.


def test_no_flipped_bit_of_a_journal_goes_unseen(tmp_path: Path) -> None:
    """Whichever byte of a journal is damaged, the last record's too: an error, where the last write was left out."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 3))
        history.write(bars(3, 4))
    journal = folder(tmp_path) / "_journal"
    sound = journal.read_bytes()
    with tu.History(tmp_path, read_only=True) as history:
        assert history.read(*NAME) == bars(0, 7)
        for place in {*range(16), *range(16, len(sound), 11), *range(len(sound) - RECORD_BYTES, len(sound))}:
            flipped = bytearray(sound)
            flipped[place] ^= 1 << place % 8
            journal.write_bytes(flipped)
            with pytest.raises(HistoryCorrupt, match="_journal"):
                history.read(*NAME)
        assert not history.verify().ok
    with tu.History(tmp_path, min_free=0) as history:
        assert history.salvage().kept == 6
        assert history.read(*NAME) == bars(0, 6)


def test_series_whose_name_is_damaged_is_told_and_named_again(tmp_path: Path) -> None:
    """A name too long for a folder lies in a file; where that is damaged `verify` says so, and a write mends it."""
    symbol = "X" * 300
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10, symbol=symbol))
    (file,) = tmp_path.rglob("_name")
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with tu.History(tmp_path, min_free=0) as history:
        assert history.series() == []
        report = history.verify()
        assert not report.ok
        assert report.damages[0].path == str(file)
        assert len(history.read("binance", symbol, "1m")) == 10
        history.write(bars(10, 1, symbol=symbol))
        assert [key.symbol for key in history.series()] == [symbol]
        assert history.verify().ok


@pytest.mark.parametrize("name", ["_journal", "_asked", "_quarantine"])
def test_pipe_in_place_of_a_file_is_an_error_and_no_wait(tmp_path: Path, name: str) -> None:
    """A pipe that nobody writes to would have the reader wait for ever."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10))
        history.asked(*NAME, 0, MINUTE)
    (folder(tmp_path) / name).unlink(missing_ok=True)
    os.mkfifo(folder(tmp_path) / name)
    with tu.History(tmp_path) as history:
        reads: dict[str, Callable[..., Any]] = {
            "_journal": history.read,
            "_asked": history.coverage,
            "_quarantine": history.quarantined,
        }
        with pytest.raises(HistoryError, match=f"{name} could not be read"):
            reads[name](*NAME)


def test_names_that_look_alike_share_no_folder(tmp_path: Path) -> None:
    """Names that a file system may take for one (case, composed letters, devices, dots) are folders of their own."""
    symbols = [
        *("\u00e9/USDT", "e\u0301/USDT", "K/USDT", "\N{KELVIN SIGN}/USDT", "k/USDT"),
        *("../../x", "CON", "con", "CON.", "CON ", "x" * 300),
    ]
    with tu.History(tmp_path / "candles", min_free=0) as history:
        for number, symbol in enumerate(symbols):
            history.write(bars(number, 1, symbol=symbol))
        assert {key.symbol for key in history.series()} == set(symbols)
        for number, symbol in enumerate(symbols):
            assert history.read("binance", symbol, "1m") == bars(number, 1, symbol=symbol)
    names = [path.name for path in (tmp_path / "candles").rglob("symbol=*")]
    assert len({name.casefold() for name in names}) == len(symbols)
    assert all(name.isascii() and not name.endswith((".", " ")) for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["candles"]

"""A history under kills, full disks, damage, two writers, forks, and files that change while they are read."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_kills import Killed

import tradeutils as tu
from tradeutils.errors import HistoryCorrupt, HistoryError, HistoryFull, HistoryLocked
from tradeutils.history.store.journal import put_journal
from tradeutils.history.store.partitions import read_partition, write_partition
from tradeutils.history.store.rows import Rows

MINUTE = 60_000
START = 28_400_000
NAME = ("binance", "BTC/USDT", "1m")


def bars(first: int, count: int, value: float = 0.0, symbol: str = "BTC/USDT", late: int = 0) -> tu.Candles:
    time = (START + first + np.arange(count, dtype=np.int64)) * MINUTE + late
    price = np.full(count, value) if value else 1.0 + time / MINUTE % 97
    return tu.Candles(
        exchange="binance", symbol=symbol, timeframe="1m", time=time, open=price, high=price, low=price, close=price,
        volume=price,
    )  # fmt: skip


def folder(root: Path) -> Path:
    return root / "exchange=binance/market=spot/timeframe=1m/symbol=BTC%2FUSDT"


def in_child(work: Callable[[], Any], *, expected: str = "") -> None:
    """Run ``work`` in a child of a fork; what it raises, as ``Class: message``, must contain ``expected``."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        told = b""
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the parent is told
            told = f"{type(error).__name__}: {error}".encode()
        os.write(write_end, told)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    assert (expected in told) if expected else not told, told


def test_no_kill_loses_or_doubles_a_candle(tmp_path: Path) -> None:
    """Writers killed at random moments of writes, seals and compactions, readers beside: nothing is lost or wrong."""
    killed = Killed(tmp_path)
    killed.run(rounds=40, seed=7)
    assert killed.wrong == []
    assert killed.acknowledged > 40
    assert killed.reads > 40


def test_stopped_writer_holds_up_no_reader(tmp_path: Path) -> None:
    """A writer that hangs in the middle of its work, with its lock held, is read beside."""
    program = """if True:
        import sys; sys.path[:0] = sys.argv[2:]
        from history_kills import write_until_killed
        write_until_killed(sys.argv[1], 1)
    """
    here = [str(Path(__file__).parents[1]), str(Path(tu.__file__).parents[1])]
    command = [sys.executable, "-c", program, str(tmp_path), *here]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(30):
            process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            with tu.History(tmp_path, min_free=0) as history:
                assert len(history.read("binance", "BTC/USDT", "1h")) > 10
                assert history.verify().ok
                with pytest.raises(HistoryLocked, match=f"process {process.pid} writes it") as raised:
                    history.seal()
                assert raised.value.pid == process.pid
        finally:
            process.kill()


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes: a write across it is cut short, the next one refused (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_journal_that_cannot_grow_loses_nothing(tmp_path: Path) -> None:
    """A write that the system cuts short is refused and leaves nothing; with room, writing goes on."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10))
    with files_limited_to(16 + 52 * 20 + 7), tu.History(tmp_path, min_free=0) as history:
        history.write(bars(10, 1))
        for _ in range(2):
            with pytest.raises(HistoryFull, match="make room and write again"):
                history.write(bars(11, 30))
        assert history.read(*NAME) == bars(0, 11)
        history.write(bars(11, 1))
    with tu.History(tmp_path, min_free=0) as history:
        assert history.read(*NAME) == bars(0, 12)
        assert history.verify().notes == ()
        assert history.write(bars(11, 30)).added == 29
        assert history.read(*NAME) == bars(0, 41)


def test_seal_without_room_leaves_the_candles_in_the_journal(tmp_path: Path) -> None:
    """What a write acknowledged stays durable where Parquet cannot be written; `seal` itself says why."""
    noise = np.random.default_rng(1).normal(100, 1, 3_000)
    candles = bars(0, 3_000)
    candles = tu.Candles(
        exchange="binance", symbol="BTC/USDT", timeframe="1m", time=candles.time, open=noise, high=noise, low=noise,
        close=noise, volume=noise,
    )  # fmt: skip
    with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
        history.write(candles)
    # Room for a journal of 300 candles, and not for the file of the month.
    with files_limited_to(20_000), tu.History(tmp_path, min_free=0, seal_rows=20) as history:
        assert history.write(bars(3_000, 20)).added == 20
        with pytest.raises(HistoryFull, match=r"2024-01\.parquet"):
            history.seal()
        with pytest.raises(HistoryFull):
            history.write(bars(3_020, 30))
        assert len(history.compact().skipped) == 1
        assert history.write(bars(3_020, 3)).added == 3
    with tu.History(tmp_path, min_free=0) as history:
        assert history.read(*NAME)[:3_000] == candles
        assert history.read(*NAME)[3_000:] == bars(3_000, 23)
        assert history.verify().notes == ()
        assert history.seal() == 23
        assert history.verify().ok


def test_notes_and_rows_aside_need_room_too(tmp_path: Path) -> None:
    """What cannot be noted, kept aside or begun is refused, and what was there before stands."""
    bad = np.full(5, -1.0)
    with tu.History(tmp_path, min_free=0) as history:
        history.asked(*NAME, 0, 10 * MINUTE)
        with files_limited_to(30):
            with pytest.raises(HistoryFull, match="_asked"):
                history.asked(*NAME, 20 * MINUTE, 30 * MINUTE)
            with pytest.raises(HistoryFull, match="_quarantine"):
                history.write(tu.Candles(symbol="BTC/USDT", timeframe="1m", time=bars(0, 5).time, open=bad, high=bad,
                                         low=bad, close=bad, volume=bad), exchange="binance")  # fmt: skip
        with files_limited_to(3), pytest.raises(HistoryFull):
            history.write(bars(0, 1, symbol="ETH/USDT"))
        assert history.coverage(*NAME).asked == ((0, 10 * MINUTE),)
        assert history.quarantined(*NAME) == ()
        assert history.verify().ok
        history.asked(*NAME, 20 * MINUTE, 30 * MINUTE)
        history.write(bars(0, 1, symbol="ETH/USDT"))
        assert history.verify().notes == ()
    with files_limited_to(3), pytest.raises(HistoryFull):
        tu.History(tmp_path / "other", min_free=0).write(bars(0, 1))


def as_nobody(work: Callable[[], Any]) -> Callable[[], Any]:
    """Return ``work`` as a user to whom nothing belongs: root writes whatever the mode says."""

    def powerless() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        work()

    return powerless


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """Return a history that others may read and not write, outside pytest's own folder, which is closed to others."""
    if os.getuid():
        pytest.skip("only root can become a user to whom the folder does not belong")
    with tempfile.TemporaryDirectory() as place:
        if not all(parent.stat().st_mode & 0o001 for parent in Path(place).parents):
            pytest.skip(f"others may not enter {place}")
        Path(place).chmod(0o755)
        root = Path(place) / "candles"
        with tu.History(root, min_free=0) as history:
            history.write(bars(0, 10))
        yield root


def test_folder_that_may_not_be_written_can_be_read(read_only_folder: Path) -> None:
    """Reading, coverage and verifying need no right to write; writing is refused by name."""

    def use() -> None:
        with tu.History(read_only_folder, min_free=0) as history:
            assert history.read(*NAME) == bars(0, 10)
            assert history.verify().ok
            with pytest.raises(HistoryError, match=r"_lock could not be written: Permission denied"):
                history.write(bars(10, 1))
            with pytest.raises(HistoryError, match="could not be written: Permission denied"):
                history.write(bars(0, 1, symbol="ETH/USDT"))
            assert len(history.compact().skipped) == 1
        with tu.History(read_only_folder, read_only=True) as history:
            assert len(history.read(*NAME)) == 10

    in_child(as_nobody(use))


def test_folder_that_may_not_be_read_is_an_error(read_only_folder: Path) -> None:
    """What cannot be listed or opened is never taken for empty."""
    here = folder(read_only_folder)
    (here / "_journal").chmod(0)

    def read_file() -> None:
        with pytest.raises(HistoryError, match="_journal could not be read"):
            tu.History(read_only_folder).read(*NAME)

    in_child(as_nobody(read_file))
    here.parent.chmod(0)

    def list_folder() -> None:
        with pytest.raises(HistoryError, match="could not be"):
            tu.History(read_only_folder).series()

    in_child(as_nobody(list_folder))
    here.parent.chmod(0o755)
    read_only_folder.chmod(0)

    def open_history() -> None:
        with pytest.raises(HistoryError, match="could not be read"):
            tu.History(read_only_folder)

    in_child(as_nobody(open_history))
    read_only_folder.chmod(0o755)


def test_truncated_parquet_is_never_read_as_less(tmp_path: Path) -> None:
    """A file cut short at any of many places is an error that names it, for readers, writers and `verify`."""
    with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
        history.write(bars(0, 3_000))
    (path,) = folder(tmp_path).glob("2024-01.parquet")
    data = path.read_bytes()
    for end in (0, 1, 4, 100, len(data) // 2, len(data) - 9, len(data) - 1):
        path.write_bytes(data[:end])
        with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
            with pytest.raises(HistoryCorrupt, match=r"2024-01\.parquet"):
                history.read(*NAME)
            with pytest.raises(HistoryCorrupt, match=r"2024-01\.parquet"):
                history.write(bars(2_500, 1, 5.0))
            report = history.verify()
            assert [damage.path for damage in report.damages] == [str(path)]
            assert not report.ok
            assert "1 damaged" in str(report)
            before = history.read(*NAME, until=1_704_067_200_000)
            assert before == bars(0, len(before))


def test_flipped_bytes_of_parquet_are_found(tmp_path: Path) -> None:
    """A byte flipped anywhere in a page or the footer is an error, or changes nothing; never another candle."""
    with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
        history.write(bars(0, 300))
    (path,) = folder(tmp_path).glob("*.parquet")
    data = path.read_bytes()
    found = 0
    with tu.History(tmp_path) as history:
        for at in range(0, len(data), 13):
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x24]) + data[at + 1 :])
            try:
                assert history.read(*NAME) == bars(0, 300)
            except HistoryCorrupt as error:
                assert path.name in str(error)  # noqa: PT017  # most positions raise, a few are filling
                found += 1
    assert found > len(data) / 13 * 0.7


def test_salvage_keeps_what_is_sound_and_has_the_rest_fetched_again(tmp_path: Path) -> None:
    """After it the series reads and writes again, what was lost is missing, and the damaged files lie aside."""
    with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
        history.write(bars(0, 3_000))
        history.write(bars(3_000, 3))
        history.write(bars(3_003, 1))
        history.write(bars(0, 5, symbol="ETH/USDT"))
        history.asked(*NAME, START * MINUTE, (START + 4_000) * MINUTE)
    for name, at in (("_journal", 16 + 60), ("2024-01.parquet", 700), ("_asked", 7)):
        data = bytearray((folder(tmp_path) / name).read_bytes())
        data[at] ^= 1
        (folder(tmp_path) / name).write_bytes(data)
    with tu.History(tmp_path, min_free=0, seal_rows=100) as history:
        assert len(history.verify().damages) == 3
        report = history.salvage()
        assert (report.series, report.kept, report.lost) == (1, 3, 1)
        assert sorted(Path(name).name for name in report.moved) == ["_damaged-2024-01.parquet-1", "_damaged-_journal-1"]
        assert history.verify().ok
        assert history.verify().notes == ()
        seen = history.coverage(*NAME, START * MINUTE, (START + 3_004) * MINUTE)
        assert {(START + 3_001) * MINUTE, 1_704_067_200_000} <= {
            t for span in seen.missing for t in range(*span, MINUTE)
        }
        assert seen.asked == ()
        for since, until in seen.missing:
            history.write(bars(since // MINUTE - START, (until - since) // MINUTE))
        assert history.read(*NAME) == bars(0, 3_004)
        assert history.salvage().series == 0


def test_salvage_mends_whatever_verify_calls_damaged(tmp_path: Path) -> None:
    """Rows kept aside that fail their checksum, and whole files in which rows stand that are no candles."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 300))
        history.seal()
        history.write(bars(300, 3, late=7))
        history.asked(*NAME, START * MINUTE, (START + 400) * MINUTE)
    at = folder(tmp_path)
    rows = read_partition(at / "2023-12.parquet")
    shifted = np.where(np.arange(300) == 299, rows.time + 11, rows.time)
    write_partition(at / "2023-12.parquet", Rows(shifted, *rows.columns()[1:]))
    put_journal(at / "_journal", Rows.of(bars(310, 2, late=9)), 7)
    data = bytearray((at / "_quarantine").read_bytes())
    data[20] ^= 1
    (at / "_quarantine").write_bytes(data)
    with tu.History(tmp_path, min_free=0) as history:
        assert len(history.verify().damages) == 3
        report = history.salvage()
        assert (report.series, len(report.moved)) == (1, 3)
        assert history.verify().ok
        assert history.read(*NAME) == bars(0, 299)
        assert sorted((row.time - START * MINUTE) % MINUTE for row in history.quarantined(*NAME)) == [7, 7, 9, 9, 11]
        assert history.coverage(*NAME).asked == ()
        history.write(bars(299, 1))
        assert history.salvage().series == 0


def test_salvage_that_is_stopped_leaves_damage_that_is_found_again(tmp_path: Path) -> None:
    """A lost candle must not count as asked for, where the disk was too full to note that it does not."""
    with tu.History(tmp_path, min_free=0) as history:
        for minute in range(5):
            history.write(bars(minute, 1))
        history.asked(*NAME, START * MINUTE, (START + 5) * MINUTE)
    path = folder(tmp_path) / "_journal"
    data = bytearray(path.read_bytes())
    data[16 + 52 * 2 + 10] ^= 8
    path.write_bytes(data)
    with tu.History(tmp_path, min_free=1 << 60) as full, pytest.raises(HistoryFull):
        full.salvage()
    with tu.History(tmp_path, min_free=0) as history:
        assert not history.verify().ok
        assert (history.salvage().kept, history.verify().ok) == (4, True)
        assert history.coverage(*NAME, START * MINUTE, (START + 5) * MINUTE).missing == (
            ((START + 2) * MINUTE, (START + 3) * MINUTE),
        )


def test_damaged_journal_is_neither_read_nor_written_over(tmp_path: Path) -> None:
    """Its error says what to do, and nothing is appended to it meanwhile."""
    with tu.History(tmp_path, min_free=0) as history:
        for minute in range(5):
            history.write(bars(minute, 1))
    path = folder(tmp_path) / "_journal"
    data = bytearray(path.read_bytes())
    data[16 + 52 * 2 + 10] ^= 8
    path.write_bytes(data)
    with tu.History(tmp_path, min_free=0) as history:
        for act in (lambda: history.read(*NAME), lambda: history.write(bars(9, 1)), history.seal):
            with pytest.raises(HistoryCorrupt, match=r"byte 120: record 2 of 5 .*history\.salvage"):
                act()
        assert len(history.compact().skipped) == 1
        assert path.read_bytes() == data
        assert [Path(damage.path).name for damage in history.verify().damages] == ["_journal"]


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_journal_without_a_byte_is_no_fault(tmp_path: Path, content: bytes | None) -> None:
    """The journal gone or emptied, as by a copy that left it out: what is sealed is read, and writing begins anew."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10))
        history.seal()
    path = folder(tmp_path) / "_journal"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with tu.History(tmp_path, min_free=0) as history:
        assert history.read(*NAME) == bars(0, 10)
        assert history.verify().ok
        history.write(bars(10, 1))
        assert history.read(*NAME) == bars(0, 11)


def test_clock_that_goes_back_changes_nothing(tmp_path: Path) -> None:
    """Files dated years ahead or in 1970, in any order, are read and written as ever."""
    with tu.History(tmp_path, min_free=0, seal_rows=50, hot=1 << 20) as history:
        for step, moment in enumerate((4e9, 0, 2e9, 1)):
            history.write(bars(step * 60, 60))
            history.write(bars(step * 30, 20, value=5.0 + step))
            for path in tmp_path.rglob("*"):
                os.utime(path, (moment, moment))
            with tu.History(tmp_path, read_only=True) as other:
                assert history.read(*NAME) == other.read(*NAME)
                assert len(other.read(*NAME)) == 60 * (step + 1)
        assert history.compact().skipped == {}
        assert history.verify().ok


def test_child_of_a_fork_shares_no_lock_with_its_parent(tmp_path: Path) -> None:
    """In the child the parent's series are locked, others can be written, and the parent keeps its lock after it."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 1))

        def write_in_child() -> None:
            assert len(history.read(*NAME)) == 1
            with pytest.raises(HistoryLocked, match=f"process {os.getppid()} writes it"):
                history.write(bars(1, 1))
            history.write(bars(0, 1, symbol="ETH/USDT"))
            history.close()

        in_child(write_in_child)
        with tu.History(tmp_path, min_free=0) as other, pytest.raises(HistoryLocked):
            other.write(bars(1, 1))
        history.write(bars(1, 1))
        assert len(history.read(*NAME)) == 2
        assert history.write(bars(0, 1, symbol="ETH/USDT")).unchanged == 1


def test_child_of_a_fork_is_free_of_what_other_threads_held(tmp_path: Path) -> None:
    """A fork while another thread is in the middle of a write leaves the child no mutex that nobody gives back."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 1))
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with history.store.writing(history.key(*NAME)):
                entered.set()
                leave.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait(20)
        try:
            in_child(lambda: history.write(bars(1, 1)), expected="HistoryLocked")
            in_child(lambda: history.write(bars(1, 1, symbol="ETH/USDT")))
        finally:
            leave.set()
            thread.join()


def test_many_threads_share_one_history(tmp_path: Path) -> None:
    """Threads that write the same and other series, seal and read, lose nothing and see no error."""
    wrong: list[BaseException] = []
    with tu.History(tmp_path, min_free=0, seal_rows=30) as history:
        history.write(bars(0, 1))

        def work(number: int) -> None:
            try:
                for step in range(25):
                    history.write(bars(step * 8 + number, 1))
                    history.write(bars(step, 1, symbol=f"C{number % 3}/USDT"))
                    if step % 10 == number:
                        history.seal()
                    if not len(history.read(*NAME, limit=3)):
                        raise AssertionError("nothing is stored")
            except BaseException as error:  # noqa: BLE001  # whatever it is must reach the test
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert history.read(*NAME) == bars(0, 200)
        assert [len(history.read("binance", f"C{i}/USDT", "1m")) for i in range(3)] == [25] * 3
        assert history.verify().ok


def test_file_that_is_replaced_while_it_is_read_is_read_whole(tmp_path: Path) -> None:
    """Readers beside a writer that replaces every file over and over see one write of each candle, never a mixture."""
    stop = threading.Event()
    wrong: list[str] = []
    with tu.History(tmp_path, min_free=0, seal_rows=10) as history:
        history.write(bars(0, 3_000, 1.0))

        def read() -> None:
            last = 0.0
            while not stop.is_set():
                with tu.History(tmp_path, read_only=True) as reader:
                    found = reader.read(*NAME)
                if len(found) != 3_000 or not (found.close == found.open).all():
                    wrong.append(f"{len(found)} candles")
                if found.close.min() < last:
                    wrong.append(f"{found.close.min()} after {last}")
                last = float(found.close.min())

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for value in range(2, 30):
                history.write(bars(0, 3_000, float(value)))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert wrong == []


def test_files_that_go_away_while_they_are_read_are_no_error(tmp_path: Path) -> None:
    """Retention takes files that a reader has listed and not opened yet: it begins anew, and has what is left."""
    stop = threading.Event()
    wrong: list[str] = []
    with tu.History(tmp_path, min_free=0, seal_rows=10) as history:
        history.write(bars(0, 3_000))

        def read() -> None:
            while not stop.is_set():
                with tu.History(tmp_path, read_only=True) as reader:
                    try:
                        found = reader.read(*NAME)
                    except HistoryError as error:
                        wrong.append(str(error))
                        continue
                if len(found) not in {3_000, 3_000 - 1_120}:
                    wrong.append(f"{len(found)} candles")

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for _ in range(20):
                with history.store.writing(history.key(*NAME)) as writer:
                    part = writer.series.partitions()[0]
                    writer.prune([part], part.since, part.until)
                history.write(bars(0, 1_120))
        finally:
            stop.set()
            thread.join()
    assert wrong == []

"""The journal to the byte: what a kill leaves in it, what damage does, and what is noted beside it."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest

from tradeutils.errors import HistoryCorrupt
from tradeutils.history.store.asked import ASKED, Note, note_range, read_asked
from tradeutils.history.store.journal import JOURNAL, RECORD_BYTES, Journal, identify, read_journal, sound_rows
from tradeutils.history.store.quarantine import screened
from tradeutils.history.store.rows import Rows
from tradeutils.timeframe import parse

HEADER = 16


def rows(first: int, count: int, value: float = 1.0) -> Rows:
    prices = np.full(count, value)
    return Rows(np.arange(first, first + count, dtype=np.int64) * 60_000, *(prices + i for i in range(5)))


def times(found: Rows) -> list[int]:
    return (found.time // 60_000).tolist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / JOURNAL


def filled(path: Path, *parts: Rows) -> bytes:
    """Return the bytes of a journal to which parts were appended, each by one write."""
    journal = Journal(path)
    for part in parts:
        journal.append(part)
    journal.close()
    return path.read_bytes()


def test_record_is_48_bytes_and_a_checksum(path: Path) -> None:
    """A row costs 52 bytes, whatever else was written with it."""
    assert len(filled(path, rows(0, 1), rows(1, 10))) == HEADER + 11 * RECORD_BYTES
    assert RECORD_BYTES == 52


def test_rows_come_back_rising_and_the_later_stands(path: Path) -> None:
    """Rows of older times, and of a time for the second time, are put in their places."""
    filled(path, rows(5, 3), rows(0, 2), rows(6, 4, value=9.0))
    view = read_journal(path)
    assert times(view.rows) == [0, 1, 5, 6, 7, 8, 9]
    assert view.rows.open.tolist() == [1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]
    assert (view.records, view.torn) == (9, 0)


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_journal_without_a_byte_holds_nothing(path: Path, content: bytes | None) -> None:
    """A missing or empty file is no fault: readers find nothing, and a writer begins it."""
    if content is not None:
        path.write_bytes(content)
    assert len(read_journal(path).rows) == 0
    assert identify(path) is None
    filled(path, rows(0, 2))
    assert times(read_journal(path).rows) == [0, 1]


def test_tail_that_is_cut_anywhere_is_left_out(path: Path) -> None:
    """However many bytes of the last write a kill left, readers see all writes before, and of it all or nothing."""
    data = filled(path, rows(0, 2), rows(2, 3))
    before = HEADER + 2 * RECORD_BYTES
    for end in range(before, len(data)):
        path.write_bytes(data[:end])
        view = read_journal(path)
        assert times(view.rows) == [0, 1]
        assert view.torn == end - before
    path.write_bytes(data)
    assert times(read_journal(path).rows) == [0, 1, 2, 3, 4]


def test_next_writer_cuts_a_torn_tail(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was never acknowledged goes before anything is appended after it, and the log says so."""
    data = filled(path, rows(0, 2), rows(2, 30))
    path.write_bytes(data[:-7])
    with caplog.at_level(logging.WARNING):
        filled(path, rows(50, 1))
    assert times(read_journal(path).rows) == [0, 1, 50]
    assert "never acknowledged" in caplog.text


@pytest.mark.parametrize("record", [0, 1, 4])
def test_flipped_byte_is_never_read_as_a_candle(path: Path, record: int) -> None:
    """Each of the bytes of an acknowledged record, flipped: an error that names the file and the byte, no rows."""
    data = filled(path, rows(0, 2), rows(2, 3), rows(5, 1))
    start = HEADER + record * RECORD_BYTES
    for at in range(start, start + RECORD_BYTES):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(HistoryCorrupt, match=f"{JOURNAL} is damaged at byte {start}: record {record} of 6"):
            read_journal(path)


def test_damage_to_the_very_last_record_is_no_torn_write(path: Path) -> None:
    """A write that was cut short is right as far as it goes, or ends in zeros; a whole record that is not is damage."""
    data = filled(path, rows(0, 2), rows(2, 3))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(HistoryCorrupt, match="record 4 of 5"):
        read_journal(path)
    for zeros in (1, 60, 2 * RECORD_BYTES):  # the length of the file was on the disk, and the bytes were not
        path.write_bytes(data[:-zeros] + bytes(zeros))
        view = read_journal(path)
        assert (times(view.rows), view.torn) == ([0, 1], 3 * RECORD_BYTES)


def test_damaged_header_is_damage(path: Path) -> None:
    """A file that is no journal, or half a header, is not read and not written over."""
    data = filled(path, rows(0, 2))
    for content in (b"x" + data[1:], data[:9] + b"\xff" + data[10:], data[:5], b"PAR1" * 30):
        path.write_bytes(content)
        with pytest.raises(HistoryCorrupt, match=JOURNAL):
            read_journal(path)
        with pytest.raises(HistoryCorrupt):
            Journal(path)
        assert identify(path) is None
        assert path.read_bytes() == content


def test_sound_records_of_a_damaged_journal_are_found(path: Path) -> None:
    """All but the damaged ones are kept by who mends it."""
    data = bytearray(filled(path, rows(0, 3), rows(3, 3)))
    data[HEADER + RECORD_BYTES + 9] ^= 1
    path.write_bytes(data)
    found, lost = sound_rows(path)
    assert (times(found), lost) == ([0, 2, 3, 4, 5], 1)


def test_each_journal_has_an_identity_of_its_own(path: Path) -> None:
    """After a restart it is another one, even where the system gives the same number again."""
    journal = Journal(path)
    seen = [journal.identity]
    for _ in range(3):
        journal.append(rows(0, 1))
        assert identify(path) == seen[-1]
        journal.restart()
        assert len(read_journal(path).rows) == 0
        seen.append(journal.identity)
    assert [one.generation for one in seen] == [1, 2, 3, 4]
    assert identify(path) == seen[-1]
    journal.close()


def test_journal_is_open_again_only_if_nobody_else_wrote(path: Path) -> None:
    """What is known of a journal counts while the file is the same and as long as it was."""
    journal = Journal(path)
    journal.append(rows(0, 1))
    journal.close()
    assert journal.reopen()
    journal.close()
    filled(path, rows(1, 1))
    assert not journal.reopen()
    path.unlink()
    assert not journal.reopen()


def test_half_a_note_was_never_acknowledged(tmp_path: Path) -> None:
    """A torn note is left out, and the next one takes its place."""
    note_range(tmp_path, Note.ASKED, 0, 10)
    note_range(tmp_path, Note.ASKED, 20, 30)
    path = tmp_path / ASKED
    path.write_bytes(path.read_bytes()[:-5])
    assert read_asked(tmp_path).ranges == ((0, 10),)
    note_range(tmp_path, Note.ASKED, 40, 50)
    assert read_asked(tmp_path).ranges == ((0, 10), (40, 50))
    assert len(path.read_bytes()) == 48


def test_damaged_note_forgets_what_came_before(tmp_path: Path) -> None:
    """It may have been the one that took a range back: asking again costs requests, trusting it would hide candles."""
    for since in (0, 20, 40):
        note_range(tmp_path, Note.ASKED, since, since + 10)
    path = tmp_path / ASKED
    data = path.read_bytes()
    for at in range(24, 48):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        found = read_asked(tmp_path)
        assert (found.ranges, found.records, found.damaged) == (((40, 50),), 3, 1)


def test_interrupted_append_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a write takes it back: no later write is mixed with what is left of it."""
    journal = Journal(path)
    journal.append(rows(0, 1))

    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.append(rows(10, 20))
    journal.append(rows(1, 1))
    journal.close()
    assert times(read_journal(path).rows) == [0, 1]
    assert path.stat().st_size == HEADER + 2 * RECORD_BYTES


def test_interrupted_restart_never_appends_to_a_file_without_a_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between putting a new journal in place and opening it leaves one that must be opened anew."""
    journal = Journal(path)
    journal.append(rows(0, 1))

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tradeutils.history.store.layout.sync_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.restart()
    assert not journal.is_open
    assert not journal.reopen()
    assert len(read_journal(path).rows) == 0


def test_one_row_is_a_candle_by_the_rule_for_many() -> None:
    """A row alone is looked at in another, quicker way than rows together: both say the same of it."""
    minute = parse("1m")
    numbers = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 2.0]
    cases = [(1.0, *prices, 1.0) for prices in itertools.product(numbers, repeat=3)]
    cases += [(opened, 2.0, 1.0, 1.5, volume) for opened, volume in itertools.product(numbers, repeat=2)]
    for time in (28_400_000 * 60_000, 28_400_000 * 60_000 + 1, 4 * 10**13, -(2**62)):
        for case in cases:
            columns = [np.array([number]) for number in case]
            one = Rows(np.array([time]), *columns)
            two = Rows(np.array([time, time + 60_000]), *(np.repeat(column, 2) for column in columns))
            together = screened(two, minute)[1]
            alone = screened(one, minute)[1]
            assert (alone is None) == (together is None), (time, case)
            if alone is not None and together is not None:
                assert alone.reason[0] == together.reason[0]

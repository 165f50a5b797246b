"""Output files: whole or not at all, and never over another kind of file."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest

from tradeutils.cli.saving import CHART, CSV, FEATHER, JSON, PARQUET, check_target, save
from tradeutils.errors import UsageError

KINDS = (CSV, PARQUET, FEATHER, JSON)


@pytest.mark.parametrize(("name", "kind"), [("a.csv", CSV), ("a.PARQUET", PARQUET), ("a.feather", FEATHER)])
def test_ending_names_the_kind(tmp_path: pathlib.Path, name: str, kind: object) -> None:
    """A file that does not exist yet is of the kind of its ending, in any case."""
    assert check_target(tmp_path / name, *KINDS) is kind


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.cvs", r"ends in \.csv"),
        ("a", r"ends in \.csv or \.parquet or \.feather or \.json"),
        ("no/a.csv", "there is no folder .*no; make it first"),
        ("folder.csv", "is a folder; write a file name"),
        ("", "is a folder"),
    ],
)
def test_name_that_cannot_be_written_is_refused(tmp_path: pathlib.Path, name: str, says: str) -> None:
    """Before any work is done, with what to write instead."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=says):
        check_target(tmp_path / name, *KINDS)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"PAR1\x00\x15", CSV),
        ("a.parquet", b"time,open\n", PARQUET),
        ("a.feather", b"PAR1", FEATHER),
        ("a.json", b"hello", JSON),
        ("a.html", b"<!doctype html><title>My own page</title>", CHART),
    ],
)
def test_file_of_another_kind_is_not_overwritten(
    tmp_path: pathlib.Path, name: str, content: bytes, kind: object
) -> None:
    """What stands there was not written by the same command."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="exists and is not"):
        check_target(tmp_path / name, kind)  # type: ignore[arg-type]
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"time,open\n1,2\n", CSV),
        ("a.csv", b"", CSV),
        ("a.parquet", b"PAR1\x00\x15", PARQUET),
        ("a.json", b"\n [[1]]", JSON),
        ("a.html", b'<!doctype html>\n<meta name="generator" content="tradeutils 0.1.0">', CHART),
    ],
)
def test_file_of_the_same_kind_may_be_overwritten(
    tmp_path: pathlib.Path, name: str, content: bytes, kind: object
) -> None:
    """The same command may be run again."""
    (tmp_path / name).write_bytes(content)
    assert check_target(tmp_path / name, kind) is kind  # type: ignore[arg-type]


def test_pipes_and_devices_are_not_overwritten(tmp_path: pathlib.Path) -> None:
    """A fifo that ends as a file does is no file."""
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="exists and is not a CSV file"):
        check_target(tmp_path / "a.csv", CSV)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_to_is_named(tmp_path: pathlib.Path) -> None:
    """Before minutes of fetching, not after."""
    tmp_path.chmod(0o555)
    with pytest.raises(UsageError, match="nothing may be written to"):
        check_target(tmp_path / "a.csv", CSV)


def test_files_are_written_and_nothing_else(tmp_path: pathlib.Path) -> None:
    """No draft is left beside them."""
    save({tmp_path / "a.csv": b"a", tmp_path / "b.csv": b"b"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.csv": b"a", "b.csv": b"b"}


def test_all_are_written_or_none(tmp_path: pathlib.Path) -> None:
    """Where the second cannot be written, the first keeps what stood in it and no draft is left."""
    (tmp_path / "a.csv").write_bytes(b"old")
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        save({tmp_path / "a.csv": b"new", tmp_path / "gone" / "b.csv": b"b"})
    assert caught.value.errno == errno.ENOENT
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.csv": b"old"}


def test_private_file_stays_private(tmp_path: pathlib.Path) -> None:
    """A file is replaced by one with its permissions; a new one has what the umask leaves."""
    private = tmp_path / "a.csv"
    private.write_bytes(b"old")
    private.chmod(0o600)
    umask = os.umask(0o027)
    try:
        save({private: b"new", tmp_path / "b.csv": b"b"})
    finally:
        os.umask(umask)
    assert private.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "b.csv").stat().st_mode & 0o777 == 0o640


def test_link_stays_a_link(tmp_path: pathlib.Path) -> None:
    """What it points to is replaced."""
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    save({tmp_path / "link.csv": b"new"})
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


def test_longest_name_can_be_written(tmp_path: pathlib.Path) -> None:
    """A name of 255 bytes leaves room for its draft."""
    path = tmp_path / ("x" * 251 + ".csv")
    save({path: b"a"})
    assert path.read_bytes() == b"a"

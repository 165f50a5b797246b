"""Laws of reading candle files: what was written comes back, and nothing is ever made up."""

from __future__ import annotations

import contextlib
import gzip
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeutils.errors import CandleFileError
from tradeutils.history import CandleFile, read_candles

_T0 = 1_700_000_040_000
_NAMES = ("time", "open", "high", "low", "close", "volume")
_PRICE = st.floats(1e-8, 1e9, allow_nan=False)
_ROWS = st.lists(st.tuples(st.integers(0, 500), *[_PRICE] * 5), min_size=2, max_size=40)
_FRESH = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def _write(path: pathlib.Path, rows: list[tuple[float, ...]], kind: str) -> pathlib.Path:
    path = path / f"AAAUSDT-1m.{kind}"
    columns = dict(zip(_NAMES, zip(*rows, strict=True), strict=True))
    if kind in ("csv", "csv.gz"):
        text = "\n".join([",".join(_NAMES), *(",".join(map(repr, row)) for row in rows)])
        path.write_bytes(gzip.compress(text.encode()) if kind == "csv.gz" else text.encode())
    elif kind == "feather":
        pyarrow.feather.write_feather(pa.table(columns), str(path))
    else:
        pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def _read_or_refuse(path: pathlib.Path) -> CandleFile | None:
    """Return what was read, or ``None`` where it was refused; any other error fails the test."""
    with contextlib.suppress(CandleFileError):
        return read_candles(path)
    return None


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "feather", "parquet"])
@_FRESH
@given(rows=_ROWS)
def test_rows_come_back_sorted_and_the_last_of_a_time_wins(
    tmp_path: pathlib.Path, kind: str, rows: list[tuple[float, ...]]
) -> None:
    """Every candle is a row of the file, every time of the file is a candle, and the counts add up."""
    timed = [(_T0 + 60_000 * int(row[0]), *row[1:]) for row in rows]
    read = read_candles(_write(tmp_path, timed, kind), timeframe="1m")
    expected = {row[0]: row for row in timed}
    assert read.candles.time.tolist() == sorted(expected)
    for at, name in enumerate(_NAMES[1:], 1):
        assert getattr(read.candles, name).tolist() == [expected[time][at] for time in sorted(expected)]
    report = read.report
    assert report.rows == len(rows) == report.kept + report.duplicates + report.conflicts + report.nan_rows
    span = (max(expected) - min(expected)) // 60_000 + 1
    assert report.missing_bars == span - len(expected)
    assert (report.gaps > 0) == (report.missing_bars > 0)
    assert report.out_of_order == sum(timed[i][0] < max(row[0] for row in timed[:i]) for i in range(1, len(timed)))


@_FRESH
@given(data=st.binary(max_size=400), name=st.sampled_from(["x.csv", "x.csv.gz", "x.json", "x.feather", "x.parquet"]))
def test_any_bytes_are_read_or_refused(tmp_path: pathlib.Path, data: bytes, name: str) -> None:
    """Nothing but `CandleFileError` comes of bytes that are no candles."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    read = _read_or_refuse(path)
    assert read is None or len(read.candles)


@_FRESH
@given(
    cut=st.one_of(st.just(0), st.integers(1, 2_000)),
    flips=st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 255)), max_size=4),
    kind=st.sampled_from(["csv", "csv.gz", "feather", "parquet"]),
)
def test_damaged_files_are_read_or_refused(
    tmp_path: pathlib.Path, cut: int, flips: list[tuple[int, int]], kind: str
) -> None:
    """A file that was cut or has bytes changed gives candles whose times rise, or an error that names it."""
    rows = [(_T0 + 60_000 * minute, 1.0, 2.0, 0.5, 1.5, 3.0) for minute in range(30)]
    path = _write(tmp_path, rows, kind)
    data = bytearray(path.read_bytes())
    for at, change in flips:
        data[at % len(data)] ^= change
    path.write_bytes(bytes(data[: max(1, len(data) - cut)]))
    read = _read_or_refuse(path)
    if read is not None:
        assert np.all(np.diff(read.candles.time) > 0)
        assert read.report.kept <= read.report.rows


@_FRESH
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30), max_size=8))
def test_any_text_is_read_or_refused(tmp_path: pathlib.Path, lines: list[str]) -> None:
    """Lines under a proper header that are no candles are refused."""
    path = tmp_path / "x.csv"
    path.write_text("\n".join([",".join(_NAMES), *lines]), encoding="utf-8", newline="")
    with pytest.raises(CandleFileError):
        read_candles(path)

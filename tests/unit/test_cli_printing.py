"""What the commands print: numbers, times, tables and JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.cli.printing import number_text, progress, show_json, show_line, show_table, tell, utc


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, None, "-"),
        (float("nan"), None, "-"),
        (float("inf"), None, "inf"),
        (float("-inf"), None, "-inf"),
        (1e-8, None, "0.00000001"),
        (1e22, None, "10000000000000000000000"),
        (67112.5, None, "67112.5"),
        (100.0, None, "100"),
        (0.1 + 0.2, 10, "0.3"),
        (Decimal("100.00"), None, "100"),
        (Decimal("1E+3"), None, "1000"),
        (Decimal(1) / Decimal(3), 6, "0.333333"),
        (Decimal("-0.5"), None, "-0.5"),
        (np.float64(2.5), None, "2.5"),
    ],
)
def test_numbers_are_plain(value: float | Decimal | None, digits: int | None, text: str) -> None:
    """No power of ten, no trailing zero; what is not known is a dash."""
    assert number_text(value, digits=digits) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_is_read_back_from_its_text(value: float) -> None:
    """Unrounded, the text of a float is that float."""
    assert float(number_text(value)) == value


@pytest.mark.parametrize(
    ("time", "text"),
    [(0, "1970-01-01 00:00"), (1_706_702_400_000, "2024-01-31 12:00"), (1_706_702_401_000, "2024-01-31 12:00:01")],
)
def test_times_are_utc(time: int, text: str) -> None:
    """To the minute, and to the second where it is not a whole minute."""
    assert utc(time) == text


def test_table_in_a_pipe_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """No colour, no frame, nothing cut however wide, numbers to the right, nothing behind the last cell."""
    long = "x" * 500
    show_table(("name", ">amount"), [["a", "1"], [long, "12345.678"]], title="holdings")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "holdings"
    assert lines[1].split() == ["name", "amount"]
    assert lines[2].startswith("a ")
    assert lines[2].endswith("        1")
    assert lines[3].split() == [long, "12345.678"]
    assert not any(line != line.rstrip() or "\x1b" in line for line in lines)


def test_table_shows_control_characters_and_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What a venue calls its assets cannot move the cursor, set a colour or hide a row."""
    show_table(("asset",), [["\x1b[2Jevil"], ["[red]X[/red]"], ["a\nb"]])
    assert capsys.readouterr().out.splitlines()[1:] == ["\\x1b[2Jevil", "[red]X[/red]", "a b"]


def test_json_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN is null, a Decimal its exact text, an array a list, a view into one too."""
    columns = np.arange(6.0).reshape(3, 2)
    show_json({"a": Decimal("0.10"), "b": float("nan"), "c": np.array([1, 2]), "d": columns[:, 0], 5: None})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": "0.10", "b": None, "c": [1, 2], "d": [0.0, 2.0, 4.0], "5": None}


def test_json_of_an_unknown_type_is_a_fault() -> None:
    """What cannot be written is not guessed at."""
    with pytest.raises(TypeError):
        show_json({"a": object()})


def test_remarks_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Data and remarks never mix."""
    show_line("data")
    tell("remark\x07")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("data\n", "remark\\x07\n")


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of a nightly job is not filled with bars."""
    with progress("candles") as done:
        done(1, 2)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(program: str) -> str:
    """Run a program on a terminal of its own, 60 columns wide, and return what it printed there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    printed = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        printed += chunk
    os.close(ours)
    assert process.wait(30) == 0, printed
    return printed.decode()


@pytest.mark.parametrize(("digits", "drawn"), [("1234567890" * 3, True), ("1234567890" * 10, False)])
def test_table_on_a_terminal_cuts_no_number(digits: str, drawn: bool) -> None:
    """Text is folded beside whole numbers; where even those do not fit, every digit is still there, in order."""
    text = "a word " * 30
    printed = on_a_terminal(
        f"from tradeutils.cli.printing import show_table; show_table(('a', '>b'), [['{text}', '{digits}']])"
    )
    assert ("\x1b[1m" in printed) == drawn
    assert digits in re.sub(r"\x1b\[[0-9;]*m", "", printed)


def test_json_on_a_terminal_is_indented_and_progress_is_drawn() -> None:
    """What a person looks at is laid out for one."""
    printed = on_a_terminal(
        "from tradeutils.cli.printing import show_json, progress\n"
        "with progress('candles') as done:\n    done(1, 2)\nshow_json({'a': 1})"
    )
    assert '{\r\n  "a": 1\r\n}' in printed
    assert "candles" in printed

"""How a command ends: exit codes, and one line for each kind of failure."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import typer.main

from tradeutils import errors, logs
from tradeutils.cli import endings, main
from tradeutils.cli.endings import Loudness, one_line, run


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    yield
    logs.reset()


def ended_by(error: BaseException, loudness: Loudness | None = None) -> int:
    def command(**_: Any) -> None:
        raise error

    return run(command, [], loudness or Loudness())


def every_error() -> list[type[errors.TradeutilsError]]:
    found: list[type[errors.TradeutilsError]] = []
    open_ones = [errors.TradeutilsError]
    while open_ones:
        cls = open_ones.pop()
        if cls not in found and cls.__module__ == errors.__name__:
            found.append(cls)
            open_ones += cls.__subclasses__()
    return found


def made(cls: type[errors.TradeutilsError]) -> errors.TradeutilsError:
    if cls is errors.UnknownName:
        return cls("venue", "binanc", ["binance"])
    if cls is errors.MissingExtra:
        return cls("plotly", "chart", "a chart")
    if cls is errors.CandleFileError:
        return cls("a.csv", "is empty")
    if cls is errors.OrderUnknown:
        return cls("lost", client_id="x")
    if cls is errors.Suspended:
        return cls("its key was refused", account="alice", reason="bad key")
    return cls("what happened")


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
def test_every_error_ends_with_its_code_and_one_line(
    cls: type[errors.TradeutilsError], capsys: pytest.CaptureFixture[str]
) -> None:
    """2 where the command line or its input is wrong, 1 where something outside failed; never a traceback."""
    wrong_input = (errors.UsageError, errors.DataError, errors.MissingExtra, errors.NotSupportedByBackend)
    assert ended_by(made(cls)) == (2 if issubclass(cls, wrong_input) else 1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tradeutils: ")
    assert captured.err.count("\n") == 1


def test_message_is_one_line_without_control_characters_or_secrets() -> None:
    """A file name can hold an escape sequence, and a reply the key it was asked with."""
    assert one_line("a\nb\x1b[31m\t c\u2028d") == "a b\\x1b[31m c d"
    assert "s3cr3t" not in one_line("GET https://user:s3cr3t@host/x")


def test_system_error_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A full disk is no fault of the command line."""
    assert ended_by(OSError(28, "No space left on device", "demo.html")) == 1
    assert capsys.readouterr().err == "tradeutils: demo.html: No space left on device\n"


def test_unforeseen_error_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """It says how to see more, and that it is ours."""
    assert ended_by(KeyError("x")) == 1
    assert capsys.readouterr().err == (
        "tradeutils: KeyError: 'x'; this is a fault of tradeutils: run it again with -vv and report what it says\n"
    )


def test_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    """``-vv`` shows where it happened, and then the same line."""
    assert ended_by(KeyError("x"), Loudness(2)) == 1
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("tradeutils: KeyError: 'x'\n")


def test_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and no word, whether Python or typer tells of it."""
    assert ended_by(KeyboardInterrupt()) == 130
    assert ended_by(typer.Abort()) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("error", "code"), [(SystemExit(3), 3), (SystemExit("text"), 1), (SystemExit(None), 0)])
def test_exit_inside_a_command_keeps_its_code(error: SystemExit, code: int) -> None:
    """Older typers leave that way where a pipe broke."""
    assert ended_by(error) == code


def test_reader_that_goes_away_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """``tradeutils fetch ... | head`` ends quietly, with the code that a shell gives to SIGPIPE."""
    assert ended_by(BrokenPipeError()) == 141
    assert capsys.readouterr() == ("", "")


def test_stderr_that_is_closed_does_not_hide_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code still says it."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert ended_by(errors.UsageError("x")) == 2


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (2, 2), ("text", 0)])
def test_command_that_returns_ends_with_its_code(returned: object, code: int) -> None:
    """typer returns the code of an Exit, and otherwise what the function returned."""
    assert run(lambda **_: returned, [], Loudness()) == code


def test_codes_are_what_shells_expect() -> None:
    """Documented, so that scripts may rely on them."""
    assert (endings.FAILED, endings.USAGE, endings.INTERRUPTED, endings.BROKEN_PIPE) == (1, 2, 130, 141)


def test_interrupt_while_the_command_line_is_built_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the first tenth of a second ends with 130 too, and without a traceback."""

    def interrupted(_: typer.Typer) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(typer.main, "get_command", interrupted)
    assert main(["--version"]) == endings.INTERRUPTED
    assert capsys.readouterr() == ("", "")

"""
How the command ends: its exit code, and one line on stderr that says what to write instead.

0 done · 1 a venue, a server or a disk failed · 2 the command line or its input is wrong · 130 Ctrl-C · 141 the
reader of stdout went away.
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import typer

from tradeutils.errors import (
    DataError,
    MissingExtra,
    NotSupportedByBackend,
    TradeutilsError,
    UsageError,
)
from tradeutils.logs import redact

__all__ = ["BROKEN_PIPE", "FAILED", "INTERRUPTED", "USAGE", "Loudness", "drop_stdout", "one_line", "run"]

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141  # what a shell reports of a program that SIGPIPE ended

_WRONG_INPUT: Final = (UsageError, DataError, MissingExtra, NotSupportedByBackend)

# Newer typers bundle click and older ones import it; typer's own name for a bad value leads to the root of either.
_Refused: Final[Any] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


@dataclass(slots=True)
class Loudness:
    """How much is told on stderr: 0 results only, 1 what is being done, 2 everything, tracebacks too."""

    level: int = 0


def run(command: Callable[..., object], arguments: Sequence[str], loudness: Loudness) -> int:
    """
    Run a command line and return its exit code; whatever it raises becomes one line on stderr.

    Parameters
    ----------
    command : callable
        A click command; called with ``args``, ``prog_name``, ``standalone_mode`` and ``obj``.
    loudness : Loudness
        Set by ``-v`` while the command line is read; at 2 and above a failure is shown with its traceback.
    """
    for name in ("stdout", "stderr"):  # closed by who started us
        if getattr(sys, name) is None:
            setattr(sys, name, pathlib.Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as it lasts
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show must not end the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command(args=list(arguments), prog_name="tradeutils", standalone_mode=False, obj=loudness)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  # the last one to catch: a user gets one line, -vv the traceback
        return _end(error, loudness)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as ended:  # older typers end a broken pipe this way
        return ended.code if isinstance(ended.code, int) else FAILED if ended.code else 0
    return code if isinstance(code, int) else 0


def _end(error: Exception, loudness: Loudness) -> int:
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        drop_stdout()
        return BROKEN_PIPE
    if loudness.level >= 2:
        _tell(redact("".join(traceback.format_exception(error))))
    if isinstance(error, _Refused):
        _tell(f"tradeutils: {one_line(_refusal(error))}\n")
        return USAGE
    if isinstance(error, TradeutilsError):
        _tell(f"tradeutils: {one_line(str(error))}\n")
        return USAGE if isinstance(error, _WRONG_INPUT) else FAILED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"tradeutils: {one_line(where + (error.strerror or str(error)))}\n")
        return FAILED
    hint = (
        "" if loudness.level >= 2 else "; this is a fault of tradeutils: run it again with -vv and report what it says"
    )
    _tell(f"tradeutils: {type(error).__name__}: {one_line(str(error))}{hint}\n")
    return FAILED


def _refusal(error: Any) -> str:
    """Return click's own message and where the right words stand."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tradeutils"
    return f"{str(error.format_message()).rstrip('.')}; see {path} --help"


def one_line(text: str) -> str:
    """Return ``text`` as one line for a terminal: no line breaks, no control characters, no secret."""
    folded = " ".join(redact(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in folded)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads stderr, or it was closed: the exit code still says it
        sys.stderr.write(text)
        sys.stderr.flush()


def drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit does not fail again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

"""Loggers that redact at the source, and their output."""

from __future__ import annotations

import datetime as dt
import json as _json
import logging
import re
import sys
import threading
from collections.abc import Iterable
from typing import Any, Final, TextIO

from tradeutils.errors import UnknownName, UsageError
from tradeutils.logs.redaction import Revealing, as_text, printable, protect, redact, scrub

__all__ = ["get_logger", "reset", "setup"]

TREE: Final = "tradeutils"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

logging.getLogger(TREE).addHandler(logging.NullHandler())


def get_logger(room: str) -> logging.Logger:
    """
    Return the logger ``tradeutils.<room>``, redacting at the source.

    Before any handler sees a record its message is formatted and its message, extras, stack and exception text are
    redacted; where the exception held a secret, handlers get its redacted text alone. A disabled level costs what it
    costs in ``logging``.

    Parameters
    ----------
    room : str
        ``"exchange"``, ``"exchange.binance"``, or a module's ``__name__`` below ``tradeutils``.

    Raises
    ------
    UsageError : not a dotted name.
    """
    if not isinstance(room, str) or not re.fullmatch(r"\w+(\.\w+)*", room):
        raise UsageError(f"room was {room!r}; write a dotted name, such as 'exchange'")
    name = room if f"{room}.".startswith(f"{TREE}.") else f"{TREE}.{room}"
    logger = logging.getLogger(name)
    logger.addFilter(_AT_SOURCE)  # adding it twice changes nothing
    return logger


def setup(
    level: str | int = "INFO",
    *,
    json: bool = False,
    stream: TextIO | None = None,
    secrets: Iterable[str | Revealing] = (),
) -> logging.Logger:
    """
    Write the library's logs to a stream; called again it replaces what it set before.

    Only the ``tradeutils`` logger is changed. Records also go on to the handlers of the root logger, where the
    application has some. Thread-safe.

    Parameters
    ----------
    level : str or int
        ``"DEBUG"``, ``"INFO"``, ``"WARNING"``, ``"ERROR"``, ``"CRITICAL"`` (any case), or a number of ``logging``'s.
    json : bool
        One object a line: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, and where there are any
        ``extra``, ``exception`` and ``stack``. Otherwise text: control characters and line ends of a message are
        escaped, so that nothing a venue answers looks like a record of its own.
    stream : text stream, optional
        Default: ``sys.stderr`` as it is when a record is written.
    secrets : iterable of str or Revealing
        Given to :func:`protect`.

    Returns
    -------
    logging.Logger
        The logger ``tradeutils``.

    Raises
    ------
    UnknownName : no such level.
    UsageError : ``secrets`` is one string, or holds what is no secret.
    """
    number = _level_number(level)
    if isinstance(secrets, str):
        del secrets
        raise UsageError("secrets was one string; give a list of secrets, such as settings.secrets()")
    protect(*secrets)
    logger = logging.getLogger(TREE)
    with _setup_lock:
        _output.aim(stream, _JsonFormatter() if json else _TextFormatter())
        logger.addHandler(_output)
        logger.setLevel(number)
    return logger


def reset() -> None:
    """Undo :func:`setup`: the library is silent again. Protected values stay protected."""
    logger = logging.getLogger(TREE)
    with _setup_lock:
        logger.removeHandler(_output)
        logger.setLevel(logging.NOTSET)


def _level_number(level: str | int) -> int:
    if isinstance(level, int) and not isinstance(level, bool) and level > 0:
        return level
    if not isinstance(level, str) or level.upper() not in LEVELS:
        raise UnknownName("log level", level, LEVELS)
    return logging.getLevelNamesMapping()[level.upper()]


_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_exceptions: Final = logging.Formatter()


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a caller added with ``extra=``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - wrong arguments of a log call must not stop a bot
        return f"{as_text(record.msg)} (its arguments do not fit: {type(error).__name__})"


def _exception(record: logging.LogRecord) -> str:
    """Return the text of a record's exception, as it came; empty where there is none."""
    if record.exc_text:
        return record.exc_text
    return _exceptions.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class _AtSource(logging.Filter):
    """Redacts records where they are made."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            self._clean(record)
        except Exception as error:  # noqa: BLE001 - what cannot be redacted is not let through, nor does it stop a bot
            for name in _extras(record):
                del record.__dict__[name]
            record.msg = f"a record could not be redacted and is left out: {type(error).__name__}"
            record.args, record.exc_info, record.exc_text, record.stack_info = (), None, None, None
        return True

    @staticmethod
    def _clean(record: logging.LogRecord) -> None:
        record.msg, record.args = redact(_message(record)), ()
        raw = _exception(record)
        if raw:
            record.exc_text = redact(raw)
            if record.exc_text != raw:
                record.exc_info = None  # a handler that formats it again would write the secret
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        extras = _extras(record)
        clean = scrub(extras)  # its names too: what a secret stood under is dropped
        for name in extras:
            del record.__dict__[name]
        record.__dict__.update(clean)


_AT_SOURCE: Final = _AtSource()


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class _TextFormatter(logging.Formatter):
    """``2024-05-01T12:00:00.000Z INFO tradeutils.exchange: message key="value"``, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(
            f" {name}={_json.dumps(value, ensure_ascii=False)}" for name, value in scrub(_extras(record)).items()
        )
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record)}{extras}"
        below = "\n".join(part for part in (_exception(record), record.stack_info) if part)
        lines = [printable(line), printable(below, keep="\n\t")] if below else [printable(line)]
        return redact("\n".join(lines))


class _JsonFormatter(logging.Formatter):
    """One JSON object, in ASCII: no character of a message can end the line or be refused by a stream."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "extra": _extras(record),
            "exception": _exception(record),
            "stack": record.stack_info,
        }
        clean = scrub({name: value for name, value in entry.items() if value or name == "message"})
        return _json.dumps(clean)


class _Output(logging.Handler):
    """Writes formatted records to a stream, which may be changed between two records."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: TextIO | None = None

    def aim(self, stream: TextIO | None, formatter: logging.Formatter) -> None:
        """Write to another stream, in another format, from the next record on."""
        self.acquire()
        try:
            self._stream, self.formatter = stream, formatter
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n"
            stream = sys.stderr if self._stream is None else self._stream
            if stream is None:
                return  # a process without a console
            try:
                stream.write(line)
            except UnicodeEncodeError:
                encoding = getattr(stream, "encoding", None) or "ascii"
                stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except Exception:  # noqa: BLE001 - handleError says so; a full disk must not stop a bot
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a record was lost; logging's own version would print its arguments."""
        error = sys.exc_info()[1]
        if logging.raiseExceptions and sys.stderr is not None:
            try:
                sys.stderr.write(f"tradeutils.logs: a record of {record.name} was lost: {type(error).__name__}\n")
            except (OSError, ValueError):
                return


_output: Final = _Output()
_setup_lock: Final = threading.Lock()

"""Recorded sessions of websockets, as others keep them in files."""

from __future__ import annotations

import gzip
import io
import math
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from tradeutils.errors import DataError, UsageError
from tradeutils.sim.arming import shown

__all__ = ["SNAPSHOT", "RecordedFrame", "Recording", "channel_of", "read_recording", "read_text"]

Recording: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Iterable[tuple[float, str]]
"""A file, several that are merged by time, or (seconds, text) of each message."""

_NANOSECONDS: Final = re.compile(r"(\d{15,20}) ([\[{].*)")
_SECONDS: Final = re.compile(r"(\d{9,11}(?:\.\d+)?): (.*)")
_NOT_TOLD: Final = ("wss://", "ws://", "https://", "http://")  # what was opened, asked and sent
_GZIP: Final = b"\x1f\x8b"
SNAPSHOT: Final = "REST"
"""The channel of order books that some write between the messages."""
_MAX_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """
    A message as the venue sent it; ``channel`` is `SNAPSHOT` of an order book that was asked for over REST.

    Attributes
    ----------
    time : float
        When it was received, seconds since the epoch.
    channel : str
        What it is about, in the venue's words; ``""`` where it does not say, as of answers.
    text : str
        All of it.
    """

    time: float
    channel: str
    text: str


def read_recording(recording: Recording) -> list[RecordedFrame]:
    """
    Return the messages of a recording in the order of time.

    Files hold a message a line, gzipped or not: ``<nanoseconds> <json>`` or ``<seconds>: <json>``; lines that begin
    with an address tell what was sent, and are left out.

    Raises
    ------
    DataError : a line that is neither; nothing recorded.
    UsageError : a file that is not there; a message at hand that is not a time and a text.
    """
    given = [recording] if isinstance(recording, str | os.PathLike) else list(recording)
    files = [one for one in given if isinstance(one, str | os.PathLike)]
    plain = [_message(one) for one in given if not isinstance(one, str | os.PathLike)]
    messages = [*plain, *(message for file in files for message in _read(file))]
    frames = [RecordedFrame(float(time), channel_of(text), text) for time, text in messages]
    if not frames:
        raise DataError("a recording held no message; give a file of them, or (seconds, text) of each")
    return sorted(frames, key=lambda frame: frame.time)


def _message(given: object) -> tuple[float, str]:
    """Return a message at hand, or raise `UsageError` where it is none."""
    match given:
        case (int() | float() as time, str() as text) if math.isfinite(time):
            return float(time), text
    raise UsageError(f"a recorded message was {shown(given)}; write (seconds since the epoch, text)")


def _read(file: str | os.PathLike[str]) -> Iterator[tuple[float, str]]:
    path = pathlib.Path(file)
    for number, line in enumerate(io.StringIO(read_text(path)), start=1):
        text = line.rstrip("\r\n")
        nanoseconds, seconds = _NANOSECONDS.fullmatch(text), _SECONDS.fullmatch(text)
        if nanoseconds is not None:
            yield int(nanoseconds[1]) / 1e9, nanoseconds[2]
        elif seconds is not None:
            yield float(seconds[1]), seconds[2]
        elif text.strip() and not text.startswith(_NOT_TOLD):
            raise DataError(f"line {number} of {path.name} was {text[:60]!r}; write '<ns> <json>' or '<s>: <json>'")


def read_text(file: str | os.PathLike[str]) -> str:
    """Return the text of a file, gzipped or not; raise `UsageError` or `DataError` where it has none."""
    path = pathlib.Path(file)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the recording was {path.name!r}, which cannot be read ({error.strerror})") from error
    try:
        if raw.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
                raw = unpacked.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise DataError(f"the recording {path.name!r} is longer than 1 GiB; cut it")
        return raw.decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"the recording {path.name!r} is no text, or cut short: {error}") from error


def channel_of(text: str) -> str:
    """Return what a message is about, as far as it says in one of the ways that venues have."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(message, list):  # kraken's first version: number, data, channel, pair
        return f"{message[-2]} {message[-1]}" if len(message) > 3 and isinstance(message[-2], str) else ""
    return _channel_of_object(message) if isinstance(message, dict) else ""


def _channel_of_object(message: dict[str, Any]) -> str:
    argument, parameters = message.get("arg"), message.get("params")
    if isinstance(argument, dict) and "event" not in message:
        return ":".join(str(argument[name]) for name in ("channel", "instId") if name in argument)
    if isinstance(parameters, dict) and "channel" in parameters:
        return str(parameters["channel"])
    if "lastUpdateId" in message and "bids" in message and "stream" not in message:
        return SNAPSHOT
    for name in ("stream", "topic", "ch", "channel"):
        if isinstance(message.get(name), str):
            return str(message[name])
    if isinstance(message.get("e"), str) and isinstance(message.get("s"), str):
        return f"{message['s'].lower()}@{message['e']}"
    if isinstance(message.get("type"), str) and isinstance(message.get("product_id"), str):
        return f"{message['type']} {message['product_id']}"
    return ""

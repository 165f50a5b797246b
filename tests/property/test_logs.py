"""A protected secret is in no output, whatever carries it."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tradeutils import logs
from tradeutils.logs import redaction

# What every record holds by itself cannot be told from a secret that happens to spell it.
OURS = (
    "Traceback (most recent call last):\\nNoneType tradeutils.property ERROR exception message extra level logger time"
)


def secrets() -> st.SearchStrategy[str]:
    return st.text(min_size=8, max_size=40).filter(lambda value: len(set(value)) > 3 and value not in OURS)


def carriers(secret: str) -> st.SearchStrategy[Any]:
    """Return values that hold a secret: in a string, a container, an exception, bytes, to any depth."""
    around = st.text(max_size=8)
    held = st.builds(lambda before, after: f"{before}{secret}{after}", around, around)
    leaves = held | st.builds(lambda text: text.encode("utf-8", "surrogatepass"), held)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(held, inner, min_size=1, max_size=2)
            | st.builds(lambda value: (value,), inner)
            | st.builds(ValueError, inner)
            | st.builds(repr, inner)
            | st.builds(lambda value: json.dumps(value, default=str, skipkeys=True), inner)
        ),
        max_leaves=4,
    )


def exceptions(secret: str) -> st.SearchStrategy[Exception]:
    """Return exceptions that hold a secret in their arguments, notes, causes, contexts or groups."""

    def chained(outer: Exception, inner: Exception, how: str) -> Exception:
        if how == "cause":
            outer.__cause__ = inner
        elif how == "context":
            outer.__context__ = inner
        elif how == "note":
            outer.add_note(str(inner))
        else:
            return ExceptionGroup(f"group of {secret}", [outer, inner])
        return outer

    plain = st.builds(RuntimeError, carriers(secret))
    hows = st.sampled_from(["cause", "context", "note", "group"])
    return st.recursive(plain, lambda inner: st.builds(chained, plain, inner, hows), max_leaves=3)


def raised(error: Exception) -> Exception:
    """Return the error with a traceback of its own."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever was made up
        return caught


def strings(value: Any) -> list[str]:
    """Return every string in a JSON value, keys among them."""
    if isinstance(value, dict):
        return [text for key, entry in value.items() for text in (key, *strings(entry))]
    if isinstance(value, list):
        return [text for entry in value for text in strings(entry)]
    return [str(value)]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("through_our_logger", [False, True])
@given(data=st.data())
def test_planted_secret_is_in_no_output(as_json: bool, through_our_logger: bool, data: st.DataObject) -> None:
    """Message, arguments, extras and nested exceptions are searched, in text and in JSON, from any logger."""
    secret = data.draw(secrets())
    message = data.draw(st.sampled_from(["%s", "%r", "%s %s", "x"])) + data.draw(st.just("") | st.just(" " + secret))
    assume("%" not in message.removeprefix("%s").removeprefix("%r").removeprefix(" %s"))
    args = data.draw(st.lists(carriers(secret), min_size=message.count("%"), max_size=message.count("%")))
    extra = data.draw(st.dictionaries(st.sampled_from(["body", "url"]) | st.just(secret), carriers(secret), max_size=2))
    error = data.draw(st.none() | exceptions(secret))
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_known", {})
        patch.setattr(redaction, "_by_head", {})
        logs.setup("DEBUG", json=as_json, stream=stream, secrets=[secret])
        logger = logs.get_logger("property") if through_our_logger else logging.getLogger("tradeutils.plain")
        logger.error(message, *args, extra=extra, exc_info=raised(error) if error else None)
        logs.reset()
    written = stream.getvalue()
    assert written
    assert secret not in written
    if as_json:
        assert not any(secret in text for text in strings(json.loads(written)))


@given(data=st.data())
def test_redacted_text_holds_no_protected_value(data: st.DataObject) -> None:
    """Whatever several values and their surroundings make up together, none is left whole."""
    alphabet = st.text(alphabet="ab*:/@=", min_size=4, max_size=8)
    values = data.draw(st.lists(alphabet, min_size=1, max_size=4))
    pieces = data.draw(st.lists(st.sampled_from(values) | st.text(alphabet="ab*:/@= ", max_size=4), max_size=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_known", {})
        patch.setattr(redaction, "_by_head", {})
        logs.protect(*values)
        clean = logs.redact("".join(pieces))
    assert not [value for value in values if value in clean]


@given(st.text(), st.text(alphabet="secrtpwdsignauhoizkyAPI-_=:&\"'\\%,;[]{}() \n*.@/", max_size=200))
def test_redaction_accepts_any_text(plain: str, crafted: str) -> None:
    """No text breaks it, and what was masked stays masked."""
    for text in (plain, crafted, f"apiKey={plain}", f'"secret": "{crafted}"'):
        assert isinstance(logs.redact(text), str)
    value = "".join(character for character in plain if character.isalnum())
    assume(len(value) > 3)
    assert f"signature={value}" not in logs.redact(f"{crafted}?signature={value}&x")

"""Logs: set up on request, for the library's own tree alone, and without secrets."""

from __future__ import annotations

import asyncio
import decimal
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tradeutils import logs
from tradeutils.errors import UnknownName, UsageError
from tradeutils.logs import redaction
from tradeutils.settings import Secret, SecretUrl

PLANTED = "pLaNtEd" + "0123456789"


@pytest.fixture(autouse=True)
def _as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave neither a handler nor a protected value behind."""
    monkeypatch.setattr(redaction, "_known", {})
    monkeypatch.setattr(redaction, "_by_head", {})
    yield
    logs.reset()


@pytest.fixture
def text() -> io.StringIO:
    """Set up text output and return what is written."""
    stream = io.StringIO()
    logs.setup("DEBUG", stream=stream)
    return stream


@pytest.fixture
def lines() -> io.StringIO:
    """Set up JSON output and return what is written."""
    stream = io.StringIO()
    logs.setup("DEBUG", json=True, stream=stream)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    """Return the one JSON object that was written."""
    (line,) = stream.getvalue().splitlines()
    entry: dict[str, Any] = json.loads(line)
    return entry


class Mute:
    """An object that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class TestSetup:
    def test_library_is_silent_until_set_up(self) -> None:
        """In a fresh process not even an error reaches stderr, from the library's logs or its settings."""
        code = (
            "import tradeutils.logs as logs, tradeutils.settings, logging\n"
            "logs.get_logger('x').error('loud')\n"
            "logging.getLogger('tradeutils.settings').error('loud')\n"
            "assert not logging.getLogger().handlers\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == ""

    def test_setup_leaves_the_root_logger_alone(self) -> None:
        """Handlers and level of the root logger are the application's."""
        root = logging.getLogger()
        before = (list(root.handlers), root.level)
        logger = logs.setup("DEBUG", stream=io.StringIO())
        assert (list(root.handlers), root.level) == before
        assert logger.name == "tradeutils"
        assert logger.propagate

    def test_setup_twice_replaces_what_was_set(self) -> None:
        """The second call's level, format and stream count; nothing is written twice."""
        first, second = io.StringIO(), io.StringIO()
        logs.setup("DEBUG", stream=first)
        logs.setup("error", json=True, stream=second)
        logger = logs.get_logger("exchange")
        logger.warning("quiet")
        logger.error("loud")
        assert first.getvalue() == ""
        assert only(second)["message"] == "loud"

    def test_reset_makes_the_library_silent_again(self, text: io.StringIO) -> None:
        """After it no record is written and the tree's level is as before."""
        logs.reset()
        logs.get_logger("exchange").error("loud")
        assert text.getvalue() == ""
        assert logging.getLogger("tradeutils").level == logging.NOTSET

    def test_default_stream_is_stderr_of_the_moment(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Redirecting ``sys.stderr`` after the set-up is followed; without a console nothing fails."""
        logs.setup()
        logs.get_logger("exchange").info("one")
        later = io.StringIO()
        monkeypatch.setattr(sys, "stderr", later)
        logs.get_logger("exchange").info("two")
        monkeypatch.setattr(sys, "stderr", None)
        logs.get_logger("exchange").info("three")
        assert "one" in capsys.readouterr().err
        assert later.getvalue().endswith("tradeutils.exchange: two\n")

    @pytest.mark.parametrize("level", ["inf", "", None, 0, -1, True, 1.5])
    def test_misspelt_level_names_the_nearest(self, level: Any) -> None:
        """A level is one of five names or a positive number."""
        with pytest.raises(UnknownName, match="log level was"):
            logs.setup(level)

    def test_level_may_be_a_number(self) -> None:
        """The numbers of ``logging`` are levels too."""
        assert logs.setup(logging.ERROR, stream=io.StringIO()).level == logging.ERROR

    def test_setup_protects_secrets(self, text: io.StringIO) -> None:
        """What is given as ``secrets`` does not appear from then on."""
        logs.setup(stream=text, secrets=[Secret(PLANTED)])
        logs.get_logger("exchange").info("it is %s", PLANTED)
        assert text.getvalue().endswith("it is ***\n")

    @pytest.mark.parametrize("secrets", [PLANTED, [5], [None], [PLANTED.encode()]])
    def test_what_is_no_secret_is_refused_without_showing_it(self, secrets: Any) -> None:
        """One string would be taken for its letters; a number has no text to search for."""
        with pytest.raises(UsageError) as caught:
            logs.setup(secrets=secrets)
        assert PLANTED not in str(caught.value)

    @pytest.mark.parametrize(
        ("room", "name"),
        [
            ("exchange", "tradeutils.exchange"),
            ("exchange.binance", "tradeutils.exchange.binance"),
            ("tradeutils.cache.redis", "tradeutils.cache.redis"),
            ("tradeutils", "tradeutils"),
            ("tradeutilsx", "tradeutils.tradeutilsx"),
        ],
    )
    def test_loggers_are_named_by_room(self, room: str, name: str) -> None:
        """A room's name and a module's ``__name__`` lead to the same logger."""
        assert logs.get_logger(room).name == name
        assert logs.get_logger(room) is logging.getLogger(name)

    @pytest.mark.parametrize("room", ["", ".", "a b", "a..b", None])
    def test_logger_without_a_name_is_refused(self, room: Any) -> None:
        """An empty or undotted name would log elsewhere than meant."""
        with pytest.raises(UsageError, match="room was"):
            logs.get_logger(room)


class TestText:
    def test_line_holds_utc_time_level_logger_message_and_extras(self, text: io.StringIO) -> None:
        """Milliseconds UTC, and extras as ``key=value``."""
        logs.get_logger("exchange").info("fetched %d", 500, extra={"symbol": "BTC/USDT", "weight": 2})
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO tradeutils\.exchange: fetched 500"
            r' symbol="BTC/USDT" weight=2\n',
            text.getvalue(),
        )

    def test_time_is_the_records_own_in_utc(self, lines: io.StringIO) -> None:
        """A record made at the epoch is stamped with it."""
        made = {"name": "tradeutils.x", "msg": "m", "created": 0.0015, "levelname": "INFO", "levelno": logging.INFO}
        record = logging.makeLogRecord(made)
        logging.getLogger("tradeutils").handle(record)
        assert only(lines)["time"] == "1970-01-01T00:00:00.001Z"

    def test_message_cannot_forge_a_record_or_move_the_cursor(self, text: io.StringIO) -> None:
        """Line ends and control characters of a venue's answer are escaped."""
        logs.get_logger("exchange").info("a\n2024 CRITICAL b\r\x1b[2J\u2028c", extra={"body": "d\u202ee\n"})
        (line,) = text.getvalue().splitlines()
        assert r"a\n2024 CRITICAL b\r\x1b[2J\u2028c" in line
        assert line.isprintable()

    def test_exception_and_stack_follow_on_lines_of_their_own(self, text: io.StringIO) -> None:
        """A traceback keeps its lines, without control characters."""
        try:
            raise ValueError("bad\x1b[2J")
        except ValueError:
            logs.get_logger("exchange").exception("failed", stack_info=True)
        written = text.getvalue()
        assert "\nTraceback (most recent call last):\n" in written
        assert "ValueError: bad\\x1b[2J\n" in written
        assert "\nStack (most recent call last):\n" in written

    def test_stream_that_lacks_a_character_gets_its_escape(self) -> None:
        """An ASCII console loses nothing."""
        raw = io.BytesIO()
        logs.setup(stream=io.TextIOWrapper(raw, encoding="ascii"))
        logs.get_logger("exchange").info("10 €")
        assert raw.getvalue().endswith(b"10 \\u20ac\n")


class TestJson:
    def test_object_holds_all_parts(self, lines: io.StringIO) -> None:
        """Time, level, logger, message, extras, exception and stack, each under its name."""
        try:
            raise ValueError("bad")
        except ValueError:
            logs.get_logger("exchange").exception("failed\n%s", "x", extra={"symbol": "BTC/USDT"}, stack_info=True)
        entry = only(lines)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert (entry["level"], entry["logger"], entry["message"]) == ("ERROR", "tradeutils.exchange", "failed\nx")
        assert entry["extra"] == {"symbol": "BTC/USDT"}
        assert entry["exception"].endswith("ValueError: bad")
        assert entry["stack"].startswith("Stack (most recent call last):")

    def test_object_leaves_out_what_there_is_not(self, lines: io.StringIO) -> None:
        """A plain record has four fields, an empty message among them."""
        logs.get_logger("exchange").info("")
        assert set(only(lines)) == {"time", "level", "logger", "message"}

    def test_every_kind_of_extra_is_valid_json(self, lines: io.StringIO) -> None:
        """What JSON lacks becomes text; nothing breaks the line."""
        nested: Any = "deep"
        for _ in range(20):
            nested = [nested]
        extra = {
            "price": decimal.Decimal("0.10"), "nan": float("nan"), "huge": 10**5000, "raw": b"\xff", "none": None,
            "flag": True, "set": {1}, "map": {1: (2.5, "\ud800")}, "mute": Mute(), "nested": nested,
        }  # fmt: skip
        logs.get_logger("exchange").info("m", extra=extra)
        found = only(lines)["extra"]
        assert (found["price"], found["nan"], found["none"], found["flag"]) == ("0.10", "nan", None, True)
        assert (found["set"], found["map"], found["raw"]) == ([1], {"1": [2.5, "\\ud800"]}, "b'\\xff'")
        assert "cannot be printed" in found["huge"]
        assert "cannot be printed" in found["mute"]
        assert "deep" in str(found["nested"])


class TestRobust:
    @pytest.mark.parametrize("args", [("%d", "x"), ("%s %s", 1), ("%(a)s", {"b": 1}), ("%s", Mute()), (Mute(),)])
    def test_wrong_arguments_never_reach_the_caller(self, args: tuple[Any, ...], text: io.StringIO) -> None:
        """A bot does not stop for a log call; the record is written with what is known."""
        logs.get_logger("exchange").info(*args)
        assert text.getvalue().count("\n") == 1

    def test_record_that_cannot_be_redacted_is_left_out(self, text: io.StringIO) -> None:
        """A mapping that fails while it is read takes the record's content with it, and says so."""

        class Broken(dict[str, str]):
            def items(self) -> Any:
                raise RuntimeError(PLANTED)

        logs.get_logger("exchange").error(PLANTED, extra={"broken": Broken()}, exc_info=ValueError(PLANTED))
        assert text.getvalue().endswith("a record could not be redacted and is left out: RuntimeError\n")
        assert PLANTED not in text.getvalue()

    def test_lost_record_is_reported_without_its_content(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``logging`` would print the arguments; here only the logger and the reason are."""
        stream = io.StringIO()
        logs.setup(stream=stream)
        stream.close()
        logs.get_logger("exchange").info("key %s", PLANTED)
        assert capsys.readouterr().err == "tradeutils.logs: a record of tradeutils.exchange was lost: ValueError\n"
        monkeypatch.setattr(sys, "stderr", stream)
        logs.get_logger("exchange").info("stderr is closed too")
        monkeypatch.setattr(logging, "raiseExceptions", False)
        logs.get_logger("exchange").info("and nobody wants to know")

    def test_no_exception_to_report_is_no_error(self, lines: io.StringIO) -> None:
        """``exc_info=True`` outside a handler adds nothing."""
        logs.get_logger("exchange").info("m", exc_info=True)
        assert "exception" not in only(lines)

    def test_many_threads_write_whole_lines(self, lines: io.StringIO) -> None:
        """Records of eight threads, with secrets being added and the set-up repeated, never mix."""

        def work(number: int) -> None:
            for turn in range(50):
                secret = f"secret-{number}-{turn}-of-thread"
                logs.protect(secret)
                logs.get_logger("exchange").info("%s %s", number, secret)
                logs.setup("DEBUG", json=True, stream=lines)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        messages = [json.loads(line)["message"] for line in lines.getvalue().splitlines()]
        assert sorted(messages) == sorted(f"{number} ***" for number in range(8) for _ in range(50))


class TestAtSource:
    def test_other_handlers_get_redacted_records(self, caplog: pytest.LogCaptureFixture) -> None:
        """A handler of the application's own sees clean message, extras, exception and stack."""
        logs.protect(PLANTED)
        try:
            raise ValueError(f"body {PLANTED}")
        except ValueError:
            logs.get_logger("exchange").exception(
                "url %s", f"/x?signature={PLANTED}", extra={PLANTED: 1, "body": [PLANTED]}, stack_info=True
            )
        (record,) = caplog.records
        assert record.getMessage() == "url /x?signature=***"
        assert PLANTED not in str(vars(record))
        assert PLANTED not in caplog.text
        assert "ValueError: body ***" in caplog.text

    def test_clean_exception_stays_for_other_handlers(self, caplog: pytest.LogCaptureFixture) -> None:
        """Error trackers keep the exception itself where it holds no secret."""
        error = ValueError("harmless")
        logs.get_logger("exchange").error("m", exc_info=error)
        (record,) = caplog.records
        assert record.exc_info
        assert record.exc_info[1] is error

    def test_secret_in_a_task_log_is_redacted(self, caplog: pytest.LogCaptureFixture) -> None:
        """Records made inside an asyncio task are redacted as others are."""
        logs.protect(PLANTED)

        async def work() -> None:
            logs.get_logger("exchange").warning("key %s", PLANTED)

        asyncio.run(work())
        assert "key ***" in caplog.messages

    def test_logger_got_elsewhere_is_redacted_by_our_output(self, text: io.StringIO) -> None:
        """A plain ``logging.getLogger`` below ``tradeutils`` is covered by the handler."""
        logs.protect(PLANTED)
        try:
            raise ValueError(PLANTED)
        except ValueError:
            logging.getLogger("tradeutils.plain").exception("m %s", PLANTED, extra={"body": PLANTED}, stack_info=True)
        assert PLANTED not in text.getvalue()
        assert 'tradeutils.plain: m *** body="***"' in text.getvalue()


class TestRedactByName:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            ("GET /account?timestamp=1&signature=abc&x=1", "GET /account?timestamp=1&signature=***&x=1"),
            ("X-MBX-APIKEY: abc", "X-MBX-APIKEY: ***"),
            ("{'X-MBX-APIKEY': 'abc', 'a': 1}", "{'X-MBX-APIKEY': '***', 'a': 1}"),
            ("(b'X-MBX-APIKEY', b'abc')", "(b'X-MBX-APIKEY', b'***')"),
            ("{'API-Key': 'abc', 'API-Sign': 'abc=='}", "{'API-Key': '***', 'API-Sign': '***'}"),
            ("{'OK-ACCESS-SIGN': 'a', 'OK-ACCESS-PASSPHRASE': 'b'}", None),
            ("{'KC-API-SIGN': 'a', 'KC-API-PASSPHRASE': 'b', 'X-BAPI-SIGN': 'c'}", None),
            ('{"listenKey": "abc"}', '{"listenKey": "***"}'),
            (r"{\"listenKey\":\"abc\",\"e\":1}", r"{\"listenKey\":\"***\",\"e\":1}"),
            ("apiKey=abc, secret=def", "apiKey=***, secret=***"),
            ('{"secret": "a\\"bc"}', '{"secret": "***"}'),
            ("{'privateKey': [\"abc\"]}", "{'privateKey': [\"***\"]}"),
            ("url%3Dx%26signature%3Dabc&y", "url%3Dx%26signature%3D***&y"),
            ("password: abc", "password: ***"),
            ('{"apiKey": 123}', '{"apiKey": ***}'),
            ("Authorization: Basic dXNlcjpwdw==\nHost: h", "Authorization: ***\nHost: h"),
            ("{'Authorization': 'Bearer abc'}", "{'Authorization': '***'}"),
            ("Cookie: a=b; c=d", "Cookie: ***"),
            ("got Bearer abcdefghijklmnop1 back", "got Bearer *** back"),
            ("jwt eyJhbGciOiJIUz.eyJzdWIiOiIx.abc-_ end", "jwt *** end"),
            ("wss://ws-api.kucoin.com/?token=2neAiuYvAU61ZDXANAGAsiL4&x=1", "wss://ws-api.kucoin.com/?token=***&x=1"),
            ("redis://user:pw@host:6379/0", "redis://user:***@host:6379/0"),
            ("redis://:p@w@host", "redis://:***@host"),
            ("https://token@host/x", "https://***@host/x"),
            ("wss://stream.binance.com:9443/ws/" + "a1" * 30, "wss://stream.binance.com:9443/ws/***"),
            ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nx", "***\nx"),
            ("cut -----BEGIN PRIVATE KEY-----\nabc", "cut ***"),
        ],
    )
    def test_what_looks_like_a_secret_is_masked(self, text: str, clean: str | None) -> None:
        """The value goes, names and structure stay; a second time changes nothing."""
        found = logs.redact(text)
        if clean is None:
            assert re.findall(r": '([^']*)'", found) == ["***"] * text.count(": ")
        else:
            assert found == clean
        assert logs.redact(found) == found

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "fetched 500 candles of BTC/USDT 1h in 0.21 s",
            'binance {"code":-2014,"msg":"API-key format invalid."}',
            "signal: buy, significant=3, design=x, signed: True",
            "tokens: 5, token: PEPE, token=BTC",
            "key='ticker:BTC/USDT' monkey=1",
            "wss://stream.binance.com:9443/ws/btcusdt@ticker",
            "http://127.0.0.1:8080/api/v3/klines?symbol=BTCUSDT",
            "redis://localhost:6379/0 mail@example.org",
            "basic configuration, author: me, accessed 3 keys",
        ],
    )
    def test_ordinary_text_stays(self, text: str) -> None:
        """What a log is read for is not masked."""
        assert logs.redact(text) == text

    def test_named_values_in_extras_are_masked_whole(self, lines: io.StringIO) -> None:
        """A mapping's secret names mask whatever stands under them."""
        headers = {"X-MBX-APIKEY": ["a b"], "Authorization": {"x": "y"}, "token": "BTC", "Host": "h"}
        logs.get_logger("exchange").info("m", extra={"headers": headers, "apiKey": "a b"})
        assert only(lines)["extra"] == {
            "headers": {"X-MBX-APIKEY": "***", "Authorization": "***", "token": "***", "Host": "h"},
            "apiKey": "***",
        }

    def test_hostile_text_is_redacted_in_linear_time(self) -> None:
        """Half a megabyte made to confuse each pattern ends at all (quadratic patterns would take minutes)."""
        for piece in ("apikey", "a", "://a:", "-----BEGIN PRIVATE KEY-----", '\\"', 'secret="', "eyJ", "token=", "-_"):
            assert isinstance(logs.redact(piece * (500_000 // len(piece))), str)


class TestRedactByValue:
    @pytest.mark.parametrize("secret", [Secret(PLANTED), PLANTED])
    def test_protected_value_is_masked_everywhere(self, secret: Secret | str) -> None:
        """Wherever it stands, without a name beside it."""
        logs.protect(secret)
        assert logs.redact(f"a{PLANTED}b {PLANTED}") == "a***b ***"

    def test_every_escaping_of_a_value_is_masked(self) -> None:
        """URL-encoded, in base64, and as repr and JSON write it, twice over."""
        value = "p&ss 'wörd\"\\\n\x1b\u20ac/+"
        logs.protect(value)
        for written in (
            value, repr(value), ascii(value), repr({"a": value}), repr(value.encode()), repr([repr(value)]),
            json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(json.dumps({"a": value})),
            "p%26ss+%27w%C3%B6rd%22%5C%0A%1B%E2%82%AC%2F%2B", "p%26ss%20%27w%C3%B6rd%22%5C%0A%1B%E2%82%AC%2F%2B",
            "cCZzcyAnd8O2cmQiXAob4oKsLys=",
        ):  # fmt: skip
            clean = logs.redact(written)
            assert "ss" not in clean, written
            assert "rd" not in clean, written

    def test_each_line_of_a_long_value_is_masked(self) -> None:
        """An exception group indents the lines of a private key."""
        logs.protect("-----BEGIN X-----\nfirst-line\nsecond-line\n-----END X-----")
        assert logs.redact("  | first-line\n  | second-line") == "  | ***\n  | ***"

    def test_password_of_a_url_is_masked_by_itself(self) -> None:
        """A driver's own error may name the password without the URL."""
        logs.protect(SecretUrl("redis://bot:hun%2Fter2@localhost:6379/0"))
        assert logs.redact("wrong hun/ter2 or hun%2Fter2 at redis://localhost:6379/0") == (
            "wrong *** or *** at redis://localhost:6379/0"
        )

    def test_overlapping_values_leave_none_whole(self) -> None:
        """The longer goes first, and what a mask makes up with its neighbours goes too."""
        logs.protect("abcd", "abcdefgh", "x***y***", "*****")
        assert logs.redact("abcdefgh abcd") == "*** ***"
        assert logs.redact("xabcdyabcd") == "***"
        assert "*****" not in logs.redact("*" * 50)

    def test_value_too_short_to_search_for_is_left(self) -> None:
        """Masking every "1" would tell the value."""
        logs.protect("1", "", "abc")
        assert logs.redact("1 abc") == "1 abc"

    def test_many_values_are_all_found(self) -> None:
        """Beyond a few hundred values another search is used, with the same result."""
        values = [f"{number:04d}-secret-of-{number}" for number in range(2000)]
        logs.protect(*values)
        for text in (f"a {values[1234]} b {values[7]}", "long " * 5000 + values[1999]):
            assert logs.redact(text) == re.sub(r"\d{4}-secret-of-\d+", "***", text)
        assert logs.redact("abc") == "abc"

    def test_numbers_in_extras_are_searched_too(self, lines: io.StringIO) -> None:
        """A secret of digits may arrive as a number."""
        logs.protect("12345678")
        logs.get_logger("exchange").info("m", extra={"pin": 12345678, "price": 1.5, "float": 12345678.5})
        assert only(lines)["extra"] == {"pin": "***", "price": 1.5, "float": "***.5"}

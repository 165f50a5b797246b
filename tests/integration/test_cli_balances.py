"""``tradeutils balances`` against a simulated venue and a real server: every account, whatever became of it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from servers import ValkeyServer, free_port

import tradeutils as tu
from tradeutils import errors, logs
from tradeutils.balances import Totals
from tradeutils.cli import main
from tradeutils.cli.balance_tables import show_report
from tradeutils.cli.valuations import Report, Told, exact_text
from tradeutils.model import AssetValue, Valuation
from tradeutils.sim import DEFAULT_ACCOUNT, Limits, SimulatedAccount, SimulatedVenue, serve

D = Decimal
ACCOUNT = "/api/v3/account"
BOB = SimulatedAccount(name="bob", key="b" * 64, secret="c" * 64, balances={"ETH": "2"})
CAROL = SimulatedAccount(
    name="carol", key="d" * 64, secret="e" * 64, balances={"USDT": "100.00000001", "BTC": "0.00000001"},
    wallets={"funding": {"USDT": 40}},
)  # fmt: skip
HEADER = ["account", "venue", "state", "asset", "amount", "price", "value", "quote", "route", "price_age", "class"]
HEADER += ["note"]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stands on stdout, all of it, as JSON."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """What stands on stdout, all of it, as CSV."""
        return list(csv.DictReader(io.StringIO(self.out, newline="")))


Run = Callable[..., Ended]


@pytest.fixture
def venue() -> Iterator[SimulatedVenue]:
    """Start a simulated venue with three accounts."""
    accounts = (DEFAULT_ACCOUNT, BOB, CAROL)
    with serve("binance", symbols=8, linear=0, seed=7, accounts=accounts, limits=Limits.none()) as running:
        yield running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Run]:
    """Return a function that runs ``tradeutils balances`` in an empty folder."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "bots"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run_command(*words: str) -> Ended:
        capsys.readouterr()
        code = main(("balances", *words))
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    yield run_command
    logs.reset()


def settle(venue: SimulatedVenue, redis: str = "", *, bad: str = "", more: str = "") -> None:
    """Write settings of all three accounts; that of ``bad`` has another's secret."""
    text = f'[exchanges.binance]\nurl = "{venue.url}"\n{more}'
    text += f'[cache]\nurl = "{redis}"\ntimeout = 5.0\n' if redis else ""
    for one in (DEFAULT_ACCOUNT, BOB, CAROL):
        secret = "w" * 64 if one.name == bad else one.secret
        text += f'[accounts.{one.name}]\nexchange = "binance"\nkey = "{one.key}"\nsecret = "{secret}"\n'
    path = pathlib.Path("tradeutils.toml")
    path.write_text(text)
    path.chmod(0o600)


def asked(venue: SimulatedVenue) -> int:
    return int(venue.requests.paths.get(ACCOUNT, 0))


# What all are worth


def test_all_accounts_are_told_to_the_last_digit(run: Run, venue: SimulatedVenue) -> None:
    """Without ``--account``, every one of the settings, in their order; the sum of all parts is the total."""
    settle(venue)
    ended = run("--json")
    told = ended.json
    assert (ended.code, ended.err, told["quote"], told["complete"]) == (0, "", "USDT", True)
    assert list(told["accounts"]) == ["demo", "bob", "carol"]
    values = {}
    for name, one in told["accounts"].items():
        assert (one["venue"], one["state"], one["error"], one["suspension"]) == ("binance", "read", None, None)
        for held in one["assets"].values():
            assert D(held["amount"]) * D(held["price"]) == D(held["value"])
            assert held["age"] >= 0
        values[name] = sum(D(held["value"]) for held in one["assets"].values())
        assert values[name] == D(one["total"])
    assert sum(values.values()) == D(told["total"])
    assert told["accounts"]["carol"]["assets"]["USDT"]["amount"] == "60.00000001"
    assert told["accounts"]["demo"]["assets"]["ETH"]["route"] == ["ETH/USDT"]
    assert told["accounts"]["demo"]["unpriced"] == {"LDUSDT": "250", "XDROP": "1000"}
    assert told["accounts"]["demo"]["classes"] == {"LDUSDT": "locked", "XDROP": "unlisted"}
    assert "earning product" in told["accounts"]["demo"]["reasons"]["LDUSDT"]


def test_the_shape_of_json_is_the_same_for_every_account(run: Run, venue: SimulatedVenue) -> None:
    """Read, suspended or failed: a reader finds the same names."""
    settle(venue, bad="bob", more="")
    told = run("--json").json["accounts"]
    names = ["venue", "state", "time", "total", "assets", "unpriced", "reasons", "classes", "stale", "suspension"]
    assert {tuple(one) for one in told.values()} == {(*names, "error")}
    assert (told["bob"]["total"], told["bob"]["assets"]) == (None, {})


def test_named_accounts_alone_are_asked_for(run: Run, venue: SimulatedVenue) -> None:
    """In the order of the settings, each once."""
    settle(venue)
    told = run("--account", "carol", "--account", "demo", "--account", "carol", "--quote", "BTC", "--json").json
    assert (list(told["accounts"]), told["quote"]) == (["demo", "carol"], "BTC")
    assert asked(venue) == 2


def test_tables_of_a_few_accounts_fit_80_columns(run: Run, venue: SimulatedVenue) -> None:
    """Each asset with its route and the age of its price, what has no price with the reason, and the totals."""
    settle(venue)
    ended = run()
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in ended.out
    assert [line for line in lines if line.endswith(" on binance")] == [
        f"{n} on binance" for n in ("demo", "bob", "carol")
    ]
    assert lines[1].split() == ["asset", "amount", "price", "(USDT)", "value", "(USDT)", "route", "age"]
    assert any(re.fullmatch(r"ETH +4 +[\d.]+ +[\d.]+ +ETH/USDT +0 s", line) for line in lines)
    assert any(re.fullmatch(r"USDT +10000 +1 +10000 +- +-", line) for line in lines)
    assert any(re.fullmatch(r"XDROP +1000 +- +- +no price: unlisted +-", line) for line in lines)
    assert "XDROP not counted: the venue lists no market of it" in lines
    assert re.fullmatch(r"total +[\d.]+ +of 3 accounts", lines[-1])
    assert any(re.fullmatch(r"demo +binance +[\d.]+ +4 +read, 2 more without a price", line) for line in lines)


def test_a_line_an_account_where_that_is_asked_for_or_there_are_many(run: Run, venue: SimulatedVenue) -> None:
    """The same accounts a second time under other names make six: a summary, unless ``--assets`` says otherwise."""
    settle(venue)
    assert len(run("--no-assets").out.splitlines()) == 5
    path = pathlib.Path("tradeutils.toml")
    text = path.read_text()
    path.write_text(text + text[text.index("[accounts") :].replace("[accounts.", "[accounts.second-"))
    lines = run().out.splitlines()
    assert [line.split()[0] for line in lines] == ["account", "demo", "bob", "carol", *SECOND, "total"]
    assert run("--assets").out.count(" on binance\n") == 6


SECOND = ["second-demo", "second-bob", "second-carol"]


def test_small_values_are_one_line_and_still_count(run: Run, venue: SimulatedVenue) -> None:
    """``--min-value``: their sum stands in the table, their class in what other programs read."""
    settle(venue)
    words = ("--account", "carol", "--min-value", "1")
    lines = run(*words).out.splitlines()
    assert any(re.fullmatch(r"1 others +0\.000\d+ +each under 1", line) for line in lines)
    assert not any(line.startswith("BTC") for line in lines)
    told = run(*words, "--json").json["accounts"]["carol"]
    assert (told["classes"], list(told["assets"])) == ({"BTC": "dust"}, ["USDT", "BTC"])
    assert D(told["total"]) == sum(D(held["value"]) for held in told["assets"].values())


def test_locked_pegged_and_several_wallets_as_asked(run: Run, venue: SimulatedVenue) -> None:
    """Each option changes what it says, and the table shows it."""
    settle(venue)
    shown = run("--account", "demo", "--locked", "underlying").out
    assert re.search(r"^LDUSDT +250 +1 +250 +locked USDT +-$", shown, re.MULTILINE)
    for pegs in ("USD", "USDT=USD"):
        told = run("--account", "demo", "--quote", "USD", "--pegs", pegs, "--json").json["accounts"]["demo"]
        assert told["assets"]["USDT"]["route"] == ["peg"]
    for wallets, amount in (("spot", "60.00000001"), ("spot, funding", "100.00000001")):
        told = run("--account", "carol", "--wallets", wallets, "--json").json["accounts"]["carol"]
        assert told["assets"]["USDT"]["amount"] == amount
    told = run("--account", "carol", "--wallets", "all", "--json").json["accounts"]["carol"]
    assert D(told["assets"]["USDT"]["amount"]) >= 100


def test_account_that_holds_nothing_is_a_row_too(run: Run) -> None:
    """It is not left out of the table or of CSV."""
    empty = SimulatedAccount(name="demo", key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret, balances={})
    with serve("binance", symbols=3, accounts=[empty], limits=Limits.none()) as venue:
        settle(venue)
        assert [row["note"] for row in run("--account", "demo", "--csv").rows] == ["holds nothing"]
        assert run("--account", "demo").out.splitlines()[-1].split() == ["total", "0"]


# When some cannot be read


@pytest.mark.parametrize("words", [(), ("--no-assets",)])
def test_a_bad_key_hides_no_other_account(run: Run, venue: SimulatedVenue, words: tuple[str, ...]) -> None:
    """It is named with the reason, since when, until when and what to do; the exit code says that one is missing."""
    settle(venue, bad="bob")
    ended = run(*words)
    assert ended.code == 1
    assert re.search(r"^bob +binance +- +- +suspended: bad key$", ended.out, re.MULTILINE)
    assert re.search(r"^total +[\d.]+ +of 2 of 3 accounts$", ended.out, re.MULTILINE)
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC"
    assert re.search(
        rf"^bob on binance is suspended since {moment} \(bad key, 1 failure\): .*-1022", ended.out, re.MULTILINE
    )
    assert re.search(
        rf"^bob on binance is tried again after {moment}; check key and secret .*--resume bob$", ended.out, re.MULTILINE
    )
    assert "carol" in ended.out


def test_a_venue_in_trouble_is_told_and_suspends_nobody(run: Run, venue: SimulatedVenue) -> None:
    """One line for each account with its error; there is no total of nothing."""
    settle(venue)
    venue.faults.add("status", status=401, body='{"code":-2015,"msg":"Invalid API-key"}', path=ACCOUNT, count=1)
    venue.faults.add("html", status=403, path=ACCOUNT)
    ended = run("--json")
    states = {one["state"] for one in ended.json["accounts"].values()}
    assert (ended.code, ended.json["total"], states) == (1, None, {"suspended", "failed"})
    ended = run("--account", "bob")
    assert (ended.code, ended.err) == (1, "")
    assert re.fullmatch(r"bob on binance failed: binance fetch_balance: .+\n", ended.out)


def test_an_account_that_cannot_be_opened_is_one_of_those_that_failed(run: Run, venue: SimulatedVenue) -> None:
    """A venue that there is not, in the settings of one: the others are shown."""
    settle(venue)
    path = pathlib.Path("tradeutils.toml")
    path.write_text(path.read_text() + '[accounts.dan]\nexchange = "binanc"\nkey = "kkkk"\nsecret = "ssss"\n')
    told = run("--json").json["accounts"]
    assert [one["state"] for one in told.values()] == ["read", "read", "read", "failed"]
    assert told["dan"]["error"] == {"type": "UnknownName", "message": told["dan"]["error"]["message"]}
    assert "did you mean binance" in told["dan"]["error"]["message"]


def test_last_known_balances_are_shown_when_asked_for_and_marked(
    run: Run, venue: SimulatedVenue, valkey: ValkeyServer
) -> None:
    """From the snapshots that other processes left, with their age; they are not as good as read."""
    settle(venue, valkey.url)
    assert run("--account", "bob").code == 0
    venue.faults.add("status", status=503, path=ACCOUNT)
    with valkey.client() as client:
        for key in client.scan_iter("*balance:*:spot"):
            client.delete(key)
    ended = run("--account", "bob", "--stale", "600", "--json", "-o", "bob.csv")
    told = ended.json["accounts"]["bob"]
    assert (ended.code, told["state"], ended.json["complete"]) == (1, "stale", False)
    assert 0 <= told["stale"] < 60
    assert told["assets"]["ETH"]["amount"] == "2"
    rows = list(csv.DictReader(io.StringIO(pathlib.Path("bob.csv").read_text(), newline="")))
    assert [row["note"][:9] for row in rows] == ["as it was"]
    table = run("--account", "bob", "--account", "carol", "--stale", "600").out
    assert re.match(r"bob on binance, as it was \d+ s ago\n", table)
    assert re.search(r" stale: \d+ s old$", table, re.MULTILINE)
    assert re.search(r"^carol on binance failed: ", table, re.MULTILINE)  # nothing is known of it


# Suspensions, shared


def test_what_bots_suspended_is_known_and_asked_of_nobody(
    run: Run, venue: SimulatedVenue, valkey: ValkeyServer
) -> None:
    """Through the cache of the settings; ``--suspended`` sends nothing and lists these alone."""
    settle(venue, valkey.url, bad="bob")
    ended = run("--suspended")
    assert (ended.code, ended.out) == (0, "no account is suspended\n")
    assert run("--suspended", "--json").json["accounts"] == {}
    account = tu.Account(name="bob", exchange="binance", credentials=tu.Credentials(key=BOB.key, secret="w" * 64))

    async def bot() -> None:
        async with (
            tu.Cache(valkey.url) as cache,
            tu.Exchange("binance", account=account, url=venue.url, cache=cache) as exchange,
        ):
            with pytest.raises(errors.AuthenticationFailed):
                await tu.Balances(exchange, cache=cache).fetch("bob")

    asyncio.run(bot())
    before = venue.requests.total
    ended = run("--suspended")
    assert ended.code == 1
    assert ended.out.startswith("bob on binance is suspended since ")
    told = run("--suspended", "--json").json
    assert (list(told["accounts"]), told["total"]) == (["bob"], None)
    held = told["accounts"]["bob"]["suspension"]
    assert (held["reason"], held["failures"], held["since"] < held["until"]) == ("bad key", 1, True)
    assert [(row["account"], row["state"], row["class"]) for row in run("--suspended", "--csv").rows] == [
        ("bob", "suspended", "bad key")
    ]
    assert venue.requests.total == before
    count = asked(venue)
    told = run("--account", "bob", "--json").json["accounts"]["bob"]
    assert (told["state"], told["error"]["type"], asked(venue)) == ("suspended", "Suspended", count)


def test_resumed_account_is_tried_and_shown(run: Run, venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """The venue refuses it for a while: once that is mended, ``--resume`` lets it through for everybody."""
    settle(venue, valkey.url)
    venue.faults.add("status", status=401, body='{"code":-2015,"msg":"Invalid API-key"}', path=ACCOUNT, count=1)
    assert run("--account", "bob").code == 1
    assert run("--account", "bob").code == 1
    ended = run("--resume", "bob")
    assert (ended.code, ended.err) == (0, "bob is resumed: its next call goes through\n")
    assert ended.out.startswith("bob on binance\n")
    assert run("--suspended").out == "no account is suspended\n"
    both = run("--resume", "bob", "--account", "carol", "--json")
    assert list(both.json["accounts"]) == ["carol"]
    assert run("--resume", "bob", "--suspended").code == 0


def test_what_was_suspended_for_one_wallet_is_known_and_resumed_too(
    run: Run, venue: SimulatedVenue, valkey: ValkeyServer
) -> None:
    """A key that may not read the funding wallet; an account that cannot be opened hides none of it."""
    settle(venue, valkey.url)
    path = pathlib.Path("tradeutils.toml")
    path.write_text(path.read_text() + '[accounts.dan]\nexchange = "binanc"\nkey = "kkkk"\nsecret = "ssss"\n')
    refusal = {"status": 401, "body": '{"code":-2015,"msg":"Invalid API-key"}', "count": 1}
    venue.faults.add("status", path="/sapi/v1/asset/get-funding-asset", **refusal)
    assert run("--account", "carol", "--wallets", "spot,funding").code == 1
    assert run("--account", "carol").code == 0
    assert list(run("--suspended", "--json").json["accounts"]) == ["carol"]
    assert run("--resume", "carol").code == 0
    assert run("--suspended").out == "no account is suspended\n"
    assert run("--account", "carol", "--wallets", "spot,funding").code == 0


def test_shared_questions_need_a_cache_that_answers(run: Run, venue: SimulatedVenue) -> None:
    """One in memory knows of no other process; one that is away must not look like one that knows of none."""
    settle(venue)
    for words in (("--suspended",), ("--resume", "bob")):
        ended = run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert '[cache] url = "redis://localhost:6379/0"' in ended.err
    settle(venue, f"redis://127.0.0.1:{free_port()}/0")
    for words in (("--suspended",), ("--resume", "bob")):
        ended = run(*words)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert venue.requests.total == 0
    assert run("--account", "carol", "--json").code == 0  # balances do without


# Files and other programs


def test_csv_has_a_row_for_each_asset_of_each_account(run: Run, venue: SimulatedVenue) -> None:
    """RFC 4180: a header, lines that end in CRLF, the same exact figures as JSON; suspended accounts have a row."""
    settle(venue, bad="bob")
    ended = run("--csv")
    assert ended.code == 1
    assert ended.out.startswith(",".join(HEADER) + "\r\n")
    assert ended.out.count("\n") == ended.out.count("\r\n")
    found = {(row["account"], row["asset"]): row for row in ended.rows}
    assert sorted(asset for name, asset in found if name == "demo") == ["BNB", "BTC", "ETH", "LDUSDT", "USDT", "XDROP"]
    told = run("--json", "--account", "demo", "--account", "carol").json["accounts"]
    for name in ("demo", "carol"):
        for asset, held in told[name]["assets"].items():
            row = found[name, asset]
            assert [row[column] for column in ("amount", "price", "value")] == [
                held[column] for column in ("amount", "price", "value")
            ]
            assert row["route"] == " > ".join(held["route"])
    assert (found["demo", "XDROP"]["class"], found["demo", "XDROP"]["value"]) == ("unlisted", "")
    assert (found["bob", ""]["state"], found["bob", ""]["class"]) == ("suspended", "bad key")
    assert "check key and secret" in found["bob", ""]["note"]


def test_files_are_written_whole_and_instead_of_the_table(run: Run, venue: SimulatedVenue) -> None:
    """By their ending; what another program reads is also printed where asked for; nothing else is left behind."""
    settle(venue)
    ended = run("-o", "all.csv")
    assert (ended.code, ended.out, ended.err) == (0, "", "all.csv: 3 accounts\n")
    assert pathlib.Path("all.csv").read_bytes().startswith(",".join(HEADER).encode() + b"\r\n")
    ended = run("-o", "all.json", "--json")
    assert json.loads(pathlib.Path("all.json").read_text())["accounts"].keys() == ended.json["accounts"].keys()
    assert {path.name for path in pathlib.Path().iterdir()} == {"all.csv", "all.json", "tradeutils.toml"}


def valued(**parts: Any) -> Report:
    """Return a report of one account with assets as a hostile venue may name them."""
    terms: dict[str, Any] = {"account": "x", "quote": "USDT", "total": D(1), "assets": {}, "unpriced": {}, "time": 1}
    valuation = Valuation(**{**terms, **parts})
    return Report(quote="USDT", total=D(1), accounts=[Told(name="@x", venue="binance", valuation=valuation)])


def test_words_of_others_are_no_formula_and_no_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """A spreadsheet would run ``=...``; a terminal obeys escapes; half a surrogate pair is no UTF-8."""
    names = {"=1+1": D(-1), "\x1b[2J\nBTC": D(2), "\ud800": D(3), "-A": D("1E-999999"), 'q",': D("NaN")}
    report = valued(unpriced=names, reasons=dict.fromkeys(names, "=cmd\r\nx"))
    rows = list(csv.DictReader(io.StringIO(report.as_csv(), newline="")))
    assert [row["asset"] for row in rows] == ["'=1+1", "\\x1b[2J BTC", "\\ud800", "'-A", 'q",']
    assert [row["amount"] for row in rows] == ["-1", "2", "3", "1E-999999", "NaN"]  # numbers stay numbers
    assert {(row["account"], row["note"]) for row in rows} == {("'@x", "'=cmd x")}
    assert json.loads(json.dumps(report.as_json()).encode())["accounts"]["@x"]["unpriced"]["-A"] == "1E-999999"
    show_report(report, assets=True, min_value=None)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 100


def test_figures_are_never_rounded_before_the_point(capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve digits are enough for a table, but not where there are more of them before the point."""
    amount = D("1234567890123456.789")
    held = AssetValue(amount=amount, price=D(1), value=amount, route=("peg", "B/C"), age=7_300.0)
    small = AssetValue(amount=D("-2E-9"), price=D(3), value=D("-6E-9"), route=(), age=90_000.0)
    show_report(valued(assets={"A": held, "B": small}, total=amount), assets=True, min_value=None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["A", "1234567890123456.789", "1", "1234567890123456.79", "peg", ">", "B/C", "2", "h"]
    assert lines[3].split() == ["B", "-0.000000002", "3", "-0.000000006", "-", "-"]


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+3", "1000"), ("0E-8", "0.00000000"), ("1E+201", "1E+201"), ("0E-999", "0E-999"), ("Infinity", "Infinity")],
)
def test_exact_text_is_plain_but_never_endless(number: str, text: str) -> None:
    """Zeros are written out up to a point."""
    assert exact_text(D(number)) == text


def test_an_account_that_is_being_tried_by_another_process_is_suspended(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing more is known of it than the error says."""
    held = errors.Suspended("one try is being made", account="bob", reason="bad key", retry_after=1.0)
    report = Report(quote="USDT", total=None, accounts=[Told(name="bob", venue="binance", error=held)])
    show_report(report, assets=True, min_value=None)
    assert capsys.readouterr().out == "bob on binance suspended: one try is being made\n"
    assert report.as_json()["accounts"]["bob"]["suspension"] is None
    assert [row["class"] for row in csv.DictReader(io.StringIO(report.as_csv()))] == ["bad key"]
    assert not Totals(quote="USDT", valuations={})


# Bad input, and Ctrl-C

BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "account": (("--account", "bobb"), "account was 'bobb'; did you mean bob"),
    "quote": (("--quote", "USTD"), "quote was 'USTD'; did you mean USDT"),
    "resume": (("--resume", "bobb"), "account was 'bobb'"),
    "wallet": (("--wallets", "fundig"), "wallet was 'fundig'; did you mean funding"),
    "no wallet": (("--wallets", "spot,,x"), "--wallets was 'spot,,x'; write names"),
    "locked": (("--locked", "underlaying"), "locked was 'underlaying'; did you mean underlying"),
    "pegs": (("--pegs", "USDD"), "pegs was 'USDD'; did you mean USD"),
    "pairs": (("--pegs", "USDC=,A=B"), "--pegs was 'USDC=,A=B'; write USD, EUR, or pairs"),
    "min value": (("--min-value", "-1"), "--min-value was '-1'; write an amount"),
    "min value in words": (("--min-value", "one"), "--min-value was 'one'"),
    "both": (("--json", "--csv"), "--json and --csv were both given"),
    "output": (("-o", "all.cvs"), r"ends in \.csv"),
    "output of another": (("-o", "mine.json"), "is not a JSON file"),
    "url": (("--url", "nowhere"), "nowhere"),
    "stale": (("--stale", "-1"), "--stale"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case: str, run: Run, venue: SimulatedVenue) -> None:
    """It says what to write instead; files stay as they were."""
    settle(venue)
    pathlib.Path("mine.json").write_text("my own words")
    words, says = BAD[case]
    ended = run(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert re.search(says, ended.err), ended.err
    assert {path.name for path in pathlib.Path().iterdir()} == {"mine.json", "tradeutils.toml"}
    assert pathlib.Path("mine.json").read_text() == "my own words"


def test_one_url_is_of_one_venue(run: Run, venue: SimulatedVenue) -> None:
    """For accounts on two it would lead one of them astray, with its signatures."""
    settle(venue)
    path = pathlib.Path("tradeutils.toml")
    path.write_text(path.read_text() + '[accounts.kate]\nexchange = "kraken"\nkey = "kkkk"\nsecret = "ssss"\n')
    ended = run("--url", venue.url)
    assert (ended.code, ended.out) == (2, "")
    assert "--url was given for accounts on binance and kraken" in ended.err
    assert run("--url", venue.url, "--account", "bob").code == 0


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Listen and never answer; yields the URL and an event that is set when somebody has asked."""
    asked, closing = threading.Event(), threading.Event()

    def wait(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1)
                asked.set()
                closing.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=wait, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        closing.set()
        thread.join()


@pytest.mark.usefixtures("run")
def test_interrupt_ends_quietly_and_writes_nothing(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Ctrl-C while a venue does not answer: 130, no word, no file."""
    settle(venue, valkey.url)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background are born deaf to it
    try:
        with silent_server() as (url, asked):
            command = [sys.executable, "-m", "tradeutils.cli", "balances", "--url", url, "-o", "all.csv"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                try:
                    assert asked.wait(60)
                    process.send_signal(signal.SIGINT)
                    assert process.communicate(timeout=60) == (b"", b"")
                finally:
                    process.kill()
            assert process.returncode == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in pathlib.Path().iterdir()] == ["tradeutils.toml"]

"""What replies say of a venue's counts, and for how long it wants silence."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tradeutils.budget.base import Charge, Reading, Window
from tradeutils.budget.headers import LONGEST_BAN_S, ban_seconds, readings
from tradeutils.budget.ledger import UNIT, units
from tradeutils.budget.limits import limits_of
from tradeutils.budget.local import LocalBudget
from tradeutils.errors import RateLimited

AT = 1_700_000_000.0
NOW_MS = AT * 1000

BINANCE = limits_of("binance", ccxt_rate_limit_ms=50)
ORDER = BINANCE.charge(api="private", method="POST", path="order", cost=0.2, account="3f9a")
KLINES = BINANCE.charge(api="public", method="GET", path="klines", cost=0.4)


def told(venue: str, endpoint: str, cost: float, headers: Mapping[str, str]) -> list[Reading]:
    """Return what a reply of a venue tells of one call."""
    limits = limits_of(venue, ccxt_rate_limit_ms=50)
    api, method, path = endpoint.split(" ")
    charge = limits.charge(api=api, method=method, path=path, cost=cost, account="3f9a")
    return readings(limits, charge, headers, at=AT)


class TestBinance:
    def test_used_weight_is_the_address(self) -> None:
        """The header of a minute speaks of the window of a minute, counted by the calendar."""
        (reading,) = readings(BINANCE, KLINES, {"x-mbx-used-weight": "9", "x-mbx-used-weight-1m": "120"}, at=AT)
        assert reading == Reading("binance.spot", Window("weight", 6000, 60), "binance.spot", 120, AT, "fixed")

    def test_order_counts_are_the_accounts(self) -> None:
        """Ten seconds and a day are counted apart, for the account that ordered."""
        headers = {"x-mbx-order-count-10s": "3", "x-mbx-order-count-1d": "77", "x-mbx-used-weight-1m": "1"}
        found = {(one.window.name, one.window.seconds): one for one in readings(BINANCE, ORDER, headers, at=AT)}
        assert {key: one.used for key, one in found.items()} == {
            ("orders", 10): 3, ("orders", 86_400): 77, ("weight", 60): 1,
        }  # fmt: skip
        assert found["orders", 10].owner == "binance.spot:3f9a"

    def test_wallet_endpoints_have_headers_of_their_own(self) -> None:
        """``sapi`` says what an endpoint has used, of the address or of the account."""
        charge = BINANCE.charge(api="sapi", method="GET", path="account/status", cost=0.1, account="3f9a")
        (reading,) = readings(BINANCE, charge, {"X-SAPI-USED-IP-WEIGHT-1M": "40"}, at=AT)
        assert (reading.used, reading.owner) == (40, "binance.spot GET account/status")
        charge = BINANCE.charge(api="sapi", method="GET", path="fiat/orders", cost=600.03, account="3f9a")
        (reading,) = readings(BINANCE, charge, {"x-sapi-used-uid-weight-1m": "90000"}, at=AT)
        assert (reading.used, reading.owner) == (90_000, "binance.spot:3f9a GET fiat/orders")

    def test_names_are_taken_in_any_case(self) -> None:
        """Header names have none, and the HTTP library keeps them as they came."""
        for name in ("X-MBX-USED-WEIGHT-1M", "x-Mbx-Used-Weight-1m"):
            assert readings(BINANCE, KLINES, CIMultiDict({name: "5"}), at=AT)[0].used == 5

    def test_header_of_another_span_is_no_window_of_ours(self) -> None:
        """A count of an hour says nothing of a minute."""
        assert readings(BINANCE, KLINES, {"x-mbx-used-weight-1h": "5", "x-mbx-used-weight-3m": "5"}, at=AT) == []

    def test_greater_of_two_counts_is_believed(self) -> None:
        """A header that comes twice says two things; the careful one counts."""
        headers = CIMultiDict([("x-mbx-used-weight-1m", "5"), ("X-MBX-USED-WEIGHT-1M", "50")])
        assert [one.used for one in readings(BINANCE, KLINES, headers, at=AT)] == [50]

    def test_count_beyond_the_limit_is_the_limit(self) -> None:
        """More than all cannot be used."""
        assert readings(BINANCE, KLINES, {"x-mbx-used-weight-1m": "999999"}, at=AT)[0].used == 6000

    def test_own_window_of_the_same_span_is_read(self) -> None:
        """A user's smaller window is corrected by what the address has used."""
        own = limits_of("binance", ccxt_rate_limit_ms=50, windows=[Window("weight", 100, 60)])
        charge = own.charge(api="public", method="GET", path="klines", cost=0.4)
        assert readings(own, charge, {"x-mbx-used-weight-1m": "30"}, at=AT)[0].window.limit == 100
        paced = limits_of("binance", ccxt_rate_limit_ms=50, rate_limit_ms=500)
        charge = paced.charge(api="public", method="GET", path="klines", cost=0.4)
        assert readings(paced, charge, {"x-mbx-used-weight-1m": "30"}, at=AT) == []

    async def test_reading_corrects_a_budget(self) -> None:
        """What others behind the address have used is not asked for again."""
        budget = LocalBudget()
        grant = await budget.acquire(KLINES)
        grant.settle()
        await budget.observe(readings(BINANCE, KLINES, {"x-mbx-used-weight-1m": "5999"}, at=time.time()))
        with pytest.raises(RateLimited):
            await budget.acquire(KLINES, timeout=0)
        await budget.aclose()


@pytest.mark.parametrize(
    ("venue", "endpoint", "cost", "headers", "window", "used"),
    [
        # 3 of 10 calls are left: of 50 tokens, 5 a call, 15.
        (
            "bybit",
            "private POST v5/order/create",
            2.5,
            {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "3", "X-Bapi-Limit-Reset-Timestamp": "1"},
            "endpoint",
            35,
        ),
        # More than we take it to have is left: nothing to correct.
        (
            "bybit",
            "private GET v5/order/realtime",
            5,
            {"x-bapi-limit": "50", "x-bapi-limit-status": "49"},
            "endpoint",
            0,
        ),
        (
            "kucoin",
            "private GET hf/fills",
            2,
            {"gw-ratelimit-limit": "4000", "gw-ratelimit-remaining": "1500"},
            "spot",
            2500,
        ),
        (
            "kucoin",
            "private GET accounts",
            5,
            {"gw-ratelimit-limit": "2000", "gw-ratelimit-remaining": "1999"},
            "management",
            1,
        ),
        (
            "kucoin",
            "private GET accounts",
            5,
            {"gw-ratelimit-limit": "4000", "gw-ratelimit-remaining": "3000"},
            "spot",
            1000,
        ),
        (
            "gate",
            "public.spot GET tickers",
            1,
            {"X-Gate-RateLimit-Limit": "200", "X-Gate-RateLimit-Requests-Remain": "150"},
            "endpoint",
            50,
        ),
        (
            "gate",
            "private.spot POST orders",
            0.4,
            {"X-Gate-RateLimit-Limit": "10", "X-Gate-RateLimit-Requests-Remain": "4"},
            "spot_orders",
            6,
        ),
        ("bitget", "public.spot GET v2/spot/market/tickers", 1, {"x-mbx-used-remain-limit": "19"}, "endpoint", 1),
        (
            "coinbase",
            "v3.public GET brokerage/time",
            3,
            {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "2"},
            "public",
            8,
        ),
        (
            "htx",
            "contract.public GET api/v1/timestamp",
            1,
            {"ratelimit-limit": "120", "ratelimit-remaining": "20"},
            "public",
            100,
        ),
    ],
)
def test_what_is_left_is_read_as_what_is_used(
    venue: str, endpoint: str, cost: float, headers: dict[str, str], window: str, used: float
) -> None:
    """Venues that say what remains leave that much, in the unit of our window."""
    (reading,) = told(venue, endpoint, cost, headers)
    assert (reading.window.name, reading.used, reading.span) == (window, pytest.approx(used), "sliding")


@pytest.mark.parametrize("venue", ["kraken", "okx", "mexc", "bitstamp"])
def test_venues_without_headers_say_nothing(venue: str) -> None:
    """Their counts are reckoned from what was charged; headers of others are not theirs."""
    headers = {
        "x-mbx-used-weight-1m": "5",
        "x-bapi-limit": "10",
        "x-bapi-limit-status": "3",
        "ratelimit-remaining": "1",
    }
    assert told(venue, "public GET Ticker", 1, headers) == []


HOSTILE = [
    "",
    "-1",
    "NaN",
    "inf",
    "1e9",
    "٣",
    "0x10",
    "1,000",
    "9" * 400,
    "99999999999",
    " ",
    "12 34",
    "1.",
    "+5",
    "\x00",
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_number_that_is_none_is_passed_over(value: str) -> None:
    """A broken or hostile header changes nothing."""
    assert readings(BINANCE, KLINES, {"x-mbx-used-weight-1m": value}, at=AT) == []
    headers = {"x-bapi-limit": "10", "x-bapi-limit-status": value}
    assert told("bybit", "private GET v5/order/realtime", 5, headers) == []


def test_counts_that_contradict_themselves_are_passed_over() -> None:
    """More is left than there is; there is nothing at all; nothing was charged."""
    for limit, left in (("10", "11"), ("0", "0")):
        headers = {"x-bapi-limit": limit, "x-bapi-limit-status": left}
        assert told("bybit", "private GET v5/order/realtime", 5, headers) == []
    limits = limits_of("bybit", ccxt_rate_limit_ms=20)
    assert readings(limits, Charge("bybit.api", ()), {"x-bapi-limit-status": "3"}, at=AT) == []


@given(
    st.sampled_from(["binance", "bybit", "kucoin", "gate", "bitget", "coinbase", "htx", "okx"]),
    st.dictionaries(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                ["x-mbx-used-weight-1m", "x-mbx-order-count-10s", "x-bapi-limit", "x-bapi-limit-status",
                 "gw-ratelimit-remaining", "gw-ratelimit-limit", "ratelimit-remaining", "x-mbx-used-remain-limit",
                 "x-gate-ratelimit-limit", "x-gate-ratelimit-requests-remain", "retry-after", "ratelimit-reset"]
            ),
        ),
        st.one_of(st.text(max_size=20), st.integers(-10, 10**15).map(str), st.floats().map(str)),
    ),
    st.binary(max_size=100),
    st.sampled_from([200, 403, 418, 429]),
)  # fmt: skip
@example("binance", {1: 2, "x-mbx-used-weight-1m": None}, b"", 429)
def test_no_reply_breaks_the_reading(venue: str, headers: Any, body: bytes, status: int) -> None:
    """Whatever comes, counts stay within their windows and silences within reason."""
    limits = limits_of(venue, ccxt_rate_limit_ms=50)
    for api in ("private", "public", "private.spot", "contract.public", "v3.public"):
        charge = limits.charge(api=api, method="POST", path="order", cost=1, account="3f9a")
        for reading in readings(limits, charge, headers, at=AT):
            assert 0 <= reading.used <= reading.window.limit
            assert units(reading.used) <= reading.window.limit * UNIT + 1
    seconds = ban_seconds(venue, status, headers, body, NOW_MS)
    assert seconds is None or 0 < seconds <= LONGEST_BAN_S


def date_in(seconds: float) -> str:
    return email.utils.formatdate(AT + seconds, usegmt=True)


class TestBan:
    @pytest.mark.parametrize(
        ("headers", "body", "seconds"),
        [
            ({"Retry-After": "10"}, None, 10),
            ({"retry-after": "2.5"}, "", 2.5),
            ({"RETRY-AFTER": date_in(30)}, b"", 30),
            ({}, "Way too much request weight used; IP banned until 1700000042000. Please use", 42),
            ({}, b'{"code":-1003,"msg":"IP(1.2.3.4) banned until 1700000042000."}', 42),
            ({"Retry-After": "50"}, "banned until 1700000042000", 50),
            ({"Retry-After": "5"}, "banned until 1700000042000", 42),
            ({"Retry-After": "99999999"}, None, LONGEST_BAN_S),
            ({}, "banned until 9999999999999", LONGEST_BAN_S),
        ],
    )
    def test_silence_that_is_named_is_kept(self, headers: dict[str, str], body: Any, seconds: float) -> None:
        """As a number, as a date or as a moment in the body; the longest of them, up to three days."""
        assert ban_seconds("binance", 418, headers, body, NOW_MS) == pytest.approx(seconds)
        assert ban_seconds("binance", 429, headers, body, NOW_MS, attempts=9) == pytest.approx(seconds)

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Retry-After": "0"}, {"Retry-After": "-5"}, {"Retry-After": "NaN"}, {"Retry-After": "soon"},
         {"Retry-After": date_in(-60)}, {"Retry-After": "Mon, 99 Foo 2023 99:99:99 GMT"}, {"Retry-After": "9" * 99}],
        ids=str,
    )  # fmt: skip
    def test_silence_that_is_not_named_grows(self, headers: dict[str, str]) -> None:
        """A first 429 is a second, a first 418 two minutes; each further one twice as long, to a bound."""
        body = "banned until 1600000000000"
        assert [ban_seconds("binance", 429, headers, body, NOW_MS, attempts=n) for n in (0, 1, 3, 99)] == [1, 2, 8, 120]
        assert ban_seconds("acme", 418, headers, body, NOW_MS) == 120
        assert ban_seconds("acme", 418, headers, body, NOW_MS, attempts=99) == LONGEST_BAN_S
        assert ban_seconds("acme", 418, headers, body, NOW_MS, attempts=-4) == 120

    @pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 500, 503])
    def test_other_answers_are_no_ban(self, status: int) -> None:
        """A busy or a refusing venue has not had enough of us; not even where it names a time."""
        assert ban_seconds("binance", status, {"Retry-After": "5"}, "banned until 1700000042000", NOW_MS) is None

    @pytest.mark.parametrize(
        ("venue", "status", "headers", "body", "seconds"),
        [
            ("kraken", 200, {}, '{"error":["EAPI:Rate limit exceeded"]}', 5),
            ("kraken", 200, {}, '{"error":["EService: Throttled: 1700000007"]}', 7),
            ("kraken", 200, {}, '{"error":["EGeneral:Temporary lockout"]}', 900),
            ("kraken", 200, {}, '{"error":["EOrder:Rate limit exceeded"]}', None),
            ("kraken", 500, {}, '{"error":["EAPI:Rate limit exceeded"]}', None),
            ("bybit", 403, {}, "403, access too frequent", 600),
            ("bybit", 403, {}, "<html>forbidden</html>", None),
            ("bybiteu", 200, {"X-Bapi-Limit-Reset-Timestamp": "1700000003500"}, '{"retCode":10006,"retMsg":""}', 3.5),
            ("bybit", 200, {"X-Bapi-Limit-Reset-Timestamp": "1600000000000"}, '{"retCode":10006}', 1),
            ("bybit", 200, {}, '{"retCode":100061}', None),
            ("bybit", 200, {}, '{"retCode":10018}', 600),
            ("kucoin", 429, {"gw-ratelimit-reset": "2800"}, '{"code":"429000"}', 2.8),
            ("kucoin", 429, {"gw-ratelimit-reset": "999999999999"}, "", 1),
            ("gate", 429, {"X-Gate-RateLimit-Reset-Timestamp": "1700000009"}, "", 9),
            ("okx", 429, {}, '{"code":"50011"}', 1),
            ("mexc", 200, {}, '{"success":false,"code":510}', 5),
            ("htx", 200, {}, '{"status":"error","err-code":"too-many-request"}', 2),
            ("htx", 429, {"ratelimit-reset": "1700000002000"}, "", 2),
            ("binance", 200, {}, "too-many-request EAPI:Rate limit exceeded", None),
        ],
    )  # fmt: skip
    def test_refusals_are_known_as_each_venue_says_them(
        self, venue: str, status: int, headers: dict[str, str], body: str, seconds: float | None
    ) -> None:
        """Some refuse with 200 or 403 and say so in the body, or name the time in a header of their own."""
        found = ban_seconds(venue, status, headers, body, NOW_MS)
        assert found == (None if seconds is None else pytest.approx(seconds))

    def test_end_of_a_long_body_is_not_read(self) -> None:
        """A reply of megabytes is not searched for a sentence."""
        assert ban_seconds("binance", 418, {}, "x" * 5000 + "banned until 1700000042000", NOW_MS) == 120
        assert ban_seconds("binance", 418, {}, b"\xff" * 10 + b"banned until 1700000042000", NOW_MS) == pytest.approx(
            42
        )

    def test_clock_that_is_none_does_not_break(self) -> None:
        """With no time of the venue, what it names as a moment is not believed."""
        assert ban_seconds("binance", 418, {}, "banned until 1700000042000", math.nan) == 120

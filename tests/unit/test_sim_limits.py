"""What an address may ask of the simulated venue, and what becomes of one that asks more; without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import UsageError
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, Limits, VirtualClock
from tradeutils.sim.binance import BinanceDialect
from tradeutils.sim.catalogue import generated_instruments
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, interval_of
from tradeutils.sim.usage import UsageMeter, Window

_MARKET = GeneratedMarket(generated_instruments(2))
_START = 1_000_000_004.0  # two seconds into a window of six


class Wall:
    """A wall clock that stands until it is moved."""

    def __init__(self, now: float = _START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def binance(wall: Wall, **limits: Any) -> BinanceDialect:
    """Return a venue with these limits on this clock."""
    gate = Gate(Limits(**limits), clock=wall)
    return BinanceDialect(Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [DEFAULT_ACCOUNT]), gate))


def klines(dialect: BinanceDialect, remote: str = "127.0.0.1") -> Reply:
    """Ask for a kline, which weighs 2."""
    return dialect.respond(Call("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=1", remote=remote))


def told(reply: Reply) -> tuple[int, int, str | None]:
    """Return the status, Binance's code and the seconds to wait."""
    return reply.status, json.loads(reply.body)["code"], reply.headers.get("Retry-After")


def test_the_last_unit_may_be_used_and_the_next_may_not() -> None:
    """Sixty klines weigh 120; the 61st is told to wait until the window ends, with the words of the venue."""
    dialect = binance(Wall(), weight=120, window=6.0)
    assert [klines(dialect).status for _ in range(60)] == [200] * 60
    over = klines(dialect)
    assert told(over) == (429, -1003, "4")  # the window of 6 s began 2 s ago
    assert over.headers["x-mbx-used-weight-6s"] == over.headers["x-mbx-used-weight"] == "122"
    assert json.loads(over.body)["msg"].startswith(
        "Too much request weight used; current limit is 120 request weight per 6 SECOND."
    )


def test_calendar_window_is_free_at_its_end_and_sliding_one_is_not() -> None:
    """Used up late in a window, the next one is whole; where the last seconds count, it is not until they are over."""
    for sliding, status in ((False, 200), (True, 429)):
        wall = Wall(_START + 3.9)
        dialect = binance(wall, weight=10, window=6.0, sliding=sliding)
        assert [klines(dialect).status for _ in range(5)] == [200] * 5
        wall.now += 0.2
        after = klines(dialect)
        assert after.status == status
        if sliding:
            assert after.headers["Retry-After"] == "6"
            wall.now += 6.01
            assert klines(dialect).status == 200


def test_what_is_refused_counts_on() -> None:
    """Asking on while told to wait fills the window further, and the header says so."""
    dialect = binance(Wall(), weight=4, window=6.0, tolerated=50)
    used = [klines(dialect).headers["x-mbx-used-weight"] for _ in range(5)]
    assert used == ["2", "4", "6", "8", "10"]


def test_wrong_requests_count_and_unknown_paths_do_not() -> None:
    """A request with a bad parameter weighs as much; a page that is not there is the web server's affair."""
    dialect = binance(Wall(), weight=4, window=6.0)
    assert told(dialect.respond(Call("GET", "/api/v3/klines", "symbol=NOPE&interval=1m", remote="127.0.0.1"))) == (
        400,
        -1121,
        None,
    )
    assert dialect.respond(Call("GET", "/api/v3/nothing")).status == 404
    assert klines(dialect).status == 200
    assert klines(dialect).status == 429


def test_each_address_has_its_own_window() -> None:
    """What one used up another still has."""
    dialect = binance(Wall(), weight=2, window=6.0)
    assert [klines(dialect).status for _ in range(2)] == [200, 429]
    assert klines(dialect, "127.0.0.2").status == 200


def test_who_does_not_wait_is_banned_for_longer_each_time() -> None:
    """After so many requests too many comes 418; the ban says when it ends, in the venue's time, and doubles."""
    wall = Wall()
    dialect = binance(wall, weight=2, window=6.0, tolerated=2, ban=10.0, longest_ban=30.0)
    lengths = []
    for _ in range(4):
        statuses = [klines(dialect).status for _ in range(5)]
        assert statuses == [200, 429, 429, 429, 418]
        banned = klines(dialect)
        status, code, wait = told(banned)
        assert (status, code) == (418, -1003)
        until = DEFAULT_NOW + 1000 * int(wait or 0)
        assert f"IP banned until {until}." in json.loads(banned.body)["msg"]
        lengths.append(int(wait or 0))
        wall.now += lengths[-1] - 0.5
        assert klines(dialect).status == 418
        wall.now += 6.5
    assert lengths == [10, 20, 30, 30]


def test_who_waits_is_not_banned() -> None:
    """Being told to wait now and then leads to nothing, however often."""
    wall = Wall()
    dialect = binance(wall, weight=2, window=6.0, tolerated=2)
    for _ in range(20):
        assert [klines(dialect).status for _ in range(3)] == [200, 429, 429]
        wall.now += 6.0


def test_requests_are_counted_whatever_they_weigh() -> None:
    """The window of raw requests fills as well, and says so in its own words."""
    dialect = binance(Wall(), requests=3, requests_window=300.0)
    assert [klines(dialect).status for _ in range(3)] == [200] * 3
    over = klines(dialect)
    assert told(over)[:2] == (429, -1003)
    assert "current limit is 3 requests per 5 MINUTE" in json.loads(over.body)["msg"]


def test_wallet_has_a_window_of_its_own() -> None:
    """What the spot endpoints used up does not close the wallet's, but a ban closes both."""
    dialect = binance(Wall(), weight=2, window=6.0, tolerated=0)
    status = Call("GET", "/sapi/v1/system/status", remote="127.0.0.1")
    assert [klines(dialect).status for _ in range(2)] == [200, 429]
    assert dialect.respond(status).headers == {"x-sapi-used-ip-weight-6s": "1"}
    assert [klines(dialect).status for _ in range(2)] == [429, 418]
    assert dialect.respond(status).status == 418


def test_orders_beyond_the_limit_are_not_placed(sign: Callable[..., Call]) -> None:
    """The third in ten seconds is refused without a word on when; refused ones do not count; then there is room."""
    wall = Wall()
    dialect = binance(wall, orders=2)
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=60000"
    refused = dialect.respond(sign("POST", "/api/v3/order", order.replace("60000", "1")))
    assert told(refused)[:2] == (400, -1013)
    placed = [dialect.respond(sign("POST", "/api/v3/order", order)) for _ in range(2)]
    assert [one.headers["x-mbx-order-count-10s"] for one in placed] == ["1", "2"]
    assert [one.order for one in placed] == [json.loads(one.body)["clientOrderId"] for one in placed]
    over = dialect.respond(sign("POST", "/api/v3/order", order))
    assert told(over) == (429, -1015, None)
    assert json.loads(over.body)["msg"] == "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert over.order is None
    assert len(json.loads(dialect.respond(sign("GET", "/api/v3/openOrders")).body)) == 2
    wall.now += 10.0
    assert dialect.respond(sign("POST", "/api/v3/order", order)).headers["x-mbx-order-count-1d"] == "3"


@pytest.fixture
def sign() -> Callable[..., Call]:
    """Return a function that signs a call at the venue's moment."""
    import hashlib
    import hmac

    def signed(method: str, path: str, query: str = "") -> Call:
        query = f"{query}&timestamp={DEFAULT_NOW}".lstrip("&")
        made = hmac.new(DEFAULT_ACCOUNT.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        return Call(method, path, f"{query}&signature={made}", headers={"x-mbx-apikey": DEFAULT_ACCOUNT.key})

    return signed


def test_listing_tells_the_limits_that_are_enforced() -> None:
    """Weight, orders and raw requests, in the venue's own units."""
    dialect = binance(Wall(), weight=120, window=6.0, orders=7, requests_window=0.5)
    limits = json.loads(dialect.respond(Call("GET", "/api/v3/exchangeInfo")).body)["rateLimits"]
    assert [(one["rateLimitType"], one["interval"], one["intervalNum"], one["limit"]) for one in limits] == [
        ("REQUEST_WEIGHT", "SECOND", 6, 120),
        ("ORDERS", "SECOND", 10, 7),
        ("ORDERS", "DAY", 1, 200_000),
        ("RAW_REQUESTS", "SECOND", 0.5, 61_000),
    ]
    own = json.loads(binance(Wall()).respond(Call("GET", "/api/v3/exchangeInfo")).body)["rateLimits"]
    assert [(one["interval"], one["intervalNum"], one["limit"]) for one in own] == [
        ("MINUTE", 1, 6_000),
        ("SECOND", 10, 100),
        ("DAY", 1, 200_000),
        ("MINUTE", 5, 61_000),
    ]


def test_bans_can_be_given_told_and_lifted() -> None:
    """By hand an address is banned for as long as one says; a pardon ends it and forgets the rest."""
    wall = Wall()
    gate = Gate(Limits(), clock=wall)
    assert gate.ban("127.0.0.1", 10.0) == 10.0
    assert gate.bans() == {"127.0.0.1": {"bans": 1, "seconds": 10.0}}
    assert gate.charge("127.0.0.1", 1)[1] is not None
    assert gate.ban("127.0.0.2") == 120.0
    assert gate.ban("127.0.0.2") == 240.0
    gate.pardon("127.0.0.1")
    gate.pardon("127.0.0.9")
    assert gate.charge("127.0.0.1", 1) == ({"1m": 1}, None)
    wall.now += 1e6
    assert gate.bans() == {"127.0.0.2": {"bans": 2, "seconds": 0.0}}


def test_addresses_beyond_count_are_forgotten() -> None:
    """A flood from many addresses fills no memory."""
    gate = Gate(Limits(), clock=Wall())
    for number in range(5_000):
        gate.charge(f"address {number}", 1)
    assert len(gate._conduct) <= 4_096


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0},
        {"weight": 1.5},
        {"weight": True},
        {"window": 0.0},
        {"window": float("nan")},
        {"window": "6"},
        {"tolerated": -1},
        {"sliding": 1},
        {"ban": 1e9},
        {"ban": 10.0, "longest_ban": 5.0},
    ],
)
def test_limits_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """The message names the one at fault."""
    with pytest.raises(UsageError, match=next(reversed(wrong))):
        Limits(**wrong)


@pytest.mark.parametrize(
    ("seconds", "name"), [(6, "6s"), (60, "1m"), (300, "5m"), (3600, "1h"), (86400, "1d"), (0.5, "0.5s")]
)
def test_windows_are_named_as_in_headers(seconds: float, name: str) -> None:
    """In the largest unit that is whole."""
    assert interval_of(seconds) == name


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 5)), max_size=60),
    st.integers(1, 20),
    st.floats(0.5, 5),
)
def test_sliding_meter_is_the_sum_of_the_last_seconds(
    steps: list[tuple[float, int]], limit: int, seconds: float
) -> None:
    """At every moment it equals the plain sum, and after the wait that it tells there is room."""
    wall = Wall(0.0)
    meter = UsageMeter(Window("w", limit, seconds), sliding=True, clock=wall)
    past: list[tuple[float, int]] = []
    for pause, amount in steps:
        wall.now += pause
        if meter.exceeded("a", amount) is None or amount == 0:
            past.append((wall.now, amount))
            used = meter.charge("a", amount)["w"]
            assert used == sum(one for moment, one in past if moment + seconds > wall.now)
        elif amount <= limit:
            full = meter.exceeded("a", amount)
            assert full is not None
            assert 0 <= full[1] <= seconds + 1e-9
            wall.now += full[1] + 1e-9 * wall.now + 1e-9
            assert meter.exceeded("a", amount) is None


def test_flood_fills_no_memory_in_a_sliding_window() -> None:
    """Beyond ten times the limit nothing more is kept."""
    meter = UsageMeter(Window("w", 10, 60.0), sliding=True, clock=Wall())
    for _ in range(10_000):
        meter.charge("a")
    assert meter.used("a")["w"] <= 102


def test_headers_count_by_the_calendar_also_where_more_is_refused() -> None:
    """A stricter venue tells what the real one tells: what was used since its window began."""
    wall = Wall(_START + 3.9)
    dialect = binance(wall, weight=10, window=6.0, sliding=True)
    assert [klines(dialect).headers["x-mbx-used-weight-6s"] for _ in range(4)] == ["2", "4", "6", "8"]
    wall.now += 0.2
    after = [klines(dialect) for _ in range(2)]
    assert [(one.status, one.headers["x-mbx-used-weight-6s"]) for one in after] == [(200, "2"), (429, "4")]

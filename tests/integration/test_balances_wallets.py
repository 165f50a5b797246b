"""Wallets of accounts in every dialect: what lies where, what it costs to ask, and that nothing is counted twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.budget import LocalBudget
from tradeutils.errors import NotSupportedByVenue, UnknownName, UsageError
from tradeutils.model.rounding import EXACT
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue

D = Decimal
HELD = {"USDT": "1000.00000001", "BTC": "0.5", "XDROP": "123456789.00000001"}
MOVED: dict[str, dict[str, dict[str, str]]] = {
    "binance": {
        "funding": {"USDT": "100.00000007", "XDROP": "1"},
        "margin": {"BTC": "0.10000001"},
        "swap": {"USDT": "300.00000002"},
    },
    "bybit": {"funding": {"USDT": "100.00000007", "XDROP": "1"}},
    "okx": {"funding": {"USDT": "100.00000007", "XDROP": "1"}},
    "kraken": {},
}
USUAL = {"binance": "spot", "bybit": "unified", "okx": "trading", "kraken": "spot"}


def holder(venue: str, **more: Any) -> SimulatedAccount:
    """Return an account whose money lies in all wallets that its venue has."""
    secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=" if venue == "kraken" else "s" * 64
    return SimulatedAccount(
        **{"name": "alice", "key": "k" * 64, "secret": secret, "balances": HELD, "wallets": MOVED[venue], **more}
    )


@contextlib.asynccontextmanager
async def opened(venue: str, *accounts: SimulatedAccount, **more: Any) -> AsyncIterator[tuple[Any, tu.Exchange]]:
    """Run a venue, and open the exchange of the first account."""
    first = (accounts or (holder(venue),))[0]
    keys = tu.Credentials(key=first.key, secret=first.secret, password=first.passphrase)
    account = tu.Account(name=first.name, exchange=venue, credentials=keys)
    async with (
        SimulatedVenue(venue, symbols=5, accounts=accounts or [first], limits=Limits.none()) as running,
        tu.Exchange(venue, account=account, url=running.url, **{"budget": LocalBudget(), **more}) as exchange,
    ):
        yield running, exchange


@pytest.mark.parametrize("venue", sorted(MOVED))
async def test_the_wallets_together_hold_what_the_account_was_given(venue: str) -> None:
    """To the eighth digit, in every dialect; each wallet tells its part, and bears its name."""
    async with opened(venue) as (_, exchange):
        balances = tu.Balances(exchange, wallets="all")
        found = await balances.fetch("alice")
        parts = found.wallets or {found.wallet: found}
        assert tuple(parts) == exchange.wallets
        assert {asset: one.total for asset, one in found.items()} == {asset: D(text) for asset, text in HELD.items()}
        for name, moved in MOVED[venue].items():
            assert {asset: one.total for asset, one in parts[name].items()} == {a: D(t) for a, t in moved.items()}
            assert parts[name].wallet == name
        assert sum((part["USDT"].total for part in parts.values() if "USDT" in part), D(0)) == D(HELD["USDT"])
        usual = await exchange.fetch_balance()
        assert (usual.wallet, usual["BTC"].total) == (USUAL[venue], parts[USUAL[venue]]["BTC"].total)


@pytest.mark.parametrize("venue", ["bybit", "okx"])
async def test_a_unified_wallet_named_twice_is_counted_once(venue: str) -> None:
    """Spot and swap of a unified account are one, and so is their sum."""
    async with opened(venue) as (running, exchange):
        alone = await tu.Balances(exchange, wallets=["spot", "swap", "margin"]).fetch("alice")
        assert alone.wallet == USUAL[venue]
        assert alone["USDT"].total == D("899.99999994")
        before = running.requests.total
        assert (await exchange.fetch_balance("swap")).wallet == (await exchange.fetch_balance("spot")).wallet
        assert running.requests.total - before == 2


async def test_what_was_borrowed_is_held_and_owed() -> None:
    """On binance's margin wallet: worth nothing by itself."""
    async with opened("binance", holder("binance", borrowed={"USDT": "50.5", "ETH": "2"})) as (_, exchange):
        balances = tu.Balances(exchange, wallets="all")
        margin = await balances.fetch("alice", wallet="cross")
        assert (margin["USDT"].total, margin["USDT"].debt, margin.wallet) == (D("50.5"), D("50.5"), "margin")
        whole = await balances.fetch("alice")
        assert whole["ETH"].total - whole["ETH"].debt == 0
        assert whole["USDT"].total - whole["USDT"].debt == D(HELD["USDT"])
        plain = tu.Balances(exchange, wallets=["spot", "funding", "swap", "margin"])
        assert (await plain.total("alice")).total == (await balances.total("alice")).total


@pytest.mark.parametrize(
    ("coin", "total", "debt"),
    [
        ({"walletBalance": "-50", "borrowAmount": "50", "spotBorrow": "0"}, "-50", "0"),  # a loss on contracts
        ({"walletBalance": "120", "borrowAmount": "20", "spotBorrow": "20", "accruedInterest": "0.5"}, "120", "20.5"),
        ({"walletBalance": "100", "borrowAmount": "30", "spotBorrow": "0"}, "100", "0"),  # reserved by an open order
        ({"walletBalance": "100", "borrowAmount": "30", "accruedInterest": "0"}, "100", "30"),  # before it was told
    ],
    ids=["negative", "borrowed", "reserved", "older"],
)
async def test_a_debt_of_a_unified_account_is_told_once(coin: dict[str, str], total: str, debt: str) -> None:
    """Bybit's ``borrowAmount`` holds what the wallet is below zero by: less that it would be owed twice."""
    row = {"coin": "USDT", "accruedInterest": "0", "locked": "0", "totalPositionIM": "0", "totalOrderIM": "0", **coin}
    told = {"retCode": 0, "retMsg": "OK", "result": {"list": [{"accountType": "UNIFIED", "coin": [row]}]}, "time": 1}
    async with opened("bybit") as (running, exchange):
        await exchange.fetch_balance()
        running.faults.add("status", status=200, body=json.dumps(told), path="/v5/account/wallet-balance")
        found = (await exchange.fetch_balance())["USDT"]
        assert (found.total, found.debt) == (D(total), D(debt))


async def test_an_account_without_a_margin_wallet_has_nothing_there() -> None:
    """Binance refuses to tell of one that was never opened; that is no failure, and another refusal is."""
    async with opened("binance", holder("binance", wallets={})) as (running, exchange):
        found = await exchange.fetch_balance("margin")
        assert (len(found), found.wallet, found.account) == (0, "margin", "alice")
        running.faults.add("status", status=400, body='{"code":-3999,"msg":"no"}', path="/sapi/v1/margin/account")
        with pytest.raises(tu.errors.VenueError, match="-3999"):
            await exchange.fetch_balance("margin")


async def test_a_swap_is_paid_from_its_own_wallet() -> None:
    """A position, its fee and its gain move the swap wallet alone; spot cannot spend what lies there."""
    async with opened("binance") as (_, exchange):
        balances = tu.Balances(exchange, wallets="all")
        before = await balances.fetch("alice")
        await exchange.create_order("BTC/USDT:USDT", "market", "buy", D("0.01"))
        await exchange.create_order("BTC/USDT:USDT", "market", "sell", D("0.01"))
        moved = balances.diff(before, await balances.fetch("alice"))
        assert {name for name, part in moved.wallets.items() if part} == {"swap"}
        assert moved["USDT"].total == moved.wallets["swap"]["USDT"].total < 0
        with pytest.raises(tu.errors.InsufficientFunds):
            await exchange.create_order("BTC/USDT", "limit", "buy", D("0.01"), D("65000"))


async def test_a_transfer_conserves_the_sum() -> None:
    """Moved on the venue between two looks: the parts change, the whole does not."""
    async with opened("binance") as (running, exchange):
        balances = tu.Balances(exchange, wallets="all")
        before = await balances.fetch("alice")
        running.ledger.transfer("k" * 64, "USDT", D("12.5"), "spot", "funding", running.clock.now())
        moved = balances.diff(before, await balances.fetch("alice"))
        assert dict(moved) == {}
        assert (moved.wallets["spot"]["USDT"].free, moved.wallets["funding"]["USDT"].free) == (D("-12.5"), D("12.5"))
        for asset, amount, source, target in (
            ("USDT", D(10**9), "spot", "funding"), ("USDT", D(-1), "spot", "funding"), ("USDT", D(1), "x", "spot"),
        ):  # fmt: skip
            with pytest.raises(UsageError, match=r"was to move|wallet was 'x'"):
                running.ledger.transfer("k" * 64, asset, amount, source, target, running.clock.now())


# Of each wallet the venue's own figures: how many of its requests fit into each window of an address or of an account.
ROOM = {
    ("binance", "spot"): {("weight", "ip", 60.0): 300, ("requests", "ip", 300.0): 61_000},
    ("binance", "funding"): {("sapi_ip", "ip", 60.0): 12_000},
    ("binance", "margin"): {("sapi_ip", "ip", 60.0): 1_200},
    ("binance", "isolated"): {("sapi_ip", "ip", 60.0): 1_200},
    ("binance", "swap"): {("weight", "ip", 60.0): 480},
    ("binance", "inverse"): {("weight", "ip", 60.0): 480},
    ("bybit", "unified"): {("requests", "ip", 5.0): 600, ("endpoint", "account", 1.0): 50},
    ("bybit", "funding"): {("requests", "ip", 5.0): 600, ("endpoint", "account", 1.0): 2},  # 5, as its documents say
    ("kraken", "spot"): {("counter", "account", 46.0): 15},
    ("okx", "trading"): {("endpoint", "account", 2.0): 10},
    ("okx", "funding"): {("endpoint", "account", 2.0): 12},
}


@pytest.mark.parametrize("venue", sorted(MOVED))
async def test_each_wallet_pays_what_the_venue_counts(venue: str) -> None:
    """Windows of address and account are charged, each by what its request weighs; none goes before orders."""
    async with opened(venue) as (_, exchange):
        await exchange.fetch_balance()  # clock, markets and the kind of account are known
        connection = exchange._venue._connection  # type: ignore[attr-defined]
        for wallet in exchange.wallets:
            params = exchange._venue.wallets.params(wallet)
            charge = await connection.charge_of(
                "fetch_balance", lambda given=params: connection.ccxt.fetch_balance(given)
            )
            windows = {
                (line.window.name, line.window.scope, line.window.seconds): round(line.window.limit / line.cost)
                for line in charge.lines
            }
            assert windows == ROOM[venue, wallet]
            assert not charge.urgent


async def test_the_venue_counts_what_was_paid() -> None:
    """Binance's weights, as it tells them."""
    async with opened("binance") as (running, exchange):
        await exchange.fetch_balance()
        seen = len(running.requests.last(1_000))
        for wallet in exchange.wallets:
            await exchange.fetch_balance(wallet)
        asked = {one.path: one.weight for one in running.requests.last(1_000)[seen:]}
        assert asked == {
            "/api/v3/account": 20, "/sapi/v1/asset/get-funding-asset": 1, "/sapi/v1/margin/account": 10,
            "/sapi/v1/margin/isolated/account": 10, "/fapi/v3/account": 5, "/dapi/v1/account": 5,
        }  # fmt: skip


async def test_a_wallet_that_a_venue_lacks_is_refused_before_anything_is_sent() -> None:
    """Venues that have one are named; what no venue has is a slip."""
    async with opened("kraken") as (running, exchange):
        with pytest.raises(NotSupportedByVenue, match="has no wallet 'funding'; it has spot; with one: binance"):
            await exchange.fetch_balance("funding")
        with pytest.raises(UnknownName, match="'spott'"):
            await tu.Balances(exchange, wallets=["spott"]).fetch("alice")
        assert exchange.wallet_named("margin") == "spot"
        assert running.requests.total == 0


async def test_a_key_that_is_refused_for_one_wallet_is_good_for_the_others() -> None:
    """Without permission for futures the sum cannot be told, and spot goes on."""
    async with opened("binance") as (running, exchange):
        refusal = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
        running.faults.add("status", status=401, body=refusal, path="/fapi/*/account")
        balances = tu.Balances(exchange, wallets=["spot", "swap"])
        with pytest.raises(tu.errors.AuthenticationFailed):
            await balances.fetch("alice")
        asked = running.requests.paths.get("/fapi/v3/account", 0)
        with pytest.raises(tu.errors.Suspended):
            await balances.fetch("alice", wallet="swap")
        assert running.requests.paths.get("/fapi/v3/account", 0) == asked
        assert (await balances.fetch("alice", wallet="spot"))["BTC"].total == D("0.39999999")


async def test_an_account_of_bybits_former_kind_is_not_called_unified() -> None:
    """ccxt asks for one of its wallets by default, and the unified one is refused by the venue."""
    options = {"enableUnifiedMargin": False, "enableUnifiedAccount": False}
    row = {"coin": "USDT", "walletBalance": "5", "locked": "0", "availableToWithdraw": "5"}
    told = {"retCode": 0, "retMsg": "OK", "result": {"list": [{"accountType": "CONTRACT", "coin": [row]}]}, "time": 1}
    async with opened("bybit", options=options) as (running, exchange):
        running.faults.add("status", status=200, body=json.dumps(told), path="/v5/account/wallet-balance")
        found = await exchange.fetch_balance()
        assert (found.wallet, found["USDT"].total) == (None, 5)


async def test_what_the_venue_sent_is_kept_where_it_was_asked_for() -> None:
    """With ``info=True``, of each wallet."""
    async with opened("binance", info=True) as (_, exchange):
        found = await tu.Balances(exchange, wallets=["spot", "funding"]).fetch("alice")
        assert found.wallets["spot"].info["balances"][0]["asset"] == "USDT"  # type: ignore[index,call-overload]
        assert found.info is None


def test_the_simulated_venue_refuses_wallets_that_it_has_not() -> None:
    """And more moved than there is."""
    with pytest.raises(UnknownName, match="wallet was 'margin'"):
        SimulatedVenue("okx", accounts=[holder("okx", borrowed={"USDT": 1})])
    with pytest.raises(UnknownName, match="wallet was 'funding'"):
        SimulatedVenue("kraken", accounts=[holder("kraken", wallets={"funding": {}})])
    with pytest.raises(UsageError, match="was to move 2000"):
        SimulatedVenue("binance", accounts=[holder("binance", wallets={"funding": {"USDT": 2000}})])


@pytest.mark.parametrize("venue", sorted(MOVED))
async def test_an_account_without_other_wallets_is_not_counted_twice(venue: str) -> None:
    """All of its money lies in the default one; on binance the wallet that swaps are paid from is empty."""
    async with opened(venue, holder(venue, wallets={})) as (_, exchange):
        found = await tu.Balances(exchange, wallets="all").fetch("alice")
        assert {asset: one.total for asset, one in found.items()} == {asset: D(text) for asset, text in HELD.items()}


async def test_one_pot_for_spot_and_swaps_is_there_on_request() -> None:
    """Both wallets then tell of the same money."""
    async with opened("binance", holder("binance", wallets={}, unified=True)) as (_, exchange):
        spot, swap = await exchange.fetch_balance("spot"), await exchange.fetch_balance("swap")
        assert spot["USDT"].total == swap["USDT"].total == D(HELD["USDT"])


@pytest.mark.parametrize(
    "options",
    [
        {"defaultType": "swap", "defaultMarginMode": "isolated"},
        {"defaultType": "swap", "defaultSubType": "inverse"},
        {"defaultMarginMode": "isolated"},
        {"defaultMarginMode": "cross"},
        {"defaultSubType": "linear"},
        {"defaultType": "future"},
        {"fetchBalance": {"type": "funding"}},
    ],
    ids=lambda options: "-".join(map(str, options.values())).replace("{'type': 'funding'}", "funding"),
)
async def test_options_of_ccxt_send_no_wallet_to_another(options: dict[str, Any]) -> None:
    """Each wallet is told by its own endpoint, whatever they say, and the sum is what there is."""
    async with opened("binance", options=options) as (running, exchange):
        await exchange.fetch_balance()
        before = running.requests.paths
        found = await tu.Balances(exchange, wallets="all").fetch("alice")
        assert {asset: one.total for asset, one in found.items()} == {asset: D(text) for asset, text in HELD.items()}
        assert {asset: one.total for asset, one in found.wallets["swap"].items()} == {"USDT": D("300.00000002")}
        paths = ("/api/v3/account", "/sapi/v1/margin/account", "/sapi/v1/margin/isolated/account", "/fapi/v3/account",
                 "/dapi/v1/account", "/sapi/v1/asset/get-funding-asset")  # fmt: skip
        asked = {path: running.requests.paths.get(path, 0) - before.get(path, 0) for path in paths}
        assert asked == dict.fromkeys(paths, 1)


FAR = {"A": "1000000000000.000000000000000001", "B": "0.000000000000000001", "C": "0.123456789012345678", "D": "1E-18"}
REPLIES: dict[str, tuple[str, Any]] = {
    "binance": (
        "/api/v3/account", {"balances": [{"asset": a, "free": t, "locked": "0.1"} for a, t in FAR.items()]}
    ),
    "bybit": (
        "/v5/account/wallet-balance",
        {"retCode": 0, "retMsg": "OK", "time": 1, "result": {"list": [{"accountType": "UNIFIED", "coin": [
            {"coin": a, "walletBalance": str(D(t) + D("0.1")) if a != "A" else "1000000000000.100000000000000001",
             "locked": "0.1", "borrowAmount": "0", "accruedInterest": "0", "totalPositionIM": "0", "totalOrderIM": "0"}
            for a, t in FAR.items()]}]}},
    ),
    "okx": (
        "/api/v5/account/balance",
        {"code": "0", "msg": "", "data": [{"uTime": "1", "details": [
            {"ccy": a, "eq": "1000000000000.100000000000000001" if a == "A" else str(D(t) + D("0.1")), "availEq": t}
            for a, t in FAR.items()]}]},
    ),
    "kraken": (
        "/0/private/BalanceEx",
        {"error": [], "result": {a: {
            "balance": "1000000000000.100000000000000001" if a == "A" else str(D(t) + D("0.1")), "hold_trade": "0.1"}
            for a, t in FAR.items()}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("venue", sorted(REPLIES))
async def test_every_digit_survives_from_each_dialect_to_the_sum(venue: str) -> None:
    """18 decimals, 1e-18 and 1e12 units, also in the exponent form: through ccxt, the cache, two accounts and a sum."""
    path, reply = REPLIES[venue]
    async with tu.Cache() as cache, opened(venue) as (running, exchange):
        await exchange.fetch_balance()
        running.faults.add("status", status=200, body=json.dumps(reply), path=path)
        balances = tu.Balances(exchange, cache=cache, ttl=60)
        for _ in range(2):  # from the venue, and from the cache
            found = await balances.fetch("alice", wallet="spot")
            for asset, text in FAR.items():
                held = found[asset]
                assert (held.free, held.used) == (D(text), D("0.1"))
                assert EXACT.subtract(held.total, held.used) == held.free
            twice = tu.Balance.combined({"one": found, "two": found})
            assert twice["A"].total == D("2000000000000.200000000000000002")
            assert twice["B"].free == D("0.000000000000000002")


ODD: dict[str, tuple[str, str, list[str]]] = {
    "binance": ("/api/v3/account", '{{"balances":[{}]}}', [
        '{"free":"5","locked":"0"}', '{"asset":null,"free":"5","locked":"0"}',
        '{"asset":"A","free":"1E+99","locked":"0"}',
        '{"asset":"A","free":"0E-99","locked":"0"}',
        '{"asset":"A","free":"5","locked":"0"},{"asset":"A","free":"7","locked":"0"}',
    ]),
    "bybit": ("/v5/account/wallet-balance", '{{"retCode":0,"retMsg":"OK","time":1,"result":{{"list":[{}]}}}}', [
        '{"accountType":"UNIFIED"}', '{"accountType":"UNIFIED","coin":null}', '{"accountType":"UNIFIED","coin":[5]}',
        '{"accountType":"UNIFIED","coin":[{"walletBalance":"5","locked":"0"}]}',
    ]),
    "okx": ("/api/v5/account/balance", '{{"code":"0","msg":"","data":[{}]}}', [
        '{"uTime":"1"}', '{"uTime":"1","details":{}}', '{"uTime":"1","details":[{"eq":"5","availEq":"5"}]}',
    ]),
    "kraken": ("/0/private/BalanceEx", '{{"error":[],"result":{{{}}}}}', ['"XXBT":5', '"XXBT":{}', '"XXBT":null']),
}  # fmt: skip


@pytest.mark.parametrize(
    ("venue", "row"), [(venue, row) for venue, (_, _, rows) in ODD.items() for row in range(len(rows))]
)
async def test_rows_that_cannot_be_read_are_not_passed_over(venue: str, row: int) -> None:
    """ccxt skips a row without a name, takes the last of two and a wallet without rows for empty: money lost."""
    path, frame, rows = ODD[venue]
    async with opened(venue, retries=0) as (running, exchange):
        await exchange.fetch_balance()
        running.faults.add("status", status=200, body=frame.format(rows[row]), path=path)
        with pytest.raises(tu.errors.BadReply):
            await exchange.fetch_balance()

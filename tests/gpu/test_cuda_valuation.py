"""What accounts are worth on a device is what they are worth in decimals."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from host_device import HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.balances import Holdings, value_many
from tradeutils.balances import device_values as room
from tradeutils.balances.device_values import DeviceHoldings
from tradeutils.balances.routes import Routes
from tradeutils.device import using
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, UnknownName, UsageError
from tradeutils.model import AssetBalance, Balance, Market, Ticker

Array = np.ndarray[Any, Any]

ASSETS = tuple(f"A{number}" for number in range(40))
NEAR = Fraction(1, 10**15)
amounts = st.one_of(
    st.decimals(min_value=0, max_value=10**12, places=18, allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal(0), Decimal("1e-18"), Decimal("999999999999.999999999999999999"), Decimal("1e200")]),
)
parts = st.builds(lambda total, debt: AssetBalance(total=total, debt=debt), amounts, st.just(Decimal(0)) | amounts)
accounts = st.dictionaries(st.sampled_from([*ASSETS[:8], "USDT", "LDA0", "XDROP"]), parts)
told = st.lists(st.floats(min_value=1e-12, max_value=1e9) | st.just(0.0), min_size=8, max_size=8)


@pytest.fixture
def device() -> HostDevice:
    """The stand-in."""
    return HostDevice()


def balance(account: str, **held: str) -> Balance:
    assets = {asset: AssetBalance(total=Decimal(amount)) for asset, amount in held.items()}
    return Balance(venue="binance", account=account, time=0, assets=assets)


def random_balances(count: int, assets: int, seed: int = 1) -> dict[str, Balance]:
    random = np.random.default_rng(seed)
    cells = random.lognormal(0, 3, (count, assets)).round(8)
    return {
        f"u{at}": balance(f"u{at}", **{f"A{n}": str(cell) for n, cell in enumerate(row)})
        for at, row in enumerate(cells)
    }


def routes(prices: list[float]) -> Routes:
    symbols = [f"{asset}/USDT" for asset in ASSETS[: len(prices)]]
    markets = {s: Market(symbol=s, id=s, base=s.split("/", maxsplit=1)[0], quote="USDT") for s in symbols}
    tickers = {s: Ticker(symbol=s, last=one) for s, one in zip(symbols, prices, strict=True)}
    return Routes("USDT", markets, tickers, venue="binance")


def exact(
    balances: dict[str, Balance], assets: tuple[str, ...], prices: Array
) -> tuple[list[Fraction], list[Fraction]]:
    """Total and gross value of each account, to the last digit, of amounts as floats hold them."""
    totals, sizes = [], []
    for one in balances.values():
        worth = [
            Fraction(float(part.total - part.debt)) * Fraction(float(prices[assets.index(asset)]))
            for asset, part in one.assets.items()
        ]
        totals.append(sum(worth, Fraction(0)))
        sizes.append(sum(map(abs, worth), Fraction(0)))
    return totals, sizes


def check(made: Array, balances: dict[str, Balance], assets: tuple[str, ...], prices: Array) -> None:
    """Hold totals to exact ones, within 1e-15 of the gross value."""
    for own, total, gross in zip(made, *exact(balances, assets, prices), strict=True):
        assert abs(Fraction(float(own)) - total) <= NEAR * gross


@pytest.mark.parametrize(("count", "assets"), [(1, 1), (7, 31), (8, 32), (9, 33), (17, 40)])
def test_totals_are_the_exact_ones(count: int, assets: int, device: HostDevice) -> None:
    """Whatever is left over of warps and lines; one column of prices, and from one to six."""
    balances = random_balances(count, assets)
    resident = Holdings(balances).to_device(device)
    prices = np.random.default_rng(2).lognormal(0, 4, (assets, 6))
    check(resident.value(prices[:, 0]), balances, resident.assets, prices[:, 0])
    for quotes in (0, 1, 3, 4, 6):
        made = resident.value(prices[:, :quotes])
        assert made.shape == (count, quotes)
        for q in range(quotes):
            check(made[:, q], balances, resident.assets, prices[:, q])
            np.testing.assert_array_equal(made[:, q], resident.value(prices[:, q]))


def test_what_cancels_is_summed_without_loss(device: HostDevice) -> None:
    """A hundred times 1e16 less as much, and a thousandth: plain sums in float64 lose it."""
    names = [f"A{n}" for n in range(101)]
    cells = {name: "1e16" if n % 2 == 0 else "-1e16" for n, name in enumerate(names[:100])}
    resident = Holdings({"u": balance("u", **cells, A100="0.001")}).to_device(device)
    assert resident.value(np.ones(101)).tolist() == [0.001]
    assert resident.value(np.ones(101), gross=True).tolist() == [1e18]


def test_only_rows_that_changed_travel(device: HostDevice) -> None:
    """Of 100 accounts one is updated: its row goes up, of 40 cells in lines, and no other."""
    balances = random_balances(100, 40)
    holdings = Holdings(balances)
    resident = holdings.to_device(device)
    assert (len(resident), resident.nbytes) == (100, 100 * 64 * 8 + 100 * 8)
    prices = np.ones(40)
    first = resident.value(prices)
    before = device.bytes_up
    resident.value(prices)
    of_a_valuation = device.bytes_up - before
    assert of_a_valuation < 500
    balances["u7"] = balance("u7", A3="5")
    assert holdings.update(balances) == 1
    before = device.bytes_up
    second = resident.value(prices)
    assert device.bytes_up - before == of_a_valuation + 64 * 8
    assert second[7] == 5.0
    np.testing.assert_array_equal(np.delete(second, 7), np.delete(first, 7))
    assert resident.update() == 0


def test_accounts_and_assets_come_and_go(device: HostDevice) -> None:
    """Rows of removed accounts are used again; more than there is room for moves all; the order is that of names."""
    balances = random_balances(10, 5)
    holdings = Holdings(balances)
    resident = holdings.to_device(device)
    holdings.remove(["u0", "u4", "u5"])
    holdings.update({"v": balance("v", A0="1"), "u4": balance("u4", A1="2")})
    assert resident.update() == 2
    cells = resident.nbytes
    assert resident.accounts == ("u1", "u2", "u3", "u6", "u7", "u8", "u9", "v", "u4")
    np.testing.assert_array_equal(resident.value(np.array([10.0, 20, 0, 0, 0]))[-2:], [10.0, 40.0])
    holdings.update({f"w{n}": balance(f"w{n}", A2="3") for n in range(20)})
    assert resident.update() == 29
    assert resident.nbytes > cells
    holdings.update({"wide": balance("wide", **{f"B{n}": "1" for n in range(40)})})
    assert resident.update() == 30
    assert resident.assets == holdings.assets
    check(resident.value(np.arange(45.0)), holdings.balances, resident.assets, np.arange(45.0))


def test_large_uploads_are_made_in_parts(device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more on the host than some rows; rows that do not follow one another too."""
    monkeypatch.setattr(room, "_STAGED", 3 * 32)
    balances = random_balances(10, 5)
    holdings = Holdings(balances)
    resident = holdings.to_device(device)
    check(resident.value(np.ones(5)), balances, resident.assets, np.ones(5))
    balances |= {f"u{n}": balance(f"u{n}", A1=str(n)) for n in (1, 2, 4, 7, 9)}
    holdings.update(balances)
    assert resident.update() == 5
    check(resident.value(np.ones(5)), balances, resident.assets, np.ones(5))


def test_accounts_without_anything_are_worth_nothing(device: HostDevice) -> None:
    """No account, no asset, an account without an asset."""
    holdings = Holdings()
    resident = holdings.to_device(device)
    assert resident.value([]).shape == (0,)
    holdings.update({"u": balance("u")})
    assert resident.value([]).tolist() == [0.0]
    assert resident.value(np.empty((0, 2))).tolist() == [[0.0, 0.0]]
    assert repr(resident) == "<DeviceHoldings of 1 accounts on host stand-in 0>"


def test_an_amount_that_no_float_holds_is_nan_and_valued_in_decimals(device: HostDevice) -> None:
    """Of a total by itself nobody could tell; value_many goes by the decimals."""
    holdings = Holdings({"u": balance("u", A0="1e200", A1="1"), "v": balance("v", A1="2"), "w": balance("w", A0="NaN")})
    made = holdings.to_device(device).value(np.array([1e-20, 3.0]))
    np.testing.assert_array_equal(made, [np.nan, 6.0, np.nan])
    table = value_many(holdings, "USDT", routes([1e-20, 3.0]), 0, backend="cuda")
    np.testing.assert_allclose(table.totals, [1e180, 6.0, 0.0], rtol=1e-9)
    assert table.unpriced["w"].keys() == {"A0"}


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (np.ones(3), r"shape \(3,\); there are 2 assets"),
        (np.ones((2, 1, 1)), r"shape \(2, 1, 1\)"),
        (1.0, r"shape \(\)"),
        (["one", "two"], "float64"),
        ({"A0": 1.0}, "prices was dict"),
        ([1.0, np.nan], "price of asset 1 was nan"),
        ([[1.0, 2.0], [1.0, -np.inf]], "price of asset 1 was"),
        ([1e151, 1.0], "price of asset 0 was 1e"),
    ],
)
def test_prices_that_do_not_fit_are_refused(prices: Any, said: str, device: HostDevice) -> None:
    """What was wrong, and what to give."""
    resident = Holdings({"u": balance("u", A0="1", A1="2")}).to_device(device)
    with pytest.raises(UsageError, match=said):
        resident.value(prices)


def test_what_does_not_fit_says_what_it_needs(device: HostDevice) -> None:
    """And another try with less succeeds."""
    small = HostDevice(memory=60_000)
    balances = random_balances(300, 20)
    holdings = Holdings(balances)
    with pytest.raises(
        DeviceOutOfMemory, match=r'300 accounts in 20 assets take 76,800 bytes.*backend="cpu"'
    ) as caught:
        holdings.to_device(small)
    assert (caught.value.needed, caught.value.free) == (76_800, 60_000)
    prices = routes([1.0] * 20)
    with pytest.raises(DeviceOutOfMemory), using([small]):
        value_many(balances, "USDT", prices, 0, backend="cuda")
    assert len(value_many(holdings, "USDT", prices, 0)) == 300  # on the CPU, as nothing lies on the device
    holdings.remove([f"u{n}" for n in range(100, 300)])
    assert len(holdings.to_device(small).value(np.ones(20))) == 100


def test_freed_memory_is_taken_again_when_it_is_needed(device: HostDevice) -> None:
    """All rows are uploaded then; until then the CPU values what is left to it."""
    holdings = Holdings(random_balances(5, 3))
    resident = holdings.to_device(device)
    assert holdings.to_device(device) is resident
    resident.free()
    assert (resident.nbytes, device.free_bytes()) == (0, device.total_bytes)
    launched = len(device.launches)
    value_many(holdings, "USDT", routes([1.0] * 3), 0)
    assert len(device.launches) == launched
    assert resident.update() == 5


def test_backend_says_where_accounts_are_valued(device: HostDevice) -> None:
    """On the CPU or the GPU where it is named, with "auto" where the amounts lie."""
    holdings, prices = Holdings(random_balances(5, 3)), routes([1.0, 2.0, 3.0])
    by_cpu = value_many(holdings, "USDT", prices, 0).totals
    with using([device, HostDevice(1)]):
        assert not device.launches
        for backend, launched in (("cuda", 1), ("auto", 2), ("cuda", 3), ("cpu", 3)):
            made = value_many(holdings, "USDT", prices, 0, backend=backend)
            assert len(device.launches) == launched
            np.testing.assert_allclose(made.totals, by_cpu, rtol=1e-15)
            assert not made.totals.flags.writeable
        other = HostDevice(1)
        assert holdings.to_device(other).device is other
        value_many(holdings, "USDT", prices, 0)
        assert (len(device.launches), len(other.launches)) == (3, 1)
    with pytest.raises(UnknownName, match="gpu"):
        value_many(holdings, "USDT", prices, 0, backend="gpu")
    with using([]), pytest.raises(BackendUnavailable):
        value_many(random_balances(1, 1), "USDT", prices, 0, backend="cuda")


def test_copies_of_holdings_are_on_no_device(device: HostDevice) -> None:
    """They travel to other processes."""
    holdings, prices = Holdings(random_balances(3, 2)), routes([1.0, 2.0])
    holdings.to_device(device)
    totals = value_many(holdings, "USDT", prices, 0).totals
    launched = len(device.launches)
    for made in (pickle.loads(pickle.dumps(holdings)), copy.deepcopy(holdings)):  # noqa: S301  # our own bytes
        np.testing.assert_allclose(value_many(made, "USDT", prices, 0).totals, totals, rtol=1e-15)
    assert len(device.launches) == launched


def test_a_table_keeps_what_it_was_made_of(device: HostDevice) -> None:
    """Amounts on the device are written over; the gross value of an earlier table is still that of its own."""
    holdings, prices = Holdings({"u": balance("u", A0="5", A1="-2")}), routes([1.0, 2.0])
    holdings.to_device(device)
    first, second = (value_many(holdings, "USDT", prices, 0) for _ in range(2))
    launched = len(device.launches)
    assert second.gross.tolist() == [9.0]
    assert len(device.launches) == launched + 1
    holdings.update({"u": balance("u", A0="100")})
    third = value_many(holdings, "USDT", prices, 0)
    assert (first.totals.tolist(), third.totals.tolist()) == ([1.0], [100.0])
    assert first.gross.tolist() == [9.0]
    assert first.exact("u").total == 1


_shared = HostDevice()  # hypothesis runs a test many times on one fixture


@given(st.lists(accounts, max_size=5), told, st.sampled_from(("unpriced", "underlying")))
@settings(max_examples=60)
def test_totals_are_within_a_billionth_of_the_decimals(
    balances: list[dict[str, AssetBalance]], prices: list[float], locked: Any
) -> None:
    """As on the CPU: dust, supplies, 18 decimals, debts that cancel, amounts beyond a float."""
    made = {f"u{n}": Balance(venue="b", account=f"u{n}", time=0, assets=held) for n, held in enumerate(balances)}
    with using([_shared]):
        table = value_many(made, "USDT", routes(prices), 0, locked=locked, backend="cuda")
    for at, name in enumerate(table.accounts):
        valuation = table.exact(name)
        gross = sum((abs(Fraction(part.value)) for part in valuation.assets.values()), Fraction(0))
        assert abs(Fraction(float(table.totals[at])) - Fraction(valuation.total)) <= Fraction(1, 10**9) * gross
        assert abs(Fraction(float(table.gross[at])) - gross) <= Fraction(1, 10**9) * gross
        assert table.unpriced.get(name, {}) == valuation.unpriced


def test_balances_are_valued_without_numba() -> None:
    """The kernel's source is read without what the CPU's kernels need."""
    code = (
        "import sys, tradeutils.balances.device_values; "
        "print([m for m in ('numba', 'cupy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_holdings_on_a_device_are_what_to_device_returns(device: HostDevice) -> None:
    """With the device, the accounts and the assets of the holdings."""
    holdings = Holdings(random_balances(2, 2))
    resident = holdings.to_device(device)
    assert isinstance(resident, DeviceHoldings)
    assert (resident.device, resident.accounts, resident.assets) == (device, holdings.accounts, holdings.assets)

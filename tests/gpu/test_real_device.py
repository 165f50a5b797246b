"""
What only a GPU can show: that its numbers are the CPU's, and that nothing travels or breaks that should not.

``nox -s gpu`` runs these where there is an NVIDIA GPU; elsewhere they are skipped, with the reason. With
``TRADEUTILS_GPU=stand-in`` they run on the host's processor instead, all but those of CuPy itself: so that they are
known to be right before they meet a GPU.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from host_device import HostDevice

import tradeutils as tu
from tradeutils import indicators
from tradeutils.balances.matrix import Holdings, value_many
from tradeutils.balances.routes import Routes
from tradeutils.cli.doctor_gpu import look_at_gpus
from tradeutils.device import default_device, devices, using, why_none
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory
from tradeutils.indicators import REGISTRY, compute
from tradeutils.model import AssetBalance, Balance, Market, Ticker

pytestmark = pytest.mark.gpu

STAND_IN = os.environ.get("TRADEUTILS_GPU") == "stand-in"
FIELDS = ("open", "high", "low", "close", "volume")
CLOSE = 1e-12  # of the largest value of a result
PAIRS = sorted(name for name in REGISTRY if "other" in REGISTRY[name].inputs)
NAMES = sorted(REGISTRY.keys() - set(PAIRS))
GROUPS = [NAMES[at : at + 26] for at in range(0, len(NAMES), 26)]  # a program each
SPECS = ["rsi:14", "macd:12,26,9", "atr:14", "bbands:20,2", "obv", "sma:50"]


@pytest.fixture(autouse=True)
def device() -> Iterator[Any]:
    """Return the first GPU, or skip with the reason."""
    if STAND_IN:
        with using([HostDevice()]) as there:
            yield there[0]
        return
    if not devices():
        pytest.skip(f"no GPU: {why_none()}")
    yield default_device()


@pytest.fixture
def cupy() -> Any:
    """Return CuPy, or skip."""
    if STAND_IN:
        pytest.skip("the stand-in has no CuPy")
    return default_device().xp


def made_panel(bars: int, symbols: int, *, gaps: bool = True, seed: int = 1) -> tu.Panel:
    """Return a panel of random walks, from a hundred-millionth to a hundred thousand, with candles missing."""
    draw = np.random.default_rng([seed, bars, symbols])
    scale = 10.0 ** draw.integers(-8, 6, symbols)
    close = scale * np.exp(np.cumsum(draw.normal(0, 0.01, (bars, symbols)), axis=0))
    opened = close * np.exp(draw.normal(0, 0.002, close.shape))
    high = np.maximum(opened, close) * np.exp(np.abs(draw.normal(0, 0.003, close.shape)))
    low = np.minimum(opened, close) / np.exp(np.abs(draw.normal(0, 0.003, close.shape)))
    volume = draw.lognormal(5, 2, close.shape)
    if gaps:
        late, missing = draw.integers(0, max(1, bars // 3), symbols), draw.random(close.shape) < 0.01
        missing |= np.arange(bars)[:, None] < late
        for column in (opened, high, low, close, volume):
            column[missing] = np.nan
    columns = dict(zip(FIELDS, (opened, high, low, close, volume), strict=True))
    names = [f"S{number}/USDT" for number in range(symbols)]
    return tu.Panel(symbols=names, timeframe="1m", time=np.arange(bars) * 60_000, **columns)


def brought(device: Any, results: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return results on the host; each must lie on the device."""
    assert all(device.owns(values) for values in results.values())
    return {key: device.download(values) for key, values in results.items()}


def assert_near(ours: Any, theirs: Any, tolerance: float = CLOSE) -> None:
    """Assert the same keys, NaN in the same places, and values within a tolerance of each column's scale."""
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        made = np.asarray(ours[key])
        assert made.shape == expected.shape, key
        assert made.dtype == expected.dtype, key
        np.testing.assert_array_equal(np.isnan(made), np.isnan(expected), err_msg=key)
        endless = np.isinf(expected)
        np.testing.assert_array_equal(made[endless], expected[endless], err_msg=key)
        finite = np.where(np.isfinite(expected), expected, 0.0)
        scale = np.max(np.abs(finite), axis=0, initial=0.0)
        apart = np.abs(np.where(np.isfinite(expected), made, 0.0) - finite)
        assert (apart <= tolerance * scale).all(), f"{key}: {np.max(apart / np.where(scale, scale, 1)):.1e} apart"


# The numbers


@pytest.mark.parametrize("nan", ["restart", "hold", "propagate"])
@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_every_indicator_is_the_cpu_s(device: Any, group: int, nan: str) -> None:
    """All of the registry, on a panel with candles missing, in every way to go on after one."""
    panel = made_panel(300, 70)
    ours = brought(device, compute(panel.to_device(), GROUPS[group], backend="cuda", nan=nan))
    assert_near(ours, compute(panel, GROUPS[group], backend="cpu", nan=nan))


def test_indicators_of_two_series_are_the_cpu_s(device: Any) -> None:
    """By their plain functions, on arrays of the device."""
    assert {"beta", "correl"} <= set(PAIRS)
    panel = made_panel(200, 40)
    resident = panel.to_device()
    for name in PAIRS:
        function = getattr(indicators, name)
        ours = brought(device, {name: function(resident.close, resident.volume)})
        assert_near(ours, {name: function(panel.close, panel.volume)})


def test_other_definitions_are_the_cpu_s(device: Any) -> None:
    """Those that TradingView defines otherwise."""
    names = [name for name in NAMES if REGISTRY[name].tradingview is not None]
    assert names
    panel = made_panel(260, 40)
    ours = brought(device, compute(panel.to_device(), names, backend="cuda", compat="tradingview"))
    assert_near(ours, compute(panel, names, backend="cpu", compat="tradingview"))


@pytest.mark.parametrize("shape", [(1, 1), (2, 33), (30, 1), (7, 0), (0, 5), (257, 129)])
def test_odd_shapes_are_the_cpu_s(device: Any, shape: tuple[int, int]) -> None:
    """One bar, one symbol, none, fewer bars than the lookback, and what fills no block of threads."""
    panel = made_panel(*shape)
    ours = brought(device, compute(panel.to_device(), SPECS, backend="cuda"))
    assert_near(ours, compute(panel, SPECS, backend="cpu"))


def test_long_series_of_few_symbols_are_the_cpu_s(device: Any) -> None:
    """Time is cut into chunks, or summed by scans, which add in another order."""
    panel = made_panel(4_000 if STAND_IN else 400_000, 3)
    specs = ["ema:20", "rma:14", "rsi:14", "obv", "sma:100", "adx:14", "stoch:14,3,3", "kama:10"]
    ours = brought(device, compute(panel.to_device(), specs, backend="cuda"))
    assert_near(ours, compute(panel, specs, backend="cpu"), tolerance=1e-11)


def test_data_of_the_host_are_computed_there_and_come_back(device: Any) -> None:
    """In blocks of symbols, into arrays of the host."""
    panel = made_panel(300, 50 if STAND_IN else 5_000)
    ours = compute(panel, SPECS, backend="cuda")
    assert all(type(values) is np.ndarray for values in ours.values())
    assert_near(ours, compute(panel, SPECS, backend="cpu"))


def test_results_in_float32_are_the_rounded_ones(device: Any) -> None:
    """Calculated in float64 either way."""
    panel = made_panel(200, 40, gaps=False)
    ours = brought(device, compute(panel.to_device(), SPECS, backend="cuda", dtype=np.float32))
    assert_near(ours, compute(panel, SPECS, backend="cpu", dtype=np.float32), tolerance=1.5e-7)


def test_panel_kept_in_float32_is_the_rounded_panel(device: Any) -> None:
    """What is lost is lost at the upload."""
    panel = made_panel(200, 40)
    resident = panel.to_device(dtype="float32")
    ours = brought(device, compute(resident, ["sma:20", "rsi:14"], backend="cuda", dtype=np.float64))
    assert_near(ours, compute(resident.to_host(), ["sma:20", "rsi:14"], backend="cpu"))


def test_sweep_is_each_of_its_indicators(device: Any) -> None:
    """One launch over symbols and parameters."""
    panel = made_panel(400, 60)
    ours = brought(device, compute(panel.to_device(), ["rsi:5..50"], backend="cuda"))
    assert len(ours) == 46
    assert_near(ours, compute(panel, [f"rsi:{period}" for period in range(5, 51)], backend="cpu"))


# Data that stay


def test_bars_added_on_the_device_are_counted(device: Any) -> None:
    """Each new bar gives the last row of the whole panel."""
    panel = made_panel(330, 30)
    resident = panel[:300].to_device()
    for row in range(300, 330):
        resident.append({"time": int(panel.time[row]), **{name: getattr(panel, name)[row] for name in FIELDS}})
        ours = brought(device, compute(resident, SPECS, backend="cuda", tail=1))
        if row % 10 == 0:
            assert_near(ours, compute(panel[: row + 1], SPECS, backend="cpu", tail=1), tolerance=1e-11)
    assert resident.to_host() == panel


def test_last_rows_are_those_of_all(device: Any) -> None:
    """``tail`` stores and brings back no more."""
    panel = made_panel(500, 40)
    resident = panel.to_device()
    ours = brought(device, compute(resident, SPECS, backend="cuda", tail=7))
    whole = brought(device, compute(resident, SPECS, backend="cuda"))
    assert_near(ours, {key: values[-7:] for key, values in whole.items()}, tolerance=1e-11)


def test_results_of_a_device_feed_the_next_calculation(device: Any) -> None:
    """An average of an average, without the host."""
    panel = made_panel(200, 20, gaps=False)
    resident = panel.to_device()
    first = compute(resident, ["sma:10"], backend="cuda")["sma:10"]
    second = brought(device, compute(first, ["sma:5"], backend="cuda"))
    expected = compute(compute(panel, ["sma:10"], backend="cpu")["sma:10"], ["sma:5"], backend="cpu")
    assert_near(second, expected)


def test_arrays_of_other_libraries_are_taken_without_a_copy(device: Any, cupy: Any) -> None:
    """By DLPack and by CUDA's interface; also slices and Fortran's order."""
    panel = made_panel(200, 64, gaps=False)
    close = cupy.asarray(panel.close)

    class Dlpack:
        def __dlpack__(self, **options: Any) -> Any:
            return close.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return close.__dlpack_device__()

    class Interface:
        __cuda_array_interface__ = close.__cuda_array_interface__

    expected = compute(panel.close, ["rsi:14"], backend="cpu")
    used = cupy.get_default_memory_pool().used_bytes()
    assert device.adopt(Dlpack()).data.ptr == device.adopt(Interface()).data.ptr == close.data.ptr
    assert cupy.get_default_memory_pool().used_bytes() == used
    for data in (close, Dlpack(), Interface(), cupy.asfortranarray(close)):
        assert_near(brought(device, compute(data, ["rsi:14"], backend="cuda")), expected)
    half = brought(device, compute(close[:, ::2], ["rsi:14"], backend="cuda"))
    assert_near(half, {"rsi:14": expected["rsi:14"][:, ::2]})


def test_tensors_of_torch_are_taken(device: Any, cupy: Any) -> None:
    """Where torch is installed with CUDA."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    panel = made_panel(100, 8, gaps=False)
    ours = brought(device, compute(torch.tensor(panel.close, device="cuda"), ["ema:9"], backend="cuda"))
    assert_near(ours, compute(panel.close, ["ema:9"], backend="cpu"))


def test_auto_gives_the_numbers_of_the_cpu_every_time(device: Any) -> None:
    """Whichever it takes, through its trial and after."""
    panel = made_panel(300, 40)
    expected = compute(panel, SPECS, backend="cpu")
    for _ in range(6):
        assert_near(compute(panel, SPECS, backend="auto"), expected)


# Memory and transfers


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_travel_whole(device: Any, order: str) -> None:
    """From pinned and pageable memory, with two streams at once, and rows of a larger array."""
    host = np.asarray(np.random.default_rng(5).normal(size=(3_000, 700)), order=order)
    pinned = device.pinned(host.shape, host.dtype)
    pinned[...] = host
    for source in (host, pinned, host[:, 3:200], host[::3], host[::-1]):
        for stream in (None, device.stream()):
            there = device.upload(source, stream=stream)
            back = np.full((*source.shape[:-1], source.shape[-1] + 5), -1.0)[:, :-5]
            device.download(there, back, stream=stream)
            device.synchronize(stream)
            np.testing.assert_array_equal(back, source)
    streams = [device.stream(), device.stream()]
    halves = [device.upload(pinned[at::2].copy(), stream=stream) for at, stream in enumerate(streams)]
    for at, stream in enumerate(streams):
        device.synchronize(stream)
        np.testing.assert_array_equal(device.download(halves[at]), host[at::2])


def test_upload_may_be_overwritten_at_once(device: Any) -> None:
    """Without a stream what was given has been read on return, pinned or not, few bytes or many."""
    for size, make in itertools.product((100, 3_000_000), (np.empty, device.pinned)):
        host = make((size,), np.float64)
        host[...] = 1.0
        there = device.upload(host)
        host[...] = 2.0
        assert (device.download(there) == 1.0).all()


def test_memory_that_runs_out_ends_in_an_error_and_no_harm(device: Any, cupy: Any) -> None:
    """Data of the host are computed in blocks; what must lie on the device as a whole is refused with figures."""
    panel = made_panel(500, 400)
    expected = compute(panel, SPECS, backend="cpu")
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    limit = pool.get_limit()
    try:
        pool.set_limit(size=pool.used_bytes() + 6 * 2**20)
        with pytest.raises(DeviceOutOfMemory, match="free"):
            panel.to_device()
        assert_near(compute(panel, SPECS, backend="cuda"), expected)
        with pytest.raises(DeviceOutOfMemory), device:
            cupy.empty(10**9)
    finally:
        pool.set_limit(size=limit)
    assert_near(compute(panel, SPECS, backend="cuda"), expected)


def test_memory_is_given_back(device: Any, cupy: Any) -> None:
    """A thousand calls hold no more than one."""
    panel = made_panel(100, 50).to_device()
    pool = cupy.get_default_memory_pool()
    compute(panel, SPECS, backend="cuda")
    held = pool.used_bytes()
    for _ in range(1000):
        compute(panel, SPECS, backend="cuda", tail=1)
    assert pool.used_bytes() <= held + 2**20


def test_all_devices_give_the_same(device: Any, cupy: Any) -> None:
    """Where there are several, data of the host are computed by blocks of symbols on all of them."""
    there = devices()
    if len(there) < 2:
        pytest.skip("one GPU only")
    panel = made_panel(300, 2_000)
    expected = compute(panel, SPECS, backend="cpu")
    assert_near(compute(panel, SPECS, backend="cuda"), expected)
    for one in there:
        assert_near(brought(one, compute(panel.to_device(one), SPECS, backend="cuda")), expected)


# Faults


def test_source_that_does_not_compile_is_our_error(device: Any, cupy: Any) -> None:
    """With what the compiler said."""
    with pytest.raises(BackendUnavailable, match="NVRTC refused"):
        device.compile('extern "C" __global__ void tu_broken(const long long* table) { nothing; }')


def test_kernels_read_their_table_and_share_memory(device: Any, cupy: Any) -> None:
    """More than 48 KiB of shared memory too, where the device has it."""
    source = """
    extern "C" __global__ void tu_write(const long long* table) {
      extern __shared__ double held[];
      long long n = table[1];
      for (long long i = threadIdx.x; i < n; i += blockDim.x) held[i] = (double)i;
      __syncthreads();
      double* out = (double*)table[0];
      for (long long i = threadIdx.x; i < n; i += blockDim.x) out[i] = held[n - 1 - i] * 1.5 + 0.25;
    }
    """
    module = device.compile(source)
    for count, stream in itertools.product((64, 7_000), (None, device.stream())):
        if count * 8 > 48 * 1024 and int(device.capability.partition(".")[0]) < 7:
            continue
        out = device.upload(np.zeros(count), stream=stream)
        table = device.upload(np.array([device.address(out), count]), stream=stream)
        module.launch("tu_write", (1, 1, 1), 128, table, shared=count * 8, stream=stream)
        got = device.download(out, stream=stream)
        device.synchronize(stream)
        np.testing.assert_array_equal(got, np.arange(count)[::-1] * 1.5 + 0.25)


def test_products_and_sums_are_not_fused(device: Any, cupy: Any) -> None:
    """Or the numbers were not the CPU's."""
    source = """
    extern "C" __global__ void tu_multiply(const long long* table) {
      double* x = (double*)table[0];
      x[3] = x[0] * x[1] + x[2];
    }
    """
    a = 1 + 2.0**-30
    values = device.upload(np.array([a, a, -(1 + 2.0**-29), 0.0]))
    table = device.upload(np.array([device.address(values)]))
    device.compile(source).launch("tu_multiply", (1, 1, 1), 1, table)
    assert device.download(values)[3] == 0.0  # fused it is 2**-60


ILLEGAL = """
import numpy as np
from tradeutils.device import default_device
from tradeutils.errors import BackendUnavailable
device = default_device()
source = 'extern "C" __global__ void tu_bad(const long long* table) { *(double*)table[0] = 1.0; }'
device.compile(source).launch("tu_bad", (1, 1, 1), 1, device.upload(np.array([8])))
for _ in range(2):
    try:
        device.synchronize()
    except BackendUnavailable as error:
        print(error)
"""


def test_device_that_was_lost_says_so(device: Any, cupy: Any) -> None:
    """In a process of its own: after an illegal address CUDA serves it no more."""
    ran = subprocess.run([sys.executable, "-c", ILLEGAL], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout.count("restart the process") == 2, ran.stdout + ran.stderr


FORKED = """
import os, sys
from tradeutils.device import default_device, why_none
import numpy as np
default_device().upload(np.zeros(3))
child = os.fork()
if not child:
    told = why_none()
    os._exit(0 if "forked" in told else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_process_is_told_what_to_do(device: Any, cupy: Any) -> None:
    """CUDA does not outlive a fork, and would hang or crash there."""
    assert subprocess.run([sys.executable, "-c", FORKED], timeout=120, check=False).returncode == 0


# Valuation and the doctor


def test_many_accounts_are_worth_what_decimals_say(device: Any) -> None:
    """Within a billionth of the gross value, as on the CPU; and after some of them have changed."""
    assets = [f"A{number}" for number in range(40)]
    draw = np.random.default_rng(9)
    tickers = {f"{asset}/USDT": Ticker(symbol=f"{asset}/USDT", last=float(draw.lognormal(0, 5))) for asset in assets}
    markets = {s: Market(symbol=s, id=s, base=s.partition("/")[0], quote="USDT") for s in tickers}
    routes = Routes("USDT", markets, tickers, venue="binance")

    def balance(name: str) -> Balance:
        held = {asset: AssetBalance(total=Decimal(repr(float(draw.lognormal(0, 4))))) for asset in assets[::2]}
        return Balance(venue="binance", account=name, time=0, assets=held)

    balances = {f"u{number}": balance(f"u{number}") for number in range(200)}
    holdings = Holdings()
    holdings.update(balances)
    holdings.to_device(device)
    for _ in range(2):
        table = value_many(holdings, "USDT", routes, 0, backend="cuda")
        for at, name in enumerate(table.accounts):
            exact = table.exact(name).total
            assert abs(Decimal(float(table.totals[at])) - exact) <= Decimal("1e-9") * Decimal(float(table.gross[at]))
        holdings.update({name: balance(name) for name in ("u3", "u77")})


def test_doctor_finds_the_device_well() -> None:
    """Each device's own numbers agree with the processor's."""
    found = list(look_at_gpus())
    assert len(found) == 1 + len(devices())
    assert {one.state for one in found} == {"ok"}, found

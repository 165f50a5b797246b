"""``Indicators``, ``compute`` and the plain functions with data on a device, and data of the host sent there."""

from __future__ import annotations

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from host_device import HostDevice

import tradeutils as tu
from tradeutils import indicators
from tradeutils.device import using
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, UnknownName, UsageError
from tradeutils.indicators import Indicators, compute
from tradeutils.indicators.cuda import modules
from tradeutils.model import Bars, Candles, Panel

BARS = 80
START = 472_222 * 3_600_000
SPECS = ["rsi:3", "macd:3,6,4", "atr:5", "obv"]
CLOSES = ["rsi:3", "ema:5", "sma:4"]
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def prices(*shape):
    """Return the columns of a random walk."""
    random = np.random.default_rng(11)
    close = 100 * np.exp(random.normal(0, 0.01, shape).cumsum(axis=0))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return {"open": opened, "high": high, "low": low, "close": close, "volume": random.random(shape) * 10}


def make_panel(dtype=np.float64):
    made = prices(BARS, len(SYMBOLS))
    for column in made.values():
        column[40, 1] = np.nan
    rounded = {name: column.astype(dtype).astype(np.float64) for name, column in made.items()}
    return Panel(symbols=SYMBOLS, timeframe="1h", time=START + np.arange(BARS) * 3_600_000, **rounded)


@pytest.fixture(name="panel")
def _panel():
    return make_panel()


@pytest.fixture(name="device")
def _device():
    device = HostDevice()
    with using([device]):
        yield device


class Foreign:
    """An array of another library on a device."""

    def __init__(self, array, device):
        self._array = device.upload(array)
        self.__cuda_array_interface__ = np.asarray(self._array).__array_interface__

    def on_host(self):
        return np.array(self._array)


def on_host(device, results):
    """Return results by key, brought to the host."""
    assert all(device.owns(one) for one in results.values())
    return {key: device.download(one) for key, one in results.items()}


def assert_same(got, want):
    """Assert that results are the same to the bit, by key."""
    assert list(got) == list(want)
    for key, one in want.items():
        np.testing.assert_array_equal(got[key], one, err_msg=key)
        assert got[key].dtype == one.dtype


class TestHostData:
    """Data of the host go to the device and results come back in their kind."""

    @pytest.mark.parametrize("nan", ["restart", "hold"])
    def test_panel_gives_the_bits_of_the_cpu(self, device, panel, nan):
        """Results are arrays of the host."""
        got = compute(panel, SPECS, backend="cuda", nan=nan)
        assert_same(got, compute(panel, SPECS, backend="cpu", nan=nan))
        assert device.launches == ["tu_program"] * 2  # one for what never forgets
        assert all(type(one) is np.ndarray for one in got.values())

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_array_of_closes_gives_the_bits_of_the_cpu(self, device, panel, order, dtype):
        """In its own order, in either type."""
        closes = np.asarray(panel.close, order=order)
        got = compute(closes, CLOSES, backend="cuda", dtype=dtype)
        assert_same(got, compute(closes, CLOSES, backend="cpu", dtype=dtype))
        assert all(one.flags.f_contiguous == (order == "F") for one in got.values())

    def test_frames_series_arrow_and_candles_keep_their_kind(self, device, panel):
        """Every kind of data that the CPU takes."""
        index = pd.date_range("2024-01-01", periods=BARS, freq="1h", tz="UTC")
        frame = pd.DataFrame(panel.close, index=index, columns=SYMBOLS)
        candles = Candles(symbol="A/B", exchange="x", timeframe="1h", time=panel.time, **prices(BARS))
        for data in (frame, frame["BTC/USDT"].rename("close"), candles):
            got, want = (compute(data, CLOSES, backend=backend) for backend in ("cuda", "cpu"))
            if isinstance(data, Candles):
                assert_same(got, want)
            else:
                pd.testing.assert_frame_equal(got, want, check_exact=True)
        column = pa.array(candles.close)
        assert compute(column, CLOSES, backend="cuda").equals(compute(column, CLOSES, backend="cpu")) is False  # NaN
        np.testing.assert_array_equal(
            compute(column, CLOSES, backend="cuda")["ema:5"].to_numpy(), compute(candles, CLOSES)["ema:5"]
        )

    def test_methods_compute_on_the_device_too(self, device, panel):
        """One indicator at a time."""
        got, want = Indicators(panel, backend="cuda").macd(3, 6, 4), Indicators(panel).macd(3, 6, 4)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one, other)
        assert device.launches

    def test_tail_brings_back_only_what_is_asked_for(self, device, panel):
        """Two rows of each result come down."""
        got = compute(panel, SPECS, backend="cuda", tail=2)
        assert_same(got, compute(panel, SPECS, tail=2))
        assert device.bytes_down == sum(one.nbytes for one in got.values()) == 6 * 2 * 3 * 8

    @pytest.mark.parametrize("tail", [0, 1000])
    def test_tail_of_nothing_and_of_more_than_there_is(self, device, panel, tail):
        """As on the CPU."""
        assert_same(compute(panel, SPECS, backend="cuda", tail=tail), compute(panel, SPECS, tail=tail))

    def test_arrays_given_are_filled(self, device, panel):
        """Also one that shares memory with the data."""
        closes = panel.close.copy()
        out = {"rsi:3": np.empty_like(closes), "ema:5": closes}
        want = compute(panel.close, CLOSES)
        got = compute(closes, CLOSES, backend="cuda", out=out)
        assert_same(got, want)
        assert got["rsi:3"] is out["rsi:3"]
        assert got["ema:5"] is closes

    def test_periods_beyond_the_data_and_empty_data_give_nan(self, device, panel):
        """Nothing is launched for what has no value."""
        got = compute(panel.close, ["sma:80", "sma:81", "sma:100000"], backend="cuda")
        assert_same(got, compute(panel.close, ["sma:80", "sma:81", "sma:100000"]))
        device.launches.clear()
        for shape in ((0,), (0, 3), (5, 0)):
            assert compute(np.empty(shape), ["sma:9"], backend="cuda")["sma:9"].shape == shape
        assert not device.launches

    def test_outputs_drawn_back_are_moved(self, device, panel):
        """Of ichimoku the line that shows later closes."""
        specs = ["ichimoku:3,5,9,4,1"]
        assert_same(compute(panel, specs, backend="cuda"), compute(panel, specs))
        resident = panel.to_device()
        assert_same(on_host(device, compute(resident, specs)), compute(panel, specs))

    def test_too_little_memory_names_the_remedies(self, panel):
        """One symbol does not fit."""
        with using([HostDevice(memory=1500)]), pytest.raises(DeviceOutOfMemory, match='tail=, or for backend="cpu"'):
            compute(panel, SPECS, backend="cuda")

    def test_data_are_shared_out_to_several_devices(self, panel):
        """Results are the same whichever devices there are."""
        with using([HostDevice(0), HostDevice(1), HostDevice(2)]):
            assert_same(compute(panel, SPECS, backend="cuda"), compute(panel, SPECS))

    def test_many_threads_may_ask_at_once(self, device, panel):
        """A program is compiled once, and no call disturbs another."""
        want = compute(panel, SPECS)
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(lambda _: compute(panel, SPECS, backend="cuda"), range(8)):
                assert_same(got, want)
        assert device.compiled == 2


class TestSweeps:
    """Many parameters of one indicator."""

    def test_a_range_is_one_launch(self, device, panel):
        """46 periods over all symbols at once."""
        got = compute(panel.close, ["rsi:5..50"], backend="cuda", tail=5)
        assert len(got) == 46
        assert device.launches == ["tu_program"]
        assert_same(got, compute(panel.close, ["rsi:5..50"], tail=5))

    def test_other_periods_need_no_new_compilation(self, device, panel):
        """A program is known by its structure."""
        compute(panel.close, ["rsi:5..9"], backend="cuda")
        compute(panel.close, ["rsi:10..30"], backend="cuda")
        assert device.compiled == 1

    def test_sets_fill_arrays_that_are_given(self, device, panel):
        """On the host and on the device."""
        want = compute(panel.close, ["rsi:5..9"])
        out = {"rsi:7": np.empty_like(panel.close)}
        assert compute(panel.close, ["rsi:5..9"], backend="cuda", out=out)["rsi:7"] is out["rsi:7"]
        np.testing.assert_array_equal(out["rsi:7"], want["rsi:7"])
        closes = device.upload(panel.close)
        there = {"rsi:7": device.upload(np.zeros_like(panel.close))}
        got = compute(closes, ["rsi:5..9"], out=there)
        assert got["rsi:7"] is there["rsi:7"]
        assert_same(on_host(device, got), want)


class TestResident:
    """Data that lie on a device."""

    @pytest.mark.parametrize("backend", ["auto", "cuda"])
    def test_nothing_travels(self, device, panel, backend):
        """A panel is computed where it is: only the tables of launches go up, and nothing comes down."""
        resident = panel.to_device()
        up, down = device.bytes_up, device.bytes_down
        got = compute(resident, SPECS, backend=backend)
        assert device.bytes_up - up < 2000
        assert device.bytes_down == down
        assert_same(on_host(device, got), compute(panel, SPECS))

    def test_many_bars_and_few_symbols_do_not_travel_either(self, device):
        """States of chunks are compared on the device."""
        closes = device.upload(100 + np.random.default_rng(1).normal(size=(20_000, 1)).cumsum(axis=0))
        up, down = device.bytes_up, device.bytes_down
        got = compute(closes, CLOSES)
        assert device.bytes_up - up < 2000
        assert device.bytes_down == down
        assert_same(on_host(device, got), compute(device.download(closes), CLOSES))

    @pytest.mark.parametrize("kind", ["array", "interface"])
    @pytest.mark.parametrize("shape", [(BARS,), (BARS, 3)])
    def test_arrays_of_closes_are_taken_and_returned(self, device, kind, shape):
        """Arrays of the device, and those of other libraries, without a copy."""
        closes = prices(*shape)["close"]
        data = device.upload(closes) if kind == "array" else Foreign(closes, device)
        got = Indicators(data).compute(CLOSES, tail=7)
        assert_same(on_host(device, got), compute(closes, CLOSES, tail=7))

    def test_symbol_major_arrays_give_symbol_major_results(self, device, panel):
        """As on the CPU."""
        closes = device.upload(np.asfortranarray(panel.close))
        got = compute(closes, CLOSES)
        assert all(one.flags.f_contiguous for one in got.values())
        assert_same(on_host(device, got), compute(panel.close, CLOSES))

    def test_methods_and_functions_return_arrays_of_the_device(self, device, panel):
        """``ind.macd()`` and ``indicators.macd(close)``."""
        closes = device.upload(panel.close)
        want = indicators.macd(panel.close, 3, 6, 4)
        for made in (Indicators(closes).macd(3, 6, 4), indicators.macd(closes, 3, 6, 4)):
            for one, other in zip(made, want, strict=True):
                assert device.owns(one)
                np.testing.assert_array_equal(device.download(one), other)

    def test_functions_refuse_a_mix_of_host_and_device(self, device, panel):
        """Each input must lie where the last does."""
        with pytest.raises(UsageError, match="high"):
            indicators.atr(panel.high, device.upload(panel.low), device.upload(panel.close))
        with pytest.raises(UsageError, match="low lies on a device and close does not"):
            indicators.atr(panel.high, device.upload(panel.low), panel.close)

    def test_a_backend_called_gpu_is_told_its_name(self, panel):
        """And not the one that looks most like it."""
        with pytest.raises(UnknownName, match="has cuda"):
            Indicators(panel, backend="gpu")

    def test_float32_is_stored_and_computed_in_float64(self, device):
        """A panel of float32 gives what the CPU gives of its rounded prices; results in either type."""
        panel = make_panel(np.float32)
        resident = panel.to_device(dtype="float32")
        assert_same(on_host(device, compute(resident, SPECS)), compute(panel, SPECS))
        single = compute(resident, CLOSES, dtype=np.float32)
        assert_same(on_host(device, single), compute(panel, CLOSES, dtype=np.float32))

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_times_are_sent_once(self, device, dtype):
        """What begins anew with each session reads them; beside prices of float32 as well."""
        panel = make_panel(np.float32)
        resident = panel.to_device(dtype=dtype)
        asked = Indicators(resident)
        want = Indicators(panel).session_vwap()
        np.testing.assert_array_equal(device.download(asked.session_vwap()), want)
        up = device.bytes_up
        asked.session_vwap()
        assert device.bytes_up - up < 1000
        closes = [device.upload(column) for column in (panel.high, panel.low, panel.close, panel.volume)]
        times = device.upload(panel.time.astype(np.float64))
        np.testing.assert_array_equal(device.download(indicators.session_vwap(times, *closes)), want)

    def test_a_bar_that_was_added_is_computed(self, device, panel):
        """The panel is read when it is computed: five rows go up, and one row of results comes back."""
        resident = panel[:-1].to_device()
        asked = Indicators(resident)
        asked.compute(SPECS, tail=1)
        last = {name: getattr(panel, name)[-1] for name in ("open", "high", "low", "close", "volume")}
        resident.append(Bars(time=int(panel.time[-1]), **last))
        assert_same(on_host(device, asked.compute(SPECS, tail=1)), compute(panel, SPECS, tail=1))

    def test_a_panel_may_grow_while_others_compute_on_it(self, device):
        """Each result is that of all columns at one moment."""
        panel = make_panel()
        resident = panel.to_device()
        rows = {name: np.nan_to_num(getattr(panel, name), nan=100.0) for name in prices(1, 1)}
        begun, computed = [0], threading.Event()

        def append():
            at = 0
            while not computed.is_set():
                if at >= 20 * begun[0]:  # so far ahead that results would take long
                    sleep(0)
                    continue
                time = int(panel.time[-1]) + (at + 1) * 3_600_000
                resident.append({"time": time} | {name: column[at % BARS] for name, column in rows.items()})
                at += 1

        specs, seen = ["atr:5", "vwap", "obv", "sma:4"], set()
        Indicators(resident).compute(specs)
        adding = threading.Thread(target=append)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        adding.start()
        try:
            for _ in range(100):
                begun[0] += 1
                made = Indicators(resident).compute(specs)
                (bars,) = {len(one) for one in made.values()}
                seen.add(bars)
        finally:
            computed.set()
            sys.setswitchinterval(interval)
            adding.join()
        assert len(seen) > 2
        want = compute(resident.to_host(), SPECS, backend="cpu")
        assert_same(on_host(device, compute(resident, SPECS)), want)

    def test_data_of_a_second_device_stay_there(self, panel):
        """Whatever is made for them is made there, and arrays of the first are refused."""
        first, second = HostDevice(0), HostDevice(1, processors=1)
        specs = [*SPECS, "session_vwap", "ichimoku:3,5,9,4,1", "sma:90"]
        with using([first, second]):
            there = panel.to_device(second)
            out = {"obv": second.upload(np.zeros_like(panel.close)), "sma:90": second.upload(panel.close)}
            assert_same(on_host(second, compute(there, specs, out=out)), compute(panel, specs))
            closes = 100 + np.random.default_rng(1).normal(size=(9000, 1)).cumsum(axis=0)
            closes[5] = np.nan
            got = compute(second.upload(closes), CLOSES, nan="propagate")
            assert_same(on_host(second, got), compute(closes, CLOSES, nan="propagate"))
            with pytest.raises(UsageError, match=r"out for obv is on .*copy it first"):
                compute(there, specs, out={"obv": first.upload(np.zeros_like(panel.close))})
        assert not first.launches
        assert len(second.launches) > 4

    def test_backend_cpu_is_refused(self, device, panel):
        """It says where the data lie, and how to bring them to the host."""
        for data in (panel.to_device(), device.upload(panel.close)):
            with pytest.raises(UsageError, match=r"the data lie on host stand-in 0; .*to_host"):
                Indicators(data, backend="cpu")

    def test_other_types_and_axes_are_refused(self, device, panel):
        """Only float64 and float32, (T,) and (T, S)."""
        with pytest.raises(UsageError, match="float32"):
            compute(device.upload(np.arange(9)), CLOSES)
        for call in (Indicators, indicators.rsi):
            with pytest.raises(UsageError, match=r"give \(T,\) for one symbol"):
                call(device.upload(np.ones((2, 2, 2))))

    def test_an_executor_is_refused(self, device, panel):
        """As for data in the memory of the host."""
        with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="which is in memory"):
            compute(panel.to_device(), SPECS, executor=pool)

    def test_results_that_do_not_fit_are_refused(self, panel):
        """The memory is that of the results: they cannot be cut."""
        device = HostDevice(memory=60_000)
        with using([device]):
            closes = device.upload(panel.close)
            with pytest.raises(DeviceOutOfMemory):
                compute(closes, [f"rsi:{period}" for period in range(5, 50)])

    def test_states_that_do_not_fit_are_computed_by_fewer_symbols(self):
        """A panel and its results fit, and the windows of all symbols do not."""
        closes = np.random.default_rng(1).normal(size=(300, 70)).cumsum(axis=0)
        device = HostDevice(memory=2 * closes.nbytes + 100_000)
        with using([device]):
            got = compute(device.upload(closes), ["sma:200"])
            assert len(device.launches) > 1
            assert_same(on_host(device, got), compute(closes, ["sma:200"]))


class TestOut:
    """Arrays of a device to be filled."""

    def test_they_are_filled_and_returned(self, device, panel):
        """Those of other libraries as they were given."""
        closes = device.upload(panel.close)
        foreign = Foreign(np.zeros_like(panel.close), device)
        out = {"rsi:3": device.upload(np.zeros_like(panel.close)), "sma:4": foreign}
        got = compute(closes, CLOSES, out=out)
        want = compute(panel.close, CLOSES)
        assert got["rsi:3"] is out["rsi:3"]
        assert got["sma:4"] is foreign
        np.testing.assert_array_equal(device.download(out["rsi:3"]), want["rsi:3"])
        np.testing.assert_array_equal(foreign.on_host(), want["sma:4"])

    def test_a_column_may_be_overwritten_with_a_result(self, device, panel):
        """It is read to its end first."""
        closes = device.upload(panel.close)
        compute(closes, CLOSES, out={"ema:5": closes})
        np.testing.assert_array_equal(device.download(closes), compute(panel.close, CLOSES)["ema:5"])

    def test_series_and_tails_are_filled(self, device):
        """(K,) of a series."""
        closes = prices(BARS)["close"]
        out = {"ema:5": device.upload(np.zeros(9))}
        compute(device.upload(closes), CLOSES, tail=9, out=out)
        np.testing.assert_array_equal(device.download(out["ema:5"]), compute(closes, CLOSES, tail=9)["ema:5"])

    def test_what_is_unknown_is_filled_with_nan(self, device, panel):
        """A period beyond the data."""
        out = {"sma:90": device.upload(np.zeros_like(panel.close))}
        compute(device.upload(panel.close), ["sma:90"], out=out)
        assert np.isnan(device.download(out["sma:90"])).all()

    def test_arrays_that_do_not_fit_are_refused(self, device, panel):
        """Of the host, of another shape or type, sharing memory."""
        closes = device.upload(panel.close)
        with pytest.raises(UsageError, match="give a device array"):
            compute(closes, CLOSES, out={"ema:5": np.zeros_like(panel.close)})
        with pytest.raises(UsageError, match=r"give a float64 array of shape \(80, 3\)"):
            compute(closes, CLOSES, out={"ema:5": closes[:-1]})
        with pytest.raises(UsageError, match="give a float32 array"):
            compute(closes, CLOSES, dtype=np.float32, out={"ema:5": device.upload(panel.close)})
        shared = device.upload(np.zeros((BARS + 1, 3)))
        with pytest.raises(UsageError, match="share memory"):
            compute(closes, CLOSES, out={"ema:5": shared[1:], "rsi:3": shared[:-1]})
        with pytest.raises(UsageError, match="lies on a device, and the data in the memory of the host"):
            compute(panel.close, CLOSES, backend="cuda", out={"ema:5": device.upload(panel.close)})


class TestStored:
    """Candles on disk."""

    @pytest.fixture(name="selection")
    def _selection(self, tmp_path, panel):
        with tu.History(tmp_path) as history:
            for symbol in SYMBOLS:
                history.write(
                    Candles(
                        exchange="binance",
                        symbol=symbol,
                        timeframe="1h",
                        time=panel.time,
                        **prices(BARS),
                    )
                )
            yield history.select("binance", None, "1h")

    def test_groups_of_symbols_are_computed_on_the_device(self, device, selection):
        """They are read as ever."""
        got = Indicators(selection, backend="cuda").compute(CLOSES)
        assert device.launches
        assert_same(got, Indicators(selection, backend="cpu").compute(CLOSES))
        np.testing.assert_array_equal(Indicators(selection, backend="cuda").ema(5), got["ema:5"])

    def test_an_executor_computes_on_its_cpus(self, device, selection):
        """With "cuda" that is refused, with "auto" it is so."""
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(UsageError, match="leave one of the two out"):
                Indicators(selection, backend="cuda").compute(CLOSES, executor=pool)
            got = Indicators(selection).compute(CLOSES, executor=pool)
        assert not device.launches
        assert_same(got, Indicators(selection, backend="cpu").compute(CLOSES))


class TestWithoutDevice:
    """Machines that have none."""

    def test_cuda_says_why_and_what_to_do(self, panel):
        """One line, at once."""
        with using([]):
            for call in (lambda: Indicators(panel, backend="cuda"), lambda: compute(panel, SPECS, backend="cuda")):
                with pytest.raises(BackendUnavailable) as caught:
                    call()
                assert "\n" not in str(caught.value)
                assert str(caught.value) == tu.device.why_none()

    def test_a_device_that_went_away_is_told_when_it_is_asked(self, panel):
        """Between the object and the call."""
        with using([HostDevice()]):
            asked = Indicators(panel, backend="cuda")
        with using([]), pytest.raises(BackendUnavailable):
            asked.rsi(3)


def test_compiling_is_logged_once(device, panel, caplog):
    """With its time, at INFO, as on the CPU."""
    with caplog.at_level(logging.INFO, "tradeutils.indicators"):
        for _ in range(2):
            compute(panel.close, CLOSES, backend="cuda")
    said = [record.getMessage() for record in caplog.records if "host stand-in" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("compiled a program of")
    assert said[0].endswith(" s")


def test_programs_that_are_kept_are_not_too_many(device, panel, monkeypatch):
    """The oldest goes where there are too many structures; it is compiled again when it is asked for."""
    monkeypatch.setattr(modules, "_KEPT", 1)
    for _ in range(2):
        for specs in (CLOSES, ["rsi:5..9"]):
            assert_same(compute(panel.close, specs, backend="cuda"), compute(panel.close, specs))
    assert len(modules._modules) == 1

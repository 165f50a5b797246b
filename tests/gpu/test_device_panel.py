"""Panels in the memory of a device: what went there comes back, bars are added in place, and nothing is lost."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
from host_device import HostDevice
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils.device import using
from tradeutils.errors import BackendUnavailable, DataError, DeviceOutOfMemory, UnknownName, UsageError
from tradeutils.model import DevicePanel

FIELDS = ("open", "high", "low", "close", "volume")


def made_panel(bars: int, symbols: int, *, exchange: str = "binance") -> tu.Panel:
    """Return a panel of made prices, with candles missing and a last row that is still forming."""
    values = np.random.default_rng(bars * 100 + symbols).lognormal(3, 1, (5, bars, symbols))
    values[:, 2::7, ::3] = np.nan
    closed = np.ones(bars, np.bool_)
    closed[-1:] = False
    return tu.Panel(
        exchange=exchange,
        symbols=[f"S{n}/USDT" for n in range(symbols)],
        timeframe="1m",
        time=np.arange(bars) * 60_000,
        closed=closed,
        **dict(zip(FIELDS, values, strict=True)),
    )


def bar_of(panel: tu.Panel, row: int) -> dict[str, Any]:
    """Return a row as it would come from a stream."""
    return {"time": int(panel.time[row]), **{name: getattr(panel, name)[row] for name in FIELDS}}


@pytest.fixture
def device() -> Iterator[HostDevice]:
    """Put a stand-in in place of the GPUs."""
    with using([HostDevice(), HostDevice(number=1)]) as there:
        yield there[0]


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 0), (40, 33)])
def test_panel_comes_back_as_it_went(device: HostDevice, shape: tuple[int, int]) -> None:
    """To the last bit, with what it says of itself."""
    panel = made_panel(*shape)
    resident = panel.to_device()
    assert resident.to_host() == panel
    assert (resident.shape, len(resident), resident.symbols) == (shape, shape[0], panel.symbols)
    assert (resident.timeframe, resident.exchange, resident.device) == ("1m", "binance", device)
    assert resident.nbytes == 5 * 8 * shape[0] * shape[1]
    assert all(device.owns(getattr(resident, name)) for name in FIELDS)
    np.testing.assert_array_equal(resident.time, panel.time)
    np.testing.assert_array_equal(resident.closed, panel.closed)
    assert not resident.time.flags.writeable
    assert not resident.closed.flags.writeable


def test_float32_is_kept_in_half_the_memory(device: HostDevice) -> None:
    """Rounded once, on the host, so that half travels."""
    panel = made_panel(20, 4)
    resident = panel.to_device(dtype="float32")
    assert (resident.dtype, resident.nbytes, device.bytes_up) == (np.float32, 5 * 4 * 80, 5 * 4 * 80)
    back = resident.to_host()
    assert back.close.dtype == np.float64
    np.testing.assert_array_equal(back.close, panel.close.astype(np.float32))


def test_panel_goes_to_the_device_asked_for() -> None:
    """By default the first."""
    with using([HostDevice(), HostDevice(number=1)]) as (first, second):
        panel = made_panel(3, 2)
        assert panel.to_device().device is first
        resident = panel.to_device(second)
        assert (resident.device, first.owns(resident.close), second.owns(resident.close)) == (second, False, True)


def test_without_a_gpu_the_remedy_is_told() -> None:
    """In the error, where the data were to go there."""
    with using([]), pytest.raises(BackendUnavailable):
        made_panel(3, 2).to_device()


@pytest.mark.parametrize("dtype", ["float16", "int64", "no such", object()])
def test_other_types_are_refused(device: HostDevice, dtype: Any) -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match="write 'float64' or 'float32'"):
        made_panel(3, 2).to_device(dtype=dtype)


def test_value_that_float32_cannot_hold_is_refused(device: HostDevice) -> None:
    """It would become infinite; infinite and missing values stay what they are."""
    panel = made_panel(3, 2)
    large = {name: getattr(panel, name).copy() for name in FIELDS}
    large["volume"][1, 1] = 1e39
    axes = {"symbols": panel.symbols, "timeframe": "1m", "time": panel.time}
    with pytest.raises(DataError, match="volume has values beyond float32's range"):
        tu.Panel(**axes, **large).to_device(dtype="float32")
    large["volume"][1] = np.inf, np.nan
    assert tu.Panel(**axes, **large).to_device(dtype="float32").to_host().volume[1, 0] == np.inf


@hypothesis.given(st.integers(0, 5), st.integers(1, 4), st.integers(1, 150), st.sampled_from(["float64", "float32"]))
@hypothesis.settings(max_examples=20)
def test_appending_gives_the_panel_of_all_bars(start: int, symbols: int, bars: int, dtype: str) -> None:
    """Bar by bar from any length, through every growth of the room."""
    panel = made_panel(start + bars, symbols)
    with using([HostDevice()]):
        resident = panel[:start].to_device(dtype=dtype)
        if start:
            assert not resident.closed[-1] or start < len(panel)
        for row in range(start, len(panel)):
            resident.append(bar_of(panel, row), closed=bool(panel.closed[row]))
        assert resident.to_host() == panel.to_device(dtype=dtype).to_host()


def test_appending_sends_one_bar(device: HostDevice) -> None:
    """The rows that are there do not travel, and room is made as often as the logarithm of the bars."""
    panel = made_panel(1000, 3)
    resident = panel[:100].to_device()
    before, grown = device.bytes_up, set()
    for row in range(100, 1000):
        resident.append(bar_of(panel, row))
        grown.add(resident.nbytes)
    assert device.bytes_up - before == 900 * 5 * 3 * 8
    assert device.bytes_down == 0
    assert len(grown) <= 5


def test_bars_may_come_as_bars(device: HostDevice) -> None:
    """As `Panel.append` takes them."""
    panel = made_panel(4, 2)
    resident = panel[:3].to_device()
    resident.append(tu.Bars(**bar_of(panel, 3)), closed=False)
    assert resident.to_host() == panel


def test_view_keeps_its_rows_while_the_panel_grows(device: HostDevice) -> None:
    """Results of before are not shifted under the reader."""
    panel = made_panel(70, 2)
    resident = panel[:3].to_device()
    view = resident.close
    for row in range(3, 70):
        resident.append(bar_of(panel, row))
    assert view.shape == (3, 2)
    np.testing.assert_array_equal(device.download(view), panel.close[:3])


def test_forming_bar_is_replaced_by_the_next_of_its_time(device: HostDevice) -> None:
    """Until it is closed; a closed one stays."""
    panel = made_panel(5, 2)
    resident = panel[:4].to_device()
    forming = {**bar_of(panel, 4), "close": np.zeros(2)}
    resident.append(forming, closed=False)
    assert not resident.closed[-1]
    resident.append(bar_of(panel, 4), closed=True)
    assert (len(resident), bool(resident.closed[-1])) == (5, True)
    np.testing.assert_array_equal(resident.to_host().close, panel.close)
    with pytest.raises(DataError, match="opens at 240000, not after the last row at 240000"):
        resident.append(bar_of(panel, 4))


def test_bar_that_does_not_fit_changes_nothing(device: HostDevice) -> None:
    """A column that lacks, another width, an earlier time, a value too large."""
    panel = made_panel(5, 2)
    resident = panel[:4].to_device(dtype="float32")
    good = bar_of(panel, 4)
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({**good, "time": 60_000}, DataError, "not after the last row"),
        ({name: value for name, value in good.items() if name != "high"}, UsageError, "bars lacked high"),
        ({**good, "low": np.zeros(3)}, UsageError, "low had shape"),
        ({**good, "low": None}, UsageError, "bars lacked low"),
        ({**good, "volume": np.array([1e39, 1])}, DataError, "beyond float32's range"),
    ]
    for bar, error, message in wrong:
        with pytest.raises(error, match=message):
            resident.append(bar)
    with pytest.raises(UsageError, match="bars lacked time"):
        resident.append(3)  # type: ignore[arg-type]
    assert resident.to_host() == panel[:4].to_device(dtype="float32").to_host()


def test_memory_that_runs_out_leaves_the_panel_as_it_was() -> None:
    """First less room is tried; then the error says so and the rows are still there."""
    panel = made_panel(100, 10)
    with using([HostDevice(memory=5 * 8 * 100 * 10 + 20_000)]) as (device,):
        resident = panel.to_device()
        held = resident.to_host()
        later = {**bar_of(panel, 99), "time": 6_000_000}
        for _ in range(200):
            try:
                resident.append(later)
            except DeviceOutOfMemory:
                break
            later = {**later, "time": later["time"] + 60_000}
        else:
            raise AssertionError("the memory never ran out")
        assert resident.to_host()[:100] == held
        assert len(resident) < 300
        assert device.free_bytes() >= 0


@pytest.mark.parametrize("wrong", [0, "cuda", "cuda:1"])
def test_device_is_no_number_and_no_name(device: HostDevice, wrong: Any) -> None:
    """The message says where devices come from."""
    with pytest.raises(UsageError, match=r"device was .*; give one of tradeutils\.device\.devices\(\)"):
        made_panel(3, 2).to_device(wrong)


def test_memory_that_ran_out_is_given_back_at_once() -> None:
    """An error that was handled holds no columns: none waits for the collector of garbage."""
    panel = made_panel(100, 10)
    with using([HostDevice(memory=6 * 8 * 100 * 10 + 1_000)]) as (device,):
        free = device.free_bytes()
        resident = panel.to_device()
        gc.disable()
        try:
            with pytest.raises(DeviceOutOfMemory):
                resident.append({**bar_of(panel, 99), "time": 6_000_000})
            del resident
            assert device.free_bytes() == free
        finally:
            gc.enable()


def test_snapshot_has_the_bars_of_its_moment(device: HostDevice) -> None:
    """In all columns, whatever is added later; what is added to it stays its own."""
    panel = made_panel(90, 4)
    resident = panel[:60].to_device()
    early = resident.snapshot()
    for row in range(60, 89):
        resident.append(bar_of(panel, row))
    late, sent = resident.snapshot(), device.bytes_up
    assert early.shape == (60, 4)
    assert early.to_host() == panel[:60]
    assert late.to_host() == resident.to_host()
    assert device.bytes_up == sent
    early.append(bar_of(panel, 89))
    assert early.time[-1] == panel.time[89]
    assert late.to_host() == resident.to_host() == panel[:89]


def test_panel_is_made_of_arrays_that_are_there(device: HostDevice) -> None:
    """Without a copy, until bars are added to it."""
    panel = made_panel(6, 2)
    columns = {name: device.upload(getattr(panel, name)) for name in FIELDS}
    axes = {"symbols": iter(panel.symbols), "timeframe": "1m", "time": panel.time, "closed": panel.closed}
    resident = DevicePanel(**axes, **columns, exchange="binance")
    assert np.shares_memory(np.asarray(resident.close), np.asarray(columns["close"]))
    assert resident.to_host() == panel
    resident.append({**bar_of(panel, 5), "close": np.zeros(2)})
    np.testing.assert_array_equal(device.download(columns["close"]), panel.close)


def test_panel_of_arrays_that_do_not_fit_is_refused(device: HostDevice) -> None:
    """As one on the host is, and what is not on the device is told."""
    panel = made_panel(6, 2)
    columns: dict[str, Any] = {name: device.upload(getattr(panel, name)) for name in FIELDS}
    axes: dict[str, Any] = {"symbols": panel.symbols, "timeframe": "1m", "time": panel.time}
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"close": panel.close}, UsageError, "close is a ndarray in the host's memory"),
        ({"close": device.upload(panel.close[:3])}, UsageError, r"close had shape \(3, 2\)"),
        ({"close": device.upload(panel.close.astype(np.float32))}, UsageError, "close had dtype float32 and open"),
        ({"volume": device.upload(np.zeros((6, 2), np.int64))}, UsageError, "volume has dtype int64"),
        ({"time": panel.time[::-1]}, DataError, "not after row"),
        ({"closed": [True]}, UsageError, "closed had 1 rows"),
        ({"symbols": ["A", "A"]}, UsageError, "more than once"),
        ({"symbols": "AB"}, UsageError, "give a list of symbols"),
        ({"symbols": 3}, UsageError, "give a list of symbols"),
        ({"timeframe": "7q"}, UnknownName, "7q"),
    ]
    for change, error, message in wrong:
        with pytest.raises(error, match=message):
            DevicePanel(**{**axes, **columns, **change})


def test_panel_of_a_device_is_not_sent_to_another_process(device: HostDevice) -> None:
    """Its memory is this process's; what to send is named."""
    resident = made_panel(3, 2).to_device()
    with pytest.raises(TypeError, match="to_host"):
        pickle.dumps(resident)
    assert repr(resident).startswith("<DevicePanel binance 1m: 3 bars x 2 symbols from 1970-01-01T00:00")

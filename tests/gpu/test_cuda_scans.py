"""Scans over the time of few symbols give what the CPU's kernels give, one bar after the other."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from host_device import HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tradeutils.errors import NotSupportedByBackend, UsageError
from tradeutils.indicators.cpu.compiling import HOLD, MODES, PROPAGATE, RESTART
from tradeutils.indicators.cpu.program import kernel_of
from tradeutils.indicators.cuda import scans
from tradeutils.indicators.cuda.scans import SCANNED, scan
from tradeutils.indicators.operators import averages, flows

Array = np.ndarray[Any, Any]

OPERATORS = {one.name: one for one in (averages.ema, averages.rma, averages.smooth, averages.cumulative, flows.obv)}
SETS: dict[str, list[tuple[float, ...]]] = {
    "ema": [(1,), (5,), (20,)],
    "rma": [(1,), (14,), (100,)],
    "smooth": [(0.1, 5), (1.0, 1), (0.9, 3)],
    "cumulative": [()],
    "obv": [()],
}
NEAR = 1e-12


@pytest.fixture(scope="module")
def device() -> HostDevice:
    """The stand-in."""
    return HostDevice()


def by_cpu(operator: str, parameters: tuple[float, ...], mode: int, columns: list[Array]) -> Array:
    """What the CPU's kernel gives, run as the Python that it is written in."""
    kernel = kernel_of(OPERATORS[operator])
    columns = [column.astype(np.float64) for column in columns]
    out, width = np.empty(columns[0].shape), columns[0].shape[1]
    state = np.full((kernel.rows(*parameters), width), kernel.fill)
    with np.errstate(all="ignore"):
        kernel.function(*columns, out, state, width, mode, *parameters)
    return out


def scale_of(operator: str, columns: list[Array]) -> float:
    """The size of what is summed: of an average the largest value, of a sum all of them."""
    sizes = np.abs(np.where(np.isfinite(columns[-1]), columns[-1], 0.0)).astype(np.float64)
    whole = sizes.max(initial=0.0) if operator in ("ema", "rma", "smooth") else sizes.sum(axis=0).max(initial=0.0)
    return max(float(whole), 1e-300)


def panel(bars: int, symbols: int, dirt: float, seed: int = 1) -> list[Array]:
    """Prices and volumes, some of them missing or infinite, some prices unchanged."""
    random = np.random.default_rng(seed)
    close = 100.0 + random.normal(0, 1, (bars, symbols)).cumsum(axis=0)
    close[random.random(close.shape) < 0.1] = 100.0
    volume = 1e4 * random.random(close.shape)
    for column in (close, volume):
        missing = random.random(column.shape) < dirt / 2
        column[missing] = random.choice([np.nan, np.inf, -np.inf], int(missing.sum()))
    if dirt and bars > 300:
        close[200:260] = np.nan
    return [close, volume]


def inputs_of(operator: str, columns: list[Array]) -> list[Array]:
    return columns if operator == "obv" else columns[:1]


def scanned(device: HostDevice, operator: str, mode: int, columns: list[Array], **options: Any) -> Array:
    """What the scan gives for all sets, (sets, T, S)."""
    sets = SETS[operator]
    sources = [device.upload(column) for column in columns]
    rows = options.pop("rows", len(columns[0]))
    with device:
        target = device.xp.full((len(sets), rows, columns[0].shape[1]), 7.0, dtype=options.pop("dtype", np.float64))
    scan(device, operator, sets, mode, sources, target, **options)
    return device.download(target)


def check(device: HostDevice, operator: str, mode: int, columns: list[Array], **options: Any) -> None:
    """Hold the scan to the CPU: NaN at the same bars, and values within 1e-12 of what is summed."""
    made = scanned(device, operator, mode, columns, **options)
    for own, parameters in zip(made, SETS[operator], strict=True):
        expected = by_cpu(operator, parameters, mode, columns)[len(columns[0]) - len(own) :]
        assert_array_equal(np.isnan(own), np.isnan(expected))
        away = np.nanmax(np.abs(own - expected), initial=0.0)
        assert away <= NEAR * scale_of(operator, columns), (parameters, away)


def test_all_affine_operators_are_scanned() -> None:
    """The list of names is that of the tests below."""
    assert set(OPERATORS) == SCANNED == set(SETS)
    assert (RESTART, PROPAGATE, HOLD) == (0, 1, 2)  # as kernels.cu has them


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operator", SETS)
def test_scan_is_the_cpus_average(operator: str, mode: str, device: HostDevice) -> None:
    """From one bar to some tiles and odd lengths, clean and with gaps, for each width of a block."""
    for (bars, block), dirt in product(
        [(1, 32), (2, 256), (7, 32), (8, 64), (9, 32), (255, 32), (256, 32), (257, 32), (1500, 64), (2049, 256)],
        [0.0, 0.02, 0.3],
    ):
        columns = inputs_of(operator, panel(bars, 1 if bars == 2049 else 2, dirt))
        check(device, operator, MODES[mode], columns, block=block)


@pytest.mark.parametrize("operator", SETS)
def test_missing_from_the_start_and_at_every_edge(operator: str, device: HostDevice) -> None:
    """Nothing but gaps; gaps at the edges of threads, warps and tiles; one good bar."""
    for mode in MODES.values():
        columns = inputs_of(operator, panel(600, 1, 0.0))
        for column in columns:
            column[[0, 1, 7, 8, 255, 256, 257, 511, 599]] = np.nan
        check(device, operator, mode, columns, block=32)
        for column in columns:
            column[:] = np.nan
            column[300] = 5.0
        check(device, operator, mode, columns, block=32)
        columns[0][300] = np.inf
        assert np.isnan(scanned(device, operator, mode, columns)).all()


@pytest.mark.parametrize("operator", SETS)
def test_last_rows_alone_are_stored(operator: str, device: HostDevice) -> None:
    """All earlier bars count; none, some and all rows are stored."""
    columns = inputs_of(operator, panel(300, 2, 0.02))
    whole = scanned(device, operator, RESTART, columns, block=32)
    for rows in (0, 1, 60, 300):
        made = scanned(device, operator, RESTART, columns, block=32, rows=rows)
        assert_array_equal(made, whole[:, 300 - rows :])


@pytest.mark.parametrize("operator", SETS)
def test_float32_is_widened_and_rounded(operator: str, device: HostDevice) -> None:
    """Inputs of float32 count with their values; results of float32 are the rounding of those of float64."""
    columns = [column.astype(np.float32) for column in inputs_of(operator, panel(300, 2, 0.02))]
    check(device, operator, HOLD, columns)
    whole = scanned(device, operator, HOLD, columns)
    single = scanned(device, operator, HOLD, columns, dtype=np.float32)
    assert single.dtype == np.float32
    assert_array_equal(single, whole.astype(np.float32))


def test_arrays_of_any_strides_are_read_and_written_in_place(device: HostDevice) -> None:
    """Symbol-major, every other bar, backwards; a result within a larger array, whose other items stay."""
    close = panel(120, 6, 0.02)[0]
    expected = by_cpu("ema", (5,), RESTART, [close[::-2, ::3]])
    for whole, part in ((close, np.s_[::-2, ::3]), (np.asfortranarray(close), np.s_[::-2, ::3])):
        source = device.upload(whole)[part]
        with device:
            held = device.xp.full((3, 60, 5), 7.0)
        scan(device, "ema", [(5,)], RESTART, [source], held[1:2, :, 1:5:3])
        made = device.download(held)
        np.testing.assert_allclose(made[1, :, 1:5:3], expected, rtol=NEAR)
        made[1, :, 1:5:3] = 7.0
        assert (made == 7.0).all()


def test_each_set_may_have_its_own_source(device: HostDevice) -> None:
    """As where an average is taken of what each set computed before."""
    close = np.stack([panel(90, 2, 0.02, seed)[0] for seed in range(3)])
    source = device.upload(close)
    with device:
        target = device.xp.empty(close.shape)
    scan(device, "rma", [(2,), (3,), (4,)], PROPAGATE, [source], target)
    for own, column, period in zip(device.download(target), close, (2, 3, 4), strict=True):
        np.testing.assert_allclose(own, by_cpu("rma", (period,), PROPAGATE, [column]), rtol=NEAR)


def test_sets_are_one_launch_as_far_as_a_grid_holds_them(device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA takes 65,535 blocks in y; the rest are launched after them, each with its own source."""
    assert scans._MOST_SETS == 65_535
    close = np.stack([panel(20, 1, 0.0, seed)[0] for seed in range(7)])
    source, periods = device.upload(close), [(1 + at,) for at in range(7)]
    with device:
        target = device.xp.empty(close.shape)
    for most, launches in ((7, 1), (3, 3)):
        monkeypatch.setattr(scans, "_MOST_SETS", most)
        before = len(device.launches)
        scan(device, "ema", periods, RESTART, [source], target)
        assert device.launches[before:] == ["tu_scan"] * launches
        for own, column, period in zip(device.download(target), close, periods, strict=True):
            np.testing.assert_allclose(own, by_cpu("ema", period, RESTART, [column]), rtol=NEAR)


def test_a_sum_over_many_tiles_is_nearer_than_one_pass(device: HostDevice) -> None:
    """Joined in a tree, 100,000 tenths lose less than one after the other."""
    tenths = np.full((100_000, 1), 0.1)
    made = scanned(device, "cumulative", RESTART, [tenths])[0, :, 0]
    exact = np.arange(1, 100_001) / 10.0
    assert np.abs(made - exact).max() <= np.abs(by_cpu("cumulative", (), RESTART, [tenths])[:, 0] - exact).max()


_shared = HostDevice()  # hypothesis runs a test many times on one fixture


@given(
    st.lists(st.sampled_from([1.0, 2.0, 2.5, -1e6, np.nan, np.inf]), min_size=1, max_size=70),
    st.sampled_from(sorted(SETS)),
    st.sampled_from(sorted(MODES)),
)
@settings(max_examples=60)
def test_any_run_of_good_and_missing_bars(values: list[float], operator: str, mode: str) -> None:
    """However they follow one another."""
    column = np.array(values).reshape(-1, 1)
    check(_shared, operator, MODES[mode], [column, column[::-1]][: len(inputs_of(operator, [column] * 2))], block=32)


def test_what_cannot_be_scanned_is_refused(device: HostDevice) -> None:
    """Another operator, another block, arrays that do not fit; nothing is launched for nothing."""
    source = device.upload(np.ones((4, 2)))
    with device:
        target = device.xp.empty((1, 4, 2))
    with pytest.raises(NotSupportedByBackend, match=r"'mean'; cumulative, ema"):
        scan(device, "mean", [(3,)], RESTART, [source], target)
    for block in (0, 31, 33, 288, 512):
        with pytest.raises(UsageError, match="multiple of 32 up to 256"):
            scan(device, "ema", [(3,)], RESTART, [source], target, block=block)
    for wrong, sets in (
        (target[:, :, :1], [(3,)]),
        (target, [(3,), (4,)]),
        (device.upload(np.ones((1, 5, 2))), [(3,)]),
    ):
        with pytest.raises(UsageError, match=r"\(sets, K, S\) with K <= T"):
            scan(device, "ema", sets, RESTART, [source], wrong)
    before = len(device.launches)
    scan(device, "ema", [], RESTART, [source], target[:0])
    scan(device, "ema", [(3,)], RESTART, [source], target[:, :0])
    assert len(device.launches) == before

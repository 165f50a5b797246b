"""How launches are planned and run on a device: shapes, chunks, sets, stages, blocks; on the stand-in, bit for bit."""

from __future__ import annotations

import gc
import time
from threading import Event, Lock
from types import SimpleNamespace

import numpy as np
import pytest
from host_device import HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory
from tradeutils.indicators import parse
from tradeutils.indicators.cpu import make_program, plan
from tradeutils.indicators.cpu.compiling import MODES
from tradeutils.indicators.cuda import blocks, engine, plans, stages
from tradeutils.indicators.expression import column, constant

FLOAT = np.dtype(np.float64)
KEYS = ("rsi:3", "ema:5", "sma:4")


def nodes_of(*texts, inputs=None):
    """Return the outputs of some specs over the columns "0", "1", ..., and whose they are."""
    nodes, owners = [], []
    for number, text in enumerate(texts):
        spec = parse(text)
        made = spec.indicator.expressions(spec.values, inputs or tuple(map(str, range(len(spec.indicator.inputs)))))
        nodes += made
        owners += [number] * len(made)
    return tuple(nodes), tuple(owners)


def batches_of(*texts, nan="restart"):
    """Return what is launched for some specs."""
    nodes, owners = nodes_of(*texts)
    return plans.batches_of(nodes, owners, tuple(range(len(nodes))), nan)


def prices(bars, symbols, *, seed=1, missing=0.0):
    """Return closes of a walk."""
    random = np.random.default_rng(seed)
    made = 100.0 * np.exp(random.normal(0, 0.01, (bars, symbols)).cumsum(axis=0))
    made[random.random(made.shape) < missing] = np.nan
    return made


def on_cpu(columns, *texts, nan="restart", rows=None):
    """Return what the CPU gives for some specs."""
    nodes, _ = nodes_of(*texts)
    program = make_program(nodes, [str(at) for at in range(len(columns))], MODES[nan])
    results = [np.empty((rows or len(columns[0]), columns[0].shape[1])) for _ in nodes]
    for task in (made := plan(program, columns, results, 1)).tasks:
        task()
    made.finish()
    return results


def on_device(device, batches, columns, *, rows=None, **options):
    """Return what the engine gives, on the host."""
    there = [device.upload(one) for one in columns]
    made = engine.compute(device, batches, there, rows or len(columns[0]), FLOAT, **options)
    return [device.download(made[at]) for at in sorted(made)]


def assert_same(got, want):
    """Assert that results are the same to the bit, NaN being NaN."""
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


class TestShapes:
    """How launches are laid over a device."""

    @pytest.mark.parametrize(
        ("bars", "symbols", "chunks"), [(100_000, 1, 2048), (100_000, 3, 683), (100_000, 2048, 1), (60, 1, 1)]
    )
    def test_few_symbols_are_cut_into_chunks_that_fill_the_device(self, bars, symbols, chunks):
        """As many chunks as fill it; none where symbols alone do, or where there are few bars."""
        (batch,) = batches_of("sma:4", "wma:3")
        shape = plans.shape_of(batch.programs, bars, symbols, 2048, lambda: 1 << 40)
        assert shape.chunks <= chunks
        assert shape.chunks > chunks // 2 or chunks == 1
        assert (shape.chunks - 1) * shape.length < bars <= shape.chunks * shape.length

    def test_chunks_own_as_many_bars_as_they_repeat(self):
        """An average of long memory is cut into few chunks."""
        (batch,) = batches_of("ema:200")
        shape = plans.shape_of(batch.programs, 50_000, 1, 1 << 20, lambda: 1 << 40)
        assert shape.early <= shape.length
        assert shape.chunks > 1

    def test_what_never_forgets_is_not_cut(self):
        """A sum since the start runs in one piece."""
        (batch,) = batches_of("obv")
        assert plans.shape_of(batch.programs, 100_000, 1, 2048, lambda: 1 << 40).chunks == 1

    def test_states_of_chunks_stay_within_their_room(self):
        """Long windows have large states: there are fewer chunks where memory is short, one at least."""
        (batch,) = batches_of("sma:50")
        rows = batch.programs[0].rows
        assert plans.shape_of(batch.programs, 100_000, 1, 2048, lambda: 10 * 24 * rows).chunks <= 10
        assert plans.shape_of(batch.programs, 100_000, 1, 2048, lambda: 0).chunks == 1

    @pytest.mark.parametrize(("symbols", "block"), [(100_000, 256), (2048, 128), (33, 32)])
    def test_blocks_are_small_where_there_are_few_threads(self, symbols, block):
        """So that every multiprocessor gets some."""
        (batch,) = batches_of("obv")
        assert plans.shape_of(batch.programs, 100, symbols, 2048, lambda: 1 << 40).block == block

    def test_halves_are_whole_warps_and_then_single_symbols(self):
        """What does not fit is cut at multiples of 32, and 32 into one and the rest."""
        assert [engine.halves(count) for count in (1000, 100, 65, 64, 33, 32, 31, 2)] == [512, 64, 64, 32, 32, 1, 1, 1]


class TestBatches:
    """What is fused and what are sets."""

    def test_requests_of_one_structure_are_sets_of_one_batch(self):
        """Four and more; fewer are fused with the others."""
        nodes, owners = nodes_of("sma:3", "ema:4", "ema:5", "ema:6", "ema:7", "rsi:3", "rsi:4")
        first, swept = plans.batches_of(nodes, owners, tuple(range(len(nodes))), "restart")
        assert first.results == ((0, 5, 6),)
        assert swept.results == ((1,), (2,), (3,), (4,))
        assert [program.instructions[-1].parameters for program in swept.programs] == [(4,), (5,), (6,), (7,)]

    def test_what_never_forgets_is_launched_apart(self):
        """The time of the others can then be cut."""
        batches = batches_of("obv", "sma:4")
        assert [batch.results for batch in batches] == [((1,),), ((0,),)]

    def test_very_many_instructions_are_more_than_one_program(self, monkeypatch):
        """Requests stay whole, and their bits what they were."""
        monkeypatch.setattr(plans, "_FUSED", 2)
        plans.batches_of.cache_clear()
        batches = batches_of("sma:4", "macd:3,6,4", "sma:5", "ema:3")
        assert [batch.results for batch in batches] == [((0, 1, 2, 3),), ((4, 5),)]
        plans.batches_of.cache_clear()

    def test_a_batch_reads_only_the_columns_it_needs(self):
        """What is not read is not uploaded for it."""
        made = parse("atr:3").indicator.expressions((3,), ("4", "2", "7"))
        (batch,) = plans.batches_of(made, (0,), (0,), "restart")
        assert batch.columns == (2, 4, 7)


class TestChunks:
    """Time in chunks, with the bits of one pass."""

    @pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
    @pytest.mark.parametrize("missing", [0.0, 0.001, 0.3])
    def test_chunks_give_the_bits_of_one_pass(self, nan, missing):
        """Also where missing bars keep them from settling, so that some are run again."""
        device = HostDevice(processors=1)
        closes = prices(6000, 3, missing=missing)
        got = on_device(device, batches_of(*KEYS, nan=nan), [closes])
        assert_same(got, on_cpu([closes], *KEYS, nan=nan))
        chunks = plans.shape_of(batches_of(*KEYS, nan=nan)[0].programs, 6000, 3, device.fill, device.free_bytes).chunks
        assert chunks > 10
        if nan == "propagate" and missing == 0.001:
            assert len(device.launches) > 2

    def test_a_chunk_that_did_not_settle_is_run_again_for_its_symbols_alone(self):
        """One symbol out of three is missing for long; the launches that follow are of that one."""
        device = HostDevice(processors=1)
        closes = prices(6000, 3)
        closes[:3000, 1] = np.nan
        got = on_device(device, batches_of(*KEYS, nan="propagate"), [closes])
        assert_same(got, on_cpu([closes], *KEYS, nan="propagate"))

    @pytest.mark.parametrize("rows", [1, 77, 6000])
    def test_only_the_last_rows_are_stored(self, rows):
        """They are those of all rows."""
        device = HostDevice(processors=1)
        closes = prices(6000, 2, missing=0.01)
        got = on_device(device, batches_of(*KEYS), [closes], rows=rows)
        assert_same(got, [one[-rows:] for one in on_cpu([closes], *KEYS)])

    def test_sets_in_chunks_are_settled_each_by_itself(self):
        """Different periods remember differently long."""
        device = HostDevice(processors=1)
        closes = prices(6000, 1, missing=0.002)
        texts = [f"ema:{period}" for period in (2, 3, 9, 21)]
        got = on_device(device, batches_of(*texts), [closes])
        assert_same(got, on_cpu([closes], *texts))


class TestSets:
    """Sweeps."""

    def test_sets_are_one_launch(self):
        """Symbols times parameters at once."""
        device = HostDevice()
        closes = prices(200, 40)
        texts = [f"sma:{period}" for period in range(2, 30)]
        got = on_device(device, batches_of(*texts), [closes])
        assert device.launches == ["tu_program"]
        assert_same(got, on_cpu([closes], *texts))

    @pytest.mark.parametrize("most", [1, 5, 30, 64])
    def test_no_launch_has_more_lanes_than_the_table_counts(self, monkeypatch, most):
        """Symbols, and then sets, are launched apart; the bits are the same."""
        monkeypatch.setattr(engine, "_MOST_LANES", most)
        device = HostDevice()
        closes = prices(120, 9)
        keys = [f"rsi:{n}" for n in range(3, 9)]
        assert_same(on_device(device, batches_of(*keys), [closes]), on_cpu([closes], *keys))
        assert len(device.launches) >= 9 * 6 // most

    def test_sets_whose_states_do_not_fit_are_launched_apart(self):
        """Results and columns are there, and the states of all windows are too large: fewer sets, the same bits."""
        closes = prices(80, 1)
        texts = [f"sma:{period}" for period in range(2, 60)]
        results = (len(texts) + 1) * closes.nbytes
        device = HostDevice(memory=results + 24_000)
        got = on_device(device, batches_of(*texts), [closes])
        assert len(device.launches) > 1
        assert_same(got, on_cpu([closes], *texts))


class TestStages:
    """Programs that never forget, of few symbols."""

    @pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
    def test_running_sums_are_scanned(self, nan):
        """What stands before and after a scan is fused; the sums are those of the CPU, added in another order."""
        device = HostDevice(processors=1)
        columns = [prices(5000, 2, seed=seed, missing=0.001) for seed in (1, 2)]
        columns[1] = np.abs(columns[1])
        nodes, owners = nodes_of("obv")
        smoothed, _ = nodes_of("ema:5", inputs=("0",))
        nodes, owners = (*nodes, *smoothed), (0, 1)
        batches = plans.batches_of(nodes, owners, (0, 1), nan)
        there = [device.upload(one) for one in columns]
        made = engine.compute(device, batches, there, 4000, FLOAT)
        assert "tu_scan" in device.launches
        obv, ema = (device.download(made[at]) for at in (0, 1))
        want = on_cpu(columns, "obv", nan=nan, rows=4000)[0]
        np.testing.assert_array_equal(np.isnan(obv), np.isnan(want))
        np.testing.assert_allclose(obv, want, rtol=1e-12, atol=1e-12 * np.nansum(columns[1]))
        assert_same([ema], on_cpu(columns[:1], "ema:5", nan=nan, rows=4000))

    def test_where_stages_do_not_fit_the_program_runs_in_one_piece(self):
        """What one stage leaves for another is a column, and there is no room for it."""
        columns = [prices(5000, 1, seed=seed) for seed in (1, 2, 3, 4)]
        device = HostDevice(memory=5 * columns[0].nbytes + 4000)
        got = on_device(device, batches_of("ad"), columns)
        assert_same(got, on_cpu(columns, "ad"))
        assert "tu_scan" not in device.launches

    def test_a_program_is_cut_where_its_sums_stand(self):
        """Stages follow one another, and know the values they exchange by number."""
        nodes, _ = nodes_of("adosc:3,10")
        program = make_program(nodes, ["0", "1", "2", "3"], 0)
        made = stages.stages_of(program)
        assert [stage.scanned for stage in made.stages] == [False, True, False]
        assert made.stages[1].sources == made.stages[0].results
        assert set(made.finals) == {0}

    def test_what_forgets_or_cannot_be_scanned_has_no_stages(self):
        """It is launched whole."""
        for text in ("ema:5", "sar"):
            nodes, _ = nodes_of(text)
            assert stages.stages_of(make_program(nodes, ["0", "1", "2", "3"], 0)) is None


class TestCopies:
    """Results that are columns that stand elsewhere."""

    @pytest.mark.parametrize("turned", [False, True])
    def test_inputs_constants_and_repeated_results_are_copied(self, turned):
        """None of them needs a kernel."""
        device = HostDevice()
        closes = prices(20, 3)
        (mean,), _ = nodes_of("sma:4")
        nodes = (column("0"), constant(2.5), mean, mean)
        batches = plans.batches_of(nodes, (0, 1, 2, 3), (0, 1, 2, 3), "restart")
        got = on_device(device, batches, [closes], rows=8, turned=turned)
        want = on_cpu([closes], "sma:4", rows=8)[0]
        assert_same(got, [closes[-8:], np.full((8, 3), 2.5), want, want])
        assert all(one.flags.f_contiguous == turned for one in got)


class Together(HostDevice):
    """A device that is not done with its first launch before another one has begun one."""

    other: HostDevice

    def synchronize(self, stream=None):
        deadline = time.monotonic() + 30
        while self.launches and not self.other.launches and time.monotonic() < deadline:
            time.sleep(0.001)


class Interrupted(HostDevice):
    """Fails at the first upload of all; uploads of others wait for that, and then some more."""

    fault: type[BaseException]
    turn: Lock
    raised: Event

    def upload(self, host, out=None, stream=None):
        if self.turn.acquire(blocking=False):
            self.raised.set()
            raise self.fault("as told")
        self.raised.wait(30)
        time.sleep(0.05)
        return super().upload(host, out, stream)


class Streaming(HostDevice):
    """A device that notes which streams it is asked to work on, and which was the current one."""

    def __init__(self):
        super().__init__()
        self.streams = []
        self.current = []
        self.asked = set()
        self.failing = None

    def stream(self):
        self.streams.append(_Stream(self))
        return self.streams[-1]

    def upload(self, host, out=None, stream=None):
        self.asked.add(stream)
        if self.failing is not None:
            raise self.failing
        assert stream in self.current
        return super().upload(host, out, stream)


class _Stream:
    """Is the current one inside its ``with``."""

    def __init__(self, device):
        self._device = device

    def __enter__(self):
        self._device.current.append(self)

    def __exit__(self, *error):
        self._device.current.pop()


class TestBlocks:
    """Data of the host."""

    def test_columns_that_are_asked_for_as_they_are_need_no_kernel(self):
        """They come back as they went."""
        device = HostDevice()
        closes = prices(100, 3)
        batches = plans.batches_of((column("0"),), (0,), (0,), "restart")
        made = np.empty_like(closes)
        job = blocks.Job([device], batches, [closes], {0: made})
        job.prepare()
        job.run()
        np.testing.assert_array_equal(made, closes)
        assert not device.launches

    def job(self, devices, columns, *texts, rows=None, dtype=FLOAT, order="C"):
        """Return the job of some specs and the results it fills."""
        batches = batches_of(*texts)
        shape = (rows or len(columns[0]), columns[0].shape[1])
        results = {at: np.empty(shape, dtype, order) for batch in batches for own in batch.results for at in own}
        return blocks.Job(devices, batches, columns, results), results

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_data_of_either_order_come_back_in_theirs(self, order):
        """Symbol-major data are turned on the device."""
        closes = np.asarray(prices(300, 90), order=order)
        job, results = self.job([HostDevice()], [closes], *KEYS, order=order)
        job.run()
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_blocks_go_to_all_devices(self, monkeypatch):
        """Each takes part, and the bits are those of one."""
        monkeypatch.setattr(blocks, "_SMALLEST", 1)
        monkeypatch.setattr(blocks, "_NARROWEST", 32)
        devices = [Together(0), Together(1)]
        for device, other in zip(devices, reversed(devices), strict=True):
            device.other = other
        closes = prices(100, 700)
        job, results = self.job(devices, [closes], *KEYS)
        job.run()
        assert all(device.launches for device in devices)
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_a_lane_works_on_a_stream_of_its_own(self):
        """Which is the current one wherever arrays are made, copied and launched upon."""
        device = Streaming()
        closes = prices(100, 3)
        job, results = self.job([device], [closes], *KEYS)
        job.run()
        assert device.asked == set(device.streams)
        assert len(device.asked) == 1
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_streams_are_used_again(self):
        """The memory that was freed on one is its own, and would be out of reach of the next call."""
        device = Streaming()
        closes = prices(100, 3)
        for _ in range(3):
            self.job([device], [closes], *KEYS)[0].run()
        assert len(device.streams) == 1

    def test_a_stream_on_which_work_failed_is_not_used_again(self):
        """It may not be idle."""
        device = Streaming()
        closes = prices(100, 3)
        job, _ = self.job([device], [closes], *KEYS)
        device.failing = KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            job.run()
        device.failing = None
        self.job([device], [closes], *KEYS)[0].run()
        assert len(device.streams) == 2

    @pytest.mark.parametrize("fault", [KeyboardInterrupt, BackendUnavailable])
    def test_an_interrupted_call_begins_no_further_block(self, monkeypatch, fault):
        """The other lanes end with the block that they are at, and the devices hold nothing."""
        monkeypatch.setattr(blocks, "_SMALLEST", 1)
        monkeypatch.setattr(blocks, "_NARROWEST", 32)
        devices = [Interrupted(0), Interrupted(1)]
        Interrupted.fault, Interrupted.turn, Interrupted.raised = fault, Lock(), Event()
        closes = prices(100, 2000)
        job, _ = self.job(devices, [closes], *KEYS)
        with pytest.raises(fault):
            job.run()
        gc.collect()
        assert sum(len(device.launches) for device in devices) <= 6
        assert all(device.free_bytes() == device.total_bytes for device in devices)

    def test_what_does_not_fit_beside_others_is_tried_where_there_is_most_room(self):
        """Devices need not have the same memory."""
        devices = [HostDevice(0, memory=30_000), HostDevice(1, memory=300_000)]
        closes = prices(1000, 4)
        job, results = self.job(devices, [closes], *KEYS)
        job.run()
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_what_travels_is_what_is_read_and_asked_for(self):
        """One column up, and the last rows down."""
        device = HostDevice()
        closes = prices(500, 64)
        job, results = self.job([device], [closes], *KEYS, rows=3)
        job.run()
        assert job.bytes_up == closes.nbytes <= device.bytes_up < closes.nbytes + 4000
        assert job.bytes_down == device.bytes_down == 3 * 3 * 64 * 8
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS, rows=3))

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_pieces_of_long_columns_are_put_together(self, monkeypatch, order):
        """Copies go by way of pinned memory, some rows at a time."""
        monkeypatch.setattr(blocks, "_PIECE", 1000)
        monkeypatch.setattr(blocks, "_SMALL", 0)
        closes = np.asarray(prices(100, 33), order=order)
        job, results = self.job([HostDevice()], [closes], *KEYS, order=order)
        job.run()
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    @pytest.mark.parametrize("memory", [3_000_000, 300_000, 60_000])
    def test_what_does_not_fit_is_halved(self, memory):
        """However little memory there is, down to one symbol, the bits stay."""
        device = HostDevice(memory=memory)
        closes = prices(1000, 70)
        job, results = self.job([device], [closes], *KEYS)
        job.run()
        assert len(device.launches) > 1
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_wrong_figures_of_free_memory_only_cost_tries(self, monkeypatch):
        """Blocks that turn out too large are cut, to one symbol where it must be."""
        monkeypatch.setattr(blocks, "_FREE", 100.0)
        device = HostDevice(memory=70_000)
        closes = prices(1000, 40)
        job, results = self.job([device], [closes], *KEYS)
        job.run()
        assert_same([results[at] for at in sorted(results)], on_cpu([closes], *KEYS))

    def test_one_symbol_too_many_says_what_it_needs(self):
        """The figures are in the message and in the error."""
        device = HostDevice(memory=20_000)
        closes = prices(1000, 40)
        job, _ = self.job([device], [closes], *KEYS)
        with pytest.raises(DeviceOutOfMemory, match=r"one symbol takes 3\d,\d{3} bytes of host stand-in 0") as caught:
            job.run()
        assert caught.value.needed > 30_000
        assert caught.value.free <= 20_000

    def test_a_state_too_large_for_the_device_says_so(self):
        """Columns and results fit, and the window of one symbol does not."""
        closes = prices(2100, 1)
        device = HostDevice(memory=2 * closes.nbytes + 4000)
        with pytest.raises(DeviceOutOfMemory, match="the state of one symbol takes"):
            on_device(device, batches_of("sma:2000"), [closes])


@given(
    bars=st.integers(1, 900),
    symbols=st.integers(1, 70),
    rows=st.integers(1, 900),
    missing=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    nan=st.sampled_from(["restart", "propagate", "hold"]),
    memory=st.sampled_from([50_000, 500_000, 1 << 30]),
    order=st.sampled_from(["C", "F"]),
    devices=st.integers(1, 3),
)
@settings(max_examples=40)
def test_shape_and_memory_never_show_in_the_results(bars, symbols, rows, missing, nan, memory, order, devices):
    """Chunks, blocks, devices: whatever is chosen, the bits are those of the CPU."""
    closes = np.asarray(prices(bars, symbols, seed=bars, missing=missing), order=order)
    rows = min(rows, bars)
    there = [HostDevice(number, memory=memory, processors=1) for number in range(devices)]
    results = {at: np.empty((rows, symbols), order=order) for at in range(3)}
    blocks.Job(there, batches_of(*KEYS, nan=nan), [closes], results).run()
    assert_same([results[at] for at in range(3)], on_cpu([closes], *KEYS, nan=nan, rows=rows))


def test_rows_beyond_two_to_the_31_items_are_found(tmp_path):
    """Places are counted in 64 bits: rows that lie past the range of 32 bits are read and written."""
    device = HostDevice()
    step, bars = (1 << 29) + 8, 6
    with (tmp_path / "sparse").open("wb+") as file:
        file.truncate(8 * (step * bars + 16))
        room = np.memmap(file, np.float64)
        own = np.lib.stride_tricks.as_strided(room, (bars, 2), (8 * step, 8))
        made = np.lib.stride_tricks.as_strided(room[8:], (bars, 2), (8 * step, 8))
        own[...] = closes = prices(bars, 2)
        there, target = (
            device.adopt(SimpleNamespace(__cuda_array_interface__=one.__array_interface__)) for one in (own, made)
        )
        engine.compute(device, batches_of("sma:4"), [there], bars, FLOAT, given={0: target})
        np.testing.assert_array_equal(np.array(made), on_cpu([closes], "sma:4")[0])

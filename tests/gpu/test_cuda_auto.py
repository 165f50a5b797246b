"""``backend="auto"``: the device where it has been measured to be faster; with clocks and rates of our own."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from host_device import HostDevice

from tradeutils.device import using
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory
from tradeutils.indicators import compute
from tradeutils.indicators.cuda import auto, road
from tradeutils.indicators.cuda.blocks import Job
from tradeutils.indicators.cuda.plans import batches_of
from tradeutils.indicators.expression import column
from tradeutils.indicators.operators import ema, mean

CLOSES = np.ones((100, 40))


class Clock:
    """Seconds that pass only when something says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Case:
    """A crossover whose CPU and device take as long as they are told."""

    def __init__(self, device, *, cpu, there, up=1e9, down=1e9):
        self.device = device
        self.clock = Clock()
        self.seconds = {"cpu": cpu, "device": there}
        self.ran = []
        self.prepared = 0
        self.measured = 0
        self.fails = None
        self.rates = auto.Rates(up, down)
        self.crossover = auto.Crossover(self.clock, self._measure)

    def _measure(self, device):
        assert device is self.device
        self.measured += 1
        return self.rates

    def _on(self, where):
        self.ran.append(where)
        self.clock.now += self.seconds[where]
        if where == "device" and self.fails is not None:
            raise self.fails

    def _prepare(self):
        self.prepared += 1
        self.clock.now += 60.0

    def call(self, count=1, node=None, shape=CLOSES.shape, rows=None, threads=1):
        """Ask for so many calls, and return where they were computed."""
        before = len(self.ran)
        for _ in range(count):
            batches = batches_of((mean(column("0"), 5) if node is None else node,), (0,), (0,), "restart")
            columns = [np.broadcast_to(1.0, shape)]
            job = Job([self.device], batches, columns, {0: np.broadcast_to(0.0, (rows or shape[0], shape[1]))})
            job.run = lambda: self._on("device")
            job.prepare = self._prepare
            self.crossover.run(job, threads, lambda: self._on("cpu"))
        return self.ran[before:]


@pytest.fixture(name="device")
def _device():
    device = HostDevice()
    with using([device]):
        yield device


def test_the_device_is_taken_once_it_was_faster(device):
    """The CPU is timed first; one trial, without its compilation, decides."""
    case = Case(device, cpu=1.0, there=0.4)
    assert case.call(6) == ["cpu", "cpu", "device", "device", "device", "device"]
    assert case.prepared == case.measured == 1


def test_the_cpu_is_kept_where_the_device_was_slower(device):
    """After one trial it is not tried again."""
    case = Case(device, cpu=1.0, there=1.1)
    assert case.call(50) == ["cpu", "cpu", "device"] + 47 * ["cpu"]


def test_where_the_transfer_alone_takes_too_long_nothing_is_tried(device):
    """The trial would cost more than it could gain: 32,000 bytes at 40 kB/s up take 0.8 s."""
    for rates in ({"up": 39_000.0}, {"down": 39_000.0}):
        case = Case(device, cpu=1.0, there=0.1, **rates)
        assert case.call(20) == 20 * ["cpu"]
        assert case.prepared == 0
    assert "device" in Case(device, cpu=1.0, there=0.1, up=41_000.0).call(3)


def test_fewer_rows_to_bring_back_are_judged_apart(device):
    """All rows take too long to bring back, and the last few do not."""
    case = Case(device, cpu=1.0, there=0.1, down=20_000.0)
    assert "device" not in case.call(5)
    assert case.call(3, rows=2) == ["cpu", "cpu", "device"]


def test_what_is_like_another_call_shares_its_measurement(device):
    """Other parameters, and sizes of the same power of two; not another structure, size or number of threads."""
    case = Case(device, cpu=1.0, there=0.1)
    case.call(3)
    assert case.call(node=mean(column("0"), 4), shape=(101, 41)) == ["device"]
    assert case.call(node=ema(column("0"), 5)) == ["cpu"]
    assert case.call(shape=(200, 40)) == ["cpu"]
    assert case.call(node=mean(column("0"), 90)) == ["cpu"]
    assert case.call(threads=2) == ["cpu"]
    assert case.measured == 1


def test_the_best_of_the_cpu_counts(device):
    """Its first call loads kernels; a slow one does not make the device look fast."""
    case = Case(device, cpu=9.0, there=2.0)
    case.call()
    case.seconds["cpu"] = 1.0
    assert case.call(9) == ["cpu", "device", *7 * ["cpu"]]


def test_a_device_too_full_to_be_measured_is_not_used():
    """Its bandwidth takes some memory to measure."""
    device = HostDevice(memory=1000)
    with using([device]):
        case = Case(device, cpu=1.0, there=0.1)
        case.crossover = auto.Crossover(case.clock)
        assert case.call(5) == 5 * ["cpu"]


@pytest.mark.parametrize("error", [DeviceOutOfMemory("too little"), BackendUnavailable("lost")])
def test_a_device_that_fails_leaves_the_work_to_the_cpu(device, error, caplog):
    """Auto does not fail because of a device; it says so once and does not try again."""
    case = Case(device, cpu=1.0, there=0.1)
    case.call(3)
    case.fails = error
    assert case.call(3) == ["device", "cpu", "cpu", "cpu"]
    other = Case(device, cpu=1.0, there=0.1)
    other.fails = error
    assert other.call(4) == ["cpu", "cpu", "device", "cpu", "cpu"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert str(error) in caplog.text


def test_only_one_of_many_threads_tries(device):
    """The others compute on the CPU meanwhile."""
    case = Case(device, cpu=1.0, there=0.1)
    case.call(2)
    inside, go = threading.Event(), threading.Event()
    prepare = case._prepare

    def wait():
        inside.set()
        assert go.wait(30)
        prepare()

    case._prepare = wait
    thread = threading.Thread(target=case.call)
    thread.start()
    assert inside.wait(30)
    assert case.call() == ["cpu"]
    go.set()
    thread.join()
    assert case.ran.count("device") == 1


def test_notes_are_bounded(device, monkeypatch):
    """The one that was not used for longest is given up."""
    monkeypatch.setattr(auto, "_NOTES", 2)
    case = Case(device, cpu=1.0, there=0.1)
    for shape in ((100, 40), (1000, 40), (10_000, 40)):
        case.call(3, shape=shape)
    assert case.call(shape=(10_000, 40)) == ["device"]
    assert case.call(shape=(100, 40)) == ["cpu"]


def test_rates_are_those_of_the_best_copy(device):
    """Bytes a second each way, by the clock."""
    times = iter([0.0, 4.0, 10.0, 11.0, 20.0, 22.0, 30.0, 30.5, 40.0, 41.0, 50.0, 51.0])
    rates = auto.measured(device, lambda: next(times))
    assert rates == auto.Rates(2**25, 2**26)


def test_without_a_device_the_cpu_computes_and_that_is_said_once(caplog, monkeypatch):
    """At INFO, with the reason."""
    monkeypatch.setattr(road, "crossover", auto.Crossover())
    with caplog.at_level(logging.INFO, "tradeutils.indicators"), using([]):
        for _ in range(3):
            made = compute(CLOSES, ["sma:2"])
    np.testing.assert_array_equal(made["sma:2"][1:], CLOSES[1:])
    said = [record for record in caplog.records if "on the CPU" in record.getMessage()]
    assert [record.levelname for record in said] == ["INFO"]


def test_auto_takes_the_device_for_data_of_the_host(device, monkeypatch):
    """All of the way from ``compute``: the same bits before and after."""
    clock = Clock()
    crossover = auto.Crossover(clock, lambda device: auto.Rates(1e12, 1e12))
    monkeypatch.setattr(road, "crossover", crossover)
    cpu = crossover.run

    def slow(work, threads, on_cpu):
        def later():
            on_cpu()
            clock.now += 1.0

        cpu(work, threads, later)

    monkeypatch.setattr(crossover, "run", slow)
    closes = np.random.default_rng(1).normal(size=(60, 5)).cumsum(axis=0)
    want = compute(closes, ["sma:5"], backend="cpu")["sma:5"]
    compute(closes, ["sma:5"])
    assert clock.now == 0.0  # so little is not even timed
    monkeypatch.setattr(road, "_WORTH", 0)
    for _ in range(4):
        np.testing.assert_array_equal(compute(closes, ["sma:5"])["sma:5"], want)
    assert len(device.launches) == 2

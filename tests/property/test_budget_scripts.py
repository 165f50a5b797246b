"""Laws of the scripts, on a real server whose clock is set by the test."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest
import redis
from budgets import POOL, line
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from servers import ValkeyServer

from tradeutils.budget import Line
from tradeutils.budget.desk import Names, Slot
from tradeutils.budget.ledger import UNIT, units
from tradeutils.budget.scripts import ACQUIRE, AMEND, HELLO, RESTORE, Script

NAMES: Final = Names("tu", "default")
LINES: Final = (line(1, 10, 60), line(1, 6, 5, "requests"))
SLOTS: Final = [NAMES.slot(POOL, each.window, each.owner) for each in LINES]
STATE: Final = NAMES.of_pool(POOL, "state")
MEMBERS: Final = NAMES.of_pool(POOL, "members")


class Scripts(RuleBasedStateMachine):
    """Three processes that ask, give back, carry, and are told what others spend, in any order and at any time."""

    server: ValkeyServer

    def __init__(self) -> None:
        super().__init__()
        self.client: redis.Redis = self.server.client()
        while self.client.info("server")["uptime_in_seconds"] < 2:  # one just started holds data
            time.sleep(0.05)
        self.client.flushall()
        self.now = 1_700_000_000_000
        self.spent: list[dict[str, Any]] = []

    def teardown(self) -> None:
        self.client.close()

    def run_script(self, script: Script, keys: list[bytes], *arguments: Any) -> Any:
        """Run a script at the time it is in the test."""
        self.client.delete("clock")
        self.client.rpush("clock", self.now // 1000, self.now % 1000 * 1000)
        text = script.text.replace("redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, -1)")
        assert text != script.text
        return self.client.eval(text, len(keys), *keys, *arguments)

    @initialize()
    def hello(self) -> None:
        """The first process comes."""
        self.epoch = self.run_script(HELLO, [STATE, MEMBERS], "epoch", "", "0", -1, 0)[1]

    def own(self, process: int, slot: Slot) -> int:
        """Return what a process has spent of a window."""
        spent = (each for each in self.spent if each["process"] == process)
        return sum(each[slot.key] for each in spent if self.now - each["at"] < slot.keep)

    @rule(milliseconds=st.one_of(st.integers(0, 300), st.integers(0, 70_000)))
    def wait(self, milliseconds: int) -> None:
        """Time passes."""
        self.now += milliseconds

    @rule(
        process=st.integers(0, 2),
        weight=st.one_of(st.integers(0, 10), st.floats(0, 10)),
        requests=st.integers(0, 2),
        urgent=st.booleans(),
        trading=st.sampled_from([False, False, False, True]),
    )
    def acquire(self, process: int, weight: float, requests: int, urgent: bool, trading: bool) -> None:
        """A process asks."""
        costs = (units(weight), units(requests))
        figures = [
            figure
            for cost, slot in zip(costs, SLOTS, strict=True)
            for figure in (cost, slot.limit, slot.keep, slot.step, self.own(process, slot))
        ]
        keys = [STATE, *(slot.key for slot in SLOTS)]
        before = [self.recent(slot, slot.keep + slot.step) for slot in SLOTS]
        reply = self.run_script(ACQUIRE, keys, self.epoch, f"{process}:0", int(urgent), int(trading), *figures)
        if reply[0] == 0:
            spent = {"process": process, "at": self.now, "epoch": self.epoch}
            self.spent.append({**spent, **{slot.key: cost for cost, slot in zip(costs, SLOTS, strict=True)}})
            return
        assert reply[0] == 1
        assert 1 <= reply[1] <= 1000
        assert reply[2] >= reply[1]
        if not any(b";" in (self.client.hget(slot.key, "q") or b"") for slot in SLOTS):
            pytest.fail("who was refused stands in no queue")
        alone = all(entry.startswith(f"{process}:") for slot in SLOTS for entry in self.queue(slot))
        if alone and urgent:  # nobody before it and no reserve: it was refused because a window is full
            assert any(had + cost > slot.limit for had, cost, slot in zip(before, costs, SLOTS, strict=True) if cost)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A request is not sent."""
        if ours := self.ours(70_000):
            each = data.draw(st.sampled_from(ours))
            self.amend("back", each)
            self.spent.remove(each)

    @rule(data=st.data())
    def carry(self, data: st.DataObject) -> None:
        """A request took long; it is carried on when half of its shortest window is over."""
        if ours := self.ours(2_500):
            each = data.draw(st.sampled_from(ours))
            self.amend("carry", each)
            each["at"] = self.now

    def ours(self, milliseconds: int) -> list[dict[str, Any]]:
        """Return what we were granted in the last so many milliseconds."""
        return [each for each in self.spent if each["process"] != 9 and self.now - each["at"] <= milliseconds]

    def amend(self, kind: str, each: dict[str, Any]) -> None:
        """Correct one charge."""
        figures = [
            figure
            for place, slot in enumerate(SLOTS, 2)
            for figure in (place, slot.keep, slot.step, kind, each[slot.key], each["at"])
        ]
        assert self.run_script(AMEND, [STATE, *(slot.key for slot in SLOTS)], self.epoch, *figures)[0] == 0

    @rule(used=st.integers(0, 10), age=st.integers(0, 59_000))
    def observe(self, used: int, age: int) -> None:
        """The venue says how much it has counted."""
        slot, sums = SLOTS[0], []
        for amount in (0, used * UNIT):
            told = (2, slot.keep, slot.step, "used", amount, age)
            self.run_script(AMEND, [STATE, slot.key], self.epoch, *told)
            sums.append(int(self.client.hget(slot.key, "s") or 0))
        assert sums[1] == max(sums[0], used * UNIT)
        if sums[1] > sums[0]:
            self.spent.append({"process": 9, "at": self.now - age, SLOTS[1].key: 0, slot.key: sums[1] - sums[0]})

    @rule()
    def lose(self) -> None:
        """The server loses its data; each process tells what it had spent."""
        self.client.flushall()
        self.epoch = self.run_script(HELLO, [STATE, MEMBERS], f"epoch{self.now}", self.epoch, "0", -1, 1)[1]
        for process in (*range(3), 9):
            figures: list[Any] = []
            for slot in SLOTS:
                own = [each for each in self.spent if each["process"] == process and each[slot.key]]
                figures += (slot.keep, slot.step, 0, 0, 0, len(own))
                for each in own:
                    figures += (self.now - each["at"], each[slot.key])
            keys = [STATE, *(slot.key for slot in SLOTS)]
            assert self.run_script(RESTORE, keys, self.epoch, 0, "", 0, *figures)[0] == 0

    def recent(self, slot: Slot, milliseconds: int) -> int:
        """Return what was granted in the last so many milliseconds."""
        return sum(each[slot.key] for each in self.spent if self.now - each["at"] < milliseconds)

    def queue(self, slot: Slot) -> list[str]:
        """Return who waits."""
        return [entry for entry in (self.client.hget(slot.key, "q") or b"").decode().split(";") if entry]

    @invariant()
    def no_window_is_overfilled(self) -> None:
        """Of the past 60 s and 5 s, at any moment."""
        for each, slot in zip(LINES, SLOTS, strict=True):
            assert self.recent(slot, int(each.window.seconds * 1000)) <= slot.limit

    @invariant()
    def sums_are_those_of_their_parts(self) -> None:
        """Or the window would leak, or never fill; no part is forgotten outside its bounds."""
        for slot in SLOTS:
            fields = self.client.hgetall(slot.key)
            parts = {int(name): int(amount) for name, amount in fields.items() if name.isdigit()}
            assert sum(parts.values()) == int(fields.get(b"s", 0))
            assert all(amount > 0 for amount in parts.values())
            if parts:
                assert int(fields[b"o"]) <= min(parts)
                assert max(parts) <= int(fields[b"n"])
            if fields:
                assert self.client.pttl(slot.key) > 0


def test_scripts_keep_their_laws(valkey: ValkeyServer) -> None:
    """Whatever is asked in whatever order."""
    Scripts.server = valkey
    case = Scripts.TestCase
    case.settings = settings(
        max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").debug()


def test_cost_of_a_window_does_not_grow_with_its_charges(valkey: ValkeyServer) -> None:
    """A window is some 240 parts, however many requests fall into them."""
    machine = object.__new__(Scripts)
    Scripts.server = valkey
    machine.__init__()  # type: ignore[misc]
    machine.hello()
    slot = NAMES.slot(POOL, Line(line(1, 1e6).window, 1, POOL).window, POOL)
    for _ in range(600):
        machine.now += 137
        told = (machine.epoch, "0:0", 0, 0, UNIT, slot.limit, slot.keep, slot.step, 0)
        assert machine.run_script(ACQUIRE, [STATE, slot.key], *told)[0] == 0
    assert machine.client.hlen(slot.key) <= 260
    assert int(machine.client.hget(slot.key, "s") or 0) == pytest.approx(60_500 / 137 * UNIT, rel=0.01)
    machine.teardown()

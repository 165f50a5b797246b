"""What is remembered of changes: enough never to say that a key has not changed when it has."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tradeutils.link import changes as changes_module
from tradeutils.link.changes import Changes


@given(st.lists(st.one_of(st.none(), st.lists(st.sampled_from("abcdef"), max_size=3)), max_size=30), st.integers(1, 4))
def test_change_is_never_missed(steps: list[list[str] | None], room: int) -> None:
    """Whatever was noted since then is told, also when little is remembered; what was not is not, while all is."""
    changes, before = Changes(is_on=True), changes_module._REMEMBERED
    numbers = [0]
    changes_module._REMEMBERED = room  # type: ignore[misc]
    try:
        for step in steps:
            if step is None:
                changes.note_all()
            else:
                changes.note(step)
            numbers.append(changes.number)
        for start, since in enumerate(numbers):
            after = steps[start:]
            for name in "abcdef":
                noted = any(step is None or name in step for step in after)
                if noted:
                    assert changes.changed(name, since)
                elif room >= len({one for step in steps if step for one in step}):
                    assert not changes.changed(name, since)
    finally:
        changes_module._REMEMBERED = before  # type: ignore[misc]


async def test_wait_ends_with_the_change_of_its_name_alone() -> None:
    """Others' changes wake nobody; the time given is the longest."""
    changes = Changes(is_on=True)
    waiting = asyncio.create_task(changes.wait("a", changes.number, 60))
    await asyncio.sleep(0)
    changes.note(["b"])
    await asyncio.sleep(0.01)
    assert not waiting.done()
    changes.note(["b", "a"])
    assert await waiting
    assert await changes.wait("a", 0, 60)
    assert not await changes.wait("a", changes.number, 0.001)


async def test_everything_changed_wakes_everyone() -> None:
    """Nobody knows what was not told."""
    changes = Changes(is_on=True)
    waiting = [asyncio.create_task(changes.wait(name, changes.number, 60)) for name in ("a", "a", "b")]
    await asyncio.sleep(0)
    changes.note_all()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_cancelled_wait_leaves_nothing_behind() -> None:
    """Names that nobody waits for are not remembered as waited for."""
    changes = Changes(is_on=True)
    waiting = asyncio.create_task(changes.wait("a", changes.number, 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert waiting.cancelled()
    assert not changes._waiting


def test_waits_of_a_closed_loop_are_forgotten() -> None:
    """Nobody of it can be woken any more, and nothing that he knew holds."""
    changes = Changes(is_on=True)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(changes.wait("a", changes.number, 60))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.run_until_complete(asyncio.wait((waiting,)))
    loop.close()
    changes.forget()
    assert changes.changed("a", 0)


def test_reason_for_not_telling_is_told_once() -> None:
    """Each reconnect hears it again, and its reader need not."""
    heard: list[str] = []
    changes = Changes()
    changes.on_refusal = heard.append
    for reason in ("NOPERM", "NOPERM", "ERR unknown"):
        changes.refuse(reason)
    assert heard == ["NOPERM", "ERR unknown"]
    assert not changes.is_on


def test_listener_that_left_hears_nothing() -> None:
    """And may leave twice."""
    heard: list[list[str] | None] = []
    changes = Changes(is_on=True)
    changes.listen(heard.append)
    changes.note(["a"])
    changes.note_all()
    changes.leave(heard.append)
    changes.leave(heard.append)
    changes.note(["b"])
    assert heard == [["a"], None]

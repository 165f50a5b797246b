"""Commands cut by the slots of a cluster, and their replies put together again; the server's own arithmetic beside."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hiredis
import pytest
from fleets import ValkeyCluster, _cluster_session, cluster  # noqa: F401  # fixtures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeutils.budget.desk import Names as BudgetNames
from tradeutils.cache.buckets import BUCKETS, Buckets
from tradeutils.link.slots import SLOTS, AsTheyAre, Plan, slot_of
from tradeutils.link.wire import UNWATCHED, Command

_BUCKETS = Buckets()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(min_size=1, max_size=40) | st.sampled_from([b"{", b"{}", b"{}a", b"a{b}c", b"{{b}}", b"a}{b}", b"{a"]))
def test_slot_is_the_one_the_server_says(cluster: ValkeyCluster, key: bytes) -> None:  # noqa: F811
    """CRC16 of the hash tag, for any bytes and any place of braces."""
    with cluster.primaries[0].client() as client:
        assert slot_of(key) == client.execute_command("CLUSTER KEYSLOT", key)


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_all_that_concerns_one_key_lies_in_one_slot(key: str) -> None:
    """Value, lease and what lies everywhere; lock and counter too. And what was placed can be read back."""
    placed = _BUCKETS.placed(f"tu:value:{key}")
    beside = [_BUCKETS.placed(f"tu:{kind}:{key}") for kind in ("lease", "lock", "fence")]
    beside.append(_BUCKETS.beside("tu:epoch", placed))
    assert {slot_of(name) for name in beside} == {slot_of(placed)}
    assert isinstance(placed, bytes)
    assert _BUCKETS.plain(placed) == f"tu:value:{key}".encode()
    assert _BUCKETS.placed(f"tu:value:{key}".encode()) == placed


def test_buckets_are_spread_evenly() -> None:
    """Each in a part of the slots of its own, so that nodes of as many slots have as many; keys fill them alike."""
    parts = sorted(slot_of(name) * BUCKETS // SLOTS for name in _BUCKETS.all("tu:epoch"))
    assert parts == list(range(BUCKETS))
    filled = Counter(slot_of(_BUCKETS.placed(f"tu:value:SYMBOL{n}")) for n in range(20_000))
    assert len(filled) == BUCKETS
    assert max(filled.values()) < 1.5 * 20_000 / BUCKETS


@given(st.text("venue.spot-_1:", min_size=1, max_size=20), st.text(min_size=1, max_size=10))
def test_all_keys_of_a_pool_lie_in_one_slot(pool: str, owner: str) -> None:
    """State, members and windows of a budget travel in one script, also those of other egress addresses."""
    from tradeutils.budget.base import Window

    names = BudgetNames("tu", "default")
    account = names.slot(pool, Window("orders", 5, 10, "account"), owner)
    keys = [names.of_pool(pool, "state"), names.of_pool(pool, "members"), account.key]
    keys.append(names.of_egress("other").slot(pool, Window("weight", 5, 10), owner).key)
    assert len({slot_of(key) for key in keys}) == 1


class _Store:
    """Answers pieces as servers would that hold what it is told."""

    def __init__(self, values: dict[Any, bytes]) -> None:
        self.values = values
        self.sent: list[Command] = []

    def serve(self, plan: Plan) -> list[Any]:
        for piece in plan.pieces:
            sent = piece.to_send(asking=False)
            self.sent += sent
            slots = {slot_of(key) for command in piece.commands for key in self._keys(command)}
            assert slots <= {piece.slot}
            piece.take([self._answer(command) for command in sent])
        return plan.replies()

    def _keys(self, command: Command) -> list[Any]:
        if command[0] in (b"MULTI", b"EXEC", b"PING"):
            return []
        if command[0] == b"EVAL":
            return list(command[3 : 3 + int(command[2])])
        return list(command[1:]) if command[0] in (b"MGET", b"DEL", b"UNLINK") else [command[1]]

    def _answer(self, command: Command) -> Any:
        if command[0] == b"MGET":
            return [self.values.get(key) for key in command[1:]]
        if command[0] in (b"DEL", b"UNLINK"):
            return sum(self.values.pop(key, None) is not None for key in command[1:])
        return b"QUEUED" if command[0] != b"EXEC" else []


@given(st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=60))
def test_bulk_read_answers_in_the_order_asked(keys: list[str]) -> None:
    """However it was cut, also with repeats."""
    held = {_BUCKETS.placed(f"tu:value:{key}"): key.encode() for key in keys[::2]}
    plan = Plan([(b"MGET", *(f"tu:value:{key}" for key in keys))], _BUCKETS)
    [values] = _Store(held).serve(plan)
    assert values == [key.encode() if key in keys[::2] else None for key in keys]
    assert len(plan.pieces) == len({slot_of(_BUCKETS.placed(f"tu:value:{key}")) for key in keys})


@given(st.sets(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=30))
def test_bulk_removal_counts_over_all_slots(keys: set[str]) -> None:
    """The sum of what each part has removed."""
    held = {_BUCKETS.placed(f"tu:value:{key}"): b"x" for key in sorted(keys)[::2]}
    expected = len(held)
    names = [f"tu:value:{key}" for key in sorted(keys)]
    [removed] = _Store(held).serve(Plan([(b"UNLINK", *names)], _BUCKETS))
    assert removed == expected


def test_unwatched_read_stays_so_in_each_part() -> None:
    """The word before a bulk read goes before every part of it, and has one answer."""
    store = _Store({})
    replies = store.serve(Plan([UNWATCHED, (b"MGET", "tu:value:a", "tu:value:b")], _BUCKETS))
    assert replies == [b"OK", [None, None]]
    assert [command[0] for command in store.sent] == [b"CLIENT", b"MGET"] * 2


def test_node_that_is_given_a_slot_is_asked_for_it() -> None:
    """ASKING, and then the command; what came before is left out, for it would be forgotten."""
    [piece] = Plan([UNWATCHED, (b"MGET", "tu:value:a")], _BUCKETS).pieces
    assert [command[0] for command in piece.to_send(asking=True)] == [b"ASKING", b"MGET"]
    piece.take([b"OK", [b"1"]])
    assert piece.replies == [[b"1"]]


def test_transaction_is_cut_by_slots() -> None:
    """Each part is one by itself, with the leases of its own values; EXEC answers for each command."""
    names = [f"tu:value:{key}" for key in "abcd"]
    commands: list[Command] = [(b"MULTI",), (b"DEL", *(name.replace("value", "lease") for name in names))]
    commands += [*((b"SET", name, b"1") for name in names), (b"EXEC",)]
    plan = Plan(commands, _BUCKETS)
    assert len(plan.pieces) == 4
    for number, piece in enumerate(plan.pieces):
        assert [command[0] for command in piece.commands] == [b"MULTI", b"DEL", b"SET", b"EXEC"]
        piece.take([b"OK", b"QUEUED", b"QUEUED", [number, b"OK"]])
    assert plan.replies() == [b"OK", *[b"QUEUED"] * 5, [6, b"OK", b"OK", b"OK", b"OK"]]


def test_refusal_in_one_slot_is_that_of_the_whole() -> None:
    """Nobody takes half of a transaction, or of a bulk read, for all of it."""
    refused = hiredis.ReplyError("OOM no")
    plan = Plan([(b"MULTI",), (b"SET", "tu:value:a", b"1"), (b"SET", "tu:value:b", b"1"), (b"EXEC",)], _BUCKETS)
    plan.pieces[0].take([b"OK", b"QUEUED", [b"OK"]])
    plan.pieces[1].take([b"OK", refused, hiredis.ReplyError("EXECABORT no")])
    assert plan.pieces[1].refusal == "OOM no"
    assert isinstance(plan.replies()[-1], hiredis.ReplyError)
    read = Plan([(b"MGET", "tu:value:a", "tu:value:b")], _BUCKETS)
    read.pieces[0].take([[b"1"]])
    read.pieces[1].take([refused])
    assert read.replies() == [refused]


def test_answer_that_is_no_list_is_handed_on() -> None:
    """Whoever asked says that it is none."""
    plan = Plan([(b"MGET", "tu:value:a", "tu:value:b")], _BUCKETS)
    for piece in plan.pieces:
        piece.take([b"strange"])
    assert plan.replies() == [b"strange"]


def test_name_without_a_subject_is_written_in_every_bucket_and_read_in_one() -> None:
    """Beside a key it is the one in that key's slot."""
    assert len(Plan([(b"SET", "tu:epoch", b"1")], _BUCKETS).pieces) == BUCKETS
    assert len(Plan([(b"EVAL", "return 1", 2, "tu:epoch", "tu:sweeps")], _BUCKETS).pieces) == BUCKETS
    assert len(Plan([(b"MGET", "tu:epoch", "tu:sweeps")], _BUCKETS).pieces) == 1
    [piece] = Plan([(b"EVAL", "return 1", 3, "tu:lease:k", "tu:value:k", "tu:epoch", b"x")], _BUCKETS).pieces
    assert len({slot_of(key) for key in piece.commands[0][3:6]}) == 1
    assert piece.commands[0][6] == b"x"


@pytest.mark.parametrize("command", [(b"PING",), (b"INFO", b"server"), (b"TIME",), (b"RANDOMKEY",)])
def test_command_without_a_key_may_go_anywhere(command: Command) -> None:
    """And a name that comes back is a plain one."""
    plan = Plan([command], _BUCKETS)
    assert [piece.slot for piece in plan.pieces] == [None]
    plan.pieces[0].take([_BUCKETS.placed("tu:value:k")])
    assert plan.replies() == [b"tu:value:k" if command[0] == b"RANDOMKEY" else _BUCKETS.placed("tu:value:k")]


def test_names_with_tags_of_their_own_are_left_alone() -> None:
    """As a budget's are."""
    names = AsTheyAre()
    [piece] = Plan([(b"HGETALL", b"tu:budget:{pool}:state")], names).pieces
    assert piece.commands == [(b"HGETALL", b"tu:budget:{pool}:state")]
    assert piece.slot == slot_of(b"pool")
    assert names.plain(b"{a}b") == b"{a}b"
    assert names.all("a") == ["a"]
    assert names.beside("a", "b") == names.pattern("a") == "a"
    assert Plan([(b"MEMORY", b"USAGE", b"a{b}")], names).pieces[0].slot == slot_of(b"b")


def test_sentinel_password_may_hold_any_sign() -> None:
    """Percent-encoded, and a plus sign is one."""
    from tradeutils.link.address import parse_address

    address = parse_address("redis+sentinel://host/prices?sentinel_username=w&sentinel_password=a%26b+c%3D")
    assert address.sentinel_login == ("w", "a&b+c=")

"""What a node leaves to its successor arrives at the supervisor, and is withdrawn once it is out of date."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.call.model import CallId
from bridge.cluster.descriptor_channel import Claim
from bridge.cluster.succession import AT_ONCE, FRESH_SECONDS, POLL_SECONDS, CallCopier, Succession
from bridge.errors import HandoverRefused
from bridge.stores.nodes import Member
from bridge.supervisor.kept_calls import KeptCall, KeptCalls
from bridge.wire.crash_marks import NOTHING, mark_of
from bridge.wire.rtp.used_numbers import read
from bridge.wire.supervision import Inherited, Keep
from tests.support.published import call_event

pytestmark = pytest.mark.virtual_time
ONE, TWO = CallId("one"), CallId("two")


class Calls:
    """Live calls, with a socket each."""

    def __init__(self) -> None:
        self.live: dict[CallId, int] = {}
        self.broken: set[CallId] = set()
        self.stay: set[CallId] = set()
        self.still: list[CallId] = []
        self.copies = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def revisions(self) -> dict[CallId, int]:
        return dict(self.live)

    @contextmanager
    def copied(self, call_id: CallId) -> Iterator[tuple[bytes, list[int]]]:
        if call_id in self.stay:
            raise HandoverRefused("it stays")
        if call_id in self.broken:
            raise ValueError("a mistake in the code of a leg")
        self.still.append(call_id)
        self.copies += 1
        try:
            yield f"{call_id} {self.live[call_id]}".encode(), [self.socket.fileno()]
        finally:
            self.still.remove(call_id)


class Node:
    """A node with its supervisor's end."""

    def __init__(self) -> None:
        self.kept = KeptCalls()
        self.succession = Succession(os.dup(self.kept.theirs), [])
        self.calls = Calls()
        self.keeping = CallCopier(
            self.succession, self.calls, lambda call_id: [f"key of {call_id}"], lambda _: None
        )

    def left(self) -> dict[str, KeptCall]:
        """Return what is left if it dies now."""
        return {one.message.call_id: one for one in self.kept.leave(7, "b007", 1.5)}


@pytest.fixture
async def node():
    before = len(os.listdir("/proc/self/fd"))
    made = Node()
    yield made
    await made.keeping.aclose()
    made.kept.close()
    made.calls.socket.close()
    assert len(os.listdir("/proc/self/fd")) == before + 1  # of the memory, while it is mapped


def content(one: KeptCall) -> bytes:
    return os.pread(one.snapshot, 1000, 0)


def untaken(one: KeptCall) -> bool:
    return Claim(one.descriptors[0]).take()


async def test_calls_are_left_with_all_that_a_successor_needs(node):
    stream = node.succession.ledger.open(5)
    stream.reserve_packets(100)
    node.calls.live = {ONE: 1, TWO: 1}
    node.keeping.look()
    left = node.left()
    assert [*left] == [ONE, TWO]
    one = left[ONE]
    assert (content(one), one.message.provider_keys) == (b"one 1", ["key of one"])
    assert read(os.pread(one.ledger, 1 << 20, 0))[5].packet == 164
    assert os.fstat(one.descriptors[1]) == os.fstat(node.calls.socket.fileno())
    told = one.inherited()
    assert (told.node, told.boots, told.died_at) == (7, ["b007"], 1.5)
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(one.snapshot, b"x", 0)
    for each in left.values():
        assert untaken(each)
        each.close()
    assert node.calls.still == []


async def test_a_copy_that_is_out_of_date_is_replaced_or_withdrawn(node):
    node.calls.live = {ONE: 1, TWO: 1}
    node.keeping.look()
    node.keeping.look()
    assert node.calls.copies == 2
    node.calls.live = {ONE: 2}
    node.calls.stay = {ONE}
    node.keeping.look()
    assert node.left() == {}
    node.calls.stay = set()
    node.keeping.look()
    left = node.left()
    assert [content(one) for one in left.values()] == [b"one 2"]
    left[ONE].close()


async def test_what_is_published_of_a_call_makes_its_copy_out_of_date_and_its_end_withdraws_it(
    node,
):
    node.calls.live = {ONE: 1, TWO: 1}
    node.keeping.look()
    node.keeping.on_event(call_event("playback.completed", ONE))
    node.keeping.look()
    assert node.calls.copies == 3
    node.keeping.on_event(call_event("call.ended", TWO))
    left = node.left()
    assert [*left] == [ONE]
    left[ONE].close()


async def test_a_mistake_about_one_call_does_not_end_the_copies_of_the_others(node, caplog):
    node.calls.live = {ONE: 1, TWO: 1}
    node.keeping.look()
    node.calls.live, node.calls.broken = {ONE: 2, TWO: 2}, {ONE}
    for _ in range(3):
        node.keeping.look()
    left = node.left()
    assert [content(one) for one in left.values()] == [b"two 2"]
    assert [record.message for record in caplog.records] == ["succession.failed"]
    left[TWO].close()


def refuse(*_: object) -> None:
    raise BlockingIOError


async def test_what_the_supervisor_cannot_be_told_of_cannot_be_claimed_either(node, monkeypatch):
    node.calls.live = {ONE: 1}
    node.keeping.look()
    monkeypatch.setattr(node.succession, "send", refuse)
    node.keeping.withdraw(ONE)
    node.keeping.withdraw(ONE)
    left = node.left()
    assert not untaken(left[ONE])
    left[ONE].close()


async def test_calls_are_copied_anew_in_time_and_few_at_once(node):
    node.calls.live = {CallId(str(number)): 1 for number in range(2 * AT_ONCE)}
    node.calls.stay = {CallId(str(number)) for number in range(AT_ONCE)}
    running = asyncio.create_task(node.keeping.run())
    await asyncio.sleep(2)
    assert node.calls.copies == AT_ONCE
    await asyncio.sleep(FRESH_SECONDS + 2)
    assert node.calls.copies == 2 * AT_ONCE
    running.cancel()
    for one in node.left().values():
        one.close()


async def test_many_calls_at_once_are_copied_long_before_the_next_look(node):
    node.calls.live = {CallId(str(number)): 1 for number in range(5 * AT_ONCE)}
    running = asyncio.create_task(node.keeping.run())
    await asyncio.sleep(POLL_SECONDS - 0.01)
    assert node.calls.copies == 5 * AT_ONCE
    running.cancel()
    for one in node.left().values():
        one.close()


async def test_calls_that_were_gone_on_with_are_copied_without_waiting_for_the_next_look(node):
    before = asyncio.get_running_loop().time()
    node.calls.live = {CallId(str(number)): 1 for number in range(5 * AT_ONCE)}
    await node.keeping.catch_up()
    assert node.calls.copies == 5 * AT_ONCE
    assert asyncio.get_running_loop().time() == before
    for one in node.left().values():
        one.close()


async def test_a_supervisor_that_reads_nothing_keeps_nothing_new_and_costs_no_call(node):
    for turn in range(1, 2000):  # more than the socket holds
        node.calls.live = {ONE: turn}
        node.keeping.look()
    assert node.calls.still == []
    for one in node.left().values():
        assert not untaken(one)
        one.close()
    node.keeping.look()
    left = node.left()
    assert untaken(left[ONE])
    assert content(left[ONE]) == b"one 1999"
    left[ONE].close()


async def test_nonsense_on_the_socket_is_dropped_with_its_descriptors(node):
    sock = node.succession.socket
    for text in (
        b"{}",
        b"\xff",
        b'{"v": 1, "kind": "keep", "call_id": "x"}',
        b'{"v":1,"kind":"?"}',
    ):
        socket.send_fds(sock, [text], [0])
    assert node.left() == {}


async def test_the_rows_of_calls_move_from_the_latest_process_first(node):
    node.calls.live = {ONE: 1}
    node.keeping.look()
    [left] = node.left().values()
    left.boots.insert(0, "later")
    node.succession.inherited = [left.inherited()]
    moves = node.succession.moves(Member(node=7, boot="new"))
    assert [(one.former, one.boot, one.call_id) for one in moves] == [
        ("later", "new", ONE),
        ("b007", "new", ONE),
    ]
    left.close()


def inherited(call_id: str, strikes: int) -> Inherited:
    return Inherited(
        call_id=call_id,
        node=1,
        boots=["b1"],
        died_at=0.0,
        ledger=-1,
        snapshot=-1,
        descriptors=[],
        strikes=strikes,
    )


async def test_calls_with_too_many_strikes_are_not_gone_on_with(node):
    left = [inherited("none", 0), inherited("once", 1), inherited("twice", 2)]
    succession = Succession(os.dup(node.kept.theirs), left)
    assert succession.crashed == {"twice"}
    assert [one.call_id for one in succession.moves(Member(node=1, boot="b2"))] == ["none", "once"]
    succession.close()


async def test_what_a_node_works_on_is_known_when_it_dies(node):
    with node.succession.ledger.marks.about("one"):
        assert node.kept.marks() == (mark_of("one"), NOTHING)
    assert node.kept.marks() == (NOTHING, NOTHING)


async def test_a_call_with_a_strike_is_kept_until_the_node_has_copied_it_and_keeps_its_strike(node):
    node.calls.live = {TWO: 1}
    node.keeping.look()
    for call_id in (ONE, TWO):
        struck = KeptCall(Keep(call_id=call_id), *os.pipe(), [*os.pipe()], 7, ["before"], strikes=1)
        node.kept.read()
        node.kept.take_struck(struck)
    left = node.left()
    assert {one: (kept.boots, kept.strikes) for one, kept in left.items()} == {
        ONE: (["b007", "before"], 1),
        TWO: (["b007"], 1),
    }
    for kept in left.values():
        kept.close()
    node.kept.take_struck(
        KeptCall(Keep(call_id=ONE), *os.pipe(), [*os.pipe()], 7, ["b"], strikes=1)
    )
    node.calls.live = {ONE: 1}
    node.keeping.look()
    left = node.left()
    assert (left[ONE].boots, left[ONE].strikes, content(left[ONE])) == (["b007"], 1, b"one 1")
    left[ONE].close()


async def test_a_call_keeps_its_strike_when_a_copy_of_it_is_withdrawn_before_the_next_is_made(node):
    node.kept.take_struck(
        KeptCall(Keep(call_id=ONE), *os.pipe(), [*os.pipe()], 7, ["b"], strikes=1)
    )
    node.calls.live = {ONE: 1}
    node.keeping.look()
    node.calls.live = {ONE: 2}
    node.keeping.look()
    left = node.left()
    assert (left[ONE].strikes, content(left[ONE])) == (1, b"one 2")
    left[ONE].close()


async def test_the_copier_knows_whether_all_calls_are_copied(node):
    node.calls.live = {CallId(str(one)): 1 for one in range(AT_ONCE + 1)}
    node.keeping.look()
    assert not node.keeping.caught_up
    node.keeping.look()
    assert node.keeping.caught_up

"""What a node writes of its calls for other machines, and how it goes on with theirs."""

import msgspec
import pytest

from bridge.call.model import CallId
from bridge.cluster.machine_takeover import AT_ONCE, MachineTakeover, SnapshotWriter
from bridge.db.sqlite import Sqlite
from bridge.errors import HandoverRefused
from bridge.stores import handover, nodes
from bridge.stores.handover import MOVED, Move
from bridge.stores.nodes import Member
from bridge.stores.portable_calls import TakenCall
from tests.stores.test_lost_nodes import begin_call
from tests.support.databases import insert_call, open_database

pytestmark = pytest.mark.virtual_time

DEAD, OWN = Member(node=0, boot="dead"), Member(node=1, boot="own")
ONE, TWO = CallId("one"), CallId("two")


class Calls:
    """Live calls, by their revisions."""

    def __init__(self):
        self.live = {ONE: 1}
        self.busy: set[CallId] = set()
        self.bound: set[CallId] = set()
        """Those that no other machine can go on with."""
        self.described = []

    def revisions(self):
        return dict(self.live)

    def snapshot(self, call_id):
        if call_id in self.busy:
            raise HandoverRefused("not connected yet")
        self.described.append(call_id)
        return None if call_id in self.bound else f"{call_id} {self.live[call_id]}".encode()


@pytest.fixture
async def database(tmp_path):
    opened = open_database(Sqlite(tmp_path / "bridge.sqlite3"))
    for one in (DEAD, OWN):
        await opened.run(nodes.register, one, launch_id="r", now=1.0)
    yield opened
    await opened.aclose()


@pytest.fixture
async def writer(database):
    await database.run(lambda it: [begin_call(it, one, OWN) for one in (ONE, TWO)])
    calls = Calls()
    made = SnapshotWriter(calls, database, OWN.boot, lambda _: None)
    return made, calls


async def rows(database):
    await database.flush()
    found = await database.read(
        lambda it: it.execute("SELECT call_id, snapshot FROM open_calls").fetchall()
    )
    return {call_id: snapshot for call_id, snapshot in found if snapshot is not None}


async def test_a_call_is_written_when_it_changes_and_only_then(database, writer):
    made, calls = writer
    for _ in range(3):
        made.look()
        assert await rows(database) == {ONE: b"one 1"}
    assert calls.described == [ONE]
    calls.live = {ONE: 2, TWO: 1}
    made.look()
    assert await rows(database) == {ONE: b"one 2", TWO: b"two 1"}
    assert made.is_portable(TWO)


async def test_what_is_not_written_yet_is_waited_for(database, writer):
    made, calls = writer
    made.look()
    calls.live[ONE] = 2
    made.look()
    assert calls.described == [ONE]
    await database.flush()
    made.look()
    assert await rows(database) == {ONE: b"one 2"}


async def test_a_call_that_is_being_connected_keeps_what_was_written(database, writer):
    made, calls = writer
    made.look()
    await database.flush()
    calls.live[ONE], calls.busy = 2, {ONE}
    made.look()
    assert await rows(database) == {ONE: b"one 1"}
    calls.busy = set()
    made.look()
    assert await rows(database) == {ONE: b"one 2"}


async def test_a_call_that_no_other_machine_can_go_on_with_has_no_snapshot_any_more(
    database, writer
):
    made, calls = writer
    made.look()
    await database.flush()
    calls.live[ONE], calls.bound = 2, {ONE}
    made.look()
    assert await rows(database) == {}
    assert not made.is_portable(ONE)


async def test_many_calls_are_written_a_few_at_a_time(database, writer):
    made, calls = writer
    calls.live = {CallId(str(number)): 1 for number in range(AT_ONCE + 1)}
    made.look()
    assert len(calls.described) == AT_ONCE
    await database.flush()
    made.look()
    assert len(calls.described) == AT_ONCE + 1


async def test_an_ended_call_is_forgotten(database, writer):
    made, calls = writer
    made.look()
    await database.flush()
    calls.live.clear()
    made.look()
    assert not made.is_portable(ONE)


def taken(call_id):
    move = Move(call_id, DEAD.boot, OWN.node, OWN.boot)
    return TakenCall(DEAD, move, call_id.encode(), silent_since=90.0)


async def test_a_call_that_cannot_go_on_here_is_that_of_the_dead_process_again(database):
    for call_id in (ONE, TWO):
        await database.run(insert_call, call_id, OWN)
    told, lost = [], []

    def adopt(snapshot):
        if snapshot == b"one":
            raise HandoverRefused("another version")
        return CallId(snapshot.decode())

    def write(connection, payloads):
        for payload in payloads:
            handover.move(connection, msgspec.msgpack.decode(payload, type=Move))

    database.handle(MOVED, write)
    takeover = MachineTakeover(
        adopt,
        database=database,
        now=lambda: 100.0,
        recovered=lambda *what: told.append(what),
        lost=lambda: lost.append(True),
    )
    takeover.take_over([taken(ONE), taken(TWO)])
    await takeover.aclose()
    await database.flush()
    assert told == [(TWO, 10.0, "machine")]
    assert lost == [True]
    assert await database.read(handover.owner, ONE) == DEAD.node
    assert await database.read(handover.owner, TWO) == OWN.node

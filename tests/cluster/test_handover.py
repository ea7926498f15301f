"""Calls pass from one node to another: each goes on in exactly one of them, whatever goes wrong."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.call.model import CallId
from bridge.cluster.descriptor_channel import Claim, DescriptorChannel, close_all
from bridge.cluster.handover import HandoverClient
from bridge.cluster.handover_server import HandoverServer
from bridge.cluster.membership import Supervised
from bridge.cluster.sockets import handover_socket_path, listen
from bridge.cluster.timing import ClusterTiming
from bridge.db.database import Database
from bridge.errors import HandoverRefused
from bridge.stores import handover as store
from bridge.stores import nodes
from bridge.stores.nodes import Member
from bridge.wire.handover import Accepted, Hello, Offer
from tests.support.databases import connected, insert_call, open_database
from tests.support.published import call_event
from tests.support.waiting import until

OLD, NEW = Member(node=0, boot="old"), Member(node=1, boot="new")
A, B = CallId("00A"), CallId("00B")


class FakeCalls:
    """Calls of a node, whose legs are pipes; both what passes them and what takes them over."""

    def __init__(self, *call_ids: CallId) -> None:
        self.running = {call_id: os.open("/dev/null", os.O_RDONLY) for call_id in call_ids}
        self.suspended: set[CallId] = set()
        self.refuses: set[CallId] = set()
        self.breaks = False
        self.most_suspended = 0
        self.heard: list[str] = []

    def movable(self) -> list[CallId]:
        return sorted(self.running)

    def suspend(self, call_id: CallId) -> tuple[bytes, list[int]]:
        if call_id in self.refuses:
            raise HandoverRefused("it rings")
        self.suspended.add(call_id)
        self.most_suspended = max(self.most_suspended, len(self.suspended))
        return call_id.encode(), [self.running[call_id]]

    def resume(self, call_id: CallId) -> None:
        self.heard.append(f"resume {call_id}")
        self.suspended.remove(call_id)

    async def abandon(self, call_id: CallId) -> None:
        self.heard.append(f"abandon {call_id}")
        self.suspended.discard(call_id)
        os.close(self.running.pop(call_id))

    def adopt(self, snapshot: bytes, descriptors: list[int]) -> CallId:
        call_id = CallId(snapshot.decode())
        if self.breaks:
            raise RuntimeError("a bug")
        if call_id in self.refuses:
            raise HandoverRefused("it is too new")
        [self.running[call_id]] = descriptors
        return call_id

    def close(self) -> None:
        close_all(list(self.running.values()))


class Pair:
    """Two nodes of one machine in one process."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.old, self.new = FakeCalls(A, B), FakeCalls()
        self.folder = folder
        self.database = database
        self.refusal = ""
        self.recovered: list[tuple[CallId, str]] = []
        timing = ClusterTiming(heartbeat=0.04)
        members = Supervised(OLD, [NEW], launch_id="run", timing=timing)
        self.client = HandoverClient(
            self.old,
            members=members,
            folder=folder,
            database=self.database,
            provider_keys=lambda call_id: [f"wa.{call_id}"],
        )
        self.server = HandoverServer(
            self.new.adopt,
            own=lambda: NEW,
            database=database,
            refusal=lambda: self.refusal,
            recovered=lambda call_id, _seconds, cause: self.recovered.append((call_id, cause)),
            release=self.new.abandon,
        )

    def start(self) -> None:
        self.server.start(handover_socket_path(self.folder, NEW.node))

    def begin(self) -> None:
        """Let the successor listen, and pass it the calls."""
        self.start()
        self.client.begin(NEW.node, "upgrade")


@asynccontextmanager
async def pair(engine) -> AsyncIterator[Pair]:
    with connected(engine) as opened:
        for one in (OLD, NEW):
            nodes.register(opened, one, launch_id="run", now=1.0)
        for call_id in (A, B):
            insert_call(opened, call_id, OLD)
    # Not pytest's folder: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as folder:
        database = open_database(engine)
        made = Pair(Path(folder), database)
        try:
            yield made
        finally:
            await made.client.aclose()
            await made.server.aclose()
            await database.aclose()
            made.old.close()
            made.new.close()


@pytest.fixture
async def nodes_(engine):
    before = len(os.listdir("/proc/self/fd"))
    async with pair(engine) as both:
        yield both
    assert len(os.listdir("/proc/self/fd")) <= before


async def moved(both: Pair, count: int) -> None:
    await until(lambda: both.client.handed == count and not both.client.uncommitted)


async def test_calls_move_one_after_the_other_and_the_database_says_where_they_are(nodes_, engine):
    nodes_.begin()
    await moved(nodes_, 2)
    assert sorted(nodes_.new.running) == [A, B]
    assert not nodes_.old.running
    assert nodes_.old.most_suspended == 1
    assert nodes_.old.heard == [f"abandon {A}", f"abandon {B}"]
    assert nodes_.recovered == [(A, "upgrade"), (B, "upgrade")]
    assert [await nodes_.client.node_of(one) for one in (A, B, "00C")] == [1, 1, None]
    with connected(engine) as opened:
        assert [store.owner(opened, one) for one in (A, B)] == [1, 1]


async def test_a_call_that_is_refused_goes_on_where_it_is_and_is_not_offered_again(nodes_):
    nodes_.new.refuses = {A}
    nodes_.begin()
    await moved(nodes_, 1)
    await asyncio.sleep(0.05)
    assert nodes_.old.heard == [f"resume {A}", f"abandon {B}"]
    assert (list(nodes_.old.running), nodes_.old.suspended) == ([A], set())
    assert await nodes_.client.node_of(A) is None


async def test_a_mistake_in_taking_over_costs_no_call(nodes_, caplog):
    nodes_.new.breaks = True
    nodes_.begin()
    await until(lambda: len(nodes_.old.heard) == 2)
    assert nodes_.old.heard == [f"resume {A}", f"resume {B}"]
    assert "handover.adoption_failed" in caplog.text


async def test_a_call_that_cannot_move_yet_moves_later(nodes_):
    nodes_.old.refuses = {A}
    nodes_.begin()
    await moved(nodes_, 1)
    nodes_.old.refuses.clear()
    await moved(nodes_, 2)
    assert sorted(nodes_.new.running) == [A, B]


async def test_a_successor_that_drains_takes_nothing_and_the_next_one_does(nodes_):
    nodes_.refusal = "it drains too"
    nodes_.begin()
    await until(lambda: len(nodes_.old.heard) == 2)
    nodes_.refusal = ""
    nodes_.client.begin(7, "upgrade")
    nodes_.client.begin(NEW.node, "upgrade")
    await moved(nodes_, 2)


async def test_a_successor_that_is_not_there_yet_is_tried_again(nodes_, caplog):
    nodes_.client.begin(NEW.node, "upgrade")
    await until(lambda: "handover.interrupted" in caplog.text)
    nodes_.start()
    await moved(nodes_, 2)
    assert caplog.text.count("handover.interrupted") == 1


async def test_nothing_moves_while_the_database_is_away(nodes_, monkeypatch):
    with monkeypatch.context() as away:
        away.setattr(Database, "reachable", False)
        nodes_.start()
        nodes_.client.begin(NEW.node, "upgrade")
        await asyncio.sleep(0.05)
        assert not nodes_.old.most_suspended
    await moved(nodes_, 2)


async def test_a_call_whose_events_come_all_the_time_waits(nodes_, monkeypatch):
    flush = nodes_.database.flush

    async def flush_and_publish() -> None:
        await flush()
        nodes_.client.on_event(call_event("call.muted", A))

    monkeypatch.setattr(nodes_.database, "flush", flush_and_publish)
    nodes_.begin()
    await moved(nodes_, 1)
    assert list(nodes_.new.running) == [B]


async def test_a_call_of_a_node_that_was_declared_dead_is_forgotten_where_it_has_come(
    nodes_, engine, caplog
):
    with connected(engine) as opened:
        nodes.end(opened, [OLD.boot], now=2.0)
    nodes_.begin()
    await until(lambda: len(nodes_.new.heard) == 2)
    assert nodes_.new.heard == [f"abandon {A}", f"abandon {B}"]
    assert not nodes_.recovered
    assert "handover.too_late" in caplog.text


class Successor:
    """One that does as the test says."""

    def __init__(self, folder: Path) -> None:
        self.listener = listen(handover_socket_path(folder, NEW.node))
        self.listener.settimeout(0)
        self.late = 0.0
        self.greeted = 0

    async def offered(self) -> tuple[DescriptorChannel, Offer, list[int]]:
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        channel = DescriptorChannel(connection)
        assert isinstance((await channel.receive())[0], Hello)
        await channel.send(Hello(node=NEW.node, boot=NEW.boot))
        offer, descriptors = await channel.receive()
        while isinstance(offer, Hello):
            self.greeted += 1
            await asyncio.sleep(self.late)
            await channel.send(Hello(node=NEW.node, boot=NEW.boot))
            offer, descriptors = await channel.receive()
        assert isinstance(offer, Offer)
        return channel, offer, descriptors


@pytest.fixture
async def successor(nodes_):
    made = Successor(nodes_.folder)
    yield made
    made.listener.close()


async def test_an_offer_that_is_not_answered_is_taken_back_and_cannot_be_taken_any_more(
    nodes_, successor
):
    nodes_.client.begin(NEW.node, "upgrade")
    channel, offer, descriptors = await successor.offered()
    deciding = asyncio.create_task(nodes_.client.node_of(A))
    await until(lambda: bool(nodes_.old.heard))
    assert nodes_.old.heard == [f"resume {A}"]
    assert await deciding is None
    assert nodes_.server.take_over(offer, descriptors) == "the offer was withdrawn"
    assert not nodes_.new.running
    channel.close()


async def test_a_call_that_a_slow_successor_has_begun_with_is_not_resumed(nodes_, successor):
    nodes_.client.begin(NEW.node, "upgrade")
    channel, offer, descriptors = await successor.offered()
    assert nodes_.server.take_over(offer, descriptors) == ""
    await asyncio.sleep(0.6)
    assert nodes_.old.suspended == {A}
    await channel.send(Accepted(call_id=A))
    await until(lambda: nodes_.old.heard == [f"abandon {A}"])
    assert nodes_.client.uncommitted == 1
    channel.close()


async def test_the_database_knows_where_a_call_is_whose_new_process_dies_before_it_has_written_that(
    nodes_, successor, engine
):
    nodes_.client.begin(NEW.node, "upgrade")
    channel, offer, descriptors = await successor.offered()
    assert nodes_.server.take_over(offer, descriptors) == ""
    await channel.send(Accepted(call_id=A))
    await until(lambda: nodes_.old.heard == [f"abandon {A}"])
    channel.close()
    await until(lambda: nodes_.client.uncommitted == 0)
    await nodes_.database.flush()
    with connected(engine) as opened:
        assert store.owner(opened, A) == NEW.node


async def test_no_call_stands_still_where_there_are_no_descriptors_for_a_claim(nodes_, monkeypatch):
    def refuse():
        raise OSError("too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Claim, "make", refuse)
        nodes_.begin()
        await asyncio.sleep(0.2)
        assert not nodes_.old.most_suspended
    await moved(nodes_, 2)


async def test_a_call_is_committed_once_the_database_could_write_where_it_is(nodes_, monkeypatch):
    append = nodes_.database.append
    failures: list[bytes] = []

    def fail_first(kind, payload, *, then=None, failed=None):
        if not failures and kind == store.MOVED:
            failures.append(payload)
            asyncio.get_running_loop().call_soon(failed)
        else:
            append(kind, payload, then=then, failed=failed)

    monkeypatch.setattr(nodes_.database, "append", fail_first)
    nodes_.begin()
    await moved(nodes_, 2)
    assert len(failures) == 1
    assert sorted(nodes_.recovered) == [(A, "upgrade"), (B, "upgrade")]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_successor_that_dies_takes_with_it_only_the_call_that_it_has_begun_with(
    nodes_, successor, engine, begun
):
    nodes_.client.begin(NEW.node, "upgrade")
    channel, offer, descriptors = await successor.offered()
    if begun:
        assert nodes_.server.take_over(offer, descriptors) == ""
    else:
        close_all(descriptors)
    channel.close()
    await until(lambda: bool(nodes_.old.heard))
    assert nodes_.old.heard == [f"abandon {A}" if begun else f"resume {A}"]
    await nodes_.database.flush()
    with connected(engine) as opened:
        # Whoever takes over what the successor left ends the call.
        assert store.owner(opened, A) == (NEW.node if begun else OLD.node)


async def test_no_call_stands_still_while_the_successor_is_busy(nodes_, successor):
    successor.late = 0.05
    nodes_.client.begin(NEW.node, "upgrade")
    offering = asyncio.create_task(successor.offered())
    await until(lambda: successor.greeted == 3)
    assert not nodes_.old.most_suspended
    channel, _, descriptors = await offering
    assert successor.greeted == 5
    close_all(descriptors)
    channel.close()


async def test_a_node_does_not_pass_calls_to_itself(nodes_):
    nodes_.client.begin(OLD.node, "drain")
    assert nodes_.client.successor is None

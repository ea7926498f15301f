"""Calls of a node that was lost end once, whoever notices it, and whatever the node says later."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bridge.call.model import CallRecord, LineName
from bridge.cluster.membership import Membership, SingleNode, Supervised, new_boot
from bridge.cluster.recovery import Recovery
from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.db.database import Connection
from bridge.db.sqlite import Sqlite
from bridge.metrics.registry import Metrics
from bridge.node.call_history import CallHistory
from bridge.stores import deliveries, endpoints
from bridge.stores import events as event_store
from bridge.stores.endpoints import Endpoint
from bridge.stores.event_log import EVENT, EventLog
from bridge.stores.handover import Move
from bridge.stores.nodes import Member
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType, end_id
from bridge.wire.webhook.formats import Style
from tests.support.databases import open_database
from tests.support.waiting import until

SALES = LineName("sales")
CALL, OTHER_CALL = "00" + "AB" * 15, "00" + "CD" * 15


def event(kind: EventType, call: str = CALL, *, callback_url: str = "", reason: str = ""):
    now = datetime.now(UTC)
    snapshot = CallSnapshot(
        id=call,
        direction="outbound",
        state="ended" if reason else "active",
        peer="1",
        started_at=now,
        reason=reason,
        callback_url=callback_url,
    )
    identity = end_id(call) if kind is EventType.CALL_ENDED else f"evt_{new_boot()}"
    return CallEvent(id=identity, type=kind, line=SALES, at=now, call=snapshot)


class Node:
    """A process of a bridge: its connection to the database, and what it writes."""

    def __init__(
        self,
        folder: Path,
        members: Membership,
        inherits: Sequence[Member],
        calls: Sequence[str],
        crashed: Sequence[str],
    ) -> None:
        self.members = members
        self.late: list[str] = []
        self.database = open_database(Sqlite(folder / "bridge.sqlite3"))
        self.log = EventLog(self.database, members=members, metrics=Metrics(version="0").events)
        self.tasks = Tasks()
        self.counted: list[CallRecord] = []
        self.causes: list[str] = []
        self.history = CallHistory(self.database, kept_seconds=1e9, count_failure=lambda _: None)
        self.recovery = Recovery(
            self.database,
            members,
            keep_lost=self.history.keep_lost,
            events=self.log,
            count_lost=self.count,
            inherited=[
                Move(call, former.boot, members.own.node, members.own.boot)
                for call in calls
                for former in inherits
            ],
            crashed=crashed,
        )
        self.recovery.on_late = self.late.append
        self.tasks.spawn(self.recovery.run(), name="recovery")

    def count(self, record: CallRecord, cause: str) -> None:
        self.counted.append(record)
        self.causes.append(cause)

    async def flush(self) -> None:
        """Wait until what is lost so far has been taken over."""
        await until(lambda: not self.recovery._busy)
        await self.database.flush()

    async def events(self) -> list[CallEvent]:
        await self.flush()
        return [found for _, found in await self.log.read(0, SALES)]

    async def aclose(self) -> None:
        await self.tasks.aclose()
        await self.database.aclose()


@pytest.fixture
async def start(tmp_path):
    """Starts nodes on one database; without members, a bridge of one node."""
    started: list[Node] = []

    def begin(
        members: Membership | None = None,
        inherits: Sequence[Member] = (),
        *calls: str,
        crashed: Sequence[str] = (),
    ) -> Node:
        started.append(Node(tmp_path, members or SingleNode(), inherits, calls, crashed))
        return started[-1]

    yield begin
    for node in started:
        await node.aclose()


def supervised(
    node: int, *others: int, launch_id: str = "run", timing: ClusterTiming = DEFAULT
) -> Supervised:
    return Supervised(
        Member(node=node, boot=new_boot()),
        [Member(node=one, boot=new_boot()) for one in others],
        launch_id=launch_id,
        timing=timing,
    )


def reasons(events: list[CallEvent]) -> list[str]:
    return [one.call.reason for one in events if one.call and one.type == EventType.CALL_ENDED]


async def test_calls_without_an_end_are_ended_by_the_next_process(start):
    first = start()
    first.log.append(event(EventType.CALL_INITIATED))
    first.log.append(event(EventType.CALL_INITIATED, OTHER_CALL))
    first.log.append(event(EventType.CALL_ENDED, OTHER_CALL, reason="hangup"))
    await first.flush()
    second = start()
    lost = (await second.events())[-1]
    assert (lost.type, lost.call.id, lost.call.reason) == ("call.ended", CALL, "node_lost")
    assert [record.facts.call_id for record in second.counted] == [CALL]
    assert (await second.history.find(None, CALL)) is not None
    assert len(await start().events()) == 4


async def test_inherited_calls_go_on_and_the_others_of_the_process_end(start):
    first = start(supervised(1, 0))
    first.log.append(event(EventType.CALL_INITIATED))
    first.log.append(event(EventType.CALL_INITIATED, OTHER_CALL))
    await first.flush()
    killed_at_once = Member(node=1, boot=new_boot())
    second = start(supervised(1, 0), [killed_at_once, first.members.own], CALL)
    ended = [one for one in await second.events() if one.type == EventType.CALL_ENDED]
    assert [(one.call.id, one.call.reason) for one in ended if one.call] == [
        (OTHER_CALL, "node_lost")
    ]
    assert second.late == []
    sibling = start(supervised(0, 1))
    sibling.members.update([sibling.members.own], [first.members.own])
    assert reasons(await sibling.events()) == ["node_lost"]
    third = start(supervised(1, 0), [second.members.own, first.members.own], CALL)
    assert reasons(await third.events()) == ["node_lost"]
    assert third.late == []
    assert reasons(await start(supervised(1, 0)).events()) == ["node_lost"] * 2


async def test_a_call_that_processes_have_died_of_ends_once_as_failed_with_its_problem(start):
    first = start(supervised(1, 0))
    first.log.append(event(EventType.CALL_INITIATED))
    first.log.append(event(EventType.CALL_INITIATED, OTHER_CALL))
    await first.flush()
    former = first.members.own
    second = start(supervised(1, 0), [former], OTHER_CALL, crashed=[CALL, "unknown"])
    ended = [one for one in await second.events() if one.type == EventType.CALL_ENDED]
    assert [(one.call.id, one.data) for one in ended if one.call] == [(CALL, {"reason": "failed"})]
    assert [record.facts.call_id for record in second.counted] == [CALL]
    found = await second.history.find(None, CALL)
    assert found is not None
    assert (found.record.reason, found.diagnosis.codes) == ("failed", ("call.crashed_node",))
    sibling = start(supervised(0, 1))
    sibling.members.update([sibling.members.own], [former])
    assert reasons(await sibling.events()) == ["failed"]
    third = start(supervised(1, 0), [second.members.own, former], OTHER_CALL, crashed=[CALL])
    assert reasons(await third.events()) == ["failed"]
    assert third.counted == []


async def test_a_call_that_others_have_ended_meanwhile_is_too_late(start):
    first, sibling = start(supervised(1, 0)), start(supervised(0, 1))
    first.log.append(event(EventType.CALL_INITIATED))
    await first.flush()
    sibling.members.update([sibling.members.own], [first.members.own])
    await sibling.flush()
    second = start(supervised(1, 0), [first.members.own], CALL)
    await second.flush()
    assert second.late == [CALL]
    assert reasons(await second.events()) == ["node_lost"]


async def test_the_callback_of_a_call_gets_its_end(start):
    first = start()
    first.log.append(event(EventType.CALL_INITIATED, callback_url="https://example.com/status"))
    prompt = event(EventType.DIGITS_STARTED, callback_url="https://example.com/status")
    first.log.append(msgspec.structs.replace(prompt, callback_url="https://example.com/digits"))
    await first.flush()
    second = start()
    await second.flush()

    def callbacks(connection: Connection) -> list[tuple[str, int]]:
        rows = connection.execute("SELECT url, node FROM deliveries ORDER BY seq").fetchall()
        return list(rows)

    assert (await second.database.run(callbacks))[-1] == ("https://example.com/status", 0)


async def test_calls_of_nodes_that_run_are_left_alone(start):
    first = start(supervised(1, 0))
    first.log.append(event(EventType.CALL_INITIATED))
    await first.flush()
    assert reasons(await start(supervised(0, 1)).events()) == []
    assert reasons(await start(supervised(0, launch_id="another")).events()) == ["node_lost"]


async def test_a_sibling_ends_the_calls_of_a_node_that_its_supervisor_saw_end(start):
    lost, sibling = start(supervised(1, 0)), start(supervised(0, 1))
    told: list[Member] = []
    sibling.members.follow_lost(told.append)
    lost.log.append(event(EventType.CALL_INITIATED))
    await lost.flush()
    sibling.members.update([sibling.members.own], [lost.members.own])
    assert reasons(await sibling.events()) == ["node_lost"]
    assert told == [lost.members.own]
    # Whoever hears of it later finds nothing left.
    other = start(supervised(2, 0))
    other.members.update([other.members.own], [lost.members.own])
    assert reasons(await other.events()) == ["node_lost"]
    assert other.counted == []


async def test_a_sibling_delivers_the_webhooks_of_a_lost_node(start):
    lost, sibling = start(supervised(1, 0)), start(supervised(0, 1))

    def endpoint(connection: Connection) -> None:
        endpoints.put(
            connection,
            Endpoint(
                id="wh",
                line=SALES,
                url="http://127.0.0.1:9",
                style=Style.NATIVE,
                created_at=0.0,
            ),
        )

    await lost.database.run(endpoint)
    lost.log.append(event(EventType.CALL_INITIATED))
    await lost.flush()
    assert await sibling.database.run(deliveries.waiting, 0) == 0
    sibling.members.update([sibling.members.own], [lost.members.own])
    await sibling.flush()
    assert await sibling.database.run(deliveries.waiting, 0) == 2


async def test_a_node_that_was_declared_dead_says_nothing_more(start):
    zombie, sibling = start(supervised(1, 0)), start(supervised(0, 1))
    zombie.log.append(event(EventType.CALL_INITIATED))
    await zombie.flush()
    sibling.members.update([sibling.members.own], [zombie.members.own])
    await sibling.flush()
    zombie.log.append(event(EventType.CALL_ENDED, reason="hangup"))
    zombie.log.append(event(EventType.LEG_LEFT))
    await zombie.flush()
    assert reasons(await sibling.events()) == ["node_lost"]
    assert len(await sibling.events()) == 2
    assert zombie.members.fenced.is_set()
    assert sibling.causes == ["crash"]
    # What happened while it was alive, and was only written late, is no news of a dead node.
    late = event_store.entry_of(event(EventType.CALL_ACTIVE), zombie.members.own, None)
    zombie.database.append(EVENT, msgspec.msgpack.encode(late))
    await zombie.flush()
    assert len(await sibling.events()) == 3


async def test_a_call_whose_beginning_is_written_by_the_next_process_gets_its_end_too(start):
    first = start()
    await first.flush()
    second = start()
    await second.flush()
    late = event_store.entry_of(event(EventType.CALL_INITIATED), first.members.own, None)
    second.database.append(EVENT, msgspec.msgpack.encode(late))
    await until(lambda: second.counted)
    assert reasons(await second.events()) == ["node_lost"]


async def test_what_the_database_could_not_do_is_tried_again(start, monkeypatch):
    first = start()
    first.log.append(event(EventType.CALL_INITIATED))
    await first.flush()
    fails = iter([True])

    def insert(*args: object, **more: object) -> bool:
        if next(fails, False):
            raise RuntimeError("not now")
        return real(*args, **more)  # type: ignore[arg-type]

    real = event_store.insert
    monkeypatch.setattr(event_store, "insert", insert)
    second = start(SingleNode(timing=ClusterTiming(heartbeat=0.02)))
    await until(lambda: second.counted)
    assert reasons(await second.events()) == ["node_lost"]


async def test_what_a_lost_node_writes_after_others_took_over_is_found_in_time(start):
    node = start(supervised(0, timing=ClusterTiming(heartbeat=0.001)))
    await node.flush()
    late = event_store.entry_of(event(EventType.CALL_INITIATED), Member(node=1, boot="x"), None)
    await node.database.run(event_store.insert_all, [late])
    await until(lambda: node.counted)
    assert reasons(await node.events()) == ["node_lost"]

"""Whatever order the ends of calls, lost nodes, late writes and recoveries come in, each call ends once."""

import contextlib
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.call.model import EndReason
from bridge.cluster.recovery import end_calls
from bridge.node.call_history import CallHistory
from bridge.stores import calls, lost_nodes, nodes
from bridge.stores import events as event_store
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType, end_id
from tests.support.databases import in_memory
from tests.support.examples import examples

NODES = 2
CALLS = 2
"""Of each process."""
HISTORY = CallHistory(
    cast("Any", SimpleNamespace(handle=lambda *_: None)),
    kept_seconds=1.0,
    count_failure=lambda _: None,
)

processes = st.integers(0, NODES - 1)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), processes, st.integers(0, CALLS - 1)),
        st.tuples(st.just("answer"), processes, st.integers(0, CALLS - 1)),
        st.tuples(st.just("end"), processes, st.integers(0, CALLS - 1)),
        st.tuples(st.just("write"), processes, st.integers(1, 4)),
        st.tuples(st.just("write twice"), processes, st.integers(1, 4)),
        st.tuples(st.just("lose"), processes, processes),
        st.tuples(st.just("restart"), processes, st.just(0)),
        st.tuples(st.just("take over"), processes, st.just(0)),
    ),
    max_size=40,
)


class World:
    """Processes that write events late, as from a spool, and lose each other."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.now = 0.0
        self.started = 0
        self.own: list[Member] = []
        self.spools: list[list[event_store.Entry]] = []
        for node in range(NODES):
            self.own.append(self.start(node))
            self.spools.append([])

    def start(self, node: int) -> Member:
        self.started += 1
        own = Member(node=node, boot=f"boot {self.started}")
        nodes.register(self.connection, own, launch_id="run", now=self.now)
        return own

    def perform(self, action: str, process: int, what: int) -> None:
        self.now += 1.0
        own = self.own[process]
        match action:
            case "begin":
                self.happens(process, own, EventType.CALL_INITIATED, what)
            case "answer":
                self.happens(process, own, EventType.CALL_ACTIVE, what)
            case "end":
                self.happens(process, own, EventType.CALL_ENDED, what)
            case "write":
                self.write(process, what)
            case "write twice":
                # Killed between the commit and the removal from the spool.
                spooled = list(self.spools[process])
                self.write(process, what)
                self.spools[process] = spooled
            case "lose" if what != process:
                nodes.end(self.connection, [self.own[what].boot], now=self.now)
                self.take_over(own)
            case "restart":
                # The spool is left to the next process of the node.
                self.own[process] = self.start(process)
                self.take_over(self.own[process])
            case "take over":
                self.take_over(own)

    def happens(self, process: int, own: Member, kind: EventType, number: int) -> None:
        at = datetime.now(UTC)
        call_id = f"{own.boot} {number}"
        ends = kind is EventType.CALL_ENDED
        call = CallSnapshot(
            id=call_id,
            direction="outbound",
            state="ended" if ends else "active",
            peer="1",
            started_at=at,
            reason=EndReason.HANGUP.value if ends else "",
        )
        identity = end_id(call_id) if ends else f"evt_{self.now}"
        event = CallEvent(id=identity, type=kind, line="one", at=at, call=call)
        self.spools[process].append(event_store.entry_of(event, own, None, at=self.now))

    def write(self, process: int, count: int) -> None:
        entries, self.spools[process] = self.spools[process][:count], self.spools[process][count:]
        own = self.own[process]
        ended = event_store.insert_timely(self.connection, entries)
        if ended and own.boot not in ended:
            self.take_over(own)

    def take_over(self, own: Member) -> None:
        if nodes.ended_at(self.connection, own.boot) is None:
            end_calls(self.connection, own, keep_lost=HISTORY.keep_lost)
            lost_nodes.assign(self.connection, own)

    def finish(self) -> None:
        """Write what is left, twice, and restart everybody."""
        for _ in range(2):
            for process in range(NODES):
                self.perform("write", process, 1000)
                self.perform("restart", process, 0)


@settings(max_examples=examples(60), deadline=None)
@given(actions)
def test_each_call_ends_exactly_once(performed):
    with contextlib.closing(contextlib.ExitStack()) as stack:
        connection = stack.enter_context(in_memory())
        world = World(connection)
        for action in performed:
            world.perform(*action)
        world.finish()
        events = [event for _, event in event_store.read(connection, after=0, limit=10_000)]
        begun = {event.call.id for event in events if event.call}
        ends = Counter(
            event.call.id for event in events if event.call and event.type == EventType.CALL_ENDED
        )
        assert ends == Counter(begun)
        assert lost_nodes.open_calls(connection) == []
        lost = {
            event.call.id
            for event in events
            if event.call and event.call.reason == EndReason.NODE_LOST
        }
        assert calls.known(connection, sorted(lost)) == lost

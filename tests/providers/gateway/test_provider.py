import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.call.events import LegDialled, LegEnded
from bridge.call.model import LineName
from bridge.db.database import Database
from bridge.db.sqlite import Sqlite
from bridge.errors import InvalidState, LegError, LimitExceeded
from bridge.providers.gateway import follower
from bridge.providers.gateway.provider import GatewayProvider
from bridge.stores.cloud import CloudStore
from bridge.tasks import Tasks
from bridge.wire.gateway import EngineCall, Phase, Webhook
from tests.support.published import call_facts
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.gateway_lists import ACTIVE, RINGS, ListingEngine, more_polls
from tests.support.whatsapp.left_behind import live_calls, member, take_over

LINE = LineName("main")


class Manager:
    """Takes calls, or refuses them."""

    def __init__(self, refuses=None):
        self.refuses = refuses
        self.received = []
        self.legs = []

    async def receive(self, line, number, far, details):
        self.received.append((line, number, details.parties.from_))
        if self.refuses:
            raise self.refuses
        self.legs.append(far)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(follower, "MIN_SECONDS", 0.001)


@pytest.fixture
async def database(tmp_path):
    made = Database(Sqlite(tmp_path / "bridge.sqlite3"))
    yield made
    await made.aclose()


@pytest.fixture
def store(database):
    return CloudStore(database, own=member(0))


@asynccontextmanager
async def provided(engine, manager, store, *, first=True):
    provider = GatewayProvider({LINE: engine}, store=store, poll_seconds=0.005)
    tasks = Tasks()
    provider.start(manager, tasks, first=lambda: first)
    try:
        yield provider
    finally:
        await tasks.aclose()


def outbound_leg(provider):
    return provider.outbound_leg(call_facts("main"), ACTIVE.peer)


@asynccontextmanager
async def dialled(provider):
    """Run an outbound leg; gives what it emits."""
    events: list[object] = []
    running = asyncio.ensure_future(outbound_leg(provider).run(events.append))
    try:
        yield events
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def refusal(provider):
    """Return with what a dial is refused."""
    events: list[LegEnded] = []
    await outbound_leg(provider).run(events.append)
    [ended] = events
    return ended.error


async def test_a_ring_is_taken_once(store):
    engine, manager = ListingEngine(RINGS), Manager()
    async with provided(engine, manager, store):
        await more_polls(engine, 5)
        assert manager.received == [(LINE, RINGS.peer, RINGS.peer)]


async def test_of_two_nodes_one_takes_a_ring(store, database):
    engine, managers = ListingEngine(RINGS), (Manager(), Manager())
    other = CloudStore(database, own=member(1))
    async with (
        provided(engine, managers[0], store),
        provided(engine, managers[1], other, first=False),
    ):
        await more_polls(engine, 8)
        assert [len(manager.received) for manager in managers] == [1, 0]


async def test_a_ring_that_the_first_node_does_not_take_is_taken_by_another(database):
    engine, manager = ListingEngine(RINGS), Manager()
    async with provided(engine, manager, CloudStore(database, own=member(1)), first=False):
        await until(lambda: manager.received)


async def test_a_ring_that_may_not_be_taken_is_declined(store):
    engine, manager = ListingEngine(RINGS), Manager(refuses=LimitExceeded("full"))
    async with provided(engine, manager, store):
        await until(lambda: engine.hung_up)
        await more_polls(engine)
        assert len(manager.received) == 1
        assert set(engine.hung_up) == {"CA2"}


@pytest.mark.parametrize("call", [ACTIVE, EngineCall("CA3", "", True, Phase.ACTIVE)])
async def test_what_does_not_ring_is_left_alone(call, store):
    engine, manager = ListingEngine(call), Manager()
    async with provided(engine, manager, store):
        await more_polls(engine)
        assert (manager.received, engine.hung_up) == ([], [])


async def test_a_dialled_call_becomes_a_leg_and_a_refused_one_an_error(store):
    engine = ListingEngine(ACTIVE)
    async with provided(engine, Manager(), store) as provider:
        assert provider.has(LINE)
        assert not provider.has(LineName("other"))
        async with dialled(provider) as events:
            await until(lambda: events)
            assert isinstance(events[0], LegDialled)
        assert "CA1" in engine.hung_up
        engine.fails = InvalidState("engine off")
        assert await refusal(provider) is engine.fails


async def test_an_event_for_a_line_without_an_engine_is_refused(store):
    with pytest.raises(InvalidState):
        GatewayProvider({}, store=store).handle_event(LINE, Webhook("offer", frozenset()))


async def test_a_call_of_a_killed_process_is_hung_up_at_the_next_start(store):
    engine = ListingEngine(ACTIVE)
    engine.ends = True
    await store.claim("main/CA1", LINE)
    async with provided(engine, Manager(), store) as provider:
        await more_polls(engine)
        assert engine.hung_up == []
        await take_over(store._database, member())
        await provider.recover()
        await until(lambda: engine.hung_up == ["CA1"])
        await until_empty(store)


async def test_a_ring_that_a_killed_process_had_taken_rings_again(store):
    engine, manager = ListingEngine(RINGS), Manager()
    async with provided(engine, Manager(), store):
        await more_polls(engine)
    async with provided(engine, manager, store) as provider:
        await take_over(store._database, member())
        await provider.recover()
        await until(lambda: manager.received)
        await more_polls(engine)
        assert (len(manager.received), engine.hung_up) == (1, [])


async def test_a_dial_without_an_answer_is_hung_up_when_it_turns_up(store):
    engine = ListingEngine()
    engine.fails = LegError("no answer")
    async with provided(engine, Manager(), store) as provider:
        assert await refusal(provider) is engine.fails
        engine.fails, engine.ends = None, True
        engine.listed = [ACTIVE]
        await until(lambda: engine.hung_up == ["CA1"])


async def test_what_a_killed_process_was_dialling_is_hung_up_when_it_turns_up(store):
    engine = ListingEngine(ACTIVE)
    engine.ends = True
    await store.begin_dial(ACTIVE.peer, LINE)
    async with provided(engine, Manager(), store) as provider:
        await take_over(store._database, member())
        await provider.recover()
        await until(lambda: engine.hung_up == ["CA1"])


async def until_empty(store):
    """Wait until no call is remembered as live."""

    async def empty():
        return not await live_calls(store._database)

    await until_answer(empty)

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.call.events import LegDialled, LegEnded
from bridge.call.model import LineName
from bridge.db.sqlite import Sqlite
from bridge.errors import InvalidState, LegError, LimitExceeded
from bridge.providers.gateway.provider import GatewayProvider
from bridge.stores.cloud import CloudStore
from bridge.tasks import Tasks
from bridge.wire.gateway import EngineCall, Phase, Webhook
from tests.support.databases import open_database
from tests.support.published import call_facts
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.gateway_lists import ACTIVE, RINGS, ListingEngine, more_polls
from tests.support.whatsapp.left_behind import live_calls, member, take_over

LINE = LineName("main")

pytestmark = pytest.mark.virtual_time


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


@pytest.fixture
async def database(tmp_path):
    made = open_database(Sqlite(tmp_path / "bridge.sqlite3"))
    yield made
    await made.aclose()


@pytest.fixture
def store(database):
    return CloudStore(database, own=member(0))


@asynccontextmanager
async def provided(gateway, manager, store, *, first=True):
    provider = GatewayProvider({LINE: gateway}, store=store, poll_seconds=0.005)
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
    gateway, manager = ListingEngine(RINGS), Manager()
    async with provided(gateway, manager, store):
        await more_polls(gateway, 5)
        assert manager.received == [(LINE, RINGS.peer, RINGS.peer)]


async def test_of_two_nodes_one_takes_a_ring(store, database):
    gateway, managers = ListingEngine(RINGS), (Manager(), Manager())
    other = CloudStore(database, own=member(1))
    async with (
        provided(gateway, managers[0], store),
        provided(gateway, managers[1], other, first=False),
    ):
        await more_polls(gateway, 8)
        assert [len(manager.received) for manager in managers] == [1, 0]


async def test_a_ring_that_the_first_node_does_not_take_is_taken_by_another(database):
    gateway, manager = ListingEngine(RINGS), Manager()
    async with provided(gateway, manager, CloudStore(database, own=member(1)), first=False):
        await until(lambda: manager.received)


async def test_a_ring_that_may_not_be_taken_is_declined(store):
    gateway, manager = ListingEngine(RINGS), Manager(refuses=LimitExceeded("full"))
    async with provided(gateway, manager, store):
        await until(lambda: gateway.hung_up)
        await more_polls(gateway)
        assert len(manager.received) == 1
        assert set(gateway.hung_up) == {"CA2"}


@pytest.mark.parametrize("call", [ACTIVE, EngineCall("CA3", "", True, Phase.ACTIVE)])
async def test_what_does_not_ring_is_left_alone(call, store):
    gateway, manager = ListingEngine(call), Manager()
    async with provided(gateway, manager, store):
        await more_polls(gateway)
        assert (manager.received, gateway.hung_up) == ([], [])


async def test_a_dialled_call_becomes_a_leg_and_a_refused_one_an_error(store):
    gateway = ListingEngine(ACTIVE)
    async with provided(gateway, Manager(), store) as provider:
        assert provider.has(LINE)
        assert not provider.has(LineName("other"))
        async with dialled(provider) as events:
            await until(lambda: events)
            assert isinstance(events[0], LegDialled)
        assert "CA1" in gateway.hung_up
        gateway.fails = InvalidState("gateway off")
        assert await refusal(provider) is gateway.fails


async def test_an_event_for_a_line_without_an_engine_is_refused(store):
    with pytest.raises(InvalidState):
        GatewayProvider({}, store=store).handle_event(LINE, Webhook("offer", frozenset()))


async def test_a_call_of_a_killed_process_is_hung_up_at_the_next_start(store, database):
    gateway = ListingEngine(ACTIVE)
    gateway.ends = True
    await store.claim("main/CA1", LINE)
    async with provided(gateway, Manager(), store) as provider:
        await more_polls(gateway)
        assert gateway.hung_up == []
        await take_over(database, member())
        await provider.recover()
        await until(lambda: gateway.hung_up == ["CA1"])
        await until_empty(database)


async def test_a_ring_that_a_killed_process_had_taken_rings_again(store, database):
    gateway, manager = ListingEngine(RINGS), Manager()
    async with provided(gateway, Manager(), store):
        await more_polls(gateway)
    async with provided(gateway, manager, store) as provider:
        await take_over(database, member())
        await provider.recover()
        await until(lambda: manager.received)
        await more_polls(gateway)
        assert (len(manager.received), gateway.hung_up) == (1, [])


async def test_a_dial_without_an_answer_is_hung_up_when_it_turns_up(store):
    gateway = ListingEngine()
    gateway.fails = LegError("no answer")
    async with provided(gateway, Manager(), store) as provider:
        assert await refusal(provider) is gateway.fails
        gateway.fails, gateway.ends = None, True
        gateway.listed = [ACTIVE]
        await until(lambda: gateway.hung_up == ["CA1"])


async def test_what_a_killed_process_was_dialling_is_hung_up_when_it_turns_up(store, database):
    gateway = ListingEngine(ACTIVE)
    gateway.ends = True
    await store.begin_dial(ACTIVE.peer, LINE)
    async with provided(gateway, Manager(), store) as provider:
        await take_over(database, member())
        await provider.recover()
        await until(lambda: gateway.hung_up == ["CA1"])


async def until_empty(database):
    """Wait until no call is remembered as live."""

    async def empty():
        return not await live_calls(database)

    await until_answer(empty)

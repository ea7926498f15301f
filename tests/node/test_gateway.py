import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.call.model import CallId, LegId, LineName
from bridge.errors import InvalidState, LegError, LimitExceeded
from bridge.legs.dial import DialOrder
from bridge.node import gateway
from bridge.node.gateway import EngineFollower, GatewayProvider
from bridge.node.tasks import Tasks
from bridge.wire.gateway import EngineCall, Phase, Webhook
from bridge.wire.media_socket import ZUCKZAPGO
from tests.support.waiting import until

LINE = LineName("main")
ACTIVE = EngineCall("CA1", "15550107001", False, Phase.ACTIVE)
RINGS = EngineCall("CA2", "15550107002", True, Phase.RINGING)


class Engine:
    """Lists what the test says."""

    media = ZUCKZAPGO

    def __init__(self, *listed):
        self.listed = list(listed)
        self.looks = 0
        self.hung_up = []
        self.fails = None

    async def dial(self, number):
        if self.fails:
            raise self.fails
        return "CA1"

    async def hangup(self, call_id):
        self.hung_up.append(call_id)
        if self.fails:
            raise self.fails

    async def calls(self):
        self.looks += 1
        if self.fails:
            raise self.fails
        return list(self.listed)


class Leg:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []
        self.hints = []

    def observe(self, call):
        self.told.append(call)

    def hint(self, word):
        self.hints.append(word)


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
        self.legs.append(far(LegId("leg")))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(gateway, "LEAST_SECONDS", 0.001)


@asynccontextmanager
async def following(engine, *, look_seconds=0.005, **more):
    follower = EngineFollower(engine, look_seconds=look_seconds, **more)
    tasks = Tasks()
    tasks.spawn(follower.run(), name="follower")
    try:
        yield follower
    finally:
        await tasks.aclose()


@asynccontextmanager
async def provided(engine, manager, *, takes_rings=True):
    provider = GatewayProvider({LINE: engine}, look_seconds=0.005)
    tasks = Tasks()
    provider.start(manager, tasks, takes_rings=takes_rings)
    try:
        yield provider
    finally:
        await tasks.aclose()


async def more_looks(engine, count=3):
    wanted = engine.looks + count
    await until(lambda: engine.looks >= wanted)


async def test_a_leg_is_told_of_its_call_until_it_is_listed_no_more():
    engine, leg = Engine(ACTIVE), Leg()
    async with following(engine) as follower:
        follower.follow("CA1", leg)
        await until(lambda: leg.told)
        assert leg.told[0] == ACTIVE
        engine.listed.clear()
        await until(lambda: leg.told[-1] is None)


async def test_a_fresh_call_may_be_missing_from_the_list_for_a_while(monkeypatch):
    engine, leg = Engine(), Leg()
    async with following(engine) as follower:
        follower.follow("CA1", leg)
        await more_looks(engine)
        assert leg.told == []
        monkeypatch.setattr(gateway, "UNLISTED_SECONDS", 0.0)
        await until(lambda: leg.told == [None] * len(leg.told) and leg.told)


async def test_a_call_that_the_engine_has_shown_is_gone_when_it_is_not_listed():
    engine, leg = Engine(), Leg()
    async with following(engine) as follower:
        follower.follow("CA1", leg)
        follower.saw("CA1")
        await until(lambda: None in leg.told)


async def test_an_engine_that_does_not_answer_ends_nothing():
    engine, leg = Engine(ACTIVE), Leg()
    async with following(engine) as follower:
        follower.follow("CA1", leg)
        await until(lambda: leg.told)
        engine.fails = LegError("down")
        await more_looks(engine)
        engine.fails = None
        await more_looks(engine)
        assert set(leg.told) == {ACTIVE}


async def test_nothing_is_looked_for_without_a_reason():
    engine = Engine()
    async with following(engine) as follower:
        await until(lambda: engine.looks == 1)
        await asyncio.sleep(0.05)
        assert engine.looks == 1
        follower.look()
        await until(lambda: engine.looks == 2)


async def test_a_call_that_was_not_hung_up_is_tried_again_until_it_is_gone():
    engine = Engine(ACTIVE)
    async with following(engine) as follower:
        follower.forget("CA1", unwanted=True)
        await until(lambda: len(engine.hung_up) >= 2)
        engine.listed.clear()
        await more_looks(engine, 1)
        await asyncio.sleep(0.02)
        count, looks = len(engine.hung_up), engine.looks
        await asyncio.sleep(0.03)
        assert (len(engine.hung_up), engine.looks) == (count, looks)


async def test_an_event_gives_its_calls_leg_a_word_and_makes_the_follower_look():
    engine, leg, other = Engine(ACTIVE), Leg(), Leg()
    async with following(engine, look_seconds=60) as follower:
        follower.follow("CA1", leg)
        follower.follow("CA9", other)
        await until(lambda: leg.told)
        await asyncio.sleep(0.01)
        looks = engine.looks
        follower.told(Webhook("reject", frozenset({"CA1", "v1.call.reject"})))
        await until(lambda: engine.looks > looks)
        assert (leg.hints, other.hints) == (["reject"], [])


async def test_a_ring_is_taken_once():
    engine, manager = Engine(RINGS), Manager()
    async with provided(engine, manager):
        await more_looks(engine, 5)
        assert manager.received == [(LINE, RINGS.peer, RINGS.peer)]


async def test_only_one_node_takes_rings():
    engine, manager = Engine(RINGS), Manager()
    async with provided(engine, manager, takes_rings=False) as provider:
        provider.told(LINE, Webhook("offer", frozenset()))
        await more_looks(engine, 1)
        assert manager.received == []


async def test_a_ring_that_may_not_be_taken_is_declined():
    engine, manager = Engine(RINGS), Manager(refuses=LimitExceeded("full"))
    async with provided(engine, manager):
        await until(lambda: engine.hung_up)
        await more_looks(engine)
        assert len(manager.received) == 1
        assert set(engine.hung_up) == {"CA2"}


@pytest.mark.parametrize("call", [ACTIVE, EngineCall("CA3", "", True, Phase.ACTIVE)])
async def test_what_does_not_ring_is_left_alone(call):
    engine, manager = Engine(call), Manager()
    async with provided(engine, manager):
        await more_looks(engine)
        assert (manager.received, engine.hung_up) == ([], [])


async def test_a_dialled_call_becomes_a_leg_and_a_refused_one_an_error():
    engine = Engine(ACTIVE)
    async with provided(engine, Manager()) as provider:
        assert provider.has(LINE)
        assert not provider.has(LineName("other"))
        leg = await provider.dial(LINE, "15550107001", LegId("leg"), DialOrder(CallId("00")))
        assert leg.kind == "gateway"
        await leg.aclose()
        assert "CA1" in engine.hung_up
        engine.fails = InvalidState("engine off")
        with pytest.raises(InvalidState):
            await provider.dial(LINE, "15550107001", LegId("leg"), DialOrder(CallId("00")))


async def test_an_event_for_a_line_without_an_engine_is_refused():
    with pytest.raises(InvalidState):
        GatewayProvider({}).told(LINE, Webhook("offer", frozenset()))

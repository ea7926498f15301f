import asyncio

import pytest

from bridge.call.model import LineName
from bridge.errors import DatabaseFailed, InvalidState, LegError, Unreachable
from bridge.providers.gateway import memory as gateway_memory
from bridge.providers.gateway.memory import LineMemory
from bridge.stores.cloud import CloudStore
from bridge.wire.gateway import EngineCall, Phase
from tests.support.databases import open_database
from tests.support.whatsapp.gateway_lists import ACTIVE, ListingEngine
from tests.support.whatsapp.left_behind import dials, live_calls, member

LINE = LineName("main")
NUMBER = ACTIVE.peer


@pytest.fixture
async def database(engine):
    made = open_database(engine)
    yield made
    await made.aclose()


@pytest.fixture
def store(database):
    return CloudStore(database, own=member(0))


@pytest.fixture
def listing():
    return ListingEngine()


@pytest.fixture
async def memory(listing, store):
    return LineMemory(LINE, gateway=listing, store=store)


def nothing(call_id):
    raise AssertionError(f"{call_id} is abandoned")


async def fail(memory, listing, error, number=NUMBER):
    """Dial a number without success."""
    listing.fails = error
    with pytest.raises(type(error)):
        await memory.dial(number, before=(), abandon=nothing)
    listing.fails = None


async def test_a_dialled_call_is_remembered_until_it_is_over(memory, database):
    assert await memory.dial(NUMBER, before=(), abandon=nothing) == "CA1"
    assert not memory.suspects
    assert await live_calls(database) == [("main/CA1", LINE)]
    assert await dials(database) == []
    memory.ended("CA1")
    assert await live_calls(database) == []


async def test_a_refusal_leaves_no_suspect(memory, listing, database):
    await fail(memory, listing, InvalidState("listing off"))
    assert not memory.suspects
    assert await dials(database) == []


@pytest.mark.parametrize("error", [LegError("silence"), Unreachable("a proxy's 504")])
async def test_the_orphan_of_an_unanswered_dial_is_found_once_it_is_listed(
    memory, listing, database, error
):
    await fail(memory, listing, error)
    assert memory.suspects
    assert await memory.orphans([]) == []
    assert await memory.orphans([ACTIVE]) == ["CA1"]
    assert not memory.suspects
    assert await dials(database) == []


@pytest.mark.parametrize(
    "call",
    [
        EngineCall("CA1", "15550107009", False, Phase.CALLING),
        EngineCall("CA1", NUMBER, True, Phase.RINGING),
        EngineCall("before", NUMBER, False, Phase.ACTIVE),
    ],
)
async def test_other_calls_are_left_alone(memory, listing, call):
    listing.fails = LegError("silence")
    with pytest.raises(LegError):
        await memory.dial(NUMBER, before=["before"], abandon=nothing)
    assert await memory.orphans([call]) == []


async def test_a_call_of_another_node_or_one_that_it_is_about_to_have_is_left_alone(
    memory, listing, database
):
    await fail(memory, listing, LegError("silence"))
    other = CloudStore(database, own=member(1))
    row = await other.begin_dial(NUMBER, LINE)
    assert await memory.orphans([ACTIVE]) == []
    await other.claim("main/CA1", LINE)
    other.end_dial(row)
    assert await memory.orphans([ACTIVE]) == []


async def test_a_number_that_is_being_dialled_again_is_left_alone(memory, listing):
    await fail(memory, listing, LegError("silence"))
    begun, answered = asyncio.Event(), asyncio.Event()

    async def slow(number):
        begun.set()
        await answered.wait()
        return "CA1"

    listing.dial = slow
    again = asyncio.ensure_future(memory.dial(NUMBER, before=(), abandon=nothing))
    await begun.wait()
    assert await memory.orphans([ACTIVE]) == []
    answered.set()
    assert await again == "CA1"
    assert await memory.orphans([ACTIVE]) == []


@pytest.mark.virtual_time
async def test_suspects_expire(memory, listing):
    await fail(memory, listing, LegError("silence"))
    await asyncio.sleep(gateway_memory.ORPHAN_SECONDS + 1)
    await memory.orphans([])
    assert not memory.suspects


async def test_there_are_not_too_many_suspects(memory, listing):
    numbers = [str(number) for number in range(gateway_memory.MAX_SUSPECTS + 2)]
    for number in numbers:
        await fail(memory, listing, LegError("silence"), number)
    listed = [EngineCall(f"CA{number}", number, False, Phase.ACTIVE) for number in numbers]
    assert await memory.orphans(listed) == [f"CA{number}" for number in numbers[2:]]


async def test_a_dial_that_is_given_up_is_suspected(memory, listing):
    begun = asyncio.Event()

    async def ring(number):
        begun.set()
        await asyncio.sleep(60)

    listing.dial = ring
    dial = asyncio.ensure_future(memory.dial(NUMBER, before=(), abandon=nothing))
    await begun.wait()
    dial.cancel()
    await asyncio.gather(dial, return_exceptions=True)
    assert await memory.orphans([ACTIVE]) == ["CA1"]


async def test_a_call_that_cannot_be_remembered_is_abandoned(memory, store, monkeypatch):
    async def full(*_):
        raise DatabaseFailed("full")

    monkeypatch.setattr(store, "claim", full)
    abandoned: list[object] = []
    with pytest.raises(DatabaseFailed):
        await memory.dial(NUMBER, before=(), abandon=abandoned.append)
    assert abandoned == ["CA1"]

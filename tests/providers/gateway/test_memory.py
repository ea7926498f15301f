import asyncio

import pytest

from bridge.call.model import LineName
from bridge.errors import DatabaseFailed, InvalidState, LegError, Unreachable
from bridge.net.cloud_store import CloudStore
from bridge.net.database import Database
from bridge.providers.gateway import memory as gateway_memory
from bridge.providers.gateway.memory import LineMemory
from bridge.wire.gateway import EngineCall, Phase
from tests.support.gateway_lists import ACTIVE, ListingEngine

LINE = LineName("main")
NUMBER = ACTIVE.peer


@pytest.fixture
async def database(tmp_path):
    made = Database(tmp_path / "bridge.sqlite3")
    yield made
    await made.aclose()


@pytest.fixture
def store(database):
    return CloudStore(database, node=0)


@pytest.fixture
def engine():
    return ListingEngine()


@pytest.fixture
async def memory(engine, store):
    return LineMemory(LINE, engine=engine, store=store)


def nothing(call_id):
    raise AssertionError(f"{call_id} is abandoned")


async def fail(memory, engine, error):
    """Dial a number without success."""
    engine.fails = error
    with pytest.raises(type(error)):
        await memory.dial(NUMBER, before=(), abandon=nothing)
    engine.fails = None


async def test_a_dialled_call_is_remembered_until_it_is_over(memory, store):
    assert await memory.dial(NUMBER, before=(), abandon=nothing) == "CA1"
    assert not memory.suspects
    assert await store.orphaned_calls(nodes=1) == [("main/CA1", LINE)]
    assert await store.orphaned_dials(nodes=1, lines=[LINE]) == []
    memory.ended("CA1")
    assert await store.orphaned_calls(nodes=1) == []


async def test_a_refusal_leaves_no_suspect(memory, engine, store):
    await fail(memory, engine, InvalidState("engine off"))
    assert not memory.suspects
    assert await store.orphaned_dials(nodes=1, lines=[LINE]) == []


@pytest.mark.parametrize("error", [LegError("silence"), Unreachable("a proxy's 504")])
async def test_the_orphan_of_an_unanswered_dial_is_found_once_it_is_listed(
    memory, engine, store, error
):
    await fail(memory, engine, error)
    assert memory.suspects
    assert await memory.orphans([]) == []
    assert await memory.orphans([ACTIVE]) == ["CA1"]
    assert not memory.suspects
    assert await store.orphaned_dials(nodes=1, lines=[LINE]) == []


@pytest.mark.parametrize(
    "call",
    [
        EngineCall("CA1", "15550107009", False, Phase.CALLING),
        EngineCall("CA1", NUMBER, True, Phase.RINGING),
        EngineCall("before", NUMBER, False, Phase.ACTIVE),
    ],
)
async def test_other_calls_are_left_alone(memory, engine, call):
    engine.fails = LegError("silence")
    with pytest.raises(LegError):
        await memory.dial(NUMBER, before=["before"], abandon=nothing)
    assert await memory.orphans([call]) == []


async def test_a_call_of_another_node_or_one_that_it_is_about_to_have_is_left_alone(
    memory, engine, database
):
    await fail(memory, engine, LegError("silence"))
    other = CloudStore(database, node=1)
    row = await other.begin_dial(NUMBER, LINE)
    assert await memory.orphans([ACTIVE]) == []
    await other.claim("main/CA1", LINE)
    other.end_dial(row)
    assert await memory.orphans([ACTIVE]) == []


async def test_a_number_that_is_being_dialled_again_is_left_alone(memory, engine):
    await fail(memory, engine, LegError("silence"))
    answered = asyncio.Event()

    async def slow(number):
        await answered.wait()
        return "CA1"

    engine.dial = slow
    again = asyncio.ensure_future(memory.dial(NUMBER, before=(), abandon=nothing))
    await asyncio.sleep(0.05)
    assert await memory.orphans([ACTIVE]) == []
    answered.set()
    assert await again == "CA1"
    assert await memory.orphans([ACTIVE]) == []


async def test_suspects_expire(memory, engine, monkeypatch):
    monkeypatch.setattr(gateway_memory, "ORPHAN_SECONDS", 0.0)
    await fail(memory, engine, LegError("silence"))
    await asyncio.sleep(0.01)
    await memory.orphans([])
    assert not memory.suspects


async def test_there_are_not_too_many_suspects(memory, engine, monkeypatch):
    monkeypatch.setattr(gateway_memory, "MAX_SUSPECTS", 2)
    for _ in range(4):
        await fail(memory, engine, LegError("silence"))
    assert len(memory._suspects) == 2


async def test_a_dial_that_is_given_up_is_suspected(memory, engine):
    engine.dial = lambda number: asyncio.sleep(60)
    dial = asyncio.ensure_future(memory.dial(NUMBER, before=(), abandon=nothing))
    await asyncio.sleep(0.05)
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

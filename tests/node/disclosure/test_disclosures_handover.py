"""A call whose line discloses that a machine speaks passes to another process: who knows is not told again."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from bridge.call.model import LegKind
from bridge.legs.agent import AgentLeg
from bridge.node.disclosure.leg import DisclosureLeg
from bridge.settings.model import Disclosure
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

SILENT = "15550100008"


@pytest.fixture
async def calls() -> AsyncIterator[MovingCalls]:
    disclosure = Disclosure(text="You are talking to a machine.")
    async with moving_calls(disclosure=disclosure) as calls:
        yield calls


async def start(calls: MovingCalls) -> str:
    """Return a call in which an agent has been started."""
    call_id = str(await calls.client.dial(SILENT))
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/agent/start", {"callId": call_id})
    return call_id


def speaks(calls: MovingCalls, call_id: str, seconds: float) -> bool:
    """Whether the disclosure is being spoken, for so long already."""
    return any(
        leg.statistics().received.frames >= seconds * 50
        for leg in calls.legs(call_id, LegKind.PLAYBACK)
        if isinstance(leg, DisclosureLeg)
    )


def told(calls: MovingCalls) -> list[int]:
    """The bridges whose caller was told."""
    return [number for number, kind in calls.told if kind == "disclosure.spoken"]


async def test_a_caller_who_has_been_told_is_not_told_again_and_the_agent_goes_on(calls):
    call_id = await start(calls)
    await until(lambda: told(calls) == [0])
    await until(lambda: calls.movable() == [call_id], timeout=60.0)
    await calls.move(call_id)
    [agent] = calls.legs(call_id, LegKind.AGENT)
    assert calls.runner(call_id).speech_gates.is_open(agent.leg_id)
    await asyncio.sleep(0.2)
    assert calls.legs(call_id, LegKind.PLAYBACK) == []
    assert told(calls) == [0]


@pytest.mark.full
async def test_a_call_does_not_move_while_its_caller_is_told(calls):
    call_id = await start(calls)
    await until(partial(speaks, calls, call_id, 0.1))
    assert calls.movable() == []


async def test_a_caller_whose_process_dies_meanwhile_is_told_anew_and_then_hears_the_agent(calls):
    call_id = await start(calls)
    await until(partial(speaks, calls, call_id, 0.1))
    await calls.crash(call_id, calls.copy(call_id))
    [agent] = calls.legs(call_id, LegKind.AGENT)
    assert isinstance(agent, AgentLeg)
    assert not calls.runner(call_id).speech_gates.is_open(agent.leg_id)
    assert not agent.statistics().received.frames
    await until(lambda: told(calls) == [1])
    await until(lambda: agent.statistics().received.frames > 10)

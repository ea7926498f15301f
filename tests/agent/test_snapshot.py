"""An agent goes on in another process with what was said, and with what is to be said."""

import asyncio

import msgspec
import pytest

from bridge.agent.script import AgentMode
from bridge.agent.snapshot import AgentSnapshot
from bridge.call.events import LegConnected
from bridge.errors import HandoverRefused
from bridge.legs.agent import PAUSE_SECONDS
from tests.support.sound.agent_talk import VOICE, Talk, talking

pytestmark = pytest.mark.virtual_time

AGENT, CALLER = "agent", "caller"


async def leave(talk: Talk) -> AgentSnapshot:
    """Stop an agent; return what another process gets of it."""
    state, sockets = talk.leg.suspend()
    assert sockets == []
    await talk.leg.abandon()
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=AgentSnapshot)


async def test_an_agent_moves_in_a_pause_and_answers_out_of_what_was_said():
    async with talking() as talk:
        await talk.quiet()
        talk.leg.check_movable()
        before = talk.leg.statistics()
        state = await leave(talk)
        told = len(talk.events)
    assert len(talk.events) == told
    assert talk.hung_up == 0
    async with talking(former=state) as moved:
        await moved.tick()
        assert moved.transcript() == []
        assert moved.told("agent.interrupted") == []
        assert not any(isinstance(event, LegConnected) for event in moved.events)
        assert moved.leg.statistics().received.packets == before.received.packets
        await moved.say()
        await moved.quiet()
        asked = [what for step, what in moved.minds.asked if step == "llm"]
        assert asked[0][1][0] == ("assistant", "Good day.")
        assert moved.transcript()[0][0] == CALLER


async def test_a_turn_is_waited_for_and_cut_off_if_it_takes_too_long():
    async with talking(greeting="One two three. Four five six.") as talk:
        await talk.tick(count=40)
        with pytest.raises(HandoverRefused):
            talk.leg.check_movable()
        await asyncio.sleep(PAUSE_SECONDS)
        talk.leg.check_movable()
        state = await leave(talk)
    async with talking(former=state) as moved:
        await moved.quiet()
        [interrupted] = moved.told("agent.interrupted")
        assert interrupted["heardSeconds"] > 0
        assert [role for role, _ in moved.transcript()] == [AGENT]
        assert moved.minds.spoken() == []


async def test_what_the_caller_had_said_is_answered_by_the_other_process():
    async with talking(greeting="") as talk:
        talk.minds.waiting = {"llm"}
        await talk.say()
        await talk.tick()
        state = await leave(talk)
        assert talk.transcript()[-1][0] == CALLER
    async with talking(former=state) as moved:
        await moved.quiet()
        assert [role for role, _ in moved.transcript()] == [AGENT]
        assert not any(step == "stt" for step, _ in moved.minds.asked)


async def test_what_was_not_recognized_yet_is_recognized_by_the_other_process():
    async with talking(greeting="") as talk:
        talk.minds.waiting = {"stt"}
        await talk.say()
        state = await leave(talk)
    async with talking(former=state) as moved:
        await moved.quiet()
        assert [role for role, _ in moved.transcript()] == [CALLER, AGENT]


async def test_a_greeting_that_nobody_has_heard_is_said_by_the_other_process():
    async with talking() as talk:
        talk.minds.waiting = {"tts"}
        await talk.tick()
        state = await leave(talk)
    async with talking(former=state) as moved:
        await moved.quiet()
        assert moved.transcript() == [(AGENT, "Good day.")]


async def test_an_agent_stays_while_the_caller_speaks():
    async with talking(greeting="") as talk:
        await talk.tick(VOICE, 25)
        with pytest.raises(HandoverRefused, match="speaking"):
            talk.leg.check_movable()


async def test_an_agent_that_only_greets_stays_however_long_it_takes():
    async with talking(AgentMode.BOT) as talk:
        await talk.tick()
        for _ in range(2):
            with pytest.raises(HandoverRefused):
                talk.leg.check_movable()
            await asyncio.sleep(PAUSE_SECONDS)


async def test_an_agent_that_nobody_takes_goes_on():
    async with talking() as talk:
        await talk.quiet()
        talk.leg.suspend()
        talk.leg.resume()
        await talk.say()
        await talk.quiet()
        assert [role for role, _ in talk.transcript()] == [AGENT, CALLER, AGENT]


async def test_an_agent_that_is_done_while_it_is_suspended_hangs_up_only_if_nobody_takes_it():
    async with talking(talk_seconds=60.0) as talk:
        await talk.quiet()
        talk.leg.suspend()
        await asyncio.sleep(61.0)
        assert talk.told("agent.timed_out")
        assert talk.hung_up == 0
        talk.leg.resume()
        await talk.over()
        assert talk.hung_up == 1


@pytest.mark.parametrize("mode", list(AgentMode))
async def test_a_copy_is_made_in_the_middle_of_a_turn_and_the_agent_goes_on(mode):
    greeting = "One two three. Four five six."
    async with talking(mode, greeting=greeting) as talk:
        await talk.tick(count=40)
        state = talk.leg.copy()
        assert state.interrupted
        await talk.quiet()
        assert talk.transcript() == [(AGENT, greeting)]
    async with talking(mode, former=state) as moved:
        await moved.quiet()
        assert len(moved.told("agent.interrupted")) == 1
        says_it_again = mode is AgentMode.BOT
        assert moved.minds.spoken() == (["Good day."] if says_it_again else [])
        assert moved.hung_up == says_it_again


async def test_no_copy_is_made_of_an_agent_that_is_done():
    async with talking(AgentMode.BOT) as talk:
        await talk.quiet()
        await talk.over()
        with pytest.raises(HandoverRefused):
            talk.leg.copy()

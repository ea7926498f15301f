"""A call with an agent passes from one bridge to another of the same machine."""

import pytest

from bridge.legs.agent import AgentLeg
from tests.support.handover.moving_calls import moving_calls
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

SILENT = "15550100008"


async def test_an_agent_passes_with_its_call_once_it_has_said_what_it_says():
    async with moving_calls() as calls:
        call_id = await calls.client.dial(SILENT)
        await calls.client.until_state(call_id, "active")
        started = await calls.client.data("/call/agent/start", {"callId": call_id})
        await until(lambda: calls.movable() == [call_id], timeout=60.0)
        old = calls.runner(call_id).legs()[-1]
        await calls.move(call_id)
        new = calls.runner(call_id).legs()[-1]
        assert isinstance(old, AgentLeg)
        assert isinstance(new, AgentLeg)
        assert new.leg_id == old.leg_id == started["agentId"]
        assert list(new.history) == list(old.history) != []
        told = calls.events
        assert "agent.interrupted" not in told
        stopped = await calls.client.data("/call/agent/stop", {"callId": call_id})
        assert stopped == {"stopped": 1}
        await until(lambda: (1, "leg.left") in calls.told)
        assert all(number == 1 for number, kind in calls.told[len(told) :])

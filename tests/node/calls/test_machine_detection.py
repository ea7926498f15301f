"""Machine detection in whole calls, with simulated contacts."""

import pytest

from bridge.call.model import CallId
from tests.support.inprocess import running, settings
from tests.support.waiting import until_answer

pytestmark = pytest.mark.virtual_time
TALKS, SILENT = "15550100002", "15550100008"


async def detected(client, call):
    """Wait for the detection of a call; return the event's data."""

    async def events():
        found = await client.bridge.events.log.read(0, None, call)
        return [event for _, event in found if event.type == "call.machine_detected"]

    await until_answer(events, timeout=12)
    [event] = await events()
    assert event.call.answered_by == event.data["result"]
    return event.data


async def dial(client, phone, how):
    body = {"phone": phone, "machineDetection": how}
    return (await client.data("/call/dial", body))["callId"]


@pytest.mark.parametrize(("phone", "result"), [(TALKS, "machine"), (SILENT, "unknown")])
async def test_who_answered_is_published_and_kept(phone, result):
    async with running(settings()) as client:
        call = await dial(client, phone, "report")
        data = await detected(client, call)
        assert (data["result"], data["beepAt"]) == (result, None)
        assert 0 < data["at"] < 9
        assert await client.state(call) == "active"
        await client.data("/call/hangup", {"callId": call})
        shown = (await (await client.get(f"/calls/{call}")).json())["data"]
        assert shown["answeredBy"] == result
        assert await client.total("bridge_machine_detections_total") == 1


async def test_a_call_that_a_machine_answers_is_hung_up_on_request():
    async with running(settings()) as client:
        call = await dial(client, TALKS, "hangup")
        await client.until_state(call, "gone")
        assert (await detected(client, call))["result"] == "machine"


async def test_nothing_listens_where_nobody_asked():
    async with running(settings()) as client:
        call = await client.dial(TALKS)
        await client.until_state(call, "active")
        runner = client.bridge.manager.running(CallId(call))
        assert runner is not None
        assert [leg.kind for leg in runner.legs()] == ["simulator"]

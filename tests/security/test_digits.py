"""What somebody pressed during a call is not to be read from the event log afterwards."""

import pytest

from bridge.call.model import LegId
from bridge.settings.model import Events
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until, until_answer

SILENT = "15550100008"


@pytest.mark.virtual_time
async def test_digits_leave_the_event_log_after_the_call():
    chosen = settings(
        events=Events(digits_seconds=0.0)
    )  # by the wall clock, which no virtual time moves
    async with running(chosen) as client, LightPeer() as browser:
        call_id = await client.dial(SILENT)
        exchange = client.exchange(call_id)
        await browser.call(exchange)
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)
        async with listening(client, f"/call/{call_id}/events") as stream:
            await browser.send_digit("7")
            assert (await stream.until_type("digit.received"))["data"]["digit"] == "7"
            await client.data("/call/hangup", {"callId": call_id})
            await stream.until_type("call.ended")
        log = client.bridge.events.log

        async def wiped():
            return await digits_in(log, call_id) == [""]

        await until_answer(wiped, timeout=40)
        async with listening(client, f"/call/{call_id}/events") as stream:
            told = await stream.until_type("digit.received")
    assert told["data"]["digit"] == ""


async def digits_in(log, call_id) -> list[str]:
    found = await log.read(0, None, call_id)
    return [notice.data["digit"] for _, notice in found if notice.type == "digit.received"]

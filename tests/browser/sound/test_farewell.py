"""How fast a page notices that the bridge has ended its leg."""

import time

import pytest

from tests.browser.stage import tone
from tests.browser.stage.window import ENGINES, Engines
from tests.support.server import Server


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_hang_up_by_the_bridge_closes_the_call_at_once(
    engine: str, engines: Engines, server: Server
):
    async with engines.window(engine) as page:
        await page.goto(server.url + "/healthz")
        call_id = await tone.call(page)
        await tone.loud(page)

        begun = time.time()
        server.post("/call/hangup", {"callId": call_id})
        closed = await tone.state(page, "closed")

        # The bridge's own part of it included, on a machine that runs other tests.
        assert closed - begun < 0.3


@pytest.mark.browser
async def test_a_leg_that_is_closed_by_the_server_does_not_come_back(
    engines: Engines, server: Server
):
    async with engines.window("chromium") as page:
        await page.goto(server.url + "/healthz")
        call_id = await tone.call(page)
        await tone.loud(page)

        server.post("/call/webrtc/close", {"callId": call_id})

        await tone.state(page, "closed")
        assert [call["callId"] for call in server.get("/call/status")["calls"]] == [call_id]

"""Two browsers in one call."""

import asyncio

import pytest

from bridge.settings.model import Rtc
from tests.browser.stage.page_stage import page_caller
from tests.browser.stage.window import Engines
from tests.support.inprocess import free_udp_ports, running, settings
from tests.support.machine import own_address
from tests.support.server import Server
from tests.support.sound.speech_compare import likeness
from tests.support.sound.voices import words

SECONDS = 3.0


@pytest.mark.browser
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("chromium", marks=pytest.mark.quick),
        pytest.param("firefox", marks=pytest.mark.firefox),
    ],
)
async def test_two_browsers_understand_each_other(engines: Engines, server: Server, engine: str):
    first = free_udp_ports()
    rtc = Rtc(bind=[own_address()], ports=f"{first}-{first + 39}")
    async with (
        running(settings(rtc=rtc)) as client,
        engines.window(engine) as one,
        engines.window("chromium") as other,
    ):
        near = await page_caller(one, server.url, words(0, SECONDS))
        far = await page_caller(other, server.url, words(1, SECONDS))
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        for caller, party in ((near, "near"), (far, "far")):
            await caller.open()
            await caller.connect(client.exchange(call_id, party=party))
        heard_near, heard_far = await asyncio.gather(near.hear(6.0), far.hear(6.0))
    assert likeness(words(0, SECONDS), heard_far.sound) > 0.7
    assert likeness(words(1, SECONDS), heard_near.sound) > 0.7

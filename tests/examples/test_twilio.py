"""A server as Twilio's tutorials write it, as a stream server of the bridge."""

import asyncio

import aiohttp
import pytest

from tests.examples.program import Api, running_example, talking
from tests.support.opus_packets import decode
from tests.support.speech_compare import likeness
from tests.support.voices import words
from tests.support.waiting import until

pytestmark = [
    pytest.mark.call,
    pytest.mark.examples,
    pytest.mark.xdist_group("examples"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("twilio"), "twilio") as example:
        yield example


async def test_an_inbound_call_is_answered_by_the_server(server):
    async with aiohttp.ClientSession() as session:
        api = Api(session, server.bridge)
        call = await api.request("POST", "/simulator/incoming", {"from": "15550100002"})
        await until(lambda: "played up to mark ready" in server.text(), timeout=20)
        await api.request("POST", "/call/hangup", {"callId": call["callId"]})
        await until(lambda: "the call has ended" in server.text(), timeout=20)


async def test_the_server_echoes_speech_and_reports_marks_and_keys(server):
    said = words(2, 3)
    async with talking(server, "/media", streamParameters={"customer": "Ada"}) as call:
        await call.relay.wait("bridge", "mark")
        await call.caller.say_and_listen(said)
        back = decode([one.payload for one in call.caller.peer.arrivals])
        await call.caller.peer.send_digit("7")
        await call.relay.wait("server", "clear")
    await asyncio.sleep(0.3)
    assert likeness(said, back) > 0.8
    for line in ("{'customer': 'Ada'}", "played up to mark ready", "key 7", "the call has ended"):
        assert line in server.text()

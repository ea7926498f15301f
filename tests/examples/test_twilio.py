"""A server as Twilio's tutorials write it, as a stream server of the bridge."""

import aiohttp
import pytest

from tests.examples.program import Api, calling, running_example
from tests.support.packets.opus_packets import decode
from tests.support.sound.speech_compare import likeness
from tests.support.sound.voices import words
from tests.support.waiting import until

pytestmark = [
    pytest.mark.call,
    pytest.mark.examples,
]

SECRET = "the-secret-of-the-test-of-examples"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_example(
        tmp_path_factory.mktemp("twilio"),
        "twilio",
        STREAM_SECRET=SECRET,
        BRIDGE_LINES__DEMO__KEYS='["demo"]',
        BRIDGE_LINES__DEMO__STREAM__SECRET=SECRET,
    ) as example:
        yield example


def url(server):
    return f"ws://127.0.0.1:{server.port}/media"


async def test_an_inbound_call_is_answered_by_the_server(server):
    async with aiohttp.ClientSession() as session:
        api = Api(session, server.bridge)
        call = await api.request("POST", "/simulator/incoming", {"from": "15550100002"})
        await until(lambda: "played up to mark ready" in server.text(), timeout=20)
        await api.request("POST", "/call/hangup", {"callId": call["callId"]})
        await until(lambda: "the call has ended" in server.text(), timeout=20)


async def test_the_server_echoes_speech_and_reports_keys(server):
    said = words(2, 3)
    async with calling(server) as call:
        stream = {
            "streamUrl": url(server),
            "streamProtocol": "twilio",
            "streamParameters": {"customer": "Ada"},
        }
        await call.api.request("POST", f"/call/{call.call_id}/streams", stream)
        await until(lambda: "{'customer': 'Ada'}" in server.text(), timeout=20)
        await call.caller.say_and_listen(said)
        back = decode([one.payload for one in call.caller.peer.arrivals])
        await call.caller.peer.send_digit("7")
        await until(lambda: "key 7" in server.text(), timeout=20)
    assert likeness(said, back) > 0.8


async def test_the_server_refuses_strangers(server):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url(server))
        assert refused.value.status == 403

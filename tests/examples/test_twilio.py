"""A server as Twilio's tutorials write it, as a stream server of the bridge."""

import asyncio

import pytest

from tests.examples.program import running_example, talking
from tests.support.opus_packets import decode
from tests.support.speech_compare import likeness
from tests.support.voices import words

pytestmark = [
    pytest.mark.call,
    pytest.mark.examples,
    pytest.mark.xdist_group("examples"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("twilio"), "twilio") as example:
        yield example


async def test_the_server_echoes_speech_and_reports_marks_and_keys(server):
    said = words(2, 3)
    async with talking(server, "/media", streamParameters={"customer": "Ada"}) as call:
        await call.relay.wait("bridge", "mark")
        call.caller.say(said)
        await call.hear(3.5)
        back = decode([one.payload for one in call.caller.peer.arrivals])
        await call.caller.peer.send_digit("7")
        await call.relay.wait("server", "clear")
    await asyncio.sleep(0.3)
    assert likeness(said, back) > 0.8
    for line in ("{'customer': 'Ada'}", "played up to mark ready", "key 7", "the call has ended"):
        assert line in server.text()

"""Pipecat's own Twilio transport, unchanged, as a stream server of the bridge."""

import asyncio

import pytest

from tests.examples.program import running_example, talking
from tests.support.packets.opus_packets import decode
from tests.support.sound.speech_compare import level_db, likeness
from tests.support.sound.voices import words

pytestmark = [
    pytest.mark.call,
    pytest.mark.examples,
]

PATH = "/ws"
SILENT_DB = -50.0
LIKE = 0.8
"""Telephone quality takes some of a wideband voice away; a wrong format leaves under 0.3."""
SPEAKING = 20
"""Messages of 40 ms that Pipecat sends one after the other when it speaks."""


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("pipecat"), "pipecat", "echo") as example:
        yield example


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("pipecat"), "pipecat") as example:
        yield example


def heard(peer, begin=0.0, end=float("inf")):
    """Return the sound that came between two moments."""
    return decode([one.payload for one in peer.arrivals if begin <= one.time < end])


async def test_speech_comes_back_from_pipecat(echo):
    said = words(0, 3)
    async with talking(echo, PATH) as call:
        await call.relay.wait("bridge", "media", count=10)
        await call.caller.say_and_listen(said)
        assert likeness(said, heard(call.caller.peer)) > LIKE


async def test_pipecat_greets_is_interrupted_and_answers(talk):
    async with talking(talk, PATH, streamParameters={"customer": "Ada"}) as call:
        relay, peer = call.relay, call.caller.peer
        start = await relay.wait("bridge", "start")
        assert start.message["start"]["customParameters"] == {"customer": "Ada"}

        # It greets, and is told when the greeting has been heard.
        asked = await relay.wait("server", "mark")
        reached = await relay.wait("bridge", "mark")
        assert reached.message["mark"] == asked.message["mark"] == {"name": "greeted"}
        assert level_db(heard(peer, end=reached.at)) > SILENT_DB

        # It goes on, and is silent as soon as the caller speaks.
        await relay.wait("server", "media", count=len(relay.of("server", "media")) + SPEAKING)
        assert level_db(heard(peer, peer.arrivals[-1].time - 0.5)) > SILENT_DB
        call.caller.say(words(1, 2))
        clear = await relay.wait("server", "clear")
        await asyncio.sleep(0.8)
        assert level_db(heard(peer, clear.at + 0.3, clear.at + 0.8)) < SILENT_DB

        # It answers what was said, and then a key.
        await relay.wait("server", "media", count=len(relay.of("server", "media")) + SPEAKING)
        await peer.send_digit("5")
        digit = await relay.wait("bridge", "dtmf")
        assert digit.message["dtmf"]["digit"] == "5"
        await relay.wait("server", "media", count=len(relay.of("server", "media")) + SPEAKING)
    assert relay.of("bridge", "stop")

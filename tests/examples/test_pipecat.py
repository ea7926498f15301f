"""Pipecat's own Twilio transport, unchanged, as a stream server of the bridge."""

import asyncio

import numpy as np
import pytest

from tests.examples.program import running_example, talking
from tests.support.opus_packets import decode
from tests.support.speech_compare import level_db, likeness
from tests.support.voices import words

pytestmark = [pytest.mark.call, pytest.mark.examples]

PATH = "/ws"
SILENT_DB = -50.0


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("pipecat"), "pipecat", "echo") as example:
        yield example


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    with running_example(tmp_path_factory.mktemp("pipecat"), "pipecat") as example:
        yield example


def heard(peer, begin=0.0, end=float("inf")):
    """What came between two moments of the loop's clock, by its own clock."""
    return decode([one.payload for one in peer.arrivals if begin <= one.time < end])


async def test_pipecat_echoes_speech(echo):
    said = words(0, 3)
    async with talking(echo, PATH) as call:
        await call.relay.wait("server", "media")
        call.caller.say(said)
        await asyncio.sleep(3.5)
        assert likeness(said, heard(call.caller.peer)) > 0.8


async def test_pipecat_greets_is_interrupted_and_answers(talk):
    async with talking(talk, PATH, streamParameters={"customer": "Ada"}) as call:
        relay, peer = call.relay, call.caller.peer
        start = await relay.wait("bridge", "start")
        assert start.message["start"]["customParameters"] == {"customer": "Ada"}
        asked = await relay.wait("server", "mark")
        back = await relay.wait("bridge", "mark")
        assert back.message["mark"] == asked.message["mark"] == {"name": "greeted"}
        assert level_db(heard(peer, end=back.at)) > SILENT_DB

        await relay.wait("server", "media", count=len(relay.of("server", "media")) + 10)
        call.caller.say(words(1, 2))
        clear = await relay.wait("server", "clear")
        before = len(relay.of("server", "media"))
        await asyncio.sleep(0.8)
        after = [one for one in relay.of("server", "media")[before:]]
        assert level_db(heard(peer, clear.at + 0.3, clear.at + 0.8)) < SILENT_DB

        # The answer to what was said, and then the one to a key.
        await relay.wait("server", "media", count=before + len(after) + 20)
        await peer.send_digit("5")
        digit = await relay.wait("bridge", "dtmf")
        assert digit.message["dtmf"]["digit"] == "5"

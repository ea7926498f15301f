"""Streams of calls: the ways to them that no face goes."""

import base64
import hmac
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest

from bridge.call.model import LegId, LineName
from bridge.errors import AddressBlocked, HandoverRefused, InvalidRequest, NotFound
from bridge.legs.base import PassedLeg
from bridge.media.stream_snapshot import StreamState, TrackSnapshot
from bridge.node.streams.streams import StreamOrder, signed_headers
from bridge.wire.stream.media_format import MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamProtocol, StreamType
from tests.docs.blocks import runnable
from tests.support.inprocess import running

LINE, SILENT = LineName("demo"), "15550100008"
URL, SECRET, FORMER = "wss://agent.example.com/media?x=1", "the secret", "the one before"


def order(url: str) -> StreamOrder:
    return StreamOrder(url, StreamType.TWOWAY, Channel.INBOUND, MediaFormat())


@pytest.mark.parametrize("url", ["", "http://example.com/", "ws://", "example.com"])
async def test_only_a_websockets_url_will_do(url):
    async with running() as client:
        with pytest.raises(InvalidRequest):
            await client.bridge.media.streams.check(LINE, order(url))


async def test_our_own_network_is_closed_by_default():
    async with running() as client:
        with pytest.raises(AddressBlocked):
            await client.bridge.media.streams.check(LINE, order("ws://127.0.0.1:9/"))


async def test_a_leg_that_is_no_stream_cannot_be_stopped_as_one():
    async with running() as client:
        await client.dial(SILENT)
        [runner] = client.bridge.manager.calls()
        [far] = runner.legs()
        with pytest.raises(NotFound):
            client.bridge.media.streams.stop(runner, far.leg_id)


def signed(*secrets: str, protocol: StreamProtocol = StreamProtocol.NATIVE) -> dict[str, str]:
    facts = StreamFacts("id", "call", StreamType.TWOWAY, Channel.INBOUND, protocol=protocol)
    return signed_headers(secrets, facts, URL, datetime.now(UTC))


def documented():
    """The function that the guide gives to customers."""
    [block] = [one for one in runnable("python") if "is_from_the_bridge" in one.text]
    found: dict[str, Any] = {}
    exec(block.text, found)
    return found["is_from_the_bridge"]


def test_the_documented_program_accepts_handshakes_signed_by_either_secret():
    accepts = partial(documented(), signed(SECRET, FORMER), URL)
    assert [accepts(secret) for secret in (SECRET, FORMER, "another")] == [True, True, False]


def test_the_documented_program_refuses_what_is_not_ours():
    accepts = documented()
    headers = signed(SECRET)
    assert not accepts(headers, URL + "2", SECRET)
    assert not accepts({}, URL, SECRET)
    assert not accepts(headers | {"webhook-id": "other"}, URL, SECRET)
    assert not accepts(headers | {"webhook-timestamp": "1700000000"}, URL, SECRET)
    assert not accepts(headers | {"webhook-timestamp": "soon"}, URL, SECRET)


def test_a_twilio_server_gets_its_own_signature_by_the_newest_secret():
    headers = signed(SECRET, FORMER, protocol=StreamProtocol.TWILIO)
    expected = base64.b64encode(hmac.digest(SECRET.encode(), URL.encode(), "sha1")).decode()
    assert headers["X-Twilio-Signature"] == expected
    assert "X-Twilio-Signature" not in signed(SECRET)


async def test_a_second_track_whose_stream_is_not_there_is_refused():
    async with running() as client:
        await client.dial(SILENT)
        [runner] = client.bridge.manager.calls()
        state = StreamState(track=TrackSnapshot("no such stream", Channel.OUTBOUND))
        raw = msgspec.Raw(msgspec.msgpack.encode(state))
        passed = PassedLeg(runner.facts, LegId("leg_1"), raw, [], runner.legs())
        with pytest.raises(HandoverRefused, match="track"):
            client.bridge.media.streams.restore(passed)

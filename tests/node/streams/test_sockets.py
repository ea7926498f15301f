"""Who finds the leg of a media socket again, and whose leg it stays."""

import asyncio

import msgspec
import pytest

from bridge.audio.buffer.paced import QueuedAudio
from bridge.call.model import LegId, LegOwner, Party
from bridge.call.routing import LegRole
from bridge.legs.base import PassedLeg
from bridge.legs.socket import SocketAudio
from bridge.media.stream_snapshot import InboundSnapshot, SocketSnapshot
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO
from tests.support.inprocess import running

SILENT = "15550100008"
OWNER = LegOwner("near", "anna")


class Wire:
    """Takes everything."""

    has_room = True

    def send(self, message):
        pass

    def ping(self, payload):
        pass

    async def drained(self):
        pass

    async def close(self, *, moved=False):
        pass

    def abort(self):
        pass


@pytest.fixture
async def waiting():
    """The service, a call, and its leg that waits for its client."""
    async with running() as client:
        call_id = await client.dial(SILENT)
        await client.until_state(call_id, "active")
        [runner] = client.bridge.manager.calls()
        sockets = client.bridge.media.sockets
        inbound = InboundSnapshot(QueuedAudio(b"", (), 0), 3, 2, 1)
        state = SocketSnapshot("mine", ZUCKZAPGO, 60.0, inbound, 5, 4, 0.0)
        raw = msgspec.Raw(msgspec.msgpack.encode(state))
        leg = sockets.restore(PassedLeg(runner.facts, LegId("leg_1"), raw, []))
        runner.add_leg(leg, LegRole(Party.NEAR, owner=OWNER))
        await asyncio.sleep(0)
        yield sockets, runner, leg


async def test_somebody_else_gets_a_leg_of_their_own(waiting):
    sockets, runner, leg = waiting
    for name, media, owner in (
        ("other", ZUCKZAPGO, OWNER),
        ("", ZUCKZAPGO, OWNER),
        ("mine", WADIAL, OWNER),
        ("mine", ZUCKZAPGO, LegOwner("near", "bert")),
        ("mine", ZUCKZAPGO, None),
    ):
        made = sockets.join(runner, Wire(), audio=SocketAudio(media), owner=owner, name=name)
        assert made is not leg
        assert leg.reconnecting


async def test_whoever_had_the_leg_has_it_again_once(waiting):
    sockets, runner, leg = waiting
    audio = SocketAudio(ZUCKZAPGO)
    assert sockets.join(runner, Wire(), audio=audio, owner=OWNER, name="mine") is leg
    assert not leg.reconnecting
    assert leg.statistics().received.packets == 2
    assert sockets.join(runner, Wire(), audio=audio, owner=OWNER, name="mine") is not leg


async def test_a_leg_that_cannot_stay_is_freed_before_it_has_begun(waiting):
    sockets, runner, leg = waiting
    state, _ = leg.suspend()
    raw = msgspec.Raw(msgspec.msgpack.encode(state))
    other = sockets.restore(PassedLeg(runner.facts, LegId("leg_2"), raw, []))
    assert other.suspend() == leg.suspend()
    await other.abandon()
    assert leg.reconnecting

"""A live peer of plain RTP passed from one `PlainPeer` to another."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bridge.audio.codec.codec import OPUS, PCMA, PCMU, Codec
from bridge.errors import HandoverRefused
from bridge.rtc.plain_peer import PlainPeer
from bridge.wire.sdp.rtp import Security
from bridge.wire.snapshot.peer import PlainPeerSnapshot
from tests.support.peers.moved import passed
from tests.support.peers.plain_side import Side, agreed, check_audio
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time
PEER = PlainPeer
"""Has these tests run on every packet path."""


@asynccontextmanager
async def talking(*codecs: Codec, **more: Any) -> AsyncIterator[tuple[Side, Side]]:
    """Let two sides talk, of which the first has called."""
    caller, callee = Side(*codecs, **more), Side(*codecs, **more)
    async with agreed(caller, callee):
        await asyncio.gather(caller.say(440, 10), callee.say(880, 10))
        yield caller, callee


def take_over(
    snapshot: PlainPeerSnapshot, sockets: list[socket.socket], side: Side, **more: Any
) -> Side:
    new = Side(*side.codecs, ports=side.pool, **more)
    new.peer.restore(passed(snapshot), [one.dup() for one in sockets])
    return new


async def hand_over(side: Side, **more: Any) -> Side:
    """Pass the peer of a side on; return a side with its successor."""
    snapshot, sockets = side.peer.suspend()
    new = take_over(snapshot, sockets, side, **more)
    await side.peer.aclose()
    return new


def report(*sides: Side) -> None:
    for side in sides:
        side.peer.session.report(monotonic(), 1e9 + monotonic())


@pytest.mark.parametrize("codec", [PCMU, OPUS], ids=lambda codec: codec.name)
@pytest.mark.parametrize("security", ["off", "required"])
async def test_sound_goes_both_ways_through_two_handovers(codec: Any, security: Security) -> None:
    async with talking(codec, security=security) as (caller, callee):
        report(caller, callee)
        await until(lambda: bool(caller.peer.session.reports[0]))
        sent = callee.peer.statistics().sent.packets
        second = await hand_over(callee, security=security)
        third = await hand_over(second, security=security)
        try:
            caller.frames.clear()
            await check_audio(caller, third)
            report(third)
            await until(lambda: caller.peer.session.reports[0] == 2)
            assert third.peer.statistics().sent.packets >= sent + 50
            assert caller.peer.statistics().received.lost == 0
            assert caller.peer.statistics().discarded == {}
            assert third.peer.statistics().discarded == {}
            assert third.peer.audio is not None
            assert third.peer.audio.codec is codec
        finally:
            await third.peer.aclose()
            assert third.pool.used == 0


async def test_a_continuous_stream_goes_on_with_silence() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        await callee.say(880, 20)
        new = await hand_over(callee)
        before = caller.peer.statistics().received.packets
        for _ in range(50):
            new.peer.session.tick(monotonic())
            await asyncio.sleep(0.02)
        await until(lambda: caller.peer.statistics().received.packets >= before + 45)
        assert caller.peer.statistics().received.lost == 0
        await new.peer.aclose()


async def test_reports_on_a_port_of_their_own_are_passed_on() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    callee.peer.set_remote((await caller.peer.create_offer()).replace("a=rtcp-mux\r\n", ""))
    caller.peer.set_answer(await callee.peer.create_answer())
    await asyncio.gather(caller.say(440, 10), callee.say(880, 10))
    snapshot, sockets = callee.peer.suspend()
    assert len(sockets) == 2
    new = take_over(snapshot, sockets, callee)
    await callee.peer.aclose()
    await asyncio.gather(caller.say(440, 10), new.say(880, 10))
    report(caller, new)
    await until(lambda: all(side.peer.session.reports[0] for side in (caller, new)))
    for side in (caller, new):
        await side.peer.aclose()
    assert caller.pool.used == new.pool.used == 0


@pytest.mark.parametrize("security", ["off", "required"])
async def test_hold_and_a_change_of_codec_are_negotiated_with_the_successor(
    security: Security,
) -> None:
    async with talking(PCMU, PCMA, security=security) as (caller, callee):
        new = await hand_over(callee, security=security)
        new.peer.answer_reoffer(caller.peer.create_reoffer("sendonly"), "sendrecv")
        assert new.peer.held
        third = await hand_over(new, security=security)
        assert third.peer.held
        caller.peer.set_answer(
            third.peer.answer_reoffer(caller.peer.create_reoffer("sendrecv"), "sendrecv")
        )
        assert not third.peer.held
        offer = third.peer.create_reoffer("sendrecv")
        fourth = await hand_over(third, security=security)
        fourth.peer.set_answer(caller.peer.answer_reoffer(offer, "sendrecv"))
        caller.frames.clear()
        await check_audio(caller, fourth)
        await fourth.peer.aclose()


async def test_a_description_that_says_the_same_keeps_its_version() -> None:
    caller, callee = Side(PCMU), Side(PCMU)
    async with agreed(caller, callee):
        offer = caller.peer.create_reoffer("sendrecv")
        before = callee.peer.answer_reoffer(offer, "sendrecv")
        new = await hand_over(callee)
        assert new.peer.answer_reoffer(offer, "sendrecv") == before
        await new.peer.aclose()


async def test_a_peer_that_nobody_took_over_goes_on_itself() -> None:
    async with talking(PCMU, security="required") as (caller, callee):
        callee.peer.suspend()
        with pytest.raises(HandoverRefused):
            callee.peer.suspend()
        callee.peer.resume()
        caller.frames.clear()
        callee.frames.clear()
        await check_audio(caller, callee)


async def test_keys_that_have_changed_are_passed_on() -> None:
    async with talking(PCMU, security="required") as (caller, callee):
        offer = caller.peer.create_reoffer("sendrecv")
        caller.peer.set_answer(callee.peer.answer_reoffer(offer, "sendrecv"))
        await asyncio.gather(caller.say(440, 10), callee.say(880, 10))
        new = await hand_over(callee, security="required")
        caller.frames.clear()
        await check_audio(caller, new)
        assert caller.peer.statistics().discarded == {}
        await new.peer.aclose()


async def test_what_cannot_be_restored_is_refused_and_the_sockets_stay_the_callers() -> None:
    caller, callee = Side(PCMU, security="required"), Side(PCMU, security="required")
    with pytest.raises(HandoverRefused):
        callee.peer.suspend()
    async with agreed(caller, callee):
        await asyncio.gather(caller.say(440, 10), callee.say(880, 10))
        snapshot, sockets = callee.peer.suspend()
        replace = msgspec.structs.replace
        refused = [
            (replace(snapshot, crypto=None), sockets),
            (replace(snapshot, transport=replace(snapshot.transport, host="127.0.0.9")), sockets),
            (snapshot, []),
        ]
        for changed, given in refused:
            new = Side(PCMU, ports=callee.pool, security="required")
            with pytest.raises(HandoverRefused):
                new.peer.restore(changed, given)
            await new.peer.aclose()
            assert all(one.fileno() >= 0 for one in given)
        callee.peer.resume()
        caller.frames.clear()
        await check_audio(caller, callee)


async def test_a_snapshot_prints_no_key() -> None:
    async with talking(PCMU, security="required") as (_caller, callee):
        snapshot, _ = callee.peer.suspend()
        printed = f"{snapshot!r} {snapshot.remote} {snapshot.transport} {snapshot.own}"
        assert snapshot.crypto is not None
        assert repr(snapshot.crypto.key)[2:-1] not in printed
        assert "inline" not in printed

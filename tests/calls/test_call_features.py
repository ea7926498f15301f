"""Hold, transfers, conferences and ring-back tones in whole calls: who hears what, by its frequency."""

import asyncio

import numpy as np
import pytest

from bridge.settings.model import Calls, Line
from tests.calls.whatsapp.test_cloud import world
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import RATE, Pcm, StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

ECHO, NEVER, BUSY, UNREACHABLE, SILENT = (f"1555010000{number}" for number in (1, 3, 4, 6, 8))
TELEPHONE = "15550200001"
"""The echo contact's, over SIP and G.711."""
NEAR, FAR, MUSIC, RINGBACK = 600, 900, 1300, 425
"""Hertz."""

pytestmark = pytest.mark.call


def hertz(peer: StockPeer, since: int = 0) -> set[int]:
    """Return which of the frequencies a peer has heard in the last second, or since that sample."""
    return frequencies(peer.heard()[since:])


def frequencies(pcm: Pcm) -> set[int]:
    """Return which of the frequencies are in the last second of a sound."""
    heard = pcm[-RATE:].astype(float)
    if len(heard) < RATE // 4:
        return set()
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) / len(heard)

    def peak(frequency: int) -> float:
        at = round(frequency * len(heard) / RATE)
        return float(spectrum[at - 2 : at + 3].max())

    return {each for each in (NEAR, FAR, MUSIC, RINGBACK) if peak(each) > 60}


async def until_hears(peer: StockPeer, *wanted: int) -> None:
    """Wait until a peer hears these frequencies and no others."""
    await until(lambda: hertz(peer) == set(wanted), timeout=20)


async def until_hears_nothing(peer: StockPeer) -> None:
    """Wait until a peer is sent silence, or nothing at all."""
    async with asyncio.timeout(20):
        heard = {0}
        while heard:
            since = len(peer.heard())
            await asyncio.sleep(0.5)
            heard = hertz(peer, since)


@pytest.fixture
def music(tmp_path):
    path = tmp_path / "music.wav"
    path.write_bytes(wav_file(tone(1.0, MUSIC).tobytes()))
    return path


def house(music, **more):
    return settings(lines={"main": Line(keys=["demo"], hold_music=str(music))}, **more)


async def both(client, near: StockPeer, far: StockPeer) -> str:
    """Have two browsers talk with each other; return the call's id."""
    call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
    await near.call(client.exchange(call_id))
    await far.call(client.exchange(call_id, party="far"))
    return str(call_id)


async def test_a_held_party_hears_music_again_and_again_and_nobody_else(music):
    async with (
        running(house(music)) as client,
        StockPeer(tone(2, NEAR), repeat=True) as near,
        StockPeer(tone(2, FAR), repeat=True) as far,
    ):
        call_id = await both(client, near, far)
        await until_hears(far, NEAR)
        await client.data("/call/hold", {"callId": call_id})
        await until_hears(far, MUSIC)
        await until_hears_nothing(near)
        await asyncio.sleep(3)
        assert hertz(far) == {MUSIC}
        await client.data("/call/unhold", {"callId": call_id})
        await until_hears(far, NEAR)
        await until_hears(near, FAR)


async def test_a_party_that_is_transferred_hears_a_tone_and_is_given_back(music):
    async with (
        running(house(music)) as client,
        StockPeer(tone(2, NEAR), repeat=True) as near,
        StockPeer(tone(2, FAR), repeat=True) as far,
    ):
        call_id = await both(client, near, far)
        await until_hears(near, FAR)
        await client.data("/call/transfer", {"callId": call_id, "phone": NEVER})
        await until_hears(far, RINGBACK)
        await until_hears_nothing(near)
        [runner] = client.bridge.manager.calls()
        [target] = [leg for leg in runner.legs() if leg.kind != "webrtc"]
        await client.data("/call/participants/remove", {"callId": call_id, "legID": target.leg_id})
        await until_hears(far, NEAR)
        await until_hears(near, FAR)


@pytest.mark.parametrize("phone", [ECHO, TELEPHONE], ids=["whatsapp", "telephone"])
async def test_a_transfer_joins_the_two_and_our_side_leaves(phone):
    async with (
        running() as client,
        StockPeer(tone(2, NEAR), repeat=True) as near,
        StockPeer(tone(2, FAR), repeat=True) as far,
    ):
        call_id = await both(client, near, far)
        await until_hears(far, NEAR)
        await client.data("/call/transfer", {"callId": call_id, "phone": phone})
        await near.wait_ended()
        await until_hears(far, FAR)
        assert await client.state(call_id) == "active"


async def test_all_parties_of_a_conference_hear_all_others(music):
    async with (
        running(house(music)) as client,
        StockPeer(tone(2, NEAR), repeat=True) as near,
        StockPeer(tone(2, FAR), repeat=True) as far,
    ):
        call_id = await both(client, near, far)
        await client.data("/call/participants/add", {"callId": call_id, "phone": ECHO})
        # The echo returns what it hears, the sum of the others.
        await until_hears(far, NEAR, FAR)
        await until_hears(near, NEAR, FAR)
        [runner] = client.bridge.manager.calls()
        [first, echo] = runner.machine.legs.far_parties()
        mute = {"callId": call_id, "legID": echo.leg_id, "muted": True}
        await client.data("/call/mute", mute)
        await until_hears(far, NEAR)
        await until_hears(near, FAR)
        await client.data("/call/participants/remove", {"callId": call_id, "legID": first.leg_id})
        await far.wait_ended()
        assert await client.state(call_id) == "active"


async def test_a_browser_hears_a_tone_while_the_far_party_rings(music):
    calls = Calls(ringback=["whatsapp"])
    async with running(house(music, calls=calls)) as client, StockPeer() as near:
        await near.call(client.exchange(await client.dial(NEVER)))
        await until_hears(near, RINGBACK)


async def test_a_browser_hears_a_tone_while_a_telephone_rings():
    async with running() as client, StockPeer() as near:
        await near.call(client.exchange(await client.dial(TELEPHONE[:-1] + "3")))
        await until_hears(near, RINGBACK)


async def test_a_whatsapp_user_is_transferred_to_another():
    async with world(speech=tone(20, FAR)) as meta, StockPeer(tone(20, NEAR)) as near:
        first = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await near.call(meta.client.exchange(call_id))
        await meta.client.data("/call/answer", {"callId": call_id})
        await until(lambda: frequencies(first.media.heard) == {NEAR})
        await meta.client.data("/call/transfer", {"callId": call_id, "phone": "15550107778"})
        second = meta.graph.last
        await until(lambda: frequencies(first.media.heard) == {RINGBACK})
        await meta.graph.pick_up(second)
        await near.wait_ended()
        await until(lambda: frequencies(first.media.heard) == {FAR})
        await until(lambda: frequencies(second.media.heard) == {FAR})
        await meta.graph.hang_up(second)
        await until(lambda: meta.graph.actions()[-1] == "terminate")


async def test_whatsapp_has_no_tone_by_default(music):
    async with running(house(music)) as client, StockPeer() as near:
        await near.call(client.exchange(await client.dial(NEVER)))
        await asyncio.sleep(3)
        assert hertz(near) == set()


async def test_a_participant_that_cannot_be_reached_is_no_problem_of_the_call(music):
    async with running(house(music)) as client, StockPeer(tone(2, NEAR), repeat=True) as near:
        call_id = await client.dial(ECHO)
        await near.call(client.exchange(call_id))
        await until_hears(near, NEAR)
        refused = await client.post(
            "/call/participants/add", {"callId": call_id, "phone": UNREACHABLE}
        )
        assert refused.status == 502
        await client.data("/call/hangup", {"callId": call_id})
        found = await client.data_of(f"/call/{call_id}/diagnosis")
        assert "provider_refused" not in [problem["code"] for problem in found["problems"]]

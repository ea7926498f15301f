"""Relayed calls that are recorded: the packets themselves are in the files, and nothing is decoded."""

import asyncio
from io import BytesIO

import av
import numpy as np
import pytest

from bridge.audio.wav import parse_wav
from bridge.settings.model import Recording
from tests.calls.test_relay import PACKETS, two_light_peers
from tests.support.inprocess import settings
from tests.support.ogg_packets import packets_of

pytestmark = pytest.mark.call


def opus():
    return settings(recording=Recording(relayed="opus"))


async def stopped(client, call_id):
    """Stop the recording; gives its tracks by kind."""
    told = await client.data("/call/record/stop", {"callId": call_id})
    return {track["kind"]: track for track in told["recordings"]}


async def content(client, track, form):
    answer = await client.get(f"/recordings/{track['recordingId']}?format={form}")
    assert answer.status == 200
    return await answer.read()


async def sound(client, track):
    return np.frombuffer(parse_wav(await content(client, track, "wav")).pcm, np.int16)


def played(ogg):
    """The sound at 48 kHz, as a player gives it."""
    with av.open(BytesIO(ogg), "r") as opened:
        return np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])


async def test_each_side_is_written_as_its_packets_came_and_nothing_is_decoded():
    async with two_light_peers(opus()) as (client, call_id, ann, far):
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.gather(ann.speak(PACKETS[:50]), far.speak(PACKETS[50:150]))
        await asyncio.sleep(0.5)
        figures = (await client.quality(call_id))["legs"]
        tracks = await stopped(client, call_id)
        inbound = packets_of(await content(client, tracks["inbound"], "ogg"))
        outbound = packets_of(await content(client, tracks["outbound"], "ogg"))
    assert [one for one in inbound if one in PACKETS] == PACKETS[50:150]
    assert [one for one in outbound if one in PACKETS] == PACKETS[:50]
    decoded = [leg["received"]["frames"] for leg in figures]
    assert decoded == [0] * 4
    assert {leg["road"] for leg in figures} == {"relay"}


@pytest.mark.real_time  # the mix and the WAV are made in another process
async def test_all_tracks_are_as_long_as_the_recording_as_ogg_and_as_wav():
    async with two_light_peers(opus()) as (client, call_id, ann, far):
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.sleep(1)
        await asyncio.gather(ann.speak(PACKETS[:50]), far.speak(PACKETS[50:100]))
        await asyncio.sleep(1)
        tracks = await stopped(client, call_id)
        files = {kind: await content(client, track, "ogg") for kind, track in tracks.items()}
        sounds = {kind: await sound(client, track) for kind, track in tracks.items()}
    [milliseconds] = {track["durationMs"] for track in tracks.values()}
    assert 2900 < milliseconds < 3300
    assert {len(played(ogg)) for ogg in files.values()} == {48 * milliseconds}
    assert {len(one) for one in sounds.values()} == {16 * milliseconds}
    for kind in sounds:
        assert not np.abs(sounds[kind][:14_000].astype(int)).max() > 100
        assert np.abs(sounds[kind][17_000:31_000].astype(int)).max() > 1000

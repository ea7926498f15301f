"""Relayed calls that are recorded: the packets themselves are in the files, and nothing is decoded."""

import asyncio
from io import BytesIO
from itertools import dropwhile

import av
import msgspec
import numpy as np
import pytest

from bridge.audio.codec.opus_packet import duration
from bridge.audio.file.ogg import PRE_SKIP
from bridge.audio.file.wav import parse_wav
from bridge.node.calls.announcement import BEEP_SECONDS
from bridge.settings.model import Recording
from tests.calls.test_passthrough import PACKETS, two_light_peers
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.packets.ogg_packets import packets_of, pages_of
from tests.support.peers.light_peer import LightPeer

pytestmark = pytest.mark.call


def opus(**more):
    return settings(recording=Recording(passthrough="opus", **more))


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


async def track_of(client, call_id, kind):
    """Stop the recording; gives a side's packets with their beginnings in seconds, and its length."""
    tracks = await stopped(client, call_id)
    assert tracks[kind]["contentType"] == "audio/ogg"
    assert tracks[kind]["mediaKey"].endswith(".ogg")
    found, at = [], 0
    for payload in packets_of(await content(client, tracks[kind], "ogg")):
        found.append((payload, at / 48_000))
        at += duration(payload)
    return found, tracks[kind]["durationMs"] / 1000


def at(found, payload):
    """When a packet begins, in seconds."""
    [when] = [begins for one, begins in found if one == payload]
    return when


def sounds_between(found, start, end):
    """Whether there is anything but silence and concealment."""
    return any(len(payload) > 3 for payload, when in found if start <= when < end)


async def recorded_by(path):
    """The packets of both sides of a call on a packet path, from the first one of a voice on."""
    chosen = opus()
    rtc = msgspec.structs.replace(chosen.rtc, compiled=path == "compiled")
    chosen = msgspec.structs.replace(chosen, rtc=rtc)
    spoken = [*PACKETS[:70], *[None] * 3, *PACKETS[73:120], *[None] * 40, *PACKETS[160:190]]
    async with two_light_peers(chosen) as (client, call_id, ann, far):
        await client.data("/call/record/start", {"callId": call_id})
        speaking = asyncio.gather(ann.speak(PACKETS[:190]), far.speak(spoken))
        await asyncio.sleep(1.31)
        await client.data("/call/record/pause", {"callId": call_id})
        await asyncio.sleep(0.4)
        await client.data("/call/record/resume", {"callId": call_id})
        await speaking
        await client.data("/call/hangup", {"callId": call_id})
        tracks = await stopped(client, call_id)
        files = [await content(client, tracks[kind], "ogg") for kind in ("inbound", "outbound")]
    return [list(dropwhile(lambda one: one not in PACKETS, packets_of(file))) for file in files]


@pytest.mark.compiled
async def test_both_packet_paths_record_the_same(caplog):
    caplog.set_level("INFO")
    recorded = [await recorded_by(path) for path in ("compiled", "python")]
    chosen = [one.path for one in caplog.records if one.message == "packet_path.chosen"]
    assert set(chosen) == {"compiled", "python"}
    for compiled, python in zip(*recorded, strict=True):
        voices = [[one for one in side if one in PACKETS] for side in (compiled, python)]
        assert len(voices[0]) > 100
        last = compiled.index(voices[0][-1]) + 1
        # Where the pause begins and ends is a matter of when the requests are served.
        for part in (slice(60), slice(70, 80), slice(95, last)):
            assert compiled[part] == python[part]


async def test_lost_packets_are_gaps_of_their_length():
    async with two_light_peers(opus()) as (client, call_id, _, far):
        await client.data("/call/record/start", {"callId": call_id})
        await far.speak(
            [*PACKETS[:20], *[None] * 3, *PACKETS[23:40], *[None] * 40, *PACKETS[80:90]]
        )
        found, _ = await track_of(client, call_id, "inbound")
    begins = at(found, PACKETS[0])
    for number in (19, 23, 39, 80, 85):
        assert at(found, PACKETS[number]) - begins == pytest.approx(number * 0.02, abs=0.003)


async def test_a_pause_is_silence_and_the_packets_after_it_are_in_their_place():
    async with two_light_peers(opus()) as (client, call_id, _, far):
        await client.data("/call/record/start", {"callId": call_id})
        speaking = asyncio.create_task(far.speak(PACKETS[:150]))
        await asyncio.sleep(1)
        await client.data("/call/record/pause", {"callId": call_id})
        await asyncio.sleep(1)
        await client.data("/call/record/resume", {"callId": call_id})
        await speaking
        found, seconds = await track_of(client, call_id, "inbound")
    assert not sounds_between(found, 1.1, 1.9)
    assert at(found, PACKETS[130]) - at(found, PACKETS[10]) == pytest.approx(2.4, abs=0.003)
    assert seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.real_time  # the announcement is decoded in another process
async def test_packets_that_came_before_the_end_of_the_announcement_are_left_out():
    async with (
        two_light_peers(opus(announcement="beep")) as (client, call_id, _, far),
        listening(client, "/events") as stream,
    ):
        speaking = asyncio.create_task(far.speak(10 * PACKETS))
        await asyncio.sleep(1)
        await client.data("/call/record/start", {"callId": call_id})
        await stream.until_type("recording.started")
        await asyncio.sleep(1)
        found, seconds = await track_of(client, call_id, "inbound")
        speaking.cancel()
    assert not sounds_between(found, 0, BEEP_SECONDS)
    assert sounds_between(found, BEEP_SECONDS, seconds)


async def test_a_muted_party_is_silent_in_the_outbound_track():
    async with two_light_peers(opus()) as (client, call_id, ann, _):
        await client.data("/call/record/start", {"callId": call_id})
        speaking = asyncio.create_task(ann.speak(PACKETS[:150]))
        await asyncio.sleep(1)
        await client.data("/call/mute", {"callId": call_id, "muted": True})
        await asyncio.sleep(1)
        await client.data("/call/mute", {"callId": call_id, "muted": False})
        await speaking
        found, _ = await track_of(client, call_id, "outbound")
    assert sounds_between(found, 0, 1)
    assert not sounds_between(found, 1.1, 1.9)
    assert sounds_between(found, 2.1, 2.9)


async def test_a_third_party_is_mixed_into_the_track_while_it_is_there():
    async with (
        two_light_peers(opus()) as (client, call_id, ann, far),
        LightPeer(ssrc=0x3333) as bob,
    ):
        await client.data("/call/record/start", {"callId": call_id})
        speaking = asyncio.gather(ann.speak(PACKETS[:190]), far.speak(PACKETS[:190]))
        await asyncio.sleep(1)
        await bob.call(client.exchange(call_id))
        await bob.speak(PACKETS[:100])
        await speaking
        tracks = await stopped(client, call_id)
        inbound = packets_of(await content(client, tracks["inbound"], "ogg"))
        outbound = packets_of(await content(client, tracks["outbound"], "ogg"))
    assert [one for one in inbound if one in PACKETS] == PACKETS[:190]
    relayed = [one for one in outbound if one in PACKETS]
    assert 40 <= len(relayed) < 70
    encoded = [one for one in outbound if len(one) > 3 and one not in PACKETS]
    assert len(encoded) > 100
    [milliseconds] = {track["durationMs"] for track in tracks.values()}
    assert sum(map(duration, outbound)) == pytest.approx(48 * milliseconds, abs=2000)


async def test_a_call_that_ends_has_its_recording_whole():
    async with two_light_peers(opus()) as (client, call_id, ann, far):
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.gather(ann.speak(PACKETS[:100]), far.speak(PACKETS[:100]))
        await client.data("/call/hangup", {"callId": call_id})
        tracks = await stopped(client, call_id)
        inbound = pages_of(await content(client, tracks["inbound"], "ogg"))
    assert {track["status"] for track in tracks.values()} == {"completed"}
    [milliseconds] = {track["durationMs"] for track in tracks.values()}
    assert (inbound[-1].kind, inbound[-1].granule) == (4, 48 * milliseconds + PRE_SKIP)
    assert 1900 < milliseconds < 2300


async def test_what_follows_a_long_silence_is_in_its_place():
    async with two_light_peers(opus()) as (client, call_id, _, far):
        await client.data("/call/record/start", {"callId": call_id})
        await far.speak(PACKETS[:50])
        far.pause(960 * 50 * 10)
        await asyncio.sleep(10)
        await far.speak(PACKETS[50:100])
        found, seconds = await track_of(client, call_id, "inbound")
    assert at(found, PACKETS[90]) - at(found, PACKETS[0]) == pytest.approx(11.8, abs=0.03)
    assert seconds == pytest.approx(12, abs=0.2)


@pytest.mark.real_time
async def test_the_mix_alone_holds_both_sides():
    async with (
        two_light_peers(opus()) as (client, call_id, ann, far),
        listening(client, "/events") as stream,
    ):
        body = {"type": "start_recording", "format": "ogg"}
        answer = await client.http.post(
            f"/v1/calls/{call_id}/commands", json=body, headers={"Authorization": "Bearer demo"}
        )
        assert answer.status < 300
        await asyncio.gather(ann.speak(PACKETS[:50]), far.speak([None] * 60 + PACKETS[:50]))
        tracks = await stopped(client, call_id)
        ready = await stream.until_type("recording.ready")
        assert list(tracks) == ["mixed"]
        heard = played(await content(client, tracks["mixed"], "ogg"))
        files = sorted(
            path.name for path in (client.bridge.records.recordings.archive.folder).rglob("*.ogg")
        )
    assert ready["data"]["sizeBytes"] > 0
    assert ready["data"]["contentType"] == "audio/ogg"
    assert np.abs(heard[10_000:40_000]).max() > 0.05
    assert np.abs(heard[70_000:95_000]).max() > 0.05
    assert files == [f"{call_id}.mixed.ogg"]


async def test_calls_that_are_not_relayed_are_recorded_as_wav():
    async with running(opus()) as client:
        call_id = await client.dial("15550100002")
        told = await client.data("/call/record/start", {"callId": call_id})
        await client.data("/call/record/stop", {"callId": call_id})
    assert {track["contentType"] for track in told["recordings"]} == {"audio/wav"}


@pytest.mark.real_time
async def test_the_faces_promise_a_wav_or_what_was_recorded_and_keep_it():
    bearer = {"Authorization": "Bearer demo"}
    async with two_light_peers(opus()) as (client, call_id, ann, far):
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.gather(ann.speak(PACKETS[:50]), far.speak(PACKETS[:50]))
        tracks = await stopped(client, call_id)
        wavix = await client.http.get(f"/v1/recordings?call_uuid={call_id}&appid=demo")
        [listed] = (await wavix.json())["items"]
        wav = await (
            await client.http.get(listed["url"].partition(str(client.http.server.port))[2])
        ).read()
        chirp = await client.http.get(f"/v1/calls/{call_id}/recordings", headers=bearer)
        offered = (await chirp.json())["data"]
        wadial = await client.get(f"/api/v1/sessions/demo/calls/{call_id}/recordings")
        shown = (await wadial.json())["data"]
        path = f"/api/v1/sessions/demo/calls/{call_id}/recordings/{shown[0]['recordingId']}"
        own = await (await client.get(path)).read()
    assert len(parse_wav(wav).pcm) == 32 * tracks["mixed"]["durationMs"]
    assert {one["contentType"] for one in shown} == {"audio/ogg"}
    assert own[:4] == b"OggS"
    assert {one["status"] for one in offered} == {"completed"}
    for one in offered:
        assert one["fileSize"] == 44 + 32 * tracks["mixed"]["durationMs"]
        assert {"wav", "ogg"} >= {file["format"] for file in one["files"]}

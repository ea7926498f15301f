"""Recordings pass with their calls: one file, as long as the recording, with a gap that is listed; so do transcripts."""

import asyncio

import numpy as np
import pytest

from bridge.agent.demonstration import Demonstration
from bridge.agent.providers import Recognized
from bridge.audio.file.wav import parse_wav
from bridge.errors import CallMoving, HandoverRefused
from bridge.settings.model import Data, Recording
from tests.support.handover.moving_calls import moving_calls
from tests.support.packets.ogg_packets import pages_of
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

TALKS = "15550100002"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)
GAP = 0.3
"""Seconds for which a call stands still."""


@pytest.fixture
async def calls(tmp_path):
    recording = Recording(min_free_mb=0.0, passthrough="opus")
    async with moving_calls(data=Data(dir=str(tmp_path)), recording=recording) as calls:
        yield calls


async def recorded(calls):
    """Return a call that is recorded, and the loop's time when that began."""
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/record/start", {"callId": call_id})
    return call_id, asyncio.get_running_loop().time()


async def move(calls, call_id, silent=GAP):
    await until(lambda: calls.movable() == [call_id])
    await calls.move(call_id, silent=silent)


async def stopped(calls, call_id):
    told = await calls.client.data("/call/record/stop", {"callId": call_id})
    return {track["kind"]: track for track in told["recordings"]}


def file_of(tmp_path, track):
    return tmp_path / track["mediaKey"]


async def test_a_recording_goes_on_in_its_files_wherever_the_call_is(calls, tmp_path):
    call_id, began = await recorded(calls)
    told = calls.events.count("recording.started")
    for _ in range(2):
        await asyncio.sleep(1.0)
        await move(calls, call_id)
    await asyncio.sleep(1.0)
    tracks = await stopped(calls, call_id)
    length = asyncio.get_running_loop().time() - began
    assert tracks.keys() == {"inbound", "outbound", "mixed"}
    first = 0
    for track in tracks.values():
        assert track["status"] == "completed"
        assert track["durationMs"] == pytest.approx(length * 1000, abs=20)
        assert [gap["durationMs"] for gap in track["gaps"]] == [300, 300]
        first, second = (gap["atMs"] for gap in track["gaps"])
        assert 1000 <= first <= second - 1300
    heard = np.frombuffer(
        parse_wav(file_of(tmp_path, tracks["inbound"]).read_bytes()).pcm, np.int16
    )
    assert len(heard) == 16 * tracks["inbound"]["durationMs"]
    gap = heard[16 * (first + 40) : 16 * (first + 280)]
    assert np.abs(gap.astype(int)).max() == 0
    assert np.abs(heard[: 16 * first].astype(int)).max() > 1000
    await until(lambda: calls.events.count("recording.ready") == 3)
    assert calls.events.count("recording.started") == told == 1
    assert len(list(tmp_path.glob("recordings/**/*.wav"))) == 3


async def test_a_hang_up_after_the_move_finishes_the_recording_once(calls, tmp_path):
    call_id, _ = await recorded(calls)
    await move(calls, call_id)
    await calls.client.data("/call/hangup", {"callId": call_id})
    await until(lambda: calls.events.count("recording.ready") == 3)
    assert {at for at, kind in calls.told if kind == "recording.ready"} == {1}
    [*tracks] = await calls.client.bridge.records.recordings.archive.of_call("demo", call_id)
    assert {track.status for track in tracks} == {"completed"}
    assert all(len(track.gaps) == 1 for track in tracks)


async def test_a_paused_recording_stays_paused_until_it_is_resumed(calls, tmp_path):
    call_id, _ = await recorded(calls)
    await calls.client.data("/call/record/pause", {"callId": call_id})
    await move(calls, call_id)
    await asyncio.sleep(1.0)
    await calls.client.data("/call/record/resume", {"callId": call_id})
    await asyncio.sleep(2.0)
    track = (await stopped(calls, call_id))["inbound"]
    heard = np.frombuffer(parse_wav(file_of(tmp_path, track).read_bytes()).pcm, np.int16)
    assert np.abs(heard[16 * 100 : 16 * 1250].astype(int)).max() == 0
    assert np.abs(heard[16 * 1400 :].astype(int)).max() > 1000


async def test_a_recording_whose_file_is_missing_goes_on_where_it_is(calls, tmp_path):
    call_id, _ = await recorded(calls)
    await asyncio.sleep(2.0)
    await until(lambda: calls.movable() == [call_id])
    files = list(tmp_path.glob("recordings/**/*.wav"))
    snapshot, descriptors = calls.handovers[0].suspend(call_id)
    for file in files:
        file.rename(file.with_suffix(".away"))
    with pytest.raises(HandoverRefused, match="file of a recording"):
        calls.adoptions[1].adopt(snapshot, descriptors)
    for file in files:
        file.with_suffix(".away").rename(file)
    with pytest.raises(CallMoving):
        calls.clients[0].bridge.records.recordings.pause(calls.runner(call_id), paused=True)
    await asyncio.sleep(GAP)
    calls.handovers[0].resume(call_id)
    await asyncio.sleep(1.0)
    track = (await stopped(calls, call_id))["mixed"]
    assert (track["status"], track["gaps"]) == ("completed", [])
    assert 3200 < track["durationMs"] < 3500


async def test_packets_that_are_recorded_as_they_came_go_on_in_one_ogg_file(calls, tmp_path):
    async with (
        StockPeer(TONE, repeat=True) as near,
        StockPeer(TONE, repeat=True) as far,
    ):
        opened = await calls.client.data("/call/dial", {"channel": "webrtc"})
        call_id = opened["callId"]
        await far.call(calls.client.exchange(call_id, party="far"))
        await near.call(calls.client.exchange(call_id))
        await until(lambda: len(near.heard()) > 8000)
        await calls.client.data("/call/record/start", {"callId": call_id})
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        await move(calls, call_id)
        before = len(near.heard())
        await until(lambda: len(near.heard()) > before + 32_000)
        tracks = await stopped(calls, call_id)
        length = asyncio.get_running_loop().time() - began
    for kind in ("inbound", "outbound"):
        assert tracks[kind]["contentType"] == "audio/ogg"
        assert tracks[kind]["durationMs"] == pytest.approx(length * 1000, abs=20)
        assert len(tracks[kind]["gaps"]) == 1
        pages = pages_of(file_of(tmp_path, tracks[kind]).read_bytes())
        assert [page.sequence for page in pages] == list(range(len(pages)))
        assert len({page.serial for page in pages}) == 1
        granules = [page.granule for page in pages]
        assert granules == sorted(granules)
        assert (pages[0].kind, pages[-1].kind) == (2, 4)
        assert {page.kind for page in pages[1:-1]} == {0}


async def test_a_live_transcript_goes_on_and_is_finished_once(calls):
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/transcribe", {"callId": call_id, "live": True})
    await until(lambda: calls.events.count("transcript") == 1)
    await move(calls, call_id)
    await until(lambda: calls.events.count("transcript") == 3, timeout=120.0)
    await calls.client.data("/call/hangup", {"callId": call_id})
    await until(lambda: "transcript.ready" in calls.events)
    assert [at for at, kind in calls.told if kind == "transcript.ready"] == [1]
    found = await calls.client.data_of(f"/call/{call_id}/transcript")
    starts = [phrase["startMs"] for phrase in found["phrases"]]
    assert len(starts) >= 3
    assert starts == sorted(set(starts))
    apart = np.diff(starts)
    assert apart[1] < apart[0] <= apart[1] + 1000 * GAP  # the contact stood still too
    assert found["missing"] == 0


async def test_a_call_stays_while_a_phrase_is_being_transcribed(calls, monkeypatch):
    going, asked = asyncio.Event(), asyncio.Event()

    async def recognize(_, pcm):
        asked.set()
        await going.wait()
        return Recognized("late")

    monkeypatch.setattr(Demonstration, "recognize", recognize)
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/transcribe", {"callId": call_id, "live": True})
    await until(lambda: calls.movable() == [call_id])
    await asked.wait()
    assert calls.movable() == []
    going.set()
    await until(lambda: calls.movable() == [call_id])

"""Recordings and transcripts go on from copies that are some time old, as if the process that had them had been killed."""

import asyncio

import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call.model import LegKind
from bridge.settings.model import Data, Recording
from tests.support.handover.moving_calls import moving_calls
from tests.support.packets.ogg_packets import pages_of
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

TALKS = "15550100002"
SILENCE = 12.0
"""Seconds until the other bridge goes on: a busy machine may take as long to start a process."""
SOUND = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


@pytest.fixture
async def calls(tmp_path):
    recording = Recording(min_free_mb=0.0, passthrough="opus")
    async with moving_calls(data=Data(dir=str(tmp_path)), recording=recording) as calls:
        yield calls


def now():
    return asyncio.get_running_loop().time()


async def recorded(calls):
    """Return a call that is recorded, and the loop's time when that began."""
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/record/start", {"callId": call_id})
    return call_id, now()


async def stopped(calls, call_id):
    told = await calls.client.data("/call/record/stop", {"callId": call_id})
    return {track["kind"]: track for track in told["recordings"]}


@pytest.mark.parametrize("age", [pytest.param(0.0, marks=pytest.mark.full), 5.3])
async def test_a_recording_goes_on_in_its_file_and_the_gap_is_silence(calls, tmp_path, age):
    call_id, began = await recorded(calls)
    await asyncio.sleep(3.1)
    copy = calls.copy(call_id)
    await asyncio.sleep(age)
    died = now() - began
    await calls.crash(call_id, copy, silent=SILENCE)
    again = now() - began
    await asyncio.sleep(2.0)
    tracks = await stopped(calls, call_id)
    length = now() - began
    for track in tracks.values():
        assert track["status"] == "completed"
        assert track["durationMs"] == pytest.approx(length * 1000, abs=20)
        [gap] = track["gaps"]
        assert 0 <= died - gap["atMs"] / 1000 < 1.0  # the file is written twice a second
        assert gap["atMs"] + gap["durationMs"] == pytest.approx(1000 * again, abs=1)
    content = (tmp_path / tracks["inbound"]["mediaKey"]).read_bytes()
    heard = np.frombuffer(parse_wav(content).pcm, np.int16).astype(int)
    assert len(heard) == 16 * tracks["inbound"]["durationMs"]
    at = tracks["inbound"]["gaps"][0]["atMs"]
    assert np.abs(heard[16 * (at + 40) : 16 * (at + 1000 * int(SILENCE))]).max() == 0
    assert np.abs(heard[: 16 * at]).max() > 1000
    assert np.abs(heard[16 * round(1000 * again) :]).max() > 1000
    await until(lambda: calls.events.count("recording.ready") == 3)
    assert calls.events.count("recording.started") == 1


async def test_a_file_that_ends_within_a_frame_goes_on_with_a_whole_one(calls, tmp_path):
    call_id, _ = await recorded(calls)
    await asyncio.sleep(3.1)
    copy, adopt = calls.copy(call_id), calls.adoptions[1].adopt

    def torn(*passed):
        for file in tmp_path.glob("recordings/**/*.wav"):
            with file.open("ab") as end:
                end.write(b"\x7f" * 333)
        return adopt(*passed)

    calls.adoptions[1].adopt = torn
    await calls.crash(call_id, copy, silent=1.0)
    await asyncio.sleep(1.0)
    track = (await stopped(calls, call_id))["inbound"]
    heard = parse_wav((tmp_path / track["mediaKey"]).read_bytes()).pcm
    assert b"\x7f" * 8 not in heard
    assert len(heard) == 32 * track["durationMs"]


async def test_packets_that_are_recorded_as_they_came_go_on_in_one_ogg_file(calls, tmp_path):
    async with StockPeer(SOUND, repeat=True) as near, StockPeer(SOUND, repeat=True) as far:
        call_id = (await calls.client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await far.call(calls.client.exchange(call_id, party="far"))
        await near.call(calls.client.exchange(call_id))
        await until(lambda: len(near.heard()) > 8000)
        await calls.client.data("/call/record/start", {"callId": call_id})
        began = now()
        copy = calls.copy(call_id)
        files = list(tmp_path.glob("recordings/**/*.ogg"))
        await until(lambda: all(file.stat().st_size > 2000 for file in files))
        for file in files:
            file.write_bytes(file.read_bytes()[:-100])
        await calls.crash(call_id, copy, silent=2.0)
        before = len(near.heard())
        await until(lambda: len(near.heard()) > before + 16_000)
        tracks = await stopped(calls, call_id)
        length = now() - began
    for kind in ("inbound", "outbound"):
        assert tracks[kind]["durationMs"] == pytest.approx(length * 1000, abs=20)
        assert len(tracks[kind]["gaps"]) == 1
        pages = pages_of((tmp_path / tracks[kind]["mediaKey"]).read_bytes())
        assert [page.sequence for page in pages] == list(range(len(pages)))
        assert len({page.serial for page in pages}) == 1
        granules = [page.granule for page in pages]
        assert granules == sorted(granules)
        assert (pages[0].kind, pages[-1].kind) == (2, 4)


async def test_a_pause_makes_copies_from_before_out_of_date_and_lasts(calls):
    call_id, _ = await recorded(calls)
    before = calls.handovers[0].revisions()[call_id]
    await calls.client.data("/call/record/pause", {"callId": call_id})
    assert calls.handovers[0].revisions()[call_id] > before
    await calls.crash(call_id, calls.copy(call_id))
    paused = [leg.paused for leg in calls.legs(call_id, LegKind.RECORDER)]
    assert paused == [True, True, True]


async def test_a_live_transcript_goes_on_with_the_next_phrase(calls):
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data("/call/transcribe", {"callId": call_id, "live": True})
    await until(lambda: calls.events.count("transcript") == 1)
    copy = calls.copy(call_id)
    await asyncio.sleep(4.0)
    told = calls.told.count((0, "transcript"))
    await calls.crash(call_id, copy, silent=1.0)
    await until(lambda: calls.told.count((1, "transcript")) == 2, timeout=120.0)
    await calls.client.data("/call/hangup", {"callId": call_id})
    await until(lambda: "transcript.ready" in calls.events)
    found = await calls.client.data_of(f"/call/{call_id}/transcript")
    starts = [phrase["startMs"] for phrase in found["phrases"]]
    assert len(starts) >= told + 2
    assert starts == sorted(set(starts))

"""Recordings of live calls: begun together, ended with an event, and no call harmed by any of it."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call.model import CallId, LegKind, LineName, Party
from bridge.call.recording import KINDS, RecordingRequest
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import InvalidState, LimitExceeded, StorageFull
from bridge.legs.base import new_leg_id
from bridge.node.running_legs import LEGS_PER_CALL
from bridge.settings.model import Data, Recording
from tests.support.clients.event_stream import listening
from tests.support.fake_leg import FakeLeg
from tests.support.inprocess import running, settings
from tests.support.waiting import until, until_answer

LINE = LineName("demo")
TALKS = "15550100002"
pytestmark = pytest.mark.call


def at(folder, **recording):
    chosen = Recording(**({"min_free_mb": 0.0} | recording))
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), recording=chosen)


@pytest.fixture
async def client(tmp_path):
    async with running(at(tmp_path)) as client:
        yield client


@pytest.fixture
def recordings(client):
    return client.bridge.records.recordings


def live(client, call_id):
    return client.bridge.manager.live(LINE, call_id)


def recorders(client):
    [runner] = client.bridge.manager.calls()
    return [leg for leg in runner.legs() if leg.kind is LegKind.RECORDER]


def folder(recordings):
    return Path(recordings.archive.folder)


async def test_all_tracks_begin_with_the_same_tick(client, recordings):
    call_id = await client.dial(TALKS)
    await recordings.start(live(client, call_id))
    await until(lambda: all(leg.written_bytes for leg in recorders(client)))
    heard = [leg.statistics().sent.packets for leg in recorders(client)]
    assert len(heard) == len(KINDS)
    assert len(set(heard)) == 1


async def test_a_recording_under_way_continues_unchanged(client, recordings):
    call_id = await client.dial(TALKS)
    first, second = await asyncio.gather(
        recordings.start(live(client, call_id)),
        recordings.start(live(client, call_id), RecordingRequest(("mixed",))),
    )
    assert [track.recording_id for track in first] == [track.recording_id for track in second]
    assert len(recorders(client)) == 3


async def test_a_recording_that_ends_at_once_is_a_file_without_sound(client, recordings):
    call_id = await client.dial(TALKS)
    [track] = await recordings.start(live(client, call_id), RecordingRequest(("inbound",)))
    [stopped] = await recordings.stop(LINE, call_id)
    assert stopped.status == "completed"
    answer = await client.get(f"/recordings/{track.recording_id}")
    assert len(parse_wav(await answer.read()).pcm) == stopped.size_bytes - 44


async def test_a_recording_that_ended_can_be_begun_anew(client, recordings):
    call_id = await client.dial(TALKS)
    first = await recordings.start(live(client, call_id))
    await recordings.stop(LINE, call_id)
    second = await recordings.start(live(client, call_id))
    assert not {track.key for track in first} & {track.key for track in second}


async def test_a_call_with_too_many_legs_for_all_tracks_is_not_recorded(client, recordings):
    call_id = await client.dial(TALKS)
    [runner] = client.bridge.manager.calls()
    while len(runner.legs()) < LEGS_PER_CALL - 1:
        role = LegRole(Party.SERVICE, Subscription.NOBODY, Audience.NOBODY)
        runner.add_leg(FakeLeg(new_leg_id()), role)
    with pytest.raises(LimitExceeded):
        await recordings.start(live(client, call_id))
    await until(lambda: not recordings.active(CallId(call_id)))
    assert recorders(client) == []


async def test_the_end_of_the_call_is_the_end_of_its_recording(client, recordings):
    call_id = await client.dial(TALKS)
    await recordings.start(live(client, call_id))
    await client.data("/call/hangup", {"callId": call_id})
    await until(lambda: not recordings.active(CallId(call_id)))
    assert {track.status for track in await recordings.stop(LINE, call_id)} == {"completed"}


async def test_a_call_that_is_not_recorded_cannot_be_paused(client, recordings):
    call_id = await client.dial(TALKS)
    with pytest.raises(InvalidState):
        recordings.pause(live(client, call_id), paused=True)


async def test_a_path_that_is_taken_is_left_as_it_is(client, recordings):
    call_id = await client.dial(TALKS)
    own = recordings.rules.files.own(LINE)
    own.mkdir(parents=True)
    (own / "a.wav").write_bytes(b"mine")
    [track] = await recordings.start(
        live(client, call_id), RecordingRequest(("inbound",), "files/a.wav")
    )
    assert recordings.paths.media_key(track) == "files/a-2.wav"
    assert (own / "a.wav").read_bytes() == b"mine"


# The disk


async def test_a_full_disk_ends_the_recording_with_an_event_and_not_the_call(client, recordings):
    async with listening(client, "/events") as stream:
        call_id = await client.dial(TALKS)
        tracks = await recordings.start(live(client, call_id))
        for track in tracks:
            recordings.archive.path(track).unlink(missing_ok=True)
            recordings.archive.path(track).symlink_to("/dev/full")
        failed = [(await stream.until_type("recording.failed"))["data"] for _ in tracks]
    assert {data["reason"] for data in failed} == {"disk_full"}
    assert {data["mediaKey"] for data in failed} == {""}
    assert {data["recordingId"] for data in failed} == {track.recording_id for track in tracks}
    assert await client.state(call_id) == "active"
    assert not recordings.active(CallId(call_id))
    shown = client.bridge.node.metrics.render().decode()
    assert 'bridge_recordings_total{outcome="failed"} 3.0' in shown
    stopped = await client.data("/call/record/stop", {"callId": call_id})
    assert (stopped["mediaKey"], stopped["status"]) == ("", "failed")


async def test_a_track_written_before_the_disk_was_full_can_be_downloaded(client, recordings):
    call_id = await client.dial(TALKS)
    [track] = await recordings.start(live(client, call_id), RecordingRequest(("mixed",)))
    [leg] = recorders(client)
    await until(lambda: leg.written_bytes)
    leg.give_up("disk_full")
    await until(lambda: not recordings.active(CallId(call_id)))

    one = f"/recordings/{track.recording_id}"

    async def given():
        return (await client.get(one)).status == 200

    await until_answer(given)
    assert len(parse_wav(await (await client.get(one)).read()).pcm) == leg.written_bytes


async def test_a_full_disk_is_reported_before_anything_is_recorded(tmp_path):
    async with (
        running(at(tmp_path, min_free_mb=1e9)) as client,
        listening(client, "/events") as stream,
    ):
        call_id = await client.dial(TALKS)
        with pytest.raises(StorageFull):
            await client.bridge.records.recordings.start(live(client, call_id))
        answer = await client.post("/call/record/start", {"callId": call_id})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        failed = await stream.until_type("recording.failed")
        assert failed["data"] == {"reason": "disk_full"}
        assert await client.state(call_id) == "active"
        assert (await client.post("/call/record/stop", {"callId": call_id})).status == 409


async def test_neither_a_task_nor_a_file_handle_is_left_of_200_tracks(client, recordings):
    call_id = await client.dial(TALKS)
    await recordings.start(live(client, call_id))
    await recordings.stop(LINE, call_id)  # the threads and the connections are there now
    tasks, handles = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    for _ in range(67):
        await recordings.start(live(client, call_id))
        await recordings.stop(LINE, call_id)
    assert recorders(client) == []
    await until(lambda: len(asyncio.all_tasks()) <= tasks, timeout=30)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= handles + 1, timeout=30)

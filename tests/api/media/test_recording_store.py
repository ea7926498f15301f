"""Recordings in an S3-compatible store: moved up, given, deleted; and a store in trouble."""

import asyncio

import msgspec
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.settings.model import S3, Data, Recording
from tests.support.clients.event_stream import listening
from tests.support.inprocess import KEY, running, settings
from tests.support.servers import s3
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

TALKS = "15550100002"
pytestmark = [
    pytest.mark.call,
    pytest.mark.usefixtures("nodes"),
]


def at(folder, account, *, redirect=False, **more):
    store = S3(
        bucket=account.bucket,
        endpoint=account.endpoint,
        access_key=account.access_key,
        secret_key=account.secret_key,
        redirect=redirect,
    )
    recording = Recording(s3=store, min_free_mb=0.0, **more)
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), recording=recording)


async def recorded(client, seconds=0.5):
    """Record a call for a while; gives the mixed track."""
    call_id = await client.dial(TALKS)
    await client.data("/call/record/start", {"callId": call_id})
    await asyncio.sleep(seconds)
    stopped = await client.data("/call/record/stop", {"callId": call_id})
    await client.data("/call/hangup", {"callId": call_id})
    assert [track["status"] for track in stopped["recordings"]] == ["completed"] * 3
    return next(track for track in stopped["recordings"] if track["kind"] == "mixed")


def local(folder):
    return list((folder / "recordings").rglob("*.*"))


async def moved_up(client, folder, bucket, count=4):
    """Wait until three WAVs and the mix's copy are in the store, and nowhere else."""
    await until(lambda: len(bucket.objects()) == count and not local(folder), timeout=20)


async def failed(client, outcome, times=1):
    """Wait until the store has failed so often, asked by whichever node."""
    series = f'bridge_recording_uploads_total{{outcome="{outcome}"'

    async def enough():
        return await client.total(series) >= times

    await until_answer(enough, timeout=20)


async def test_what_is_recorded_is_moved_up_under_its_media_key(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account())) as client:
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        content = s3_bucket.content(track["mediaKey"])
        assert len(content) == track["sizeBytes"]
        assert parse_wav(content).rate == 16_000
        assert s3_bucket.content(track["mediaKey"].replace(".wav", ".ogg"))[:4] == b"OggS"


async def test_it_is_told_where_each_file_can_be_had(tmp_path, s3_bucket):
    async with (
        running(at(tmp_path, s3_bucket.account())) as client,
        listening(client, "/events") as stream,
    ):
        await recorded(client)
        stored = [await stream.until_type("recording.stored") for _ in range(4)]
    assert {event["data"]["mediaKey"] for event in stored} == set(s3_bucket.objects())
    assert [event["data"]["contentType"] for event in stored].count("audio/ogg") == 1


async def test_a_file_in_the_store_is_given_by_the_bridge(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account())) as client:
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        answer = await client.get(track["url"])
        content = await answer.read()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
        assert content == s3_bucket.content(track["mediaKey"])
        copy = await client.get(f"{track['url']}?format=ogg")
        assert (copy.headers["Content-Type"], (await copy.read())[:4]) == ("audio/ogg", b"OggS")


async def test_a_part_of_a_file_in_the_store_is_given(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account())) as client:
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        whole = s3_bucket.content(track["mediaKey"])
        parts = {"0-43": whole[:44], "100-": whole[100:], "-10": whole[-10:]}
        for asked, part in parts.items():
            answer = await client.get(track["url"], headers={**KEY, "Range": f"bytes={asked}"})
            assert (answer.status, await answer.read()) == (206, part)
            assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")
        beyond = {**KEY, "Range": f"bytes={len(whole)}-"}
        assert (await client.get(track["url"], headers=beyond)).status == 416


async def test_a_signed_link_gives_the_file_or_leads_on_to_the_store(tmp_path, s3_bucket):
    for redirect in (False, True):
        account = s3_bucket.account()
        async with running(at(tmp_path / str(redirect), account, redirect=redirect)) as client:
            track = await recorded(client)
            await moved_up(client, tmp_path / str(redirect), s3_bucket, 8 if redirect else 4)
            shown = await client.get(f"/v1/calls/recordings/{track['recordingId']}")
            files = {file["format"]: file["fileUrl"] for file in (await shown.json())["files"]}
            path = files["ogg"].partition("/files/")[2]
            answer = await client.http.get(f"/files/{path}", allow_redirects=False)
            assert answer.status == (302 if redirect else 200)
            if redirect:
                assert f":{s3_bucket.port}/" in answer.headers["Location"]
                assert "X-Amz-Signature" in answer.headers["Location"]


async def test_a_store_that_is_down_loses_nothing_and_gets_all_later(tmp_path, s3_bucket):
    async with s3.faulty_proxy(s3_bucket.port) as proxy:
        proxy.cut = True
        async with running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client:
            track = await recorded(client)
            await failed(client, "unreachable", 2)
            answer = await client.get(track["url"])
            assert (answer.status, len(await answer.read())) == (200, track["sizeBytes"])
            assert s3_bucket.objects() == {}
            proxy.cut = False
            await moved_up(client, tmp_path, s3_bucket)


@one_node_only  # machines share no files: after a start, each takes up all that lies there
async def test_what_waits_for_a_store_is_moved_up_after_the_next_start(tmp_path, s3_bucket):
    async with s3.faulty_proxy(s3_bucket.port) as proxy:
        proxy.cut = True
        async with running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client:
            await recorded(client)
    assert len(local(tmp_path)) >= 3
    async with running(at(tmp_path, s3_bucket.account())) as client:
        await moved_up(client, tmp_path, s3_bucket)


async def test_a_store_that_denies_us_is_counted_and_the_files_stay(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account(reader=True))) as client:
        track = await recorded(client)
        await failed(client, "denied")
        assert (await client.get(track["url"])).status == 200
        assert len(local(tmp_path)) >= 3


async def stopped(client):
    """Record a call for a moment; gives the answer of `record/stop`."""
    call_id = await client.dial(TALKS)
    await client.data("/call/record/start", {"callId": call_id})
    await asyncio.sleep(0.2)
    answer = await client.data("/call/record/stop", {"callId": call_id})
    await client.data("/call/hangup", {"callId": call_id})
    return answer


async def test_a_media_key_is_told_once_the_file_is_in_the_store(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account(), ogg=["inbound"])) as client:
        answer = await stopped(client)
        assert answer["mediaKey"].startswith("recordings/")
        assert answer["mediaKey"] in s3_bucket.objects()
        await moved_up(client, tmp_path, s3_bucket)


async def test_a_store_that_refuses_gives_an_empty_media_key(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account(reader=True))) as client:
        answer = await stopped(client)
        assert (answer["ok"], answer["mediaKey"]) == (True, "")


async def test_a_store_that_is_not_there_gives_an_empty_media_key_and_the_file_later(
    tmp_path, s3_bucket
):
    async with s3.faulty_proxy(s3_bucket.port) as proxy:
        proxy.cut = True
        async with running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client:
            answer = await stopped(client)
            assert (answer["ok"], answer["mediaKey"]) == (True, "")
            proxy.cut = False
            await moved_up(client, tmp_path, s3_bucket)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("bridge.api.media.recording.STORED_SECONDS", 0.5)


@pytest.mark.usefixtures("impatient")
async def test_a_store_that_takes_too_long_gives_an_empty_media_key(tmp_path, s3_bucket):
    async with s3.faulty_proxy(s3_bucket.port) as proxy:
        proxy.bytes_per_second = 1000
        async with running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client:
            assert (await stopped(client))["mediaKey"] == ""


@pytest.mark.usefixtures("impatient")
async def test_a_slow_store_holds_up_no_call(tmp_path, s3_bucket):
    async with s3.faulty_proxy(s3_bucket.port) as proxy:
        proxy.bytes_per_second = 4000
        async with running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client:
            async with asyncio.timeout(5):  # the upload itself takes longer
                await recorded(client)
                track = await recorded(client)
            assert (await client.get(track["url"])).status == 200
            assert len(local(tmp_path)) >= 6


async def test_what_is_deleted_is_deleted_in_the_store(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account())) as client:
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        assert (await client.http.delete(track["url"], headers=KEY)).status == 200
        assert (await client.get(track["url"])).status == 404
        await until(lambda: len(s3_bucket.objects()) == 2, timeout=20)
        assert track["mediaKey"] not in s3_bucket.objects()


async def test_what_is_deleted_while_the_store_is_down_is_deleted_there_later(tmp_path, s3_bucket):
    async with (
        s3.faulty_proxy(s3_bucket.port) as proxy,
        running(at(tmp_path, s3_bucket.account(port=proxy.port))) as client,
    ):
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        proxy.break_off()
        assert (await client.http.delete(track["url"], headers=KEY)).status == 200
        await failed(client, "unreachable")
        assert track["mediaKey"] in s3_bucket.objects()
        proxy.cut = False
        await until(lambda: track["mediaKey"] not in s3_bucket.objects(), timeout=20)


async def test_retention_deletes_in_the_store(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account(), kept_days=0.0)) as client:
        track = await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        recordings = client.bridge.records.recordings
        assert await recordings.archive.sweep() == 3
        recordings.uploader.wake()
        await until(lambda: s3_bucket.objects() == {}, timeout=20)

        async def gone():
            return (await client.get(track["url"])).status == 404

        await until_answer(gone)


async def test_a_path_that_a_caller_chose_stays_on_the_server(tmp_path, s3_bucket):
    async with running(at(tmp_path, s3_bucket.account())) as client:
        call_id = await client.dial(TALKS)
        said = await client.data("/call/record", {"CallID": call_id})
        await client.data("/call/record/stop", {"callId": call_id})
        await recorded(client)
        await moved_up(client, tmp_path, s3_bucket)
        assert (tmp_path / said["path"]).is_file()


async def test_parts_are_in_the_store_while_a_call_is_recorded_and_not_afterwards(
    tmp_path, s3_bucket, monkeypatch
):
    monkeypatch.setattr("bridge.media.recording.live_parts.PART_BYTES", 8000)
    monkeypatch.setattr("bridge.media.recording.live_parts.LOOK_SECONDS", 0.05)
    chosen = at(tmp_path, s3_bucket.account())
    store = msgspec.structs.replace(chosen.recording.s3, live=True)
    recording = msgspec.structs.replace(chosen.recording, s3=store)
    async with running(msgspec.structs.replace(chosen, recording=recording)) as client:
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        await until(lambda: len(s3_bucket.objects()) >= 6, timeout=20)
        assert all(key.startswith("recordings/live/rec_") for key in s3_bucket.objects())
        assert set(s3_bucket.objects().values()) == {8000}
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        await client.data("/call/hangup", {"callId": call_id})
        await moved_up(client, tmp_path, s3_bucket)
        assert s3_bucket.objects()[stopped["mediaKey"]] > 8000

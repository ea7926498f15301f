"""Recording calls over HTTP: what lies in the files, where they lie, and who gets them."""

import asyncio

import msgspec
import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest
from bridge.settings.model import Data
from tests.support.inprocess import KEY, running, settings
from tests.support.waiting import until, until_answer

DEMO = LineName("demo")
TALKS, SILENT = "15550100002", "15550100008"
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]


def at(folder, **more):
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), **more)


def peak(wav):
    return int(np.abs(np.frombuffer(wav.pcm, np.int16)).max())


async def started(client, phone=TALKS):
    call_id = await client.dial(phone)
    await client.data("/call/record/start", {"callId": call_id})
    return call_id


async def test_each_track_holds_its_side_and_all_have_one_length(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        await asyncio.sleep(1.5)
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        wavs = {}
        for track in stopped["recordings"]:
            answer = await client.get(f"/recordings/{track['recordingId']}")
            assert answer.status == 200
            wavs[track["kind"]] = parse_wav(await answer.read())
    assert peak(wavs["inbound"]) > 1000
    assert peak(wavs["outbound"]) == 0
    assert peak(wavs["mixed"]) > 1000
    lengths = {len(wav.pcm) for wav in wavs.values()}
    assert max(lengths) - min(lengths) <= 640
    assert min(lengths) > 16000


async def test_the_media_key_is_the_files_path_in_the_folder(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        assert stopped["mediaKey"].endswith(f"/{call_id}.wav")
        assert stopped["mediaKey"].startswith("recordings/")
        assert (tmp_path / stopped["mediaKey"]).is_file()


async def test_the_end_of_the_call_ends_the_recording_and_leaves_the_files(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        await client.data("/call/hangup", {"callId": call_id})

        async def kept():
            answer = await client.get(f"/call/{call_id}/recordings")
            listed = (await answer.json())["data"]["recordings"]
            return [track["status"] for track in listed] == ["completed"] * 3

        await until_answer(kept)


async def test_a_paused_recording_goes_on_in_silence(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        await client.data("/call/record/pause", {"callId": call_id})
        await asyncio.sleep(0.8)
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        wav = parse_wav((tmp_path / stopped["mediaKey"]).read_bytes())
        assert len(wav.pcm) > 16000
        assert not np.frombuffer(wav.pcm[8000:], np.int16).any()


async def test_wagos_path_lies_below_the_media_folder(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(TALKS)
        said = await client.data("/call/record", {"CallID": call_id})
        assert said["path"] == f"files/calls/{call_id}.wav"
        await client.data("/call/record/stop", {"callId": call_id})
        assert (tmp_path / said["path"]).is_file()


@pytest.mark.parametrize("path", ["../out.wav", "/etc/passwd", "files/../../out.wav"])
async def test_a_path_that_leads_out_of_the_media_folder_is_refused(tmp_path, path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(TALKS)
        answer = await client.post("/call/record", {"CallID": call_id, "Path": path})
        assert answer.status == 400
        assert (await client.post("/call/record/stop", {"callId": call_id})).status == 409


async def test_a_link_that_leads_out_of_the_media_folder_is_refused(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(TALKS)
        own = tmp_path / "files"
        own.mkdir(exist_ok=True)
        (tmp_path / "elsewhere").mkdir()
        (own / "out").symlink_to(tmp_path / "elsewhere")
        body = {"CallID": call_id, "Path": "files/out/a.wav"}
        assert (await client.post("/call/record", body)).status == 400
        assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_wagos_record_of_a_call_that_is_recorded_already_shows_where_it_lies(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        said = await client.data("/call/record", {"CallID": call_id})
        assert said["path"].endswith(f"/{call_id}.wav")


async def test_a_format_that_is_none_is_refused(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        one = stopped["recordings"][0]["url"]
        assert (await client.get(f"{one}?format=mp3")).status == 400
        assert (await client.get(f"{one}?format=ogg")).status == 404  # of the mix alone


async def test_recording_what_is_not_there_or_not_recorded_is_refused(tmp_path):
    async with running(at(tmp_path)) as client:
        assert (await client.post("/call/record/start", {"callId": "0" * 32})).status == 404
        call_id = await client.dial(SILENT)
        assert (await client.post("/call/record/stop", {"callId": call_id})).status == 409
        assert (await client.get("/recordings/rec_none")).status == 404


async def test_a_deleted_recording_is_gone_row_and_file(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        stopped = await client.data("/call/record/stop", {"callId": call_id})
        for track in stopped["recordings"]:
            one = f"/recordings/{track['recordingId']}"
            assert (await client.http.delete(one, headers=KEY)).status == 200
            assert (await client.get(one)).status == 404
        if client.nodes == 1:  # another machine deletes its files later, in its own time
            assert not list((tmp_path / "recordings").rglob("*.wav"))


async def test_a_line_that_records_does_so_from_the_answer_on(tmp_path):
    async with running(at(tmp_path)) as client:
        put = await client.http.put("/call/config", json={"callRecord": True}, headers=KEY)
        assert put.status == 200
        await client.post("/session/connect", {})
        call_id = await client.dial(TALKS)
        recordings = client.bridge.records.recordings
        await until(lambda: recordings.active(CallId(call_id)))


async def test_what_a_killed_process_left_is_finished_at_the_next_start(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await started(client)
        await asyncio.sleep(0.8)
        archive = client.bridge.records.recordings.archive
        written = await archive.of_call(DEMO, CallId(call_id))
        torn = (tmp_path / written[0].key).read_bytes()
        await client.data("/call/record/stop", {"callId": call_id})
        torn_key = RecordingRequest(("inbound",), key="recordings/torn.wav")
        [unfinished] = await archive.begin(DEMO, CallId(call_id), torn_key)
        (tmp_path / "recordings/torn.wav").write_bytes(torn[:20] + bytes(24) + torn[44:])
    async with running(at(tmp_path)) as client:

        async def finished():
            answer = await client.get(f"/recordings/{unfinished.recording_id}")
            return answer.status == 200

        await until_answer(finished)
        answer = await client.get(f"/recordings/{unfinished.recording_id}")
        assert len(parse_wav(await answer.read()).pcm) == len(torn) - 44

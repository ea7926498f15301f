"""Recordings and sounds of two machines, each with a data folder of its own, that share a database."""

import aiohttp
import msgspec
import pytest

from bridge.audio.file.wav import make_header
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, Written
from bridge.errors import FileUnavailable
from bridge.settings.model import Data
from bridge.stores.recording_files import FileLocation
from tests.support.inprocess import KEY, settings
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.call, pytest.mark.postgresql]

ECHO = "15550100001"
LINE, CALL = LineName("demo"), CallId("00" + "A" * 30)
PCM = bytes(range(256)) * 250
WAV = make_header(len(PCM)) + PCM


@pytest.fixture
def database(postgres_server):
    """The URL of an empty database."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


@pytest.fixture
async def machines(database):
    chosen = msgspec.structs.replace(settings(), data=Data(url=database))
    async with two_nodes(chosen, machines=True, apart=True) as both:
        yield both


def gone(node):
    """Let a node know that the other has gone."""
    node.bridge.cluster.directory.siblings.members.update([], [])


async def recorded(node, key=None):
    """Leave a finished recording on a machine."""
    archive = node.bridge.records.recordings.archive
    [begun] = await archive.begin(LINE, CALL, RecordingRequest(("mixed",), key=key))
    archive.path(begun).parent.mkdir(parents=True, exist_ok=True)
    archive.path(begun).write_bytes(WAV)
    ended = await archive.finish(begun, Written(len(WAV), len(PCM) / 32_000))
    assert ended is not None
    return ended


async def fetched(node, path, **headers):
    answer = await node.http.get(path, headers={**KEY, **headers})
    return answer, await answer.read()


async def test_a_recording_is_read_from_the_machine_that_has_it(machines):
    here, there = machines
    track = await recorded(there, key="files/a.wav")
    path = f"/recordings/{track.recording_id}"
    answer, content = await fetched(here, path)
    assert (answer.status, answer.headers["Content-Type"], content) == (200, "audio/wav", WAV)
    answer, content = await fetched(here, path, Range="bytes=44-143")
    assert (answer.status, content) == (206, PCM[:100])
    assert answer.headers["Content-Range"] == f"bytes 44-143/{len(WAV)}"
    answer, _ = await fetched(here, path, Range=f"bytes={len(WAV)}-")
    assert answer.status == 416
    answer = await here.http.head(path, headers=KEY)
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(WAV)))
    tagged, _ = await fetched(here, path)
    answer, _ = await fetched(here, path, **{"If-None-Match": tagged.headers["ETag"]})
    assert answer.status == 304

    # By a signed link, from the other machine than it is asked of.
    bridge = here.bridge
    link = bridge.access.tickets.link(f"/files/recordings/{track.recording_id}.wav", 60)
    answer = await here.http.get(link)
    assert (answer.status, await answer.read()) == (200, WAV)

    blocks = [block async for block in bridge.records.recordings.read_audio(track)]
    assert b"".join(blocks) == PCM

    # A file that its machine has lost is gone; the machine itself is not.
    there.bridge.records.recordings.archive.path(track).unlink()
    answer, _ = await fetched(here, path)
    assert answer.status == 404


async def kept(node, name="a.wav"):
    form = aiohttp.FormData()
    form.add_field("audio", WAV, filename=name, content_type="audio/wav")
    answer = await node.http.post("/api/v1/call-audio-assets", data=form, headers=KEY)
    assert answer.status == 200
    return (await answer.json())["data"]["id"]


async def test_a_sound_that_was_uploaded_to_one_machine_is_played_on_another(machines):
    here, there = machines
    asset_id, assets = await kept(there), here.bridge.media.assets
    sound = await assets.find(LINE, asset_id)
    assert sound.path.read_bytes() == WAV
    assert sound.path.is_relative_to(here.bridge.records.recordings.archive.folder)
    gone(here)
    assert (await assets.find(LINE, asset_id)).path.read_bytes() == WAV
    another = await kept(there, "b.wav")
    sound.path.unlink()
    with pytest.raises(FileUnavailable):
        await assets.find(LINE, another)
    shown = here.bridge.node.metrics.render().decode()
    for source, count in {"machine": 1.0, "cached": 1.0, "failed": 1.0}.items():
        assert f'bridge_asset_fetches_total{{source="{source}"}} {count}' in shown


async def test_a_sound_that_is_deleted_through_another_machine_is_deleted_there(machines):
    here, there = machines
    asset_id = await kept(there)
    await here.bridge.media.assets.find(LINE, asset_id)
    answer = await here.http.delete(f"/api/v1/call-audio-assets/{asset_id}", headers=KEY)
    assert answer.status == 200
    await there.bridge.records.recordings.archive.unlink_deleted()
    for node in machines:
        folder = node.bridge.records.recordings.archive.folder
        assert [*(folder / "assets").iterdir(), *(folder / "asset_copies").iterdir()] == []


async def test_a_recording_of_a_machine_that_is_gone_can_be_read_later(machines):
    here, there = machines
    track = await recorded(there)
    going_on = (
        await there.bridge.records.recordings.archive.begin(
            LINE, CALL, RecordingRequest(("inbound",))
        )
    )[0]
    gone(here)
    for recording in (track, going_on):
        answer, content = await fetched(here, f"/recordings/{recording.recording_id}")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert b"machine" in content


async def test_what_is_deleted_through_another_machine_is_deleted_at_once(machines):
    here, there = machines
    track = await recorded(there)
    archive = there.bridge.records.recordings.archive
    answer = await here.http.delete(f"/recordings/{track.recording_id}", headers=KEY)
    assert (answer.status, archive.path(track).exists()) == (200, False)


async def test_what_is_deleted_while_its_machine_is_gone_is_deleted_when_it_returns(machines):
    here, there = machines
    track = await recorded(there)
    archive = there.bridge.records.recordings.archive
    gone(here)
    answer = await here.http.delete(f"/recordings/{track.recording_id}", headers=KEY)
    assert (answer.status, archive.path(track).exists()) == (200, True)
    answer, _ = await fetched(here, f"/recordings/{track.recording_id}")
    assert answer.status == 404
    await archive.unlink_deleted()
    assert not archive.path(track).exists()
    assert await archive.files.next(FileLocation.LOCAL) is None


async def test_a_call_is_erased_through_another_machine_with_its_recordings(machines):
    here, there = machines
    dialled = await there.http.post("/call/dial", json={"phone": ECHO}, headers=KEY)
    call_id = (await dialled.json())["data"]["callId"]

    async def started():
        answer = await there.http.post("/call/record/start", json={"callId": call_id}, headers=KEY)
        return answer.status == 200

    await until_answer(started)
    for path in ("/call/record/stop", "/call/hangup"):
        assert (await here.http.post(path, json={"callId": call_id}, headers=KEY)).status == 200
    folder = there.bridge.records.recordings.archive.folder

    def files():
        return list((folder / "recordings").rglob("*.*"))

    assert files()

    async def erased():
        return (await here.http.delete(f"/calls/{call_id}", headers=KEY)).status == 200

    await until_answer(erased)
    await until(lambda: files() == [])  # a copy that was being made is deleted when it is finished

"""Messages that a killed process left, and what is published and deleted of a message."""

from datetime import UTC, datetime

import msgspec
import pytest

from bridge.audio.file.wav import make_header
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, Written
from bridge.db.sqlite import FILE, Sqlite
from bridge.errors import NotFound
from bridge.media.recording.archive import Archive
from bridge.media.voicemails import Voicemail, VoicemailStore
from bridge.settings.model import Data
from bridge.settings.recording import Recording as RecordingSettings
from bridge.wire.iso8601 import iso8601
from tests.support.databases import open_database
from tests.support.inprocess import running, settings
from tests.support.published import Published
from tests.support.waiting import until, until_answer

LINE = LineName("demo")
CALL = CallId("00" + "A" * 30)


def at(folder):
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)))


async def left_behind(folder, *, seconds: float | None, finished: bool = False) -> None:
    """Leave what a process leaves that is killed while a message is recorded; None: before it is."""
    database = open_database(Sqlite(folder / FILE))
    archive = Archive(database, folder, RecordingSettings())
    began = iso8601(datetime.now(UTC))
    message = Voicemail(CALL, LINE, "+15550100002", "+1555", "whatsapp", began)
    await VoicemailStore(database).begin(message)
    if seconds is not None:
        [recording] = await archive.begin(LINE, CALL, RecordingRequest(("inbound",)))
        pcm = bytes(round(seconds * 32_000))
        archive.path(recording).write_bytes(make_header(len(pcm)) + pcm)
        if finished:
            await archive.finish(recording, Written(len(pcm) + 44, seconds))
    await database.aclose()


@pytest.mark.parametrize("finished", [False, True])
async def test_a_message_that_was_cut_off_is_completed_by_the_next_process(tmp_path, finished):
    await left_behind(tmp_path, seconds=3.0, finished=finished)
    async with running(at(tmp_path)) as client:
        store = client.bridge.records.voicemails.store
        found = await until_answer(lambda: store.of_call(LINE, CALL))
        assert found is not None
        assert found.seconds == pytest.approx(3.0)


@pytest.mark.parametrize("seconds", [None, 0.0])
async def test_a_message_of_which_nothing_was_recorded_is_dropped(tmp_path, seconds):
    await left_behind(tmp_path, seconds=seconds)
    async with running(at(tmp_path)) as client:
        bridge = client.bridge

        async def dropped() -> bool:
            return not await bridge.records.voicemails.store.is_pending(CALL)

        await until_answer(dropped)
        assert await bridge.records.voicemails.store.of_call(LINE, CALL) is None


async def test_a_transcription_is_published(tmp_path):
    await left_behind(tmp_path, seconds=3.0)
    async with running(at(tmp_path)) as client:
        published, voicemails = Published(), client.bridge.records.voicemails
        client.bridge.manager.publisher.subscribe(published.events.append)
        await until_answer(lambda: voicemails.store.of_call(LINE, CALL))
        await voicemails.transcribed(LINE, CALL, "Call me back.")
        await until(lambda: published.of("voicemail.transcribed"))
        [data] = published.of("voicemail.transcribed")
        assert (data["transcription"], data["callerNumber"]) == ("Call me back.", "+15550100002")


async def test_a_message_is_deleted_with_its_recording(tmp_path):
    await left_behind(tmp_path, seconds=3.0)
    async with running(at(tmp_path)) as client:
        bridge = client.bridge
        await until_answer(lambda: bridge.records.voicemails.store.of_call(LINE, CALL))
        with pytest.raises(NotFound):
            await bridge.records.voicemails.delete(LineName("other"), CALL)
        await bridge.records.voicemails.delete(LINE, CALL)
        assert await bridge.records.recordings.archive.of_call(LINE, CALL) == []
        with pytest.raises(NotFound):
            await bridge.records.voicemails.delete(LINE, CALL)

"""Transcription of recordings: what waits survives the process, and failures are paused for longer and longer."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.errors import DatabaseLost
from bridge.node.transcripts.transcription import Pauses, TranscriptionJobs
from bridge.settings.recording import Transcription
from bridge.stores import transcripts
from bridge.stores.share import only
from tests.support.sound.transcribing import (
    finished,
    hang_up,
    talk,
    transcribing,
    transcript,
)
from tests.support.sound.transcribing import wall_clock as wall_clock
from tests.support.waiting import until_answer

pytestmark = [pytest.mark.usefixtures("wall_clock"), pytest.mark.virtual_time]


def test_the_pauses_between_attempts_grow_to_an_hour():
    pauses = Pauses()
    assert [pauses.retry.after(failures) for failures in (1, 2, 3, 7, 100)] == [
        10.0,
        30.0,
        90.0,
        3600.0,
        3600.0,
    ]


async def test_a_recording_that_waits_is_transcribed_after_a_restart(tmp_path):
    async with transcribing(folder=tmp_path) as (client, double):
        double.answers["stt"] = 503
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        await until_answer(lambda: asyncio.sleep(0, double.count("stt")), timeout=20)
    async with transcribing(folder=tmp_path) as (client, _):
        assert (await transcript(client, call))["status"] == "waiting"
        await client.bridge.events.database.run(
            transcripts.postpone, call, due_at=0.0, failed=False
        )
        client.bridge.records.transcripts.due.set()
        found = await finished(client, call)
        assert (found["status"], bool(found["phrases"])) == ("completed", True)


async def test_a_call_that_its_process_cut_off_is_transcribed_by_the_next(tmp_path):
    async with transcribing(folder=tmp_path) as (client, _):
        call = await talk(client, transcribe="after")
        await client.bridge.records.transcripts.aclose()
        # As if the process had been killed: nobody hears of the end.
        client.bridge.records.transcripts.recorded.clear()
    async with transcribing(folder=tmp_path) as (client, _):
        assert (await finished(client, call))["status"] == "completed"


async def test_a_live_transcript_that_was_cut_off_keeps_its_phrases(tmp_path):
    async with transcribing(folder=tmp_path, phrase_seconds=1.0) as (client, _):
        call = await talk(client, 3, transcribe="live")

        async def phrases():
            return (await transcript(client, call))["phrases"]

        await until_answer(phrases)
        await client.bridge.records.transcripts.aclose()
    async with transcribing(folder=tmp_path) as (client, _):
        found = await finished(client, call)
        assert (found["status"], bool(found["phrases"])) == ("completed", True)


async def test_a_recording_that_was_deleted_fails_its_transcript():
    async with transcribing() as (client, double):
        double.answers["stt"] = 503
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        await until_answer(lambda: asyncio.sleep(0, double.count("stt")), timeout=20)
        for one in (await client.data_of(f"/call/{call}/recordings"))["recordings"]:
            path = f"/recordings/{one['recordingId']}"
            assert (await client.http.delete(path, headers={"token": "demo"})).status == 200
        await client.bridge.events.database.run(
            transcripts.postpone, call, due_at=0.0, failed=False
        )
        client.bridge.records.transcripts.due.set()
        assert (await finished(client, call))["failure"] == "not_recorded"


async def test_a_database_that_takes_no_readers_is_not_asked_without_a_pause():
    asked = []

    class NoRoom:
        async def read(self, *_, **__):
            asked.append(1)
            await asyncio.sleep(0.001)
            raise DatabaseLost("the database cannot be reached")

        run = read

        async def available(self, pause):
            await asyncio.sleep(pause)

    jobs = TranscriptionJobs(
        cast("Any", SimpleNamespace(archive=SimpleNamespace(share=only()))),
        cast("Any", NoRoom()),
        cast("Any", None),
        due=asyncio.Event(),
        rules=cast(
            "Any", SimpleNamespace(recognizer_of=None, settings=Transcription(concurrent=1))
        ),
        metrics=cast("Any", None),
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(jobs.run(), 10.0)
    assert len(asked) <= 12

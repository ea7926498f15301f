"""Ordering transcripts beside what a call and a line may have."""

import pytest

from bridge.errors import DatabaseLost
from bridge.settings.line import Line
from bridge.stores import transcripts
from tests.support.sound.transcribing import (
    events,
    finished,
    hang_up,
    set_provider,
    talk,
    transcribing,
    transcript,
)
from tests.support.sound.transcribing import wall_clock as wall_clock
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.usefixtures("wall_clock"), pytest.mark.virtual_time]


async def test_a_transcript_that_a_dial_asked_for_and_cannot_begin_is_published_as_failed():
    async with transcribing(unfinished_per_line=1) as (client, _):
        first = await talk(client, 0.2, transcribe="live")
        assert (await transcript(client, first))["status"] == "live"
        second = await talk(client, 0.2, transcribe="live")

        async def failed():
            return await events(client, second, "transcript.failed")

        [event] = await until_answer(failed)
        assert event.data == {"reason": "limit_exceeded"}
        assert await transcript(client, second) is None


async def test_the_taps_of_a_live_transcript_keep_no_abandoned_call():
    async with transcribing() as (client, _):
        call = await talk(client, 0.2, transcribe="live")
        runner = next(iter(client.bridge.manager.calls()))
        assert runner.facts.call_id == call
        taps = [leg for leg in runner.machine.legs.records.values() if leg.kind == "transcriber"]
        assert [leg.uses_call for leg in taps] == [False, False]


async def test_a_phrase_without_words_is_not_published():
    async with transcribing(phrase_seconds=1.0) as (client, double):
        double.answers["stt"] = {"text": ""}
        call = await talk(client, 4, transcribe="live")
        assert double.count("stt") > 0
        assert await events(client, call, "transcript") == []


async def test_the_token_of_a_provider_and_what_was_said_are_in_no_log(caplog):
    caplog.set_level("DEBUG")
    async with transcribing(phrase_seconds=1.0) as (client, double):
        await talk(client, 3, transcribe="live")
        assert double.tokens[-1] == "Bearer s3cret"
        await set_provider(client, "http://127.0.0.1:1")
        await talk(client, 3, transcribe="live")
    assert "s3cret" not in caplog.text
    assert "I would like a table" not in caplog.text


async def test_a_line_may_have_every_answered_call_transcribed():
    line = Line(keys=["demo"], transcribe="live")
    async with transcribing(lines={"demo": line}) as (client, _):
        call = await talk(client, 0.2)
        assert (await transcript(client, call))["mode"] == "live"
        ringing = await client.dial("15550100003")
        assert await transcript(client, ringing) is None


async def test_a_live_transcript_goes_on_while_the_database_is_away(monkeypatch):
    async with transcribing(phrase_seconds=1.0) as (client, _):
        database, refused = client.bridge.events.database, []
        real = database.run

        async def run(work, *args, **more):
            if work in (transcripts.add_phrase, transcripts.finish):
                refused.append(work)
                raise DatabaseLost("the database cannot be reached")
            return await real(work, *args, **more)

        with monkeypatch.context() as outage:
            outage.setattr(database, "run", run)
            call = await talk(client, 3, transcribe="live")
            await hang_up(client, call)
            await until(lambda: transcripts.finish in refused)
        found = await finished(client, call)
        assert (found["status"], bool(found["phrases"])) == ("completed", True)
        assert await events(client, call, "transcript")

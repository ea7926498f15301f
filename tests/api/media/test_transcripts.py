"""Transcripts of whole calls over HTTP."""

import asyncio

import pytest

from tests.support.inprocess import running
from tests.support.sound.transcribing import (
    TALKS,
    events,
    finished,
    hang_up,
    set_provider,
    talk,
    transcribing,
    transcript,
)
from tests.support.sound.transcribing import (
    wall_clock as wall_clock,
)
from tests.support.waiting import until_answer

pytestmark = [
    pytest.mark.call,
    pytest.mark.usefixtures("nodes", "wall_clock"),
    pytest.mark.virtual_time,
]


async def test_a_call_is_transcribed_from_its_recording_after_its_end():
    async with transcribing() as (client, double):
        call = await talk(client, transcribe="after")
        assert (await transcript(client, call))["status"] == "recording"
        assert double.count("stt") == 0
        await hang_up(client, call)
        found = await finished(client, call)
        assert (found["status"], found["mode"], found["failure"]) == ("completed", "after", None)
        assert found["text"].splitlines()[0] == "I would like a table."
        first = found["phrases"][0]
        assert first["track"] == "inbound"
        assert 0 <= first["startMs"] < first["endMs"] < 8000
        assert {phrase["track"] for phrase in found["phrases"]} == {"inbound"}
        [ready] = await events(client, call, "transcript.ready")
        assert ready.data["phrases"] == len(found["phrases"])
        assert ready.call.id == call
        shown = (await (await client.get(f"/calls/{call}")).json())["data"]
        assert shown["transcript"] == "completed"


async def test_a_live_call_is_transcribed_phrase_by_phrase():
    async with transcribing(phrase_seconds=1.5) as (client, _):
        call = await talk(client, 5, transcribe="live")

        async def said():
            return await events(client, call, "transcript")

        first = (await until_answer(said))[0]
        assert first.data["text"] == "I would like a table."
        assert (first.data["track"], first.call.state) == ("inbound", "active")
        meanwhile = await transcript(client, call)
        assert (meanwhile["status"], meanwhile["mode"]) == ("live", "live")
        assert meanwhile["phrases"]
        await hang_up(client, call)
        found = await finished(client, call)
        assert found["status"] == "completed"
        assert len(found["phrases"]) == len(await said())
        assert not (await client.data_of(f"/call/{call}/recordings"))["recordings"]


async def test_a_transcript_can_be_ordered_of_a_call_that_goes_on():
    async with transcribing() as (client, _):
        call = await talk(client, 1)
        ordered = await client.data("/call/transcribe", {"callId": call})
        assert (ordered["status"], ordered["mode"]) == ("recording", "after")
        again = await client.data("/call/transcribe", {"callId": call, "live": True})
        assert again["mode"] == "after"
        await asyncio.sleep(3)
        await hang_up(client, call)
        assert (await finished(client, call))["status"] == "completed"


async def test_a_recorded_call_can_be_transcribed_long_after_its_end_and_again():
    async with transcribing() as (client, double):
        call = await talk(client, 0.5)
        await client.data("/call/record/start", {"callId": call})
        await asyncio.sleep(3)
        await hang_up(client, call)
        await client.until_state(call, "gone")
        await client.data("/call/transcribe", {"callId": call})
        assert (await finished(client, call))["status"] == "completed"
        double.answers["stt"] = {"text": "Two tables."}
        await client.data("/call/transcribe", {"callId": call})
        assert (await finished(client, call))["text"].startswith("Two tables.")


async def test_a_call_that_was_not_recorded_cannot_be_transcribed_after_its_end():
    async with transcribing() as (client, _):
        call = await talk(client, 0.5)
        await hang_up(client, call)
        await client.until_state(call, "gone")
        response = await client.post("/call/transcribe", {"callId": call})
        assert response.status == 409
        assert "was not recorded" in await response.text()


async def test_a_ringing_call_and_an_unknown_one_are_refused():
    async with transcribing() as (client, _):
        call = await client.dial("15550100003")
        assert (await client.post("/call/transcribe", {"callId": call})).status == 409
        response = await client.post("/call/transcribe", {"callId": "00" * 16})
        assert response.status == 404
        assert (await client.get(f"/call/{call}/transcript")).status == 404


async def test_a_line_without_a_provider_is_told_so_before_it_dials(monkeypatch):
    monkeypatch.setattr("bridge.app.records.demonstrations_of", lambda _: {})
    async with running() as client:
        body = {"phone": TALKS, "transcribe": "live"}
        response = await client.post("/call/dial", body)
        assert response.status == 501
        assert "callSttUrl" in await response.text()
        assert await client.calls() == []


async def test_the_demonstration_needs_no_provider():
    async with running() as client:
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        assert "seconds of speech" in (await finished(client, call))["text"]


async def test_words_have_the_times_of_the_call_where_the_provider_tells_them():
    async with transcribing() as (client, double):
        double.answers["stt"] = {
            "text": "Hello there",
            "language": "en",
            "words": [
                {"word": "Hello", "start": 0.1, "end": 0.4},
                {"word": "there", "start": 0.5, "end": 0.9},
            ],
        }
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        found = await finished(client, call)
        phrase = found["phrases"][0]
        assert [word["word"] for word in phrase["words"]] == ["Hello", "there"]
        assert phrase["words"][0]["startMs"] == phrase["startMs"] + 100
        assert (found["language"], phrase["language"]) == ("en", "en")


async def test_a_provider_that_fails_is_tried_again_and_no_phrase_is_sent_twice():
    async with transcribing(phrase_seconds=2.0) as (client, double):
        call = await talk(client, 6, transcribe="after")
        double.answers["stt"] = 503
        await hang_up(client, call)
        await until_answer(lambda: asyncio.sleep(0, double.count("stt")), timeout=20)
        assert (await transcript(client, call))["status"] == "waiting"
        double.answers["stt"] = {"text": "At last."}
        found = await finished(client, call)
        assert found["status"] == "completed"
        assert double.count("stt") == len(found["phrases"]) + 1


async def test_a_provider_that_keeps_failing_fails_the_transcript():
    async with transcribing(attempts=2) as (client, double):
        double.answers["stt"] = 500
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        found = await finished(client, call)
        assert (found["status"], found["failure"]) == ("failed", "status")
        [failed] = await events(client, call, "transcript.failed")
        assert failed.data["reason"] == "status"
        assert await client.total("bridge_transcripts_total") == 1


async def test_a_transcript_is_erased_with_its_call():
    async with transcribing() as (client, _):
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        await finished(client, call)
        response = await client.http.delete(f"/calls/{call}", headers={"token": "demo"})
        assert response.status == 200, await response.text()
        assert await transcript(client, call) is None
        rows = await client.bridge.events.database.run(
            lambda db: db.execute("SELECT count(*) FROM transcripts").fetchone()
        )
        assert rows == (0,)


async def test_a_blocked_address_fails_the_transcript_without_a_request():
    async with transcribing(attempts=1) as (client, double):
        await set_provider(client, "http://169.254.169.254")
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        assert (await finished(client, call))["failure"] == "blocked"
        assert double.count("stt") == 0


async def test_a_line_has_only_so_many_unfinished_transcripts():
    async with transcribing(unfinished_per_line=1) as (client, _):
        first = await talk(client, 0.5)
        second = await talk(client, 0.5)
        await client.data("/call/transcribe", {"callId": first})
        response = await client.post("/call/transcribe", {"callId": second})
        assert response.status == 503
        assert "unfinished_per_line" in await response.text()

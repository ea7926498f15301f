"""The rows of voicemails: begun, completed once, read, and deleted in time."""

from dataclasses import replace

import pytest

from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording
from bridge.errors import NotFound
from bridge.media.voicemails import Voicemail, VoicemailStore
from tests.support.databases import open_database

SALES, OTHER = LineName("sales"), LineName("other")
FIRST, SECOND = CallId("00" + "A" * 30), CallId("00" + "B" * 30)
MESSAGE = Voicemail(FIRST, SALES, "+15550100002", "+1555", "whatsapp", "2026-01-01T00:00:00.000Z")


def recording(call_id: CallId = FIRST, *, expires_at: str = "2099-01-01T00:00:00.000Z"):
    return Recording(
        "rec_1", call_id, SALES, "inbound", "k.wav", "completed", "", "", 3.5, 10, expires_at
    )


@pytest.fixture
async def store(engine):
    database = open_database(engine)
    yield VoicemailStore(database)
    await database.aclose()


async def test_a_message_counts_once_it_has_its_recording(store):
    await store.begin(MESSAGE)
    assert await store.is_pending(FIRST)
    assert await store.page(SALES, limit=9, offset=0) == ([], 0)
    with pytest.raises(NotFound):
        await store.find(SALES, FIRST)
    received = await store.complete(recording())
    assert received == await store.find(SALES, FIRST)
    assert (received.seconds, received.recording_id, received.is_read) == (3.5, "rec_1", False)
    assert not await store.is_pending(FIRST)


async def test_a_message_is_completed_once_only(store):
    await store.begin(MESSAGE)
    assert await store.complete(recording()) is not None
    assert await store.complete(recording()) is None


async def test_a_recording_without_a_message_makes_no_voicemail(store):
    assert await store.complete(recording()) is None


async def test_a_page_has_the_newest_first_and_the_number_of_all(store):
    later = replace(MESSAGE, call_id=SECOND, created_at="2026-01-02T00:00:00.000Z")
    for one in (MESSAGE, later):
        await store.begin(one)
        await store.complete(recording(one.call_id))
    found, count = await store.page(SALES, limit=1, offset=0)
    assert ([one.call_id for one in found], count) == ([SECOND], 2)
    await store.mark(SALES, SECOND, is_read=True)
    found, count = await store.page(SALES, unread=True, limit=9, offset=0)
    assert ([one.call_id for one in found], count) == ([FIRST], 1)


async def test_a_message_is_read_and_unread(store):
    await store.begin(MESSAGE)
    await store.complete(recording())
    assert (await store.mark(SALES, FIRST, is_read=True)).is_read is True
    assert (await store.mark(SALES, FIRST, is_read=False)).is_read is False


async def test_a_transcription_is_kept(store):
    await store.begin(MESSAGE)
    await store.complete(recording())
    assert (await store.transcribed(SALES, FIRST, "Call me.")).transcription == "Call me."


async def test_no_line_sees_or_changes_the_messages_of_another(store):
    await store.begin(MESSAGE)
    await store.complete(recording())
    with pytest.raises(NotFound):
        await store.find(OTHER, FIRST)
    with pytest.raises(NotFound):
        await store.mark(OTHER, FIRST, is_read=True)
    await store.delete(OTHER, FIRST)
    assert (await store.find(SALES, FIRST)).is_read is False


async def test_a_node_finds_what_its_previous_process_left(store):
    await store.begin(MESSAGE)
    own, other = {"own": "00", "others": "01"}, {"own": "01", "others": "00"}
    assert await store.pending(own, "2026-01-01T00:00:01.000Z") == [MESSAGE]
    assert await store.pending(other, "2026-01-01T00:00:01.000Z") == []
    assert await store.pending(own, "2025-12-31T00:00:00.000Z") == []
    # The call's process is no more.
    assert await store.pending({"own": "01", "others": ""}, "2025-12-31T00:00:00.000Z") == [MESSAGE]


async def test_messages_go_with_their_recordings_time(store):
    await store.begin(MESSAGE)
    await store.complete(recording(expires_at="2026-01-01T00:00:01.000Z"))
    assert await store.sweep() == 1
    assert await store.of_call(SALES, FIRST) is None

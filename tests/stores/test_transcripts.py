"""The tables of transcripts."""

import pytest

from bridge.call.transcript import Phrase, Transcribe, TranscriptStatus, Word
from bridge.stores import calls, transcripts
from bridge.stores.transcripts import Job
from tests.support.databases import connected

CALL, OTHER, LINE = "00AA", "01BB", "demo"
OWN = {"own": "00", "others": "01"}
PHRASE = Phrase("inbound", 1.0, 2.5, "Hello", (Word("Hello", 1.1, 1.4),), "en")


@pytest.fixture
def db(engine):
    with connected(engine) as opened:
        yield opened


def insert(db, call_id=CALL, status=TranscriptStatus.WAITING, *, line=LINE, now=10.0):
    transcripts.insert(
        db, Job(call_id, line, "http://x/"), mode=Transcribe.AFTER, status=status, now=now
    )


def next_job(db, own=None, *, now=100.0, busy=(), lines=()):
    return transcripts.next_job(db, own or OWN, now=now, busy=busy, lines=lines)


def test_phrases_are_there_before_and_after_the_end(db):
    insert(db)
    assert transcripts.add_phrase(db, CALL, "k", PHRASE)
    assert transcripts.keys(db, CALL) == {"k"}
    before = transcripts.find(db, CALL, LINE)
    over = transcripts.finish(db, CALL, now=20.0)
    assert before is not None
    assert over is not None
    assert before.phrases == over.phrases == (PHRASE,)
    assert (over.status, over.finished_at) == (TranscriptStatus.COMPLETED, 20.0)
    assert transcripts.keys(db, CALL) == set()
    assert transcripts.find(db, CALL) == over


def test_a_transcript_is_finished_once(db):
    insert(db)
    failed = transcripts.finish(db, CALL, now=20.0, failure="timeout")
    assert failed is not None
    assert (failed.status, failed.failure) == (TranscriptStatus.FAILED, "timeout")
    assert transcripts.finish(db, CALL, now=21.0) is None


def test_another_line_does_not_find_it(db):
    insert(db)
    assert transcripts.find(db, CALL, "other") is None


def test_what_was_erased_meanwhile_gets_no_phrase(db):
    insert(db)
    calls.delete(db, CALL)
    assert not transcripts.add_phrase(db, CALL, "k", PHRASE)
    assert transcripts.finish(db, CALL, now=20.0) is None
    assert transcripts.find(db, CALL) is None


def test_a_recording_waits_until_its_call_has_ended(db):
    insert(db, status=TranscriptStatus.RECORDING)
    assert next_job(db) is None
    transcripts.release(db, CALL, 50.0)
    assert next_job(db, now=49.0) is None
    assert next_job(db) == Job(CALL, LINE, "http://x/")


def test_the_next_job_is_no_other_nodes_and_of_no_busy_call_or_line(db):
    insert(db)
    insert(db, OTHER, line="b", now=5.0)
    assert next_job(db) == Job(CALL, LINE, "http://x/")
    everybody = {"own": "00", "others": ""}
    assert next_job(db, everybody) == Job(OTHER, "b", "http://x/")
    assert next_job(db, everybody, busy=[OTHER]) == Job(CALL, LINE, "http://x/")
    assert next_job(db, everybody, busy=[OTHER], lines=[LINE]) is None


def test_failed_attempts_count_until_a_phrase_is_transcribed(db):
    insert(db)
    for _ in range(2):
        transcripts.postpone(db, CALL, due_at=500.0, failed=True)
    transcripts.postpone(db, CALL, due_at=500.0, failed=False)
    assert transcripts.attempts(db, CALL) == 2
    assert next_job(db, now=499.0) is None
    transcripts.add_phrase(db, CALL, "k", PHRASE)
    assert transcripts.attempts(db, CALL) == 0


def test_what_a_killed_process_left_is_taken_up(db):
    insert(db, status=TranscriptStatus.RECORDING)
    insert(db, "00CC", TranscriptStatus.LIVE)
    insert(db, OTHER, TranscriptStatus.LIVE)
    assert transcripts.recover(db, OWN, began=60.0, now=60.0) == ["00CC"]
    assert next_job(db) == Job(CALL, LINE, "http://x/")


def test_what_a_process_left_that_another_goes_on_with_is_not_taken_up(db):
    insert(db, status=TranscriptStatus.RECORDING)
    insert(db, "00CC", TranscriptStatus.LIVE)
    columns = "(boot, node, run, machine, url, started_at)"
    db.execute(f"INSERT INTO nodes {columns} VALUES ('new', 5, 'run', 'm', '', 0)")
    for call_id in (CALL, "00CC"):
        statement = "INSERT INTO open_calls (call_id, node, boot, body) VALUES (?, 5, 'new', '')"
        db.execute(statement, (call_id,))
    assert transcripts.recover(db, OWN, began=60.0, now=60.0) == []
    assert next_job(db) is None


def test_what_another_process_writes_of_a_call_that_has_ended_is_not_taken_up(db):
    insert(db, "00CC", TranscriptStatus.LIVE)
    columns = "(boot, node, run, machine, url, started_at)"
    db.execute(f"INSERT INTO nodes {columns} VALUES ('new', 5, 'run', 'm', '', 0)")
    columns = "(call_id, node, boot, line, peer, direction, started_at, ended_at)"
    db.execute(f"INSERT INTO calls {columns} VALUES ('00CC', 5, 'new', 'demo', '', '', 0, 50)")
    assert transcripts.recover(db, OWN, began=60.0, now=60.0) == []
    db.execute("UPDATE nodes SET ended_at = 55")
    assert transcripts.recover(db, OWN, began=60.0, now=60.0) == ["00CC"]


def test_missing_phrases_and_unfinished_transcripts_are_counted(db):
    insert(db)
    insert(db, "00CC")
    transcripts.count_missing(db, CALL)
    assert (transcripts.unfinished(db, LINE), transcripts.waiting(db, OWN)) == (2, 2)
    over = transcripts.finish(db, CALL, now=20.0)
    assert over is not None
    assert over.missing == 1
    assert transcripts.unfinished(db, LINE) == 1


def test_transcripts_of_calls_without_a_record_are_forgotten_in_time(db):
    insert(db, now=10.0)
    insert(db, "00CC", now=90.0)
    transcripts.forget(db, requested_before=50.0)
    assert transcripts.find(db, CALL) is None
    assert transcripts.find(db, "00CC") is not None


def test_what_a_process_does_itself_is_not_taken_up_later(db):
    insert(db, status=TranscriptStatus.RECORDING, now=70.0)
    insert(db, "02DD", TranscriptStatus.LIVE, now=70.0)
    assert transcripts.recover(db, OWN, began=60.0, now=100.0) == ["02DD"]
    assert next_job(db) is None

"""The rows of recordings: how an end is recorded, once, whoever finds it."""

from dataclasses import replace

import pytest

from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording
from bridge.stores import recording_files as files
from bridge.stores import recordings as rows
from bridge.stores.recordings import Begin, End
from tests.support.databases import connected

TRACK = Recording(
    recording_id="rec_1",
    call_id=CallId("00" + "A" * 30),
    line=LineName("sales"),
    kind="mixed",
    key="recordings/a.wav",
    status="recording",
    started_at="2026-01-01T00:00:00.000Z",
    ended_at=None,
    seconds=0.0,
    size_bytes=0,
    expires_at="2027-01-01T00:00:00.000Z",
    machine="there",
    live=1,
    format="ogg",
)


@pytest.fixture
def db(engine):
    with connected(engine) as opened:
        rows.insert(opened, Begin([TRACK], "+1", "+2"))
        yield opened


def end(machine="there", seconds=2.0, of_machine=None):
    return End(
        recording_id="rec_1",
        status="completed",
        ended_at="2026-01-01T00:01:00.000Z",
        seconds=seconds,
        size_bytes=44 + round(seconds * 32_000),
        machine=machine,
        of_machine=of_machine,
    )


def changed(db, ended):
    found = rows.end(db, ended)
    assert found is not None
    return found


def test_what_begins_is_found_as_it_began(db):
    assert rows.select(db, "recording_id = ?", ("rec_1",)) == [TRACK]


def test_what_has_begun_begins_no_second_time(db):
    rows.end(db, end())
    rows.insert(db, Begin([TRACK], "+1", "+2"))
    [found] = rows.select(db, "recording_id = ?", ("rec_1",))
    assert found.status == "completed"


def test_an_end_is_recorded_once(db):
    before, now = changed(db, end())
    assert (before, now.status, now.seconds) == (TRACK, "completed", 2.0)
    assert rows.end(db, end(seconds=3.0)) is None


def test_the_end_of_what_was_deleted_changes_nothing(db):
    db.execute("DELETE FROM recordings")
    assert rows.end(db, end()) is None


def test_another_machine_ends_what_it_has_assembled_and_the_rest_is_deleted_over_there(db):
    _, now = changed(db, end("here", 1.0, of_machine="there"))
    assert (now.machine, now.seconds) == ("here", 1.0)
    assert files.unlinks(db, "there") == ["recordings/a.wav"]


def test_a_third_machine_does_not_assemble_it_again(db):
    rows.end(db, end("here", 1.0, of_machine="there"))
    assert rows.end(db, end("third", 1.0, of_machine="there")) is None


def test_what_was_assembled_too_early_is_replaced_by_the_process_that_recorded_it(db):
    rows.end(db, end("here", 1.0, of_machine="there"))
    before, now = changed(db, end(seconds=9.0))
    assert (before.status, before.machine) == ("completed", "here")
    assert (now.machine, now.seconds) == ("there", 9.0)
    assert files.unlinks(db, "there") == []
    assert files.unlinks(db, "here") == ["recordings/a.wav"]


@pytest.mark.parametrize(("every", "machines"), [(False, ["here", "there"]), (True, ["here"] * 2)])
def test_rows_that_name_no_machine_are_adopted(db, every, machines):
    rows.insert(db, Begin([replace(TRACK, recording_id="rec_2", machine="")], "", ""))
    rows.adopt(db, "here", every=every)
    found = rows.select(db, "status = 'recording'")
    assert sorted(one.machine for one in found) == machines

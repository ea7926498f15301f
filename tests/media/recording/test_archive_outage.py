"""Recordings that begin and end while the database is unreachable."""

import asyncio

import pytest

from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, Written
from bridge.db import writer
from bridge.db.postgres import Postgres
from bridge.media.recording.archive import Archive
from bridge.node.recording.recovery import RecordingRecovery, RecoveryIntervals
from bridge.settings.recording import Recording as RecordingSettings
from bridge.stores.share import only
from tests.support.databases import open_database
from tests.support.waiting import until_answer

pytestmark = pytest.mark.postgresql
LINE = LineName("sales")
FIRST, SECOND = CallId("00" + "A" * 30), CallId("00" + "B" * 30)


@pytest.fixture
def engine(postgres_server):
    """A database whose server the test may stop."""
    with postgres_server.database() as name:
        yield Postgres(postgres_server.url(name), 0.5)
        if postgres_server.process is None:
            postgres_server.start()


async def test_what_begins_and_ends_in_an_outage_is_known_afterwards(
    engine, postgres_server, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(writer, "FAIL_SECONDS", 0.5)
    database = open_database(engine, spool=tmp_path / "spool", readers=1)
    archive = Archive(database, tmp_path, RecordingSettings(), only("here"), shared=True)
    recovery = RecordingRecovery(
        archive,
        store=None,
        on_ended=lambda *_: None,
        intervals=RecoveryIntervals(poll=0.05, retry=0.05),
    )
    recovering = asyncio.get_running_loop().create_task(recovery.run())
    try:
        [before] = await archive.begin(LINE, FIRST, RecordingRequest(("mixed",)))
        postgres_server.stop()
        [during] = await archive.begin(LINE, SECOND, RecordingRequest(("mixed",)))
        for track in (before, during):
            ended = await archive.finish(track, Written(32_044, 1.0))
            assert ended is not None
            assert ended.status == "completed"
        assert "recovery_failed" not in caplog.text
        postgres_server.start()  # in this thread: the server ends with the one that starts it

        async def known():
            if not database.reachable:
                return False
            found = [await archive.of_call(LINE, call) for call in (FIRST, SECOND)]
            return [[one.status for one in tracks] for tracks in found] == [["completed"]] * 2

        await until_answer(known, timeout=20)
        for track in (before, during):
            [file] = await archive.files.of(track.recording_id)
            assert (file.size_bytes, file.machine) == (32_044, "here")
    finally:
        recovering.cancel()
        await asyncio.gather(recovering, return_exceptions=True)
        await database.aclose()

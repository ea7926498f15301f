"""A machine that is lost while it records: two bridges with data folders of their own, PostgreSQL and S3."""

import asyncio
import time
import urllib.error

import asyncpg
import pytest

from bridge.audio.file.wav import parse_wav
from tests.support.machine import free_port
from tests.support.server import running
from tests.support.two_nodes import one_node_only

pytestmark = [
    pytest.mark.call,
    pytest.mark.full,
    pytest.mark.postgresql,
    one_node_only,  # it runs its own bridges
]
TALKS = "15550100002"
SECONDS = 11.5


@pytest.fixture
def database(postgres_server):
    """The URL of an empty database."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


def settings(account, database):
    return {
        "DATA__URL": database,
        "CLUSTER__URL": f"http://127.0.0.1:{free_port()}",
        "CLUSTER__SECRET": "the secret of two machines in tests",
        "RECORDING__S3__BUCKET": account.bucket,
        "RECORDING__S3__ENDPOINT": account.endpoint,
        "RECORDING__S3__ACCESS_KEY": account.access_key,
        "RECORDING__S3__SECRET_KEY": account.secret_key,
        "RECORDING__S3__LIVE": "true",
        "RECORDING__OGG": "[]",
        "RECORDING__MIN_FREE_MB": "0",
        "SIMULATOR__RING_SECONDS": "0.1",
        "RECOVERY__ENABLED": "false",  # the call ends with its machine
    }


def when(found, what, seconds):
    """Return what is found in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if value := found():
                return value
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.2)
    raise AssertionError(what)


def published(database, call_id):
    """How many recordings of a call were announced as ready."""

    async def count():
        connection = await asyncpg.connect(database)
        try:
            rows = await connection.fetch("SELECT body FROM events WHERE call_id = $1", call_id)
        finally:
            await connection.close()
        return sum(b'"recording.ready"' in row["body"] for row in rows)

    return asyncio.run(count())


def test_another_machine_assembles_what_a_lost_one_recorded(tmp_path, s3_bucket, database):
    account = s3_bucket.account()
    with running(tmp_path / "here", **settings(account, database)) as here:
        lost = settings(account, database)
        with running(tmp_path / "lost", **lost) as there:
            call_id = there.post("/call/dial", {"phone": TALKS})["callId"]
            when(
                lambda: there.post("/call/record/start", {"callId": call_id}),
                "the call was not recorded",
                10.0,
            )
            time.sleep(SECONDS)
            there.process.kill()
            there.process.wait()

        def tracks():
            found = here.get(f"/call/{call_id}/recordings")["recordings"]
            return found if {one["status"] for one in found} == {"completed"} else None

        for track in when(tracks, here.log(), 90.0):
            pcm = parse_wav(here.content(track["url"])).pcm
            assert len(pcm) // 32_000 in (5, 10), "complete parts of 5 s"
        recorded = tmp_path / "lost" / "data" / "recordings"
        assert len(list(recorded.rglob("*.wav"))) == 3
        when(lambda: len(s3_bucket.objects()) == 3, "the parts were not deleted", 30.0)
        # It returns: what it has is one too many, and nothing is published again.
        with running(tmp_path / "lost", **lost):
            when(lambda: not list(recorded.rglob("*.wav")), "a file is left", 30.0)
            assert len(tracks() or []) == 3
        assert published(database, call_id) == 3

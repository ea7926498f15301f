"""The jobs of Meta's recordings and transcripts: taken once, put off, and stopped by an erasure."""

import pytest

from bridge.call.model import LineName
from bridge.stores import cloud_media
from bridge.stores.cloud import CloudStore
from bridge.stores.cloud_media import DELETING, DONE, LEASE_SECONDS, WAITING
from bridge.wire.cloud_recordings import MediaAvailable, MediaKind
from tests.support.databases import open_database
from tests.support.whatsapp.left_behind import member

LINE, KEY = LineName("main"), "main\nwacid.A"
RECORDING = MediaAvailable("wacid.A", "900", MediaKind.RECORDING, "1001", "hash", "https://a")


@pytest.fixture
async def database(engine):
    made = open_database(engine)
    yield made
    await made.aclose()


async def told(database, event=RECORDING, *, now=100.0):
    await database.run(cloud_media.insert, LINE, KEY, event, now=now)


async def take(database, now):
    return await database.run(cloud_media.take, [LINE], now=now)


async def test_a_job_is_taken_by_one_until_its_lease_runs_out(database):
    await told(database)
    await told(database)
    first = await take(database, 100.0)
    assert (first.media_id, first.kind, first.status, first.attempts) == (
        "1001",
        "recording",
        WAITING,
        0,
    )
    assert await take(database, 100.0 + LEASE_SECONDS - 1) is None
    again = await take(database, 100.0 + LEASE_SECONDS)
    assert again.attempts == 1


async def test_a_job_is_done_once_whoever_does_it(database):
    await told(database)
    job = await take(database, 100.0)
    assert await database.run(cloud_media.move, job, DELETING, now=101.0)
    assert not await database.run(cloud_media.move, job, DELETING, now=102.0)
    await database.run(cloud_media.postpone, job, due_at=9_999.0)
    deleting = await take(database, 102.0)
    assert (deleting.status, deleting.attempts, deleting.url) == (DELETING, 0, "")
    assert await database.run(cloud_media.move, deleting, DONE, now=103.0)
    assert await take(database, 9_999.0) is None
    await told(database, now=9_999.0)
    assert await take(database, 9_999.0) is None, "Meta has sent the webhook again"


@pytest.mark.parametrize("delete", [True, False])
async def test_an_erasure_stops_a_download(database, delete):
    calls = CloudStore(database, own=member(0))
    await calls.claim(KEY, LINE)
    calls.name(KEY, "call")
    await told(database)
    job = await take(database, 100.0)
    await database.run(cloud_media.erase, LINE, "other", delete=delete, now=101.0)
    await database.run(cloud_media.erase, LINE, "call", delete=delete, now=101.0)
    assert not await database.run(cloud_media.move, job, DONE, now=101.0)
    following = await take(database, 101.0)
    assert (following.status if following else None) == (DELETING if delete else None)


async def test_our_id_of_a_call_is_found_until_meta_may_say_no_more_of_it(database):
    calls = CloudStore(database, own=member(0))
    await calls.claim(KEY, LINE)
    assert await database.run(cloud_media.call_of, KEY) is None
    calls.name(KEY, "call")
    calls.ended(KEY)
    await calls.claim("main\nwacid.B", LINE)
    assert await database.run(cloud_media.call_of, KEY) == "call"

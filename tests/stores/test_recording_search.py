"""The search for recordings: the mix of each call, by day, party and number."""

from dataclasses import replace

import pytest

from bridge.call.model import CallId, LineName
from bridge.errors import NotFound
from bridge.stores import recordings as rows
from bridge.stores.recording_search import RecordingSearch, Search
from bridge.stores.recordings import Begin
from tests.stores.test_recordings import TRACK
from tests.support.databases import open_database

SALES = LineName("sales")
FIRST = replace(TRACK, recording_id="rec_" + "1" * 24, status="completed")
LATER = replace(
    FIRST,
    recording_id="rec_" + "2" * 24,
    call_id=CallId("00" + "B" * 30),
    started_at="2026-01-02T23:59:59.000Z",
)


@pytest.fixture
async def search(engine):
    database = open_database(engine)
    side = replace(LATER, recording_id="rec_3", kind="inbound")
    for begin in (Begin([FIRST], "+1", "+2"), Begin([LATER, side], "+2", "+3")):
        await database.run(rows.insert, begin)
    yield RecordingSearch(database)
    await database.aclose()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Search(), [LATER, FIRST]),
        (Search(from_date="2026-01-02"), [LATER]),
        (Search(to_date="2026-01-01"), [FIRST]),
        (Search(from_="+2"), [LATER]),
        (Search(to="+2"), [FIRST]),
        (Search(call_id=FIRST.call_id), [FIRST]),
        (Search(numbers=("+1", "+3")), [LATER, FIRST]),
        (Search(numbers=("+4",)), []),
    ],
)
async def test_the_mixes_that_meet_all_conditions_are_found_newest_first(search, wanted, found):
    page, total = await search.page(SALES, wanted, limit=10, offset=0)
    assert [one.recording_id for one in page] == [one.recording_id for one in found]
    assert total == len(found)


async def test_a_page_is_a_part_of_what_is_found(search):
    page, total = await search.page(SALES, Search(), limit=1, offset=1)
    assert ([one.recording_id for one in page], total) == ([FIRST.recording_id], 2)


async def test_a_recording_is_found_by_its_number_on_its_own_line_alone(search):
    [found] = (await search.page(SALES, Search(from_="+1"), limit=1, offset=0))[0]
    assert await search.by_number(SALES, found.number) == found
    with pytest.raises(NotFound):
        await search.by_number(LineName("other"), found.number)

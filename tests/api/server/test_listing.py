"""The lists of calls."""

from types import SimpleNamespace
from typing import Any

from bridge.api.server.auth import Access
from bridge.api.server.listing import recorded_calls
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, RECORDS
from bridge.call.model import LineName
from bridge.errors import DatabaseLost

SALES = LineName("sales")


async def test_while_the_database_is_lost_this_nodes_recordings_are_known():
    records = [SimpleNamespace(facts=SimpleNamespace(call_id=name)) for name in ("00A", "00B")]

    async def calls(line):
        return records

    async def lost(line, call_ids):
        raise DatabaseLost("the database cannot be reached")

    recordings = SimpleNamespace(
        archive=SimpleNamespace(being_recorded=lost), active=lambda call_id: call_id == "00B"
    )
    services = {
        CONTROL: SimpleNamespace(manager=SimpleNamespace(list=calls)),
        RECORDS: SimpleNamespace(recordings=recordings),
    }
    request: Any = SimpleNamespace(app=services)
    found = await recorded_calls(Context(request, Access(SALES)))
    assert [is_recorded for _, is_recorded in found] == [False, True]

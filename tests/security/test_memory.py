"""What one key leaves in memory is bounded, and never at the cost of another line."""

import tracemalloc
from typing import Any

from bridge.settings.model import Limits, Line
from tests.support.inprocess import KEY, running, settings

CALLS = 25
ROOM = 2_500_000
"""For metadata and records, and what client and bridge keep of each request; decoded it is 9 MB."""
OTHER = {"token": "another-lines-key"}
LINES = {"demo": Line(keys=["demo"]), "other": Line(keys=[OTHER["token"]])}


async def call_and_end(client, headers, **more) -> str:
    body = {"from": "a", "fromChannel": "webrtc", "to": "b", "toChannel": "webrtc"} | more
    response = await client.http.post("/v1/calls", json=body, headers=headers)
    assert response.status == 200, await response.text()
    call_id = str((await response.json())["id"])
    ended = await client.http.post("/call/hangup", json={"callId": call_id}, headers=headers)
    assert ended.status == 200
    return call_id


async def test_metadata_of_ended_calls_takes_no_more_memory_than_its_bytes():
    async with running() as client:
        body: dict[str, Any] = {"metadata": {"a": [{}] * 5_300}}
        await call_and_end(client, KEY, **body)
        tracemalloc.start()
        try:
            for _ in range(CALLS):
                await call_and_end(client, KEY, **body)
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert grown < ROOM


async def test_a_line_that_ends_many_calls_forgets_its_own_and_no_other_lines():
    chosen = settings(lines=LINES, limits=Limits(ended_per_line=5, overload_seconds=0.0))
    async with running(chosen) as client:
        other = await call_and_end(client, OTHER)
        ids = [await call_and_end(client, KEY) for _ in range(7)]
        found = [(await client.get(f"/v1/calls/{call_id}")).status for call_id in ids]
        kept = await client.get(f"/v1/calls/{other}", headers=OTHER)
    assert found == [404, 404, 200, 200, 200, 200, 200]
    assert kept.status == 200


async def test_a_lines_ended_calls_are_bounded_in_bytes():
    limits = Limits(ended_mb_per_line=0.1, overload_seconds=0.0)
    async with running(settings(lines=LINES, limits=limits)) as client:
        other = await call_and_end(client, OTHER)
        for _ in range(9):
            await call_and_end(client, KEY, metadata={"a": 15_000 * "x"})
        listed = await (await client.get("/v1/calls")).json()
        kept = await client.get(f"/v1/calls/{other}", headers=OTHER)
    assert listed["totalCount"] == 5
    assert kept.status == 200

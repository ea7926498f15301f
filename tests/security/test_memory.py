"""What one key leaves in memory is bounded, and never at the cost of another line."""

import tracemalloc
from typing import Any

from tests.support.inprocess import KEY, running

CALLS = 25
ROOM = 2_500_000
"""For metadata and records, and what client and bridge keep of each request; decoded it is 9 MB."""


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

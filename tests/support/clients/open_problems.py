"""The open problems of a call, notices included, as its API shows them."""

import asyncio
from typing import Any

from tests.support.inprocess import Client
from tests.support.virtual_time import monotonic

LOOK_SECONDS = 0.2


async def diagnosis(client: Client, call_id: str) -> Any:
    """Ask why a call has no audio."""
    response = await client.get(f"/call/{call_id}/diagnosis")
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def open_problems(client: Client, call_id: str) -> list[dict[str, Any]]:
    """Return the problems that a call has now, in their order."""
    found = await diagnosis(client, call_id)
    return [problem for problem in found["problems"] if problem["until"] is None]


async def first_problem(client: Client, call_id: str, *, within: float = 5.0) -> dict[str, Any]:
    """Wait for a problem of a call; return the first one.

    Raises:
        TimeoutError: there is none so soon.
    """
    due = monotonic() + within
    while not (found := await open_problems(client, call_id)):
        if monotonic() > due:
            raise TimeoutError(await diagnosis(client, call_id))
        await asyncio.sleep(LOOK_SECONDS)
    return found[0]


async def until_cleared(client: Client, call_id: str, code: str, *, within: float = 10.0) -> None:
    """Wait until a call has a problem no more."""
    async with asyncio.timeout(within):
        while code in [problem["code"] for problem in await open_problems(client, call_id)]:
            await asyncio.sleep(LOOK_SECONDS)

"""A call under diagnosis: what is found to be wrong with it, and how soon."""

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.support.inprocess import Client
from tests.support.virtual_time import monotonic

PROMPT = 5.0
"""Seconds within which a fault is to be named."""
CLEARED = 10.0
GOOD_SECONDS = 12.0
"""After which a good call has been looked at by every rule: the slowest waits seven."""


@dataclass
class Diagnosed:
    """A call whose problems are looked at, as anybody can."""

    client: Client
    call_id: str

    async def ask(self) -> dict[str, Any]:
        """Return the diagnosis."""
        response = await self.client.get(f"/call/{self.call_id}/diagnosis")
        assert response.status == 200, await response.text()
        data: dict[str, Any] = (await response.json())["data"]
        return data

    async def open(self) -> list[dict[str, Any]]:
        """Return the problems that have not ended, notices left out."""
        found = (await self.ask())["problems"]
        return [one for one in found if one["until"] is None and one["severity"] != "notice"]

    async def becomes(self, code: str, *, within: float = PROMPT) -> dict[str, Any]:
        """Wait until a problem is named, as the first and within seconds from now; return it."""
        began = monotonic()
        while not (found := await self.open()):
            assert monotonic() - began <= within, f"nothing found within {within} s"
            await asyncio.sleep(0.1)
        assert found[0]["code"] == code, found
        assert monotonic() - began <= within, found
        assert "{" not in found[0]["summary"] + found[0]["fix"]
        return found[0]

    async def clears(self, code: str, *, within: float = CLEARED) -> None:
        """Wait until a problem is no longer open."""
        began = monotonic()
        while any(one["code"] == code for one in await self.open()):
            assert monotonic() - began <= within, f"{code} is still open"
            await asyncio.sleep(0.1)

    async def fine(self) -> None:
        """Assert that nothing is wrong."""
        assert await self.open() == []

"""The call that a bot joins which connects to the bridge by itself: where it is, and requests about it."""

import os
from typing import Any

import aiohttp

URL = os.environ["BRIDGE_URL"]
KEY = os.environ["BRIDGE_KEY"]
CALL_ID = os.environ["BRIDGE_CALL_ID"]


async def post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and return what is answered."""
    async with session.post(URL + path, json=body, headers={"token": KEY}) as response:
        response.raise_for_status()
        answer: dict[str, Any] = await response.json()
        return answer


async def hang_up(session: aiohttp.ClientSession) -> None:
    """End the call once its last word is heard."""
    await post(session, "/call/hangup", {"callId": CALL_ID, "after": "speech"})

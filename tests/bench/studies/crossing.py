"""What it costs a request to come in at the node that does not own the call.

Started by the bench with a plan (JSON) on standard input; writes the seconds of each request, at
the right node and at the wrong one, to standard output (JSON).
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack

import aiohttp
import uvloop

from tests.bench.generators.callers import KEY, node_of

REQUESTS = 300
"""At each node."""
_MAX_TRIES = 100
_PAUSE = 0.002
_HEADERS = {"token": KEY}


async def run(url: str, *, requests: int = REQUESTS) -> dict[str, list[float]]:
    """Ask for a call's quality at both nodes in turn, each over a connection it has taken."""
    async with AsyncExitStack() as stack:
        homes: dict[int, tuple[aiohttp.ClientSession, str]] = {}
        for _ in range(_MAX_TRIES):
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
            await stack.enter_async_context(session)
            call_id = await _dial(session, url)
            homes.setdefault(node_of(call_id), (session, call_id))
            if len(homes) > 1:
                break
        else:
            raise ConnectionError("one node took every connection")
        (own, call_id), (other, _) = homes[0], homes[1]
        found: dict[str, list[float]] = {"right": [], "wrong": []}
        for number in range(2 * requests):
            session, place = (own, "right") if number % 2 == 0 else (other, "wrong")
            begun = time.monotonic()
            async with session.get(f"{url}/call/{call_id}/quality", headers=_HEADERS) as reply:
                await reply.read()
                if reply.status != 200:
                    raise ConnectionError(f"{reply.status} at the {place} node")
            found[place].append(time.monotonic() - begun)
            await asyncio.sleep(_PAUSE)
    return found


async def _dial(session: aiohttp.ClientSession, url: str) -> str:
    async with session.post(
        f"{url}/call/dial", json={"channel": "webrtc"}, headers=_HEADERS
    ) as reply:
        call_id: str = (await reply.json())["data"]["callId"]
        return call_id


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    found = uvloop.run(run(plan["url"], requests=plan.get("requests", REQUESTS)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

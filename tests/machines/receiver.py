"""A customer's webhook receiver in a process of its own: every delivery becomes a line of a file.

    python -m tests.machines.receiver HOST PORT FILE

It answers 500 to a share of the deliveries, so that each of them may come more than once.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from aiohttp import web

_REFUSED = 10
"""One of so many is refused, after it was noted."""


def application(file: Path) -> web.Application:
    """Return a server that appends what it takes to the file."""
    count = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        event = json.loads(await request.read())
        row = {
            "delivery": request.headers["webhook-id"],
            "id": event["id"],
            "type": event["type"],
            "call": event.get("callId", ""),
            "data": event["data"],
            "at": time.time(),
        }
        with file.open("a") as lines:
            lines.write(f"{json.dumps(row)}\n")
        return web.Response(status=200 if count % _REFUSED else 500)

    made = web.Application()
    made.router.add_post("/hook", take)
    return made


async def main(host: str, port: int, file: Path) -> None:
    """Serve until killed."""
    runner = web.AppRunner(application(file))
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))

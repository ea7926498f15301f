"""A call from a browser in a network of its own, and what happens to that network."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.browser.stage import tone
from tests.browser.stage.network import Namespace, namespace
from tests.browser.stage.window import Window, window
from tests.support.server import running

KEY = "a-key-for-a-roaming-browser"
CHANGES = ("move", "hole", "cable")
"""Another address; every packet lost for a while; no cable for a while."""
LIMITS = {"move": 5.0, "hole": 3.0, "cable": 3.0}
"""Seconds within which sound has to be back after the change, or after the network's return."""


@dataclass(frozen=True, slots=True)
class Roaming:
    """A page whose tone comes back through the bridge."""

    network: Namespace
    page: Window

    async def change(self, what: str, *, seconds: float = 0.0) -> float:
        """Let something happen to the network; gives the seconds from its end until the tone is back."""
        await tone.loud(self.page)
        match what:
            case "move":
                began = time.time()
                self.network.move()
                # Silence shows a moment later: what was received is played first.
                return await tone.sound_back(self.page, began, within=30.0, settled=8.0)
            case "hole":
                self.network.black_hole()
                await asyncio.sleep(seconds)
                self.network.restore()
            case "cable":
                self.network.unplug()
                await asyncio.sleep(seconds)
                self.network.plug()
            case _:
                raise ValueError(what)
        return await tone.sound_back(self.page, time.time(), within=30.0)

    async def states(self) -> list[str]:
        """What the library has told so far."""
        return [state for _, state in await self.page.evaluate(tone.STATES)]


@asynccontextmanager
async def roaming(engine: str, folder: Path) -> AsyncIterator[Roaming]:
    """Start a bridge and a browser that reaches it by one cable, and call the echo contact."""
    async with AsyncExitStack() as stack:
        network = stack.enter_context(namespace())
        server = stack.enter_context(
            running(
                folder,
                key=KEY,
                HTTP__HOST="0.0.0.0",
                LINES__ROAMING__KEYS=json.dumps([KEY]),
                RTC__BIND=json.dumps([network.gateway]),
                SIMULATOR__RING_SECONDS="0.1",
            )
        )
        origin = f"http://{network.gateway}:{server.port}"
        page = await stack.enter_async_context(window(engine, namespace=network, secure=[origin]))
        await page.goto(origin + "/healthz")
        await tone.call(page, KEY)
        yield Roaming(network, page)

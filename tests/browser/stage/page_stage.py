"""A stage for a browser: a page that is driven as the programs of tests/stacks are."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.stage.window import Window
from tests.stacks.caller import Caller
from tests.stacks.sound import recorded
from tests.support.machine import own_address
from tests.support.server import Server
from tests.support.sound.speech_compare import Pcm

HERE = Path(__file__).parent
CALLER = HERE.parents[1] / "stacks" / "w3c_caller.mjs"
RUN = "(command) => window.caller.run(command).catch((error) => ({ error: String(error) }))"


@dataclass(frozen=True, slots=True)
class PageStage:
    """A stage for Chromium or Firefox."""

    name: str
    folder: Path
    window: Callable[[], AbstractAsyncContextManager[Window]]
    server: Server
    """Serves an empty page; the calls are those of other bridges."""
    media: str = field(default_factory=own_address)
    """Not loopback: Firefox offers no address of it to a page that has not asked for a microphone."""

    @asynccontextmanager
    async def caller(
        self, *, pauses: bool = False, address: str = "", prefix: Sequence[str] = ()
    ) -> AsyncIterator[Caller]:
        """Open a window; a browser chooses its addresses itself."""
        async with self.window() as page:
            yield await page_caller(page, self.server.url, pauses=pauses)


async def page_caller(
    page: Window, url: str, sound: Pcm | None = None, *, pauses: bool = False
) -> Caller:
    """Make a caller of a window; `sound` is what it says in place of the usual."""
    await page.goto(f"{url}/healthz")
    text = CALLER.read_text().replace("export class", "class")
    function = (HERE / "page_caller.js").read_text()
    wanted = recorded(sound, pauses=pauses)
    made = function[function.index("async (") :]
    await page.evaluate(f"async (sound) => {{ {text}; await ({made})(sound); }}", wanted)

    async def run(command: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any] = await page.evaluate(RUN, command)
        return reply

    return Caller(run)

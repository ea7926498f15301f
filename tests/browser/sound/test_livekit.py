"""LiveKit's SDK for JavaScript, unchanged, in Chromium, as a party of calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ConsoleMessage

from tests.browser.stage.page_stage import HERE
from tests.browser.stage.window import Engines
from tests.stacks.caller import Caller
from tests.stacks.livekit_sdks.party import heard_tone, join, near_legs, until_loud, until_quiet
from tests.support.inprocess import Client, running, settings
from tests.support.waiting import until_answer

ECHO = "15550100001"
PROJECT = Path(__file__).parents[3]
UMD = Path("node_modules", "livekit-client", "dist", "livekit-client.umd.js")
NEW, OLD = PROJECT / "examples" / "livekit" / UMD, PROJECT / "tests" / "stacks" / UMD
CONNECTS = 10
RUN = "(command) => window.party.run(command).catch((error) => ({ error: String(error) }))"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (NEW.exists() and OLD.exists()),
        reason="livekit-client is not installed (make test-tools)",
    ),
]


@asynccontextmanager
async def page_party(
    engines: Engines, client: Client, sdk: Path
) -> AsyncIterator[tuple[Caller, list[str]]]:
    """Make a party of a window of Chromium; also return the errors on its console as they come."""
    async with engines.window("chromium") as page:
        errors: list[str] = []
        window: Any = page
        window.on("console", lambda said: _note(errors, said))
        window.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{client.http.make_url('/healthz')}")
        await window.add_script_tag(path=sdk)
        function = (HERE / "livekit_page.js").read_text()
        await page.evaluate(function[function.index("() =>") :])

        async def run(command: dict[str, Any]) -> dict[str, Any]:
            reply: dict[str, Any] = await page.evaluate(RUN, command)
            return reply

        yield Caller(run), errors


async def _muted(client: Client) -> bool:
    [call] = await client.calls()
    return bool(near_legs(client, call["callId"])[0].muted)


def _note(errors: list[str], said: ConsoleMessage) -> None:
    if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
        errors.append(said.text)


@pytest.mark.parametrize(
    ("script", "single", "connects"),
    [(NEW, True, CONNECTS), (NEW, False, 3), (OLD, False, 3)],
    ids=["one connection", "two connections", "2.5.0"],
)
async def test_it_connects_again_and_again_and_is_heard_and_hears_each_time(
    engines: Engines, script: Path, single: bool, connects: int
):
    async with running(settings()) as client, page_party(engines, client, script) as (sdk, errors):
        for number in range(connects):
            call_id = await client.dial(ECHO)
            await join(client, call_id, sdk, single=single)
            await sdk.ask("publish", hertz=440.0)
            if number == 0:
                await heard_tone(sdk, 440.0)
                await sdk.ask("mute", muted=True)
                await until_answer(lambda: _muted(client))
                await until_quiet(sdk)
                await sdk.ask("mute", muted=False)
            await until_loud(sdk, seconds=0.1)
            await sdk.ask("leave")
            await client.data("/call/hangup", {"callId": call_id})
        assert [error for error in errors if "Rejected data channel transport" not in error] == []

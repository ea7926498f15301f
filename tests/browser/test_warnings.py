"""What the library says of the sound of a call when somebody is silent, muted or paused."""

import asyncio
from typing import Any

import pytest

from tests.browser.stage import tone
from tests.browser.stage.window import FIREFOX_IN_LONG, Engines, Window
from tests.support.server import Server

SILENT = {"microphone_silent", "silence_received"}


async def qualities(page: Window, change: str, *, seconds: int) -> list[dict[str, Any]]:
    """Change something in the app; gives the quality of the seconds that follow."""
    await page.evaluate(f"() => {{ window.app.qualities.length = 0; {change}; }}")
    async with asyncio.timeout(30):
        while True:
            told: list[dict[str, Any]] = await page.evaluate("() => window.app.qualities")
            if len(told) >= seconds:
                return told
            await asyncio.sleep(0.2)


async def changed(
    engine: str, engines: Engines, server: Server, change: str, *, seconds: int
) -> list[dict[str, Any]]:
    """Do so in a call of its own."""
    async with engines.window(engine) as page:
        await page.goto(server.url + "/healthz")
        await tone.call(page)
        await tone.loud(page)
        return await qualities(page, change, seconds=seconds)


@pytest.mark.parametrize("engine", FIREFOX_IN_LONG)
async def test_warnings_tell_silence_from_what_the_page_did_itself(
    engine: str, engines: Engines, server: Server
):
    player, muted, silent = await asyncio.gather(
        changed(engine, engines, server, "window.app.player.muted = true", seconds=9),
        changed(engine, engines, server, "void window.app.call.setMuted(true)", seconds=4),
        changed(engine, engines, server, "window.app.gain.gain.value = 0", seconds=9),
    )

    # A busy machine may lose audio, which is warned of too, in other words.
    assert [second for second in player if SILENT.intersection(second["warnings"])] == []
    assert player[-1]["levelIn"] > 0.01
    # The echo pauses with its speaker; nothing was lost.
    assert all(second["mos"] is None or second["concealed"] < 0.1 for second in muted)
    assert [second for second in muted if "microphone_silent" in second["warnings"]] == []
    assert SILENT.issubset(silent[-1]["warnings"])

"""A page that is reloaded in the middle of a call."""

import pytest

from tests.browser.stage import tone
from tests.browser.stage.window import ENGINES, Engines, Window
from tests.support.server import Server

LEG = "() => window.app.call.legId"


async def reload(page: Window, call_id: str, leg: str) -> None:
    """Reload the page; the app then comes back to its call with what it had kept."""
    await page.reload()
    await tone.call(page, callId=call_id, legId=leg)
    await tone.loud(page)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_reloaded_page_goes_on_with_its_leg(engine: str, engines: Engines, server: Server):
    async with engines.window(engine) as page:
        await page.goto(server.url + "/healthz")
        call_id = await tone.call(page)
        await tone.loud(page)
        leg = await page.evaluate(LEG)

        await reload(page, call_id, leg)
        again = await page.evaluate(LEG)
        await reload(page, call_id, leg)

        assert (again, await page.evaluate(LEG)) == (leg, leg)
        assert [call["callId"] for call in server.get("/call/status")["calls"]] == [call_id]


@pytest.mark.browser
async def test_a_page_whose_leg_is_unknown_joins_as_a_new_one(engines: Engines, server: Server):
    async with engines.window("chromium") as page:
        await page.goto(server.url + "/healthz")
        await tone.call(page, legId="leg_of_another_call")
        await tone.loud(page)

        assert (await page.evaluate(LEG)).startswith("leg_")
        assert await page.evaluate("() => window.heard.peers.length") == 2

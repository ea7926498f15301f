"""The client library finds its call again after the machine that had it has died."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import APIResponse, Browser, Page, Route

from tests.browser.stage.chromium import Visitor, record
from tests.browser.stage.speech import level
from tests.browser.test_bridge_js import ECHO, connect, echoing
from tests.support.machine import free_port
from tests.support.server import Server, running

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.full]

SECRET = "the secret of two machines, made for this test"
BACK_SECONDS = 17.0
BUSY = 2.0


@dataclass
class Machines:
    """A machine that is to die, and another one."""

    first: Server
    second: Server


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> Iterator[Machines]:
    common = {
        "DATA__URL": postgres_url,
        "CLUSTER__SECRET": SECRET,
        "SIMULATOR__RING_SECONDS": "0.3",
    }
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    with (
        running(tmp_path / "second", **common, CLUSTER__URL=urls[1]) as second,
        running(tmp_path / "first", **common, CLUSTER__URL=urls[0]) as first,
    ):
        yield Machines(first, second)
        first.process.kill()
        first.process.wait()


async def balance(page: Page, at: Machines) -> list[int]:
    """Lead the page's requests to the second machine once the first is dead; return the statuses of offers there."""
    statuses: list[int] = []

    async def lead(route: Route) -> None:
        if at.first.process.poll() is None:
            return await route.continue_()
        url = route.request.url.replace(at.first.url, at.second.url)
        kept = {k: v for k, v in route.request.headers.items() if k not in ("origin", "referer")}
        reply: APIResponse = await route.fetch(url=url, headers=kept)
        if url.endswith("/offer"):
            statuses.append(reply.status)
        return await route.fulfill(response=reply)

    await page.route("**/call/**", lead)
    return statuses


async def test_a_page_is_heard_again_at_another_machine_under_its_leg_id(
    browser: Browser, machines: Machines
):
    async with Visitor.visit(browser, machines.first, path="/healthz") as visitor:
        page = visitor.page
        statuses = await balance(page, machines)
        await connect(page, ECHO)
        await echoing(page)
        leg = await page.evaluate("() => window.app.call.legId")
        await asyncio.sleep(10.0)  # until the second machine declares anybody dead
        machines.first.process.kill()
        died = time.monotonic()
        await page.wait_for_function("() => window.app.call.state === 'reconnecting'")
        noticed = time.monotonic() - died
        await page.wait_for_function("() => window.app.call.state === 'connected'", timeout=60_000)
        back = time.monotonic() - died
        print(f"noticed after {noticed:.1f} s, back after {back:.1f} s, offers: {statuses}")
        assert noticed < 3.0 * BUSY
        assert back < BACK_SECONDS * BUSY
        assert await page.evaluate("() => window.app.call.legId") == leg
        assert set(statuses) == {503, 200}
        assert level((await record(page, 3)).received) > -45

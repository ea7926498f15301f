"""The page of rehearsed calls in a real Chromium, as a file on disk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bridge.rehearse.report_html import html
from tests.browser.stage.axe import needs_axe, violations
from tests.browser.stage.chromium import SCHEMES
from tests.rehearse.results import ALL

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session", params=SCHEMES)
async def page(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """The page on a telephone; it must ask for nothing, and complain of nothing."""
    (tmp_path / "report.html").write_text(html(ALL))
    page = await browser.new_page(viewport=PHONE, color_scheme=request.param)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("request", lambda asked: complaints.append(asked.url.partition(",")[0]))
    address = (tmp_path / "report.html").as_uri()
    await page.goto(address)
    yield page
    asked = [each for each in complaints if each != address and not each.startswith("data:audio/")]
    assert asked == []
    await page.close()


async def test_a_moment_of_a_check_is_played(page: Page):
    await page.get_by_role("button", name="2.00 s").first.click()

    await page.wait_for_function(
        "[...document.querySelectorAll('audio')].some((each) => each.currentTime > 1.6)"
    )
    await expect(page.locator(".strip.playing .playhead")).to_have_count(1)


async def test_a_failure_leads_to_its_scenario(page: Page):
    await page.locator(".scenario.failed > summary").first.click()
    await page.get_by_role("link", name="It stops & listens").click()

    await expect(page.locator("#barge-in .checks")).to_be_in_viewport()


async def test_a_telephone_scrolls_nothing_sideways(page: Page):
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")

    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@needs_axe
async def test_axe_finds_nothing(page: Page):
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")

    assert await violations(page) == []

"""The guide in a real Chromium, under the content security policy of the bridge's pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.stage.axe import needs_axe, violations
from tests.browser.stage.chromium import SCHEMES
from tests.support.guide import PROJECT, build, served

pytestmark = pytest.mark.browser

KINDS = {"index", "architecture", "operations-machines"}
"""Pages with all there is on one: lists, code, tables, drawings, text that scrolls sideways."""
OTHERS = {"changelog", "contributing", "security-policy"}
"""Pages from outside docs/."""
PAGES = [
    pytest.param(f"{name}.html", marks=() if name in KINDS else pytest.mark.full)
    for name in sorted({path.stem for path in (PROJECT / "docs").glob("*.md")} | OTHERS)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("guide")
    assert build(built).returncode == 0
    return built


@pytest_asyncio.fixture(loop_scope="session")
async def start(folder: Path) -> AsyncIterator[str]:
    """The address of the guide."""
    async with served(folder) as server:
        yield str(server.make_url("/docs/guide/"))


async def visit(browser: Browser, address: str, **look: object) -> tuple[Page, list[str]]:
    page = await browser.new_page(**look)  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto(address)
    return page, complaints


async def test_a_reader_follows_links_and_searches(browser: Browser, start: str):
    page, complaints = await visit(browser, start)
    await page.get_by_role("navigation").get_by_role("link", name="Troubleshooting").click()
    await expect(page.get_by_role("heading", name="No audio", exact=True)).to_be_visible()
    await page.get_by_role("searchbox").fill("jitter buffer")
    await page.locator("#found a").first.click()
    await expect(page.locator("h1")).to_be_visible()
    assert complaints == []
    await page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["", "http-api.html", "settings.html", "architecture.html"])
async def test_a_telephone_shows_a_page_without_scrolling_sideways(
    browser: Browser, start: str, scheme: str, name: str
):
    narrow = {"width": 390, "height": 844}
    page, complaints = await visit(browser, start + name, viewport=narrow, color_scheme=scheme)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert complaints == []
    await page.close()


@needs_axe
@pytest.mark.parametrize("name", PAGES)
async def test_axe_finds_nothing_on_a_page(browser: Browser, start: str, name: str):
    page, _ = await visit(browser, start + name)
    assert await violations(page) == []
    await page.close()


@needs_axe
async def test_axe_finds_nothing_beside_the_results_of_a_search(browser: Browser, start: str):
    page, _ = await visit(browser, start)
    await page.get_by_role("searchbox").fill("jitter buffer")
    await expect(page.locator("#found a").first).to_be_visible()
    assert await violations(page) == []
    await page.close()

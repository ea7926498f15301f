"""How much the pages are on the wire, for a browser that has never been here."""

import pytest
from playwright.async_api import Browser

from tests.browser.stage.page_load import load
from tests.support.server import Server

pytestmark = pytest.mark.browser

MAX_BYTES = 60_000


@pytest.mark.parametrize(("path", "least"), [("/", 25), ("/console", 12)])
async def test_a_page_is_less_than_60_kb_on_the_wire(
    browser: Browser, server: Server, path: str, least: int
):
    found = await load(browser, server.url, path)

    assert len(found.responses) >= least
    assert found.size <= MAX_BYTES, sorted(found.responses.values())

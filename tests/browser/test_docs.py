"""The pages about the API in a real Chromium."""

import pytest
from playwright.async_api import Browser, expect

from bridge.api.openapi import FACES, OPERATIONS
from tests.support.server import Server

pytestmark = pytest.mark.browser


async def test_every_operation_is_shown_under_its_face(browser: Browser, server: Server):
    page = await browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await page.goto(f"http://127.0.0.1:{server.port}/docs")
    await expect(page.locator("#faces > section[id]")).to_have_count(len(FACES))
    await expect(page.locator("#faces > section[id] > details")).to_have_count(len(OPERATIONS))
    wadial = page.locator("#face-WADial details", has_text="/mute")
    await wadial.locator("summary").click()
    await expect(wadial.locator("table").first).to_be_visible()
    await expect(wadial).to_contain_text("WadialError")
    assert complaints == []
    await page.close()


async def test_a_telephone_shows_every_operation_without_scrolling_sideways(
    browser: Browser, server: Server
):
    page = await browser.new_page(viewport={"width": 390, "height": 844})
    await page.goto(f"http://127.0.0.1:{server.port}/docs")
    await expect(page.locator("#faces > section[id]")).to_have_count(len(FACES))

    await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.close()


async def test_names_in_sentences_are_set_as_code(browser: Browser, server: Server):
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{server.port}/docs")
    await expect(page.locator("#faces > section[id]")).to_have_count(len(FACES))

    assert "`" not in (await page.locator("#faces").text_content() or "`")
    offer = page.locator("#face-WebRTC summary", has_text="/call/webrtc/offer")
    await expect(offer.locator("code").nth(1)).to_have_text("legID")
    await page.close()

"""The page that joins calls with LiveKit's client SDK, as `make example-livekit` starts it."""

import pytest
from playwright.async_api import async_playwright, expect

from tests.browser.stage.chromium import SPEECH, launch
from tests.examples.program import running_example
from tests.stacks.clients import PROJECT

SDK = PROJECT / "examples" / "livekit" / "node_modules" / "livekit-client"
HEARD = "() => document.getElementById('other').value > 0.1"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not SDK.exists(), reason="livekit-client is not installed (make test-tools)"
    ),
]


async def test_a_visitor_presses_call_and_hears_the_echo(tmp_path):
    with running_example(tmp_path, "livekit") as example:
        async with async_playwright() as playwright:
            browser = await launch(playwright, microphone=SPEECH)
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{example.port}/")
            await page.get_by_role("button", name="Call").click()
            state = page.get_by_role("status")
            await expect(state).to_have_text("+15550100001: active", timeout=30_000)
            await page.wait_for_function(HEARD)
            await page.get_by_role("button", name="Hang up").click()
            await expect(state).to_have_text("The call is over.")
            await browser.close()
        assert "call.ended" in example.text()

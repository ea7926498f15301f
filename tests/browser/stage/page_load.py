"""What a page costs that Chromium has never seen: bytes on the wire, and time until it can be used."""

from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, expect

READY = {
    "/": "#bridge:text-is('Ready for calls')",
    "/console": "main h1, main h2",
    "/docs": "#faces > section",
}
"""By path: what is there once the page can be used."""
_TIMES = """() => {
  const [{ domContentLoadedEventEnd, loadEventEnd }] = performance.getEntriesByType("navigation");
  return { parsed: domContentLoadedEventEnd, loaded: loadEventEnd, now: performance.now() };
}"""


@dataclass(slots=True)
class PageLoad:
    """One visit with an empty cache."""

    responses: dict[str, int] = field(default_factory=dict)
    """Bytes of each response with its headers, as it was on the wire, by request."""
    addresses: dict[str, str] = field(default_factory=dict)
    """By request."""
    usable_ms: float = 0.0
    """From the beginning of the navigation until what `READY` names is there."""

    @property
    def size(self) -> int:
        """Bytes of all responses."""
        return sum(self.responses.values())


async def load(browser: Browser, url: str, path: str) -> PageLoad:
    """Open a page of the bridge in a fresh window, and wait until it can be used and all has arrived."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        network = await context.new_cdp_session(page)
        found = PageLoad()

        def asked(event: dict[str, Any]) -> None:
            found.addresses[event["requestId"]] = event["request"]["url"]

        def arrived(event: dict[str, Any]) -> None:
            found.responses[event["requestId"]] = round(event["encodedDataLength"])

        network.on("Network.requestWillBeSent", asked)
        network.on("Network.loadingFinished", arrived)
        await network.send("Network.enable")
        await page.goto(url + path)
        await expect(page.locator(READY[path]).first).to_be_visible()
        found.usable_ms = (await page.evaluate(_TIMES))["now"]
        await page.wait_for_timeout(500)
        return found
    finally:
        await context.close()

"""The picture that README and guide open with: the page in a live call, and the sentence of a broken one.

`make pictures` writes it anew, light and dark; tests hold it against the page by its words, not by its pixels.
"""

import asyncio
import io
import os
import re
from pathlib import Path

import av
import pytest
from playwright.async_api import Browser, FloatRect, expect

from bridge.call.diagnosis.problems import RULES, Code
from tests.browser.stage.chromium import Visitor
from tests.support.server import PROJECT, Server

TALKS = "15550100002"
FAULT = RULES[Code.SPEAKER_MISSING]
SIZE = (980, 900)
SECONDS = 40.0
"""Of the call, when it is drawn: charts want something to show."""
MAX_BYTES = 100_000
GONE = "() => Object.defineProperty(HTMLMediaElement.prototype, 'sinkId', { get: () => 'gone' })"
LOUD = """
() => ["you", "them"].every((one) => parseFloat(document.querySelector(`#meter-${one}-text`).value) > -25)
"""
SCHEMES = ["light", "dark"] if os.environ.get("WRITE_PICTURES") else ["light"]
"""The sentences are the same in both: the second is for the picture alone."""
PAGES = ("README.md", "docs/index.md")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_call_that_is_not_heard_says_why(browser: Browser, server: Server, scheme: str):
    width, height = SIZE
    window = {"width": width, "height": height}
    async with Visitor.visit(
        browser, server, color_scheme=scheme, viewport=window, device_scale_factor=2
    ) as visitor:
        await visitor.call(TALKS, clean=True)
        await visitor.page.evaluate(GONE)
        await expect(visitor.see("fault-summary")).to_have_text(FAULT.summary, timeout=60_000)
        await expect(visitor.see("fault-fix")).to_have_text(FAULT.fix)
        await visitor.see("diagnosis").locator("summary").click()
        await expect(visitor.page.locator("#stations li")).to_have_count(5)
        await expect(visitor.page.locator("#stations li").last).to_contain_text("broken")
        if os.environ.get("WRITE_PICTURES"):
            # On a machine with nothing else to do: beside other tests the quality is not very good all the time.
            await asyncio.sleep(SECONDS)
            await expect(visitor.see("verdict")).to_have_text("Very good", timeout=60_000)
        await visitor.page.mouse.move(0, 0)
        await visitor.page.wait_for_function(LOUD)
        shot = await visitor.page.screenshot(clip=await _top(visitor))
    if os.environ.get("WRITE_PICTURES"):
        _write(PROJECT / "docs" / f"page-{scheme}.webp", shot)


async def _top(visitor: Visitor) -> FloatRect:
    """Return the part of the page above the card that is not in use."""
    unused = await visitor.page.locator(".card.test").bounding_box()
    assert unused is not None
    return {"x": 0, "y": 0, "width": SIZE[0], "height": unused["y"]}


def _write(path: Path, shot: bytes) -> None:
    """Pack a PNG as a WebP without loss, which is a third of its size."""
    with av.open(io.BytesIO(shot), "r") as png:
        frame = next(png.decode(video=0))
    with av.open(str(path), "w", format="webp") as file:
        stream = file.add_stream("libwebp", options={"lossless": "1", "compression_level": "6"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "bgra"
        for packet in (*stream.encode(frame.reformat(format="bgra")), *stream.encode()):
            file.mux(packet)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_with_it_light_and_dark_and_tells_in_words_what_it_shows(name):
    page = PROJECT / name
    opening = page.read_text().split("\n\n")[1]
    pictures = re.findall(r'src(?:set)?="([^"]+)"', opening)
    assert [Path(one).name for one in pictures] == ["page-dark.webp", "page-light.webp"]
    assert all((page.parent / one).stat().st_size <= MAX_BYTES for one in pictures)
    assert f"{FAULT.summary} {FAULT.fix}" in opening, "write it anew: make pictures"

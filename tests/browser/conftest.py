"""A bridge and a real Chromium for each test; the microphone is a speech file."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.chromium import SPEECH, Visitor, launch
from tests.support.server import Server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "bridge", SIMULATOR__RING_SECONDS="0.3") as started:
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await launch(playwright, microphone=SPEECH)
        yield started
        await started.close()


@pytest.fixture
async def visitor(browser: Browser, server: Server) -> AsyncIterator[Visitor]:
    """A person who has the page open in a window of a usual size."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(Visitor.visit(browser, server))

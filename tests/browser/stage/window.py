"""A window of Chromium or Firefox with the members that tests of the library need of both."""

import asyncio
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from tests.browser.stage.chromium import ARGUMENTS, SPEECH, WATCH, launch
from tests.browser.stage.firefox import Firefox, firefox
from tests.browser.stage.network import Namespace

ENGINES = [
    pytest.param("chromium", marks=pytest.mark.browser),
    pytest.param("firefox", marks=[pytest.mark.browser, pytest.mark.firefox]),
]


FIREFOX_IN_LONG = [
    ENGINES[0],
    pytest.param("firefox", marks=[pytest.mark.browser, pytest.mark.firefox, pytest.mark.full]),
]
"""Where nearly all the time goes by waiting, which is the same in either."""


class Window(Protocol):
    """What a test does with a page in either browser."""

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any:
        """Call a JavaScript function."""
        ...

    async def add_init_script(self, script: str, /) -> Any:
        """Run a script before those of every page."""
        ...

    async def goto(self, url: str, /) -> Any:
        """Open an address."""
        ...

    async def reload(self) -> Any:
        """Reload the page."""
        ...


class Engines:
    """Browsers that stay open from test to test; each test gets windows of its own."""

    def __init__(self, playwright: Playwright) -> None:
        self.playwright = playwright
        self._stack = AsyncExitStack()
        self._chromium: Browser | None = None
        self._firefox: Firefox | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def chromium(self) -> Browser:
        """Return a Chromium whose microphone is a speech file."""
        async with self._starting:
            if self._chromium is None or not self._chromium.is_connected():
                self._chromium = await launch(self.playwright, microphone=SPEECH)
                self._stack.push_async_callback(self._chromium.close)
            return self._chromium

    async def firefox(self) -> Firefox:
        """Return a Firefox whose microphone hums a tone."""
        async with self._starting:
            if self._firefox is None:
                self._firefox = await self._stack.enter_async_context(firefox())
            return self._firefox

    @asynccontextmanager
    async def window(self, engine: str) -> AsyncIterator[Window]:
        """Open a window of "chromium" or "firefox" that shares nothing with other windows."""
        async with AsyncExitStack() as stack:
            page: Window
            if engine == "firefox":
                page = await stack.enter_async_context((await self.firefox()).window())
            else:
                context = await (await self.chromium()).new_context(bypass_csp=True)
                stack.push_async_callback(context.close)
                page = await context.new_page()
            await page.add_init_script(WATCH)
            yield page


@asynccontextmanager
async def window(
    engine: str, *, namespace: Namespace, secure: Sequence[str] = ()
) -> AsyncIterator[Window]:
    """Start a browser inside a network and open a window with a fake microphone.

    Args:
        engine: "chromium" or "firefox".
        namespace: The browser's network.
        secure: Origins that get a microphone although they are plain HTTP.
    """
    async with AsyncExitStack() as stack:
        if engine == "firefox":
            hosts = [origin.rpartition("//")[2].partition(":")[0] for origin in secure]
            started = await stack.enter_async_context(firefox(namespace=namespace, secure=hosts))
            page: Window = await stack.enter_async_context(started.window())
        else:
            page = await stack.enter_async_context(_chromium(namespace, secure))
        await page.add_init_script(WATCH)
        yield page


@asynccontextmanager
async def _chromium(namespace: Namespace, secure: Sequence[str]) -> AsyncIterator[Window]:
    program = shutil.which("chromium") or "chromium"
    more = [f"--unsafely-treat-insecure-origin-as-secure={','.join(secure)}"] if secure else []
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "chromium"
        inside.write_text(f'#!/bin/sh\nexec {shlex.join(namespace.prefix)} {program} "$@"\n')
        inside.chmod(0o755)
        fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=str(inside), args=[*ARGUMENTS, *fake, *more]
            )
            yield await (await browser.new_context(bypass_csp=True)).new_page()
            await browser.close()

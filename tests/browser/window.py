"""A window of Chromium or Firefox with the members that tests of the library need of both."""

import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import async_playwright

from tests.browser.chromium import ARGUMENTS, WATCH
from tests.browser.firefox import firefox
from tests.browser.network import Namespace

ENGINES = [
    pytest.param("chromium", marks=pytest.mark.browser),
    pytest.param("firefox", marks=[pytest.mark.browser, pytest.mark.firefox]),
]


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


@asynccontextmanager
async def window(
    engine: str, *, namespace: Namespace | None = None, secure: Sequence[str] = ()
) -> AsyncIterator[Window]:
    """Start a browser and open a window with a fake microphone.

    Args:
        engine: "chromium" or "firefox".
        namespace: The browser's network; None for the machine's own.
        secure: Origins that get a microphone although they are plain HTTP.
    """
    async with AsyncExitStack() as stack:
        if engine == "firefox":
            hosts = [origin.rpartition("//")[2].partition(":")[0] for origin in secure]
            page: Window = await stack.enter_async_context(
                firefox(namespace=namespace, secure=hosts)
            )
        else:
            page = await stack.enter_async_context(_chromium(namespace, secure))
        await page.add_init_script(WATCH)
        yield page


@asynccontextmanager
async def _chromium(namespace: Namespace | None, secure: Sequence[str]) -> AsyncIterator[Window]:
    program = shutil.which("chromium") or "chromium"
    more = [f"--unsafely-treat-insecure-origin-as-secure={','.join(secure)}"] if secure else []
    with tempfile.TemporaryDirectory() as folder:
        if namespace:
            inside = Path(folder) / "chromium"
            inside.write_text(f'#!/bin/sh\nexec {shlex.join(namespace.prefix)} {program} "$@"\n')
            inside.chmod(0o755)
            program = str(inside)
        fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=program, args=[*ARGUMENTS, *fake, *more]
            )
            yield await (await browser.new_context(bypass_csp=True)).new_page()
            await browser.close()

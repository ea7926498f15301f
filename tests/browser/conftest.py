"""One Chromium, one Firefox and one bridge for all tests that need none of their own."""

import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.stage.chromium import Visitor
from tests.browser.stage.window import Engines
from tests.support.server import Server, running

HERE = Path(__file__).parent
ONE_LOOP = pytest.mark.asyncio(loop_scope="session")
"""Browsers that outlive a test need their loop. Async fixtures of this folder need `loop_scope="session"` too."""

PATIENCE_MS = 30_000
"""How long a page is waited for: on a busy machine it may stand still for seconds."""


def pytest_configure() -> None:
    """Give every expectation of a page that time."""
    expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let pytest-asyncio prepare the session's loop for a test; it would end one of the test's own, and all browsers with it."""
    definition = metafunc.definition
    if HERE in definition.path.parents and inspect.iscoroutinefunction(metafunc.function):
        definition.add_marker(ONE_LOOP, append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of this folder in one event loop."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(ONE_LOOP, append=False)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bridge for all tests that can do with the demo line and a contact that rings shortly."""
    folder = tmp_path_factory.mktemp("bridge")
    with running(folder, SIMULATOR__RING_SECONDS="0.3") as started:
        yield started


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """A bridge without calls."""
    yield shared_server
    shared_server.end_calls()


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bridge that wants a key, and listens on all addresses."""
    key = "a-long-random-key-of-the-tests"
    lines = {
        "LINES__MAIN__KEYS": f'["{key}"]',
        "CONSOLE__KEYS": '["the-key-of-the-console-of-the-tests"]',
        "HTTP__HOST": "0.0.0.0",
    }
    folder = tmp_path_factory.mktemp("keyed")
    with running(folder, key=key, SIMULATOR__RING_SECONDS="0.1", **lines) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[Engines]:
    """The browsers that tests share, each started when it is first needed."""
    async with async_playwright() as playwright, Engines(playwright) as engines:
        yield engines


@pytest_asyncio.fixture(loop_scope="session")
async def browser(engines: Engines) -> Browser:
    """A Chromium whose microphone is a speech file."""
    return await engines.chromium()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, server: Server) -> AsyncIterator[Visitor]:
    """A person who has the page open in a window of a usual size."""
    async with Visitor.visit(browser, server) as visitor:
        yield visitor

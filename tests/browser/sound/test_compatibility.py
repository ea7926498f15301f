"""Chromium and Firefox go through the checks of tests/stacks; the page is docs/compatibility.md."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Playwright

from tests.browser.stage.chromium import ARGUMENTS
from tests.browser.stage.network import available
from tests.browser.stage.page_stage import PageStage
from tests.browser.stage.roaming import roaming
from tests.browser.stage.window import ENGINES, Engines, Window
from tests.conftest import missing
from tests.stacks.checks import ALONE
from tests.stacks.results import Outcome, judge
from tests.stacks.running import run_alone, run_steps
from tests.support.server import Server

IN_A_PAGE = [name for name in ALONE if name != "network_change"]


def stage(engine: str, engines: Engines, server: Server, folder: Path) -> PageStage:
    """Return a stage with windows of the shared browser."""
    return PageStage(engine, folder, lambda: engines.window(engine), server)


@asynccontextmanager
async def window_without_permission(playwright: Playwright) -> AsyncIterator[Window]:
    """Open a window of a Chromium that grants no microphone, and so hides its addresses."""
    program = shutil.which("chromium")
    browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
    yield await browser.new_page()
    await browser.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_browser_hears_itself_through_all_that_happens_in_a_call(
    engine: str, engines: Engines, server: Server, tmp_path: Path
):
    await run_steps(stage(engine, engines, server, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("check", IN_A_PAGE)
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_browser_gets_on_with_the_bridge(
    engine: str, check: str, engines: Engines, server: Server, tmp_path: Path
):
    if check.startswith("turn") and (lack := missing("coturn")):
        pytest.skip(lack)
    chosen = stage(engine, engines, server, tmp_path)
    if (engine, check) == ("chromium", "mdns"):
        chosen = replace(chosen, window=lambda: window_without_permission(engines.playwright))
    await run_alone(chosen, check)


@pytest.mark.long
@pytest.mark.skipif(not available(), reason="network namespaces cannot be made (as root)")
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_browser_is_heard_again_after_a_change_of_network(engine: str, tmp_path: Path):
    async with roaming(engine, tmp_path / "bridge") as browser:
        seconds = await browser.change("move")
    judge(Outcome(engine, "network_change", "works", figures={"seconds": round(seconds, 1)}))

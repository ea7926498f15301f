"""The demonstration agent on the page, as a newcomer finds it: no account, no settings."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from bridge.audio.file.wav import make_header
from tests.browser.stage.chromium import RATE, Visitor, launch, record
from tests.browser.stage.speech import level
from tests.browser.stage.window import Engines
from tests.support.server import Server
from tests.support.sound.greetings import Greeting, spoken
from tests.support.sound.voices import words

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(
    engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Whoever speaks here lets the other speak: two seconds of words, then none for a while."""
    pcm = np.concatenate([np.zeros(6 * RATE), words(0, 2.3), np.zeros(9 * RATE)]).astype("<i2")
    microphone = tmp_path_factory.mktemp("agent") / "polite.wav"
    microphone.write_bytes(make_header(pcm.nbytes) + pcm.tobytes())
    async with await launch(engines.playwright, microphone=microphone) as started:
        yield started


PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}


async def talk(visitor: Visitor) -> None:
    await visitor.see("clean").set_checked(False)
    await visitor.page.get_by_role("button", name="Talk to the demo agent").click()
    await visitor.connected()


async def test_the_page_says_that_its_agent_is_a_demonstration(visitor: Visitor):
    box = visitor.see("agent-box")
    await expect(box).to_contain_text("Demonstration")
    await expect(box).to_contain_text("understands no words")


async def test_the_agent_greets_and_what_it_says_is_written_down(visitor: Visitor):
    await talk(visitor)
    heard = await record(visitor.page, 3)

    assert level(heard.received) > -45
    said = visitor.page.locator("#transcript .agent")
    await expect(said.first).to_contain_text(re.compile("Agent Hello"), timeout=20_000)
    await expect(visitor.see("peer")).to_have_text("Demo agent")
    assert visitor.complaints == []


async def test_who_speaks_is_answered_and_can_see_how_soon(visitor: Visitor):
    await talk(visitor)

    written = visitor.see("transcript")
    await expect(written).to_contain_text(
        re.compile(r"You \([\d.]+ seconds of speech"), timeout=40_000
    )
    await expect(written).to_contain_text(re.compile(r"Answered after \d\.\d\d s"), timeout=20_000)


async def test_who_spoke_when_is_drawn_live_on_the_page_and_in_the_console(
    visitor: Visitor, server: Server
):
    console = await visitor.page.context.new_page()
    await talk(visitor)
    [call] = server.get("/call/status")["calls"]
    await console.goto(f"{server.url}/#token={server.local}")
    await console.goto(f"{server.url}/console#call/{call['callId']}")
    for page in (visitor.page, console):
        await page.bring_to_front()
        drawn = page.locator(".turns").get_by_role("img")
        await expect(drawn).to_have_accessible_name(
            re.compile(r"Who spoke when in \d turns?; the caller waited \d+ ms"), timeout=60_000
        )
        assert await page.locator(".strip rect.caller").count() >= 1
        await expect(page.locator(".strip text").first).to_have_text(re.compile(r"^\d+ ms$"))
    assert visitor.complaints == []


async def test_hanging_up_ends_the_talk_and_leaves_no_call(visitor: Visitor, server: Server):
    await talk(visitor)
    await visitor.page.get_by_role("button", name="Hang up").click()

    await expect(visitor.see("agent-box")).to_be_visible()
    await expect(visitor.see("transcript-box")).to_be_hidden()
    async with asyncio.timeout(10):
        while server.get("/call/status")["calls"]:
            await asyncio.sleep(0.1)


async def test_a_line_that_is_answered_by_a_stream_talks_with_its_server(visitor: Visitor):
    stream = {"streamUrl": "wss://agent.example.com/ws", "streamProtocol": "twilio"}
    asked: list[Any] = []

    async def show_config(route: Route) -> None:
        config = {f"call{name[0].upper()}{name[1:]}": value for name, value in stream.items()}
        await route.fulfill(json={"success": True, "data": config | {"callInboundMode": "stream"}})

    async def take_order(route: Route) -> None:
        asked.append(route.request.post_data_json)
        await route.fulfill(json={"success": True, "data": {"streamId": "1"}})

    await visitor.page.route("**/call/config", show_config)
    await visitor.page.route("**/call/*/streams", take_order)
    await talk(visitor)
    await expect(visitor.see("transcript-box")).to_be_hidden()
    assert asked == [stream]


@pytest.mark.parametrize("look", [{}, PHONE])
async def test_nothing_overflows_the_page_before_or_during_the_talk(
    browser: Browser, server: Server, look: dict[str, Any]
):
    async with Visitor.visit(browser, server, **look) as visitor:
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        await expect(visitor.see("talk")).to_be_visible()
        assert await visitor.page.evaluate(wider) <= 0
        await talk(visitor)
        await expect(visitor.see("transcript-box")).to_be_visible()
        assert await visitor.page.evaluate(wider) <= 0


@pytest.mark.espeak
@pytest.mark.pocketsphinx
async def test_a_question_about_the_call_is_understood_and_answered(
    engines: Engines, server: Server, tmp_path: Path
):
    asked = spoken(Greeting("en-us", "How good is this call?", person=True)) * 16_000
    pcm = np.concatenate([np.zeros(9 * RATE), asked, np.zeros(8 * RATE)]).astype("<i2")
    microphone = tmp_path / "question.wav"
    microphone.write_bytes(make_header(pcm.nbytes) + pcm.tobytes())
    async with (
        await launch(engines.playwright, microphone=microphone) as asking,
        Visitor.visit(asking, server) as visitor,
    ):
        await talk(visitor)
        written = visitor.see("transcript")
        await expect(written).to_contain_text(
            re.compile("You .*ow good is this call"), timeout=60_000
        )
        await expect(written).to_contain_text(
            re.compile(r"Agent This call is \w+\. Its opinion score is [1-4]\.\d"), timeout=60_000
        )

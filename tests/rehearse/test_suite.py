"""Options of the command, and whole rehearsals."""

import base64
import sys
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from bridge.rehearse.result import MarkKind, Result
from bridge.rehearse.scenario import Bot, Expect, Press, Scenario, Step, Wait, WaitFor
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.suite import Options, Suite, groups
from tests.support.server import PROJECT

TONE_MULAW = bytes([0x8F] * 80 + [0x0F] * 80)
"""20 ms of a rectangular tone of 50 Hz."""


def scenario(*steps: Step, bot: Bot | None = None, **more: object) -> Scenario:
    return Scenario(steps=steps, bot=bot or Bot(), name="a", file="a.toml", **more)  # type: ignore[arg-type]


def test_the_command_line_comes_before_the_scenario():
    chosen = Options(bot="ws://here/", protocol="twilio", seed=7).apply(
        scenario(bot=Bot(listen=True))
    )
    assert chosen.bot == Bot(url="ws://here/", protocol="twilio")
    assert chosen.caller.seed == 7


def test_without_options_the_scenario_says_which_bot():
    bot = Bot(url="ws://there/", protocol="native")
    assert Options().apply(scenario(bot=bot)).bot == bot


def test_options_that_do_not_go_together_are_named():
    with pytest.raises(ScenarioError, match=r"a\.toml: bot\.protocol: with `listen`"):
        Options(listen=0, protocol="twilio").apply(scenario())


def test_the_demonstration_has_a_bridge_of_its_own():
    own, other = scenario(), scenario(bot=Bot(listen=True))
    assert groups([own, other, own]) == [[own, own], [other]]


def test_the_demonstration_with_other_settings_has_another_bridge():
    plain, told = scenario(), scenario(line={"disclosure": {"text": "x"}})
    assert groups([plain, told, plain]) == [[plain, plain], [told]]


def test_the_demonstration_has_no_line_to_set():
    with pytest.raises(ScenarioError, match="not transcribe"):
        groups([scenario(line={"transcribe": "live"})])


async def run(tmp_path: Path, one: Scenario) -> Result:
    [result] = await Suite([one], Options(), tmp_path, print).run(lambda _: None)
    return result


async def greet(request: web.Request) -> web.WebSocketResponse:
    """A bot in Twilio's protocol that beeps for a second, and leaves when it has heard a key."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            break
        told = message.json()
        if told["event"] == "start":
            payload = base64.b64encode(TONE_MULAW * 50).decode()
            await ws.send_json(
                {"event": "media", "streamSid": told["streamSid"], "media": {"payload": payload}}
            )
        elif told["event"] == "dtmf":
            await ws.close()
    return ws


@pytest.fixture
async def bot() -> object:
    application = web.Application()
    application.router.add_get("/", greet)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.mark.call
async def test_a_bot_is_rehearsed_over_a_bridge_of_its_own(tmp_path: Path, bot: str):
    one = scenario(
        WaitFor(wait_for="answer_end", silence=0.3),
        Press(digits="1"),
        WaitFor(wait_for="hang_up"),
        bot=Bot(url=bot, protocol="twilio"),
        expect=Expect(greeting=1.0, hang_up="bot"),
    )
    result = await run(tmp_path, one)
    assert result.error == ""
    assert [check for check in result.checks if not check.passed] == []
    assert {MarkKind.BOT, MarkKind.DIGIT, MarkKind.HANGUP} <= {mark.kind for mark in result.marks}
    assert len(result.said) == len(result.heard)


@pytest.mark.full
async def test_a_word_that_cannot_be_recognized_is_named_before_the_call(tmp_path: Path):
    one = scenario(WaitFor(wait_for="words", words=("qwrtzly",)))
    with pytest.raises(
        ScenarioError,
        match=r"a\.toml: (not in the pronunciation dictionary: qwrtzly|pocketsphinx, which)",
    ):
        await run(tmp_path, one)


@pytest.mark.call
@pytest.mark.full
async def test_a_bot_that_is_not_there_is_an_error(tmp_path: Path):
    one = scenario(Wait(wait=30), bot=Bot(url="ws://127.0.0.1:9/", protocol="native"))
    result = await run(tmp_path, one)
    assert "the bot at ws://127.0.0.1:9/ cannot be reached" in result.error


@pytest.mark.call
@pytest.mark.full
async def test_a_listening_bot_is_told_where_to_connect(tmp_path: Path):
    script = tmp_path / "bot.py"
    script.write_text(
        "import asyncio, os, aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        async with session.ws_connect(os.environ['BRIDGE_MEDIA_URL']) as ws:\n"
        "            await ws.send_bytes((b'\\x00\\x20' * 160 + b'\\x00\\xe0' * 160) * 50)\n"
        "            async for _ in ws:\n"
        "                pass\n"
        "asyncio.run(main())\n"
    )
    one = scenario(
        WaitFor(wait_for="answer_end", silence=0.3),
        bot=Bot(listen=True, command=f"{sys.executable} {script}"),
        expect=Expect(greeting=3.0),
    )
    result = await run(tmp_path, one)
    assert (result.error, result.passed) == ("", True)


@pytest.mark.call
@pytest.mark.full
async def test_a_livekit_client_is_rehearsed(tmp_path: Path):
    script = tmp_path / "bot.py"
    script.write_text(
        "import asyncio, os, sys\n"
        f"sys.path.insert(0, {str(PROJECT)!r})\n"
        "import aiohttp, numpy as np\n"
        "from tests.support.clients.livekit_sdk import SdkDouble\n"
        "tone = (8000 * np.sin(np.arange(16000) / 8)).astype(np.int16)\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession(os.environ['LIVEKIT_URL']) as http:\n"
        "        async with SdkDouble(http, os.environ['LIVEKIT_TOKEN']) as sdk:\n"
        "            await sdk.join()\n"
        "            await sdk.publish(tone)\n"
        "            await sdk.closed.wait()\n"
        "asyncio.run(main())\n"
    )
    one = scenario(
        WaitFor(wait_for="answer"),
        bot=Bot(listen=True, protocol="livekit", command=f"{sys.executable} {script}"),
        expect=Expect(greeting=3.0),
    )
    result = await run(tmp_path, one)
    assert (result.error, result.passed) == ("", True)

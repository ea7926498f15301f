"""The bridge of a rehearsal: on loopback, with a temporary folder that is deleted afterwards."""

import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from aiohttp import web

from bridge.app.bridge import Bridge
from bridge.app.build import build
from bridge.call.model import LineName
from bridge.errors import SettingsError
from bridge.node.lines import InboundMode, LineConfig
from bridge.rehearse.ports import media_ports
from bridge.rehearse.reach import only
from bridge.rehearse.scenario import Bot, Scenario
from bridge.rehearse.scenario_file import ScenarioError
from bridge.settings.model import (
    DEMO_AI_KEY,
    DEMO_AI_LINE,
    Agent,
    Data,
    Disclosure,
    Http,
    Limits,
    Line,
    Rtc,
    Settings,
    Simulator,
    check,
)
from bridge.settings.tree import TreeReader
from bridge.wire.stream.media_stream import StreamProtocol

CLOSE_SECONDS: Final = 2.0
OF_DEMONSTRATION: Final = frozenset({"agent", "disclosure"})
"""Settings of a line that also work for the demo agent."""


@dataclass(frozen=True, slots=True)
class RehearsedLine:
    """The line that a scenario's caller calls."""

    name: LineName
    key: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A running bridge, and the line of each scenario by the scenario's file."""

    bridge: Bridge
    url: str
    lines: Mapping[str, RehearsedLine]


def is_demonstration(bot: Bot) -> bool:
    """Return whether a bot is the demo agent, which needs neither a server nor settings."""
    return not (bot.url or bot.listen or bot.stt_url or bot.llm_url or bot.tts_url)


@asynccontextmanager
async def bench(scenarios: Sequence[Scenario], port: int = 0) -> AsyncIterator[Bench]:
    """Run a bridge for some scenarios: either none uses the demo agent, or all do with the same settings. `port` is its HTTP port, 0 for any free one.

    Raises:
        ScenarioError: a setting of a line is invalid, a bot's host cannot be resolved, or the port is in use.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="rehearse-"))
        listener = stack.enter_context(_listener(port))
        urls = [url for one in scenarios for url in _urls(one)]
        demonstration = is_demonstration(scenarios[0].bot)
        lines = {} if demonstration else _lines(scenarios)
        shared = _read(scenarios[0], scenarios[0].line if demonstration else {})
        settings = Settings(
            http=Http(port=listener.getsockname()[1]),
            rtc=Rtc(bind=["127.0.0.1"], ports=media_ports(), stun_urls=[]),
            data=Data(dir=folder),
            net=await only(urls),
            limits=Limits(overload_seconds=0.0),
            simulator=Simulator(ring_seconds=0.0),
            agent=shared.agent or Agent(),
            disclosure=shared.disclosure or Disclosure(),
            lines={line.name: settings for line, settings in lines.values()},
        )
        try:
            check(settings)
        except SettingsError as error:
            raise ScenarioError(f"[line]: {error}") from None
        bridge = build(settings)
        stack.push_async_callback(bridge.release)
        runner = web.AppRunner(bridge.application, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listener).start()
        stack.push_async_callback(bridge.aclose)
        known = {file: line for file, (line, _) in lines.items()}
        for one in scenarios:
            line = known.setdefault(one.file, RehearsedLine(LineName(DEMO_AI_LINE), DEMO_AI_KEY))
            if lines:
                await configure(bridge, line.name, one.bot)
        yield Bench(bridge, settings.http.url.rstrip("/"), known)


async def configure(bridge: Bridge, line: LineName, bot: Bot) -> None:
    """Let a bot answer a line's inbound calls."""
    config = LineConfig(provider_token=bot.token)
    if bot.url:
        protocol = "native" if bot.protocol in (None, "wavix") else bot.protocol
        config = LineConfig(
            mode=InboundMode.STREAM,
            stream_url=bot.url,
            stream_protocol=StreamProtocol(protocol),
            provider_token=bot.token,
        )
    elif not bot.listen:
        config = LineConfig(
            mode=InboundMode.AI,
            stt_url=bot.stt_url,
            llm_url=bot.llm_url,
            tts_url=bot.tts_url,
            system_prompt=bot.prompt,
            greeting=bot.greeting,
            provider_token=bot.token,
        )
    await bridge.lines.lines.put(line, config)
    await bridge.lines.lines.connect(line)


def _lines(scenarios: Sequence[Scenario]) -> dict[str, tuple[RehearsedLine, Line]]:
    """Return a line for each scenario, with its settings, by the scenario's file."""
    made = {}
    for number, one in enumerate(scenarios, 1):
        line = RehearsedLine(LineName(f"rehearsal-{number}"), secrets.token_hex(16))
        settings = msgspec.structs.replace(_read(one, one.line), keys=[line.key])
        made[one.file] = (line, settings)
    return made


def _read(scenario: Scenario, table: Mapping[str, Any]) -> Line:
    """Read a scenario's settings of the line."""
    reader = TreeReader(Line)
    found = reader.read({"keys": [secrets.token_hex(16)], **table})
    if reader.mistakes or not isinstance(found, Line):
        raise ScenarioError("\n".join(f"{scenario.file}: line.{text}" for text in reader.mistakes))
    return found


def _urls(scenario: Scenario) -> list[str]:
    bot = scenario.bot
    return [one for one in (bot.url, bot.stt_url, bot.llm_url, bot.tts_url, scenario.stt) if one]


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ScenarioError(f"--listen {port}: {error.strerror}") from None

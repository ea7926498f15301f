"""Bots that are started by a command, and bots that connect to the bridge."""

import asyncio
import os
import shlex
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from bridge.api.media.webrtc import NEAR
from bridge.rehearse.bench import Bench
from bridge.rehearse.ports import free_port
from bridge.rehearse.scenario import PORT, Scenario
from bridge.rehearse.scenario_file import ScenarioError
from bridge.tasks import Tasks

START_SECONDS: Final = 30.0
"""From the start of a bot until it accepts connections."""
RETRY_SECONDS: Final = 0.1
TOKEN_SECONDS: Final = 3600
BOT: Final = "bot"
"""Its identity as a LiveKit participant."""
STOP_SECONDS: Final = 3.0
"""Between SIGTERM and SIGKILL."""


@asynccontextmanager
async def invited(
    scenario: Scenario, environment: Mapping[str, str], announce: Callable[[str], None]
) -> AsyncIterator[asyncio.Event]:
    """Start the command of one call's bot, or show the user its environment; yield an event that is set when the command exits.

    Raises:
        ScenarioError: the command cannot be started.
    """
    exited, tasks = asyncio.Event(), Tasks()
    if not scenario.bot.command:
        shown = "\n".join(f"  {name}={value}" for name, value in environment.items())
        announce(f"{scenario.name}: waiting for your bot\n{shown}")
        yield exited
        return
    process = await start(scenario.bot.command, environment)

    async def watch() -> None:
        await process.wait()
        exited.set()

    tasks.spawn(watch(), name=f"bot of {scenario.name}")
    try:
        yield exited
    finally:
        await tasks.aclose()
        await stop(process)


def environment(bench: Bench, scenario: Scenario, call_id: str) -> dict[str, str]:
    """Return the environment variables by which a bot finds the call that it is to join."""
    line, socket = bench.lines[scenario.file], bench.url.replace("http", "ws", 1)
    found = {"BRIDGE_URL": bench.url, "BRIDGE_KEY": line.key, "BRIDGE_CALL_ID": call_id}
    match scenario.bot.protocol:
        case "webrtc":
            return found
        case "livekit":
            tickets = bench.bridge.access.tickets
            token, _ = tickets.issue(
                line.name, call_id, TOKEN_SECONDS, party=NEAR, identity=BOT, machine=True
            )
            return found | {"LIVEKIT_URL": socket, "LIVEKIT_TOKEN": token}
        case "wadial":
            path = f"/api/v1/sessions/{line.name}/calls/{call_id}/media"
        case _:
            path = f"/call/{call_id}/stream"
    return found | {"BRIDGE_MEDIA_URL": f"{socket}{path}?{urlencode({'token': line.key})}"}


def with_ports(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """Return the scenarios with `{port}` in commands and URLs replaced by a free port, one per command."""
    ports: dict[str, str] = {}
    made = []
    for one in scenarios:
        bot = one.bot
        if PORT in bot.url:
            if bot.command not in ports:
                ports[bot.command] = str(free_port())
            port = ports[bot.command]
            url, command = bot.url.replace(PORT, port), bot.command.replace(PORT, port)
            bot = msgspec.structs.replace(bot, url=url, command=command)
        made.append(msgspec.structs.replace(one, bot=bot))
    return made


@asynccontextmanager
async def dialled(command: str, url: str) -> AsyncIterator[None]:
    """Run a bot that the bridge connects to.

    Raises:
        ScenarioError: it cannot be started, exits, or does not listen in time, or another program listens there already.
    """
    address = _address(url)
    if await _accepts(*address):
        raise ScenarioError(
            f"another program is listening at {url} already: stop it, leave out --command {command!r}, or write {PORT} "
            "for the port in both, to use a free one"
        )
    process = await start(command, {})
    try:
        await _until_listening(process, command, address)
        yield
    finally:
        await stop(process)


async def start(command: str, environment: Mapping[str, str]) -> Process:
    """Start a command in a process group of its own, with our standard output and error.

    `python` in it is the interpreter that runs the bridge, with its packages.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    try:
        return await asyncio.create_subprocess_exec(
            *shlex.split(command),
            env={**os.environ, "PATH": path, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ScenarioError(f"--command {command!r} cannot be started: {error}") from None


async def stop(process: Process) -> None:
    """Stop a command and its child processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
                return


async def _until_listening(process: Process, command: str, address: tuple[str, int]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                if await _accepts(*address):
                    return
                await asyncio.sleep(RETRY_SECONDS)
    why = f"did not listen at {address[0]}:{address[1]} within {START_SECONDS:g} s"
    if process.returncode is not None:
        why = f"exited with status {process.returncode} before it listened at {address[0]}:{address[1]}"
    raise ScenarioError(f"the bot started by --command {command!r} {why}")


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _address(url: str) -> tuple[str, int]:
    split = urlsplit(url)
    return split.hostname or "", split.port or (443 if split.scheme == "wss" else 80)

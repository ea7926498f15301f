"""Bots that the user starts by a command, or that connect to the bridge by themselves."""

import asyncio
import os
import shlex
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

import msgspec

from bridge.rehearse.scenario import PORT, Scenario
from bridge.rehearse.scenario_file import ScenarioError
from bridge.tasks import Tasks

START_SECONDS: Final = 30.0
"""Until a bot that has been started accepts connections."""
RETRY_SECONDS: Final = 0.1
STOP_SECONDS: Final = 3.0
"""Between the request to end and the end by force."""


class ListeningBot:
    """Tells a bot of one call to which media socket it is to connect, and starts it if there is a command."""

    def __init__(self, scenario: Scenario, announce: Callable[[str], None]) -> None:
        self._scenario = scenario
        self._announce = announce
        self._process: Process | None = None
        self._tasks = Tasks()
        self.gone = asyncio.Event()
        """Set when the command has ended."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.aclose()
        if self._process is not None:
            await stop(self._process)

    async def invite(self, url: str, line: str, key: str, call_id: str) -> None:
        """Start the command, or show where the bot is to connect.

        Raises:
            ScenarioError: the command cannot be started.
        """
        bot = self._scenario.bot
        media = media_url(url, line, call_id, bot.protocol or "native")
        media += f"?{urlencode({'token': key})}"
        if not bot.command:
            self._announce(f"{self._scenario.name}: waits for your bot at {media}")
            return
        self._process = await start(
            bot.command,
            {
                "BRIDGE_URL": url,
                "BRIDGE_KEY": key,
                "BRIDGE_CALL_ID": call_id,
                "BRIDGE_MEDIA_URL": media,
            },
        )
        self._tasks.spawn(self._watch(self._process), name=f"bot of call {call_id}")

    async def _watch(self, process: Process) -> None:
        await process.wait()
        self.gone.set()


def media_url(url: str, line: str, call_id: str, protocol: str) -> str:
    """Return the URL of a call's media socket in a protocol."""
    socket = url.replace("http", "ws", 1)
    if protocol == "wadial":
        return f"{socket}/api/v1/sessions/{line}/calls/{call_id}/media"
    return f"{socket}/call/{call_id}/stream"


def with_ports(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """Return the scenarios with a free port for `{port}` in the bots' commands and URLs: one for each command."""
    ports: dict[str, str] = {}
    made = []
    for one in scenarios:
        bot = one.bot
        if PORT in bot.url:
            if bot.command not in ports:
                ports[bot.command] = str(_free_port())
            port = ports[bot.command]
            url, command = bot.url.replace(PORT, port), bot.command.replace(PORT, port)
            bot = msgspec.structs.replace(bot, url=url, command=command)
        made.append(msgspec.structs.replace(one, bot=bot))
    return made


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@asynccontextmanager
async def dialled(command: str, url: str) -> AsyncIterator[None]:
    """Have a bot run that the bridge connects to.

    Raises:
        ScenarioError: it cannot be started, ends, or accepts no connection in time, or another program does already.
    """
    address = _address(url)
    if await _accepts(*address):
        raise ScenarioError(
            f"something listens at {url} already: end it, leave out --command {command!r}, or write {PORT} "
            "for the port in both, and a free one is used"
        )
    process = await start(command, {})
    try:
        await _until_listening(process, command, address)
        yield
    finally:
        await stop(process)


async def start(command: str, environment: Mapping[str, str]) -> Process:
    """Start a command in a process group of its own; what it prints goes where ours does.

    `python` is the one that runs the bridge, with its packages.
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
    """End a command and what it has started."""
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
    why = f"accepts no connection at {address[0]}:{address[1]} within {START_SECONDS:g} s"
    if process.returncode is not None:
        why = f"has ended with {process.returncode}"
    raise ScenarioError(f"the bot that --command {command!r} has started {why}")


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

"""Debian's Firefox over WebDriver BiDi: windows whose microphone hums a tone."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from tests.browser.stage.network import Namespace

START_SECONDS = 60.0
REPLY_SECONDS = 120.0
"""A script in a page may wait for a call to connect."""
STOP_SECONDS = 10.0
PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.cubeb.force_mock_context": True,  # without a sound card its audio clock would not start
    "media.peerconnection.ice.loopback": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.server": "",
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "devtools.jsonview.enabled": False,
}


class PageError(Exception):
    """What a script threw in the page."""


class Firefox:
    """A running Firefox."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0

    async def open(self) -> None:
        """Begin the session."""
        await self.command("session.new", {"capabilities": {}})

    @asynccontextmanager
    async def window(self) -> AsyncIterator["FirefoxPage"]:
        """Open a window that shares no cookies or storage with others."""
        user = (await self.command("browser.createUserContext", {}))["userContext"]
        opened = {"type": "window", "userContext": user}
        context = (await self.command("browsingContext.create", opened))["context"]
        try:
            yield FirefoxPage(self, context)
        finally:
            await self.command("browser.removeUserContext", {"userContext": user})

    async def read(self) -> None:
        """Take Firefox's replies until it hangs up."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            reply = json.loads(message.data)
            waiting = self._waiting.pop(reply.get("id"), None)
            if waiting and not waiting.done():
                waiting.set_result(reply)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(PageError("Firefox is gone"))

    async def command(self, method: str, parameters: dict[str, Any]) -> Any:
        """Send a command and return its result.

        Raises:
            PageError: Firefox refused it, is gone, or did not reply in `REPLY_SECONDS`.
        """
        self._asked += 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._asked] = future
        await self._socket.send_json({"id": self._asked, "method": method, "params": parameters})
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await future
        except TimeoutError:
            raise PageError(f"{method}: no reply in {REPLY_SECONDS} s") from None
        if reply["type"] == "error":
            raise PageError(f"{method}: {reply['error']}: {reply['message']}")
        return reply["result"]


class FirefoxPage:
    """A window of Firefox; the members are those of Playwright's `Page` that tests need."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._command = firefox.command
        self._context = context

    async def add_init_script(self, script: str) -> None:
        """Run `script` in every page of this window before its own scripts."""
        wanted = {"functionDeclaration": f"() => {{ {script} }}", "contexts": [self._context]}
        await self._command("script.addPreloadScript", wanted)

    async def goto(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        await self._command(
            "browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"}
        )

    async def reload(self) -> None:
        """Reload the page as a person does and wait until it has loaded."""
        await self._command(
            "browsingContext.reload", {"context": self._context, "wait": "complete"}
        )

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function with one JSON argument; returns what it resolves to.

        Raises:
            PageError: the function threw.
        """
        declaration = f"""async (text) => {{
          const result = await ({function})(JSON.parse(text));
          return JSON.stringify(result === undefined ? null : result);
        }}"""
        reply = await self._command(
            "script.callFunction",
            {
                "functionDeclaration": declaration,
                "arguments": [{"type": "string", "value": json.dumps(argument)}],
                "target": {"context": self._context},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        if reply["type"] == "exception":
            raise PageError(reply["exceptionDetails"]["text"])
        return json.loads(reply["result"]["value"])


@asynccontextmanager
async def firefox(
    *,
    namespace: Namespace | None = None,
    secure: Sequence[str] = (),
    sound: Mapping[str, str] | None = None,
    **preferences: bool | int | str,
) -> AsyncIterator[Firefox]:
    """Run Firefox with a fresh profile.

    Args:
        namespace: Its network; None for the machine's own.
        secure: Hosts that count as secure origins, so that they get a microphone.
        sound: Environment that leads to a PulseAudio server, whose devices are used; None for a fake microphone
            and no speaker.
        preferences: More, or other than `PREFERENCES`, with `__` in place of dots.
    """
    wanted = PREFERENCES | {name.replace("__", "."): value for name, value in preferences.items()}
    if sound is not None:
        wanted |= {"media.navigator.streams.fake": False, "media.cubeb.force_mock_context": False}
    wanted["dom.securecontext.allowlist"] = ",".join(secure)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in wanted.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            *(namespace.prefix if namespace else ()),
            shutil.which("firefox-esr") or "firefox-esr",
            *("--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"),
            env=os.environ | (sound or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            url = await _address(process)
            make = namespace.socket if namespace else None
            async with (
                ClientSession(connector=TCPConnector(socket_factory=make)) as session,
                session.ws_connect(f"{url}/session", max_msg_size=0) as socket,
            ):
                started = Firefox(socket)
                tasks = [asyncio.create_task(started.read()), asyncio.create_task(_drain(process))]
                try:
                    await started.open()
                    yield started
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            await _stop(process)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    async with asyncio.timeout(START_SECONDS):
        while line := await process.stderr.readline():
            _, found, url = line.decode(errors="replace").partition("WebDriver BiDi listening on ")
            if found:
                return url.strip()
    raise AssertionError("Firefox ended while it started")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stderr
    while await process.stderr.read(65_536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()

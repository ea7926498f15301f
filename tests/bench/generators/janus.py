"""Janus with its AudioBridge, for comparison: its configuration, and calls of two legs in a room."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

import aiohttp

from tests.support.machine import own_address

ROOM_RATE = 16_000
_LIBRARIES = sorted(Path("/usr/lib").glob("*/janus"))
_ANSWER_SECONDS = 10.0

_MAIN = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{libraries}/plugins"
  transports_folder = "{libraries}/transports"
  events_folder = "{libraries}/events"
  loggers_folder = "{libraries}/loggers"
  debug_level = 2
  session_timeout = 0
}}
media: {{ rtp_port_range = "40000-49999" }}
nat: {{ ice_enforce_list = "{address}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
events: {{ broadcast = false }}
"""

_WEBSOCKETS = """
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
"""


def missing() -> str:
    """Say what is missing to run Janus; empty when nothing is."""
    if which("janus") is None:
        return "janus is not installed (as root on Debian, make bench installs it)"
    if own_address().startswith("127."):
        return "janus takes no calls on loopback, and this machine has no other address"
    return "" if _LIBRARIES else "janus has no plugins folder below /usr/lib"


def configure(folder: Path, port: int) -> list[str]:
    """Write a configuration of its own into a folder and give the command that uses it."""
    libraries = _LIBRARIES[0]
    plugins = _others(libraries / "plugins", "libjanus_audiobridge.so")
    transports = _others(libraries / "transports", "libjanus_websockets.so")
    main = _MAIN.format(
        folder=folder,
        libraries=libraries,
        plugins=plugins,
        transports=transports,
        address=own_address(),
    )
    (folder / "janus.jcfg").write_text(main)
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
    (folder / "janus.plugin.audiobridge.jcfg").write_text("general: { events = false }\n")
    config = str(folder / "janus.jcfg")
    return [which("janus") or "janus", "-F", str(folder), "-C", config, "-d", "2", "-o"]


def _others(folder: Path, wanted: str) -> str:
    return ",".join(sorted(one.name for one in folder.glob("*.so") if one.name != wanted))


class JanusError(Exception):
    """Janus refused a request, or closed the connection."""


class Api:
    """Requests over one WebSocket of Janus, each matched to its reply.

    Args:
        socket: Connected with the subprotocol `janus-protocol`.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._requests = 0
        self._session: dict[str, int] = {}

    async def open(self) -> None:
        """Begin a session."""
        self._session = {"session_id": (await self._ask({"janus": "create"}))["data"]["id"]}

    async def attach(self) -> int:
        """Make a handle of the AudioBridge: one for each leg."""
        request = {"janus": "attach", "plugin": "janus.plugin.audiobridge"}
        handle: int = (await self._ask(request))["data"]["id"]
        return handle

    async def message(self, handle: int, body: dict[str, Any], offer: str = "") -> dict[str, Any]:
        """Send a message to the plugin and bring its event or result.

        Raises:
            JanusError: it was refused.
        """
        request: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        if offer:
            request["jsep"] = {"type": "offer", "sdp": offer, "trickle": False}
        reply = await self._ask(request)
        told = reply.get("plugindata", {}).get("data", {})
        if "error" in told:
            raise JanusError(f"{body['request']}: {told['error']}")
        return reply

    async def detach(self, handle: int) -> None:
        """End a leg."""
        await self._ask({"janus": "detach", "handle_id": handle})

    async def listen(self) -> None:
        """Hand every reply to who waits for it, until the connection closes."""
        async for message in self._socket:
            reply = message.json()
            future = self._waiting.get(reply.get("transaction", ""))
            # An acknowledgement says that the real reply follows.
            if future is not None and not future.done() and reply["janus"] != "ack":
                future.set_result(reply)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._requests += 1
        transaction = str(self._requests)
        future = self._waiting[transaction] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json(request | self._session | {"transaction": transaction})
            async with asyncio.timeout(_ANSWER_SECONDS):
                reply: dict[str, Any] = await future
        finally:
            del self._waiting[transaction]
        if reply["janus"] == "error":
            raise JanusError(f"{request['janus']}: {reply['error'].get('reason')}")
        return reply


@asynccontextmanager
async def connect(session: aiohttp.ClientSession, url: str) -> AsyncIterator[Api]:
    """Open a session of Janus."""
    async with session.ws_connect(url, protocols=["janus-protocol"]) as socket:
        api = Api(socket)
        listening = asyncio.create_task(api.listen())
        try:
            await api.open()
            yield api
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


class JanusExchange:
    """Takes an offer into a room."""

    def __init__(self, api: Api, handle: int, room: int) -> None:
        self._api = api
        self._handle = handle
        self._room = room
        self.seconds: float = 0.0
        """How long the last answer took."""

    async def __call__(self, offer: str) -> str:
        """Join the room and bring the answer.

        Raises:
            JanusError: it was refused.
        """
        begun = time.monotonic()
        reply = await self._api.message(
            self._handle, {"request": "join", "room": self._room}, offer
        )
        self.seconds = time.monotonic() - begun
        answer: str = reply["jsep"]["sdp"]
        return answer


async def make_room(api: Api, room: int) -> list[int]:
    """Make a room that is mixed at 16 kHz and not recorded; returns handles for its two legs."""
    handles = [await api.attach(), await api.attach()]
    await api.message(
        handles[0],
        {
            "request": "create",
            "room": room,
            "sampling_rate": ROOM_RATE,
            "record": False,
            "is_private": True,
        },
    )
    return handles


async def close_room(api: Api, room: int, handles: list[int]) -> None:
    """End a room and its legs: one that is left empty goes on mixing."""
    await api.message(handles[0], {"request": "destroy", "room": room})
    for handle in handles:
        await api.detach(handle)

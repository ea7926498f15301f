"""WhatsApp gateways with REST and a PCM socket, in two dialects.

Every request raises `BridgeError` when it fails, `CallNotFound` for a call that has ended.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias
from urllib.parse import quote

import aiohttp

from bridge.backoff import Backoff
from bridge.errors import BridgeError, LegError, RemoteProtocolError
from bridge.http.client import Http
from bridge.whatsapp.gateway_rest import Rest
from bridge.wire.call_event import jid
from bridge.wire.event_stream import EventStreamReader, ServerEvent
from bridge.wire.gateway import (
    EngineCall,
    SocketMessage,
    Webhook,
    read_call,
    read_calls,
    read_message,
    read_webhook,
)
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO

log = logging.getLogger(__name__)

DIAL_SECONDS: Final = 25.0
"""A gateway answers a dial once it knows whether the number is reachable."""
MIN_OPEN_SECONDS: Final = 10.0
"""A stream that was open for less without an event counts as failed."""
_CALLS: Final = "call."


class EventFeed:
    """A gateway's server-sent events, which only cause a poll: missed ones show in the list of calls."""

    def __init__(self, rest: Rest, path: str, *, backoff: Backoff = Backoff(1.0, 30.0)) -> None:
        self._rest = rest
        self._path = path
        self._backoff = backoff

    async def run(self, handle: Callable[[Webhook | None], None]) -> None:
        """Pass the events of calls to `handle` until cancelled.

        It gets None when the stream opens, as some may have been missed.
        """
        loop = asyncio.get_running_loop()
        reader = EventStreamReader()
        failures = 0
        while True:
            opened, received = loop.time(), False
            reader.begin()
            try:
                async for piece in self._rest.stream(self._path, last_id=reader.last_id):
                    if not piece:
                        handle(None)
                    for event in reader.read(piece):
                        received = True
                        if (webhook := _webhook(event)) is not None:
                            handle(webhook)
            except BridgeError as error:
                log.info("gateway.event_stream_lost", extra={"code": error.code})
            lasted = received or loop.time() - opened >= MIN_OPEN_SECONDS
            failures = 1 if lasted else failures + 1
            delay = max(self._backoff.after(failures), reader.retry_seconds or 0.0)
            await asyncio.sleep(min(delay, self._backoff.limit))


class ZuckZapGo:
    """ZuckZapGo's dialect: `/call/*`, s16le in messages of 60 ms (its guide, §4 and §6)."""

    media = ZUCKZAPGO
    feed = None

    def __init__(self, http: Http, *, url: str, token: str) -> None:
        self._rest = Rest(http, url, {"token": token})

    async def dial(self, number: str) -> str:
        """Ring a number, and return the gateway's id of the call."""
        body = {"phone": number, "video": False}
        data = await self._rest.request("POST", "/call/dial", body, seconds=DIAL_SECONDS)
        return _call_id(data.get("data"))

    async def answer(self, call_id: str) -> None:
        """Accept an inbound call."""
        await self._rest.request("POST", "/call/answer", {"callId": call_id})

    async def hangup(self, call_id: str) -> None:
        """End a call in any phase; an inbound one that rings is declined."""
        await self._rest.request("POST", "/call/hangup", {"callId": call_id})

    async def decline(self, call_id: str, peer: str, message: str) -> bool:
        """Decline an inbound call and send its caller a text message; return False if that was not sent.

        The request is of the gateway's older signalling.
        """
        body = {"call_id": call_id, "call_from": jid(peer), "message": message}
        reply = await self._rest.request("POST", "/call/reject/send", body)
        return reply.get("message_sent") is not False

    async def calls(self) -> list[EngineCall]:
        """Return the calls."""
        data = (await self._rest.request("GET", "/call/status")).get("data")
        listed = data.get("calls", "none") if isinstance(data, dict) else "none"
        # A gateway in Go writes an empty list as null.
        if not isinstance(listed, list | None):
            raise LegError("the gateway's list of calls cannot be read")
        return read_calls(listed or [])

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the call's media socket, with the token in the header, not in the query."""
        return self._rest.socket(f"/call/{quote(call_id, safe='')}/stream")

    def read(self, text: str) -> SocketMessage | None:
        """Return None: its socket has no text messages."""
        return None


class WaDial:
    """WADial's dialect: `/api/v1/sessions/{session}/calls`, f32le (its "Live calls" pages)."""

    media = WADIAL

    def __init__(self, http: Http, *, url: str, token: str, name: str) -> None:
        """Make a client of the account's session `name`."""
        self._rest = Rest(http, url, {"Authorization": f"Bearer {token}"})
        self.feed = EventFeed(self._rest, f"/api/v1/sessions/{quote(name, safe='')}/events")
        self._calls = f"/api/v1/sessions/{quote(name, safe='')}/calls"

    async def dial(self, number: str) -> str:
        """Ring a number, and return the gateway's id of the call."""
        body = {"to": f"{number}@s.whatsapp.net"}
        reply = await self._rest.request("POST", self._calls, body, seconds=DIAL_SECONDS)
        return _call_id(reply.get("data"))

    async def answer(self, call_id: str) -> None:
        """Accept an inbound call."""
        await self._rest.request("POST", f"{self._call(call_id)}/accept")

    async def hangup(self, call_id: str) -> None:
        """End a call in any phase; an inbound one that rings is declined."""
        await self._rest.request("POST", f"{self._call(call_id)}/end")

    async def decline(self, call_id: str, peer: str, message: str) -> bool:
        """Return False, and do nothing: WADial documents no message with a rejection."""
        return False

    async def calls(self) -> list[EngineCall]:
        """Return the calls."""
        listed = (await self._rest.request("GET", self._calls)).get("data")
        if not isinstance(listed, list):
            raise LegError("the gateway's list of calls cannot be read")
        return read_calls(listed)

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the call's media socket."""
        return self._rest.socket(f"{self._call(call_id)}/media")

    def read(self, text: str) -> SocketMessage | None:
        """Read a text message of the socket; None if it is of no interest."""
        return read_message(text)

    def _call(self, call_id: str) -> str:
        return f"{self._calls}/{quote(call_id, safe='')}"


Gateway: TypeAlias = ZuckZapGo | WaDial
"""One line's gateway; `feed` is None in a dialect without events."""


def make_gateway(http: Http, *, dialect: str, url: str, token: str, session: str) -> Gateway:
    """Make the client of a line's gateway, as the settings of `lines.NAME.whatsapp` name it."""
    if dialect == "wadial":
        return WaDial(http, url=url, token=token, name=session)
    return ZuckZapGo(http, url=url, token=token)


def _call_id(entry: object) -> str:
    call = read_call(entry)
    if call is None:
        raise LegError("the gateway's response to the dial has no call id")
    return call.call_id


def _webhook(event: ServerEvent) -> Webhook | None:
    """Read an event; None when it is not about a call."""
    try:
        webhook = read_webhook(event.data.encode(), "application/json")
    except RemoteProtocolError:
        webhook = Webhook("", frozenset())
    if event.kind.startswith(_CALLS):
        return Webhook(event.kind.removeprefix(_CALLS), webhook.texts)
    return webhook if webhook.kind else None

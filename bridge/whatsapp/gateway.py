"""WhatsApp engines with REST and a PCM socket, in two dialects.

Every request raises `BridgeError` when it fails, `CallNotFound` for a call that has ended.
"""

from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias
from urllib.parse import quote

import aiohttp

from bridge.errors import LegError
from bridge.http.client import Http
from bridge.whatsapp.gateway_events import EventFeed
from bridge.whatsapp.gateway_rest import Rest
from bridge.wire.call_event import jid
from bridge.wire.gateway import EngineCall, SocketMessage, read_call, read_calls, read_message
from bridge.wire.stream.media_format import WADIAL, ZUCKZAPGO

DIAL_SECONDS: Final = 25.0
"""An engine answers a dial once it knows whether the number is reachable."""


class ZuckZapGo:
    """ZuckZapGo's dialect: `/call/*`, s16le in messages of 60 ms (its guide, §4 and §6)."""

    media = ZUCKZAPGO
    feed = None

    def __init__(self, http: Http, *, url: str, token: str) -> None:
        self._rest = Rest(http, url, {"token": token})

    async def dial(self, number: str) -> str:
        """Ring a number, and return the engine's id of the call."""
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

        The request is of the engine's older signalling.
        """
        body = {"call_id": call_id, "call_from": jid(peer), "message": message}
        reply = await self._rest.request("POST", "/call/reject/send", body)
        return reply.get("message_sent") is not False

    async def calls(self) -> list[EngineCall]:
        """Return the calls."""
        data = (await self._rest.request("GET", "/call/status")).get("data")
        listed = data.get("calls", "none") if isinstance(data, dict) else "none"
        # An engine in Go writes an empty list as null.
        if not isinstance(listed, list | None):
            raise LegError("the gateway engine's list of calls cannot be read")
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
        """Ring a number, and return the engine's id of the call."""
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
            raise LegError("the gateway engine's list of calls cannot be read")
        return read_calls(listed)

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the call's media socket."""
        return self._rest.socket(f"{self._call(call_id)}/media")

    def read(self, text: str) -> SocketMessage | None:
        """Read a text message of the socket; None if it is of no interest."""
        return read_message(text)

    def _call(self, call_id: str) -> str:
        return f"{self._calls}/{quote(call_id, safe='')}"


GatewayEngine: TypeAlias = ZuckZapGo | WaDial
"""One line's engine; `feed` is None in a dialect without events."""


def engine(http: Http, *, dialect: str, url: str, token: str, session: str) -> GatewayEngine:
    """Make the client of a line's engine, as the settings of `lines.NAME.whatsapp` name it."""
    if dialect == "wadial":
        return WaDial(http, url=url, token=token, name=session)
    return ZuckZapGo(http, url=url, token=token)


def _call_id(entry: object) -> str:
    call = read_call(entry)
    if call is None:
        raise LegError("the gateway engine did not say which call it has begun")
    return call.call_id

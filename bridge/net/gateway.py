"""WhatsApp engines with REST and a PCM socket: what both dialects share, and each one's requests.

The engine's URL is the operator's own, so it is asked through the trusted session. No request
follows a redirect: the token would go with it. Nothing here is repeated: an engine that was asked twice to
dial rings twice.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import quote

import aiohttp
import msgspec

from bridge.errors import (
    BridgeError,
    CallNotFound,
    InvalidRequest,
    InvalidState,
    LegError,
    LimitExceeded,
    Unreachable,
)
from bridge.net.http import Http
from bridge.wire.gateway import EngineCall, SocketMessage, read_call, read_calls, read_message
from bridge.wire.media_format import MediaFormat
from bridge.wire.media_socket import WADIAL, ZUCKZAPGO

REQUEST_SECONDS: Final = 8.0
DIAL_SECONDS: Final = 25.0
"""An engine answers a dial once it knows whether the number can be reached."""
SOCKET_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 10.0
"""A socket on which neither sound nor a pong comes for half as long after a ping is closed."""
MOST_BYTES: Final = 1_000_000
"""Of a reply."""
LONGEST_MESSAGE: Final = 256 * 1024
"""Of the socket: four seconds of WADial's floats."""

_WORDS: Final = 200
_NUMBERS: Final = re.compile(r"\d{5,}")
_CLOSING: Final = 0.3


class Engine(Protocol):
    """One line's engine, in whichever dialect."""

    @property
    def media(self) -> MediaFormat:
        """What its socket carries; our messages have exactly this length."""
        ...

    async def dial(self, number: str) -> str:
        """Ring a number and give the engine's id of the call.

        Raises:
            BridgeError: it does not ring it; no call is left.
        """
        ...

    async def answer(self, call_id: str) -> None:
        """Accept a call that rings us.

        Raises:
            BridgeError: it does not; `CallNotFound` when the call is gone.
        """
        ...

    async def hangup(self, call_id: str) -> None:
        """End a call in any phase; one that rings us is declined.

        Raises:
            BridgeError: it does not; `CallNotFound` when the call is gone.
        """
        ...

    async def calls(self) -> list[EngineCall]:
        """List the calls there are.

        Raises:
            BridgeError: no answer, or not a list.
        """
        ...

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the call's media socket; raises `BridgeError` on entry when it does not open."""
        ...

    def read(self, text: str) -> SocketMessage | None:
        """Read a text message of the socket; None when it tells us nothing."""
        ...


class ZuckZapGo:
    """ZuckZapGo's dialect: `/call/*`, s16le in messages of 60 ms (its guide, §4 and §6)."""

    media = ZUCKZAPGO

    def __init__(self, http: Http, *, url: str, token: str) -> None:
        self._rest = _Rest(http, url, {"token": token})

    async def dial(self, number: str) -> str:
        """`POST /call/dial`; see `Engine.dial`."""
        body = {"phone": number, "video": False}
        data = await self._rest.ask("POST", "/call/dial", body, seconds=DIAL_SECONDS)
        return _call_id(data.get("data"))

    async def answer(self, call_id: str) -> None:
        """`POST /call/answer`; see `Engine.answer`."""
        await self._rest.ask("POST", "/call/answer", {"callId": call_id})

    async def hangup(self, call_id: str) -> None:
        """`POST /call/hangup`; see `Engine.hangup`."""
        await self._rest.ask("POST", "/call/hangup", {"callId": call_id})

    async def calls(self) -> list[EngineCall]:
        """`GET /call/status`; see `Engine.calls`."""
        data = (await self._rest.ask("GET", "/call/status")).get("data")
        if not isinstance(data, dict) or "calls" not in data:
            raise LegError("the gateway engine's list of calls cannot be read")
        return read_calls(data["calls"])

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """`GET /call/{call_id}/stream`, with the token in the header, not in the query."""
        return self._rest.socket(f"/call/{quote(call_id, safe='')}/stream")

    def read(self, text: str) -> SocketMessage | None:
        """Its socket has no text messages."""
        return None


class WaDial:
    """WADial's dialect: `/api/v1/sessions/{session}/calls`, f32le (its "Live calls" pages)."""

    media = WADIAL

    def __init__(self, http: Http, *, url: str, token: str, name: str) -> None:
        """Make a client of one of the account's sessions, named `name`."""
        self._rest = _Rest(http, url, {"Authorization": f"Bearer {token}"})
        self._calls = f"/api/v1/sessions/{quote(name, safe='')}/calls"

    async def dial(self, number: str) -> str:
        """`POST` to the list of calls; see `Engine.dial`."""
        body = {"to": f"{number}@s.whatsapp.net"}
        reply = await self._rest.ask("POST", self._calls, body, seconds=DIAL_SECONDS)
        return _call_id(reply.get("data"))

    async def answer(self, call_id: str) -> None:
        """`POST …/accept`; see `Engine.answer`."""
        await self._rest.ask("POST", f"{self._call(call_id)}/accept")

    async def hangup(self, call_id: str) -> None:
        """`POST …/end`; see `Engine.hangup`."""
        await self._rest.ask("POST", f"{self._call(call_id)}/end")

    async def calls(self) -> list[EngineCall]:
        """`GET` of the list of calls; see `Engine.calls`."""
        listed = (await self._rest.ask("GET", self._calls)).get("data")
        if not isinstance(listed, list):
            raise LegError("the gateway engine's list of calls cannot be read")
        return read_calls(listed)

    def socket(self, call_id: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """`GET …/media`."""
        return self._rest.socket(f"{self._call(call_id)}/media")

    def read(self, text: str) -> SocketMessage | None:
        """Read `ready`, `buffer`, `call_state`, `error` and `ended`."""
        return read_message(text)

    def _call(self, call_id: str) -> str:
        return f"{self._calls}/{quote(call_id, safe='')}"


def engine(http: Http, *, dialect: str, url: str, token: str, session: str) -> Engine:
    """Make the client of a line's engine, as the settings of `lines.NAME.whatsapp` name it."""
    if dialect == "wadial":
        return WaDial(http, url=url, token=token, name=session)
    return ZuckZapGo(http, url=url, token=token)


class _Rest:
    """Requests to one engine, and what their failures mean."""

    def __init__(self, http: Http, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = headers

    async def ask(
        self, method: str, path: str, body: object = None, *, seconds: float = REQUEST_SECONDS
    ) -> dict[str, Any]:
        """Ask, and give the JSON object of a success.

        Raises:
            BridgeError: the engine is not reached, refuses, or answers nonsense.
        """
        try:
            async with self._http.trusted().request(
                method,
                f"{self._url}{path}",
                json=body,
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=SOCKET_SECONDS),
            ) as response:
                return _judge(response.status, await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreached(error) from None

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket.

        Raises:
            BridgeError: it does not open.
        """
        try:
            async with asyncio.timeout(SOCKET_SECONDS):
                socket = await self._http.trusted().ws_connect(
                    f"{self._url}{path}",
                    headers=self._headers,
                    heartbeat=HEARTBEAT_SECONDS,
                    max_msg_size=LONGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status, "") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreached(error) from None
        try:
            yield socket
        finally:
            await socket.close()


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read a reply; what is no JSON object is an empty one."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > MOST_BYTES:
            raise LegError("the gateway engine's reply is too long")
    try:
        reply = msgspec.json.decode(bytes(raw))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _judge(status: int, reply: dict[str, Any]) -> dict[str, Any]:
    """Give the reply of a success.

    Raises:
        BridgeError: it is none.
    """
    if 200 <= status < 300 and reply.get("success", True) is not False:
        return reply
    told = reply.get("error")
    if isinstance(told, dict):
        told = told.get("message")
    # A refusal in the envelope of a 200 carries its own code.
    code = reply.get("code")
    real = code if 200 <= status < 300 and isinstance(code, int) else status
    raise _refusal(real, _harmless(told if isinstance(told, str) else ""))


def _refusal(status: int, told: str) -> BridgeError:
    """Make the error that our own client gets for the engine's status."""
    words = f": {told}" if told else f" ({status})"
    match status:
        case 400 | 422:
            return InvalidRequest(f"the gateway engine refuses the request{words}")
        case 401 | 403:
            return LegError(f"the gateway engine refuses the line's whatsapp.token{words}")
        case 404:
            return CallNotFound(f"the gateway engine knows no such call{words}")
        case 429:
            return LimitExceeded(f"the gateway engine takes no more requests{words}")
        case 502 | 504:
            return Unreachable(f"the number cannot be reached{words}")
        case _ if 400 <= status < 500:
            return InvalidState(f"the gateway engine refuses{words}")
        case _:
            return LegError(f"the gateway engine has failed{words}")


def _unreached(error: Exception) -> LegError:
    # Not its text: it may hold the URL.
    return LegError(f"the gateway engine does not answer ({type(error).__name__})")


def _harmless(told: str) -> str:
    """Keep the engine's words short, on one line, and without what may be a number."""
    text = "".join(sign if sign.isprintable() else " " for sign in told[:_WORDS]).strip()
    return _NUMBERS.sub("…", text)


def _call_id(entry: object) -> str:
    call = read_call(entry)
    if call is None:
        raise LegError("the gateway engine did not say which call it has begun")
    return call.call_id

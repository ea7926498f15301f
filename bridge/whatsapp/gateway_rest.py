"""Requests and WebSockets to a gateway, and the errors of their failures.

The URL is the operator's, so the trusted session is used. Every request carries the token, so redirects
are followed only within the origin. Nothing is retried: a gateway that gets two dials rings twice.
Every method raises `BridgeError` when the gateway does not answer, refuses, or sends nonsense.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from bridge.errors import (
    BridgeError,
    CallNotFound,
    InvalidRequest,
    InvalidState,
    LegError,
    LimitExceeded,
    ProviderUnreachable,
    Unreachable,
)
from bridge.http.client import REDIRECTS, Http, within_origin

REQUEST_SECONDS: Final = 8.0
SOCKET_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 10.0
"""Of pings; a socket without data or pong for half of it is closed."""
MAX_BYTES: Final = 1_000_000
"""Of a reply."""
MAX_MESSAGE: Final = 256 * 1024
"""Of the socket: four seconds of WADial's floats."""
QUIET_SECONDS: Final = 300.0
"""A stream of events without data for so long is reopened."""
EVENT_STREAM: Final = "text/event-stream"
MAX_REDIRECTS: Final = 3
_SAME_METHOD: Final = frozenset({307, 308})
"""Redirects that keep method and body."""

_MAX_MESSAGE_CHARACTERS: Final = 200
"""Of a gateway's error text."""
_NUMBERS: Final = re.compile(r"\d{5,}")
_CLOSING: Final = 0.3

log = logging.getLogger(__name__)


class Rest:
    """Requests to one gateway."""

    def __init__(self, http: Http, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = headers

    async def request(
        self, method: str, path: str, body: object = None, *, seconds: float = REQUEST_SECONDS
    ) -> dict[str, Any]:
        """Send a request, and return the JSON object of a successful response."""
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=SOCKET_SECONDS)
        url = URL(f"{self._url}{path}", encoded=True)
        if method != "GET":  # polls are frequent
            log.debug("gateway.request", extra={"action": _action(path)})
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._http.trusted().request(
                    method,
                    url,
                    json=body,
                    headers=self._headers,
                    allow_redirects=False,
                    timeout=limit,
                ) as response:
                    if response.status not in REDIRECTS:
                        return _check(response.status, await _read(response))
                    if method != "GET" and response.status not in _SAME_METHOD:
                        raise LegError("the gateway redirects a request that must not be repeated")
                    url = within_origin(url, response.headers.get("Location", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None
        raise LegError("the gateway redirects too often")

    async def stream(self, path: str, *, last_id: str) -> AsyncGenerator[bytes, None]:
        """Yield an empty piece once a stream of server-sent events is open, then its data."""
        headers = {**self._headers, "Accept": EVENT_STREAM, "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=SOCKET_SECONDS, sock_read=QUIET_SECONDS
        )
        try:
            async with self._http.trusted_streams().get(
                URL(f"{self._url}{path}", encoded=True),
                headers=headers,
                allow_redirects=False,
                timeout=limit,
            ) as response:
                if response.status != HTTPStatus.OK or response.content_type != EVENT_STREAM:
                    raise _refusal(response.status, "")
                yield b""
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket."""
        try:
            async with asyncio.timeout(SOCKET_SECONDS):
                socket = await self._http.trusted_streams().ws_connect(
                    f"{self._url}{path}",
                    headers=self._headers,
                    heartbeat=HEARTBEAT_SECONDS,
                    max_msg_size=MAX_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status, "") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None
        try:
            yield socket
        finally:
            await socket.close()


def _action(path: str) -> str:
    """Return the verb of a path, without ids, which may be numbers."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if last.isalpha() and last.islower() else "call"


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read a reply; one that is no JSON object is empty."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > MAX_BYTES:
            raise LegError("the gateway's reply is too long")
    try:
        reply = msgspec.json.decode(bytes(raw))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _check(status: int, reply: dict[str, Any]) -> dict[str, Any]:
    """Return a successful reply; raise the error of any other."""
    if 200 <= status < 300 and reply.get("success", True) is not False:
        return reply
    message = reply.get("error")
    if isinstance(message, dict):
        message = message.get("message")
    # A refusal in the envelope of a 200 carries its own code.
    code = reply.get("code")
    real = code if 200 <= status < 300 and isinstance(code, int) else status
    raise _refusal(real, _harmless(message if isinstance(message, str) else ""))


def _refusal(status: int, message: str) -> BridgeError:
    """Return the error that our client gets for the gateway's status."""
    words = f": {message}" if message else f" ({status})"
    match status:
        case 400 | 422:
            return InvalidRequest(f"the gateway refuses the request{words}")
        case 401 | 403:
            return LegError(f"the gateway refuses the line's whatsapp.token{words}")
        case 404:
            return CallNotFound(f"the gateway knows no such call{words}")
        case 429:
            return LimitExceeded(f"the gateway's rate limit was exceeded{words}")
        case 502 | 504:
            return Unreachable(f"the number cannot be reached{words}")
        case _ if 400 <= status < 500:
            return InvalidState(f"the gateway refuses{words}")
        case _:
            return ProviderUnreachable(f"the gateway has failed{words}")


def _unreachable(error: Exception) -> ProviderUnreachable:
    # Not its text, which may contain the URL.
    return ProviderUnreachable(f"the gateway does not answer ({type(error).__name__})")


def _harmless(message: str) -> str:
    """Return the gateway's text truncated, on one line, without possible numbers."""
    text = "".join(
        sign if sign.isprintable() else " " for sign in message[:_MAX_MESSAGE_CHARACTERS]
    ).strip()
    return _NUMBERS.sub("…", text)

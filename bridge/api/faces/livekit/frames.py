"""The requests of a client's WebSocket, limited in size and number."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.api.server.rate import RateLimit
from bridge.errors import RateLimited, RemoteProtocolError
from bridge.wire.livekit.protobuf import decode
from bridge.wire.livekit.request import SignalRequest

log = logging.getLogger(__name__)

FRAME_BYTES: Final = 64 * 1024
SILENT_SECONDS: Final = 15
"""A client that sends nothing for so long has gone; its leg stays for as long as its media does."""
FRAMES_PER_MINUTE: Final = 1200
"""Of one client, and at once: SDKs send some fifty when they join, mostly candidates, then one in 2 s."""


class Frames:
    """What a client sends; `bridge_livekit_refused_total` counts what is refused or dropped."""

    def __init__(
        self, ws: web.WebSocketResponse, leg_id: str, refused: Callable[[str], None]
    ) -> None:
        """`refused` counts by reason; `leg_id` is for the log."""
        self._ws = ws
        self._leg_id = leg_id
        self._refused = refused
        self._rate = RateLimit(FRAMES_PER_MINUTE)

    async def next(self) -> SignalRequest | None:
        """Return the next request; None when the client has gone, is silent, or sends frames that are too large.

        What is beyond the rate is dropped unread.

        Raises:
            RemoteProtocolError: it is malformed.
        """
        while True:
            try:
                message = await self._ws.receive(timeout=SILENT_SECONDS)
            except TimeoutError:
                self._refuse("silent")
                return None
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                if message.type is WSMsgType.ERROR:
                    code = getattr(message.data, "code", 0)  # of aiohttp's `WebSocketError`
                    large = code == WSCloseCode.MESSAGE_TOO_BIG
                    self._refuse("frame_too_large" if large else "frame")
                return None
            if not self._within_rate() or message.type is WSMsgType.TEXT:  # JSON, of tests of SDKs
                continue
            try:
                return decode(SignalRequest, message.data)
            except RemoteProtocolError:
                self._refuse("frame")
                raise

    def _within_rate(self) -> bool:
        try:
            self._rate.spend(b"", asyncio.get_running_loop().time())
        except RateLimited:
            self._refused("too_many_frames")
            return False
        return True

    def _refuse(self, reason: str) -> None:
        self._refused(reason)
        log.info("livekit.refused", extra={"leg": self._leg_id, "reason": reason})

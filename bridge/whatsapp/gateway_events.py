"""The server-sent events of a gateway engine.

They only cause a poll: missed events show in the list of calls.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge.errors import BridgeError, RemoteProtocolError
from bridge.whatsapp.gateway_rest import Rest
from bridge.wire.event_stream import EventStreamReader, ServerEvent
from bridge.wire.gateway import Webhook, read_webhook

log = logging.getLogger(__name__)

MIN_BACKOFF: Final = 1.0
MAX_BACKOFF: Final = 30.0
MIN_OPEN_SECONDS: Final = 10.0
"""A stream that was open for less without an event counts as failed."""
_CALLS: Final = "call."


class EventFeed:
    """One engine's stream of events."""

    def __init__(
        self,
        rest: Rest,
        path: str,
        *,
        min_backoff: float = MIN_BACKOFF,
        max_backoff: float = MAX_BACKOFF,
    ) -> None:
        self._rest = rest
        self._path = path
        self._min_backoff = min_backoff
        self._max_backoff = max_backoff

    async def run(self, handle: Callable[[Webhook | None], None]) -> None:
        """Pass the events of calls to `handle` until cancelled.

        It gets None when the stream opens, as some may have been missed.
        """
        loop = asyncio.get_running_loop()
        reader = EventStreamReader()
        delay = self._min_backoff
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
                log.info("gateway.feed_lost", extra={"code": error.code})
            if received or loop.time() - opened >= MIN_OPEN_SECONDS:
                delay = self._min_backoff
            await asyncio.sleep(min(max(delay, reader.retry_seconds or 0.0), self._max_backoff))
            delay = min(2 * delay, self._max_backoff)


def _webhook(event: ServerEvent) -> Webhook | None:
    """Read an event; None when it is not about a call."""
    try:
        webhook = read_webhook(event.data.encode(), "application/json")
    except RemoteProtocolError:
        webhook = Webhook("", frozenset())
    if event.kind.startswith(_CALLS):
        return Webhook(event.kind.removeprefix(_CALLS), webhook.texts)
    return webhook if webhook.kind else None

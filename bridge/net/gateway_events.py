"""The events that a gateway engine tells while it is listened to (server-sent events).

They are only a reason to look: what is not told, or told while nobody listened, is found by the
list of calls.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge.errors import BridgeError, RemoteProtocolError
from bridge.net.gateway_rest import Rest
from bridge.wire.event_stream import EventStreamReader, ServerEvent
from bridge.wire.gateway import Webhook, read_webhook

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
MAX_PAUSE: Final = 30.0
"""Between two attempts, unless the engine names a pause; it grows from the first to this."""
LIVED_SECONDS: Final = 10.0
"""A stream that was open for less, and told nothing, counts as one that did not open."""
_CALLS: Final = "call."


class EventFeed:
    """One engine's stream of events."""

    def __init__(self, rest: Rest, path: str) -> None:
        self._rest = rest
        self._path = path

    async def run(self, tell: Callable[[Webhook | None], None]) -> None:
        """Listen again and again until cancelled.

        Args:
            tell: takes what is told of calls; None when the stream opens, as something may have
                happened before.
        """
        loop = asyncio.get_running_loop()
        reader = EventStreamReader()
        pause = FIRST_PAUSE
        while True:
            opened, told = loop.time(), False
            reader.begin()
            try:
                async for piece in self._rest.stream(self._path, last_id=reader.last_id):
                    if not piece:
                        tell(None)
                    for event in reader.read(piece):
                        told = True
                        if (news := _news(event)) is not None:
                            tell(news)
            except BridgeError as error:
                log.info("gateway.feed_lost", extra={"code": error.code})
            if told or loop.time() - opened >= LIVED_SECONDS:
                pause = FIRST_PAUSE
            await asyncio.sleep(min(max(pause, reader.retry_seconds or 0.0), MAX_PAUSE))
            pause = min(2 * pause, MAX_PAUSE)


def _news(event: ServerEvent) -> Webhook | None:
    """Read an event; None when it is not about a call."""
    try:
        news = read_webhook(event.data.encode(), "application/json")
    except RemoteProtocolError:
        news = Webhook("", frozenset())
    if event.kind.startswith(_CALLS):
        return Webhook(event.kind.removeprefix(_CALLS), news.texts)
    return news if news.kind else None

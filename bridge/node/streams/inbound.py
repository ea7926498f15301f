"""Answers inbound calls into a stream, on lines in that mode.

The line's fallback (`stream_fallback`) takes over when the stream cannot be connected, or ends other than by
request or with the call.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge.call.model import CallId, Direction, LineName
from bridge.errors import AddressBlocked, BridgeError, InvalidRequest
from bridge.node.lines import InboundMode, LineConfig, Lines
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.node.streams.fallback import NOT_STARTED, LostStream, StreamFallbacks
from bridge.node.streams.streams import StreamOrder, Streams
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.stream.media_stream import Channel, StreamEndReason, StreamType
from bridge.wire.stream.protocols import PROTOCOLS

log = logging.getLogger(__name__)

NEEDS_URL: Final = (
    "callStreamUrl: needed with callInboundMode stream; set the ws or wss URL of your server"
)
NEEDS_REALTIME: Final = (
    "callStreamUrl: needed with callInboundMode stream; set the ws or wss URL of a realtime server, or ask the "
    "operator for [lines.NAME.realtime] in the settings"
)
INTERNAL: Final = "internal error; the bridge's log has the details"


class InboundStreams:
    """The inbound calls of this node that were answered into a stream."""

    def __init__(
        self,
        manager: Manager,
        lines: Lines,
        streams: Streams,
        fallbacks: StreamFallbacks,
        *,
        count_ended: Callable[[str], None],
    ) -> None:
        """`count_ended` takes the reason of the end of every stream, however the stream began."""
        self._manager = manager
        self._lines = lines
        self._streams = streams
        self._fallbacks = fallbacks
        self._count_ended = count_ended
        self.answered: set[CallId] = set()
        """The calls whose two-way stream, while it lasts, is the one that they were answered into."""
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()

    def check(self, line: LineName, config: LineConfig) -> None:
        """Check that a line in the mode `stream` says where to.

        Raises:
            InvalidRequest: it does not.
        """
        if config.mode is not InboundMode.STREAM or config.stream_url:
            return
        if not PROTOCOLS[config.stream_protocol].model:
            raise InvalidRequest(NEEDS_URL, field="callStreamUrl")
        if not self._streams.realtime.has(line):
            raise InvalidRequest(NEEDS_REALTIME, field="callStreamUrl")

    def on_event(self, event: CallEvent) -> None:
        """Start a stream once the media of an inbound call is up, and observe its end."""
        if event.call is None:
            return
        line, call_id, data = LineName(event.line), CallId(event.call.id), event.data
        match event.type:
            case EventType.CALL_ACTIVE if event.call.direction == Direction.INBOUND:
                if self._lines.config(line).mode is InboundMode.STREAM:
                    self._tasks.spawn(self._start(event.call), name=f"stream of call {call_id}")
            case EventType.STREAM_ENDED:
                self._stream_ended(call_id, data)
            case EventType.CALL_ENDED:
                self.answered.discard(call_id)

    async def aclose(self) -> None:
        """Start no more streams."""
        await self._tasks.aclose()
        await self._fallbacks.aclose()

    async def _start(self, call: CallSnapshot) -> None:
        call_id = CallId(call.id)
        runner = self._manager.running(call_id)
        if runner is None:
            return
        order = _order(self._lines.config(runner.facts.line), call)
        try:
            await self._streams.start(runner, order, call_id)
            self.answered.add(call_id)
        except AddressBlocked as error:
            self._not_started(runner, StreamEndReason.BLOCKED, str(error))
        except BridgeError as error:
            self._not_started(runner, NOT_STARTED, str(error))
        except Exception:  # nobody else would speak to the caller
            log.exception("stream.failed")
            self._not_started(runner, NOT_STARTED, INTERNAL)

    def _not_started(self, runner: CallRunner, reason: str, error: str) -> None:
        log.warning("stream.not_started", extra={"call": runner.facts.call_id, "reason": reason})
        self._fallbacks.take_over(runner, LostStream("", reason, error))

    def _stream_ended(self, call_id: CallId, data: dict[str, object]) -> None:
        stream_id, reason = str(data.get("streamId")), str(data.get("reason"))
        self._count_ended(reason)
        if call_id not in self.answered or data.get("streamType") != StreamType.TWOWAY:
            return
        self.answered.discard(call_id)
        runner = self._manager.running(call_id)
        if runner is not None and reason != StreamEndReason.STOPPED:
            lost = LostStream(stream_id, reason, str(data.get("error", "")))
            # In the next iteration, when its leg has left.
            self._loop.call_soon(self._fallbacks.take_over, runner, lost)


def _order(config: LineConfig, call: CallSnapshot) -> StreamOrder:
    """Return a line's stream, whose server is told who calls whom."""
    parties = {"callId": call.id, "from": call.from_, "to": call.to}
    return StreamOrder(
        config.stream_url,
        StreamType.TWOWAY,
        Channel.INBOUND,
        PROTOCOLS[config.stream_protocol].media,
        protocol=config.stream_protocol,
        parameters={name: text for name, text in parties.items() if text},
    )

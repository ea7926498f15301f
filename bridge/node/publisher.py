"""Publishes what happens to this node's calls, once each, to whatever reacts to it: log, recordings, agents, digits."""

import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bridge.call.model import CallId, CallRecord, LineName
from bridge.call.view import snapshot_of
from bridge.log import call_id as log_call_id
from bridge.wire.call_event import CallEvent, EventType, end_id
from bridge.wire.crash_marks import CrashMarks, mark_of

log = logging.getLogger(__name__)

Subscriber: TypeAlias = Callable[[CallEvent], None]


class Publisher:
    """Delivers events in the order in which they happened.

    While a call performs the commands of its machine its events are held, so that a subscriber finds the
    call as it stands afterwards and may change it; what that publishes is delivered next.
    """

    def __init__(self) -> None:
        self.marks = CrashMarks()
        """Where it is noted which call is worked on."""
        self._subscribers: list[Subscriber] = []
        self._pending: deque[CallEvent] = deque()
        self._holds = 0

    def subscribe(self, *subscribers: Subscriber) -> None:
        """Add functions that are called with every event; they must not wait."""
        self._subscribers += subscribers

    def publish(self, event: CallEvent) -> None:
        """Publish an event."""
        self._pending.append(event)
        self._deliver()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Deliver what is published within only at the end; may be nested."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._deliver()

    @contextmanager
    def about(self, call_id: CallId) -> Iterator[None]:
        """Do as `hold` while a call handles something; what is logged names it, and so does a crash."""
        named = log_call_id.set(call_id)
        try:
            with self.marks.about(call_id), self.hold():
                yield
        finally:
            log_call_id.reset(named)

    def _deliver(self) -> None:
        if self._holds:
            return
        self._holds += 1
        try:
            while self._pending:
                self._deliver_one(self._pending.popleft())
        finally:
            self._holds -= 1

    def _deliver_one(self, event: CallEvent) -> None:
        call_id = event.call.id if event.call else ""
        named, before = log_call_id.set(call_id), self.marks.begin(mark_of(call_id))
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # the other subscribers must get it all the same
                log.exception("event.subscriber_failed", extra={"type": event.type})
        self.marks.end(before)
        log_call_id.reset(named)


def new_event(
    kind: EventType,
    line: LineName,
    record: CallRecord | None,
    data: Mapping[str, Any] | None = None,
    *,
    callback_url: str = "",
) -> CallEvent:
    """Return an event that happens now; bytes in its data are left out.

    It has the call as `record` has it; None for a call no longer known.
    """
    identity = f"evt_{secrets.token_hex(12)}"
    if record is not None and kind is EventType.CALL_ENDED:
        identity = end_id(record.facts.call_id)
    return CallEvent(
        id=identity,
        type=kind,
        line=line,
        at=datetime.now(UTC),
        call=snapshot_of(record) if record else None,
        data={
            name: value
            for name, value in (data or {}).items()
            if not isinstance(value, bytes | bytearray | memoryview)
        },
        callback_url=callback_url,
    )

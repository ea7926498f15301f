"""The log of events, for listeners on any node.

An event exists once its row is on disk. A listener reads pages of the log until it has caught up, and then
gets new events in the order of their numbers, which all nodes share: one reader per node passes on what
any node has written since the last number.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Final, Protocol

import msgspec

from bridge.call.model import LineName
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import DatabaseLost
from bridge.metrics.events import EventMetrics
from bridge.settings.model import Events
from bridge.stores import events
from bridge.stores.deliveries import Callback
from bridge.stores.events import Numbered
from bridge.stores.nodes import Member
from bridge.tasks import wait_set
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook.formats import Style

log = logging.getLogger(__name__)

EVENT: Final = "event"
"""What events are appended to the database as."""
MAX_QUEUED: Final = 256
"""Events queued for one listener; one that is further behind reads the log again."""
POLL_SECONDS: Final = 0.25
"""How often other nodes' events are polled while anybody listens."""
SWEEP_SECONDS: Final = 600.0
DIGITS_SECONDS: Final = 15.0
"""How often expired digits are removed from the log."""
SUBSCRIBED: Final = frozenset({Style.WAGO, Style.ZUCKZAPGO})
"""Styles whose clients choose their events when they connect a line."""


TRANSCRIPTS: Final = frozenset({EventType.TRANSCRIPT_READY, EventType.TRANSCRIPT_FAILED})
LOGGED: Final = {
    "legID": "leg",
    "kind": "kind",
    "party": "party",
    "reason": "reason",
    "status": "status",
    "result": "result",
    "format": "format",
    "muted": "muted",
    "playbackId": "playback",
    "recordingId": "recording",
    "streamId": "stream",
    "streamType": "stream_type",
    "durationMs": "duration_ms",
    "seconds": "seconds",
    "attempts": "attempts",
}
"""Fields of an event's data that are logged, and their names in the log: ids, numbers of seconds, closed sets."""


class OwnNode(Protocol):
    """What of `cluster.membership.Membership` the log needs."""

    own: Member
    several: bool
    fenced: asyncio.Event

    def now(self) -> float:
        """Return the time on the clock that all nodes share, in Unix seconds."""


class EventLog:
    """All events of a bridge, as one node sees them."""

    def __init__(
        self,
        database: Database,
        *,
        members: OwnNode,
        metrics: EventMetrics,
        subscribes: Callable[[LineName], bool] = lambda line: True,
    ) -> None:
        """Open the log of node `members.own`.

        `subscribes` says whether a line's webhooks of the styles in `SUBSCRIBED` get events of calls.
        """
        self._database = database
        self._members = members
        self._metrics = metrics
        self._subscribes = subscribes
        self._followers: list[Callable[[], None]] = []
        self._closed = False
        self._seen = 0
        """The number of the last event that was passed to listeners."""
        self._listeners: set[_Listener] = set()
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.on_late: Callable[[], None] = lambda: None
        """Called when events of a process that has ended were written."""
        database.handle(EVENT, self._insert)
        database.follow(self.written)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call a function whenever events of this node have reached the disk."""
        self._followers.append(follower)

    def append(self, event: CallEvent) -> None:
        """Write an event without waiting; listeners get it once it is on disk."""
        if self._members.fenced.is_set():
            return  # others have written how its calls ended
        without = frozenset() if self._subscribes(LineName(event.line)) else SUBSCRIBED
        try:
            # One that cannot be encoded must not fail the transaction it would share with others.
            entry = events.entry_of(
                event,
                self._members.own,
                callback_of(event),
                without,
                at=self._members.now(),
            )
        except (TypeError, ValueError):
            log.exception("event.encode_failed", extra={"type": event.type})
            return
        trace(event)
        self._database.append(EVENT, msgspec.msgpack.encode(entry), then=self.written)

    async def flush(self) -> None:
        """Wait until all events so far are on disk."""
        await self._database.flush()

    async def last(self) -> int:
        """Return the number of the last event."""
        return await self._database.read(events.last)

    async def listen(
        self, line: LineName, *, call_id: str | None = None, after: int, idle: float
    ) -> AsyncGenerator[Numbered | None, None]:
        """Yield a line's events, or those of one call, after a number until the bridge shuts down.

        None is yielded when there was none for `idle` seconds.
        """
        listener = _Listener(line, call_id)
        newest = await self.last()
        if not self._listeners:
            self._seen = newest
        self._listeners.add(listener)
        self._metrics.set_event_listeners(len(self._listeners))
        self._woken.set()
        try:
            while True:
                for number, event in await self._next(listener, after):
                    if number > after:
                        after = number
                        yield number, event
                if not listener.waits:
                    continue
                if self._closed:
                    return
                if not await wait_set(listener.woken, idle):
                    yield None
        finally:
            self._listeners.discard(listener)
            self._metrics.set_event_listeners(len(self._listeners))

    async def run(self, kept: Events) -> None:
        """Pass events to listeners and delete old ones, until cancelled."""
        try:
            await self._run(kept)
        finally:
            self._closed = True
            for listener in self._listeners:
                listener.woken.set()

    async def _run(self, kept: Events) -> None:
        swept = wiped = -SWEEP_SECONDS
        while True:
            if self._loop.time() - swept >= SWEEP_SECONDS:
                swept = self._loop.time()
                self._forget(kept)
            if self._loop.time() - wiped >= DIGITS_SECONDS:
                wiped = self._loop.time()
                self._forget_digits(kept)
            alone = not self._members.several or not self._listeners
            await wait_set(self._woken, DIGITS_SECONDS if alone else POLL_SECONDS)
            self._woken.clear()
            if self._listeners and self._database.reachable:
                await self._pass_on()

    def _insert(self, connection: Connection, payloads: list[bytes]) -> None:
        """Insert events, but not what a process did after it was found to have ended."""
        entries = [msgspec.msgpack.decode(one, type=events.Entry) for one in payloads]
        ended = events.insert_timely(connection, entries)
        if self._members.own.boot in ended:
            self._loop.call_soon_threadsafe(self._members.fenced.set)
        elif ended:
            self._loop.call_soon_threadsafe(self.on_late)

    def written(self) -> None:
        """Pass on what has reached the disk."""
        self._woken.set()
        for follower in self._followers:
            follower()

    async def _next(self, listener: "_Listener", after: int) -> list[Numbered]:
        if not listener.lags:
            return listener.take_queued()
        # New events are queued from here on; duplicates are recognised by their number.
        listener.lags = False
        page = await self.read(after, listener.line, listener.call_id)
        if len(page) == events.PAGE:
            listener.lag()
        return page

    async def _pass_on(self) -> None:
        try:
            while page := await self.read(self._seen):
                self._seen = page[-1][0]
                for listener in self._listeners:
                    listener.put(page)
        except DatabaseLost:
            pass  # logged there; what is new is read when it is back
        except Exception:  # must not end the loop
            log.exception("events.read_failed")

    async def read(
        self, after: int, line: LineName | None = None, call_id: str | None = None
    ) -> list[Numbered]:
        """Return a page of events after a number: of all lines, of one line, or of one of its calls."""
        return await self._database.read(events.read, after=after, line=line, call_id=call_id)

    def _forget(self, kept: Events) -> None:
        now = wall_time()
        before, dead_before = now - kept.kept_seconds, now - kept.dead_letter_seconds
        self._database.post(partial(events.forget, events_before=before, dead_before=dead_before))

    def _forget_digits(self, kept: Events) -> None:
        before = wall_time() - kept.digits_seconds
        self._database.post(partial(events.forget_digits, ended_before=before))


class _Listener:
    """The events that one listener has yet to get."""

    def __init__(self, line: LineName, call_id: str | None) -> None:
        self.line = line
        self.call_id = call_id
        self.lags = True
        """Whether it reads from the log, and nothing is queued for it."""
        self.woken = asyncio.Event()
        self._queued: deque[Numbered] = deque()

    @property
    def waits(self) -> bool:
        """Whether there is nothing for it now."""
        return not self.lags and not self._queued

    def put(self, page: list[Numbered]) -> None:
        """Queue its events; if there are too many it must read them from the log."""
        for number, event in page:
            if self.lags or not self._is_for_us(event):
                continue
            self._queued.append((number, event))
            if len(self._queued) > MAX_QUEUED:
                self.lag()
        if not self.waits:
            self.woken.set()

    def lag(self) -> None:
        """Queue nothing more: it must read the log."""
        self.lags = True
        self._queued.clear()

    def take_queued(self) -> list[Numbered]:
        """Return what is queued."""
        self.woken.clear()
        queued = list(self._queued)
        self._queued.clear()
        return queued

    def _is_for_us(self, event: CallEvent) -> bool:
        if event.line != self.line:
            return False
        return self.call_id is None or (event.call is not None and event.call.id == self.call_id)


def trace(event: CallEvent) -> None:
    """Log an event at debug level, without digits, transcripts, identities, numbers and URLs."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    fields = {LOGGED[name]: event.data[name] for name in LOGGED if name in event.data}
    call, state = (event.call.id, event.call.state) if event.call else ("", "")
    log.debug("event.published", extra={"type": event.type, "call": call, "state": state, **fields})


def callback_of(event: CallEvent) -> Callback | None:
    """Return where an event goes besides the endpoints of its line."""
    if event.callback_url and event.type in TRANSCRIPTS:
        return Callback(event.callback_url, Style.WAVIX_TRANSCRIPTION)
    url = event.callback_url or (event.call.callback_url if event.call else "")
    return Callback(url, Style.WAVIX) if url else None

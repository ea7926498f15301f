"""The log of events, for listeners on any node.

An event exists once its row is on disk. A listener reads pages of the log until it has caught up, and then
gets new events in the order of their numbers, which all nodes share: one reader per node passes on what
any node has written since the last number.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Final, NamedTuple

import msgspec

from bridge.call.model import EndReason, LineName, State
from bridge.metrics.events import EventMetrics
from bridge.net import deliveries, digit_events, endpoints, event_store
from bridge.net.database import Database
from bridge.net.deliveries import Callback
from bridge.net.event_store import Numbered
from bridge.node.event_trace import trace
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook import Style

log = logging.getLogger(__name__)

MAX_QUEUED: Final = 256
"""Events queued for one listener; one that is further behind reads the log again."""
POLL_SECONDS: Final = 0.25
"""How often other nodes' events are polled while anybody listens."""
SWEEP_SECONDS: Final = 600.0
DIGITS_SECONDS: Final = 15.0
"""How often expired digits are removed from the log."""
SUBSCRIBED: Final = frozenset({Style.WAGO, Style.ZUCKZAPGO})
"""Styles whose clients choose their events when they connect a line."""


class Retention(NamedTuple):
    """How many seconds what is stored is kept."""

    events: float
    dead_letters: float
    digits: float
    """From the end of the call."""


class EventLog:
    """All events of a bridge, as one node sees them."""

    def __init__(
        self,
        database: Database,
        *,
        node: int = 0,
        nodes: int = 1,
        metrics: EventMetrics,
        subscribes: Callable[[LineName], bool] = lambda line: True,
    ) -> None:
        """Open the log, and end the calls that this node's previous process left live.

        `subscribes` says whether a line's webhooks of the styles in `SUBSCRIBED` get events of calls.
        """
        for schema in (endpoints.SCHEMA, event_store.SCHEMA, deliveries.SCHEMA):
            database.create(schema)
        self._database = database
        self.node = node
        self.nodes = nodes
        self._metrics = metrics
        self._subscribes = subscribes
        self._followers: list[Callable[[], None]] = []
        self._closed = False
        self._seen = 0
        """The number of the last event that was passed to listeners."""
        self._listeners: set[_Listener] = set()
        self._woken = asyncio.Event()
        database.post(self._recover, then=self._written)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call a function whenever events of this node have reached the disk."""
        self._followers.append(follower)

    def append(self, event: CallEvent) -> None:
        """Write an event without waiting; listeners get it once it is on disk."""
        try:
            # One that cannot be encoded must not fail the transaction it would share with others.
            msgspec.json.encode(event)
        except (TypeError, ValueError):
            log.exception("event.unwritable", extra={"type": event.type})
            return
        trace(event)
        callback = _callback(event)
        without = frozenset() if self._subscribes(LineName(event.line)) else SUBSCRIBED

        def work(connection: Connection) -> None:
            event_store.insert(
                connection, event, node=self.node, callback=callback, without=without
            )

        self._database.post(work, then=self._written)

    async def settled(self) -> None:
        """Wait until all events so far are on disk."""
        await self._database.settled()

    async def last(self) -> int:
        """Return the number of the last event."""
        return await self._database.run(event_store.last)

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
                try:
                    async with asyncio.timeout(idle):
                        await listener.woken.wait()
                except TimeoutError:
                    yield None
        finally:
            self._listeners.discard(listener)
            self._metrics.set_event_listeners(len(self._listeners))

    async def run(self, retention: Retention) -> None:
        """Pass events to listeners and delete old ones, until cancelled."""
        try:
            await self._run(retention)
        finally:
            self._closed = True
            for listener in self._listeners:
                listener.woken.set()

    async def _run(self, retention: Retention) -> None:
        loop = asyncio.get_running_loop()
        swept = wiped = -SWEEP_SECONDS
        while True:
            if loop.time() - swept >= SWEEP_SECONDS:
                swept = loop.time()
                self._forget(retention)
            if loop.time() - wiped >= DIGITS_SECONDS:
                wiped = loop.time()
                self._forget_digits(retention)
            alone = self.nodes == 1 or not self._listeners
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DIGITS_SECONDS if alone else POLL_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            if self._listeners:
                await self._pass_on()

    def _written(self) -> None:
        self._woken.set()
        for follower in self._followers:
            follower()

    async def _next(self, listener: "_Listener", after: int) -> list[Numbered]:
        if not listener.lags:
            return listener.take_queued()
        # New events are queued from here on; duplicates are recognised by their number.
        listener.lags = False
        page = await self.read(after, listener.line, listener.call_id)
        if len(page) == event_store.PAGE:
            listener.lag()
        return page

    async def _pass_on(self) -> None:
        try:
            while page := await self.read(self._seen):
                self._seen = page[-1][0]
                for listener in self._listeners:
                    listener.put(page)
        except Exception:  # must not end the loop
            log.exception("events.unread")

    async def read(
        self, after: int, line: LineName | None = None, call_id: str | None = None
    ) -> list[Numbered]:
        """Return a page of events after a number: of all lines, of one line, or of one of its calls."""
        return await self._database.run(
            lambda connection: event_store.read(connection, after=after, line=line, call_id=call_id)
        )

    def _forget(self, retention: Retention) -> None:
        now = _now().timestamp()
        before, dead_before = now - retention.events, now - retention.dead_letters
        self._database.post(
            lambda connection: event_store.forget(
                connection, events_before=before, dead_before=dead_before
            )
        )

    def _forget_digits(self, retention: Retention) -> None:
        before = _now().timestamp() - retention.digits
        self._database.post(lambda connection: digit_events.forget(connection, ended_before=before))

    def _recover(self, connection: Connection) -> None:
        if self.node == 0:
            deliveries.reassign(connection, count=self.nodes)
        for last in event_store.cut_off(connection, node=self.node, count=self.nodes):
            if last.call is not None:
                event = _node_lost(last)
                event_store.insert(connection, event, node=self.node, callback=None)


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


def _callback(event: CallEvent) -> Callback | None:
    url = event.call.callback_url if event.call else ""
    return Callback(url, Style.WAVIX) if url else None


def _node_lost(last: CallEvent) -> CallEvent:
    """Return the end of a call that was cut off with its node."""
    now = _now()
    call = last.call
    if call is None:
        raise ValueError("an end needs a call")
    seconds = max(0.0, (now - call.started_at).total_seconds())
    reason = EndReason.NODE_LOST.value
    ended = msgspec.structs.replace(
        call, state=State.ENDED.value, reason=reason, ended_at=now, seconds=seconds
    )
    identity = f"evt_{call.id.lower()}_lost"
    data = {"reason": reason}
    return CallEvent(
        id=identity, type=EventType.CALL_ENDED, line=last.line, at=now, call=ended, data=data
    )


def _now() -> datetime:
    return datetime.now(UTC)

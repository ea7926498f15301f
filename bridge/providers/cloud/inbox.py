"""Webhook events buffered until their call is known, and the keys that recognize repeated ones."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from bridge.wire.cloud import CallWebhook, Terminated, WebhookEvent, key_of

HELD_SECONDS: Final = 30.0
"""How long an event is buffered: Meta may take 20 s to answer `connect`."""
HELD_CALLS: Final = 1000
"""Calls with buffered events; the oldest are dropped."""
HELD_EVENTS: Final = 8
KEYS_KEPT: Final = 20_000
"""Keys of processed events and of ended calls."""


class Inbox:
    """Buffers the events of calls that this node does not know yet; what it drops is counted."""

    def __init__(self, now: Callable[[], float], *, count: Callable[[str], None]) -> None:
        """Set up the buffer; `count` counts what it drops (`metrics.events.WEBHOOK_OUTCOMES`)."""
        self._now = now
        self._count = count
        self._held: OrderedDict[str, deque[tuple[CallWebhook, float]]] = OrderedDict()
        self._elsewhere: set[str] = set()
        """Calls of `_held` that another node knows; what is dropped of them is not counted."""
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_duplicate(self, event: WebhookEvent) -> bool:
        """Remember an event, and return whether it has come before."""
        return self._note(key_of(event))

    def close(self, wacid: str) -> None:
        """Drop what is buffered for a call that has ended, and buffer no more."""
        self._note((wacid, "over"))
        self._elsewhere.discard(wacid)
        self._held.pop(wacid, None)

    def hold(self, wacid: str, event: CallWebhook, *, elsewhere: bool = False) -> None:
        """Buffer an event of a call not known yet; if `elsewhere`, another node has it and counts it."""
        self._drop_expired()
        if (wacid, "over") in self._seen:
            self._count("late")
            return
        waiting = self._held.setdefault(wacid, deque(maxlen=HELD_EVENTS))
        waiting.append((event, self._now() + HELD_SECONDS))
        if elsewhere:
            self.mark_known_elsewhere(wacid)
        if len(self._held) > HELD_CALLS:
            self._drop(next(iter(self._held)))

    def mark_known_elsewhere(self, wacid: str) -> None:
        """Note that another node knows a call: dropping its events here loses nothing."""
        if wacid in self._held:
            self._elsewhere.add(wacid)

    def take(self, wacid: str) -> list[CallWebhook]:
        """Remove and return the events of a call that is known now."""
        self._drop_expired()
        self._elsewhere.discard(wacid)
        return [event for event, _ in self._held.pop(wacid, ())]

    def held(self) -> list[CallWebhook]:
        """Return all buffered events, without removing them."""
        self._drop_expired()
        return [event for waiting in self._held.values() for event, _ in waiting]

    def is_over(self, wacid: str) -> bool:
        """Return whether a call has ended, also if its end came before its beginning."""
        self._drop_expired()
        waiting = self._held.get(wacid, ())
        return (wacid, "over") in self._seen or any(
            isinstance(event, Terminated) for event, _ in waiting
        )

    def _note(self, key: tuple[str, str]) -> bool:
        known = key in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > KEYS_KEPT:
            self._seen.popitem(last=False)
        return known

    def _drop_expired(self) -> None:
        while self._held:
            wacid, waiting = next(iter(self._held.items()))
            if waiting[0][1] > self._now():
                return
            self._drop(wacid)

    def _drop(self, wacid: str) -> None:
        waiting = self._held.pop(wacid)
        # Of the calls that another partner of the number places, Meta reports only the end.
        placed_elsewhere = all(
            isinstance(event, Terminated) and event.outbound for event, _ in waiting
        )
        if wacid in self._elsewhere:
            self._elsewhere.remove(wacid)
        elif placed_elsewhere:
            self._count("standby")
        else:
            self._count("dropped")

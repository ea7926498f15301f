"""What waits for calls that are not known yet, and what is known already of the ones that are."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from bridge.wire.cloud import CallWebhook, Terminated, WebhookEvent, key_of

HELD_SECONDS: Final = 30.0
"""How long an event waits for its call to become known: Meta may take 20 to answer to `connect`."""
HELD_CALLS: Final = 1000
"""Calls that events are held for at once; the oldest go."""
HELD_EVENTS: Final = 8
KEYS_KEPT: Final = 20_000
"""Events, and calls that are over, that are remembered to know them when they come again."""


class Inbox:
    """The webhooks' events that could not be acted on at once; what it drops it counts."""

    def __init__(self, now: Callable[[], float], *, count: Callable[[str], None]) -> None:
        """Make an inbox.

        Args:
            now: seconds that only go up.
            count: counts what is dropped (`metrics.cloud.WEBHOOK_OUTCOMES`).
        """
        self._now = now
        self._count = count
        self._held: OrderedDict[str, deque[tuple[CallWebhook, float]]] = OrderedDict()
        self._quiet: set[str] = set()
        """Calls of `_held` whose loss is counted elsewhere, or nowhere."""
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_double(self, event: WebhookEvent) -> bool:
        """Whether an event has come before; from now on it has."""
        return self._note(key_of(event))

    def close(self, wacid: str) -> None:
        """Hold nothing for a call from now on: it is over."""
        self._note((wacid, "over"))
        self._quiet.discard(wacid)
        self._held.pop(wacid, None)

    def hold(self, wacid: str, event: CallWebhook, *, quietly: bool = False) -> None:
        """Keep an event for a call that is not known yet.

        Args:
            wacid: the call.
            event: about it.
            quietly: whether another node counts it if it is dropped.
        """
        self._drop_old()
        if (wacid, "over") in self._seen:
            self._count("late")
            return
        waiting = self._held.setdefault(wacid, deque(maxlen=HELD_EVENTS))
        waiting.append((event, self._now() + HELD_SECONDS))
        if quietly:
            self.hush(wacid)
        if len(self._held) > HELD_CALLS:
            self._drop(next(iter(self._held)))

    def hush(self, wacid: str) -> None:
        """Note that another node knows a call: what is held for it here is nobody's loss."""
        if wacid in self._held:
            self._quiet.add(wacid)

    def give(self, wacid: str) -> list[CallWebhook]:
        """Give what waited for a call, which is known now."""
        self._drop_old()
        self._quiet.discard(wacid)
        return [event for event, _ in self._held.pop(wacid, ())]

    def held(self) -> list[CallWebhook]:
        """Give all that waits, without taking it out."""
        self._drop_old()
        return [event for waiting in self._held.values() for event, _ in waiting]

    def is_over(self, wacid: str) -> bool:
        """Whether a call's end came before its beginning."""
        self._drop_old()
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

    def _drop_old(self) -> None:
        while self._held:
            wacid, waiting = next(iter(self._held.items()))
            if waiting[0][1] > self._now():
                return
            self._drop(wacid)

    def _drop(self, wacid: str) -> None:
        del self._held[wacid]
        if wacid in self._quiet:
            self._quiet.remove(wacid)
        else:
            self._count("dropped")

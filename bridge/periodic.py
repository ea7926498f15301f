"""Calls many members once a period, each at its own moment of it.

All at once would stop the event loop for longer the more members there are, and audio with it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Member = TypeVar("Member")


@dataclass(slots=True, eq=False)
class _Slot(Generic[Member]):
    offset: float
    members: list[Member] = field(default_factory=list)
    waiting: deque[Member] = field(default_factory=deque)
    """Due, and not called yet."""
    timer: asyncio.TimerHandle | None = None
    fired_at: float | None = None


class Periodic(Generic[Member]):
    """Calls a function with each member and the loop's time, about once a period."""

    def __init__(
        self,
        call: Callable[[Member, float], None],
        *,
        period: float,
        slots: int,
        at_once: int,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Begin without members; `join` must be called within the running loop.

        Args:
            call: Called with a member; what it raises is logged.
            period: Seconds.
            slots: Moments of a period; members of the same are called one after the other.
            at_once: Members called before the event loop does something else.
            took: Called with the seconds that each step has run.
        """
        self._call = call
        self._context = copy_context()
        """Without what the logs of the first member's call have."""
        self._period = period
        self._at_once = at_once
        self._took = took
        self._slots: list[_Slot[Member]] = [_Slot(index * period / slots) for index in range(slots)]
        self._slot_of: dict[Member, _Slot[Member]] = {}

    def join(self, member: Member) -> None:
        """Call a member from now on.

        A slot is filled with as many members as a step calls before the next one is begun: their code is in the
        caches then, and one timer serves them.
        """
        slot = min(self._slots, key=self._preference)
        slot.members.append(member)
        self._slot_of[member] = slot
        if slot.timer is None and not slot.waiting:
            self._arm(slot)

    def leave(self, member: Member) -> None:
        """Stop calling a member; does nothing if it has not joined."""
        slot = self._slot_of.pop(member, None)
        if slot is None:
            return
        slot.members.remove(member)
        if member in slot.waiting:
            slot.waiting.remove(member)
        if not slot.members and slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None

    def __contains__(self, member: Member) -> bool:
        """Whether a member has joined."""
        return member in self._slot_of

    def _preference(self, slot: _Slot[Member]) -> tuple[int, bool]:
        """Return what is least for the slot that the next member joins."""
        steps, begun = divmod(len(slot.members), self._at_once)
        return steps, not begun

    def _arm(self, slot: _Slot[Member]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        left = (slot.offset - now) % self._period
        # A timer may be a millisecond early, and is not to fire twice then.
        if slot.fired_at is not None and now + left - slot.fired_at < self._period / 2:
            left += self._period
        slot.timer = loop.call_at(now + left, self._fire, slot, context=self._context)

    def _fire(self, slot: _Slot[Member]) -> None:
        slot.timer = None
        slot.fired_at = asyncio.get_running_loop().time()
        slot.waiting.extend(slot.members)
        self._step(slot)

    def _step(self, slot: _Slot[Member]) -> None:
        loop = asyncio.get_running_loop()
        began, now = time.perf_counter(), loop.time()
        for _ in range(self._at_once):
            if not slot.waiting:
                break
            member = slot.waiting.popleft()
            try:
                self._call(member, now)
            except Exception:  # must not keep the others from being called
                log.exception("periodic.failed")
        self._took(time.perf_counter() - began)
        if slot.waiting:
            loop.call_soon(self._step, slot, context=self._context)
        elif slot.members and slot.timer is None:
            self._arm(slot)

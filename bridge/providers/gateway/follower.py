"""Polls a gateway for the calls of a line.

A call has ended when the gateway no longer lists it. So one task a line polls the list every 2.5 s
while there is a reason to, sooner after an event of the gateway, and passes each leg its entry. New
inbound calls are taken once; unwanted calls are hung up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.errors import BridgeError, CallNotFound
from bridge.http.service_health import ServiceHealth
from bridge.legs.gateway import GatewayLeg
from bridge.providers.gateway.memory import LineMemory
from bridge.tasks import wait_set
from bridge.whatsapp.gateway import Gateway
from bridge.wire.gateway import EngineCall, Webhook

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.5
"""Between two polls, as the ZuckZapGo guide recommends."""
MIN_SECONDS: Final = 0.2
"""Between two polls at least."""
UNLISTED_SECONDS: Final = 5.0
"""How long a new call may be missing from the list."""
UNWANTED_SECONDS: Final = 60.0
"""How long a hang-up is retried."""
MAX_REMEMBERED: Final = 1000
"""Inbound calls that were offered and are not offered again; at the limit no more are taken."""
_ABSENT: Final = 2
"""Polls in a row without a call that has ended: a gateway that restarts lists none for a moment."""

Take = Callable[[EngineCall], Awaitable[None]]


@dataclass(slots=True)
class _Followed:
    leg: GatewayLeg
    since: float
    listed: bool
    """Whether the gateway has listed the call, or its socket has opened."""
    absent: int = 0
    """Polls in a row without it."""


class GatewayFollower:
    """Polls a gateway for its legs and for inbound calls (`legs.gateway.Follower`)."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        memory: LineMemory,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Make a follower of a line's gateway; `run` polls."""
        self.gateway = gateway
        self.memory = memory
        self._poll_seconds = poll_seconds
        self.take: Take | None = None
        """Takes an inbound call; None to take none."""
        self.first: Callable[[], bool] = lambda: True
        """Whether to take an inbound call at once, and not only after another node left it for one poll."""
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, _Followed] = {}
        self._unwanted: dict[str, float] = {}
        self._recovered: set[str] = set()
        """Calls of a lost node."""
        self._ringing: dict[str, float] = {}
        """Since when each inbound call has been listed."""
        self._offered: set[str] = set()
        self._wake = asyncio.Event()
        self._responds = True
        self.health = ServiceHealth()
        self.listed: frozenset[str] = frozenset()
        """The ids in the last list."""

    def follow(self, call_id: str, leg: GatewayLeg) -> None:
        """Pass a call's entries to its leg from now on."""
        self._legs[call_id] = _Followed(leg, self._loop.time(), call_id in self.listed)
        self._wake.set()

    def mark_known(self, call_id: str) -> None:
        """Note that the gateway knows the call, listed or not."""
        if (followed := self._legs.get(call_id)) is not None:
            followed.since = self._loop.time()
            followed.listed = True

    def forget(self, call_id: str, *, unwanted: bool) -> None:
        """Stop following a call; `unwanted`: hang it up for as long as the gateway lists it."""
        known = self._legs.pop(call_id, None)
        if unwanted:
            self._unwanted[call_id] = self._loop.time()
            self._wake.set()
        elif known is not None:
            self.memory.ended(call_id)

    def leave(self, call_id: str) -> None:
        """Stop following a call that another process follows from now on."""
        self._legs.pop(call_id, None)

    def recover(self, call_ids: Collection[str]) -> None:
        """Take over the calls of a lost node: those that still ring are taken, others hung up."""
        self._recovered.update(call_ids)
        self._wake.set()

    def poll_now(self) -> None:
        """Poll at once."""
        self._wake.set()

    def handle_event(self, event: Webhook | None) -> None:
        """Poll because of an event of the gateway, which also names why a call ended.

        None: events may have been missed.
        """
        kind = event.kind if event is not None else "gap"
        # The gateway's own text: what is no plain word may be a number.
        log.debug("gateway.event", extra={"kind": kind if kind.isalpha() else "other"})
        if event is not None:
            self.health.reported()
            for call_id in event.texts & self._legs.keys():
                self._legs[call_id].leg.note_event(event.kind)
        self._wake.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._poll()
            except BridgeError as error:
                if self._responds:
                    log.warning("gateway.unresponsive", extra={"code": error.code})
                self._responds = False
                self.health.failed(error)
            else:
                if not self._responds:
                    log.info("gateway.responsive")
                self._responds = True
                self.health.answered()
            await asyncio.sleep(MIN_SECONDS)
            await self._pause()

    async def _pause(self) -> None:
        """Wait until the next poll; without a reason to poll, until there is one."""
        idle = not (
            self.take or self._legs or self._unwanted or self._recovered or self.memory.suspects
        )
        await wait_set(self._wake, None if idle else self._poll_seconds)

    async def _poll(self) -> None:
        began = self._loop.time()
        listed = {call.call_id: call for call in await self.gateway.calls()}
        self.listed = frozenset(listed)
        for call_id, followed in list(self._legs.items()):
            self._update(followed, listed.get(call_id), began)
        self._sort_recovered(listed)
        if self.memory.suspects:
            unknown = [call for call in listed.values() if self._is_unknown(call.call_id)]
            for call_id in await self.memory.orphans(unknown):
                self._unwanted[call_id] = began - MIN_SECONDS
        await self._end_unwanted(listed, began)
        await self._offer_all(listed, began)

    def _update(self, followed: _Followed, call: EngineCall | None, began: float) -> None:
        followed.listed = followed.listed or call is not None
        if call is not None:
            followed.absent = 0
            followed.leg.update(call)
            return
        fresh = not followed.listed and began - followed.since < UNLISTED_SECONDS
        if fresh or followed.since >= began:
            return
        followed.absent += 1
        if followed.absent >= _ABSENT:
            followed.leg.update(None)
        else:
            self._wake.set()

    def _sort_recovered(self, listed: Mapping[str, EngineCall]) -> None:
        """Decide on the calls of the previous process."""
        recovered, self._recovered = self._recovered, set()
        for call_id in recovered:
            call = listed.get(call_id)
            if call is None:
                self.memory.ended(call_id)
            elif call.awaits_answer:
                self.memory.release(call_id)
                self._offered.discard(call_id)
            else:
                log.info("gateway.recovered")
                self._unwanted[call_id] = self._loop.time() - MIN_SECONDS

    async def _end_unwanted(self, listed: Mapping[str, EngineCall], began: float) -> None:
        for call_id, since in list(self._unwanted.items()):
            if since >= began:
                continue
            over = call_id not in listed
            if not over:
                with suppress(CallNotFound):
                    await self.gateway.hangup(call_id)
            if over or began - since > UNWANTED_SECONDS:
                del self._unwanted[call_id]
                self.memory.ended(call_id)

    async def _offer_all(self, listed: Mapping[str, EngineCall], began: float) -> None:
        self._offered &= listed.keys()
        self._ringing = {
            call_id: self._ringing.get(call_id, began)
            for call_id, call in listed.items()
            if call.awaits_answer
        }
        for call_id, since in self._ringing.items():
            waits = not self.first() and began - since < self._poll_seconds
            full = len(self._offered) >= MAX_REMEMBERED
            if self.take is None or waits or full or not self._is_unknown(call_id):
                continue
            if call_id not in self._offered:
                log.debug("gateway.inbound_call")
                await self.take(listed[call_id])
                self._offered.add(call_id)

    def _is_unknown(self, call_id: str) -> bool:
        return call_id not in self._legs and call_id not in self._unwanted

"""One look for all calls of a line whose WhatsApp is a gateway engine.

An engine tells of the end of a call by listing it no more. So one task a line lists the engine's
calls every 2.5 s while there is a reason to, sooner after an event of the engine, and tells each
leg what it found. What is listed and rings is taken, once; what is listed and nobody wants is hung
up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.errors import BridgeError, CallNotFound
from bridge.legs.gateway import GatewayLeg
from bridge.net.gateway import GatewayEngine
from bridge.wire.gateway import EngineCall, Webhook

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.5
"""Between two looks; what the ZuckZapGo guide names."""
MIN_SECONDS: Final = 0.2
"""Between two looks, however often one is asked for."""
UNLISTED_SECONDS: Final = 5.0
"""How long a fresh call may not be listed yet."""
UNWANTED_SECONDS: Final = 60.0
"""How long a call that would not be hung up is tried again."""
MAX_REMEMBERED: Final = 1000
"""Rings of a line that were offered once and are not offered again; beyond it none is taken."""
_ABSENT: Final = 2
"""Looks in a row that must miss a call: an engine that starts anew lists none for a moment."""

Take = Callable[[EngineCall], Awaitable[None]]


class Memory(Protocol):
    """What is known of the line's calls beyond this process, and beyond this node."""

    def ended(self, call_id: str) -> None:
        """Note that a call is over on the engine."""
        ...

    def release(self, call_id: str) -> None:
        """Note that a call is nobody's any more, so that it may be taken again."""
        ...

    @property
    def doubts(self) -> bool:
        """Whether there may be calls that we began and were not told the id of."""
        ...

    async def disown(self, calls: Collection[EngineCall]) -> list[str]:
        """Give those of the strange calls that are ours, and that nobody waits for."""
        ...


@dataclass(slots=True)
class _Followed:
    leg: GatewayLeg
    since: float
    listed: bool
    """Whether the engine has listed its call, or shown by other means that it knows it."""
    absent: int = 0
    """Looks in a row that did not find it."""


class GatewayFollower:
    """Looks which calls an engine has, for its legs and for rings (`legs.gateway.Follower`)."""

    def __init__(
        self,
        engine: GatewayEngine,
        *,
        memory: Memory,
        look_seconds: float | None = None,
        take: Take | None = None,
        second: bool = False,
    ) -> None:
        """Make a follower; `run` then looks.

        Args:
            engine: whose calls they are.
            memory: what outlives the process.
            look_seconds: between two looks; None for `LOOK_SECONDS`.
            take: takes a call that rings us; None: rings are left alone.
            second: it takes only rings that have rung for a look and are still not taken.
        """
        self._engine = engine
        self._memory = memory
        self._look_seconds = look_seconds or LOOK_SECONDS
        self.take = take
        self.second = second
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, _Followed] = {}
        self._unwanted: dict[str, float] = {}
        self._left: set[str] = set()
        """Calls of this node's forerunner."""
        self._rings: dict[str, float] = {}
        """Since when each ring is known."""
        self._offered: set[str] = set()
        self._wake = asyncio.Event()
        self._answers = True
        self.listed: frozenset[str] = frozenset()
        """The calls of the last look."""

    def follow(self, call_id: str, leg: GatewayLeg) -> None:
        """Tell the leg about its call from now on."""
        self._legs[call_id] = _Followed(leg, self._loop.time(), call_id in self.listed)
        self._wake.set()

    def mark_known(self, call_id: str) -> None:
        """Note that the engine knows the call, whether it has listed it or not."""
        if (followed := self._legs.get(call_id)) is not None:
            followed.since = self._loop.time()
            followed.listed = True

    def forget(self, call_id: str, *, unwanted: bool) -> None:
        """Tell nobody any more; `unwanted`: and hang it up for as long as the engine has it."""
        known = self._legs.pop(call_id, None)
        if unwanted:
            self._unwanted[call_id] = self._loop.time()
            self._wake.set()
        elif known is not None:
            self._memory.ended(call_id)

    def inherit(self, call_ids: Collection[str]) -> None:
        """Take over what this node's forerunner left: what still rings is taken, the rest hung up."""
        self._left.update(call_ids)
        self._wake.set()

    def poll_now(self) -> None:
        """Look at once instead of at the next turn."""
        self._wake.set()

    def told(self, event: Webhook | None) -> None:
        """Take an event of the engine: only a reason to look, and a word for why a call ended.

        None: there may have been events that did not reach us.
        """
        kind = event.kind if event is not None else "gap"
        # The engine's own text: what is no plain word may be somebody's number.
        log.debug("gateway.event", extra={"kind": kind if kind.isalpha() else "other"})
        if event is not None:
            for call_id in event.texts & self._legs.keys():
                self._legs[call_id].leg.note_event(event.kind)
        self._wake.set()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._look()
            except BridgeError as error:
                if self._answers:
                    log.warning("gateway.silent", extra={"code": error.code})
                self._answers = False
            else:
                if not self._answers:
                    log.info("gateway.answers")
                self._answers = True
            await asyncio.sleep(MIN_SECONDS)
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next turn; without a reason to look, for one."""
        idle = not (self.take or self._legs or self._unwanted or self._left or self._memory.doubts)
        try:
            async with asyncio.timeout(None if idle else self._look_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        began = self._loop.time()
        listed = {call.call_id: call for call in await self._engine.calls()}
        self.listed = frozenset(listed)
        for call_id, followed in list(self._legs.items()):
            self._tell(followed, listed.get(call_id), began)
        self._sort_left(listed)
        if self._memory.doubts:
            strange = [call for call in listed.values() if self._is_strange(call.call_id)]
            for call_id in await self._memory.disown(strange):
                self._unwanted[call_id] = began - MIN_SECONDS
        await self._end_unwanted(listed, began)
        await self._offer_all(listed, began)

    def _tell(self, followed: _Followed, call: EngineCall | None, began: float) -> None:
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

    def _sort_left(self, listed: Mapping[str, EngineCall]) -> None:
        """Decide on the calls of this node's forerunner."""
        left, self._left = self._left, set()
        for call_id in left:
            call = listed.get(call_id)
            if call is None:
                self._memory.ended(call_id)
            elif call.awaits_answer:
                self._memory.release(call_id)
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
                    await self._engine.hangup(call_id)
            if over or began - since > UNWANTED_SECONDS:
                del self._unwanted[call_id]
                self._memory.ended(call_id)

    async def _offer_all(self, listed: Mapping[str, EngineCall], began: float) -> None:
        self._offered &= listed.keys()
        self._rings = {
            call_id: self._rings.get(call_id, began)
            for call_id, call in listed.items()
            if call.awaits_answer
        }
        for call_id, since in self._rings.items():
            waits = self.second and began - since < self._look_seconds
            full = len(self._offered) >= MAX_REMEMBERED
            if self.take is None or waits or full or not self._is_strange(call_id):
                continue
            if call_id not in self._offered:
                log.debug("gateway.rings")
                await self.take(listed[call_id])
                self._offered.add(call_id)

    def _is_strange(self, call_id: str) -> bool:
        return call_id not in self._legs and call_id not in self._unwanted

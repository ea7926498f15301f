"""Lines whose WhatsApp is a gateway engine: dialling, rings, and one look for all calls of a line.

An engine tells of the end of a call by listing it no more. So one task a line lists the engine's
calls every 2.5 s while there is a reason to, sooner after an event of the engine, and tells each
leg what it found.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.call.model import CallDetails, LegId, LineName, Parties
from bridge.errors import BridgeError, CallNotFound, InvalidState
from bridge.legs.base import Leg
from bridge.legs.dial import DialOrder
from bridge.legs.gateway import GatewayLeg, Patience
from bridge.net.gateway import Engine
from bridge.node.manager import Manager
from bridge.node.tasks import Tasks
from bridge.wire.gateway import EngineCall, Webhook

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.5
"""Between two looks; what the ZuckZapGo guide names."""
LEAST_SECONDS: Final = 0.2
"""Between two looks, however often one is asked for."""
UNLISTED_SECONDS: Final = 5.0
"""How long a fresh call may not be listed yet."""
UNWANTED_SECONDS: Final = 60.0
"""How long a call that would not be hung up is tried again."""
MOST_REMEMBERED: Final = 1000
"""Rings of a line that were offered once and are not offered again; beyond it none is taken."""

Take = Callable[[EngineCall], Awaitable[None]]


@dataclass(slots=True)
class _Followed:
    leg: GatewayLeg
    since: float
    listed: bool
    """Whether the engine has listed its call, or shown by other means that it knows it."""


class EngineFollower:
    """Looks which calls an engine has, for its legs and for rings (`legs.gateway.Follower`)."""

    def __init__(
        self, engine: Engine, *, look_seconds: float | None = None, take: Take | None = None
    ) -> None:
        """Make a follower; `run` then looks.

        Args:
            engine: whose calls they are.
            look_seconds: between two looks; None for `LOOK_SECONDS`.
            take: takes a call that rings us; None: rings are left alone.
        """
        self._engine = engine
        self._look_seconds = look_seconds or LOOK_SECONDS
        self.take = take
        self._loop = asyncio.get_running_loop()
        self._legs: dict[str, _Followed] = {}
        self._unwanted: dict[str, float] = {}
        self._offered: set[str] = set()
        self._wake = asyncio.Event()
        self._answers = True

    def follow(self, call_id: str, leg: GatewayLeg) -> None:
        """Tell the leg about its call from now on."""
        listed = call_id in self._offered
        self._legs[call_id] = _Followed(leg, self._loop.time(), listed)
        self._wake.set()

    def saw(self, call_id: str) -> None:
        """Note that the engine knows the call, whether it has listed it or not."""
        if (followed := self._legs.get(call_id)) is not None:
            followed.since = self._loop.time()
            followed.listed = True

    def forget(self, call_id: str, *, unwanted: bool) -> None:
        """Tell nobody any more; `unwanted`: and hang it up for as long as the engine has it."""
        self._legs.pop(call_id, None)
        if unwanted:
            self._unwanted[call_id] = self._loop.time()
            self._wake.set()

    def look(self) -> None:
        """Look at once instead of at the next turn."""
        self._wake.set()

    def told(self, event: Webhook) -> None:
        """Take an event of the engine: only a reason to look, and a word for why a call ended."""
        for call_id in event.words & self._legs.keys():
            self._legs[call_id].leg.hint(event.kind)
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
            await asyncio.sleep(LEAST_SECONDS)
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next turn; without a reason to look, for one."""
        idle = self.take is None and not self._legs and not self._unwanted
        try:
            async with asyncio.timeout(None if idle else self._look_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        began = self._loop.time()
        listed = {call.call_id: call for call in await self._engine.calls()}
        for call_id, followed in list(self._legs.items()):
            call = listed.get(call_id)
            followed.listed = followed.listed or call is not None
            fresh = not followed.listed and began - followed.since < UNLISTED_SECONDS
            if call is not None or not (fresh or followed.since >= began):
                followed.leg.observe(call)
        await self._end_unwanted(listed, began)
        self._offered &= listed.keys()
        for call in listed.values():
            await self._offer(call)

    async def _end_unwanted(self, listed: Mapping[str, EngineCall], began: float) -> None:
        for call_id, since in list(self._unwanted.items()):
            if since >= began:
                continue
            if call_id not in listed or began - since > UNWANTED_SECONDS:
                del self._unwanted[call_id]
                continue
            with suppress(CallNotFound):
                await self._engine.hangup(call_id)

    async def _offer(self, call: EngineCall) -> None:
        known = call.call_id in self._legs or call.call_id in self._unwanted
        full = len(self._offered) >= MOST_REMEMBERED
        if self.take is None or not call.rings_us or known or full:
            return
        if call.call_id not in self._offered:
            self._offered.add(call.call_id)
            await self.take(call)


class GatewayProvider:
    """Reaches numbers over the lines' engines, and takes the calls that ring them."""

    def __init__(
        self,
        engines: Mapping[LineName, Engine],
        *,
        look_seconds: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._engines = engines
        self._patience = patience
        self._followers = {
            line: EngineFollower(engine, look_seconds=look_seconds)
            for line, engine in engines.items()
        }

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is a gateway engine."""
        return line in self._engines

    async def dial(self, line: LineName, number: str, leg_id: LegId, order: DialOrder) -> Leg:
        """Let the line's engine ring the number (`legs.dial.Dialer`).

        Raises:
            BridgeError: the engine does not; no call is left.
        """
        call_id = await self._engines[line].dial(number)
        return self._leg(line, leg_id, call_id, inbound=False)

    def start(self, manager: Manager, tasks: Tasks, *, takes_rings: bool) -> None:
        """Begin to look.

        Args:
            manager: gets the calls that ring.
            tasks: owns the looking.
            takes_rings: of several nodes one does, or a call would be taken by each.
        """
        for line, follower in self._followers.items():
            if takes_rings:
                follower.take = self._taker(line, manager)
            tasks.spawn(follower.run(), name=f"gateway {line}")

    def told(self, line: LineName, event: Webhook) -> None:
        """Take an event of the line's engine.

        Raises:
            InvalidState: the line has no engine.
        """
        if line not in self._followers:
            raise InvalidState("this line's WhatsApp provider is not a gateway")
        self._followers[line].told(event)

    def _taker(self, line: LineName, manager: Manager) -> Take:
        async def take(call: EngineCall) -> None:
            try:
                await manager.receive(
                    line,
                    call.peer,
                    lambda leg_id: self._leg(line, leg_id, call.call_id, inbound=True),
                    CallDetails(Parties(call.peer, "", "whatsapp", "")),
                )
            except BridgeError as error:
                log.warning("gateway.ring_refused", extra={"code": error.code})
                self._followers[line].forget(call.call_id, unwanted=True)

        return take

    def _leg(self, line: LineName, leg_id: LegId, call_id: str, *, inbound: bool) -> GatewayLeg:
        return GatewayLeg(
            leg_id,
            engine=self._engines[line],
            follower=self._followers[line],
            call_id=call_id,
            inbound=inbound,
            patience=self._patience,
        )

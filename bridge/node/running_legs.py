"""The legs of a call that run, the commands that are for one of them, and the figures of the last that left."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from bridge.call import commands
from bridge.call.bus.bus import Bus
from bridge.call.events import LegTransferProgressed
from bridge.call.model import EndReason, LegFigures, LegId, LegStatistics, Party
from bridge.call.routing import LegRole
from bridge.errors import BridgeError, LegError, LimitExceeded
from bridge.legs.base import (
    Answerable,
    DigitSender,
    Holdable,
    Idling,
    Leg,
    Startable,
    Transferable,
)
from bridge.metrics.media import Heard
from bridge.node.speech.held_speech import HeldSpeech, HoldsAudio
from bridge.node.turns.meters import TurnMeters

LEGS_PER_CALL = 16
KEPT_LEGS = 16
"""How many ended legs a call keeps the figures of."""

Dial: TypeAlias = asyncio.Future[BridgeError | None]
"""Its result is None once the provider accepts the dial, else why the leg has ended before."""

LegCommand: TypeAlias = (
    commands.AnswerLeg
    | commands.SendDigits
    | commands.HoldLeg
    | commands.StartPlayback
    | commands.ReferLeg
    | commands.ReportTransfer
)
NOT_IMPLEMENTED: Final = 501
"""Of a transfer that the party of a leg cannot be asked for."""


@dataclass(slots=True)
class RunningLeg:
    """A leg in a call."""

    leg: Leg
    role: LegRole
    task: asyncio.Task[None]
    dial: Dial | None = None
    """Until its provider accepts the dial; None for a leg that has joined."""
    refused: BridgeError | None = None
    """Why its provider refused the dial."""
    joined: float = 0.0
    """Seconds of the call."""
    idling: Idling | None = None
    """The leg, if it can tell whether it is idle: to ask each time what it can takes long."""
    held: HoldsAudio | None = None
    """Holds its speech until it may be heard; None if nothing does."""

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        found = self.leg.statistics()
        if self.held is not None:
            found.received.held_seconds = self.held.held_seconds
            found.received.held_dropped_seconds = self.held.held_dropped_seconds
        return found


class RestoredLeg(NamedTuple):
    """A leg that another process has passed to this one."""

    leg: Leg
    joined: float
    """Seconds of the call."""
    heard: Heard


class RunningLegs:
    """The legs of a call by id, bounded, and the figures of those that left, the oldest dropped."""

    def __init__(
        self, bus: Bus, seconds: Callable[[], float], turns: TurnMeters, speech: HeldSpeech
    ) -> None:
        """Begin without legs; `seconds` returns the call's duration so far."""
        self._bus = bus
        self._seconds = seconds
        self._turns = turns
        self._speech = speech
        self._legs: dict[LegId, RunningLeg] = {}
        self._ended: deque[LegFigures] = deque(maxlen=KEPT_LEGS)

    def __iter__(self) -> Iterator[RunningLeg]:
        """Return the legs, in the order they joined; they may be removed meanwhile."""
        return iter(list(self._legs.values()))

    def check_room(self) -> None:
        """Raise `LimitExceeded` if the call may have no more legs."""
        if len(self._legs) >= LEGS_PER_CALL:
            raise LimitExceeded(f"the call has {LEGS_PER_CALL} legs already")

    def get(self, leg_id: LegId) -> RunningLeg | None:
        """Return the leg with this id, while it is in the call."""
        return self._legs.get(leg_id)

    def join_bus(self, leg: Leg, role: LegRole) -> None:
        """Let a leg be routed, before it is added."""
        source, sink = self._turns.ends(leg, role)
        source = self._speech.join(leg, role, source)
        self._bus.join(
            leg.leg_id,
            source,
            sink,
            batched=leg.kind.traits.batched,
            ducking_gain=role.ducking_gain,
            duckable=role.party is not Party.FAR,
        )

    def leave_bus(self, leg: Leg) -> None:
        """Undo `join_bus` for a leg that is not added after all."""
        self._turns.leave(leg.leg_id)
        self._bus.leave(leg.leg_id, asyncio.get_running_loop().time())

    def add(
        self,
        leg: Leg,
        role: LegRole,
        task: asyncio.Task[None],
        *,
        dial: Dial | None = None,
        joined: float | None = None,
    ) -> None:
        """Add a leg that `task` runs; it joins now, or did so at `joined`, in seconds of the call."""
        joined = self._seconds() if joined is None else joined
        idling = leg if isinstance(leg, Idling) else None
        self._legs[leg.leg_id] = RunningLeg(
            leg, role, task, dial, joined=joined, idling=idling, held=self._speech.find(leg.leg_id)
        )

    def restore_left(self, figures: Iterable[LegFigures]) -> None:
        """Set the figures of the last legs that left."""
        self._ended.extend(figures)

    def remove(self, leg_id: LegId) -> RunningLeg | None:
        """Remove a leg and keep its figures; its task goes on."""
        running = self._legs.pop(leg_id, None)
        self._turns.leave(leg_id)
        self._speech.leave(leg_id)
        if running is not None:
            self._ended.append(replace(self._figures(running), path=None, left=self._seconds()))
        return running

    def figures(self) -> list[LegFigures]:
        """Return the figures of the legs in the call."""
        return [self._figures(running) for running in self._legs.values()]

    @property
    def idle(self) -> bool:
        """Whether nothing flows in the call; never with a leg that cannot tell."""
        for running in self._legs.values():
            if running.idling is None or not running.idling.idle:
                return False
        return bool(self._legs)

    def all_figures(self) -> tuple[LegFigures, ...]:
        """Return the figures of the last legs that left, and of those in the call."""
        return (*self._ended, *self.figures())

    def _figures(self, running: RunningLeg) -> LegFigures:
        leg, owner = running.leg, running.role.owner
        return LegFigures(
            leg_id=leg.leg_id,
            kind=leg.kind,
            party=running.role.party,
            statistics=running.statistics(),
            path=self._bus.path(leg.leg_id),
            identity=owner.identity if owner else "",
            joined=running.joined,
        )


def perform(leg: Leg, command: LegCommand) -> LegTransferProgressed | None:
    """Perform a command; return what comes of it at once, if anything."""
    match command:
        case commands.AnswerLeg() if isinstance(leg, Answerable):
            leg.answer()
        case commands.SendDigits(_, digits) if isinstance(leg, DigitSender):
            leg.send_digits(digits)
        case commands.HoldLeg(_, held) if isinstance(leg, Holdable):
            leg.hold(held=held)
        case commands.StartPlayback() if isinstance(leg, Startable):
            leg.start()
        case commands.ReferLeg(leg_id, target):
            if not isinstance(leg, Transferable):
                return LegTransferProgressed(leg_id, NOT_IMPLEMENTED, final=True)
            leg.transfer(target)
        case commands.ReportTransfer(_, code) if isinstance(leg, Transferable):
            leg.report_transfer(code)
        case _:
            pass
    return None


def draining() -> LimitExceeded:
    """Return what new calls are refused with while the bridge shuts down."""
    text = "the bridge is shutting down and takes no new calls"
    return LimitExceeded(text, limit="draining")


def dial_error(reason: EndReason) -> BridgeError:
    """Return why a leg that was dialled has ended before its provider accepted."""
    if reason is EndReason.DRAINED:
        return draining()
    return LegError(f"the call ended before its provider accepted the dial: {reason}")

"""What has happened to a call's machine, so that it can be made again elsewhere; pure."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Final, get_args

import msgspec

from bridge.call import events
from bridge.call.leg_record import LegRecord
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine, Origin
from bridge.call.model import EndReason, LegId, State
from bridge.call.transfers import Invitation
from bridge.errors import BridgeError, HandoverRefused

MAX_EVENTS: Final = 1_000
"""Of a call that are kept; a call with more cannot be made again."""

_WITHOUT_EFFECT: Final = (
    events.LegReported,
    events.DigitReceived,
    events.DigitsRequested,
    events.LegHeld,
    events.LegUnheld,
    events.LegRenegotiated,
    events.LegSilent,
    events.LegResumed,
)
"""Change nothing of the machine but `LegRecord.silent`, which is restored from the state."""

KINDS: Final[Mapping[str, type[events.Event]]] = MappingProxyType(
    {kind.__name__: kind for kind in get_args(events.Event) if kind not in _WITHOUT_EFFECT}
)
"""The events that are kept, by name."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An event, and when the machine took it."""

    kind: str
    event: msgspec.Raw
    at: float


class MachineState(msgspec.Struct, frozen=True):
    """The state of a machine, as far as anything depends on it."""

    state: State
    reason: EndReason | None
    answered_at: float | None
    answered_by: str
    deadline: float | None
    legs: tuple[LegRecord, ...]
    departed: tuple[tuple[LegRecord, float], ...]
    muted: bool
    abandoned_since: float | None
    invitation: Invitation | None
    left: bool
    rows: dict[LegId, frozenset[LegId]]
    """Of the routing table."""


class MachineSnapshot(msgspec.Struct, frozen=True):
    """A machine: how it began, what it took, and the state to which that led."""

    origin: Origin
    limits: CallLimits
    entries: tuple[Entry, ...]
    state: MachineState


class Journal:
    """The events that a machine took, at most `MAX_EVENTS`."""

    def __init__(self, kept: tuple[tuple[events.Event, float], ...] = ()) -> None:
        self._kept = list(kept)
        self.complete = True
        """Whether none had to be left out."""

    def note(self, event: events.Event, now: float, *, acted: bool) -> None:
        """Keep an event that the machine took; `acted` says whether commands came of it."""
        if isinstance(event, _WITHOUT_EFFECT) or not self.complete:
            return
        if isinstance(event, events.TimePassed) and not acted:
            return
        last = self._kept[-1][0] if self._kept else None
        if isinstance(event, events.CallUsed) and isinstance(last, events.CallUsed):
            return
        if len(self._kept) == MAX_EVENTS:
            self._kept.clear()
            self.complete = False
            return
        if isinstance(event, events.LegEnded):
            event = replace(event, error=None)  # the machine does not look at it
        self._kept.append((event, now))

    def snapshot(self, machine: CallMachine) -> MachineSnapshot:
        """Return the machine that took these events.

        Raises:
            HandoverRefused: there were too many events.
        """
        if not self.complete:
            raise HandoverRefused(
                f"too much has happened to the call: more than {MAX_EVENTS:,} events"
            )
        entries = [
            Entry(type(event).__name__, msgspec.Raw(msgspec.msgpack.encode(event)), at)
            for event, at in self._kept
        ]
        return MachineSnapshot(machine.origin, machine.limits, tuple(entries), state_of(machine))


def restore(snapshot: MachineSnapshot) -> tuple[CallMachine, Journal]:
    """Return the machine of a snapshot, and its journal.

    Raises:
        HandoverRefused: this version of the machine does not take these events, or ends up elsewhere.
    """
    machine, kept = _replay(snapshot.origin, snapshot.limits, snapshot.entries, snapshot.state.legs)
    if state_of(machine) != snapshot.state:
        raise HandoverRefused("replaying the events leads to another state here")
    return machine, kept


def shifted(snapshot: MachineSnapshot, seconds: float) -> MachineSnapshot:
    """Return the snapshot as on a clock that is so many seconds ahead: monotonic clocks of machines have nothing in common.

    Raises:
        HandoverRefused: as `restore`.
    """
    restore(snapshot)  # on its own clock, as only then its state can be compared
    began = replace(snapshot.origin, now=snapshot.origin.now + seconds)
    entries = tuple(
        msgspec.structs.replace(entry, at=entry.at + seconds) for entry in snapshot.entries
    )
    machine, _ = _replay(began, snapshot.limits, entries, snapshot.state.legs)
    return MachineSnapshot(began, snapshot.limits, entries, state_of(machine))


def _replay(
    origin: Origin, limits: CallLimits, entries: tuple[Entry, ...], legs: tuple[LegRecord, ...]
) -> tuple[CallMachine, Journal]:
    """Return the machine that took these events, of whose legs those are silent that were."""
    machine = CallMachine(limits=limits, **asdict(origin))
    kept: list[tuple[events.Event, float]] = []
    try:
        for entry in entries:
            event = msgspec.msgpack.decode(entry.event, type=KINDS[entry.kind])
            machine.handle(event, entry.at)
            kept.append((event, entry.at))
    except (KeyError, msgspec.MsgspecError, BridgeError) as error:
        raise HandoverRefused(f"the events cannot be replayed: {type(error).__name__}") from None
    for leg in legs:
        if (known := machine.legs.records.get(leg.leg_id)) is not None:
            machine.legs.set(replace(known, silent=leg.silent))
    return machine, Journal(tuple(kept))


def state_of(machine: CallMachine) -> MachineState:
    """Return the state of a machine."""
    legs, transfers = machine.legs, machine.transfers
    return MachineState(
        machine.state,
        machine.reason,
        machine.answered_at,
        machine.answered_by,
        machine.deadline(),
        tuple(legs.records.values()),
        tuple(legs.departed.all()),
        legs.muted,
        legs.usage.abandoned_since,
        transfers.invitation,
        transfers.left,
        dict(machine.routes().rows),
    )

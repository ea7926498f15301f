"""A live call as a record that can be written down: its state, who hears whom, and its RTP numbering.

What another process would need to go on with the call, apart from the transports: these are ICE credentials, DTLS
keys and SRTP contexts, of `bridge.rtc`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.call.leg_record import LegRecord
from bridge.call.machine import CallMachine
from bridge.call.model import CallFacts, Direction, LegId, State
from bridge.wire.rtp.stream import Numbering


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRecord:
    """A live call at one moment; times are in monotonic seconds of its machine."""

    facts: CallFacts
    direction: Direction
    state: State
    started_at: float
    answered_at: float | None
    answered_by: str
    muted: bool
    legs: tuple[LegRecord, ...]
    routes: dict[LegId, frozenset[LegId]]
    """The sources that each sink hears."""
    numbering: dict[LegId, Numbering]
    """Of the RTP stream to each leg that has one."""


def live_record(
    facts: CallFacts, machine: CallMachine, numbering: Mapping[LegId, Numbering]
) -> LiveRecord:
    """Return the record of a call."""
    return LiveRecord(
        facts=facts,
        direction=machine.direction,
        state=machine.state,
        started_at=machine.started_at,
        answered_at=machine.answered_at,
        answered_by=machine.answered_by,
        muted=machine.muted,
        legs=tuple(machine.legs.values()),
        routes=dict(machine.routes),
        numbering=dict(numbering),
    )

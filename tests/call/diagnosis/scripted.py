"""Calls told second by second, for tests of the diagnosis."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bridge.call.diagnosis.diagnosis import Change, Diagnosis
from bridge.call.diagnosis.observation import CallObservation, LegObservation
from bridge.call.leg_state import TransportState
from bridge.call.model import (
    LegId,
    LegKind,
    LegStatistics,
    LevelCounts,
    Party,
    ReceivedAudio,
    ReplyTiming,
    SentAudio,
    State,
)

CONNECTED = TransportState(
    described=True,
    ice="connected",
    dtls="connected",
    checks_received=3,
    responses_received=3,
    public_candidates=True,
)
Leg: TypeAlias = Callable[[int], LegObservation]
"""A leg's observation in a second of the call."""


def talking(
    kind: LegKind = LegKind.WEBRTC,
    party: Party = Party.NEAR,
    *,
    level: float = -25.0,
    loss: float = 0.0,
    **changes: Any,
) -> Leg:
    """A party that is connected, and sends and receives 50 packets a second."""

    def at(second: int) -> LegObservation:
        sent = 50 * second
        received = ReceivedAudio(
            packets=round(sent * (1 - loss)),
            lost=round(sent * loss),
            frames=sent,
            jitter_seconds=0.004,
            level_dbov=level,
            levels=LevelCounts(
                noted=10 * second,
                quiet=10 * second if level < -60 else 2 * second,
                measured_frames=10 * second,
            ),
        )
        state = replace(CONNECTED, reports=second, reports_about_us=second)
        statistics = LegStatistics(
            received=received,
            sent=SentAudio(packets=sent),
            round_trip_seconds=0.05,
            transport=state if kind.traits.carries_rtp else None,
        )
        leg = LegObservation(LegId(kind.value), kind, party, statistics, connected=True)
        return replace(leg, **changes)

    return at


def joining(state: TransportState, **changes: Any) -> Leg:
    """A browser whose transport is not up yet."""
    return talking(connected=False, statistics=LegStatistics(transport=state), **changes)


FAR = talking(LegKind.WHATSAPP, Party.FAR)


@dataclass
class ScriptedCall:
    """A call and its diagnosis; `changes` has when what was raised or cleared."""

    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    changes: list[tuple[int, Change]] = field(default_factory=list)
    now: int = 0

    def run(
        self,
        seconds: int,
        *legs: Leg,
        state: State = State.ACTIVE,
        muted: bool = False,
        turn: bool = False,
        lag: float = 0.0,
        announced_until: float = 0.0,
    ) -> "ScriptedCall":
        """Let seconds pass."""
        for _ in range(seconds):
            seen = CallObservation(
                state,
                tuple(leg(self.now) for leg in legs),
                muted,
                turn=turn,
                lag_seconds=lag,
                announced_until=announced_until,
            )
            found = self.diagnosis.observe(seen, float(self.now))
            self.changes += [(self.now, change) for change in found]
            self.now += 1
        return self

    @property
    def codes(self) -> list[str]:
        """The codes of the open problems, in their order."""
        return [problem.code.value for problem in self.diagnosis.open]


def reply(seconds: float) -> ReplyTiming:
    """An agent's reply at the beginning of the call."""
    return ReplyTiming(at=0.0, first_audio=seconds, overhead=0.0, steps={"stt": 0.4, "llm": 2.9})

"""The hops of a call, and how each one is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.call.diagnosis.observation import CallObservation, LegObservation
from bridge.call.diagnosis.problems import Hop, Severity
from bridge.call.model import LegId

_BROWSER: Final = (Hop.MICROPHONE, Hop.NETWORK, Hop.SPEAKER)
_PEER: Final = (Hop.NETWORK, Hop.BOT)
"""Of a bot, which has no microphone and no speaker."""
_PROVIDER: Final = (Hop.SIGNALLING, Hop.PROVIDER_NETWORK, Hop.FAR)
ORDER: Final = {hop: number for number, hop in enumerate(Hop)}


class HopCondition(StrEnum):
    """How a hop is."""

    OK = "ok"
    DEGRADED = "degraded"
    BROKEN = "broken"
    IDLE = "idle"
    """Nothing passes it, since somebody wants that: muted or held."""
    UNKNOWN = "unknown"
    """Not connected yet."""


@dataclass(frozen=True, slots=True)
class HopState:
    """One hop; `leg_id` is None for what belongs to no leg."""

    hop: Hop
    leg_id: LegId | None
    state: HopCondition


_OF_SEVERITY: Final = {
    Severity.NOTICE: HopCondition.IDLE,
    Severity.DEGRADED: HopCondition.DEGRADED,
    Severity.BROKEN: HopCondition.BROKEN,
}


def hop_states(
    call: CallObservation, worst: Mapping[tuple[Hop, LegId | None], Severity]
) -> list[HopState]:
    """Return every hop of a call.

    Args:
        call: The call.
        worst: The severity of the worst problem of each hop and leg that has any.
    """
    usual: dict[tuple[Hop, LegId | None], HopCondition] = {
        (hop, leg.leg_id): HopCondition.OK if leg.connected else HopCondition.UNKNOWN
        for leg in call.legs
        for hop in _hops(leg)
    }
    usual[Hop.BRIDGE, None] = HopCondition.OK
    found = {place: _OF_SEVERITY[severity] for place, severity in worst.items()}
    states = [HopState(hop, leg_id, state) for (hop, leg_id), state in (usual | found).items()]
    return sorted(states, key=lambda one: ORDER[one.hop])


def _hops(leg: LegObservation) -> tuple[Hop, ...]:
    traits = leg.kind.traits
    if traits.browser:
        return _BROWSER if leg.bot is None else _PEER
    if traits.person:
        return _PROVIDER
    return (Hop(traits.hop),) if traits.hop else ()

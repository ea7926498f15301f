"""Observe the bots of a call: how each is connected, whether it is heard, and the figures of its audio."""

from typing import Final

from bridge.call.diagnosis.observation import BotKind, BotObservation
from bridge.call.model import LegFigures, LegKind, State
from bridge.legs.stream import StreamLeg
from bridge.node.runner import CallRunner

_KINDS: Final = {
    LegKind.AGENT: BotKind.AGENT,
    LegKind.SOCKET: BotKind.SOCKET,
    LegKind.WEBRTC: BotKind.PEER,
}


def observe_bot(runner: CallRunner, leg: LegFigures, now: float) -> BotObservation | None:
    """Return the observation of a leg's bot; None if the leg is not a bot."""
    sound = runner.turns.sound(leg.leg_id)
    kind = _KINDS.get(leg.kind)
    if leg.kind is LegKind.STREAM:
        live = runner.leg(leg.leg_id)
        kind = BotKind(live.facts.protocol.value) if isinstance(live, StreamLeg) else None
    if kind is None or (kind is BotKind.PEER and sound is None):
        return None
    heard = any(leg.leg_id in runner.bus.heard_by(other.leg_id) for other in runner.legs())
    held = not runner.speech_gates.is_open(leg.leg_id)
    talking = runner.machine.state is State.ACTIVE and not held
    figures = None if sound is None else sound.figures(now, talking=talking)
    return BotObservation(kind, heard, figures, held=held)

"""What is wrong between the bridge and a party that carries RTP."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.bot_mends import mend
from bridge.call.diagnosis.finding import Check, Context, Finding, Watched
from bridge.call.diagnosis.losses import LONG_SECONDS, SHORT_SECONDS
from bridge.call.diagnosis.observation import CandidateType, LegObservation
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.leg_state import TransportState

_SETUP_FAILURES: Final[Mapping[str, Code]] = {
    "fingerprint": Code.DTLS_FINGERPRINT,
    "handshake": Code.DTLS_NO_ANSWER,
    "srtp_profile": Code.DTLS_NO_ANSWER,
    "nothing_received": Code.ICE_NO_CHECKS,
    "checks_unanswered": Code.ICE_ONE_WAY,
    "not_nominated": Code.ICE_ONE_WAY,
}
"""By the reason of `NegotiationFailed`."""
_OUTSIDE: Final = frozenset({CandidateType.SRFLX, CandidateType.RELAY})
"""Candidates that can be reached from beyond the browser's own network."""
TURN_UNREACHABLE: Final = 701
"""The `icecandidateerror` of a server that does not answer, as one of several may not."""


def setup_steps(leg: LegObservation) -> dict[str, object]:
    """Return the evidence of a leg that does not come up: which steps of its set-up are done."""
    setup = leg.statistics.setup
    return {} if setup is None else {"setup": setup.done()}


def setup_failure(state: TransportState) -> Code | None:
    """Return why a transport did not come up; None if it has not failed."""
    if not state.failure:
        return None
    if state.failure in _SETUP_FAILURES:
        return _SETUP_FAILURES[state.failure]
    if state.ice == "connected":
        return Code.DTLS_NO_ANSWER
    return Code.ICE_ONE_WAY if state.checks_received else Code.ICE_NO_CHECKS


def not_connected(leg: Watched, context: Context) -> Finding | None:
    """Find why a leg does not come up."""
    state, is_browser = leg.now.statistics.transport, leg.now.kind.traits.browser
    # The media of a ringing telephone may wait until it is answered.
    is_due = is_browser or leg.is_near or context.call.answered
    if state is None or state.plain or not is_due:
        return None
    steps, hints = setup_steps(leg.now), leg.hints
    failed = setup_failure(state)
    if failed is not None or state.ice == "connected":
        return _finding(leg, failed or Code.DTLS_NO_ANSWER, steps)
    if not state.described:
        return None
    if hints.turn_error not in (None, TURN_UNREACHABLE):
        return _finding(leg, Code.TURN_REFUSED, {"errorCode": hints.turn_error, **steps})
    if state.responses_received:
        return None
    if state.checks_received:
        return _finding(leg, Code.ICE_ONE_WAY, {"checks": state.checks_received, **steps})
    is_private = is_browser and not (state.public_candidates or hints.candidate_types & _OUTSIDE)
    code = Code.TURN_MISSING if is_private and not context.call.turn else Code.ICE_NO_CHECKS
    return _finding(leg, code, steps)


REJECTED_PER_SECOND: Final = 5
"""Fewer are stray packets of an earlier connection."""
STALLED_SECONDS: Final = 2.0
NEVER_SECONDS: Final = 3.0
"""From the connection to the first packet."""


def _arrival(leg: Watched, context: Context) -> Finding | None:
    state, history, now = leg.now.statistics.transport, leg.history, context.now
    since, packets = history.since_packet(now), leg.now.statistics.received.packets
    if history.rejected >= REJECTED_PER_SECOND and since != 0:
        return _finding(leg, Code.SRTP_REJECTED, {"rejectedPackets": history.rejected})
    if history.unknown_payloads >= REJECTED_PER_SECOND and since != 0:
        return _finding(leg, Code.CODEC_MISMATCH, {"packets": history.unknown_payloads})
    if state is not None and (state.held or not state.sends):
        return None  # it only listens, or waits
    if since is None:
        return _never_sent(leg, context)
    if since < STALLED_SECONDS:
        return None
    code = Code.NETWORK_STALLED if leg.is_near else Code.FAR_SENDS_NOTHING
    return _finding(leg, code, {"lastPacketSeconds": since, "packets": packets})


def _never_sent(leg: Watched, context: Context) -> Finding | None:
    state, waited = leg.now.statistics.transport, leg.history.connected_for(context.now)
    if waited < NEVER_SECONDS:
        return None
    code = Code.BROWSER_SENDS_NOTHING if leg.is_near else Code.FAR_SENDS_NOTHING
    if state is not None and state.plain:
        code = Code.ONE_WAY_RTP
    evidence = {"lastPacketSeconds": waited, "packets": 0, **setup_steps(leg.now)}
    if leg.now.bot is not None:
        fix = mend(Code.BOT_SENDS_NOTHING, leg.now.bot.kind)
        return leg.finding(Code.BOT_SENDS_NOTHING, {"how": "no audio", **evidence}, fix=fix)
    return _finding(leg, code, evidence, Severity.NOTICE if context.listens(leg) else None)


LOSSY: Final = 0.05
"""Share of lost packets that concealment and FEC no longer hide."""
CONCEALED: Final = 0.15
"""Share of concealed audio that a browser reports for want of packets; a busy one conceals a little."""


def _losses(leg: Watched, context: Context) -> Finding | None:
    history, now, concealed = leg.history, context.now, leg.hints.concealed_ratio
    if not (history.lost.lossy or history.reported_lost.lossy or concealed):
        return None
    # A relayed stream keeps the gaps of its source, which this party then reports as well.
    relayed = 0.0
    for seconds in (SHORT_SECONDS, LONG_SECONDS):
        share, at_least = history.lost.share(now, seconds)
        if at_least > LOSSY:
            return _lossy(leg, share, "this party's packets")
        share, at_least = history.reported_lost.share(now, seconds)
        sources = [other.history.lost for other in context.others(leg)]
        relayed = max((lost.share(now, seconds)[0] for lost in sources), default=0.0)
        if at_least - relayed > LOSSY:
            return _lossy(leg, share, "our packets to this party")
    if concealed - relayed > CONCEALED:
        return _lossy(leg, concealed, "what this party should hear")
    return None


def _lossy(leg: Watched, share: float, packets: str) -> Finding:
    return _finding(leg, Code.NETWORK_LOSSY, {"lossPercent": share * 100, "packets": packets})


JITTERY_SECONDS: Final = 0.12
"""How much later than its predecessor a packet may come, beyond their spacing, before it is heard."""
LATE: Final = 0.05
"""Share of packets that came after their frame had been concealed: heard as loss is."""
LATE_SECONDS: Final = 0.05
"""Packets that wait longer in the bridge are heard as gaps; it then takes all packets unevenly."""


def _jitter(leg: Watched, context: Context) -> Finding | None:
    jitter = leg.now.statistics.received.peak_jitter_seconds
    late, at_least = leg.history.late.share(context.now, SHORT_SECONDS)
    is_even = jitter <= JITTERY_SECONDS and at_least <= LATE
    if is_even or context.call.lag_seconds > LATE_SECONDS:
        return None
    evidence = {"jitterMs": jitter * 1000, "latePercent": late * 100}
    return _finding(leg, Code.NETWORK_JITTERY, evidence)


LONG_ROUND_TRIP_SECONDS: Final = 0.5


def _round_trip(leg: Watched, _: Context) -> Finding | None:
    seconds = leg.now.statistics.round_trip_seconds or 0.0
    if seconds <= LONG_ROUND_TRIP_SECONDS:
        return None
    return _finding(leg, Code.ROUND_TRIP_LONG, {"roundTripMs": seconds * 1000})


def _unheard(leg: Watched, _: Context) -> Finding | None:
    if leg.is_near or not leg.history.unheard:
        return None
    sent = leg.now.statistics.sent.packets
    return _finding(leg, Code.FAR_NOT_HEARING, {"sentPackets": sent})


CHECKS: Final[tuple[Check, ...]] = (_arrival, _losses, _jitter, _round_trip, _unheard)
"""Of a leg that is connected."""


def _finding(
    leg: Watched, code: Code, evidence: Mapping[str, object], severity: Severity | None = None
) -> Finding:
    return leg.finding(code, {**evidence, **leg.hints.evidence}, severity)

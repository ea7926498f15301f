"""What is wrong with a call now: one function for each place where audio is lost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.call.diagnosis.history import SPEECH_DBOV, LegHistory
from bridge.call.diagnosis.incidents import refusal
from bridge.call.diagnosis.losses import LONG_SECONDS, SHORT_SECONDS
from bridge.call.diagnosis.observation import (
    CallObservation,
    CandidateType,
    ClientHints,
    LegObservation,
    Microphone,
    OutputDevice,
    Speaker,
)
from bridge.call.diagnosis.problems import FILTERED_FIX, Code, Severity
from bridge.call.leg_state import ProviderState, TransportState
from bridge.call.model import LegId, LegKind, Party, ReplyTiming, State

UNANSWERED_SECONDS: Final = 3.5
"""A provider that has not answered a request for so long is taken for unreachable."""
LOSSY: Final = 0.05
"""Share of lost packets that concealment and FEC no longer hide."""
JITTERY_SECONDS: Final = 0.12
"""How much later than its predecessor a packet may come, beyond their spacing, before it is heard."""
LATE: Final = 0.05
"""Share of packets that came after their frame had been concealed: heard as loss is."""
LONG_ROUND_TRIP_SECONDS: Final = 0.5
STALLED_SECONDS: Final = 2.0
NEVER_SECONDS: Final = 3.0
"""From the connection to the first packet."""
_RATES: Final = (8_000, 16_000, 24_000, 48_000)
_SAME_RATE: Final = 0.05
_SETUP_FAILURES: Final[Mapping[str, Code]] = {
    "fingerprint": Code.DTLS_FINGERPRINT,
    "handshake": Code.DTLS_NO_ANSWER,
    "srtp_profile": Code.DTLS_NO_ANSWER,
    "nothing_received": Code.ICE_NO_CHECKS,
    "checks_unanswered": Code.ICE_ONE_WAY,
    "not_nominated": Code.ICE_ONE_WAY,
}
"""By the reason of `NegotiationFailed`."""
REJECTED_PER_SECOND: Final = 5
"""Fewer are stray packets of an earlier connection."""
CLIPPED: Final = 0.2
"""Share of frames at full scale that is heard as distortion."""
CONCEALED: Final = 0.15
"""Share of concealed audio that a browser reports for want of packets; a busy one conceals a little."""
_NO_MICROPHONE: Final[Mapping[Microphone | None, tuple[str, Severity]]] = {
    Microphone.MUTED: ("muted", Severity.NOTICE),
    Microphone.NONE: ("not in use", Severity.NOTICE),
    Microphone.ENDED: ("gone: unplugged, or taken away by the system", Severity.BROKEN),
    Microphone.DENIED: ("not allowed in the browser", Severity.BROKEN),
}
_OUTSIDE: Final = frozenset({CandidateType.SRFLX, CandidateType.RELAY})
"""Candidates that can be reached from beyond the browser's own network."""
TURN_UNREACHABLE: Final = 701
"""The `icecandidateerror` of a server that does not answer, as one of several may not."""
_NO_HINTS: Final = ClientHints()
SLOW_REPLY_SECONDS: Final = 3.0
"""From the end of the caller's utterance to the first audio of the reply."""
REPLY_SHOWN_SECONDS: Final = 10.0
REPLY_EXPECTED_SECONDS: Final = 8.0
"""A bot has had its turn when the far party has been silent for so long."""
LISTENING_SECONDS: Final = 30.0
"""No bot listens for longer before it says anything."""
UNUSED_SECONDS: Final = 30.0
"""A program may pause for so long between what it plays to the far party."""
LATE_SECONDS: Final = 0.05
"""Packets that wait longer are heard as gaps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition that holds now."""

    code: Code
    leg_id: LegId | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    severity: Severity | None = None
    """None for the one of the code's rule."""
    fix: str = ""
    """In place of the text of the code's rule."""


# Not frozen, as `LegObservation`.
@dataclass(slots=True)
class Watched:
    """A leg and what it has done."""

    now: LegObservation
    history: LegHistory

    @property
    def is_near(self) -> bool:
        """Whether it is on this side of the call."""
        return self.now.party is not Party.FAR

    @property
    def hints(self) -> ClientHints:
        """What its client reports."""
        return self.now.hints or _NO_HINTS

    def finding(self, code: Code, **evidence: object) -> Finding:
        """Return a finding about this leg."""
        return Finding(code, self.now.leg_id, evidence)


def detect(
    call: CallObservation, legs: list[Watched], now: float, *, served_at: float | None = None
) -> Iterator[Finding]:
    """Find everything that is wrong now; how long it must last is `diagnosis.Diagnosis`'s to judge.

    Args:
        call: The call.
        legs: Its legs.
        now: Monotonic seconds.
        served_at: When a service was last in the call, and no near party; None for never.
    """
    yield from _call(call, None if served_at is None else now - served_at)
    for leg in legs:
        seen, traits = leg.now, leg.now.kind.traits
        statistics = seen.statistics
        if statistics.provider is not None:
            yield from _provider(leg, statistics.provider, now)
        if traits.carries_rtp:
            yield from _transport(leg, call, legs, now)
        if traits.person and seen.connected:
            yield from _sound(leg, call)
        if seen.kind is LegKind.SOCKET:
            yield from _socket(leg, call, legs, now)
        if statistics.replies:
            yield from _agent(leg, statistics.replies[-1], now)


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


def _call(call: CallObservation, unserved: float | None) -> Iterator[Finding]:
    """Find what is wrong with the call."""
    if call.state is State.ENDED:
        return
    if call.lag_seconds > LATE_SECONDS:
        yield Finding(Code.BRIDGE_OVERLOADED, evidence={"lagMs": call.lag_seconds * 1000})
    if call.state is State.HELD:
        yield Finding(Code.HELD)
    if call.muted:
        yield Finding(Code.MUTED)
    if call.state is not State.ACTIVE or len(call.legs) > 1 or call.expects_party:
        return
    alone = all(leg.party is Party.FAR for leg in call.legs)
    if alone and (unserved is None or unserved > UNUSED_SECONDS):
        yield Finding(Code.NOBODY_JOINED)


def _provider(leg: Watched, state: ProviderState, now: float) -> Iterator[Finding]:
    """Find whether the provider takes the leg's requests."""
    if state.failure is not None:
        found = refusal(state.failure, leg.now.leg_id)
        yield replace(leg.finding(found.code, **found.evidence), fix=found.fix)
    elif state.asked_at is not None and now - state.asked_at >= UNANSWERED_SECONDS:
        waited = f"a request has had no answer for {now - state.asked_at:.0f} s"
        yield leg.finding(Code.PROVIDER_UNREACHABLE, reason=waited)


def _transport(
    leg: Watched, call: CallObservation, legs: list[Watched], now: float
) -> Iterator[Finding]:
    """Find what is wrong between the bridge and a party that carries RTP."""
    state, hints = leg.now.statistics.transport, leg.now.hints
    found: Iterator[Finding] = iter(())
    if leg.now.connected:
        found = _media(leg, legs, call, now)
    # The media of a ringing telephone may wait until it is answered.
    elif state is not None and (leg.now.kind.traits.browser or leg.is_near or call.answered):
        found = _setup(leg, state, call)
    if hints is None:
        return found
    return (replace(one, evidence={**one.evidence, **hints.evidence}) for one in found)


def _setup(leg: Watched, state: TransportState, call: CallObservation) -> Iterator[Finding]:
    if state.plain:
        return  # there is nothing to set up
    hints = leg.hints
    steps = setup_steps(leg.now)
    if (failed := setup_failure(state)) is not None:
        yield leg.finding(failed, **steps)
    elif state.ice == "connected":
        yield leg.finding(Code.DTLS_NO_ANSWER, **steps)
    elif state.described:
        if hints.turn_error not in (None, TURN_UNREACHABLE):
            yield leg.finding(Code.TURN_REFUSED, errorCode=hints.turn_error, **steps)
        elif state.checks_received and not state.responses_received:
            yield leg.finding(Code.ICE_ONE_WAY, checks=state.checks_received, **steps)
        elif not state.checks_received and not state.responses_received:
            outside = state.public_candidates or hints.candidate_types & _OUTSIDE
            private = leg.now.kind.traits.browser and not outside
            missing = private and not call.turn
            code = Code.TURN_MISSING if missing else Code.ICE_NO_CHECKS
            yield leg.finding(code, **steps)


def _media(
    leg: Watched, legs: list[Watched], call: CallObservation, now: float
) -> Iterator[Finding]:
    history, statistics = leg.history, leg.now.statistics
    since = history.last_packet_at
    missing = since is None or now - since >= STALLED_SECONDS
    if missing or history.rejected or history.unknown_payloads:
        yield from _arrival(leg, legs, now)
    if history.lost.lossy or history.reported_lost.lossy or leg.now.hints is not None:
        yield from _loss(leg, legs, now)
    jitter = statistics.received.peak_jitter_seconds
    late, at_least = history.late.share(now, SHORT_SECONDS)
    # A bridge that lags takes all packets unevenly.
    if (jitter > JITTERY_SECONDS or at_least > LATE) and call.lag_seconds <= LATE_SECONDS:
        yield leg.finding(Code.NETWORK_JITTERY, jitterMs=jitter * 1000, latePercent=late * 100)
    trip = statistics.round_trip_seconds
    if trip is not None and trip > LONG_ROUND_TRIP_SECONDS:
        yield leg.finding(Code.ROUND_TRIP_LONG, roundTripMs=trip * 1000)
    if history.unheard and not leg.is_near:
        yield leg.finding(Code.FAR_NOT_HEARING, sentPackets=statistics.sent.packets)


def _arrival(leg: Watched, legs: list[Watched], now: float) -> Iterator[Finding]:
    history, packets = leg.history, leg.now.statistics.received.packets
    state = leg.now.statistics.transport
    since = history.since_packet(now)
    if history.rejected >= REJECTED_PER_SECOND and history.last_packet_at != now:
        yield leg.finding(Code.SRTP_REJECTED, rejectedPackets=history.rejected)
    elif history.unknown_payloads >= REJECTED_PER_SECOND and history.last_packet_at != now:
        yield leg.finding(Code.CODEC_MISMATCH, packets=history.unknown_payloads)
    elif state is not None and (state.held or not state.sends):
        return  # it only listens, or waits
    elif since is None:
        code = Code.BROWSER_SENDS_NOTHING if leg.is_near else Code.FAR_SENDS_NOTHING
        waited = history.connected_for(now)
        if waited < NEVER_SECONDS:
            return
        if state is not None and state.plain:
            code = Code.ONE_WAY_RTP
        found = leg.finding(code, lastPacketSeconds=waited, packets=0, **setup_steps(leg.now))
        yield replace(found, severity=Severity.NOTICE) if _listens(leg, legs) else found
    elif since >= STALLED_SECONDS:
        code = Code.NETWORK_STALLED if leg.is_near else Code.FAR_SENDS_NOTHING
        yield leg.finding(code, lastPacketSeconds=since, packets=packets)


def _listens(leg: Watched, legs: list[Watched]) -> bool:
    """Whether a near party may be here to listen: somebody else on this side is heard."""
    return leg.is_near and any(
        other.is_near
        and other.now.kind is not LegKind.PLAYBACK
        and other.history.last_frame_at is not None
        for other in legs
        if other is not leg
    )


def _loss(leg: Watched, legs: list[Watched], now: float) -> Iterator[Finding]:
    # A relayed stream keeps the gaps of its source, which this party then reports as well.
    relayed = 0.0
    others = [other for other in legs if other is not leg]
    for seconds in (SHORT_SECONDS, LONG_SECONDS):
        share, at_least = leg.history.lost.share(now, seconds)
        if at_least > LOSSY:
            lost = "this party's packets"
            yield leg.finding(Code.NETWORK_LOSSY, lossPercent=share * 100, packets=lost)
            return
        share, at_least = leg.history.reported_lost.share(now, seconds)
        relayed = max((one.history.lost.share(now, seconds)[0] for one in others), default=0.0)
        if at_least - relayed > LOSSY:
            lost = "our packets to this party"
            yield leg.finding(Code.NETWORK_LOSSY, lossPercent=share * 100, packets=lost)
            return
    if leg.hints.concealed_ratio - relayed > CONCEALED:
        lost, share = "what this party should hear", leg.hints.concealed_ratio
        yield leg.finding(Code.NETWORK_LOSSY, lossPercent=share * 100, packets=lost)


def _sound(leg: Watched, call: CallObservation) -> Iterator[Finding]:
    """Find what is wrong with the audio of a person who is connected."""
    hints = leg.hints
    if hints.speaker is Speaker.BLOCKED:
        yield leg.finding(Code.SPEAKER_BLOCKED)
    elif hints.output_device is OutputDevice.MISSING:
        yield leg.finding(Code.SPEAKER_MISSING)
    missing = _NO_MICROPHONE.get(hints.microphone)
    if missing is None and leg.now.muted and leg.is_near and not call.muted:
        missing = _NO_MICROPHONE[Microphone.MUTED]
    if missing is not None:
        how, severity = missing
        yield replace(leg.finding(Code.MICROPHONE_MUTED, how=how), severity=severity)
    elif (state := leg.now.statistics.transport) is not None and state.held:
        fix = "The call goes on once this party ends its hold."
        yield replace(leg.finding(Code.HELD), fix=fix)
    elif leg.history.quiet_since is not None and call.state is State.ACTIVE:
        yield from _silent(leg, call)
    if (delay := leg.now.statistics.echo_seconds) is not None:
        yield leg.finding(Code.ECHO_SUSPECTED, delayMs=delay * 1000)
    if leg.history.clipped > CLIPPED:
        yield leg.finding(Code.CLIPPING, clippedPercent=leg.history.clipped * 100)


def _silent(leg: Watched, call: CallObservation) -> Iterator[Finding]:
    level = leg.now.statistics.received.level_dbov
    alone = leg.now.kind.traits.browser and not _near_people(call)
    if leg.now.party is Party.FAR and _only_listens(call):
        return
    # Who talks with an agent from a browser is told of their own microphone.
    if leg.now.party is Party.FAR and not alone:
        yield leg.finding(Code.FAR_SILENT, levelDbov=level)
    elif leg.now.party is Party.FAR or (leg.now.party is Party.NEAR and not call.muted):
        yield _microphone_silent(leg, level)


def _microphone_silent(leg: Watched, level: float) -> Finding:
    """Return whether the microphone gives nothing, or the browser's filters leave nothing of it."""
    how, fix = f"the microphone's level is {level:.0f} dBov", ""
    broken, told = leg.history.loudest_dbov < SPEECH_DBOV, leg.hints.microphone_dbov
    if leg.hints.microphone_filtered and told is not None and told >= SPEECH_DBOV:
        how = f"its filters leave {level:.0f} dBov of a microphone that is at {told:.0f} dBov"
        broken, fix = False, FILTERED_FIX
    evidence = leg.hints.microphone_evidence
    found = leg.finding(Code.MICROPHONE_SILENT, how=how, levelDbov=level, **evidence)
    return replace(found, severity=Severity.BROKEN if broken else Severity.NOTICE, fix=fix)


def _only_listens(call: CallObservation) -> bool:
    """Whether the far party may have nothing to say: it hears a greeting, or nobody on this side."""
    if any(leg.kind is LegKind.VOICEMAIL for leg in call.legs):
        return True
    people = _near_people(call)
    return call.muted or (bool(people) and all(leg.muted for leg in people))


def _near_people(call: CallObservation) -> list[LegObservation]:
    return [leg for leg in call.legs if leg.party is Party.NEAR and leg.kind.traits.person]


def _socket(
    leg: Watched, call: CallObservation, legs: list[Watched], now: float
) -> Iterator[Finding]:
    """Find what is wrong with the audio of a media socket."""
    unused = leg.now.connected and leg.history.last_frame_at is None
    if unused and call.answered and not _listens(leg, legs):
        asked = _was_asked([other for other in legs if other is not leg], now)
        waits = leg.history.connected_for(now) < LISTENING_SECONDS and not asked
        severity = Severity.NOTICE if waits else Severity.BROKEN
        yield replace(leg.finding(Code.SOCKET_SENDS_NOTHING), severity=severity)
    state = leg.now.statistics.socket
    if state is None:
        return
    rate = leg.history.steady_byte_rate / (state.second_bytes / state.sample_rate)
    wrong_rate = min(_RATES, key=lambda one: abs(one - rate))
    if state.looks_like:
        yield leg.finding(
            Code.SOCKET_WRONG_FORMAT, looksLike=state.looks_like, expected=state.expected
        )
    elif wrong_rate != state.sample_rate and abs(rate / wrong_rate - 1) < _SAME_RATE:
        yield leg.finding(
            Code.SOCKET_WRONG_FORMAT,
            looksLike=f"audio at {wrong_rate} Hz",
            expected=f"{state.sample_rate} Hz",
        )
    if leg.history.dropped_seconds > 0:
        yield leg.finding(Code.SOCKET_READER_SLOW, droppedSeconds=state.dropped_seconds)


def _was_asked(others: list[Watched], now: float) -> bool:
    """Whether the far party has said something and waits for a reply."""
    far = next((one.history for one in others if not one.is_near), None)
    since = None if far is None else far.since_speech(now)
    return since is not None and since >= REPLY_EXPECTED_SECONDS


def _agent(leg: Watched, last: ReplyTiming, now: float) -> Iterator[Finding]:
    """Find whether an agent replies too late."""
    if last.first_audio > SLOW_REPLY_SECONDS and now - last.at < REPLY_SHOWN_SECONDS:
        slowest = max(last.steps, key=lambda step: last.steps[step], default="the bridge")
        yield leg.finding(Code.AGENT_SLOW, replySeconds=last.first_audio, slowestStep=slowest)

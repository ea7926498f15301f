"""What is wrong with a call now: a list of checks, one for each thing that can be wrong."""

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.audio.detect.speed import SLOW
from bridge.call.diagnosis import network
from bridge.call.diagnosis.bot_sound import WINDOW_SECONDS
from bridge.call.diagnosis.bots import bot_findings
from bridge.call.diagnosis.finding import Check, Context, Finding, Watched
from bridge.call.diagnosis.history import SPEECH_DBOV
from bridge.call.diagnosis.incidents import refusal
from bridge.call.diagnosis.observation import (
    CallObservation,
    LegObservation,
    Microphone,
    OutputDevice,
    Speaker,
)
from bridge.call.diagnosis.problems import FILTERED_FIX, Code, Severity
from bridge.call.model import LegKind, Party, State


def detect(
    call: CallObservation,
    legs: list[Watched],
    now: float,
    *,
    served_at: float | None = None,
    late_at: float | None = None,
) -> list[Finding]:
    """Find everything that is wrong now; how long it must last is decided in `diagnosis.Diagnosis`.

    Args:
        call: The call.
        legs: Its legs.
        now: Monotonic seconds.
        served_at: When a service was last in the call, and no near party; None for never.
        late_at: When the bridge last ran late (`runs_late`); None for never.
    """
    found = list(_call(call, None if served_at is None else now - served_at))
    ran_late = late_at is not None and now - late_at <= WINDOW_SECONDS
    context = Context(call, legs, now, ran_late)
    for leg in legs:
        results = [check(leg, context) for check in _checks(leg)]
        found += [finding for finding in results if finding is not None]
        if leg.now.bot is not None:
            found += bot_findings(leg, context)
    return found


def runs_late(call: CallObservation) -> bool:
    """Return whether the bridge runs so late that it disturbs what it measures of calls."""
    return call.lag_seconds > network.LATE_SECONDS


def _checks(leg: Watched) -> list[Check]:
    traits, connected = leg.now.kind.traits, leg.now.connected
    checks: list[Check] = [_provider]
    if traits.carries_rtp:
        checks += network.CHECKS if connected else [network.not_connected]
    if _is_person(leg.now) and connected and not leg.history.announced:
        checks += [_speaker, _microphone, _echo, _clipping]
    if leg.now.kind is LegKind.SOCKET:
        checks += [_socket_sends_nothing, _socket_format, _socket_reader]
    return [*checks, _agent]


UNUSED_SECONDS: Final = 30.0
"""A program may pause for so long between what it plays to the far party."""


def _call(call: CallObservation, unserved: float | None) -> Iterator[Finding]:
    if call.state is State.ENDED:
        return
    if runs_late(call):
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


UNANSWERED_SECONDS: Final = 3.5
"""A provider that has not answered a request for so long is taken for unreachable."""


def _provider(leg: Watched, context: Context) -> Finding | None:
    state = leg.now.statistics.provider
    if state is None:
        return None
    if state.failure is not None:
        return refusal(state.failure, leg.now.leg_id)
    waited = 0.0 if state.asked_at is None else context.now - state.asked_at
    if waited < UNANSWERED_SECONDS:
        return None
    reason = f"a request has had no answer for {waited:.0f} s"
    return leg.finding(Code.PROVIDER_UNREACHABLE, {"reason": reason})


SLOW_REPLY_SECONDS: Final = 3.0
"""From the end of the caller's utterance to the first audio of the reply."""
REPLY_SHOWN_SECONDS: Final = 10.0


def _agent(leg: Watched, context: Context) -> Finding | None:
    if not leg.now.statistics.replies:
        return None
    last = leg.now.statistics.replies[-1]
    if last.first_audio <= SLOW_REPLY_SECONDS or context.now - last.at >= REPLY_SHOWN_SECONDS:
        return None
    slowest = max(last.steps, key=lambda step: last.steps[step], default="the bridge")
    evidence = {"replySeconds": last.first_audio, "slowestStep": slowest}
    return leg.finding(Code.AGENT_SLOW, evidence)


_NO_MICROPHONE: Final[Mapping[Microphone | None, tuple[str, Severity]]] = {
    Microphone.MUTED: ("muted", Severity.NOTICE),
    Microphone.NONE: ("not in use", Severity.NOTICE),
    Microphone.ENDED: ("gone: unplugged, or taken away by the system", Severity.BROKEN),
    Microphone.DENIED: ("not allowed in the browser", Severity.BROKEN),
}
CLIPPED: Final = 0.2
"""Share of frames at full scale that is heard as distortion."""


def _speaker(leg: Watched, _: Context) -> Finding | None:
    if leg.hints.speaker is Speaker.BLOCKED:
        return leg.finding(Code.SPEAKER_BLOCKED)
    missing = leg.hints.output_device is OutputDevice.MISSING
    return leg.finding(Code.SPEAKER_MISSING) if missing else None


def _microphone(leg: Watched, context: Context) -> Finding | None:
    call, state = context.call, leg.now.statistics.transport
    missing = _NO_MICROPHONE.get(leg.hints.microphone)
    if missing is None and leg.now.muted and leg.is_near and not call.muted:
        missing = _NO_MICROPHONE[Microphone.MUTED]
    if missing is not None:
        how, severity = missing
        return leg.finding(Code.MICROPHONE_MUTED, {"how": how}, severity)
    if state is not None and state.held:
        return leg.finding(Code.HELD, fix="The call goes on once this party ends its hold.")
    if leg.history.quiet_since is None or call.state is not State.ACTIVE:
        return None
    if leg.now.party is Party.FAR:
        return _silent_far(leg, call)
    is_expected = leg.now.party is not Party.NEAR or call.muted
    return None if is_expected else _microphone_silent(leg)


def _silent_far(leg: Watched, call: CallObservation) -> Finding | None:
    if _only_listens(call):
        return None
    # A person who talks with an agent from a browser is told about their own microphone.
    if leg.now.kind.traits.browser and not _near_people(call):
        return _microphone_silent(leg)
    return leg.finding(Code.FAR_SILENT, {"levelDbov": leg.now.statistics.received.level_dbov})


def _microphone_silent(leg: Watched) -> Finding:
    """Return whether the microphone gives nothing, or the browser's filters leave nothing of it."""
    level, told = leg.now.statistics.received.level_dbov, leg.hints.microphone_dbov
    how, fix = f"the microphone's level is {level:.0f} dBov", ""
    broken = leg.history.loudest_dbov < SPEECH_DBOV
    if leg.hints.microphone_filtered and told is not None and told >= SPEECH_DBOV:
        how = f"its filters leave {level:.0f} dBov of a microphone that is at {told:.0f} dBov"
        broken, fix = False, FILTERED_FIX
    evidence = {"how": how, "levelDbov": level, **leg.hints.microphone_evidence}
    severity = Severity.BROKEN if broken else Severity.NOTICE
    return leg.finding(Code.MICROPHONE_SILENT, evidence, severity, fix)


def _only_listens(call: CallObservation) -> bool:
    """Whether the far party may have nothing to say: it hears a greeting, or nobody on this side."""
    if any(leg.kind is LegKind.VOICEMAIL for leg in call.legs):
        return True
    people = _near_people(call)
    return call.muted or (bool(people) and all(leg.muted for leg in people))


def _near_people(call: CallObservation) -> list[LegObservation]:
    return [leg for leg in call.legs if leg.party is Party.NEAR and _is_person(leg)]


def _is_person(leg: LegObservation) -> bool:
    """Whether somebody speaks into a microphone there; a bot over WebRTC is looked at in `bots`."""
    return leg.kind.traits.person and leg.bot is None


def _echo(leg: Watched, _: Context) -> Finding | None:
    delay = leg.now.statistics.echo_seconds
    return None if delay is None else leg.finding(Code.ECHO_SUSPECTED, {"delayMs": delay * 1000})


def _clipping(leg: Watched, _: Context) -> Finding | None:
    share = leg.history.clipped
    return leg.finding(Code.CLIPPING, {"clippedPercent": share * 100}) if share > CLIPPED else None


REPLY_EXPECTED_SECONDS: Final = 8.0
"""A bot has had its turn when the far party has been silent for so long."""
LISTENING_SECONDS: Final = 30.0
"""No bot listens for longer before it says anything."""
_RATES: Final = (8_000, 16_000, 24_000, 48_000)
_SAME_RATE: Final = 0.05


def _socket_sends_nothing(leg: Watched, context: Context) -> Finding | None:
    held = leg.now.bot is not None and leg.now.bot.held
    sends = leg.history.last_frame_at is not None
    if held or sends or not leg.now.connected or not context.call.answered or context.listens(leg):
        return None
    far = next((one.history for one in context.others(leg) if not one.is_near), None)
    since_speech = None if far is None else far.since_speech(context.now)
    asked = since_speech is not None and since_speech >= REPLY_EXPECTED_SECONDS
    waits = leg.history.connected_for(context.now) < LISTENING_SECONDS and not asked
    severity = Severity.NOTICE if waits else Severity.BROKEN
    return leg.finding(Code.SOCKET_SENDS_NOTHING, severity=severity)


def _socket_format(leg: Watched, _: Context) -> Finding | None:
    state = leg.now.statistics.socket
    if state is None:
        return None
    looks_like, expected = state.looks_like, state.expected
    if not looks_like:
        rate = leg.history.steady_byte_rate / (state.second_bytes / state.sample_rate)
        nearest = min(_RATES, key=lambda one: abs(one - rate))
        if nearest == state.sample_rate or abs(rate / nearest - 1) >= _SAME_RATE:
            return None
        if nearest > state.sample_rate and _is_natural(leg):
            return None  # it sends ahead of time
        looks_like, expected = f"audio at {nearest} Hz", f"{state.sample_rate} Hz"
    evidence = {"looksLike": looks_like, "expected": expected}
    return leg.finding(Code.SOCKET_WRONG_FORMAT, evidence)


def _is_natural(leg: Watched) -> bool:
    """Whether a bot's voice is no slower than voices are."""
    figures = leg.now.bot.sound if leg.now.bot is not None else None
    return figures is not None and figures.octaves is not None and figures.octaves >= SLOW


def _socket_reader(leg: Watched, _: Context) -> Finding | None:
    state = leg.now.statistics.socket
    if state is None or leg.history.dropped_seconds <= 0:
        return None
    return leg.finding(Code.SOCKET_READER_SLOW, {"droppedSeconds": state.dropped_seconds})

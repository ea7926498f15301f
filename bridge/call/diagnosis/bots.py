"""Problems of bots, however they are connected."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bridge.audio.detect.level import SILENT
from bridge.audio.detect.speed import FAST, SLOW
from bridge.call.diagnosis.bot_mends import mend
from bridge.call.diagnosis.bot_sound import OVERLAP_WINDOW_SECONDS, WINDOW_SECONDS, BotFigures
from bridge.call.diagnosis.finding import Context, Finding, Watched
from bridge.call.diagnosis.observation import BotKind
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.leg_state import SocketState
from bridge.call.model import LegKind, State

CONNECTING_SECONDS: Final = 3.0
"""A server that needs longer to accept a connection keeps its caller waiting."""
LATE_SECONDS: Final = 0.5
"""A shorter delay of held words is not worth reporting."""
LOST_SECONDS: Final = 0.1
HELD_SHOWN_SECONDS: Final = 10.0
"""How long the finding is kept after the words were released."""
IGNORED_MESSAGES: Final = 3
LISTENING_SECONDS: Final = 30.0
"""A bot that is silent for longer from the start sends nothing."""
ANSWER_SECONDS: Final = 7.0
"""Slow bots, with 4 s of processing, have answered by then. The fault begins 5 s after the caller's last word."""
REPEATED_TURNS: Final = 3
"""After so many unanswered turns of the caller there is no need to wait for `ANSWER_SECONDS`."""
FUNCTION_SECONDS: Final = 5.0
SAID_SECONDS: Final = 4.0
"""Silence while a function runs after which callers assume that the call is dead."""
RATES: Final = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
SAME_RATE: Final = 0.025
SLOW_VOICE_SECONDS: Final = 3.5
"""How long a sender must exceed real time if its voice sounds slow; audio sent ahead of time sounds natural."""
UNKNOWN_VOICE_SECONDS: Final = 6.0
"""The same if too little of the voice is known."""
NATURAL_VOICE_SECONDS: Final = 30.0
"""The same if the voice may be natural; longer than audio is sent ahead of time."""
GAPS: Final = 4
GAPS_AT_PACE: Final = 2
"""The same if audio also arrives more slowly than it is played."""
BEHIND_PACE: Final = 0.95
CLIPPED: Final = 0.2
QUIET_DBOV: Final = -42.0
"""Threshold for the loudest tenth of a voice: 20 dB below normal."""
OVERLAP_SECONDS: Final = 4.4
"""Interrupted bots stop sooner, and backchannels are shorter. The fault begins after 2 s of the caller's speech."""
_HOW_IGNORED: Final[Mapping[str, str]] = {
    "malformed": "they are binary, or not JSON of the protocol",
    "unknown_event": "their event is unknown",
    "other_stream": "they name another stream",
}


def bot_findings(leg: Watched, context: Context) -> Iterator[Finding]:
    """Yield the problems of a leg's bot: at most one reason why nothing is heard, and all problems of its audio."""
    if leg.now.bot is None:
        return
    early = _early(leg, context)
    if early is not None:
        yield early
    for check in _SILENT:
        if (found := check(leg, context)) is not None:
            yield found
            break
    figures = leg.now.bot.sound
    if context.call.state is not State.ACTIVE:
        return
    socket = leg.now.statistics.socket
    if socket is not None and socket.looks_like and leg.now.kind is LegKind.SOCKET:
        return  # `SOCKET_WRONG_FORMAT`
    unusable = _format(leg, socket) or _rate(leg, socket, figures, context)
    if unusable is not None:
        yield unusable
        return
    if figures is not None:
        results = [check(leg, figures, context) for check in _SOUND]
        yield from (finding for finding in results if finding is not None)


def _found(
    leg: Watched,
    code: Code,
    evidence: Mapping[str, object] | None = None,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding with the fix for this kind of bot."""
    told = dict(evidence or {})
    fix = mend(code, leg.now.bot.kind if leg.now.bot is not None else None)
    return leg.finding(code, told, severity, fix.format_map(told))


def _early(leg: Watched, context: Context) -> Finding | None:
    """Find words that came before anybody could hear them, and are late or partly lost."""
    held_at, received = leg.history.bot.held_at, leg.now.statistics.received
    if held_at is None or context.now - held_at >= HELD_SHOWN_SECONDS:
        return None
    late, lost = received.held_seconds, received.held_dropped_seconds
    if late < LATE_SECONDS and lost < LOST_SECONDS:
        return None
    evidence = {"lateSeconds": late, "lostSeconds": lost}
    severity = None if lost >= LOST_SECONDS else Severity.NOTICE
    return _found(leg, Code.BOT_SPOKE_EARLY, evidence, severity)


def _not_connected(leg: Watched, context: Context) -> Finding | None:
    stream = leg.now.statistics.stream
    if stream is None or stream.asked_at is None:
        return None
    waited = context.now - stream.asked_at
    if waited < CONNECTING_SECONDS:
        return None
    return _found(leg, Code.BOT_NOT_CONNECTED, {"waitedSeconds": waited})


def _ignored(leg: Watched, _: Context) -> Finding | None:
    stream = leg.now.statistics.stream
    if stream is None or leg.now.statistics.received.packets:
        return None
    counts = {reason: stream.ignored.get(reason, 0) for reason in _HOW_IGNORED}
    if leg.now.bot is not None and leg.now.bot.kind is BotKind.REALTIME:
        counts["unknown_event"] = 0  # a newer server sends events that no call needs
    reason = max(counts, key=lambda one: counts[one])
    if counts[reason] < IGNORED_MESSAGES:
        return None
    evidence = {"ignoredMessages": sum(counts.values()), "how": _HOW_IGNORED[reason]}
    return _found(leg, Code.BOT_MESSAGES_IGNORED, evidence)


def _not_heard(leg: Watched, context: Context) -> Finding | None:
    statistics, history, bot = leg.now.statistics, leg.history.bot, leg.now.bot
    if context.call.state is not State.ACTIVE or bot is None or bot.held:
        return None
    if history.unheard_messages >= IGNORED_MESSAGES:
        return _found(leg, Code.BOT_NOT_HEARD, {"how": "its stream is a one-way one"})
    if bot.heard or context.call.expects_party:
        return None
    waiting = statistics.socket.waiting_dbov if statistics.socket is not None else SILENT
    if waiting < QUIET_DBOV and not _plays(leg, context):
        return None
    muted = leg.now.muted or context.call.muted
    how = "it is muted" if muted else "no other party is routed to hear it"
    severity = Severity.NOTICE if muted else None
    return _found(leg, Code.BOT_NOT_HEARD, {"how": how}, severity)


def _plays(leg: Watched, context: Context) -> bool:
    """Whether audio with a voice came in the last second; of packets, the counts of their levels tell."""
    if not leg.history.bot.audio_messages:
        return False
    if leg.now.kind.traits.carries_rtp:
        return leg.history.since_speech(context.now) == 0
    return leg.now.statistics.received.level_dbov >= QUIET_DBOV


def _sends_nothing(leg: Watched, context: Context) -> Finding | None:
    bot, stream, socket = leg.now.bot, leg.now.statistics.stream, leg.now.statistics.socket
    if bot is None or not _is_asked(leg, context) or bot.kind is BotKind.AGENT:
        return None
    if stream is not None and not stream.twoway:
        return None
    figures = bot.sound
    frames = leg.history.last_frame_at is not None
    if figures is not None and figures.spoken_seconds:
        return None
    if frames and (figures is None or not figures.silent_frames):
        return None
    if not frames and socket is not None and stream is None:
        return None  # `SOCKET_SENDS_NOTHING`
    evidence = {"how": "only silence" if frames else "no audio"}
    return _found(leg, Code.BOT_SENDS_NOTHING, evidence)


def _is_asked(leg: Watched, context: Context) -> bool:
    """Whether it should have said something by now."""
    if context.call.state is not State.ACTIVE or not leg.now.connected or context.listens(leg):
        return False
    if leg.history.connected_for(context.now) >= LISTENING_SECONDS:
        return True
    figures = leg.now.bot.sound if leg.now.bot is not None else None
    return figures is not None and _is_unanswered(figures)


def _is_unanswered(figures: BotFigures) -> bool:
    seconds, turns = figures.unanswered_seconds, figures.unanswered_turns
    return seconds is not None and (seconds >= ANSWER_SECONDS or turns >= REPEATED_TURNS)


def _function(leg: Watched, context: Context) -> Finding | None:
    stream, bot = leg.now.statistics.stream, leg.now.bot
    if stream is None or not stream.function or bot is None:
        return None
    seconds = context.now - stream.function_at
    quiet = bot.sound.quiet_seconds if bot.sound is not None else seconds
    speaks = bot.sound is not None and bot.sound.spoken_seconds and quiet is None
    if seconds < FUNCTION_SECONDS or speaks or (quiet is not None and quiet < SAID_SECONDS):
        return None
    evidence = {"function": stream.function, "functionSeconds": seconds}
    return _found(leg, Code.BOT_FUNCTION_HANGS, evidence)


def _no_answer(leg: Watched, context: Context) -> Finding | None:
    bot, stream = leg.now.bot, leg.now.statistics.stream
    if bot is None or bot.sound is None or context.call.state is not State.ACTIVE:
        return None
    running = stream is not None and bool(stream.function)
    if running or not _is_unanswered(bot.sound) or context.listens(leg) or leg.now.muted:
        return None
    if stream is not None and not stream.twoway:
        return None
    sent = leg.history.last_frame_at is not None or leg.now.kind is LegKind.AGENT
    if not sent:
        return None
    turns = bot.sound.unanswered_turns
    evidence = {"silentSeconds": bot.sound.unanswered_seconds, "turns": turns}
    severity = Severity.BROKEN if turns > 1 or not bot.sound.spoken_seconds else None
    return _found(leg, Code.BOT_NO_ANSWER, evidence, severity)


_SILENT: Final = (_not_connected, _ignored, _not_heard, _function, _sends_nothing, _no_answer)
"""Reasons why nothing is heard; an earlier one causes the later ones."""


def _format(leg: Watched, socket: SocketState | None) -> Finding | None:
    if socket is None or not socket.looks_like:
        return None
    evidence = {"looksLike": socket.looks_like, "expected": socket.expected}
    return _found(leg, Code.BOT_WRONG_FORMAT, evidence)


def _rate(
    leg: Watched, socket: SocketState | None, figures: BotFigures | None, context: Context
) -> Finding | None:
    """Find a sender that is paced at another sample rate, or a voice that is higher than any natural one."""
    octaves = figures.octaves if figures is not None else None
    if socket is None:
        return None
    expected, pace = socket.sample_rate, socket.pace
    # A bot that sends as much as it receives slows down with a bridge that runs late. Sockets have `SOCKET_WRONG_FORMAT`.
    paced = pace is not None and not context.ran_late
    if paced and pace is not None and leg.now.kind is not LegKind.SOCKET:
        nearest = _other_rate(pace * expected, expected)
        faster = nearest > expected
        if nearest and not (faster and _is_ahead(octaves, socket.pace_seconds)):
            evidence = {
                "looksLike": f"audio at {nearest} Hz",
                "expectedHertz": expected,
                "speed": "slowly" if faster else "fast",
            }
            return _found(leg, Code.BOT_WRONG_RATE, evidence)
    if octaves is None or octaves <= FAST:
        return None
    evidence = {"looksLike": "audio of a lower rate", "expectedHertz": expected, "speed": "fast"}
    return _found(leg, Code.BOT_WRONG_RATE, evidence)


def _is_ahead(octaves: float | None, seconds: float) -> bool:
    """Whether audio that has exceeded real time for so long may just be sent ahead of time."""
    if octaves is None:
        return seconds < UNKNOWN_VOICE_SECONDS
    return seconds < (NATURAL_VOICE_SECONDS if octaves >= SLOW else SLOW_VOICE_SECONDS)


def _other_rate(rate: float, expected: int) -> int:
    """Return the common sample rate near a measured one; 0 if there is none, or it is the expected one."""
    nearest = min(RATES, key=lambda one: abs(one - rate))
    return nearest if nearest != expected and abs(rate / nearest - 1) < SAME_RATE else 0


def _behind(leg: Watched, figures: BotFigures, context: Context) -> Finding | None:
    if context.ran_late:
        return None
    socket = leg.now.statistics.socket
    pace = socket.pace if socket is not None else None
    if socket is not None and pace and _other_rate(pace * socket.sample_rate, socket.sample_rate):
        return None
    slow = pace is not None and pace < BEHIND_PACE
    if figures.gaps < (GAPS_AT_PACE if slow else GAPS):
        return None
    evidence = {
        "gaps": figures.gaps,
        "gapMs": figures.gap_seconds * 1000,
        "windowSeconds": WINDOW_SECONDS,
    }
    return _found(leg, Code.BOT_FALLS_BEHIND, evidence)


def _clips(leg: Watched, figures: BotFigures, _: Context) -> Finding | None:
    if figures.clipped <= CLIPPED:
        return None
    return _found(leg, Code.BOT_CLIPS, {"clippedPercent": figures.clipped * 100})


def _quiet(leg: Watched, figures: BotFigures, _: Context) -> Finding | None:
    if not figures.is_voice or figures.loud_dbov is None or figures.loud_dbov >= QUIET_DBOV:
        return None
    return _found(leg, Code.BOT_QUIET, {"levelDbov": figures.loud_dbov})


def _hears_itself(leg: Watched, figures: BotFigures, _: Context) -> Finding | None:
    if figures.echo_seconds is None:
        return None
    return _found(leg, Code.BOT_HEARS_ITSELF, {"delayMs": figures.echo_seconds * 1000})


def _talks_over(leg: Watched, figures: BotFigures, _: Context) -> Finding | None:
    if figures.overlap_seconds < OVERLAP_SECONDS or figures.echo_seconds is not None:
        return None
    seconds = figures.overlap_seconds
    evidence = {"overlapSeconds": seconds, "windowSeconds": OVERLAP_WINDOW_SECONDS}
    return _found(leg, Code.BOT_TALKS_OVER, evidence)


def _reads_slowly(leg: Watched, _: BotFigures, __: Context) -> Finding | None:
    socket = leg.now.statistics.socket
    if socket is None or leg.now.kind is LegKind.SOCKET or leg.history.dropped_seconds <= 0:
        return None  # `SOCKET_READER_SLOW`
    return _found(leg, Code.BOT_READS_SLOWLY, {"droppedSeconds": socket.dropped_seconds})


_SOUND: Final[tuple[Callable[[Watched, BotFigures, Context], Finding | None], ...]] = (
    _behind,
    _clips,
    _quiet,
    _hears_itself,
    _talks_over,
    _reads_slowly,
)

"""What the demonstration answers to questions about the call it is in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.agent.questions import Question
from bridge.call.diagnosis.diagnosis import Problem, Verdict
from bridge.call.diagnosis.problems import Severity

GOOD_MOS: Final = 4.0
FAIR_MOS: Final = 3.6
"""Below it, many users are dissatisfied (ITU-T G.107, annex B)."""
QUIET_DBOV: Final = -45.0

GREETING: Final = (
    "Hello! I am the demonstration of this bridge. "
    "Ask me, for example: how good is this call? Or say: help."
)
HELP: Final = (
    "You can ask me: How good is this call? What is wrong? Why do I not hear anything? Can you hear me? "
    "How long have we talked? How many calls are there? What is the delay? Which codec do we use? "
    "Am I being recorded? Or say: repeat that, or goodbye."
)
NOT_UNDERSTOOD: Final = "I did not understand that. You can ask me: how good is this call? Or say help, to hear more questions."


@dataclass(frozen=True, slots=True)
class HeardQuality:
    """How well one side hears the other; None where nothing was measured."""

    mos: float | None = None
    """Mean of the call, 1 to 4.41."""
    loss: float | None = None
    """Share of the packets, 0 to 1."""


@dataclass(frozen=True, slots=True)
class CallSituation:
    """A call as its agent may speak of it, at one moment."""

    line: str = ""
    line_number: str = ""
    caller: str = ""
    """The far party's number, or empty: a browser has none."""
    seconds: float = 0.0
    calls: int = 1
    """On this bridge."""
    recorded: bool = False
    verdict: Verdict = Verdict.WATCHING
    problems: tuple[Problem, ...] = ()
    """That are open, the worst first."""
    codec: str = ""
    level_dbov: float | None = None
    """The caller's loudest of the last seconds."""
    round_trip_seconds: float | None = None
    from_caller: HeardQuality = HeardQuality()
    to_caller: HeardQuality = HeardQuality()


def answer(question: Question, call: CallSituation) -> str:
    """Return what to say; for `REPEAT` that there is nothing to repeat."""
    return _ANSWERS[question](call)


def _quality(call: CallSituation) -> str:
    problems = _problems(call)
    measured = [one for one in (call.from_caller.mos, call.to_caller.mos) if one is not None]
    if not measured:
        reason = "I have not measured it for long enough. Ask me again in a few seconds."
        return problems or f"I cannot say yet: {reason}"
    worst = min(measured)
    word = "good" if worst >= GOOD_MOS else "fair" if worst >= FAIR_MOS else "poor"
    said = f"This call is {word}. Its opinion score is {worst:.1f}, where 1 is bad and 4.4 is the best. "
    return " ".join(part for part in (said + _loss(call), _delay(call), problems) if part)


def _problem(call: CallSituation) -> str:
    if problems := _problems(call):
        return problems
    if call.verdict is Verdict.WATCHING:
        return "I have seen no problem so far, but I have not watched this call for long."
    return "Nothing is wrong with this call, as far as I can measure."


def _silence(call: CallSituation) -> str:
    if problems := _problems(call):
        return problems
    loss = call.to_caller.loss
    arrives = "" if loss is None else f", and {_percent(1 - loss)} of its packets reach you"
    return (
        f"I am sending you sound{arrives}. If you hear nothing, check the volume, "
        "and which speaker your browser uses."
    )


def _heard(call: CallSituation) -> str:
    if call.level_dbov is None:
        return "Yes, I hear you."
    loudness = f"{abs(call.level_dbov):.0f} decibels below full scale"
    if call.level_dbov < QUIET_DBOV:
        return f"Yes, but you are quiet: {loudness}. Raise the level of your microphone."
    return f"Yes, I hear you well: {loudness}."


def _duration(call: CallSituation) -> str:
    minutes, seconds = divmod(round(call.seconds), 60)
    spoken = [_counted(minutes, "minute")] if minutes else []
    return f"We have talked for {' and '.join([*spoken, _counted(seconds, 'second')])}."


def _calls(call: CallSituation) -> str:
    return "This is the only call on this bridge." if call.calls <= 1 else f"There are {call.calls} calls on this bridge."  # fmt: skip


def _delay(call: CallSituation) -> str:
    if call.round_trip_seconds is None:
        return "Nobody has reported the round trip yet."
    trip = _counted(round(1000 * call.round_trip_seconds), "millisecond")
    return f"The round trip to you takes {trip}."


def _loss(call: CallSituation) -> str:
    there, back = call.from_caller.loss, call.to_caller.loss
    if there is None and back is None:
        return "Nobody has counted packets yet."
    if not there and not back:
        return "No packets are lost."
    return (
        f"{_percent(there or 0.0)} of your packets are lost, and {_percent(back or 0.0)} of mine."
    )


def _recording(call: CallSituation) -> str:
    if call.recorded:
        return "Yes, this call is being recorded."
    return (
        "This call is not being recorded. Whoever runs this line can start a recording over the API; "
        "I cannot."
    )


def _number(call: CallSituation) -> str:
    line = f"This is the line {call.line}"
    number = f", whose number is {_digits(call.line_number)}" if call.line_number else ""
    caller = _digits(call.caller)
    return f"{line}{number}. " + (
        f"Your own number is {caller}."
        if caller
        else "You have no number, since you use a browser."
    )


def _codec(call: CallSituation) -> str:
    if not call.codec:
        return "No codec has been agreed on."
    return f"We use the codec {call.codec.split('/')[0]}."


def _problems(call: CallSituation) -> str:
    """Return the open problems in words, without notices such as a mute."""
    found = [one for one in call.problems if one.severity > Severity.NOTICE]
    if not found:
        return ""
    worst = f"{found[0].summary} {found[0].fix}"
    if len(found) == 1:
        return f"There is one problem. {worst}"
    return f"There are {len(found)} problems. The worst: {worst}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} percent" if percent >= 10 or percent == 0 else f"{percent:.1f} percent"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")


def _digits(number: str) -> str:
    """Return a number digit by digit, as it is to be spoken."""
    return " ".join(digit for digit in number if digit.isdigit())


_ANSWERS: Final[Mapping[Question, Callable[[CallSituation], str]]] = {
    Question.QUALITY: _quality,
    Question.PROBLEM: _problem,
    Question.SILENCE: _silence,
    Question.HEARD: _heard,
    Question.IDENTITY: lambda _: (
        "You are talking to a program: the demonstration agent of a WebRTC media bridge. "
        "I run on this machine, and need no network."
    ),
    Question.CALLS: _calls,
    Question.DURATION: _duration,
    Question.DELAY: _delay,
    Question.LOSS: _loss,
    Question.RECORDING: _recording,
    Question.NUMBER: _number,
    Question.CODEC: _codec,
    Question.HELP: lambda _: HELP,
    Question.REPEAT: lambda _: "I have said nothing yet.",
    Question.HELLO: lambda _: "Hello. You can ask me: how good is this call?",
    Question.THANKS: lambda _: "You are welcome.",
    Question.GOODBYE: lambda _: "Goodbye.",
}

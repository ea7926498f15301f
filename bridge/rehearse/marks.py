"""The marks on the waveforms of a rehearsed call: speech, digits, overlaps, problems. Pure."""

from collections.abc import Iterator

from bridge.rehearse.recorded import Recorded, disclosed
from bridge.rehearse.result import Mark, MarkKind
from bridge.rehearse.scenario import Backchannel, BargeIn, Play, Say, Step


def marks(recorded: Recorded) -> tuple[Mark, ...]:
    """Return the marks by time."""
    found = [*_caller(recorded), *_bot(recorded), *_events(recorded)]
    end = recorded.seconds
    found.append(Mark(MarkKind.HANGUP, end, end, recorded.hung_up_by))
    return tuple(sorted(found, key=lambda mark: (mark.began, mark.ended)))


def _caller(recorded: Recorded) -> Iterator[Mark]:
    for one in recorded.taken:
        if (text := _text(one.cue.step)) and one.spoke < recorded.seconds:
            yield Mark(MarkKind.CALLER, one.spoke, min(one.spoken, recorded.seconds), text)
    for at, digit in recorded.talk.keys:
        yield Mark(MarkKind.DIGIT, at, at, digit)


def _text(step: Step) -> str:
    match step:
        case Say():
            return step.say
        case Backchannel():
            return step.backchannel
        case BargeIn():
            return step.barge_in
        case Play():
            return step.play
    return ""


def _bot(recorded: Recorded) -> Iterator[Mark]:
    for began, ended in recorded.stretches:
        yield Mark(MarkKind.BOT, began, ended)
        for one in recorded.taken:
            if _text(one.cue.step):
                both = (max(began, one.spoke), min(ended, one.spoken))
                if both[0] < both[1]:
                    yield Mark(MarkKind.OVERLAP, *both)
    for began, ended in recorded.talk.fillers:
        yield Mark(MarkKind.BOT, began, ended, "filler")


def _events(recorded: Recorded) -> Iterator[Mark]:
    for told in recorded.events:
        if told.type == "call.problem":
            yield Mark(MarkKind.PROBLEM, told.at, told.at, str(told.data.get("code", "")))
        elif told.type == "disclosure.spoken":
            yield Mark(MarkKind.DISCLOSURE, *disclosed(told), "disclosure")

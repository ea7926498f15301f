"""Checks a rehearsed call against the expectations of its scenario. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from bridge.audio.detect.level import level
from bridge.audio.frame import SAMPLE_RATE
from bridge.rehearse.recorded import Recorded, Told, disclosed, longest_overlap, silent_after
from bridge.rehearse.result import Check
from bridge.rehearse.scenario import Expect
from bridge.rehearse.talk import Taken

GOES_ON_SECONDS: Final = 1.0
"""Within which a bot that should speak on speaks."""
OVERLAP_SECONDS: Final = 0.3
"""Tolerated difference between the starts of an overlap as caller and bridge measure it."""
BLIP_SECONDS: Final = 0.1
"""A shorter sound of the bot is not speech."""
DISCLOSURE_SECONDS: Final = 0.2
"""Likewise of a disclosure."""
FULL: Final = 32_700
"""Samples from here on count as full scale."""
OF_THE_MACHINE: Final = frozenset({"bridge_overloaded"})
"""Problems that are never the bot's fault."""


def checks(recorded: Recorded) -> tuple[Check, ...]:
    """Return the result of each expectation, and a failed check if the script was not completed."""
    found = list(_script(recorded))
    for one in recorded.taken:
        found += _step_checks(recorded, one)
    for check in (
        _greeting,
        _turns,
        _words,
        _overlap,
        _digits,
        _disclosure,
        _end,
        _problems,
        _sound,
    ):
        found += check(recorded, recorded.scenario.expect)
    return tuple(found)


def _script(recorded: Recorded) -> Iterator[Check]:
    talk, steps = recorded.talk, len(recorded.scenario.steps)
    if talk.failure:
        step, _, why = talk.failure.partition(": ")
        yield Check(step, False, "all steps", why, recorded.seconds)  # noqa: FBT003
    elif recorded.too_long:
        seen = f"still in step {len(recorded.taken)} of {steps} after {recorded.seconds:.1f} s"
        expected = f"at most {recorded.scenario.seconds:g} s (seconds)"
        yield Check("script", False, expected, seen, recorded.seconds)  # noqa: FBT003
    elif recorded.hung_up_by == "bot" and not talk.complete:
        seen = f"the bot ended the call in step {len(recorded.taken)} of {steps}"
        yield Check("script", False, f"all {steps} steps", seen, recorded.seconds)  # noqa: FBT003


def _step_checks(recorded: Recorded, one: Taken) -> Iterator[Check]:
    expect, name, tolerance = (
        one.cue.step.expect,
        f"step {one.number}",
        recorded.scenario.tolerance,
    )
    if expect.wait is not None:
        yield _wait(recorded, one, expect.wait)
    begin, end = recorded.until_next_word(one)
    yield from _heard(recorded, f"{name} heard", (begin, end), expect.heard)
    yield from _not_heard(recorded, f"{name} not_heard", (begin, end), expect.not_heard)
    if expect.interrupted is not None:
        stopped = silent_after(recorded.stretches, one.spoke) - one.spoke
        within = stopped <= expect.interrupted + tolerance
        wanted = f"silent after {expect.interrupted:g} s"
        yield Check(f"{name} interrupted", within, wanted, f"{stopped:.2f} s", one.spoke)
    if expect.goes_on:
        went_on = any(
            ended > one.spoken and began < one.spoken + GOES_ON_SECONDS
            for began, ended in recorded.stretches
        )
        seen = "it spoke on" if went_on else "it stopped"
        yield Check(f"{name} goes_on", went_on, "it speaks on", seen, one.spoke)
    if expect.kind is not None:
        yield _kind(recorded, one, expect.kind)
    if expect.silent:
        spoke = [
            began
            for began, ended in recorded.spoken
            if min(ended, one.ended) - max(began, one.began) > BLIP_SECONDS
        ]
        seen = f"it spoke {max(spoke[0] - one.began, 0):.2f} s into it" if spoke else "silent"
        at = max(spoke[0], one.began) if spoke else one.began
        yield Check(f"{name} silent", not spoke, "silent", seen, at)


def _wait(recorded: Recorded, one: Taken, limit: float) -> Check:
    """Check whether the answer to a step came in time."""
    wait = recorded.wait(one)
    passed = wait is not None and wait <= limit + recorded.scenario.tolerance
    seen = "no answer" if wait is None else f"{wait:.2f} s"
    return Check(f"step {one.number} wait", passed, f"at most {limit:g} s", seen, one.spoken)


def _kind(recorded: Recorded, one: Taken, wanted: str) -> Check:
    """Check how the bridge classified what the caller said while the bot spoke."""
    found = [
        str(told.data["kind"])
        for told in recorded.events
        if told.type == "overlap.ended"
        and one.spoke - OVERLAP_SECONDS <= told.data["began"] < one.spoken + OVERLAP_SECONDS
    ]
    passed = wanted in found if wanted == "interruption" else found == [wanted]
    seen = ", ".join(found) or "no overlap"
    return Check(f"step {one.number} kind", passed, wanted, seen, one.spoke)


def _greeting(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    if expect.greeting is not None:
        _, until = recorded.greeting
        began = next((began for began, _ in recorded.stretches if began < until), None)
        limit = expect.greeting + recorded.scenario.tolerance
        passed = began is not None and began <= limit
        seen = "no greeting" if began is None else f"{began:.2f} s"
        yield Check("greeting", passed, f"within {expect.greeting:g} s", seen, began)
    yield from _heard(recorded, "greeting_heard", recorded.greeting, expect.greeting_heard)


def _turns(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    answers = recorded.answers()
    if expect.wait is not None:
        slowest = max(answers, key=lambda answer: answer[1], default=None)
        passed = slowest is not None and slowest[1] <= expect.wait + recorded.scenario.tolerance
        seen = "no answer" if slowest is None else f"{slowest[1]:.2f} s at most"
        at = None if slowest is None else slowest[0].spoken
        yield Check("wait", passed, f"at most {expect.wait:g} s", seen, at)
    if expect.turns is not None:
        passed = len(answers) == expect.turns
        yield Check("turns", passed, str(expect.turns), str(len(answers)))


def _words(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    yield from _heard(recorded, "heard", recorded.whole, expect.heard)
    yield from _not_heard(recorded, "not_heard", recorded.whole, expect.not_heard)
    yield from _heard(recorded, "last_heard", recorded.ending, expect.last_heard)


def _overlap(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    if expect.overlap is not None:
        seconds, at = longest_overlap(recorded)
        passed = seconds <= expect.overlap + recorded.scenario.tolerance
        yield Check(
            "overlap", passed, f"at most {expect.overlap:g} s", f"{seconds:.2f} s", at or None
        )


def _digits(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    if expect.digits:
        received = recorded.talk.received
        yield Check("digits", received == expect.digits, expect.digits, received or "none")


def _disclosure(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    if expect.disclosure is True:
        spoken = next((one for one in recorded.events if one.type == "disclosure.spoken"), None)
        early = None if spoken is None else _heard_before(recorded, spoken)
        seen = "the bridge spoke none" if spoken is None else "spoken first"
        if early is not None:
            seen = f"the bot was heard at {early:.2f} s, before its end"
        passed = spoken is not None and early is None
        yield Check("disclosure", passed, "spoken before the bot is heard", seen, early)
    elif expect.disclosure:
        yield from _heard(recorded, "disclosure", recorded.opening, expect.disclosure)


def _heard_before(recorded: Recorded, spoken: Told) -> float | None:
    """Return when something was heard before the disclosure; an interrupted attempt is part of the disclosure."""
    began, ended = disclosed(spoken)
    attempt = ended - began if spoken.data.get("interrupted") else 0.0
    before = [one for one in recorded.spoken if one[0] < began - DISCLOSURE_SECONDS]
    heard = sum(min(until, began) - at for at, until in before)
    return before[0][0] if before and heard > attempt else None


def _end(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    tolerance, by = recorded.scenario.tolerance, recorded.hung_up_by
    if expect.hang_up is not None:
        yield Check("hang_up", by == expect.hang_up, expect.hang_up, by, recorded.seconds)
    if expect.hang_up_within is not None:
        last = recorded.stretches[-1][1] if recorded.stretches else 0.0
        seconds = recorded.seconds - last
        passed = seconds <= expect.hang_up_within + tolerance
        wanted = f"{expect.hang_up_within:g} s after the last word"
        yield Check("hang_up_within", passed, wanted, f"{seconds:.2f} s", recorded.seconds)
    if expect.seconds is not None:
        passed = recorded.seconds <= expect.seconds + tolerance
        yield Check("seconds", passed, f"at most {expect.seconds:g} s", f"{recorded.seconds:.2f} s")


def _problems(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    found = {
        str(one.data.get("code")): one.at
        for one in reversed(recorded.events)
        if one.type == "call.problem"
    }
    if expect.diagnosed:
        missing = sorted(set(expect.diagnosed) - found.keys())
        seen = ", ".join(found) or "none"
        yield Check("diagnosed", not missing, ", ".join(expect.diagnosed), seen)
    if expect.problems is None:
        return
    others = sorted(found.keys() - set(expect.problems) - OF_THE_MACHINE)
    wanted = f"none but {', '.join(expect.problems)}" if expect.problems else "none"
    at = min((found[code] for code in others), default=None)
    yield Check("problems", not others, wanted, ", ".join(others) or "none", at)


def _sound(recorded: Recorded, expect: Expect) -> Iterator[Check]:
    if expect.level is None and expect.clipping is None:
        return
    heard = np.frombuffer(bytes(recorded.talk.heard), "<i2")
    spoken = [
        heard[round(began * SAMPLE_RATE) : round(ended * SAMPLE_RATE)]
        for began, ended in recorded.stretches
    ]
    samples = np.concatenate([*spoken, heard[:0]])
    if expect.level is not None:
        low, high = expect.level
        found = level(samples.tobytes())
        seen = f"{found:.1f} dB" if len(samples) else "it said nothing"
        passed = bool(len(samples)) and low <= found <= high
        yield Check("level", passed, f"{low:g} to {high:g} dB", seen)
    if expect.clipping is not None:
        share = 100 * float(np.mean(np.abs(samples.astype(int)) >= FULL)) if len(samples) else 0.0
        passed = share <= expect.clipping
        yield Check("clipping", passed, f"at most {expect.clipping:g} %", f"{share:.2f} %")


def _heard(
    recorded: Recorded, name: str, where: tuple[float, float], phrases: Sequence[str]
) -> Iterator[Check]:
    if phrases:
        found = recorded.words.get(where, frozenset())
        missing = [one for one in phrases if one not in found]
        seen = f"not {_listed(missing)}" if missing else "all of it"
        yield Check(name, not missing, _listed(phrases), seen, where[0])


def _not_heard(
    recorded: Recorded, name: str, where: tuple[float, float], phrases: Sequence[str]
) -> Iterator[Check]:
    if phrases:
        found = recorded.words.get(where, frozenset())
        said = [one for one in phrases if one in found]
        yield Check(
            name, not said, f"not {_listed(phrases)}", _listed(said) or "none of it", where[0]
        )


def _listed(phrases: Iterable[str]) -> str:
    return ", ".join(f'"{one}"' for one in phrases)

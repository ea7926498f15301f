"""Results of rehearsed calls, made up."""

from dataclasses import replace

import numpy as np

from bridge.rehearse.result import Check, Mark, MarkKind, Result

RATE = 16_000


def tone(seconds, *, began, ended):
    """A side of a call that is heard from one moment to another."""
    at = np.arange(int(seconds * RATE)) / RATE
    sound = 8000 * np.sin(2 * np.pi * 440 * at) * ((at >= began) & (at < ended))
    return sound.astype("<i2").tobytes()


PASSED = Result(
    scenario="opening-hours",
    file="scenarios/opening-hours.toml",
    title="A question is answered within a second",
    began="2026-11-25T17:00:00.000Z",
    seconds=4.25,
    checks=(Check("wait", True, "at most 1000 ms", "800 ms", 2.8),),
    marks=(Mark(MarkKind.CALLER, 1.0, 2.0, "When are you open?"), Mark(MarkKind.BOT, 2.8, 3.5)),
    said=tone(4, began=1, ended=2),
    heard=tone(4, began=2.8, ended=3.5),
    events=(),
)
FAILED = replace(
    PASSED,
    scenario="barge-in",
    title="It stops & listens",
    checks=(
        Check("stops", False, "within 400 ms", "spoke on for 3120 ms", 2.0),
        Check("digits", False, "42", "4 <missing 2>"),
        Check("greeting", True, "within 2 s", "0.30 s", 0.3),
    ),
    marks=(
        Mark(MarkKind.OVERLAP, 1.0, 1.5, "interruption"),
        Mark(MarkKind.DIGIT, 2.0, 2.1, "4"),
        Mark(MarkKind.DISCLOSURE, 0.2, 0.9, "a computer"),
        Mark(MarkKind.PROBLEM, 2.5, 2.5, "bot_silent"),
        Mark(MarkKind.HANGUP, 3.9, 3.9, "caller"),
    ),
)
NOT_RUN = replace(
    PASSED,
    scenario="no-bot",
    checks=(),
    marks=(),
    said=b"",
    heard=b"",
    error="connection refused \x1b[31m<now>",
)
ALL = (PASSED, FAILED, NOT_RUN)

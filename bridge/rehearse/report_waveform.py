"""The waveforms of a rehearsed call as inline SVG: the caller above, the bot below, on one time axis. Pure."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

import numpy as np

from bridge.audio.frame import SAMPLE_RATE
from bridge.rehearse.result import Check, Mark, MarkKind, Result

COLUMNS_PER_SECOND: Final = 50
MAX_COLUMNS: Final = 4_000
PIXELS_PER_SECOND: Final = 44
"""At least; a long call is scrolled."""

_SCALE: Final = 100
"""Height of half a waveform in its own units."""
_WORDS: Final = 16
"""Height of a row of words; all heights are pixels."""
_LANE: Final = 64
_LABELS: Final = 14
_CALLER: Final = _LABELS + _WORDS + 4
_BETWEEN: Final = _CALLER + _LANE
_WAITS: Final = 26
_BOT: Final = _BETWEEN + _WAITS
_BELOW: Final = _BOT + _LANE
_AXIS: Final = _BELOW + _WORDS + 6
_HEIGHT: Final = _AXIS + 18
_NARROW: Final = 0.25
"""Seconds below which a wait has no room for its figure."""


def waits(marks: Sequence[Mark]) -> tuple[tuple[float, float], ...]:
    """Return from when to when the caller waited for answers; a question that the bot talked over at its end has no wait."""
    spoken = [mark for mark in marks if mark.kind is MarkKind.CALLER]
    answers = [mark for mark in marks if mark.kind is MarkKind.BOT]
    found = []
    for mark, following in pairwise([*sorted(spoken, key=lambda mark: mark.began), None]):
        assert mark is not None
        limit = following.began if following else float("inf")
        talked_over = any(answer.began < mark.ended < answer.ended for answer in answers)
        begins = [answer.began for answer in answers if mark.ended <= answer.began < limit]
        if begins and not talked_over:
            found.append((mark.ended, min(begins)))
    return tuple(found)


def waveform(result: Result) -> str:
    """Return the picture of a call; empty if there is no sound."""
    length = len(result.heard) / 2 / SAMPLE_RATE
    if not length:
        return ""
    axis = _Axis(length)
    parts = [
        *(axis.band(mark.began, mark.ended, 0, _AXIS, f"overlap {mark.text}") for mark in _of(result, MarkKind.OVERLAP)),
        *_lane(axis, result, MarkKind.CALLER, _CALLER, _LABELS + 2),
        *_lane(axis, result, MarkKind.BOT, _BOT, _BELOW + 2),
        *_waits(axis, result.marks),
        *_disclosures(axis, result),
        *_points(axis, result),
        *_failures(axis, result.checks),
        *axis.ticks(),
        f'<line class="playhead" x1="0" x2="0" y1="0" y2="{_AXIS}"/>',
    ]  # fmt: skip
    width = round(length * PIXELS_PER_SECOND)
    label = escape(
        f"Who spoke when in {result.scenario}, {length:.1f} s; the timeline below has it as text"
    )
    return (
        f'<svg class="waveform" role="img" aria-label="{label}" width="100%" height="{_HEIGHT}" '
        f'style="min-width:{width}px" data-seconds="{length:.3f}">{"".join(parts)}</svg>'
    )  # fmt: skip


class _Axis:
    """Positions on the time axis."""

    def __init__(self, length: float) -> None:
        self._length = length

    def at(self, seconds: float) -> str:
        return f"{min(100.0, max(0.0, seconds / self._length * 100)):.2f}%"

    def box(self, began: float, ended: float) -> str:
        width = max(ended - began, 0.02) / self._length * 100
        return f'x="{self.at(began)}" width="{min(100.0, width):.2f}%"'

    def band(self, began: float, ended: float, top: int, height: int, title: str) -> str:
        kind = escape(title.split(" ")[0])
        return (
            f'<rect class="{kind}" {self.box(began, ended)} y="{top}" height="{height}">'
            f"<title>{escape(title.strip())}: {began:.2f} to {ended:.2f} s</title></rect>"
        )

    def upright(self, kind: str, at: float, label: str, y: int, title: str) -> str:
        """Return a vertical line with a label at its side that has room."""
        end = at > self._length * 0.85
        place = (
            f'x="{self.at(at)}" dx="{-4 if end else 4}" text-anchor="{"end" if end else "start"}"'
        )
        return (
            f'<g class="{kind}"><title>{escape(title)}</title><line x1="{self.at(at)}" x2="{self.at(at)}" y1="0" '
            f'y2="{_AXIS}"/><text {place} y="{y}">{escape(label)}</text></g>'
        )

    def ticks(self) -> Iterator[str]:
        step = next((each for each in (1, 2, 5, 10, 30, 60) if self._length / each <= 40), 120)
        yield f'<line class="axis" x1="0" x2="100%" y1="{_AXIS}" y2="{_AXIS}"/>'
        for second in range(0, int(self._length) + 1, step):
            anchor = "start" if not second else "end" if second > self._length - 0.3 else "middle"
            x = self.at(second)
            yield f'<line class="axis" x1="{x}" x2="{x}" y1="{_AXIS}" y2="{_AXIS + 4}"/>'
            yield f'<text class="axis" x="{x}" y="{_AXIS + 15}" text-anchor="{anchor}">{second} s</text>'


def _of(result: Result, kind: MarkKind) -> list[Mark]:
    return [mark for mark in result.marks if mark.kind is kind]


def _lane(axis: _Axis, result: Result, kind: MarkKind, top: int, words: int) -> Iterator[str]:
    """Yield one side: where it spoke, its waveform, and its words as far as there is room."""
    sound = result.said if kind is MarkKind.CALLER else result.heard
    for mark in _of(result, kind):
        yield axis.band(mark.began, mark.ended, top, _LANE, f"{kind} {mark.text}")
    columns, path = _outline(sound)
    yield (
        f'<svg class="{kind}" y="{top}" width="100%" height="{_LANE}" viewBox="0 0 {columns} {2 * _SCALE}" '
        f'preserveAspectRatio="none"><path d="{path}"/></svg>'
    )
    for mark in _of(result, kind):
        if mark.text:
            yield (
                f'<svg {axis.box(mark.began, mark.ended)} y="{words}" height="{_WORDS}"><text class="words" y="12">'
                f"{escape(mark.text)}</text></svg>"
            )


def _outline(sound: bytes) -> tuple[int, str]:
    """Return how many columns a waveform has, and its outline; a height is the root of a peak, so that quiet voices are seen."""
    samples = np.abs(np.frombuffer(sound, "<i2").astype(np.int32))
    columns = max(1, min(MAX_COLUMNS, len(samples) * COLUMNS_PER_SECOND // SAMPLE_RATE))
    size = -(-len(samples) // columns)
    peaks = np.pad(samples, (0, columns * size - len(samples))).reshape(columns, size).max(axis=1)
    heights = np.rint(np.sqrt(peaks / 32_768) * _SCALE).astype(int)
    steps = np.diff(heights)
    upper = " ".join(f"1 {-step}" for step in steps)
    lower = " ".join(f"-1 {-step}" for step in steps[::-1])
    return (
        columns,
        f"M0 {_SCALE - heights[0]}l{upper or '0 0'} 0 {2 * heights[-1]} {lower or '0 0'}z",
    )


def _waits(axis: _Axis, marks: Sequence[Mark]) -> Iterator[str]:
    for began, ended in waits(marks):
        yield axis.band(began, ended, _BETWEEN + 3, 6, "wait")
        if ended - began >= _NARROW:
            middle = axis.at((began + ended) / 2)
            figure = f"{(ended - began) * 1000:.0f} ms"
            yield f'<text class="figure" x="{middle}" y="{_BOT - 4}" text-anchor="middle">{figure}</text>'


def _disclosures(axis: _Axis, result: Result) -> Iterator[str]:
    for mark in _of(result, MarkKind.DISCLOSURE):
        yield axis.band(mark.began, mark.ended, _BELOW - 4, 4, f"disclosure {mark.text}")


def _points(axis: _Axis, result: Result) -> Iterator[str]:
    """Yield the marks without a duration."""
    for mark in result.marks:
        if mark.kind is MarkKind.DIGIT:
            yield axis.upright("digit", mark.began, mark.text, _LABELS - 2, f"digit {mark.text}")
        elif mark.kind is MarkKind.PROBLEM:
            yield axis.upright(
                "problem", mark.began, mark.text, _BETWEEN + 18, f"problem {mark.text}"
            )
        elif mark.kind is MarkKind.HANGUP:
            yield axis.upright("hangup", mark.began, "", _BELOW, f"hang-up: {mark.text}")


def _failures(axis: _Axis, checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        if not check.passed and check.at is not None:
            yield axis.upright("failure", check.at, "✕", _LABELS - 2, f"failed: {check.name}")

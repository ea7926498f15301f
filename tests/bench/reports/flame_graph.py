"""Flame graphs: samples of call stacks as one SVG, by which one sees where time goes.

A box is a function, as wide as its share of the samples, upon the one that called it; colours tell what
it belongs to. Pointing at a box names it with its share.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

Stacks: TypeAlias = Mapping[tuple[str, ...], int]
"""How often each stack was seen; the outermost function stands first."""

_WIDTH, _ROW, _MARGIN = 1600, 18, 60
_LETTER = 7.2
"""Width of a letter, pixels."""
_LEAST = 0.0005
"""Share of a box below which it is left out."""
_IDLE = re.compile(r"^(?:Condition\.wait|_worker|Runner\.run) ")
"""The innermost function of Python in a thread that has nothing to do, or none of Python to do."""
_LOOP = re.compile(r"^uv__(?:run_|io_poll)")
"""What the event loop calls; samples reach no further out, or not all of them."""
_GROUPS = (
    ("compiled packet path", re.compile(r"packet_path"), "#2a9d5c"),
    ("libopus", re.compile(r"\(libopus"), "#8e6bbf"),
    ("SRTP", re.compile(r"srtp|_binding\.abi3|libcrypto|cipher\.c"), "#d98032"),
    ("kernel and libc", re.compile(r"\((?:libc|ld-linux|libm|\[vdso|\[kernel)"), "#8a8f98"),
    ("event loop", re.compile(r"\((?:loop|core|udp|linux|loop-watcher)\.c|uvloop"), "#c7a83c"),
    ("Python", re.compile(r"\.py:\d+\)$"), "#4a86c5"),
)
_OTHER = ("interpreter and its modules", "#9fc0e0")


@dataclass(slots=True)
class _Box:
    samples: int = 0
    callees: dict[str, "_Box"] = field(default_factory=dict)


def read(text: str) -> dict[tuple[str, ...], int]:
    """Read stacks as py-spy writes them (`a;b;c 12`), without threads that wait."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        names, _, count = line.rpartition(" ")
        stack = tuple(names.split(";"))
        if names and not _IDLE.match(stack[-1]):
            found[stack] += int(count)
    return found


def read_perf(text: str) -> dict[tuple[str, ...], int]:
    """Read samples as `perf script -F ip,sym,dso` writes them: a function a line, the innermost first."""
    found: Counter[tuple[str, ...]] = Counter()
    for sample in text.split("\n\n"):
        matches = re.findall(r"^\s*[0-9a-f]+ (\S+) \((?:.*/)?(.*)\)$", sample, re.MULTILINE)
        stack = [f"{function} ({file})" for function, file in reversed(matches)]
        begins = next((number for number, name in enumerate(stack) if _LOOP.match(name)), 0)
        if stack:
            found[tuple(stack[begins:])] += 1
    return found


def svg(title: str, stacks: Stacks) -> str:
    """Draw stacks."""
    root = _tree(stacks)
    height = (max(map(len, stacks), default=0) + 1) * _ROW + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="monospace" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="24" font-size="16">{escape(title)}: {root.samples} samples</text>',
        *_legend(),
        *_boxes("all", root, root.samples or 1, 0.0, height - _MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def group(name: str) -> str:
    """Return what a function belongs to."""
    return next((group for group, pattern, _ in _GROUPS if pattern.search(name)), _OTHER[0])


def _tree(stacks: Stacks) -> _Box:
    root = _Box()
    for stack, count in sorted(stacks.items()):
        box = root
        box.samples += count
        for name in stack:
            box = box.callees.setdefault(name, _Box())
            box.samples += count
    return root


def _boxes(name: str, box: _Box, total: int, left: float, top: float) -> Iterator[str]:
    width = _WIDTH * box.samples / total
    if box.samples < _LEAST * total:
        return
    colour = next((colour for _, pattern, colour in _GROUPS if pattern.search(name)), _OTHER[1])
    fits = int(width / _LETTER) - 1
    told = name if len(name) <= fits else f"{name[: fits - 1]}…" if fits > 3 else ""
    yield (
        f"<g><title>{escape(name)}: {box.samples / total:.1%}</title>"
        f'<rect x="{left:.1f}" y="{top:.0f}" width="{width:.1f}" height="{_ROW - 1}" '
        f'fill="{colour}" stroke="#fff" stroke-width="0.5"/>'
        f'<text x="{left + 3:.1f}" y="{top + 13:.0f}">{escape(told)}</text></g>'
    )
    for callee, inner in box.callees.items():
        yield from _boxes(callee, inner, total, left, top - _ROW)
        left += _WIDTH * inner.samples / total


def _legend() -> Iterator[str]:
    left = 10
    for name, colour in [(name, colour) for name, _, colour in _GROUPS] + [_OTHER]:
        yield f'<rect x="{left}" y="34" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{left + 16}" y="44">{name}</text>'
        left += round(len(name) * _LETTER) + 36

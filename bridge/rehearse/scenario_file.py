"""Reads scenarios: TOML to frozen records, with every mistake by file, key and nearest known key. Pure but for `find` and `load`."""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge.errors import SetupError
from bridge.rehearse.scenario import (
    DIALLED,
    LISTENING,
    NOISES,
    PORT,
    STEPS,
    Bot,
    Noise,
    Play,
    Scenario,
    Step,
    WaitFor,
)
from bridge.settings.tree import TreeReader

PAGE: Final = "docs/rehearse.md"
MAX_STEPS: Final = 500
EXPECTED_OF: Final = {
    "wait": ("say", "play", "barge_in"),
    "interrupted": ("barge_in",),
    "goes_on": ("backchannel",),
    "kind": ("backchannel", "barge_in"),
}
"""The steps for which each of these expectations makes sense; the others do for all."""


class ScenarioError(SetupError):
    """A scenario, or an option of the command, is wrong; says where, and what would be right."""


def load(path: Path) -> Scenario:
    """Read a scenario's file.

    Raises:
        ScenarioError: it cannot be read, or has a mistake.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not UTF-8") from None


def find(places: Sequence[Path]) -> list[Path]:
    """Return the scenarios at some paths, those of a folder by name.

    Raises:
        ScenarioError: there is none.
    """
    found: list[Path] = []
    for place in places:
        within = sorted(place.glob("**/*.toml")) if place.is_dir() else [place]
        if not within:
            raise ScenarioError(f"{place}: there is no scenario (*.toml) in this folder")
        found += within
    return found


def parse(text: str, file: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: it has mistakes, each of which is named in a line of its own.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{file}: {error}") from None
    listed = tree.pop("steps", [])
    mistakes = [f"{name}: is that of the file" for name in ("name", "file") if tree.pop(name, None)]
    reader = TreeReader(Scenario, page=PAGE)
    found = reader.read(tree)
    mistakes += map(str, reader.mistakes)
    steps = list(_steps(listed, mistakes))
    if not isinstance(found, Scenario):
        found = Scenario()
    scenario = msgspec.structs.replace(
        found,
        steps=tuple(steps),
        name=file.stem,
        file=str(file),
        title=found.title or file.stem,
    )
    if not mistakes:
        mistakes += _contradictions(scenario, file.parent)
    if mistakes:
        raise ScenarioError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return scenario


def _steps(listed: object, mistakes: list[str]) -> Iterator[Step]:
    """Yield the steps that can be read, and add what is wrong with others."""
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        mistakes.append("steps: expected tables, each after a line [[steps]]")
        return
    if not 0 < len(listed) <= MAX_STEPS:
        mistakes.append(f"steps: expected 1 to {MAX_STEPS}, each after a line [[steps]]")
    for number, table in enumerate(listed[:MAX_STEPS], 1):
        try:
            yield _step(table)
        except ScenarioError as error:
            mistakes += [f"steps[{number}]{line}" for line in str(error).splitlines()]


def _step(table: dict[str, Any]) -> Step:
    """Read one step; raises `ScenarioError` with a line for each mistake, which begins at the step's key."""
    kinds = [name for name in STEPS if name in table]
    if kinds[:1] == ["wait_for"]:
        kinds = kinds[:1]
    if not kinds:
        near = [hit for name in table for hit in get_close_matches(name, STEPS, 1)]
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ScenarioError(f": has none of the keys {', '.join(STEPS)}{hint}")
    if len(kinds) > 1:
        raise ScenarioError(f": has {' and '.join(kinds)}, but does one thing only")
    reader = TreeReader(STEPS[kinds[0]], page=PAGE)
    found = reader.read(table)
    if reader.mistakes:
        raise ScenarioError("\n".join(f".{mistake}" for mistake in reader.mistakes))
    assert isinstance(found, Step)
    return found


def _contradictions(scenario: Scenario, folder: Path) -> Iterator[str]:
    yield from check_bot(scenario.bot)
    for number, step in enumerate(scenario.steps, 1):
        for mistake in _step_contradictions(step, folder):
            yield f"steps[{number}].{mistake}"
    for mistake in _check_noise(scenario.caller.noise, folder):
        yield f"caller.{mistake}"
    expect = scenario.expect
    if expect.level is not None and expect.level[0] > expect.level[1]:
        yield "expect.level: expected the smaller number first, as [-35, -12]"
    if expect.hang_up_within is not None and expect.hang_up is None:
        yield 'expect.hang_up_within: needs hang_up = "bot" or "caller"'


def check_bot(bot: Bot) -> Iterator[str]:
    """Yield what does not go together."""
    if bot.url and not bot.url.startswith(("ws://", "wss://")):
        yield "bot.url: expected a URL with ws or wss"
    if bot.url and bot.listen:
        yield "bot.listen: the bridge connects to `url`, or the bot to the bridge, but not both"
    allowed = DIALLED if bot.url else LISTENING if bot.listen else ("agent",)
    if bot.protocol is not None and bot.protocol not in allowed:
        where = "with `url`" if bot.url else "with `listen`" if bot.listen else "without `url`"
        yield f"bot.protocol: {where} expected one of {', '.join(allowed)}, got {bot.protocol!r}"
    if bot.command and not (bot.url or bot.listen):
        yield "bot.command: needs `url`, where the bot waits for the bridge, or `listen`"
    if (PORT in bot.url) != (PORT in bot.command):
        yield f"bot.command: has to name {PORT} if `url` does, and only then"


def _step_contradictions(step: Step, folder: Path) -> Iterator[str]:
    if isinstance(step, WaitFor):
        if (step.wait_for == "words") != bool(step.words):
            yield 'words: is needed with wait_for = "words", and only then'
        if (step.wait_for == "digits") != bool(step.digits):
            yield 'digits: is needed with wait_for = "digits", and only then'
    if isinstance(step, Play) and not (folder / step.play).is_file():
        yield f"play: there is no file {folder / step.play}"
    if isinstance(step, Noise):
        yield from _check_noise(step.noise, folder)
    own = next(key for key, kind in STEPS.items() if isinstance(step, kind))
    for key, keys in EXPECTED_OF.items():
        if getattr(step.expect, key) not in (None, False) and own not in keys:
            yield f"expect.{key}: is for {', '.join(keys)} only"


def _check_noise(noise: str, folder: Path) -> Iterator[str]:
    if noise in NOISES or (folder / noise).is_file():
        return
    near = get_close_matches(noise, NOISES, 1)
    hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(NOISES)}"
    yield f"noise: there is no noise or file {noise!r}; {hint}"

"""Runs many scenarios, several at once, and reports each as soon as its call has ended."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bridge.rehearse.bench import OF_DEMONSTRATION, bench, is_demonstration
from bridge.rehearse.bots import dialled, with_ports
from bridge.rehearse.rehearsal import Rehearsal
from bridge.rehearse.result import Result
from bridge.rehearse.scenario import Bot, Protocol, Scenario
from bridge.rehearse.scenario_file import ScenarioError, check_bot
from bridge.rehearse.voices import Voices
from bridge.rehearse.words import PocketsphinxEar

CALLS_PER_CORE: Final = 4


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line; None or empty: as in the scenarios."""

    bot: str = ""
    listen: int | None = None
    """The HTTP port of the bridge to which the bot connects; 0 for any."""
    protocol: Protocol | None = None
    command: str = ""
    token: str = ""
    stt: str = ""
    at_once: int = 0
    """Calls; 0: as many as the cores can carry."""
    repeat: int = 1
    seed: int | None = None

    def apply(self, scenario: Scenario) -> Scenario:
        """Return a scenario with the options of the command line.

        Raises:
            ScenarioError: the options contradict each other.
        """
        bot = scenario.bot
        if self.bot or self.listen is not None:
            bot = Bot(url=self.bot, listen=self.listen is not None)
        chosen = {"protocol": self.protocol, "command": self.command, "token": self.token}
        bot = msgspec.structs.replace(bot, **{name: one for name, one in chosen.items() if one})
        if mistakes := list(check_bot(bot)):
            raise ScenarioError("\n".join(f"{scenario.file}: {mistake}" for mistake in mistakes))
        caller = scenario.caller
        if self.seed is not None:
            caller = msgspec.structs.replace(caller, seed=self.seed)
        return msgspec.structs.replace(
            scenario, bot=bot, caller=caller, stt=self.stt or scenario.stt
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """Scenarios to run, and how."""

    scenarios: Sequence[Scenario]
    options: Options
    cache: Path
    """Where spoken texts are kept."""
    announce: Callable[[str], None]
    """Shows a text to the user."""

    async def run(self, show: Callable[[Result], None]) -> list[Result]:
        """Run all scenarios; call `show` with each result as it comes, and return the results in the order of the scenarios.

        Raises:
            ScenarioError: nothing can be run: a voice, a word, a setting or the bot's command is wrong.
        """
        scenarios = with_ports(self.scenarios)
        voices = Voices(self.cache)
        cues = {one.file: await voices.cues(one) for one in scenarios}
        at_once = self.options.at_once or CALLS_PER_CORE * (os.cpu_count() or 1)
        room, results = asyncio.Semaphore(at_once), list[Result]()

        async def run(rehearsal: Rehearsal, scenario: Scenario) -> None:
            async with room:
                result = await rehearsal.run(scenario, cues[scenario.file])
            results.append(result)
            show(result)

        async with AsyncExitStack() as stack:
            ear = PocketsphinxEar(voices)
            stack.push_async_callback(ear.aclose)
            await _check_words(scenarios, ear)
            for command, url in _commands(scenarios):
                await stack.enter_async_context(dialled(command, url))
            planned = []
            for group in groups(scenarios):
                place = await stack.enter_async_context(bench(group, self.options.listen or 0))
                rehearsal = Rehearsal(place, ear, announce=self.announce)
                planned += [(rehearsal, one) for one in group for _ in range(self.options.repeat)]
            async with asyncio.TaskGroup() as tasks:
                for rehearsal, one in planned:
                    tasks.create_task(run(rehearsal, one), name=f"rehearse {one.name}")
        order = {one.file: number for number, one in enumerate(scenarios)}
        return sorted(results, key=lambda one: (order[one.file], one.began))


async def _check_words(scenarios: Iterable[Scenario], ear: PocketsphinxEar) -> None:
    """Raise `ScenarioError` if a scenario expects words that cannot be recognized."""
    for one in scenarios:
        if not one.stt and (phrases := one.phrases()):
            try:
                await ear.with_words(one.words).pronounced(phrases)
            except ScenarioError as error:
                raise ScenarioError(f"{one.file}: {error}") from None


def _commands(scenarios: Iterable[Scenario]) -> list[tuple[str, str]]:
    """Return each command that starts a bot to connect to, with a URL of that bot."""
    found = {one.bot.command: one.bot.url for one in scenarios if one.bot.url}
    return [(command, url) for command, url in found.items() if command]


def groups(scenarios: Iterable[Scenario]) -> list[list[Scenario]]:
    """Group the scenarios by bridge: one for all with lines of their own, and one for each `[line]` of the demo agent.

    Raises:
        ScenarioError: a scenario has settings of the line that do not work for the demo agent.
    """
    found: dict[str, list[Scenario]] = {}
    for one in scenarios:
        demonstration = is_demonstration(one.bot)
        if demonstration and (others := one.line.keys() - OF_DEMONSTRATION):
            raise ScenarioError(
                f"{one.file}: line: only [line.agent] and [line.disclosure] work for the demo agent, "
                f"not {', '.join(sorted(others))}; name a bot"
            )
        of = json.dumps(one.line, sort_keys=True, default=str) if demonstration else ""
        found.setdefault(of, []).append(one)
    return list(found.values())

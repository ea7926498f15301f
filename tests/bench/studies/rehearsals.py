"""Do rehearsals find what is wrong, and nothing else? `make rehearsals` runs the scenarios of examples/rehearse again and again.

The parts: `all` runs every scenario once against the example's bot, and says how long it took; `same` runs five of them many
times; `mutants` runs a scenario against each mutant of the bot, which has to fail in the check that says what is wrong.
"""

import argparse
import asyncio
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from tests.support.machine import free_port
from tests.support.server import PROJECT
from tests.support.servers.rehearsal_bots import MUTANTS, SCENARIOS, Bot, Mutant, serving

REPEATED = ("question-native", "barge-in-twilio", "digits", "mm-hm", "noise-pink")
"""Scenarios of which five different things can go wrong."""
COMMAND = 'command = "python examples/rehearse/bot.py {port}"'
PARTS = ("all", "same", "mutants")
SECONDS = 180.0
"""For all scenarios on two cores."""
RUN_LIMIT = 900.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scenario came to: the names of the checks that failed, or why it did not run."""

    failed: tuple[str, ...]
    text: str

    @property
    def passed(self) -> bool:
        return not self.failed


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command."""

    verdicts: Mapping[str, Verdict]
    seconds: float
    cpu_seconds: float
    """Of the command and of all that it started; the bot is not among it."""
    output: str


async def rehearse(scenarios: Sequence[str], *, url: str, jobs: int) -> Run:
    """Run the command on scenarios by name, with the bot at a URL in the place of the example's."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [_copied(SCENARIOS / f"{name}.toml", Path(folder), url) for name in scenarios]
        command = [
            "-m",
            "bridge",
            "rehearse",
            *files,
            "--at-once",
            str(jobs),
            "--junit",
            str(report),
        ]
        before, began = _children_cpu(), time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if "BRIDGE_" not in name},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(RUN_LIMIT):
            output, _ = await process.communicate()
        seconds, cpu = time.monotonic() - began, _children_cpu() - before
        assert report.exists(), output.decode()
        return Run(read(report.read_bytes()), seconds, cpu, output.decode())


def _copied(scenario: Path, folder: Path, url: str) -> str:
    """Copy a scenario, with another bot in the place of the one that it starts, and return its path."""
    text = scenario.read_text()
    if COMMAND in text:  # not where the scenario needs a bot with a fault
        text = text.replace(f"{COMMAND}\n", "")
        text = re.sub(r'^url = ".*"', f'url = "{url}"', text, flags=re.MULTILINE)
    (folder / scenario.name).write_text(text)
    return str(folder / scenario.name)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(report: bytes) -> dict[str, Verdict]:
    """Return the verdicts of a report in JUnit's XML."""
    found = {}
    for case in ET.fromstring(report).iter("testcase"):
        problems = [*case.findall("failure"), *case.findall("error")]
        checks = case.iter("property")
        failed = [each.get("name", "") for each in checks if "failed: " in each.get("value", "")]
        names = tuple(dict.fromkeys(failed or [each.get("message", "") for each in problems]))
        found[case.get("name", "")] = Verdict(
            names, "\n".join(each.text or "" for each in problems)
        )
    return found


async def against(kind: type, scenarios: Sequence[str], jobs: int = 4) -> Run:
    """Run scenarios against a kind of bot that is served here."""
    port = free_port()
    async with serving(kind, port):
        return await rehearse(scenarios, url=f"ws://127.0.0.1:{port}", jobs=jobs)


async def catch(mutant: Mutant) -> Verdict:
    """Return what its scenario says of a mutant."""
    run = await against(mutant.kind, [mutant.scenario], jobs=1)
    return run.verdicts[mutant.scenario]


def names(mutant: Mutant, verdict: Verdict) -> bool:
    """Return whether the check failed that names a fault: of the call, or of a step, as in `step 2 wait`."""
    return any(failed.split()[-1] == mutant.check for failed in verdict.failed)


async def all_once(jobs: int) -> bool:
    """Run every scenario once."""
    names = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
    run = await against(Bot, names, jobs)
    failed = {name: verdict for name, verdict in run.verdicts.items() if not verdict.passed}
    for name, verdict in failed.items():
        print(f"  {name}: {verdict.text}")
    print(
        f"all: {len(names) - len(failed)} of {len(names)} passed in {run.seconds:.0f} s, "
        f"{run.cpu_seconds:.0f} s of CPU without the bot, {jobs} at once"
    )
    return not failed and run.seconds < SECONDS


async def same(runs: int, jobs: int) -> bool:
    """Run five scenarios many times, and count their verdicts."""
    counted: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in REPEATED}
    for number in range(runs):
        run = await against(Bot, REPEATED, jobs)
        for name, verdict in run.verdicts.items():
            counted[name][verdict.failed] += 1
            if not verdict.passed:
                print(f"  run {number}, {name}: {verdict.text}", flush=True)
    for name, verdicts in counted.items():
        shown = ", ".join(
            f"{'/'.join(failed) or 'passed'} {times}" for failed, times in verdicts.items()
        )
        print(f"same: {name}: {shown}")
    return all(set(verdicts) == {()} for verdicts in counted.values())


async def mutants(jobs: int) -> bool:
    """Run each mutant's scenario; it has to fail in the check that names the fault."""
    limit = asyncio.Semaphore(jobs)

    async def one(mutant: Mutant) -> bool:
        async with limit:
            verdict = await catch(mutant)
        caught = names(mutant, verdict)
        said = ", ".join(verdict.failed) or "nothing"
        print(
            f"mutants: {mutant.name}: {'caught' if caught else 'MISSED'}, failed: {said}",
            flush=True,
        )
        return caught

    return all(await asyncio.gather(*map(one, MUTANTS)))


async def study(parts: Sequence[str], runs: int, jobs: int) -> bool:
    """Run some parts; return whether all were as they have to be."""
    good = []
    if "all" in parts:
        good.append(await all_once(jobs))
    if "same" in parts:
        good.append(await same(runs, jobs))
    if "mutants" in parts:
        good.append(await mutants(jobs))
    return all(good)


def main() -> None:
    """Run the parts, and exit with 1 if one of them was not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="of all, same, mutants")
    parser.add_argument("--runs", type=int, default=100, help="of the part same")
    parser.add_argument("--jobs", type=int, default=4, help="calls at once")
    arguments = parser.parse_args()
    if not asyncio.run(study(arguments.parts.split(","), arguments.runs, arguments.jobs)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

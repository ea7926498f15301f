"""Runs one suite of the tests in several processes of pytest: `python -m tests.run quick|full|long [PYTEST OPTION ...]`.

The folders of tests are shared out in shards, so that each test is collected once; as many shards run at the same time as
there is room for. Ends with what failed, the CPU seconds of everything that ran, and what other commands have left.
"""

import argparse
import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.selection import COMMANDS, SUITES

TESTS = Path(__file__).parent
PROJECT = TESTS.parent
OTHERS = "others"
SHARDS: dict[str, tuple[str, ...]] = {
    "sound": ("browser", "stacks"),
    "clusters": ("machines",),
    OTHERS: (),
    "processes": ("supervisor", "deploy", "docs", "examples", "cli", "security"),
    "calls": ("calls",),
    "api": ("api",),
    "units": ("media", "legs", "agent", "audio"),
    "core": ("call", "rtp", "settings", "sip", "wire"),
}
"""By name: folders of tests, those first that take longest in one of the suites; `OTHERS` has all that are not named."""
AUDIBLE = {"sound", "clusters"}
"""Shards that judge real audio as it is heard: the others leave them the CPU."""
NICENESS = 5
OWN_NETWORK = {"clusters"}
"""Shards that lay cables: Chromium in another shard would give up its requests at each (`ERR_NETWORK_CHANGED`)."""
UNSHARE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
NO_TESTS = 5
"""What pytest exits with where nothing was selected."""
PROGRESS_SECONDS = 20.0
POLL_SECONDS = 0.1
PR_SET_CHILD_SUBREAPER = 36

_PERCENT = re.compile(r"\[ *(\d+)%\]")
_SUMMARY = re.compile(r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|xpassed)\b")
_LEFT = re.compile(r"^left to (\w+): (\d+)$", re.MULTILINE)


@dataclass
class Shard:
    """A process of pytest, and the file that it writes to."""

    name: str
    arguments: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)

    def start(self, options: list[str]) -> None:
        """Start it."""
        self.began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "--no-header", "-q", *options, *self.arguments]
        if self.name in OWN_NETWORK and may_unshare():
            command = [*UNSHARE, *command]
        if self.name not in AUDIBLE:
            command = ["nice", "-n", str(NICENESS), *command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def text(self) -> str:
        """Return all that it has written."""
        return self.log.read_text(errors="replace")

    def progress(self) -> str:
        """Return its name and how much of it is done."""
        found = _PERCENT.findall(self.text())
        return f"{self.name} {found[-1] if found else 0} %"


def may_unshare() -> bool:
    """Return whether a process can be started in a network namespace of its own: Linux, as root, with iproute2."""
    with suppress(OSError):
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    return False


def shards_of(folder: Path) -> Iterator[Shard]:
    """Yield all shards: every file of tests is in exactly one."""
    named = [place for places in SHARDS.values() for place in places]
    others = [
        each.name
        for each in sorted(TESTS.iterdir())
        if each.name not in named and not each.name.startswith("_")
        if each.is_dir() or each.match("test_*.py")
    ]
    for name, places in {**SHARDS, OTHERS: tuple(others)}.items():  # in the order of SHARDS
        yield Shard(name, [f"tests/{place}" for place in places], folder / name)


def main(arguments: list[str] | None = None) -> int:
    """Run the tests of a suite; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--at-once", type=int, default=(os.cpu_count() or 1) + 1, metavar="N")
    chosen, options = parser.parse_known_args(arguments)
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        shards = list(shards_of(Path(folder)))
        began = time.monotonic()
        try:
            run(shards, [f"--suite={chosen.suite}", *options], chosen.at_once)
        finally:
            stop(shards)
        return report(shards, chosen.suite, time.monotonic() - began)


def adopt_orphans() -> None:
    """Become the parent of what tests leave behind, so that its CPU time is counted: `prctl(2)`, Linux alone."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(shards: Iterable[Shard], options: list[str], at_once: int) -> None:
    """Run all shards, and say what is done as it is done."""
    waiting, running = list(shards), list[Shard]()
    told = time.monotonic()
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
            running[-1].start(options)
        for shard in [one for one in running if one.process and one.process.poll() is not None]:
            running.remove(shard)
            conclude(shard)
            told = time.monotonic()
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            say("  " + ", ".join(one.progress() for one in running))
        time.sleep(POLL_SECONDS)


def conclude(shard: Shard) -> None:
    """Say how a shard has ended, with all that it wrote where something failed."""
    text = shard.text()
    last = text.rstrip().rpartition("\n")[2]
    shard.counted.update({kind.rstrip("s"): int(number) for number, kind in _SUMMARY.findall(last)})
    if failed(shard):
        say(text)
    for line in [] if failed(shard) else re.findall(r"^skipped: .*$", text, re.MULTILINE):
        say(f"  {line}")
    passed = shard.counted["passed"]
    say(f"{shard.name}: {passed} passed in {time.monotonic() - shard.began:.0f} s")


def failed(shard: Shard) -> bool:
    """Return whether anything of a shard has failed, or pytest itself has, or has ended without a word."""
    code = shard.process.returncode if shard.process else None
    return code not in (0, NO_TESTS) or not shard.counted


def stop(shards: Iterable[Shard]) -> None:
    """Interrupt what still runs, as Ctrl+C does."""
    for shard in shards:
        if shard.process and shard.process.poll() is None:
            # pytest then ends what its fixtures have started.
            shard.process.send_signal(signal.SIGINT)
            shard.process.wait()


def report(shards: list[Shard], suite: str, seconds: float) -> int:
    """Say what came of it all; returns the exit code."""
    total = sum((shard.counted for shard in shards), Counter[str]())
    broken = [shard.name for shard in shards if failed(shard)]
    bad = max(total["failed"] + total["error"], len(broken))
    left = Counter[str]()
    for shard in shards:
        left.update({name: int(number) for name, number in _LEFT.findall(shard.text())})
    reap()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    minutes, rest = divmod(round(seconds), 60)
    say(f"{suite} tests: {minutes} min {rest} s, {cpu:.0f} CPU seconds")
    if broken:
        say(f"FAILED: {', '.join(broken)}")
    say(f"{total['passed']} passed, {bad} failed, {total['skipped']} skipped")
    later = SUITES[SUITES.index(suite) + 1 :]
    say(", ".join(f"left to {COMMANDS[name]}: {left[name]} tests" for name in later))
    return 1 if bad or not total["passed"] else 0


def reap() -> None:
    """Wait for orphans that have ended; others go on."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

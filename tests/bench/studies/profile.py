"""`make profile`: where a packet's time goes in a loaded bridge, for passthrough, PCM and echo on each packet path.

For each load, into `build/`: a flame graph of C and the kernel by perf, `profile-LOAD-PATH.svg`; one of Python's
functions by py-spy, `profile-LOAD-PATH-functions.svg`; and the shares of the kernel, the interpreter, SRTP and
libopus by perf, in `profile.md`. The server has one core, the load generator the other. Neither tool may look
into processes of others: both want root, or rights that are named when they are missing.

    python -m tests.bench.studies.profile [--only passthrough,pcm,echo] [--paths compiled,python] [--legs 96] [--seconds 15] [--publish]
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import measure, servers
from tests.bench.generators.generator import Plan, Step
from tests.bench.reports import flame_graph, published
from tests.bench.reports.report import ruled
from tests.bench.studies.paths import LOADS

BUILD = servers.ROOT / "build"
GROUPS: Mapping[str, re.Pattern[str]] = {
    "compiled path": re.compile(r"packet_path"),
    "kernel": re.compile(r"^\[(?!vdso)"),
    "libopus": re.compile(r"^libopus"),
    "SRTP": re.compile(r"^(?:_binding\.|libsrtp|libcrypto)"),
    "event loop": re.compile(r"^(?:loop\.|libuv)"),
    "interpreter": re.compile(
        r"^(?:libpython|python|_cffi_backend|libffi|_struct|_asyncio|_multiarray|libc\.|libm\.|ld-linux|\[vdso)"
    ),
}
"""What shared objects belong to, as perf names them; the rest is called other."""
STACK_BYTES = 16_384
"""Of each sample, which perf unwinds."""
PLACE = "profile"
"""Name of the place in docs/performance.md (`published.publish`)."""
HEADS = ("load", "packet path", "CPU/leg %", *GROUPS, "other")
_NO_PY_SPY = (
    "py-spy may not look into the bridge: run `make profile` as root or after `sysctl kernel.yama.ptrace_scope=0`;"
    " in a container, start it with --cap-add SYS_PTRACE"
)
_NO_PERF = (
    "perf tells no shares here: install it (Debian: apt-get install linux-perf) and run as root or after"
    " `sysctl kernel.perf_event_paranoid=1`; in a container, start it with --cap-add PERFMON"
)


@dataclass(frozen=True, slots=True)
class Profile:
    """One load over one packet path."""

    load: str
    packet_path: str
    cpu_per_leg: float
    """Percent of a core, while nobody looked."""
    shares: Mapping[str, float]
    """Of the CPU time, by what is in `GROUPS`; empty where perf tells none."""


def main() -> int:
    """Profile, write, print; 1 when neither tool could look."""
    options = _options()
    BUILD.mkdir(exist_ok=True)
    found, drawn = [], 0
    for load in options.only:
        for path in options.paths:
            with _loaded(load, path, legs=options.legs, seconds=3 * options.seconds) as pid:
                cost = _cost(pid, options.legs)
                shares, native = perf(pid, options.seconds)
                functions = py_spy(pid, options.seconds)
            found.append(Profile(load, path, cost, shares))
            title = f"{load}, {path} packet path, {options.legs} legs"
            for name, stacks in (
                (f"{load}-{path}", native),
                (f"{load}-{path}-functions", functions),
            ):
                if stacks:
                    (BUILD / f"profile-{name}.svg").write_text(flame_graph.svg(title, stacks))
                    drawn += 1
    text = markdown(found)
    (BUILD / "profile.md").write_text(text)
    print(f"\n{text}\n{drawn} flame graphs: build/profile-*.svg")
    if options.publish:
        page = servers.ROOT / "docs" / "performance.md"
        published.publish(page, PLACE, f"{published.machine()}; {options.legs} legs.\n\n{text}")
    return 0 if drawn or any(one.shares for one in found) else 1


def markdown(found: list[Profile]) -> str:
    """Write the shares as a table."""
    return ruled(HEADS, [_cells(one) for one in found])


def shares(report: str) -> dict[str, float]:
    """Sum up what `perf report --sort dso` prints, by group; shares of 1."""
    found = dict.fromkeys([*GROUPS, "other"], 0.0)
    for line in report.splitlines():
        if match := re.match(r"\s*([\d.]+)%\s+(\S+)", line):
            name = match[2]
            place = next((one for one, wanted in GROUPS.items() if wanted.search(name)), "other")
            found[place] += float(match[1]) / 100
    return found


def perf(pid: int, seconds: float) -> tuple[dict[str, float], flame_graph.Stacks]:
    """Sample the process with the kernel's profiler, which does not stop it.

    Returns:
        The shares by group, and the stacks; both empty, and said why, when that is not possible.
    """
    if shutil.which("perf") is None:
        return _refused(_NO_PERF), {}
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        record = [
            "perf",
            "record",
            "-F",
            "499",
            "--call-graph",
            f"dwarf,{STACK_BYTES}",
            "-p",
            str(pid),
        ]
        refused, said = _look([*record, "-o", data, "--", "sleep", f"{seconds:g}"])
        if refused:
            return _refused(f"{_NO_PERF}\n{said.strip()[-300:]}"), {}
        report = [
            "perf",
            "report",
            "-i",
            data,
            "--no-children",
            "-g",
            "none",
            "--sort",
            "dso",
            "--stdio",
        ]
        script = ["perf", "script", "-i", data, "--no-inline", "-F", "ip,sym,dso"]
        return shares(_output(report)), flame_graph.read_perf(_output(script))


def py_spy(pid: int, seconds: float) -> flame_graph.Stacks:
    """Sample the stacks of Python without stopping it; empty, and said why, when that is not possible."""
    program = Path(sys.executable).parent / "py-spy"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "stacks"
        command = [
            str(program),
            "record",
            "--nonblocking",
            "-p",
            str(pid),
            "-r",
            "200",
            "-f",
            "raw",
        ]
        refused, said = _look([*command, "-d", f"{seconds:g}", "-o", str(output)])
        if not refused and output.exists():
            return flame_graph.read(output.read_text())
    print(f"  py-spy: {said.strip()[-300:]}", file=sys.stderr, flush=True)
    return _refused(_NO_PY_SPY)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _look(command: list[str]) -> tuple[int, str]:
    """Run a tool beside the generator, as urgent as the server: else it would see only idle moments.

    Returns:
        Its exit code, and what it wrote to standard error.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    servers.pin(process.pid, servers.cores()[1])
    _, said = process.communicate()
    return process.returncode, said


@contextmanager
def _loaded(load: str, path: str, *, legs: int, seconds: float) -> Iterator[int]:
    """Run a bridge under load meanwhile; brings its process id."""
    kind, environment = LOADS[load]
    core, generator_core = servers.cores()
    compiled = {"BRIDGE_RTC__COMPILED": "true" if path == "compiled" else "false"}
    with servers.start("bridge", core=core, **environment, **compiled) as server:
        step = Step(legs=legs, seconds=seconds + 30)
        plan = Plan(
            target=f"{load}, {path}", kind=kind, url=server.url, pid=server.pid, steps=[step]
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.generators.generator"],
            cwd=servers.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            servers.pin(process.pid, generator_core)
            assert process.stdin is not None
            assert process.stderr is not None
            with process.stdin as pipe:
                json.dump(plan.json(), pipe)
            # The generator says when all legs talk.
            said = process.stderr.readline()
            if not said.startswith("  "):
                raise RuntimeError(f"the load generator failed: {said}{process.stderr.read()}")
            print(said.rstrip(), file=sys.stderr, flush=True)
            time.sleep(2.0)
            yield server.pid
        finally:
            process.kill()
            process.wait()


def _cost(pid: int, legs: int) -> float:
    begun, used = time.monotonic(), measure.cpu_seconds([pid])
    time.sleep(3.0)
    return 100 * (measure.cpu_seconds([pid]) - used) / (time.monotonic() - begun) / legs


def _cells(one: Profile) -> tuple[str, ...]:
    told = [f"{100 * share:.0f} %" for share in one.shares.values()] or [""] * (len(GROUPS) + 1)
    return (one.load, one.packet_path, f"{one.cpu_per_leg:.3f}", *told)


def _refused(why: str) -> dict[Any, Any]:
    print(f"  {why}", file=sys.stderr, flush=True)
    return {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.studies.profile", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    loads = ",".join(LOADS)
    parser.add_argument("--only", type=_words, default=list(LOADS), help=loads)
    parser.add_argument("--paths", type=_words, default=["compiled", "python"])
    parser.add_argument("--legs", type=int, default=96)
    parser.add_argument("--publish", action="store_true", help="write docs/performance.md")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each tool's look")
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())

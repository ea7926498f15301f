"""`make bench`: the bridge against a stock aiortc echo server, under the same load, in one run.

The server under test has one core, the load generator another. Every repeat starts both servers
anew, one after the other; the table shows medians over the repeats. Written to `build/bench.md`
and `build/bench.json` as well.

    python -m tests.load.bench [--quick] [--legs 4,24,48] [--repeats 3] [--only bridge]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.load import report, servers
from tests.load.measure import Run, from_json

BUILD = servers.ROOT / "build"
LATE = 0.01
"""Seconds; a generator later than this measures itself."""
FULL = 95.0
"""Percent of a core; a server above this is at its limit."""
TARGETS = ("bridge", "stock")


def main() -> int:
    """Measure, print, write; 0 when every target was met."""
    options = _options()
    server_core, generator_core = servers.cores()
    runs: list[Run] = []
    for legs in options.legs:
        for repeat in range(options.repeats):
            for target in options.only or TARGETS:
                print(
                    f"{target}, {legs} legs, repeat {repeat + 1}/{options.repeats}", file=sys.stderr
                )
                runs.append(
                    measure(target, legs=legs, seconds=options.seconds, losses=options.loss)
                )
    table = report.rows(runs)
    found = report.verdicts(table)
    notes = _notes(table, options.repeats, options.seconds, pinned=server_core is not None)
    text = report.markdown(table, found, notes)
    print(f"\n{text}")
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.md").write_text(text)
    content = json.dumps(report.as_json(table, found, notes), indent=2)
    (BUILD / "bench.json").write_text(content + "\n")
    print(f"server on core {server_core}, generator on core {generator_core}")
    return 0 if all(one.met for one in found) else 1


def measure(target: str, *, legs: int, seconds: float, losses: Sequence[float]) -> Run:
    """Start a server and a generator, and bring what was measured.

    Raises:
        RuntimeError: either of them failed.
    """
    server_core, generator_core = servers.cores()
    with servers.start(target, core=server_core) as server:
        plan = {
            "target": target,
            "url": server.url,
            "pid": server.pid,
            "legs": legs,
            "seconds": seconds,
            "losses": list(losses),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.generator"],
            cwd=servers.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            servers.pin(process.pid, generator_core)
            limit = 120 + len(losses) * seconds * 3
            output, _ = process.communicate(json.dumps(plan), timeout=limit)
        finally:
            process.kill()
        if process.returncode:
            raise RuntimeError(f"the load generator failed with {process.returncode}")
        return from_json(json.loads(output))


def _notes(table: Sequence[report.Row], repeats: int, seconds: float, *, pinned: bool) -> list[str]:
    late = max(row.generator_lateness for row in table)
    busy = max(row.generator_cpu for row in table)
    warnings = (
        []
        if late < LATE
        else [
            f"**The generator was {1000 * late:.0f} ms late: something else used its core, and the "
            "delays above are not the servers' own.**"
        ]
    )
    full = [row for row in table if row.cpu_per_leg * row.legs > FULL]
    warnings += [
        f"**{row.target} at {row.legs} legs and {row.loss:.0%} loss used its whole core and fell "
        "behind: its CPU per leg is what it got, not what it would have needed.**"
        for row in full
    ]
    return [
        *warnings,
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}; load average {os.getloadavg()[0]:.1f} at the end",
        f"medians over {repeats} repeats of windows of {seconds:g} s; max is the worst of all",
        "server and generator on a core each" if pinned else "one core only: nothing was pinned",
        f"generator: at most {busy:.0f} % of its core, packets sent at most {1000 * late:.1f} ms "
        "late (99th percentile)",
        "echo delay: from sending the packet that carries an onset to receiving the packet in "
        "which it is heard; look-ahead: how far into that packet, both encoders together",
        "loss: the generator leaves packets out, each by itself; nothing is lost on the way back",
        "packets/s on the worst leg counts to 2 packets a window",
    ]


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--legs", type=_numbers, default=[24], help="e.g. 4,24,48")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each window")
    parser.add_argument("--loss", type=_shares, default=[0.0, 0.05], help="e.g. 0,0.05")
    parser.add_argument("--only", choices=TARGETS, action="append", help="one server only")
    parser.add_argument("--quick", action="store_true", help="one repeat of short windows")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.seconds = 1, 5.0
    return options


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _shares(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: the bridge, stock aiortc, libwebrtc and Janus under the same load, in one run.

The server under test has one core, the load generator another. Every repeat starts each server
anew, one after the other; the tables show medians over the repeats. Written to `build/bench.md`,
`build/bench-tables.md` (those of docs/performance.md) and `build/bench.json` as well; ends with 1 when a
target was missed.

    python -m tests.bench.bench [--quick] [--only echo,janus,passthrough] [--legs 4,24] [--repeats 2] [--publish]
    python -m tests.bench.bench --against <git ref> [--rounds 30]
    python -m tests.bench.bench --variant NAME=SETTING:VALUE,… --variant … [--conditions talking,stops] [--rounds 10]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec

from tests.bench import against, jobs, servers, services, variants
from tests.bench.capacity import BUSY
from tests.bench.generators import janus
from tests.bench.measure import Run
from tests.bench.reports import published, report, targets
from tests.bench.reports.reading import told
from tests.bench.reports.rows import Row, rows
from tests.bench.reports.targets import Results
from tests.bench.studies import machines

BUILD = servers.ROOT / "build"
LATE = 0.01
"""Seconds; a generator later than this measures itself."""
FULL = 95.0
"""Percent of a core; a server above this is at its limit."""


def main() -> int:
    """Measure, print, write; 0 when every target was met."""
    options = _options()
    if options.against:
        return _compare(options.against, rounds=options.rounds or against.ROUNDS)
    if options.variant:
        variants.run(options)
        return 0
    begun = time.monotonic()
    results = Results()
    wanted = [one for one in options.only if not _missing(one, results)]
    plan = jobs.jobs(wanted, legs=options.legs, seconds=options.seconds, quick=options.quick)
    for repeat in range(options.repeats):
        for job in plan:
            if not (job.once and repeat):
                services.say(
                    f"[{time.monotonic() - begun:4.0f} s] {job.target}, repeat {repeat + 1}"
                )
                with services.going_on(results, job.target):
                    results.runs.append(jobs.perform(job))
    services.measure(wanted, results, seconds=options.seconds, quick=options.quick)
    table = rows([run for run in results.runs if run.windows], results.best)
    found = targets.verdicts(results, table)
    seconds = time.monotonic() - begun
    about = _about(repeats=options.repeats, window=options.seconds, took=seconds)
    about = "; ".join(filter(None, [about, told(results.all_readings())]))
    notes = _notes(results, table, about)
    _write(report.markdown(results, table, found, notes))
    tables = published.markdown(results, table, found, about=about)
    (BUILD / "bench-tables.md").write_text(tables)
    if options.publish:
        published.publish(servers.ROOT / "docs" / "performance.md", published.TABLES, tables)
        short = published.summary(results, table)
        for page in ("README.md", "docs/compare.md"):
            published.publish(servers.ROOT / page, published.SUMMARY, short)
    content = json.dumps(report.as_json(results, table, found, notes), indent=2)
    (BUILD / "bench.json").write_text(content + "\n")
    return 1 if results.failed or any(one.missed for one in found) else 0


def _compare(ref: str, *, rounds: int) -> int:
    """Compare with another commit; 0 when no load costs more than it may."""
    found = against.measure(ref, rounds=rounds, seconds=against.SECONDS)
    against.write(ref, found, BUILD)
    print(f"\n{against.markdown(ref, found)}")
    return 0 if all(one.met for one in found) else 1


def _missing(section: str, results: Results) -> bool:
    """Tell whether a section cannot be measured here, and remember why."""
    reason = ""
    if section in ("janus", "paths"):
        _install()
        reason = janus.missing()
    if section == "paths" and reason:
        results.skipped.append(f"ratios to Janus: {reason}")
        reason = ""
    if section == "nodes" and servers.cores()[0] is None:
        reason = "two nodes need two cores"
    if section == "cluster":
        reason = machines.missing()
    if section == "pipecat" and find_spec("pipecat") is None:
        reason = "its packages are not installed (make test-tools)"
    if reason:
        results.skipped.append(f"{section}: {reason}")
        services.say(f"SKIPPED {section}: {reason}")
    return bool(reason)


def _install() -> None:
    """Let the installer of the tests' tools bring Janus, where it may."""
    script = servers.ROOT / ".ci" / "install-test-tools"
    subprocess.run(["sh", script, sys.executable, "janus"], check=False, stdout=sys.stderr)


def _write(text: str) -> None:
    print(f"\n{text}")
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.md").write_text(text)


def _notes(results: Results, table: Sequence[Row], about: str) -> list[str]:
    server_core, generator_core = servers.cores()
    pinned = f"server on core {server_core}, generator on core {generator_core}"
    steady = [run for run in results.runs if not run.target.endswith(" capacity")]
    late = targets.late(steady)
    return [
        *_warnings(steady, table),
        about,
        "C loops: CPU time as a multiple of what one loop of socket, SRTP and libopus takes for as many packets; "
        "it is run before and after each measurement, which counts as of a busy machine where the loop was more than "
        "a tenth slower than its best of the run, or a tenth of the time was stolen",
        "max is the worst of all repeats",
        pinned if server_core is not None else "one core only: nothing was pinned",
        "one node and two nodes: nothing is pinned, the generator shares the cores with them",
        "stock aiortc only where it does not use its whole core; above, its figures mean nothing",
        "libwebrtc: the same program as stock aiortc, on PyPI's wrtc, which has aiortc's interface",
        "Janus AudioBridge: rooms of two legs, mixed at 16 kHz, no recording; its other leg hears",
        f"generator: at most {targets.busy(steady):.0f} % of its core, packets sent at most "
        f"{1000 * late:.1f} ms late (99th percentile of a window)",
        "delay: from sending the packet that carries an onset to receiving the packet in which it "
        "is heard; with jitter, from when the packet set out; look-ahead: how far into that "
        "packet, the sender's encoder and the server's together",
        "Pipecat: examples/pipecat/echo.py, in pieces of 40 ms and without the pauses, on the core of the generator; "
        "from sending the packet with which a burst begins to receiving the packet in which it is heard",
        "loss: the generator leaves packets out, each by itself; nothing is lost on the way back",
        "recorded: both sides and the mix, through PCM as WAV, in passthrough as the packets that pass "
        '(`recording.passthrough = "opus"`), in turn with windows of the same calls unrecorded; '
        "without the Ogg copies that another process may make afterwards",
        "MB/leg: what each leg added since the row with fewer legs; packets/s counts to 2 packets "
        "a window",
        "in turn: all servers of a load alive at once, slices of 2 s in random order, one ratio a round; "
        "who waits does so on the generator's core, behind everything else",
        "the event loop stopped: for 0.2 s, every 0.5 to 0.95 s; every packet, as for calls on a core; with loss "
        "the generator leaves out 1 % of the packets",
        *_paths(results),
        "calls on a core: the 99th percentile of every packet's time from the sender's socket to the "
        "receiver's, by the kernel's clock, as a packet waits as long as the event loop lags: some "
        f"{_samples(results):,} packets a window; scraped as Prometheus does, every {jobs.SCRAPE_SECONDS:g} s; "
        "lag by its probes: what the server counts itself, ten times a second",
        "silent: legs that are connected and neither send nor receive, in turn with windows of the same "
        "legs talking; what the process costs without legs is counted in",
        f"extrapolated: {BUSY:.0f} % of a core shared out at the CPU per leg that was "
        "measured with most calls, where the generator was at its own limit or no more were tried",
    ]


def _paths(results: Results) -> list[str]:
    """Say which packet path the loads took."""
    taken: dict[str, list[str]] = {}
    for run in results.runs:
        for path in {one.packet_path for one in run.windows if one.packet_path}:
            if run.target not in taken.setdefault(path, []):
                taken[path].append(run.target)
    return [f"{path} packet path: {', '.join(names)}" for path, names in sorted(taken.items())]


def _samples(results: Results) -> int:
    """Return how many packets the smallest window that looked for a capacity followed."""
    windows = [one for run in results.runs for one in run.windows if one.transit and one.what]
    return min((one.transit.packets for one in windows if one.transit), default=0)


def _about(*, repeats: int, window: float, took: float) -> str:
    """Say where, when and how it was measured."""
    return (
        f"{published.machine()}, "
        f"{took:.0f} s, load average {os.getloadavg()[0]:.1f} at the end; medians over {repeats} "
        f"{'repeats' if repeats > 1 else 'repeat'} of windows of {window:g} s"
    )


def _warnings(runs: Sequence[Run], table: Sequence[Row]) -> list[str]:
    late = targets.late(runs)
    found = []
    if late > LATE:
        found.append(
            f"**The generator was {1000 * late:.0f} ms late: something else used its core, and the "
            "delays above are not the servers' own.**"
        )
    found += [
        f"**{row.target} at {row.legs} legs used its whole core and fell behind: its CPU per leg "
        "is what it got, not what it would have needed.**"
        for row in table
        if row.cpu_per_leg * row.legs > FULL
    ]
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    sections = ",".join(jobs.SECTIONS)
    parser.add_argument("--only", type=_sections, default=list(jobs.SECTIONS), help=sections)
    parser.add_argument("--legs", type=_numbers, default=[], help="e.g. 4,24,48,96")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each window")
    parser.add_argument("--quick", action="store_true", help="one repeat of short windows")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the tables of docs/performance.md, docs/compare.md and README.md",
    )
    parser.add_argument(
        "--against", metavar="REF", default="", help="compare the cost of a leg with this commit's"
    )
    parser.add_argument("--rounds", type=int, default=0, help="of a comparison")
    variants.add_arguments(parser)
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.seconds = 1, 3.0
    if not options.variant:
        options.legs = options.legs or ([4, 24] if options.quick else [4, 24, 48, 96, 200])
    return options


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(","))


def _sections(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = sorted(set(chosen) - set(jobs.SECTIONS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such section: {', '.join(unknown)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())

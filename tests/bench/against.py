"""`make bench BENCH="--against <git ref>"`: what a leg costs in this tree and at another commit.

Separate runs on a shared machine differ by a third. So both builds are alive at once on the same
core, and take turns of 2 s under the same packets, in random order; each round gives one ratio
(this tree / the other commit), and the median of the rounds is judged. Written to
`build/against.md` and `build/against.json`.
"""

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import jobs, servers
from tests.bench.reports.comparison import LIMIT, Comparison, cells, compare
from tests.bench.reports.report import ruled
from tests.bench.slices import Build, Plan, Slice

LEGS = 24
ROUNDS = 30
SECONDS = 2.0
"""Of a slice."""
HERE, THERE = "this tree", "before"
_PORTS = {HERE: "20000-24999", THERE: "25000-29999"}
LOADS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "echo": ("echo", {}),
    # The former name of media.passthrough, which older commits know too.
    "two legs through PCM": ("pair", {"BRIDGE_MEDIA__RELAY": "false"}),
    "two legs, passthrough": ("pair", {}),
}
"""Kind of call and settings of both servers, by the name of the load."""
_HEADS = (
    "load", "rounds", "CPU/leg %", "before", "ratio", "lower quartile", "upper quartile",
    "delay p95 ms", "before ", "packets/s worst", "",
)  # fmt: skip


def measure(ref: str, *, rounds: int, seconds: float, legs: int = LEGS) -> list[Comparison]:
    """Compare this tree with a commit, load after load.

    Raises:
        ValueError: git knows no such commit.
        RuntimeError: a server or the generator failed.
    """
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        root = Path(folder)
        check_out(ref, root)
        found = []
        for number, load in enumerate(LOADS):
            print(f"{load}: {rounds} rounds of two slices of {seconds:g} s", flush=True)
            each = perform(load, root, rounds=rounds, seconds=seconds, legs=legs, seed=number)
            found.append(compare(load, each, first=HERE, second=THERE))
        return found


def check_out(ref: str, folder: Path) -> None:
    """Unpack a commit into an empty folder and build its packet path; the repository's own work trees stay as they are.

    Raises:
        ValueError: git knows no such commit.
    """
    archive = subprocess.run(
        ["git", "archive", "--format=tar", f"{ref}^{{commit}}"],
        cwd=servers.ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise ValueError(f"git knows no commit {ref}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    if (folder / "bridge" / "rtc" / "packet_path_build.py").exists():
        build = [sys.executable, "-m", "bridge.rtc.packet_path_build"]
        subprocess.run(build, cwd=folder, check=True)


def markdown(ref: str, found: Sequence[Comparison]) -> str:
    """Write the report."""
    table = ruled(_HEADS, [(*cells(one), "met" if one.met else "**missed**") for one in found])
    missed = [one.load for one in found if not one.met]
    verdict = (
        f"**Missed: {'; '.join(missed)} costs more than {LIMIT:.2f} of before.**"
        if missed
        else f"No load costs more than {LIMIT:.2f} of before."
    )
    return f"Cost per leg against {ref}:\n\n{table}\n{verdict}\n"


def write(ref: str, found: Sequence[Comparison], folder: Path) -> None:
    """Write the report into `against.md` and `against.json`."""
    folder.mkdir(exist_ok=True)
    (folder / "against.md").write_text(markdown(ref, found))
    tree = {"against": ref, "limit": LIMIT, "loads": [asdict(one) for one in found]}
    (folder / "against.json").write_text(json.dumps(tree, indent=2) + "\n")


def perform(
    load: str, root: Path, *, rounds: int, seconds: float, legs: int, seed: int
) -> list[list[Slice]]:
    kind, environment = LOADS[load]
    core, generator_core = servers.cores()
    with (
        servers.start("bridge", core=core, **environment, BRIDGE_RTC__PORTS=_PORTS[HERE]) as here,
        servers.start(
            "bridge", core=core, root=str(root), **environment, BRIDGE_RTC__PORTS=_PORTS[THERE]
        ) as there,
    ):
        plan = Plan(
            builds=[
                Build(name=HERE, url=here.url, pid=here.pid, kind=kind),
                Build(name=THERE, url=there.url, pid=there.pid, kind=kind),
            ],
            legs=legs,
            rounds=rounds,
            seconds=seconds,
            seed=seed,
        )
        limit = 60 + legs + rounds * 2 * (seconds + 2)
        tree: list[list[dict[str, Any]]] = jobs.child(
            "tests.bench.slices", asdict(plan), core=generator_core, seconds=limit
        )
    return [[Slice(**one) for one in each] for each in tree]

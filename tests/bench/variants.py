"""`make bench BENCH="--variant NAME=SETTING:VALUE,… --variant …"`: the same bridge with other settings, in turn.

All variants are alive at once and take turns under the same packets (`tests.bench.slices`), in each round one slice under
each condition; the ratios are those of a round, to the first variant. Every packet is followed, by the kernel's time stamps
at the receiver. With `--calls` they do not take turns: each carries more and more calls until packets come late, one variant
after the other. Written to `build/variants.md` and `build/variants.json`.

Beside settings a variant may name: `ref:COMMIT` (of which commit), `server:janus` (or `stock`, `wrtc`), `kind:PCMU` (or
`opus`: calls from browsers to telephones; `echo`; `bot`: pairs of a browser and a bot), `apart:true` (the thread `media` has the core, all others run on the generator's).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import against, capacity, jobs, servers, telephones
from tests.bench.capacity import Capacity
from tests.bench.generators.trunk import OPUS, PCMU
from tests.bench.measure import Window
from tests.bench.reports.report import ruled
from tests.bench.reports.turns import HEADS, Measured, cells, measured
from tests.bench.slices import Build, Condition, Plan, Slice
from tests.bench.studies.paths import LOADS
from tests.support.machine import free_port

SECONDS, SETTLE_SECONDS, ROUNDS = 4.0, 1.0, 10
LEGS = 24
TALKING = "talking"
STOPS_SECONDS = 0.73
"""From one stop of 0.2 s to the next: no multiple of a frame, nor of what legs do once a second."""
CONDITIONS: Mapping[str, Condition] = {
    one.what: one
    for one in (
        Condition(what=TALKING),
        Condition(what="stops", stops=STOPS_SECONDS),
        Condition(what="loss", loss=0.01),
        Condition(what="loss+stops", loss=0.01, stops=STOPS_SECONDS),
        Condition(what="scraped", scrape=1.0),
        Condition(what="silent", silent=True),
        Condition(what="dtx", dtx=True),
        Condition(what="recorded", recorded=True),
    )
}
STOPS = ("stops", "loss+stops")
_OURS = "bridge"
_MAX_PORTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One server that takes its turn."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    server: str = _OURS
    kind: str = ""
    """Of its calls; empty: that of the load."""
    ref: str = ""
    """A commit; empty: this tree."""
    apart: bool = False


BUILDS = (
    Variant(name=_OURS),
    Variant(name="without its media thread", environment={"BRIDGE_RTC__MEDIA_THREAD": "false"}),
)
"""Of the bench's own section."""


def variant(text: str) -> Variant:
    """Read a variant from the command line.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    name, _, rest = text.partition("=")
    pairs = [pair.partition(":") for pair in rest.split(",") if pair]
    if not name or not all(key and colon for key, colon, _ in pairs):
        raise argparse.ArgumentTypeError(f"not NAME=SETTING:VALUE,…: {text}")
    found = {key: value for key, _, value in pairs}
    server, kind, ref = (found.pop(key, "") for key in ("server", "kind", "ref"))
    apart = found.pop("apart", "") == "true"
    environment = {f"BRIDGE_{key.upper().replace('.', '__')}": found[key] for key in found}
    return Variant(
        name=name, environment=environment, server=server or _OURS, kind=kind, ref=ref, apart=apart
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison of variants."""
    parser.add_argument(
        "--variant", type=variant, action="append", default=[], help="NAME=SETTING:VALUE,…"
    )
    parser.add_argument("--loads", default="passthrough", help=",".join(LOADS))
    parser.add_argument("--conditions", default=TALKING, help=",".join(CONDITIONS))
    parser.add_argument(
        "--calls", default="", help="how many a core carries: try these, e.g. 60,90"
    )


def run(options: argparse.Namespace) -> None:
    """Measure, print and write what the options ask for."""
    loads = options.loads.split(",")
    if options.calls:
        calls = [int(number) for number in options.calls.split(",")]
        carried = capacities(options.variant, loads, calls, repeats=options.repeats)
        lines = [capacity.cells(one, one.load) for one in carried]
        _write(ruled(capacity.HEADS, lines), [asdict(one) for one in carried])
        return
    conditions = options.conditions.split(",")
    rounds = options.rounds or ROUNDS
    found: list[Measured] = []
    for load in loads:
        for legs in options.legs or [LEGS]:
            print(f"{load}, {legs} legs", file=sys.stderr, flush=True)
            found += take_turns(load, legs, options.variant, conditions, rounds=rounds)
            _write(ruled(HEADS, [cells(one) for one in found]), [asdict(one) for one in found])


def take_turns(
    load: str, legs: int, variants: Sequence[Variant], conditions: Sequence[str], *, rounds: int
) -> list[Measured]:
    """Measure one load with so many legs at each variant, under each of `CONDITIONS` that is named.

    Raises:
        RuntimeError: a server or the generator failed.
    """
    plan = Plan(
        builds=[],
        legs=legs,
        rounds=rounds,
        seconds=SECONDS,
        seed=legs,
        settle=SETTLE_SECONDS,
        bulk=True,
        conditions=[CONDITIONS[name] for name in conditions],
    )
    found = perform(load, variants, plan)
    return measured(load, legs, [one.name for one in variants], conditions, found)


def perform(load: str, variants: Sequence[Variant], plan: Plan) -> list[list[Slice]]:
    """Start all variants of a load and let them take turns.

    Raises:
        RuntimeError: a server or the generator failed.
    """
    core, beside = servers.cores()
    with ExitStack() as stack:
        builds = [
            _start(stack, one, load, f"{first}-{first + span - 1}")
            for span in [_MAX_PORTS // len(variants)]
            for first, one in zip(range(20_000, 30_000, span), variants, strict=False)
        ]
        tree = asdict(plan) | {
            "builds": [asdict(one) for one in builds],
            "core": core,
            "waiting_core": beside,
        }
        slices = plan.rounds * len(plan.conditions) * (plan.seconds + plan.settle + 3)
        limit = 60 + len(builds) * (plan.legs + slices)
        found = jobs.child("tests.bench.slices", tree, core=beside, seconds=limit)
    return [[Slice(**one) for one in each] for each in found]


def _start(stack: ExitStack, one: Variant, load: str, ports: str) -> Build:
    core, _ = servers.cores()
    if one.server != _OURS:
        server = stack.enter_context(servers.start(one.server, core=core))
        kind = "janus" if one.server == "janus" else "stock"
        return Build(name=one.name, url=server.url, pid=server.pid, kind=kind)
    kind, settings = LOADS[load]
    kind = one.kind or kind
    root, port = str(servers.ROOT), 0
    if one.ref:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="variant-"))
        against.check_out(one.ref, Path(root))
    more = {**settings, **one.environment, "BRIDGE_RTC__PORTS": ports}
    if kind in (PCMU, OPUS):
        port = free_port()
        bridge = telephones.telephone_bridge(kind, port, core=core, root=root, **more)
    else:
        bridge = servers.start("stopping", core=core, root=root, **more)
    server = stack.enter_context(bridge)
    return Build(
        name=one.name, url=server.url, pid=server.pid, kind=kind, trunk_port=port, apart=one.apart
    )


def capacities(
    variants: Sequence[Variant], loads: Sequence[str], calls: Sequence[int], *, repeats: int
) -> list[Capacity]:
    """Let each variant carry more and more calls, one after the other, and all again in each repeat."""
    found = []
    for load in [*loads] * repeats:
        kind, settings = LOADS[load]
        for one in variants:
            job = jobs.Job(
                target=f"{load}, {one.name}",
                kind=kind,
                environment={**settings, **one.environment},
                steps=jobs.capacity_steps(calls, jobs.CAPACITY_SECONDS),
                stop_at_lag=jobs.LAG,
                bulk=True,
                apart=one.apart,
            )
            carried = jobs.perform(job)
            for window in carried.windows:
                _tell(window)
            if summary := capacity.capacity(carried):
                found.append(summary)
    return found


def _tell(window: Window) -> None:
    """Tell of a window, as a run that carried nothing has no line in the table."""
    if (transit := window.transit) is not None:
        text = (
            f"  {window.legs // 2} calls, {window.what or 'clean'}: {window.cpu_per_leg:.3f} % a leg, packets p50 "
            f"{_ms(transit.p50)}, p99 {_ms(transit.p99)}, longest {_ms(transit.longest)} ms, {transit.lost} lost; "
            f"generator {window.generator_cpu:.0f} %, {_ms(window.lateness)} ms late"
        )
        print(text, file=sys.stderr, flush=True)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _write(text: str, tree: object) -> None:
    print(f"\n{text}", flush=True)
    build = servers.ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "variants.md").write_text(text)
    (build / "variants.json").write_text(json.dumps(tree, indent=2) + "\n")

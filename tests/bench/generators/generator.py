"""The load generator: many light peers in one process that is never late itself.

Started by the bench with a plan (JSON) on standard input; writes the measured run (JSON) to
standard output. Packets are encoded before and decoded after the measured time.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import uvloop
from aiortc import RTCCertificate

from tests.bench import measure, reference, scrape, servers
from tests.bench.generators import windows
from tests.bench.generators.bulk_legs import BulkLeg, LegPoller
from tests.bench.generators.callers import Call, Caller, caller
from tests.bench.generators.signal import Loop, make_loop, make_telephone_loop
from tests.bench.generators.talker import FRAME_SECONDS, Talker
from tests.bench.generators.trunk import PCMU
from tests.bench.generators.windows import Leg
from tests.bench.measure import Run, Window
from tests.bench.reference import Take
from tests.bench.reports.reading import Sample, reading
from tests.support.machine import own_address
from tests.support.packets.impairment import Impairment
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import SignallingError

_LATE = 0.01
_FULL = 0.92
"""Of a core: beyond this a generator is not to be trusted, and it takes on no more legs."""
_LOOK_SECONDS = 0.1
"""After the last packet, until the server has nothing left to do with it."""
_CALM_SECONDS = 1.0
_CHILDREN_SECONDS = 60.0
"""How long children of the server may take to mix the recordings of a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One window of a plan."""

    legs: int
    what: str = ""
    loss: float = 0.0
    jitter: float = 0.0
    """Seconds."""
    recorded: bool = False
    """Whether every call is recorded, both sides and the mix."""
    silent: bool = False
    """Whether the legs stay connected and send nothing."""
    scrape: float = 0.0
    """Seconds between scrapes within the window; 0: none."""
    settle: float = 2.0
    """Seconds before the window, under the same conditions."""
    seconds: float = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a generator is to do."""

    target: str
    """What the run is called."""
    kind: str
    """Of the calls: `stock`, `janus`, `echo`, `pair`, `trio`."""
    url: str
    pid: int
    """Of the server, whose processor time and memory are read, with those it started."""
    steps: list[Step]
    """Legs never get fewer."""
    nodes: int = 1
    stop_at_lag: float = 0.0
    """Seconds; once the server's 99th percentile is above, no more steps. 0: all steps."""
    bulk: bool = False
    """Whether legs are driven as many at once (`tests.bench.generators.bulk_legs`)."""
    core: int | None = None
    """Of the server, which is looked at before and after each window; None: any."""
    beside: int | None = None
    """Where all threads of the server run but the one that handles packets; None: on its core."""

    def json(self) -> dict[str, Any]:
        """Make a JSON object of the plan."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class Load:
    """The legs that a run has at one server."""

    calls: Caller
    session: aiohttp.ClientSession
    result: Run
    loop: Loop
    quiet: Loop
    telephone: Loop
    host: str
    """Address of the peers."""
    first_ssrc: int
    certificate: RTCCertificate = field(default_factory=RTCCertificate.generateCertificate)
    poller: LegPoller | None = None
    """Of many legs at once."""
    talkers: list[Leg] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)
    recorded: bool = False
    silent: bool = False


@asynccontextmanager
async def connect(
    *,
    target: str,
    url: str,
    kind: str,
    nodes: int = 1,
    first_ssrc: int = 0x1000,
    trunk_port: int = 0,
    bulk: bool = False,
) -> AsyncIterator[Load]:
    """Connect to a server, with no legs yet; legs still open at the end are closed."""
    async with (
        aiohttp.ClientSession() as session,
        caller(session, url, kind=kind, nodes=nodes, trunk_port=trunk_port) as calls,
    ):
        load = Load(
            calls=calls,
            session=session,
            result=Run(target=target),
            loop=make_loop(),
            quiet=make_loop(quiet=True),
            telephone=make_telephone_loop(),
            # Janus takes no calls on loopback.
            host=own_address() if kind == "janus" else "127.0.0.1",
            first_ssrc=first_ssrc,
            poller=LegPoller() if bulk else None,
        )
        try:
            await _warm(load)
            yield load
        finally:
            await leave(load)
            if load.poller is not None:
                load.poller.close()


async def run(plan: Plan) -> Run:
    """Open the legs, measure every window, close the legs."""
    with reference.running(plan.core) as take:
        async with connect(
            target=plan.target, url=plan.url, kind=plan.kind, nodes=plan.nodes, bulk=plan.bulk
        ) as load:
            if plan.core is not None and plan.beside is not None:
                servers.set_apart(plan.pid, core=plan.core, beside=plan.beside)
            await _go_through(load, plan, take)
    return load.result


async def _go_through(load: Load, plan: Plan, take: Take) -> None:
    for step in plan.steps:
        if not await _reach(load, plan, step.legs):
            break
        _silence(load, silent=step.silent)
        await record(load, plan.pid, recorded=step.recorded)
        before = await _look(load, take)
        window = await _measure(load, plan, step)
        window.reading = reading(before, await _look(load, take))
        load.result.windows.append(window)
        if _at_limit(plan, window):
            break


async def _look(load: Load, take: Take) -> Sample:
    """Look at the machine while all legs are silent."""
    silent = load.silent
    _silence(load, silent=True)
    await asyncio.sleep(_LOOK_SECONDS)
    found = await asyncio.to_thread(take)
    _silence(load, silent=silent)
    return found


async def _reach(load: Load, plan: Plan, legs: int) -> bool:
    """Grow to so many legs; False when a server whose limit is looked for takes no more."""
    try:
        await grow(load, legs)
    except (ConnectionError, SignallingError, TimeoutError) as error:
        if not plan.stop_at_lag:
            raise
        load.result.broke_off = f"{len(load.talkers)} legs: {error!r}"
        return False
    return True


def _at_limit(plan: Plan, window: Window) -> bool:
    """Tell whether server or generator could not do more."""
    lag = window.transit.p99 if window.transit else scrape.quantile(dict(window.lag), 0.99)
    tired = window.lateness > _LATE or window.generator_cpu > 100 * _FULL
    return bool(plan.stop_at_lag) and (lag >= plan.stop_at_lag or tired)


async def _warm(load: Load) -> None:
    """Hold one call for a moment, so that what is loaded once is not counted as a leg's."""
    await _join(load)
    await asyncio.sleep(0.5)
    await leave(load)
    load.result.answers.clear()
    load.result.setups.clear()
    await asyncio.sleep(0.5)


async def grow(load: Load, legs: int) -> None:
    """Make calls until there are so many legs, all talking."""
    gc.enable()
    gc.unfreeze()
    while len(load.talkers) < legs:
        await _join(load)
    gc.collect()
    gc.freeze()
    gc.disable()


async def _join(load: Load) -> None:
    """Make one more call and let all its legs talk."""
    call = await load.calls.call()
    joined: list[Leg] = []
    for exchange, talks in zip(call.seats, call.talks, strict=True):
        number = len(load.talkers) + len(joined)
        peer = LightPeer(
            host=load.host,
            certificate=load.certificate,
            ssrc=load.first_ssrc + number,
            endpoint=load.poller.open if load.poller else None,
        )
        offer = await peer.offer()
        begun = time.monotonic()
        answer = await exchange(offer)
        load.result.answers.append(exchange.seconds)
        await peer.accept(answer)
        load.result.setups.append(time.monotonic() - begun)
        joined.append(_leg(load, number, peer, load.loop if talks else load.quiet))
        joined[-1].start()
        if load.poller is None:
            # No two legs send at the same moment.
            await asyncio.sleep(FRAME_SECONDS * 1.37)
    for party in call.parties:
        loop = load.telephone if party.codec == PCMU else load.loop
        joined.append(Talker(len(load.talkers) + len(joined), party, loop))
        joined[-1].start()
        await asyncio.sleep(FRAME_SECONDS * 1.37)
    for talker, heard in zip(joined, call.hears, strict=True):
        talker.hears = None if heard is None else joined[heard]
    load.open.append(call)
    load.talkers += joined


def _leg(load: Load, number: int, peer: LightPeer, loop: Loop) -> Leg:
    if load.poller is None:
        return Talker(number, peer, loop)
    decoded = number < windows.DECODED_LEGS
    return BulkLeg(number, peer, loop, load.poller, decoded=decoded)


def _silence(load: Load, *, silent: bool) -> None:
    """Let all legs talk from now on, or none."""
    if silent is not load.silent:
        load.silent = silent
        for talker in load.talkers:
            if silent:
                talker.stop()
            else:
                talker.resume()


async def record(load: Load, pid: int, *, recorded: bool) -> None:
    """Let all calls be recorded from now on, or none; wait until what was recorded has been mixed."""
    if recorded is load.recorded:
        return
    load.recorded = recorded
    processes = len(measure.family(pid))
    for call in load.open:
        await call.record(recorded)
    if not recorded:
        await wait_children_ended(pid, processes)


async def wait_children_ended(pid: int, processes: int) -> None:
    """Wait until a server has had no more processes than before for a second: children use its core.

    Raises:
        TimeoutError: it still has after a minute.
    """
    began = calm = time.monotonic()
    while time.monotonic() < calm + _CALM_SECONDS:
        await asyncio.sleep(0.02)
        if len(measure.family(pid)) > processes:
            calm = time.monotonic()
        if calm - began > _CHILDREN_SECONDS:
            raise TimeoutError("recordings are still being mixed")


async def leave(load: Load) -> None:
    """End all calls."""
    for talker in load.talkers:
        talker.stop()
    for call in load.open:
        await call.end()
    for talker in load.talkers:
        await talker.peer.close()
    load.talkers.clear()
    load.open.clear()


async def _measure(load: Load, plan: Plan, step: Step) -> Window:
    talkers = load.talkers
    _say(f"{plan.target}: {len(talkers)} legs, {step.what or 'clean'}, {step.seconds:g} s")
    for talker in talkers:
        talker.begin_window(Impairment(seed=talker.number, loss=step.loss, jitter=step.jitter))
    await asyncio.sleep(step.settle)
    for talker in talkers:
        talker.begin_lateness()
    if load.poller is not None:
        load.poller.align()
    pids = measure.family(plan.pid)
    before = await _metrics(load, plan)
    begin, server, own = time.monotonic(), measure.cpu_seconds(pids), time.process_time()
    async with windows.scraping(plan.url, step.scrape) as scrapes:
        await asyncio.sleep(step.seconds)
    end, server = time.monotonic(), measure.cpu_seconds(pids) - server
    own = time.process_time() - own
    lateness = [late for talker in talkers for late in talker.lateness]
    after = await _metrics(load, plan)
    resident = measure.resident_bytes(pids)
    await asyncio.sleep(0.5)
    window = Window(
        legs=len(talkers),
        what=step.what,
        seconds=end - begin,
        cpu_per_leg=100 * server / (end - begin) / len(talkers),
        rates=windows.rates(talkers, begin, end),
        resident=resident,
        generator_cpu=100 * own / (end - begin),
        lateness=measure.percentile(lateness, 99) if lateness else 0.0,
    )
    windows.listen(window, talkers, begin, end)
    windows.follow(window, talkers, begin, end, scrapes)
    windows.read(window, before, after)
    return window


async def _metrics(load: Load, plan: Plan) -> str:
    """Ask a bridge for its metrics; other servers have none."""
    if plan.kind in ("stock", "janus"):
        return ""
    return await windows.read_metrics(load.session, plan.url)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Do what standard input says."""
    tree = json.load(sys.stdin)
    plan = Plan(**tree | {"steps": [Step(**step) for step in tree["steps"]]})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    result = uvloop.run(run(plan))
    json.dump(measure.to_json(result), sys.stdout)


if __name__ == "__main__":
    main()

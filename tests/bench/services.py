"""The sections of the bench that need no growing load: each is one server and one program beside."""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.bench import jobs, servers, telephones, variants
from tests.bench.generators import janus
from tests.bench.generators.playing import Played
from tests.bench.generators.socket_programs import SOCKETS as SOCKET_KINDS
from tests.bench.generators.socket_programs import STREAMS
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.speech import Heard
from tests.bench.generators.talks import Talked
from tests.bench.reference import around
from tests.bench.reports.targets import Results
from tests.bench.studies import machines, paths
from tests.bench.studies.event_path import EventLoad
from tests.bench.studies.machines import Machines
from tests.bench.studies.pipecat_echo import PipecatEcho

SOCKETS = 50
STARTS = 24
CALLERS, TURNS = 4, 7
PIPECAT_CALLS, PIPECAT_SECONDS = 3, 30.0
TELEPHONE_ROUNDS = 15
STOP_ROUNDS = 6
STOPPED = {"passthrough": 24, "pcm": 48}
"""Legs whose packets are followed while the event loop stops, by load."""
_LOCAL = '["127.0.0.0/8"]'
"""Where the bench's own servers are, which the bridge is to reach."""
_CHILD_SECONDS = 120.0


def measure(wanted: Sequence[str], results: Results, *, seconds: float, quick: bool) -> None:
    """Measure what is wanted of these sections; one that fails is named, and the rest go on."""
    window = seconds if quick else max(seconds, 10.0)
    parts: dict[str, Callable[[], None]] = {
        "paths": lambda: _paths(results, rounds=3 if quick else paths.ROUNDS),
        "stops": lambda: _stops(results, rounds=1 if quick else STOP_ROUNDS),
        "nodes": lambda: _crossing(results),
        "loss": lambda: _speech(results),
        "sockets": lambda: _sockets(results, window, SOCKET_KINDS),
        "streams": lambda: _sockets(results, window, STREAMS),
        "playback": lambda: _playback(results, starts=6 if quick else STARTS),
        "agent": lambda: _agent(results, turns=2 if quick else TURNS),
        "pipecat": lambda: _pipecat(results, seconds=5.0 if quick else PIPECAT_SECONDS),
        "events": lambda: _events(results, window),
        "cluster": lambda: _machines(results, rounds=3 if quick else machines.ROUNDS),
        "sip": lambda: _telephones(results, rounds=4 if quick else TELEPHONE_ROUNDS),
    }
    for section, part in parts.items():
        if section in wanted:
            with going_on(results, section):
                part()


@contextmanager
def going_on(results: Results, name: str) -> Iterator[None]:
    """Let the bench go on after a part that fails, and name that in the results."""
    try:
        yield
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        say(f"FAILED {name}: {error}")
        results.failed.append(name)


def _paths(results: Results, *, rounds: int) -> None:
    say("compiled and Python packet path, Janus and stock aiortc in turn")
    for load in paths.LOADS:
        for legs in paths.LEGS:
            with around(results.readings) as names:
                found = paths.run(load, legs, rounds=rounds, with_janus=not janus.missing())
                names += [one.load for one in found]
            results.paths += found


def _stops(results: Results, *, rounds: int) -> None:
    for load, legs in STOPPED.items():
        say(f"every packet of {legs} legs while the event loop stops, {load}")
        with around(results.readings, f"stops {load}"):
            found = variants.take_turns(load, legs, variants.BUILDS, variants.STOPS, rounds=rounds)
        results.stops += found


def _crossing(results: Results) -> None:
    say("requests to the right node and to the wrong one")
    with (
        around(results.readings, "crossing"),
        servers.start("bridge", core=None, BRIDGE_NODES="2") as server,
    ):
        plan = {"url": server.url}
        results.crossing = jobs.child(
            "tests.bench.studies.crossing", plan, core=None, seconds=_CHILD_SECONDS
        )


def _speech(results: Results) -> None:
    if importlib.util.find_spec("pesq") is None:
        results.skipped.append("PESQ: pesq is not installed")
        return
    say("speech under loss")
    core, beside = servers.cores()
    with servers.start("bridge", core=core) as server:
        plan = {"url": server.url, "losses": list(jobs.LOSSES)}
        found = jobs.child(
            "tests.bench.generators.speech", plan, core=beside, seconds=_CHILD_SECONDS
        )
    results.speech = [Heard(**one) for one in found]


def _sockets(results: Results, seconds: float, kinds: Sequence[str]) -> None:
    core, beside = servers.cores()
    for kind in kinds:
        say(f"{SOCKETS} media sockets, {kind}")
        with (
            around(results.readings, f"sockets {kind}"),
            servers.start("bridge", core=core, BRIDGE_NET__ALLOW=_LOCAL) as server,
        ):
            plan = {
                "url": server.url,
                "pid": server.pid,
                "kind": kind,
                "sockets": SOCKETS,
                "seconds": seconds,
            }
            found = jobs.child(
                "tests.bench.generators.sockets", plan, core=beside, seconds=_CHILD_SECONDS
            )
        results.sockets.append(SocketLoad(**found))


def _playback(results: Results, *, starts: int) -> None:
    say("playing assets, and an hour")
    core, beside = servers.cores()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as root,
        around(results.readings, "playback"),
        servers.start("bridge", core=core, BRIDGE_MEDIA__ROOT=root) as server,
    ):
        plan = {"url": server.url, "pid": server.pid, "root": root, "starts": starts}
        found = jobs.child(
            "tests.bench.generators.playing", plan, core=beside, seconds=_CHILD_SECONDS
        )
    results.played = Played(**found)


def _agent(results: Results, *, turns: int) -> None:
    say("agents that are spoken over")
    core, beside = servers.cores()
    with (
        around(results.readings, "agent"),
        servers.start("bridge", core=core, BRIDGE_NET__ALLOW=_LOCAL) as server,
    ):
        plan = {"url": server.url, "calls": CALLERS, "turns": turns}
        found = jobs.child(
            "tests.bench.generators.talks", plan, core=beside, seconds=_CHILD_SECONDS
        )
    results.talked = Talked(**found)


def _pipecat(results: Results, *, seconds: float) -> None:
    say("speech through Pipecat and back")
    core, beside = servers.cores()
    with (
        around(results.readings, "pipecat"),
        servers.start("bridge", core=core, BRIDGE_NET__ALLOW=_LOCAL) as server,
        servers.start("pipecat", core=beside) as pipecat,
    ):
        plan = {
            "url": server.url,
            "stream_url": pipecat.url,
            "calls": PIPECAT_CALLS,
            "seconds": seconds,
        }
        found = jobs.child(
            "tests.bench.studies.pipecat_echo", plan, core=beside, seconds=_CHILD_SECONDS
        )
    results.pipecat = PipecatEcho(**found)


def _telephones(results: Results, *, rounds: int) -> None:
    for load in telephones.LOADS:
        say(f"{load}: {rounds} rounds of two slices of {telephones.SECONDS:g} s")
        with around(results.readings, load):
            found = telephones.compare(load, rounds=rounds)
        results.telephones.append(found)
    say("calling telephones")
    with around(results.readings, "dialling"):
        results.dialled = telephones.dial()


def _events(results: Results, seconds: float) -> None:
    say("events to the database")
    plan = {"seconds": seconds}
    with around(results.readings, "events"):
        found = jobs.child(
            "tests.bench.studies.event_path", plan, core=None, seconds=_CHILD_SECONDS
        )
    results.events = [EventLoad(**one) for one in found]


def _machines(results: Results, *, rounds: int) -> None:
    say(f"three machines and one: {rounds} rounds of two slices of {machines.SECONDS:g} s")
    plan = {
        "legs": machines.LEGS,
        "rounds": rounds,
        "seconds": machines.SECONDS,
        "requests": machines.REQUESTS,
    }
    limit = _CHILD_SECONDS + rounds * 2 * (machines.SECONDS + 1)
    with around(results.readings, "cluster"):
        found = jobs.child("tests.bench.studies.machines", plan, core=None, seconds=limit)
    results.machines = Machines(**found)


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)

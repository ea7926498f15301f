"""Numbers to reach of recording, media sockets, playback and agents, and whether they were."""

import math
from collections.abc import Iterator, Sequence

from tests.bench.generators.dialling import Dialled
from tests.bench.generators.playing import Played
from tests.bench.generators.socket_programs import STREAMS
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.talks import Talked
from tests.bench.jobs import RECORDED_LEGS
from tests.bench.measure import percentile
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.rows import Row, find
from tests.bench.reports.verdict import Verdict, at_most
from tests.bench.studies.event_path import RATE, EventLoad
from tests.bench.studies.pipecat_echo import PipecatEcho

RECORDED_PCM = 1.15
RECORDED_PASSTHROUGH = 0.40
SOCKET_CPU = 1.0
STREAM_CPU = 0.6
"""Percent of a core for each socket, or Twilio stream, the echoing party of its call included."""
SOCKET_DELAY = 0.150
"""Two messages of up to 60 ms, and the steps of 20 ms on the way there and back."""
START, HOUR_START = 0.100, 0.200
HOUR_BYTES = 4_000_000
STOP, OWN = 0.100, 0.150
PIPECAT = 0.150
TELEPHONE_CPU = 0.95
DIAL, BURST = 0.020, 1.0
EVENT = 0.020


def recording(table: Sequence[Row]) -> Iterator[Verdict]:
    """Check what recording costs."""
    plain = find(table, "pcm kept", RECORDED_LEGS)
    calls = f"{RECORDED_LEGS // 2} two-leg calls"
    for load, limit in (("pcm", RECORDED_PCM), ("passthrough", RECORDED_PASSTHROUGH)):
        recorded = find(table, f"{load} kept", RECORDED_LEGS, "recorded")
        if recorded is None or plain is None:
            continue
        what = "recorded / unrecorded, PCM" if load == "pcm" else "passthrough and recorded / PCM"
        ratio = recorded.cpu_per_leg / plain.cpu_per_leg
        yield Verdict(f"{calls}: CPU, {what}", f"<= {limit:.2f}", f"{ratio:.2f}", ratio <= limit)


def sockets(loads: Sequence[SocketLoad]) -> Iterator[Verdict]:
    """Check what sockets cost, and how late and whole their sound is."""
    for one in loads:
        where = f"{one.sockets} sockets, {one.kind}"
        limit = STREAM_CPU if one.kind in STREAMS else SOCKET_CPU
        yield Verdict(
            f"{where}: CPU per socket",
            f"<= {limit:.1f} %",
            f"{one.cpu_per_socket:.2f} %",
            one.cpu_per_socket <= limit,
        )
        delay = math.inf if len(one.delays) < one.onsets_sent else percentile(one.delays, 95)
        yield at_most(f"{where}: there and back p95", SOCKET_DELAY, delay)
        yield Verdict(
            f"{where}: sound dropped",
            "0 s",
            f"{one.dropped_seconds:.2f} s",
            one.dropped_seconds == 0,
        )


def playback(played: Played | None) -> Iterator[Verdict]:
    """Check how soon sound is heard that was asked for."""
    if played is None:
        return
    start = _p95(played.starts, played.asked)
    yield at_most("an asset is heard after, p95", START, start)
    hour = _p95(played.hour_starts, played.hour_asked)
    yield at_most("an hour of MP3 is heard after, p95", HOUR_START, hour)
    yield Verdict(
        "memory that the hour takes",
        f"<= {HOUR_BYTES / 1e6:.0f} MB",
        f"{played.hour_bytes / 1e6:.1f} MB",
        played.hour_bytes <= HOUR_BYTES,
    )


def agents(talked: Talked | None) -> Iterator[Verdict]:
    """Check how soon agents stop and answer."""
    if talked is None:
        return
    stop = _p95(talked.stops, talked.turns)
    yield at_most("an agent that is spoken over is silent after, p95", STOP, stop)
    own = _p95(talked.own, talked.turns)
    yield at_most("an agent's own share of its answer's delay, p95", OWN, own)


def pipecat(echoed: PipecatEcho | None) -> Iterator[Verdict]:
    """Check how late speech is that went through Pipecat and back."""
    if echoed is None:
        return
    delay = _p95(echoed.delays, echoed.onsets_sent)
    yield at_most("through Pipecat, there and back p95", PIPECAT, delay)


def events(loads: Sequence[EventLoad]) -> Iterator[Verdict]:
    """Check how soon events are on the disk."""
    for one in loads:
        delay = percentile(one.delays, 99) if len(one.delays) == one.sent else math.inf
        yield at_most(f"{RATE:g} events/s, {one.database}: on the disk after, p99", EVENT, delay)


def telephones(found: Sequence[Comparison]) -> Iterator[Verdict]:
    """Check what telephones cost beside browsers."""
    for one in found:
        yield Verdict(
            f"CPU per leg, {one.load}",
            f"<= {TELEPHONE_CPU:.2f}",
            f"{one.ratio:.2f} ({one.lower:.2f} to {one.upper:.2f})",
            one.ratio <= TELEPHONE_CPU,
        )
        rate = one.worst_rate
        yield Verdict(f"packets/s, {one.load}", ">= 49", f"{rate:.1f}", rate >= 49)


def calling(dialled: Dialled | None) -> Iterator[Verdict]:
    """Check how soon telephones are called."""
    if dialled is not None:
        own = _p95(dialled.overheads, dialled.dials)
        yield at_most("the bridge's own share of calling a telephone, p95", DIAL, own)
        what = f"{dialled.burst} telephones called at once are connected after"
        yield at_most(what, BURST, dialled.burst_seconds)


def _p95(values: Sequence[float], wanted: int) -> float:
    """Return the 95th percentile; infinite when one in twenty is missing."""
    return percentile(values, 95) if len(values) >= 0.95 * wanted and values else math.inf

"""Many programs at media sockets: what a socket costs, and how late sound is that went through it.

Started by the bench with a plan (JSON) on standard input; writes what was measured to standard
output (JSON). Every call's far party echoes, so that each program hears what it says.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import aiohttp
import numpy as np
import uvloop
from numpy.typing import NDArray

from tests.bench import measure, scrape
from tests.bench.generators.callers import ECHO_CONTACT, KEY
from tests.bench.generators.signal import make_sound
from tests.bench.generators.socket_programs import PROGRAMS, Program, open_program
from tests.support.packets.opus_packets import RATE
from tests.support.peers.light_peer import Departure
from tests.support.sound.speech_compare import Pcm

PERIOD_SECONDS = 0.96
"""From one onset to the next: a whole number of messages of 20 and of 60 ms."""
_QUIET_SECONDS = 0.36
_PERIODS = 10
_AFTERWARDS = 0.9
_KEPT = 0.5
"""Seconds: an onset is one because of the quiet before it, some of which is heard before a window begins."""
_STAGGER = 0.0074
"""Between two that begin to speak: no two send at the same moment."""
DROPPED = "bridge_socket_dropped_seconds_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLoad:
    """What was measured with many sockets of one kind."""

    kind: str
    """Of `socket_programs.PROGRAMS`."""
    sockets: int
    seconds: float
    cpu_per_socket: float
    """Percent of a core, with the echoing party of its call."""
    delays: list[float]
    """From sending the message that begins with an onset to having the one in which it is heard."""
    onsets_sent: int
    rate: float
    """Share of the messages due that the worst socket was sent."""
    dropped_seconds: float
    """Sound that the bridge says it dropped, on either way."""
    lag_p99: float
    generator_cpu: float
    lateness: float
    """99th percentile of how late messages were sent, seconds."""

    @property
    def name(self) -> str:
        """What the look at the machine is called."""
        return f"sockets {self.kind}"


def loop_sound() -> Pcm:
    """Make the sound that is said over and over: an onset at the beginning of a message."""
    pieces = make_sound(seconds=_PERIODS, seed=1).reshape(_PERIODS, RATE)
    kept = round(PERIOD_SECONDS * RATE)
    return pieces[:, RATE - kept :].reshape(-1)


class Speaker:
    """Says the loop to one program, message by message, on time."""

    def __init__(self, program: Program, sound: Pcm) -> None:
        self.program = program
        self.onsets: list[float] = []
        self.lateness: list[float] = []
        seconds = program.kind.message_seconds
        samples = round(seconds * RATE)
        self._messages = [program.kind.write(part) for part in sound.reshape(-1, samples)]
        self._seconds = seconds
        self._period = round(PERIOD_SECONDS / seconds)
        self._onset = round(_QUIET_SECONDS / seconds)

    async def run(self) -> None:
        """Speak until cancelled."""
        begun, number = time.monotonic(), 0
        while True:
            due = begun + number * self._seconds
            await asyncio.sleep(due - time.monotonic())
            now = time.monotonic()
            self.lateness.append(now - due)
            if number % self._period == self._onset:
                self.onsets.append(now)
            await self.program.send(self._messages[number % len(self._messages)])
            number += 1

    def forget(self, now: float) -> None:
        """Begin a window; what was just heard is the quiet before its first onset."""
        self.onsets.clear()
        self.lateness.clear()
        self.program.heard[:] = [one for one in self.program.heard if one[0] >= now - _KEPT]


async def run(
    url: str, pid: int, *, kind: str, sockets: int, seconds: float, settle: float = 2.0
) -> SocketLoad:
    """Open the sockets, let all speak, measure one window, and close them."""
    sound = loop_sound()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        listener = await stack.enter_async_context(PROGRAMS[kind].listening())
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        speakers: list[Speaker] = []
        running: list[asyncio.Task[None]] = []
        for _ in range(sockets):
            call_id = await _dial(session, url)
            program = await open_program(kind, session, url, call_id, listener)
            running.append(tasks.create_task(program.listen()))
            speakers.append(Speaker(program, sound))
        gc.collect()
        gc.freeze()
        # Not before all are open: a message that is late makes all that follow wait as long.
        for speaker in speakers:
            running.append(tasks.create_task(speaker.run()))
            await asyncio.sleep(_STAGGER)
        try:
            return await _measure(session, url, pid, speakers, kind=kind, window=(settle, seconds))
        finally:
            for task in running:
                task.cancel()
            for speaker in speakers:
                await speaker.program.close()


async def _dial(session: aiohttp.ClientSession, url: str) -> str:
    headers = {"token": KEY}
    body = {"phone": ECHO_CONTACT}
    async with session.post(f"{url}/call/dial", json=body, headers=headers) as reply:
        call_id: str = (await reply.json())["data"]["callId"]
        return call_id


async def _measure(
    session: aiohttp.ClientSession,
    url: str,
    pid: int,
    speakers: Sequence[Speaker],
    *,
    kind: str,
    window: tuple[float, float],
) -> SocketLoad:
    settle, seconds = window
    await asyncio.sleep(settle)
    for speaker in speakers:
        speaker.forget(time.monotonic())
    pids = measure.family(pid)
    before = await _scrape(session, url)
    begin, server, own = time.monotonic(), measure.cpu_seconds(pids), time.process_time()
    await asyncio.sleep(seconds)
    end, server = time.monotonic(), measure.cpu_seconds(pids) - server
    own = time.process_time() - own
    after = await _scrape(session, url)
    lateness = [late for speaker in speakers for late in speaker.lateness]
    await asyncio.sleep(_AFTERWARDS)
    delays, sent = hear(speakers, begin, end)
    lag = scrape.growth(scrape.buckets(before, scrape.LAG), scrape.buckets(after, scrape.LAG))
    due = (end - begin) / speakers[0].program.kind.message_seconds
    return SocketLoad(
        kind=kind,
        sockets=len(speakers),
        seconds=end - begin,
        cpu_per_socket=100 * server / (end - begin) / len(speakers),
        delays=delays,
        onsets_sent=sent,
        rate=min(_count(one.program.heard, begin, end) for one in speakers) / due,
        dropped_seconds=scrape.total(after, DROPPED) - scrape.total(before, DROPPED),
        lag_p99=scrape.quantile(lag, 0.99),
        generator_cpu=100 * own / (end - begin),
        lateness=measure.percentile(lateness, 99),
    )


def hear(speakers: Sequence[Speaker], begin: float, end: float) -> tuple[list[float], int]:
    """Find the onsets that were sent where they were heard: their delays, and how many were sent."""
    delays: list[float] = []
    count = 0
    for speaker in speakers:
        program = speaker.program
        pieces = [(at, _scaled(program.kind.read(content))) for at, content in program.heard]
        sent = [Departure(moment, -1, -1) for moment in speaker.onsets if begin <= moment < end]
        pairs = measure.match(sent, measure.onsets(pieces, program.kind.sample_rate))
        delays += [delay for _, delay in pairs]
        count += len(sent)
    return delays, count


def _scaled(pcm: Pcm) -> NDArray[np.float64]:
    return pcm.astype(np.float64) / 32768


def _count(heard: Sequence[tuple[float, object]], begin: float, end: float) -> int:
    return sum(begin <= moment < end for moment, _ in heard)


async def _scrape(session: aiohttp.ClientSession, url: str) -> scrape.Figures:
    async with session.get(f"{url}/metrics", headers=scrape.KEY) as response:
        return scrape.parse(await response.text())


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    url, pid = plan.pop("url"), plan.pop("pid")
    json.dump(asdict(uvloop.run(run(url, pid, **plan))), sys.stdout)


if __name__ == "__main__":
    main()

"""The load generator: many light peers in one process that is never late itself.

Started by the bench with a plan (JSON) on standard input; writes the measured run (JSON) to
standard output. Packets are encoded before and decoded after the measured time.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import uvloop
from aiortc import RTCCertificate

from tests.load import measure
from tests.load.measure import Run, Window
from tests.load.signal import PERIOD_FRAMES, Loop, make_loop
from tests.support.impairment import Impairment
from tests.support.light_peer import Departure, LightPeer
from tests.support.signalling import HttpExchange, StockExchange

ECHO_CONTACT = "15550100001"
FRAME_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a generator is to do."""

    target: str
    """`bridge` or `stock`."""
    url: str
    pid: int
    """Of the server, whose processor time and memory are read."""
    legs: int
    seconds: float
    """Of each window."""
    losses: list[float]
    """One window for each."""
    settle: float = 2.0
    """Seconds before each window."""
    key: str = "demo"


class Offering(Protocol):
    """An exchange that knows how long the last answer took."""

    seconds: float

    async def __call__(self, offer: str) -> str:
        """Take the offer, bring the answer."""
        ...


class Caller:
    """Makes and ends calls at one kind of server."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._headers = {"token": plan.key}

    async def dial(self) -> tuple[Offering, str]:
        """Make a call to the echo; returns how to join it, and its id."""
        if self._plan.target == "stock":
            return StockExchange(self._session.post, self._plan.url), ""
        reply = await self._post("/call/dial", {"phone": ECHO_CONTACT})
        call_id = reply["data"]["callId"]
        exchange = HttpExchange(
            self._session.post, self._plan.url, call_id=call_id, key=self._plan.key
        )
        return exchange, call_id

    async def hang_up(self, call_id: str) -> None:
        """End a call."""
        if call_id:
            await self._post("/call/hangup", {"callId": call_id})

    async def _post(self, path: str, body: dict[str, str]) -> Any:
        async with self._session.post(
            self._plan.url + path, json=body, headers=self._headers
        ) as response:
            if response.status != 200:
                raise ConnectionError(f"{path}: {response.status} {await response.text()}")
            return await response.json(content_type=None)


class Talker:
    """One leg: sends a packet every 20 ms and notes when."""

    def __init__(self, number: int, peer: LightPeer, loop: Loop) -> None:
        self.number = number
        self.peer = peer
        self.call_id = ""
        self.onsets: list[Departure] = []
        self.lateness: list[float] = []
        self.loss = Impairment()
        self._loop = loop
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._begun = 0.0
        self._first = number * 7 % PERIOD_FRAMES

    def start(self) -> None:
        """Begin to talk."""
        self._begun = asyncio.get_running_loop().time()
        self._tick()

    def stop(self) -> None:
        """Fall silent."""
        if self._timer is not None:
            self._timer.cancel()

    def begin_window(self, loss: float) -> None:
        """Forget what was measured and lose this share of the packets from now on."""
        self.loss = Impairment(seed=self.number, loss=loss)
        self.onsets.clear()
        self.lateness.clear()
        self.peer.arrivals.clear()

    def _tick(self) -> None:
        clock = asyncio.get_running_loop()
        due = self._begun + self._sent * FRAME_SECONDS
        self.lateness.append(clock.time() - due)
        frame = self._first + self._sent
        if self.loss.loss and not self.loss.decide(self._sent):
            self.peer.skip()
        else:
            departure = self.peer.send(self._loop.payload(frame))
            if self._loop.is_onset(frame):
                self.onsets.append(departure)
        self._sent += 1
        self._timer = clock.call_at(due + FRAME_SECONDS, self._tick)


async def run(plan: Plan) -> Run:
    """Open the legs, measure every window, close the legs."""
    loop = make_loop()
    certificate = RTCCertificate.generateCertificate()
    result = Run(target=plan.target, legs=plan.legs)
    async with aiohttp.ClientSession() as session:
        caller = Caller(plan, session)
        await _warm(caller, certificate, loop)
        memory = measure.resident_bytes(plan.pid)
        talkers: list[Talker] = []
        try:
            for number in range(plan.legs):
                talkers.append(await _join(number, caller, certificate, loop, result))
                await asyncio.sleep(FRAME_SECONDS * 1.37)
            gc.collect()
            gc.freeze()
            gc.disable()
            for loss in plan.losses:
                result.windows.append(await _measure(plan, talkers, loss))
            held = measure.resident_bytes(plan.pid) - memory
            result.memory_per_leg = held / plan.legs
        finally:
            await _leave(caller, talkers)
    return result


async def _warm(caller: Caller, certificate: RTCCertificate, loop: Loop) -> None:
    """Hold one call for a moment, so that what is loaded once is not counted as a leg's."""
    result = Run(target="", legs=1)
    talker = await _join(0, caller, certificate, loop, result)
    await asyncio.sleep(0.5)
    await _leave(caller, [talker])
    await asyncio.sleep(0.5)


async def _join(
    number: int, caller: Caller, certificate: RTCCertificate, loop: Loop, result: Run
) -> Talker:
    exchange, call_id = await caller.dial()
    peer = LightPeer(certificate=certificate, ssrc=0x1000 + number)
    offer = await peer.offer()
    begun = time.monotonic()
    answer = await exchange(offer)
    result.answers.append(exchange.seconds)
    await peer.accept(answer)
    result.setups.append(time.monotonic() - begun)
    talker = Talker(number, peer, loop)
    talker.call_id = call_id
    talker.start()
    return talker


async def _leave(caller: Caller, talkers: list[Talker]) -> None:
    for talker in talkers:
        talker.stop()
        await talker.peer.close()
        await caller.hang_up(talker.call_id)


async def _measure(plan: Plan, talkers: list[Talker], loss: float) -> Window:
    _say(f"{plan.target}: {plan.legs} legs, {loss:.0%} loss, {plan.seconds:g} s")
    for talker in talkers:
        talker.begin_window(loss)
    await asyncio.sleep(plan.settle)
    for talker in talkers:
        talker.lateness.clear()
    begin, server, own = time.monotonic(), measure.cpu_seconds(plan.pid), time.process_time()
    await asyncio.sleep(plan.seconds)
    end, server = time.monotonic(), measure.cpu_seconds(plan.pid) - server
    own = time.process_time() - own
    lateness = [late for talker in talkers for late in talker.lateness]
    await asyncio.sleep(0.5)
    spent = end - begin
    heard = [measure.heard_onsets(talker.peer.arrivals) for talker in talkers]
    sent = [[one for one in t.onsets if begin <= one.time < end] for t in talkers]
    pairs = [pair for s, h in zip(sent, heard, strict=True) for pair in measure.match(s, h)]
    return Window(
        loss=loss,
        seconds=spent,
        cpu_per_leg=100 * server / spent / plan.legs,
        delays=[delay for _, delay in pairs],
        growth=measure.growth(pairs, begin, end),
        rates=[measure.rate(talker.peer.arrivals, begin, end) for talker in talkers],
        onsets_sent=sum(len(one) for one in sent),
        offsets=[onset.offset for one in heard for onset in one],
        generator_cpu=100 * own / spent,
        lateness=measure.percentile(lateness, 99),
    )


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Do what standard input says."""
    plan = Plan(**json.load(sys.stdin))
    result = uvloop.run(run(plan))
    json.dump(measure.to_json(result), sys.stdout)


if __name__ == "__main__":
    main()

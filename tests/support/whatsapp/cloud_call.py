"""One WhatsApp leg on loopback, between a fake of Meta's API and a media server like Meta's."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import numpy as np

from bridge.audio.frame import FRAME_SAMPLES, Frame
from bridge.call import events
from bridge.call.model import EndReason, LegId
from bridge.errors import BridgeError, LegError
from bridge.legs.cloud import CloudLeg, InboundCall
from bridge.metrics.calls import SetupMetrics
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from bridge.wire.sdp.dialect import WHATSAPP
from tests.support.machine import free_ports
from tests.support.peers.bridge_peer import opus
from tests.support.peers.meta_peer import MetaPeer
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

LEG = LegId("leg_1")
WACID = "wacid.EXAMPLEAA=="
DIALLED = events.LegDialled(LEG)
CONNECTED, ANSWERED = events.LegConnected(LEG), events.LegAnswered(LEG)


class FakeMeta:
    """Takes what the leg asks of Meta and passes its descriptions to a media server."""

    def __init__(self, media: MetaPeer) -> None:
        self.media = media
        self.asked: list[tuple[str, str]] = []
        self.error = LegError("Meta said no")
        self.refuses: set[str] = set()
        self.slow: set[str] = set()

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        await self._ask("pre_accept", sdp)
        await self.media.take_answer(sdp)

    async def accept(self, call_id: str, sdp: str) -> None:
        await self._ask("accept", sdp)
        await self.media.take_answer(sdp)
        self.media.accepted()

    async def reject(self, call_id: str) -> None:
        await self._ask("reject", call_id)

    async def terminate(self, call_id: str) -> None:
        await self._ask("terminate", call_id)

    async def _ask(self, action: str, said: str) -> None:
        self.asked.append((action, said))
        if action in self.slow:
            await asyncio.sleep(60)
        if action in self.refuses:
            raise self.error

    def suspend(self, call_id: str) -> Callable[[], None]:
        self.asked.append(("suspend", call_id))
        return lambda: self.asked.append(("resume", call_id))

    def snapshot(self) -> None:
        """What another process needs is in the database."""

    def abandon(self) -> None:
        """Another process has the call."""

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.asked]


class Observed:
    """Takes what a leg tells of its set-up."""

    def __init__(self) -> None:
        self.setups: list[str] = []
        self.stages: list[str] = []
        self.failures: list[tuple[str, str]] = []

    def leg_setup(self, kind, outcome, seconds) -> None:
        self.setups.append(outcome)

    def setup_stage(self, stage, seconds) -> None:
        self.stages.append(stage)

    def transport_failed(self, stage, reason) -> None:
        self.failures.append((stage, reason))

    def ice_restart(self, outcome) -> None:
        raise AssertionError("Meta restarts nothing")


class Call:
    """A leg, its media server, what it emitted, and its run."""

    def __init__(self, media: MetaPeer, *, timeouts: Timeouts | None = None) -> None:
        self.media = media
        self.meta = FakeMeta(media)
        self.pool = PortPool(free_ports(2))
        self.observed = Observed()
        self.events: list[events.LegEvent] = []
        self.config = PeerConfig(
            bind=("127.0.0.1",),
            ports=self.pool,
            timeouts=replace(timeouts or Timeouts(), clock=monotonic),
            dialect=WHATSAPP,
        )
        self.leg: CloudLeg
        self.offer = ""
        self.refuses: BridgeError | None = None
        self.running: asyncio.Task[None] | None = None

    def make(self, inbound: InboundCall | None = None) -> CloudLeg:
        self.leg = CloudLeg(
            LEG,
            signalling=self.meta,
            peer=lambda on_digit, on_restart: Peer(
                config=self.config,
                certificates=Certificates(),
                opus=opus(),
                on_digit=on_digit,
                on_restart=on_restart,
            ),
            counters=cast("SetupMetrics", self.observed),
            inbound=inbound,
            connect=None if inbound else self.connect,
        )
        return self.leg

    def run(self) -> None:
        self.running = asyncio.create_task(self.leg.run(self.events.append))

    async def ring_us(self, **more) -> None:
        self.make(InboundCall(WACID, await self.media.offer(), **more))
        self.run()

    async def ring_them(self) -> None:
        self.make()
        self.run()
        await until(lambda: self.offer)
        self.leg.set_answer(await self.media.answer(self.offer))

    async def connect(self, leg: CloudLeg, offer: str) -> None:
        """Accept the leg's dial as Meta does."""
        self.offer = offer
        if self.refuses is not None:
            raise self.refuses
        leg.dialled(WACID)

    async def talk(self, *, inbound: bool = True) -> None:
        """Set the call up until sound flows."""
        if inbound:
            await self.ring_us()
            self.leg.answer()
        else:
            await self.ring_them()
            self.pick_up()
        await until(self.has(CONNECTED), timeout=10)

    def pick_up(self) -> None:
        self.media.accepted()
        self.leg.accepted()

    async def over(self) -> None:
        assert self.running is not None
        async with asyncio.timeout(10):
            await self.running

    async def hang_up(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    def has(self, event: events.LegEvent):
        return lambda: event in self.events


@asynccontextmanager
async def call(speech=None, *, timeouts: Timeouts | None = None, **form):
    async with MetaPeer(speech, **form) as media:
        made = Call(media, timeouts=timeouts)
        try:
            yield made
        finally:
            await made.hang_up()
            assert made.pool.used == 0


def ended(reason: EndReason, error: BridgeError | None = None) -> events.LegEnded:
    return events.LegEnded(LEG, reason, error)


async def say(leg: CloudLeg, pcm: np.ndarray) -> None:
    """Push frames to the leg as the bus would."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(len(pcm) // FRAME_SAMPLES):
        await asyncio.sleep(began + 0.02 * number - loop.time())
        place = FRAME_SAMPLES * number
        frame = Frame(pcm[place : place + FRAME_SAMPLES].tobytes(), place, "voice")
        leg.sink.push(frame, loop.time())

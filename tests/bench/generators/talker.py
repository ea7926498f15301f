"""One leg of the load: says the bursts on time, through a network that may be bad."""

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

from tests.bench.generators.signal import PERIOD_FRAMES, Loop
from tests.support.packets.impairment import Impairment, Schedule
from tests.support.peers.light_peer import Arrival, Departure

FRAME_SECONDS = 0.02
FRAME_SAMPLES = 960
"""Of the RTP clock, 48 kHz."""
PHASE_SECONDS = 0.618 * FRAME_SECONDS
"""Between two legs: however many there are, they are spread over a frame."""


class Sender(Protocol):
    """What a talker speaks through."""

    arrivals: list[Arrival]

    def send(self, payload: bytes) -> Departure:
        """Send one packet of 20 ms at once."""

    def skip(self) -> None:
        """Go on as if a packet had been sent and was lost."""

    def pause(self, samples: int) -> None:
        """Let time pass without packets; `samples` at 48 kHz."""

    async def close(self) -> None:
        """Free the socket."""


class Speaker(Protocol):
    """Who is heard by a leg."""

    @property
    def onsets(self) -> Sequence[Departure]:
        """When the packets with an onset were sent."""


class Talker:
    """Sends a packet every 20 ms and notes when.

    Args:
        number: Among all legs; each begins elsewhere in the loop.
        peer: Connected.
        loop: What it says.
        clock: When it says it; the running event loop unless given.
    """

    def __init__(
        self,
        number: int,
        peer: Sender,
        loop: Loop,
        *,
        clock: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.number = number
        self.peer = peer
        self.hears: Speaker | None = None
        """Whose bursts come here."""
        self.onsets: list[Departure] = []
        """When the packets with an onset were sent; with jitter, when they were to be sent."""
        self.lateness: list[float] = []
        self._loop = loop
        self._clock = clock or asyncio.get_running_loop()
        self._network = Impairment()
        self._schedule = Schedule(self._network)
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._begun = 0.0
        self._first = number * 7 % PERIOD_FRAMES

    def start(self) -> None:
        """Begin to talk, in the phase of the leg's number, so that packets come as close together at every server."""
        now = self._clock.time()
        self._begun = now + (self.number * PHASE_SECONDS - now) % FRAME_SECONDS
        self._timer = self._clock.call_at(self._begun, self._tick)

    def stop(self) -> None:
        """Fall silent."""
        if self._timer is not None:
            self._timer.cancel()

    def resume(self) -> None:
        """Talk again after `stop`, in the phase of before; nothing was sent meanwhile (DTX)."""
        clock = self._clock
        due = self._begun + self._sent * FRAME_SECONDS
        missed = max(0, math.ceil((clock.time() - due) / FRAME_SECONDS))
        self.peer.pause(missed * FRAME_SAMPLES)
        self._begun += missed * FRAME_SECONDS
        self._timer = clock.call_at(due + missed * FRAME_SECONDS, self._tick)

    def begin_window(self, network: Impairment) -> None:
        """Forget what was measured; what is sent goes through this network from now on."""
        self._network = network
        self._schedule = Schedule(network)
        self.onsets.clear()
        self.lateness.clear()
        self.peer.arrivals.clear()

    def begin_lateness(self) -> None:
        """Forget how late packets were sent."""
        self.lateness.clear()

    def _tick(self) -> None:
        clock = self._clock
        due = self._begun + self._sent * FRAME_SECONDS
        now = clock.time()
        self.lateness.append(now - due)
        frame = self._first + self._sent
        if self._network.jitter:
            self._send_later(clock, frame, now)
        elif self._network.loss and not self._network.decide(self._sent):
            self.peer.skip()
        else:
            departure = self.peer.send(self._loop.payload(frame))
            if self._loop.is_onset(frame):
                self.onsets.append(departure)
        self._sent += 1
        self._timer = clock.call_at(due + FRAME_SECONDS, self._tick)

    def _send_later(self, clock: asyncio.AbstractEventLoop, frame: int, now: float) -> None:
        """Send a packet when the network lets it through; in order, as the timers keep theirs."""
        payload = self._loop.payload(frame)
        if self._loop.is_onset(frame):
            self.onsets.append(Departure(now, -1, -1))
        for moment in self._schedule.due(now):
            clock.call_at(moment, self.peer.send, payload)

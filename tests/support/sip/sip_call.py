"""One telephone leg on loopback, between a scripted dialog and a telephone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from bridge.audio.codec.codec import PCMA, PCMU, Codec
from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.model import EndReason, LegId
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import InboundInvite, SipOptions
from bridge.metrics.calls import SetupMetrics
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.plain_peer import PlainPeer
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_source import RtpSource, SourcePolicy
from bridge.sip import events as sip
from bridge.trunk.dialog import AgentDialog
from bridge.wire.sdp.rtp import Security
from tests.support.machine import free_port
from tests.support.packets.packet_path import packet_path, threads_at_work
from tests.support.peers.bridge_peer import opus
from tests.support.sip.telephone import ScriptedDialog, Telephone
from tests.support.virtual_time import VirtualTimeLoop, monotonic
from tests.support.waiting import until

LEG = LegId("leg_1")
ANY_SOURCE = SourcePolicy()
DIALLED, RINGING, EARLY = (
    events.LegDialled(LEG),
    events.LegRinging(LEG),
    events.LegEarlyMedia(LEG),
)
ANSWERED, CONNECTED = events.LegAnswered(LEG), events.LegConnected(LEG)
HELD, UNHELD = events.LegHeld(LEG), events.LegUnheld(LEG)


class Observed:
    """Takes what a leg tells of its set-up."""

    def __init__(self) -> None:
        self.setups: list[str] = []

    def leg_setup(self, kind: Any, outcome: str, seconds: float) -> None:
        self.setups.append(outcome)

    def setup_stage(self, stage: str, seconds: float) -> None:
        raise AssertionError("there are no stages")

    def transport_failed(self, stage: str, reason: str) -> None:
        raise AssertionError("there is no transport to fail")

    def ice_restart(self, outcome: str) -> None:
        raise AssertionError("there is no ICE")


class Call:
    """A leg, its telephone and dialog, what it emitted, and its run."""

    def __init__(
        self,
        phone: Telephone,
        codecs: Sequence[Codec],
        security: Security,
        source_policy: SourcePolicy,
    ) -> None:
        self.phone = phone
        self.dialog = ScriptedDialog()
        self.observed = Observed()
        self.events: list[events.LegEvent] = []
        """All but of renegotiations, which are counted."""
        self.renegotiated = 0
        self.frames: list[Frame] = []
        even = {free_port() & ~1 for _ in range(4)}
        self.pool = PortPool([port + more for port in even for more in (0, 1)])
        self.path = packet_path(opus(), monotonic)
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.stand_still_while(threads_at_work)
        self.config = PeerConfig(
            bind=("127.0.0.1",),
            ports=self.pool,
            timeouts=Timeouts(clock=monotonic),
            packet_path=self.path,
        )
        self.codecs, self.security, self.source_policy = codecs, security, source_policy
        self.unverified = 0
        """Addresses heard that nothing vouches for."""
        self.peer: PlainPeer
        self.leg: SipLeg
        self.running: asyncio.Task[None] | None = None

    def make(self, inbound: InboundInvite | None = None, **options: Any) -> SipLeg:
        """Make the leg."""

        def media(on_digit: Any, signaller: Any) -> PlainPeer:
            self.peer = PlainPeer(
                config=self.config,
                opus=opus(),
                codecs=self.codecs,
                security=self.security,
                on_digit=on_digit,
                source=RtpSource(
                    self.source_policy,
                    signaller=signaller,
                    on_unverified=self._note_unverified,
                ),
            )
            return self.peer

        self.leg = SipLeg(
            LEG,
            dialog=cast("AgentDialog", self.dialog),
            media=media,
            counters=cast("SetupMetrics", self.observed),
            inbound=inbound,
            options=SipOptions(**options),
        )
        return self.leg

    def _note_unverified(self) -> None:
        self.unverified += 1

    def run(self) -> None:
        """Begin the leg's life."""
        self.leg.source.attach(lambda frame, _: self.frames.append(frame))
        self.running = asyncio.create_task(self.leg.run(self._note))

    async def dial(self, **options: Any) -> None:
        """Let the leg dial the telephone, which knows then where to send."""
        self.make(**options)
        self.run()
        await until(lambda: self.dialog.asked)
        self.phone.follow(self.dialog.last("invite"))

    async def talk(self, *lines: str, **options: Any) -> None:
        """Let the leg dial, and the telephone answer."""
        await self.dial(**options)
        self.say(sip.Answered(self.phone.describe(*lines)))

    async def ring_us(self, *lines: str, **options: Any) -> None:
        """Let the telephone call, and the leg ring."""
        self.make(InboundInvite(self.phone.describe(*lines)), **options)
        self.run()
        await until(lambda: self.dialog.asked)

    async def pick_up(self) -> None:
        """Answer the telephone's call."""
        self.leg.answer()
        await until(lambda: "answer" in self.dialog.verbs)
        self.phone.follow(self.dialog.last("answer"))

    def _note(self, event: events.LegEvent) -> None:
        if isinstance(event, events.LegRenegotiated):
            self.renegotiated += 1
        else:
            self.events.append(event)

    def say(self, event: sip.DialogEvent) -> None:
        """Let something happen to the dialog."""
        self.dialog.on_event(event)

    async def hang_up(self) -> None:
        """End the leg from our side."""
        assert self.running is not None
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running

    @property
    def ends(self) -> list[EndReason]:
        """Why the leg ended, once it has."""
        return [one.reason for one in self.events if isinstance(one, events.LegEnded)]


@asynccontextmanager
async def call(
    *,
    codecs: Sequence[Codec] = (PCMU, PCMA),
    security: Security = "off",
    rtcp: bool = True,
    source_policy: SourcePolicy = ANY_SOURCE,
) -> AsyncIterator[Call]:
    """Return a call whose leg is made by the test, and free everything; nothing may be left of it."""
    phone = await Telephone().open(rtcp=rtcp)
    one = Call(phone, codecs, security, source_policy)
    try:
        yield one
    finally:
        phone.close()
        if one.running is not None:
            await one.hang_up()
        if one.path is not None:
            one.path.close()
        assert one.pool.used == 0

"""SIP agents of the tests, on loopback, and legs that note what happens to their dialogs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any, TypeVar, cast

from bridge.http.resolver import Dns
from bridge.metrics.sip import SipMetrics
from bridge.sip.events import DialogEvent
from bridge.trunk.admission import InboundTrunk, SipAdmission
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.rate import SipRate
from bridge.trunk.sockets import Listen, SipSockets, Tls
from bridge.trunk.targets import SipTargets
from bridge.trunk.trunk import OutboundCall, TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from tests.support.machine import free_port
from tests.support.sip.sip_peer import running
from tests.support.waiting import until

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)

TRUSTED = InboundTrunk(name="trunk", networks=(ip_network("127.0.0.0/8"),))
"""May call without a password: all of loopback."""
GUARDED = InboundTrunk(name="trunk", username="carrier", password="a secret")
"""Has to log in."""

Kind = TypeVar("Kind", bound=DialogEvent)


class Counted:
    """Counts what an agent counts."""

    def __init__(self) -> None:
        self.messages: Counter[tuple[str, str, int]] = Counter()
        self.drops: Counter[str] = Counter()

    def message(self, direction: str, method: str, code: int) -> None:
        self.messages[direction, method, code] += 1

    def dropped(self, reason: str, /, *, amount: int = 1) -> None:
        self.drops[reason] += amount


class CallNotes:
    """A dialog, and what happened to it."""

    def __init__(self, dialog: AgentDialog, invite: IncomingInvite | None = None) -> None:
        self.dialog = dialog
        self.invite = invite
        self.events: list[DialogEvent] = []
        dialog.on_event = self.events.append

    async def event(self, kind: type[Kind], number: int = 1, *, timeout: float = 5.0) -> Kind:
        """Wait for the event of a kind, the first or a later one; return it."""

        def found() -> list[Kind]:
            return [event for event in self.events if isinstance(event, kind)]

        try:
            await until(lambda: len(found()) >= number, timeout=timeout)
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} among {self.events}") from None
        return found()[number - 1]


class AgentUnderTest:
    """An agent on a port of loopback, and the calls that came in."""

    def __init__(self, port: int, listen: Sequence[Listen], **more: Any) -> None:
        self.port = port
        self.counted = Counted()
        self.incoming: list[CallNotes] = []
        self.admission = SipAdmission(
            more.get("inbound", ()), algorithms=more.get("algorithms", ("SHA-256", "MD5"))
        )
        self.sockets = SipSockets(
            listen,
            tls=more.get("tls", Tls()),
            rate=SipRate(more.get("per_second", 1000.0), known=self.admission.knows),
            count_drop=self.counted.dropped,
        )
        loop = asyncio.get_running_loop()
        self.targets = SipTargets(more.get("dns") or Dns(), now=loop.time)
        self.agent = SipAgent(
            self.sockets,
            targets=self.targets,
            admission=self.admission,
            counters=cast("SipMetrics", self.counted),
            node=more.get("node", 0),
        )
        if more.get("takes_calls", True):
            self.agent.on_invite = self._invited

    def _invited(self, invite: IncomingInvite) -> None:
        self.incoming.append(CallNotes(invite.dialog, invite))

    def call(
        self, trunk: TrunkAddress, number: str = "+4930123", *, sdp: str = SDP, **more: Any
    ) -> CallNotes:
        """Dial, and return the notes of the call."""
        dialog = self.agent.dialog(trunk, OutboundCall(number=number, caller="+49301", **more))
        notes = CallNotes(dialog)
        dialog.invite(sdp)
        return notes

    async def invited(self, number: int = 1) -> CallNotes:
        """Wait for an inbound call, and return its notes."""
        await until(lambda: len(self.incoming) >= number)
        return self.incoming[number - 1]

    async def health(self, name: str, wanted: TrunkHealth, *, timeout: float = 5.0) -> None:
        """Wait until a trunk is as wanted."""
        try:
            await until(lambda: self.agent.trunks.health(name) == wanted, timeout=timeout)
        except TimeoutError:
            raise AssertionError(f"{self.agent.trunks.health(name)}") from None


@asynccontextmanager
async def sip_agent(transport: Any = "udp", **more: Any) -> AsyncIterator[AgentUnderTest]:
    """Run an agent until the block is left; `transport` is where it listens, None for nowhere.

    `more` are of the agent: `inbound` (trunks that may call), `tls`, `dns`, `per_second`, `node`, `takes_calls`,
    `algorithms`, `host`, `port`.
    """
    host = more.pop("host", "127.0.0.1")
    port = more.pop("port", 0) or free_port(host)
    listen = [Listen(transport, host, port)] if transport else []
    made = AgentUnderTest(port, listen, **more)
    async with running(made.agent):
        yield made


def trunk_to(
    port: int, *, name: str = "trunk", host: str = "127.0.0.1", **more: Any
) -> TrunkAddress:
    """Return the trunk at a port of loopback."""
    return TrunkAddress(name=name, host=host, port=port, **more)

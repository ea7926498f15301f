"""The simulated telephone network: contacts that are reached over SIP and G.711, on loopback.

Two user agents of this process call each other, one as the line's trunk sees the bridge, one as the network
behind it. Their sockets are opened for the first call.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextvars import copy_context
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol

from bridge.audio.codec.codec import PCMA, PCMU
from bridge.call import events
from bridge.call.bus.bus import Bus
from bridge.call.model import CallFacts, LineName
from bridge.call.policy import SIMULATED_CONTACTS, SIMULATED_TELEPHONES
from bridge.errors import BridgeError, LegError, LimitExceeded
from bridge.http.resolver import Address, LookupFailed, Service
from bridge.legs.base import DialledLeg, DigitSender, EndsWithReason, Leg, new_leg_id
from bridge.legs.sip_reasons import refusal_code
from bridge.log import request_id
from bridge.providers.simulator.provider import SimulatorProvider
from bridge.providers.sip.trunks import MakeSipLeg, Trunk, TrunkMedia
from bridge.tasks import Tasks
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.trunk import OutboundCall, TrunkAddress

log = logging.getLogger(__name__)

HOST: Final = "telephones.invalid"
"""The simulated network's name, which only its own resolver knows (RFC 6761)."""
LOOPBACK: Final = "127.0.0.1"
CONTACTS_BEGIN: Final = "155501"
"""The contacts of the simulator, each of which has a telephone too."""
TALKER: Final = SIMULATED_CONTACTS + "2"
MAX_CALLS: Final = 100
ARRIVAL_SECONDS: Final = 5.0
"""How long a call of a telephone may take to arrive."""
CALL_HEADER: Final = "X-Simulated-Call"
"""Distinguishes the inbound calls of telephones."""

G711: Final = TrunkMedia((PCMU, PCMA))
TRUNK: Final = Trunk(address=TrunkAddress(name="simulated", host=HOST, transport="udp"), media=G711)
"""The network, as the line's agent reaches it."""
EXCHANGE: Final = Trunk(
    address=TrunkAddress(name="exchange", host=HOST, transport="udp"), media=G711
)
"""The line's agent, as the network reaches it."""


class SimulatedNames:
    """Finds the simulated network once it listens (`trunk.targets.SipResolver`)."""

    def __init__(self) -> None:
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def listening(self, port: int) -> None:
        """Set the port it listens on."""
        if not self._port.done():
            self._port.set_result(port)

    async def resolve(self, host: str) -> list[Address]:
        """Return loopback."""
        if host != HOST:
            raise LookupFailed("only the simulated network is known", outcome="nothing")
        return [ip_address(LOOPBACK)]

    async def services(self, name: str) -> list[Service]:
        """Return the port, once it is open."""
        return [Service(0, 0, await asyncio.shield(self._port), HOST)]


class CallBus(Protocol):
    """A bus on the node's clock (`node.clock.BusClock`)."""

    @property
    def bus(self) -> Bus:
        """The bus."""

    def follow(self) -> None:
        """Join the clock, or leave it, as the bus's sinks now need."""


class SimulatedAgents(NamedTuple):
    """The two user agents, whose sockets are not open yet."""

    caller: SipAgent
    """The bridge's, as the line's trunk sees it."""
    called: SipAgent
    """The network's."""
    caller_port: Callable[[], int]
    called_port: Callable[[], int]
    """Return the port of each, once it listens."""


class SimulatedTelephones:
    """The telephones of the simulated contacts, for the lines that have no other trunk."""

    def __init__(
        self,
        contacts: SimulatorProvider,
        *,
        make_agents: Callable[[SimulatedNames, SimulatedNames], SimulatedAgents],
        make_leg: MakeSipLeg,
        make_bus: Callable[[], CallBus],
    ) -> None:
        """Each of the `contacts` has a telephone."""
        self._contacts = contacts
        self._make_agents = make_agents
        self._make_leg = make_leg
        self._make_bus = make_bus
        self._agents: SimulatedAgents | None = None
        self._expected: dict[str, asyncio.Future[DialledLeg]] = {}
        """Legs of calls that telephones make, until they arrive; by `CALL_HEADER`."""
        self._tasks = Tasks()
        self._calls = 0

    def has(self, line: LineName) -> bool:
        """Return whether the line reaches the simulated telephones."""
        return self._contacts.has(line)

    def outbound_leg(self, call: CallFacts, number: str, replaces: str = "") -> DialledLeg:
        """Return a leg that rings a simulated telephone (`legs.base.Dialer`)."""
        caller = call.details.parties.from_ or "bridge"
        dialled = OutboundCall(number=f"+{number}", caller=caller, replaces=replaces)
        dialog = self._open().caller.dialog(TRUNK.address, dialled)
        return self._make_leg(new_leg_id(), dialog=dialog, trunk=TRUNK)

    async def incoming_leg(self, number: str, called: str) -> DialledLeg:
        """Have a telephone call us, and return the leg of that call once it has arrived.

        Raises:
            LimitExceeded: too many telephones talk.
            LegError: it did not arrive.
        """
        if self._calls >= MAX_CALLS:
            raise LimitExceeded("all simulated telephones are in use")
        key = secrets.token_hex(8)
        dialled = OutboundCall(
            number=called or "bridge", caller=f"+{number}", headers=((CALL_HEADER, key),)
        )
        dialog = self._open().called.dialog(EXCHANGE.address, dialled)
        contact = self._contacts.leg(_contact_of(number), inbound=True)
        conversation = _Conversation(
            lambda: self._make_leg(new_leg_id(), dialog=dialog, trunk=EXCHANGE),
            contact,
            self._make_bus(),
        )
        arrived: asyncio.Future[DialledLeg] = asyncio.get_running_loop().create_future()
        self._expected[key] = arrived
        self._calls += 1
        self._tasks.spawn(self._hold(conversation, calls=True), name="sip.simulated.call")
        try:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                return await arrived
        except TimeoutError:
            raise LegError("the simulated telephone did not get through") from None
        finally:
            del self._expected[key]

    async def aclose(self) -> None:
        """End what is left of its calls, and close the sockets."""
        await self._tasks.aclose()

    def _open(self) -> SimulatedAgents:
        if self._agents is None:
            here, there = SimulatedNames(), SimulatedNames()
            self._agents = agents = self._make_agents(here, there)
            agents.called.on_invite, agents.caller.on_invite = self._take, self._arrived
            called = agents.called.run(lambda: there.listening(agents.called_port()))
            caller = agents.caller.run(lambda: here.listening(agents.caller_port()))
            # They outlive the request that has them opened, and what they log is not about it.
            context = copy_context()
            context.run(request_id.set, "")
            context.run(self._tasks.spawn, called, name="sip.simulated.called")
            context.run(self._tasks.spawn, caller, name="sip.simulated.caller")
        return self._agents

    def _arrived(self, invite: IncomingInvite) -> None:
        """Take a call that a telephone makes to us."""
        key = next(iter(invite.invitation.headers.get(CALL_HEADER.lower(), ())), "")
        expected = self._expected.get(key)
        if expected is None or expected.done():
            invite.dialog.refuse(404)
            return
        try:
            leg = self._make_leg(new_leg_id(), dialog=invite.dialog, trunk=TRUNK, inbound=invite)
        except BridgeError as error:
            invite.dialog.refuse(488)
            expected.set_exception(error)
        else:
            expected.set_result(leg)

    def _take(self, invite: IncomingInvite) -> None:
        """Take a call that reaches the network."""
        if self._calls >= MAX_CALLS:
            invite.dialog.refuse(503)
            return
        contact = self._contacts.leg(_contact_of(invite.to_number.removeprefix("+")), inbound=False)
        conversation = _Conversation(
            lambda: self._make_leg(
                new_leg_id(), dialog=invite.dialog, trunk=EXCHANGE, inbound=invite
            ),
            contact,
            self._make_bus(),
            refuse=invite.dialog.refuse,
        )
        self._calls += 1
        self._tasks.spawn(self._hold(conversation, calls=False), name="sip.simulated.call")

    async def _hold(self, conversation: "_Conversation", *, calls: bool) -> None:
        try:
            await conversation.run(calls=calls)
        finally:
            self._calls -= 1


class _Conversation:
    """A contact and its telephone, until one of them leaves."""

    def __init__(
        self,
        make_telephone: Callable[[], DialledLeg],
        contact: DialledLeg,
        call_bus: CallBus,
        *,
        refuse: Callable[[int], None] = lambda code: None,
    ) -> None:
        """`refuse` ends a call that has come before its telephone rings."""
        self._make_telephone = make_telephone
        self._contact = contact
        self._call_bus = call_bus
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._telephone: DialledLeg | None = None
        """Once it rings, or calls."""
        self._tasks = Tasks()
        self._over = asyncio.Event()

    async def run(self, *, calls: bool) -> None:
        """Talk; `calls` says whether the contact has picked up its telephone to call us."""
        if calls:
            self._connect()
        self._tasks.spawn(self._contact.run(self._contact_event), name="sip.simulated.contact")
        try:
            await self._over.wait()
        finally:
            if self._telephone is not None:
                for leg in (self._telephone, self._contact):
                    self._call_bus.bus.leave(leg.leg_id, self._loop.time())
                self._call_bus.follow()
            await self._tasks.aclose()

    def _connect(self) -> None:
        try:
            self._telephone = self._make_telephone()
        except BridgeError as error:
            log.warning("simulator.telephone_refused", extra={"code": error.code})
            self._refuse(488)
            self._over.set()
            return
        legs = self._telephone, self._contact
        for leg in legs:
            self._call_bus.bus.join(leg.leg_id, leg.source, leg.sink)
        here, there = (leg.leg_id for leg in legs)
        rows = {here: frozenset({there}), there: frozenset({here})}
        self._call_bus.bus.route(rows, self._loop.time())
        self._call_bus.follow()
        self._tasks.spawn(
            self._telephone.run(self._telephone_event), name="sip.simulated.telephone"
        )

    def _telephone_event(self, event: events.LegEvent) -> None:
        match event:
            case events.LegAnswered():
                self._contact.answer()
            case events.LegEnded():
                self._over.set()
            case events.DigitReceived(digit=digit):
                _send(self._contact, digit)

    def _contact_event(self, event: events.LegEvent) -> None:
        match event:
            case events.LegRinging():
                self._connect()
            case events.LegAnswered() if self._telephone is not None:
                self._telephone.answer()
            case events.LegEnded(reason=reason):
                if self._telephone is None:
                    self._refuse(refusal_code(reason))
                elif isinstance(self._telephone, EndsWithReason):
                    self._telephone.set_end_reason(reason)
                self._over.set()
            case events.DigitReceived(digit=digit) if self._telephone is not None:
                _send(self._telephone, digit)


def _contact_of(number: str) -> str:
    """Return the number of the contact that a telephone belongs to; at a line's own numbers somebody talks."""
    if number.startswith(SIMULATED_TELEPHONES):
        return CONTACTS_BEGIN + number.removeprefix(SIMULATED_TELEPHONES)
    return number if number.startswith(SIMULATED_CONTACTS) else TALKER


def _send(leg: Leg, digit: str) -> None:
    if isinstance(leg, DigitSender):
        leg.send_digits(digit)

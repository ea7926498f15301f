"""The legs of telephone calls, and the simulated telephones, which are reached over SIP within the process."""

import asyncio
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network

from bridge.app.foundation import Foundation
from bridge.app.peers import MediaPlane
from bridge.call.model import LegId
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import InboundInvite, PlainPeerFactory, SipOptions
from bridge.metrics.calls import SetupMetrics
from bridge.node.clock import BusClock
from bridge.providers.simulator.provider import SimulatorProvider
from bridge.providers.sip.simulated import (
    EXCHANGE,
    LOOPBACK,
    SimulatedAgents,
    SimulatedNames,
    SimulatedTelephones,
)
from bridge.providers.sip.trunks import Trunk, TrunkMedia
from bridge.sip.boundary import Target
from bridge.trunk.admission import InboundTrunk, SipAdmission
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.rate import SipRate
from bridge.trunk.sockets import Listen, SipSockets
from bridge.trunk.targets import SipTargets

SIMULATED_PER_SECOND = 1000.0
"""Requests that the simulated network takes; its only caller is this bridge."""


def make_sip_leg(
    peer: Callable[[TrunkMedia], PlainPeerFactory],
    counters: SetupMetrics,
    leg_id: LegId,
    *,
    dialog: AgentDialog,
    trunk: Trunk,
    inbound: IncomingInvite | None = None,
) -> SipLeg:
    """Return the leg of a telephone call (`providers.sip.trunks.MakeSipLeg`)."""
    media = trunk.media
    return SipLeg(
        leg_id,
        dialog=dialog,
        media=peer(media),
        counters=counters,
        inbound=InboundInvite(inbound.sdp) if inbound is not None else None,
        options=SipOptions(media.dtmf, media.early_media),
    )


def build_telephones(
    base: Foundation, plane: MediaPlane, simulator: SimulatorProvider
) -> SimulatedTelephones:
    """Return the provider of the simulated telephones; it opens no socket before the first call."""
    peers = plane.peers
    return SimulatedTelephones(
        simulator,
        make_agents=partial(_make_agents, base),
        make_leg=partial(
            make_sip_leg,
            lambda media: peers.telephone(media, (LOOPBACK,)),
            base.metrics.setup,
        ),
        make_bus=lambda: BusClock(plane.clock),
    )


def _make_agents(base: Foundation, here: SimulatedNames, there: SimulatedNames) -> SimulatedAgents:
    caller_sockets, called_sockets = (
        SipSockets(
            [Listen("udp", LOOPBACK, 0)],
            rate=SipRate(SIMULATED_PER_SECOND, known=lambda _: True),
            count_drop=base.metrics.sip.dropped,
        )
        for _ in range(2)
    )
    loopback = InboundTrunk(name=EXCHANGE.address.name, networks=(ip_network(f"{LOOPBACK}/32"),))
    loop, node = asyncio.get_running_loop(), base.members.own.node

    def agent(sockets: SipSockets, names: SimulatedNames) -> SipAgent:
        admission = SipAdmission([loopback])
        return SipAgent(
            sockets,
            targets=SipTargets(names, now=loop.time),
            admission=admission,
            counters=base.metrics.sip,
            node=node,
        )

    first = Target("udp", LOOPBACK, 9, connection=1)
    return SimulatedAgents(
        caller=agent(caller_sockets, there),
        called=agent(called_sockets, here),
        caller_port=lambda: caller_sockets.local(first).port,
        called_port=lambda: called_sockets.local(first).port,
    )

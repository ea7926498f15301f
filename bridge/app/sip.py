"""Builds SIP from the settings: the user agent, the lines' trunks, and the simulated telephones."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge.app.foundation import Foundation
from bridge.app.meta_sip import build_meta_sip, meta_callers, meta_lines
from bridge.app.peers import Peers
from bridge.app.telephones import make_sip_leg
from bridge.audio.codec.codec import G722, OPUS, PCMA, PCMU
from bridge.call.model import LineName
from bridge.cluster.membership import Membership
from bridge.http.resolver import Dns
from bridge.metrics.sip import SipMetrics
from bridge.node.drain import Drain
from bridge.node.manager import Manager
from bridge.providers.sip.meta import MetaSipProvider
from bridge.providers.sip.provider import SipProvider
from bridge.providers.sip.trunks import Trunk, TrunkMedia, TrunkStates
from bridge.rtc.rtp_source import SourcePolicy
from bridge.settings.model import LineSip, Settings, Sip
from bridge.settings.net import networks
from bridge.settings.sip import read_listen, read_trunk
from bridge.sip.boundary import Credentials
from bridge.stores.directory import FOLDER
from bridge.tasks import Tasks
from bridge.trunk.admission import InboundTrunk, SipAdmission
from bridge.trunk.agent import IncomingInvite, SipAgent
from bridge.trunk.interfaces import SipTransport
from bridge.trunk.rate import SipRate
from bridge.trunk.shared import SharedSockets
from bridge.trunk.sockets import Listen, SipSockets, Tls
from bridge.trunk.targets import SipTargets
from bridge.trunk.tls import client_context, server_context
from bridge.trunk.trunk import TrunkAddress

CODECS = {"opus": OPUS, "g722": G722, "pcma": PCMA, "pcmu": PCMU}
"""By their names in the settings."""
REALM = "bridge"
"""Of the password that callers are asked for."""


def trunks_of(settings: Settings, *, register: bool = True) -> dict[LineName, Trunk]:
    """Return the trunk of each line that has one; unless `register`, none keeps a registration."""
    return {
        LineName(name): _trunk(name, line.sip, line.numbers, settings.sip, register=register)
        for name, line in settings.lines.items()
        if line.sip is not None
    }


def _trunk(name: str, sip: LineSip, numbers: list[str], shared: Sip, *, register: bool) -> Trunk:
    uri = read_trunk(f"lines.{name}.sip.trunk", sip.trunk)
    digits = [number.removeprefix("+") for number in numbers]
    caller = sip.caller_id.removeprefix("+") or next(iter(digits), "")
    return Trunk(
        address=TrunkAddress(
            name=name,
            host=uri.host,
            port=uri.port,
            transport=uri.transport,
            domain=sip.realm,
            credentials=Credentials(sip.username, sip.password) if sip.username else None,
            register_seconds=sip.register_seconds if sip.register and register else 0,
            options_seconds=shared.options_seconds,
        ),
        numbers=frozenset(digits),
        caller=f"+{caller}" if caller else "",
        transfer=sip.transfer,
        media=TrunkMedia(
            tuple(CODECS[codec] for codec in sip.codecs),
            sip.srtp,
            sip.dtmf,
            sip.early_media,
            SourcePolicy(
                tuple(networks("sip", [*shared.trusted, *sip.trusted, *sip.networks])),
                strict=shared.strict_source or sip.strict_source,
            ),
            sip.takeover,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SipServices:
    """SIP of a node: the user agent of its trunks, and who takes their calls."""

    agent: SipAgent
    provider: SipProvider
    """Of the lines with trunks."""
    meta: MetaSipProvider
    """Of those whose WhatsApp calls go over SIP."""
    shared: SharedSockets | None
    """For the other nodes of the machine; None where there are none, or no trunks."""

    def receive(self, manager: Manager) -> None:
        """Take inbound calls; leave them to other nodes or machines while this one drains."""
        admission = manager.admission

        def take(invite: IncomingInvite) -> None:
            if admission.draining and not admission.finishing:
                invite.dialog.refuse(503)
            else:
                self.provider.take(invite)

        self.agent.on_invite = take
        self.provider.start(manager)

    async def start(self, tasks: Tasks, drain: Drain) -> None:
        """Open the sockets, unless there are no trunks; raises as `run`."""
        trunks = self.provider.trunks
        if trunks or self.meta.lines:
            await run(self.agent, trunks, tasks, self.shared, may_keep=lambda: not drain.active)

    def leave(self, members: Membership) -> None:
        """Have another node of the machine take the sockets, or another machine the registrations."""
        near = (one for one in members.others() if one.machine == members.own.machine)
        if self.shared is not None and any(not one.draining for one in near):
            self.agent.trunks.leave()
            self.shared.leave()
        else:
            self.agent.trunks.drop_all()


def build_sip(base: Foundation, peers: Peers) -> SipServices:
    """Return what makes and takes telephone calls; without a line that has a trunk there is no socket."""
    trunks, metrics, siblings = trunks_of(base.settings), base.metrics.sip, base.siblings
    whatsapp = meta_lines(base.settings)
    shared: SharedSockets | None = None

    def share(sockets: SipSockets, known: Callable[[str], bool]) -> SipTransport:
        nonlocal shared
        if siblings is None or not (trunks or whatsapp):
            return sockets
        shared = SharedSockets(
            sockets,
            nodes=siblings,
            folder=Path(base.settings.data.dir) / FOLDER,
            known=known,
            count_drop=metrics.dropped,
        )
        return shared

    agent = make_agent(
        base.settings, trunks, metrics=metrics, share=share, node=base.members.own.node
    )
    states = TrunkStates(
        trunks,
        agent.trunks.health,
        metrics,
        failures=lambda: agent.core.counters.authentication_failures,
        owned=lambda: shared is None or shared.owns,
    )
    agent.trunks.on_change = states.changed
    if trunks:
        states.measure()
    make_leg = partial(make_sip_leg, lambda media: peers.telephone(media, ()), base.metrics.setup)
    meta = build_meta_sip(whatsapp, agent, peers, base.metrics.setup)
    provider = SipProvider(trunks, dialler=agent, make_leg=make_leg, states=states, meta=meta)
    return SipServices(agent=agent, provider=provider, meta=meta, shared=shared)


def make_agent(
    settings: Settings,
    trunks: Mapping[LineName, Trunk],
    *,
    metrics: SipMetrics,
    listens: bool = True,
    share: Callable[[SipSockets, Callable[[str], bool]], SipTransport] = lambda sockets, _: sockets,
    node: int = 0,
) -> SipAgent:
    """Return a user agent for trunks, which has no socket before it runs; `listens` on `sip.listen`.

    `share` returns its sockets as several nodes use them; it also gets what says whether an address is a trunk's.
    """
    lines = {name: line.sip for name, line in settings.lines.items() if line.sip is not None}
    trusted = networks("sip.trusted", settings.sip.trusted)
    whatsapp = meta_lines(settings)
    admission = SipAdmission(
        [
            InboundTrunk(
                name=name,
                networks=(*trusted, *networks(f"lines.{name}.sip.trusted", sip.trusted)),
                username=sip.inbound_username,
                password=sip.inbound_password,
            )
            for name, sip in lines.items()
        ]
        + meta_callers(whatsapp),
        realm=REALM,
        algorithms=[name.upper() for name in settings.sip.digest],
    )
    files = settings.sip
    secure = bool(whatsapp) or any(one.address.transport == "tls" for one in trunks.values())
    chain = {"cert": files.tls_cert, "key": files.tls_key}
    tls = Tls(
        client=client_context(ca=files.tls_ca, **chain) if secure else None,
        server=server_context(**chain) if files.tls_cert else None,
    )
    sockets = SipSockets(
        [Listen(*read_listen(text)) for text in settings.sip.listen if listens],
        tls=tls,
        external=settings.sip.external_address or settings.rtc.external_address,
        rate=SipRate(settings.sip.calls_per_second, known=admission.knows),
        count_drop=metrics.dropped,
        set_connections=metrics.set_connections,
    )
    loop = asyncio.get_running_loop()
    return SipAgent(
        share(sockets, admission.knows),
        targets=SipTargets(Dns(settings.net.nameservers), now=loop.time),
        admission=admission,
        counters=metrics,
        node=node,
    )


async def run(
    agent: SipAgent,
    trunks: Mapping[LineName, Trunk],
    tasks: Tasks,
    shared: SharedSockets | None = None,
    *,
    may_keep: Callable[[], bool] = lambda: True,
) -> None:
    """Open the sockets, and keep the trunks reachable until the tasks are cancelled.

    Of several nodes, the one that has the sockets keeps the trunks, unless it drains (`may_keep`).

    Raises:
        SettingsError: an address to listen on cannot be bound.
    """

    def keep() -> None:
        for trunk in trunks.values() if may_keep() else ():
            agent.trunks.keep(trunk.address)

    if shared is not None:
        shared.on_owned = keep
    opened = asyncio.get_running_loop().create_future()
    running = tasks.spawn(agent.run(lambda: opened.set_result(None)), name="sip")
    await asyncio.wait([running, opened], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        opened.cancel()
        await running
    if shared is None:
        keep()

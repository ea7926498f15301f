"""Builds SIP from the settings: the user agent, the lines' trunks, and the simulated telephones."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge.app.foundation import Foundation
from bridge.app.telephones import build_telephones, make_telephone_leg
from bridge.audio.codec.codec import G722, OPUS, PCMA, PCMU
from bridge.call.model import LineName
from bridge.http.resolver import Dns
from bridge.metrics.sip import SipMetrics
from bridge.providers.sip.provider import SipProvider
from bridge.providers.sip.simulated import SimulatedTelephones
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
        ),
    )


class SipServices(NamedTuple):
    """What the application uses of SIP."""

    provider: SipProvider
    """Of the lines with trunks."""
    telephones: SimulatedTelephones
    shared: SharedSockets | None
    """For the other nodes of the machine; None where there are none, or no trunks."""


def build_sip(base: Foundation) -> SipServices:
    """Return the providers of telephone calls; without a line that has a trunk there is no socket."""
    trunks, metrics = trunks_of(base.settings), base.metrics.sip
    shared: SharedSockets | None = None

    def share(sockets: SipSockets, known: Callable[[str], bool]) -> SipTransport:
        nonlocal shared
        if base.directory is None or not trunks:
            return sockets
        shared = SharedSockets(
            sockets,
            nodes=base.directory.siblings,
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
    provider = SipProvider(
        trunks, dialler=agent, make_leg=partial(make_telephone_leg, base), states=states
    )
    agent.trunks.on_change = states.changed

    def take(invite: IncomingInvite) -> None:
        """Leave inbound calls to other nodes or machines while this one drains."""
        if base.manager.admission.draining and not base.manager.admission.finishing:
            invite.dialog.refuse(503)
        else:
            provider.take(invite)

    def leave() -> None:
        """Have another node of the machine take the sockets, or another machine the registrations."""
        own = base.members.own
        near = (one for one in base.members.others() if one.machine == own.machine)
        if shared is not None and any(not one.draining for one in near):
            agent.trunks.leave()
            shared.leave()
        else:
            agent.trunks.drop_all()

    agent.on_invite = take
    base.drain.on_begin.append(leave)
    if trunks:
        base.application.on_startup.append(
            lambda _: run(
                agent,
                trunks,
                base.background,
                shared,
                may_keep=lambda: not base.drain.active,
            )
        )
        provider.start(base.manager)
        base.application.on_shutdown.append(lambda _: provider.aclose())
        states.measure()
    return SipServices(provider, build_telephones(base), shared)


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
    admission = SipAdmission(
        (
            InboundTrunk(
                name=name,
                networks=(*trusted, *networks(f"lines.{name}.sip.trusted", sip.trusted)),
                username=sip.inbound_username,
                password=sip.inbound_password,
            )
            for name, sip in lines.items()
        ),
        realm=REALM,
        algorithms=[name.upper() for name in settings.sip.digest],
    )
    sockets = SipSockets(
        [Listen(*read_listen(text)) for text in settings.sip.listen if listens],
        tls=_tls(settings.sip, secure=any(t.address.transport == "tls" for t in trunks.values())),
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


def _tls(sip: Sip, *, secure: bool) -> Tls:
    return Tls(
        client=client_context(ca=sip.tls_ca, cert=sip.tls_cert, key=sip.tls_key)
        if secure
        else None,
        server=server_context(cert=sip.tls_cert, key=sip.tls_key) if sip.tls_cert else None,
    )

"""Builds the WhatsApp calls that Meta signals by SIP out of the settings: lines, who may call them, and legs."""

from functools import partial

from bridge.app.peers import Peers
from bridge.audio.codec.codec import OPUS
from bridge.call.model import LegId, LegKind, LineName
from bridge.legs.cloud import CloudLeg, InboundCall
from bridge.legs.sip import SipLeg
from bridge.legs.sip_media import InboundInvite, SipOptions
from bridge.metrics.calls import SetupMetrics
from bridge.providers.sip.meta import MetaLine, MetaSipProvider
from bridge.providers.sip.meta_dtls import DialogSignalling
from bridge.providers.sip.trunks import Trunk, TrunkMedia
from bridge.settings.line import META_TRUNK, Line, meta_server
from bridge.settings.model import Settings
from bridge.sip.boundary import Credentials, DialogRules
from bridge.trunk.admission import InboundTrunk
from bridge.trunk.agent import SipAgent
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.trunk import TrunkAddress
from bridge.whatsapp.sip_refusals import refused
from bridge.wire.meta_sip import MetaInvite

MEDIA = TrunkMedia(codecs=(OPUS,), security="required", early_media=False)
OPTIONS = SipOptions(early_media=False, kind=LegKind.WHATSAPP, fixed=True, refused=refused)


def meta_lines(settings: Settings) -> dict[LineName, MetaLine]:
    """Return the lines whose WhatsApp calls go over SIP."""
    return {
        LineName(name): MetaLine(_trunk(name, line), webrtc=line.whatsapp.media == "dtls")
        for name, line in settings.lines.items()
        if line.whatsapp.signalling == "sip"
    }


def _trunk(name: str, line: Line) -> Trunk:
    whatsapp, number = line.whatsapp, line.numbers[0].removeprefix("+")
    server = meta_server(f"lines.{name}.whatsapp", whatsapp)
    address = TrunkAddress(
        name=name + META_TRUNK,
        host=server.host,
        port=server.port,
        transport="tls",
        domain=whatsapp.sip_domain,
        credentials=Credentials(number, whatsapp.sip_password),
        contact_user=f"+{number}",
        certificate=whatsapp.sip_domain,
        parameters=";transport=tls",
        rules=DialogRules(host=whatsapp.sip_hostname, bye_only=True),
    )
    return Trunk(address=address, numbers=frozenset({number}), caller=f"+{number}", media=MEDIA)


def meta_callers(lines: dict[LineName, MetaLine]) -> list[InboundTrunk]:
    """Return how Meta's calls are recognized: by the number's password at Meta, from wherever they come."""
    found = []
    for line in lines.values():
        address = line.trunk.address
        if address.credentials is not None:
            login = address.credentials
            found.append(
                InboundTrunk(
                    name=address.name,
                    username=login.username,
                    password=login.password,
                    ignores_parameters=True,
                    rules=address.rules,
                )
            )
    return found


def build_meta_sip(
    lines: dict[LineName, MetaLine], agent: SipAgent, peers: Peers, counters: SetupMetrics
) -> MetaSipProvider:
    """Return the provider of these lines."""
    return MetaSipProvider(lines, dialler=agent, make_leg=partial(_make_leg, peers, counters))


def _make_leg(
    peers: Peers,
    counters: SetupMetrics,
    leg_id: LegId,
    *,
    line: MetaLine,
    dialog: AgentDialog,
    inbound: MetaInvite | None = None,
) -> SipLeg | CloudLeg:
    """Return the leg of a call (`providers.sip.meta.MakeMetaLeg`)."""
    if not line.webrtc:
        return SipLeg(
            leg_id,
            dialog=dialog,
            media=peers.telephone(line.trunk.media, ()),
            counters=counters,
            inbound=None if inbound is None else InboundInvite(inbound.sdp),
            options=OPTIONS,
        )
    signalling = DialogSignalling(dialog, "" if inbound is None else inbound.wacid)
    leg = CloudLeg(
        leg_id,
        signalling=signalling,
        peer=peers.whatsapp,
        counters=counters,
        inbound=None
        if inbound is None
        else InboundCall(signalling.wacid, inbound.sdp, pre_accept=False),
        connect=None if inbound is not None else signalling.connect,
    )
    signalling.follow(leg)
    return leg

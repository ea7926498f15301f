"""The lines, and the providers of their far parties, out of the settings."""

from functools import partial

from bridge.api.server.services import LineServices
from bridge.app.foundation import Foundation
from bridge.app.lines import MadeLines, build_lines, cloud_lines, lines_of
from bridge.app.peers import MediaPlane
from bridge.app.sip import SipServices
from bridge.app.telephones import build_telephones
from bridge.legs.cloud import CloudLeg
from bridge.legs.simulator import parse_speech
from bridge.providers.base import Providers
from bridge.providers.cloud.provider import CloudProvider
from bridge.providers.gateway import memory
from bridge.providers.gateway.provider import GatewayProvider
from bridge.providers.simulator.provider import SPEECH, SimulatorProvider
from bridge.stores.cloud import CloudStore
from bridge.whatsapp.gateway import make_gateway


def build_line_services(
    base: Foundation, plane: MediaPlane, made: MadeLines, sip: SipServices
) -> LineServices:
    """Return the lines and their providers."""
    lines, book = build_lines(base, made)
    simulator = SimulatorProvider(
        made.simulated,
        speech=parse_speech(SPEECH.read_bytes()),
        ring_seconds=base.settings.simulator.ring_seconds,
    )
    return LineServices(
        cloud=CloudProvider(
            cloud_lines(base.settings, base.http),
            legs=partial(CloudLeg, peer=plane.peers.whatsapp, counters=base.metrics.setup),
            store=CloudStore(base.database, own=base.members.own),
            count=base.metrics.events.whatsapp_event,
        ),
        gateways=_gateways(base),
        line_book=book,
        lines=lines,
        policies=made.policies,
        simulator=simulator,
        sip=sip.provider,
        meta_sip=sip.meta,
        telephones=build_telephones(base, plane, simulator),
    )


def providers_of(lines: LineServices) -> Providers:
    """Return what dials for all lines."""
    return Providers(
        (lines.simulator, lines.gateways, lines.meta_sip, lines.cloud),
        telephones=(lines.sip, lines.telephones),
    )


def _gateways(base: Foundation) -> GatewayProvider:
    store = CloudStore(base.database, own=base.members.own, kept_seconds=memory.KEPT_SECONDS)
    gateways = {
        name: make_gateway(
            base.http,
            dialect=whatsapp.dialect,
            url=whatsapp.url,
            token=whatsapp.token,
            session=whatsapp.session,
        )
        for name, whatsapp in lines_of(base.settings, "gateway").items()
    }
    return GatewayProvider(gateways, store=store)

"""Makes the `cloud` provider from the settings of its lines."""

from collections.abc import Callable, Mapping
from functools import partial

from bridge.call.model import LineName
from bridge.legs.cloud import CloudLeg
from bridge.legs.peer_media import PeerFactory, SetupCounters
from bridge.net.cloud_store import CloudStore
from bridge.net.database import Database
from bridge.net.graph import Graph, GraphAccess
from bridge.net.http import Http
from bridge.providers.cloud.live import CloudLine
from bridge.providers.cloud.provider import CloudProvider
from bridge.settings.model import WhatsApp


def graph_of(whatsapp: WhatsApp, http: Http) -> Graph:
    """Return the Graph client of a line."""
    access = GraphAccess(
        phone_number_id=whatsapp.phone_number_id,
        access_token=whatsapp.access_token,
        base_url=whatsapp.base_url,
        version=whatsapp.version,
        announcements=announcements(whatsapp),
    )
    return Graph(access, http)


def announcements(whatsapp: WhatsApp) -> dict[str, dict[str, str]]:
    """Return what Meta announces to the other party: that the call is recorded, or transcribed."""
    purposes = {
        "recording": whatsapp.recording_purpose,
        "transcription": whatsapp.transcription_purpose,
    }
    return {
        name: {
            "status": "ENABLED",
            "purpose": purpose,
            "announcement_language": whatsapp.announcement_language,
        }
        for name, purpose in purposes.items()
        if purpose
    }


def cloud_provider(  # noqa: PLR0913 - what a provider is made of
    lines: Mapping[LineName, WhatsApp],
    *,
    http: Http,
    database: Database,
    node: int,
    peer: PeerFactory,
    counters: SetupCounters,
    count: Callable[[str], None],
) -> CloudProvider:
    """Make the provider; `peer` makes the peers for Meta's media servers."""
    leg = partial(CloudLeg, peer=peer, counters=counters)

    known = {
        name: CloudLine(
            phone_number_id=whatsapp.phone_number_id,
            app_secret=whatsapp.app_secret,
            verify_token=whatsapp.verify_token,
            pre_accept=whatsapp.pre_accept,
            graph=graph_of(whatsapp, http),
        )
        for name, whatsapp in lines.items()
    }
    store = CloudStore(database, node=node)
    return CloudProvider(known, legs=leg, store=store, count=count)

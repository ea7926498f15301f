"""What handlers and middlewares use: a frozen record of each subject, under a key of its own.

A handler takes the records it needs, as `context[CONTROL]`; a middleware, as `request.app[ACCESS]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.api.server.auth import Keys
    from bridge.api.server.names import WarningLog
    from bridge.api.server.page_files import Pages
    from bridge.api.server.rate import RateLimit
    from bridge.api.server.reads import LargeBodies, Reads
    from bridge.api.server.sibling_gate import SiblingGate
    from bridge.api.server.tickets import Tickets
    from bridge.api.server.turn import IceConfiguration
    from bridge.api.server.unauthenticated import UnauthenticatedLimit
    from bridge.call.model import LineName
    from bridge.call.policy import LinePolicy
    from bridge.cluster.directory import SharedDirectory
    from bridge.cluster.handover import HandoverClient
    from bridge.cluster.membership import Membership
    from bridge.cluster.placement import Placement
    from bridge.cluster.siblings import Siblings
    from bridge.db.database import Database
    from bridge.errors import BridgeError
    from bridge.http.client import Http
    from bridge.http.connections import Connections
    from bridge.media.assets import Assets
    from bridge.media.sounds import Sounds
    from bridge.metrics.media_thread import PathFigures
    from bridge.metrics.registry import Metrics
    from bridge.node.call_history import CallHistory
    from bridge.node.calls.agent import Agents
    from bridge.node.calls.browsers import Browsers
    from bridge.node.calls.connection_tests import ConnectionTests
    from bridge.node.calls.digits import Digits
    from bridge.node.calls.holds import Holds
    from bridge.node.calls.playback import Playbacks
    from bridge.node.calls.transfers import Transfers
    from bridge.node.console.console import NodeView
    from bridge.node.console.live_table import LiveTable
    from bridge.node.disclosure.checks import DisclosureChecks
    from bridge.node.disclosure.disclosures import Disclosures
    from bridge.node.drain import Drain
    from bridge.node.line_book import LineBook
    from bridge.node.lines import Lines
    from bridge.node.manager import Manager
    from bridge.node.recording.recordings import Recordings
    from bridge.node.streams.inbound import InboundStreams
    from bridge.node.streams.sockets import MediaSockets
    from bridge.node.streams.streams import Streams
    from bridge.node.transcripts.meta_media import MetaMedia
    from bridge.node.transcripts.transcripts import Transcripts
    from bridge.node.voicemail.calls import VoicemailCalls
    from bridge.node.voicemail.voicemails import Voicemails
    from bridge.providers.cloud.provider import CloudProvider
    from bridge.providers.gateway.provider import GatewayProvider
    from bridge.providers.simulator.provider import SimulatorProvider
    from bridge.providers.sip.meta import MetaSipProvider
    from bridge.providers.sip.provider import SipProvider
    from bridge.providers.sip.simulated import SimulatedTelephones
    from bridge.stores.event_log import EventLog
    from bridge.telemetry.trace import Tracer
    from bridge.trunk.shared import SharedSockets
    from bridge.webhooks.delivery import Webhooks


@dataclass(frozen=True, slots=True)
class Site:
    """How clients reach the service."""

    hosts: frozenset[str] | None
    """Allowed host names (`http.allowed_hosts`); None allows any."""
    cors_origins: frozenset[str]
    """Origins whose pages may call; `*` is any."""
    pages: Pages
    identity: str
    """What `/healthz` says: which bridge this is."""
    public_url: str = ""
    """Without a trailing slash; empty when it is not set."""
    own_url: str = ""
    """Where clients reach this machine itself, likewise (`cluster.public_url`)."""

    def stream_url(self, call_id: str) -> str | UnsetType:
        """Return the URL of a call's socket on this node's machine, where clients reach that itself."""
        url = self.own_url.removeprefix("http")
        return f"ws{url}/call/{call_id}/stream" if url else UNSET

    def base(self, request: web.Request) -> str:
        """Return the URL that links to this service begin with.

        Headers of proxies are ignored: anybody can send them.
        """
        return self.public_url or f"{request.scheme}://{request.host}"

    def socket_base(self, request: web.Request) -> str:
        """Return the same of WebSockets, `ws://` or `wss://`."""
        return f"ws{self.base(request).removeprefix('http')}"


class PortUsage(NamedTuple):
    """How many UDP ports of the media range are in use, and how many are not."""

    used: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallControl:
    """What begins, changes and ends calls and their legs."""

    agents: Agents
    browsers: Browsers
    connection_tests: ConnectionTests
    digits: Digits
    holds: Holds
    manager: Manager
    transfers: Transfers
    voicemail_calls: VoicemailCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What calls hear, and where their audio goes."""

    assets: Assets
    disclosures: Disclosures
    disclosure_checks: DisclosureChecks
    ice_configuration: Callable[[str, str], IceConfiguration]
    """Returns the answer of `/call/webrtc/config` for a line and the holder of a ticket, or "", with fresh credentials."""
    inbound_streams: InboundStreams
    playbacks: Playbacks
    sockets: MediaSockets
    sounds: Sounds
    streams: Streams


@dataclass(frozen=True, slots=True)
class Records:
    """What is kept of calls."""

    history: CallHistory
    """The calls that have ended."""
    meta_media: MetaMedia
    """What Meta has recorded of them."""
    recordings: Recordings
    transcripts: Transcripts
    voicemails: Voicemails


@dataclass(frozen=True, slots=True, kw_only=True)
class LineServices:
    """The lines, their settings, and the providers of their far parties."""

    cloud: CloudProvider
    gateways: GatewayProvider
    line_book: LineBook
    lines: Lines
    policies: Mapping[LineName, LinePolicy]
    simulator: SimulatorProvider
    sip: SipProvider
    meta_sip: MetaSipProvider
    telephones: SimulatedTelephones


@dataclass(frozen=True, slots=True)
class EventServices:
    """Events, and their delivery to customers' servers."""

    database: Database
    http: Http
    log: EventLog
    webhooks: Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeServices:
    """This node: its metrics, its end, and what operators see of it."""

    drain: Drain
    live_table: LiveTable
    media_ports: Callable[[], PortUsage]
    media_thread: Callable[[], PathFigures]
    metrics: Metrics
    sip_sockets: SharedSockets | None
    """As the nodes of a machine share them; None for a single node, and without trunks."""
    tracer: Tracer
    view: NodeView


@dataclass(frozen=True, slots=True)
class ClusterServices:
    """The other nodes."""

    directory: SharedDirectory | None
    """None when the bridge has only one node."""
    members: Membership
    placement: Placement | None
    """Likewise."""
    sibling_gate: SiblingGate | None
    """What admits nodes of other machines; None without `cluster.url`."""
    handover: HandoverClient | None = None
    """What passes live calls to other nodes of this machine; None where none can take them over."""

    @property
    def siblings(self) -> Siblings | None:
        """The other nodes; None for a single node."""
        return self.directory.siblings if self.directory else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessServices:
    """Who may send requests, and how many and how large they may be."""

    connections: Connections
    error_response: Callable[[str, BridgeError], web.Response]
    """Answers an error at a path, as its face documents it."""
    keys: Keys
    large_bodies: LargeBodies
    large_reads: Reads
    """Limits the large bodies of authenticated requests."""
    rate: RateLimit
    """The request limit of a key, counted over all nodes where there are several."""
    tickets: Tickets
    unauthenticated: UnauthenticatedLimit
    warning_log: WarningLog
    webhook_reads: Reads
    """Limits the bodies of Meta's webhooks."""


CONTROL: Final = web.AppKey("control", CallControl)
MEDIA: Final = web.AppKey("media", Media)
RECORDS: Final = web.AppKey("records", Records)
LINES: Final = web.AppKey("lines", LineServices)
EVENTS: Final = web.AppKey("events", EventServices)
NODE: Final = web.AppKey("node", NodeServices)
CLUSTER: Final = web.AppKey("cluster", ClusterServices)
ACCESS: Final = web.AppKey("access", AccessServices)
SITE: Final = web.AppKey("site", Site)

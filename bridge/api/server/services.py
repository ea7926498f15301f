"""The services of the application: one frozen record, under one key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.api.server.auth import Keys, Tickets
    from bridge.api.server.names import WarningLog
    from bridge.api.server.pages import Pages
    from bridge.api.server.rate import RateLimit
    from bridge.api.server.reads import LargeBodies, Reads
    from bridge.api.server.sibling_gate import SiblingGate
    from bridge.api.server.turn import IceConfiguration
    from bridge.api.server.unauthenticated import UnauthenticatedLimit
    from bridge.call.model import LineName
    from bridge.call.policy import LinePolicy
    from bridge.cluster.directory import SharedDirectory
    from bridge.cluster.placement import Placement
    from bridge.cluster.siblings import Siblings
    from bridge.db.database import Database
    from bridge.errors import BridgeError
    from bridge.http.client import Http
    from bridge.http.connections import Connections
    from bridge.media.assets import Assets
    from bridge.media.sounds import Sounds
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
    from bridge.node.drain import Drain
    from bridge.node.line_book import LineBook
    from bridge.node.lines import Lines
    from bridge.node.manager import Manager
    from bridge.node.recording.recordings import Recordings
    from bridge.node.streams.inbound import InboundStreams
    from bridge.node.streams.streams import Streams
    from bridge.node.transcripts.transcripts import Transcripts
    from bridge.node.voicemail.calls import VoicemailCalls
    from bridge.node.voicemail.voicemails import Voicemails
    from bridge.providers.cloud.provider import CloudProvider
    from bridge.providers.gateway.provider import GatewayProvider
    from bridge.providers.simulator.provider import SimulatorProvider
    from bridge.providers.sip.provider import SipProvider
    from bridge.providers.sip.simulated import SimulatedTelephones
    from bridge.stores.event_log import EventLog
    from bridge.stores.nodes import Members
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

    def socket_url(self, path: str) -> str | UnsetType:
        """Return the URL of a WebSocket of this node, where clients reach its machine itself."""
        return f"ws{self.own_url.removeprefix('http')}{path}" if self.own_url else UNSET

    def base(self, request: web.Request) -> str:
        """Return the URL that links to this service begin with.

        Headers of proxies are ignored: anybody can send them.
        """
        return self.public_url or f"{request.scheme}://{request.host}"


class PortUsage(NamedTuple):
    """How many UDP ports of the media range are in use, and how many are not."""

    used: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that handlers and middlewares use."""

    agents: Agents
    assets: Assets
    browsers: Browsers
    cloud: CloudProvider
    connection_tests: ConnectionTests
    connections: Connections
    database: Database
    digits: Digits
    directory: SharedDirectory | None
    """None when the bridge has only one node."""
    drain: Drain
    error_response: Callable[[str, BridgeError], web.Response]
    """Answers an error at a path, as its face documents it."""
    events: EventLog
    gateways: GatewayProvider
    history: CallHistory
    """The calls that have ended."""
    holds: Holds
    http: Http
    inbound_streams: InboundStreams
    ice_configuration: Callable[[str, str], IceConfiguration]
    """Returns the answer of `/call/webrtc/config` for a line and the holder of a ticket, or "", with fresh credentials."""
    keys: Keys
    large_bodies: LargeBodies
    large_reads: Reads
    """Limits the large bodies of authenticated requests."""
    line_book: LineBook
    lines: Lines
    live_table: LiveTable
    manager: Manager
    members: Members
    metrics: Metrics
    node_view: NodeView
    placement: Placement | None
    """None when the bridge has only one node."""
    playbacks: Playbacks
    policies: Mapping[LineName, LinePolicy]
    media_ports: Callable[[], PortUsage]
    rate: RateLimit
    """The request limit of a key, counted over all nodes where there are several."""
    recordings: Recordings
    sibling_gate: SiblingGate | None
    """What admits nodes of other machines; None without `cluster.url`."""
    simulator: SimulatorProvider
    sip: SipProvider
    sip_sockets: SharedSockets | None
    """As the nodes of a machine share them; None for a single node, and without trunks."""
    site: Site
    sounds: Sounds
    streams: Streams
    telephones: SimulatedTelephones
    tickets: Tickets
    transfers: Transfers
    transcripts: Transcripts
    unauthenticated: UnauthenticatedLimit
    voicemail_calls: VoicemailCalls
    voicemails: Voicemails
    warning_log: WarningLog
    webhook_reads: Reads
    """Limits the bodies of Meta's webhooks."""
    webhooks: Webhooks

    @property
    def siblings(self) -> Siblings | None:
        """The other nodes; None for a single node."""
        return self.directory.siblings if self.directory else None


SERVICES: Final = web.AppKey("services", Services)

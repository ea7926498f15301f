"""The services of the application: one frozen record, under one key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from aiohttp import web

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.api.auth import Keys, Tickets
    from bridge.api.rate import RateLimit
    from bridge.api.reads import LargeBodies, Reads
    from bridge.api.unauthenticated import UnauthenticatedLimit
    from bridge.call.model import LineName
    from bridge.call.policy import LinePolicy
    from bridge.media.assets import Assets
    from bridge.media.sounds import Sounds
    from bridge.metrics.registry import Metrics
    from bridge.net.connections import Connections
    from bridge.net.database import Database
    from bridge.net.http import Http
    from bridge.net.siblings import Siblings
    from bridge.net.turn import IceConfiguration
    from bridge.net.webhooks import Webhooks
    from bridge.node.agent import Agents
    from bridge.node.browsers import Browsers
    from bridge.node.digits import Digits
    from bridge.node.directory import SharedDirectory
    from bridge.node.events import EventLog
    from bridge.node.line_book import LineBook
    from bridge.node.lines import Lines
    from bridge.node.manager import Manager
    from bridge.node.playback import Playbacks
    from bridge.node.recording import Recordings
    from bridge.node.streams import Streams
    from bridge.providers.cloud.provider import CloudProvider
    from bridge.providers.gateway.provider import GatewayProvider
    from bridge.providers.simulator.provider import SimulatorProvider

ErrorEnvelope: TypeAlias = Callable[[BridgeError], web.Response]
"""Renders an error as one face documents it."""


@dataclass(frozen=True, slots=True)
class Site:
    """How clients reach the service."""

    loopback: bool
    """Whether it listens on loopback only."""
    hosts: frozenset[str] | None
    """Allowed host names (`http.allowed_hosts`); None allows any."""
    cors_origins: frozenset[str]
    """Origins whose pages may call; `*` is any."""
    web_root: Path
    """The folder of the demo page and the client library."""
    readme: Path
    guide_root: Path
    """The folder of the guide (`make docs`); may be missing."""
    public_url: str = ""
    """Without a trailing slash; empty when it is not set."""

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
    connections: Connections
    database: Database
    digits: Digits
    directory: SharedDirectory | None
    """None when the bridge has only one node."""
    error_envelope: Callable[[str], ErrorEnvelope]
    """Returns what renders the errors of a path."""
    events: EventLog
    gateways: GatewayProvider
    http: Http
    ice_configuration: Callable[[str], IceConfiguration]
    """Returns the answer of `/call/webrtc/config` for a user, with fresh credentials."""
    keys: Keys
    large_bodies: LargeBodies
    large_reads: Reads
    """Limits the large bodies of authenticated requests."""
    line_book: LineBook
    lines: Lines
    manager: Manager
    metrics: Metrics
    playbacks: Playbacks
    policies: Mapping[LineName, LinePolicy]
    media_ports: Callable[[], PortUsage]
    rate: RateLimit
    """The request limit of a key, counted over all nodes where there are several."""
    recordings: Recordings
    simulator: SimulatorProvider
    site: Site
    sounds: Sounds
    streams: Streams
    tickets: Tickets
    unauthenticated: UnauthenticatedLimit
    webhook_reads: Reads
    """Limits the bodies of Meta's webhooks."""
    webhooks: Webhooks

    @property
    def siblings(self) -> Siblings | None:
        """The other nodes; None for a single node."""
        return self.directory.siblings if self.directory else None


SERVICES: Final = web.AppKey("services", Services)

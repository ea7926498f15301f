"""What handlers find in the application, each under a typed key."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bridge.api.auth import Keys, Tickets
from bridge.api.rate import RateLimit
from bridge.api.unauthenticated import UnauthenticatedLimit
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
from bridge.node.directory import Shared
from bridge.node.events import EventLog
from bridge.node.line_book import LineBook
from bridge.node.lines import Lines
from bridge.node.manager import Manager
from bridge.node.playback import Playbacks
from bridge.node.recording import Recordings
from bridge.node.streams import Streams
from bridge.rtc.ports import PortPool


@dataclass(frozen=True, slots=True)
class Site:
    """How the service is reached, as far as requests are checked against it."""

    loopback: bool
    """It listens on loopback only: who asks by a local name, and over no proxy, is on this machine."""
    hosts: frozenset[str] | None
    """Names that requests may ask for (`http.allowed_hosts`); None where any will do."""
    cors_origins: frozenset[str]
    """Origins whose pages may call; `*` is any."""
    web_root: Path
    """The folder of the demo page and the client library."""
    readme: Path
    public_url: str = ""
    """Without a slash at its end; empty where nobody said."""

    def base(self, request: web.Request) -> str:
        """Give what links to this service begin with.

        What proxies add to a request is not believed: anybody can send it.
        """
        return self.public_url or f"{request.scheme}://{request.host}"


AGENTS = web.AppKey("agents", Agents)
ASSETS = web.AppKey("assets", Assets)
SOUNDS = web.AppKey("sounds", Sounds)
RECORDINGS = web.AppKey("recordings", Recordings)
DIGITS = web.AppKey("digits", Digits)
PLAYBACKS = web.AppKey("playbacks", Playbacks)
STREAMS = web.AppKey("streams", Streams)
HTTP = web.AppKey("http", Http)
MANAGER = web.AppKey("manager", Manager)
BROWSERS = web.AppKey("browsers", Browsers)
KEYS = web.AppKey("keys", Keys)
UNAUTHENTICATED = web.AppKey("strangers", UnauthenticatedLimit)
CONNECTIONS = web.AppKey("connections", Connections)
TICKETS = web.AppKey("tickets", Tickets)
PORTS = web.AppKey("ports", PortPool)
METRICS = web.AppKey("metrics", Metrics)
EVENTS = web.AppKey("events", EventLog)
WEBHOOKS = web.AppKey("webhooks", Webhooks)
DATABASE = web.AppKey("database", Database)
LINES = web.AppKey("lines", Lines)
LINE_BOOK = web.AppKey("line_book", LineBook)
SITE = web.AppKey("site", Site)
ICE_CONFIGURATION: web.AppKey[Callable[[str], IceConfiguration]] = web.AppKey("ice_configuration")
"""Makes the answer of `/call/webrtc/config` for a user, fresh credentials included."""

# Of a bridge of several nodes only:
DIRECTORY = web.AppKey("directory", Shared)
SIBLINGS = web.AppKey("siblings", Siblings)
RATE = web.AppKey("rate", RateLimit)
"""What a key may ask, counted over all nodes."""

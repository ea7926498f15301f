"""What nearly every part of a node is made from."""

from dataclasses import dataclass
from ipaddress import ip_network

from bridge.cluster.directory import SharedDirectory
from bridge.cluster.membership import Membership
from bridge.cluster.siblings import Siblings
from bridge.db.database import Database
from bridge.http.address_guard import Guard, read_address
from bridge.http.client import Http
from bridge.http.interfaces import Interfaces
from bridge.http.resolver import Dns
from bridge.metrics.registry import Metrics
from bridge.settings.model import Settings
from bridge.settings.net import networks
from bridge.telemetry.exporter import Exporter
from bridge.telemetry.trace import OFF, Tracer


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """The settings, and what stands below all subjects."""

    settings: Settings
    metrics: Metrics
    members: Membership
    database: Database
    directory: SharedDirectory | None
    """None for a single node."""
    http: Http
    tracer: Tracer = OFF
    spans: Exporter | None = None
    """Exports spans to the collector; None without `telemetry.endpoint`."""

    @property
    def siblings(self) -> Siblings | None:
        """The other nodes; None for a single node."""
        return self.directory.siblings if self.directory else None


def build_http(settings: Settings, metrics: Metrics) -> Http:
    """Return the HTTP client for other servers."""
    return Http(
        guard_of(settings),
        resolver=Dns(settings.net.nameservers),
        count_lookup=metrics.http.looked_up,
    )


def guard_of(settings: Settings) -> Guard:
    """Return what checks customers' URLs."""
    net = settings.net
    addresses = [settings.http.host, settings.rtc.external_address, *settings.rtc.bind]
    own = Interfaces([ip_network(found) for text in addresses if (found := read_address(text))])
    return Guard(
        allow=networks("net.allow", net.allow),
        deny=networks("net.deny", net.deny),
        require_tls=net.require_tls,
        own=own.networks,
    )

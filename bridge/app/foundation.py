"""What the services of a bridge are made from."""

from dataclasses import dataclass

from aiohttp import web

from bridge.app.peers import Peers
from bridge.metrics.registry import Metrics
from bridge.net.database import Database
from bridge.net.http import Http
from bridge.node.directory import SharedDirectory
from bridge.node.events import EventLog
from bridge.node.line_book import LineBook
from bridge.node.lines import Lines
from bridge.node.manager import Manager
from bridge.providers.simulator.provider import SimulatorProvider
from bridge.rtc.ports import PortPool
from bridge.settings.model import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """The objects that every service of a bridge is made from."""

    settings: Settings
    application: web.Application
    """For what must start and end with it."""
    metrics: Metrics
    database: Database
    directory: SharedDirectory | None
    events: EventLog
    lines: Lines
    line_book: LineBook
    manager: Manager
    http: Http
    peers: Peers
    ports: PortPool
    simulator: SimulatorProvider

    @property
    def nodes(self) -> int:
        """How many nodes the bridge has."""
        return self.directory.siblings.count if self.directory else 1

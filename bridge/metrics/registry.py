"""All Prometheus metrics of a node, in base units and with closed label sets.

A label never holds an id, a number or an address.
"""

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge.metrics.agent import AgentMetrics
from bridge.metrics.assets import AssetMetrics
from bridge.metrics.calls import CallMetrics, SetupMetrics
from bridge.metrics.database import DatabaseMetrics
from bridge.metrics.events import EventMetrics
from bridge.metrics.families import Families
from bridge.metrics.media import MediaMetrics
from bridge.metrics.network import HttpMetrics, SocketMetrics, StreamMetrics
from bridge.metrics.node import NodeMetrics
from bridge.metrics.problems import ProblemMetrics
from bridge.metrics.recording import RecordingMetrics
from bridge.metrics.sip import SipMetrics
from bridge.metrics.transcription import TranscriptionMetrics
from bridge.metrics.voicemail import VoicemailMetrics


class Metrics:
    """Every metric of one node."""

    def __init__(self, *, version: str) -> None:
        # Otherwise every counter has a second series with its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge(
            "bridge_build_info", "The running version; always 1.", ["version"], registry=registry
        ).labels(version).set(1)
        create = Families(registry)
        self.agents = AgentMetrics(create)
        self.assets = AssetMetrics(create)
        self.calls = CallMetrics(create)
        self.database = DatabaseMetrics(create)
        self.events = EventMetrics(create)
        self.http = HttpMetrics(create)
        self.media = MediaMetrics(registry)
        self.node = NodeMetrics(create)
        self.problems = ProblemMetrics(registry)
        self.recordings = RecordingMetrics(create)
        self.setup = SetupMetrics(create)
        self.sip = SipMetrics(create)
        self.sockets = SocketMetrics(create)
        self.streams = StreamMetrics(create)
        self.voicemails = VoicemailMetrics(create)
        self.transcripts = TranscriptionMetrics(create)

    def render(self) -> bytes:
        """Return the body of the response to a scrape."""
        return generate_latest(self._registry)

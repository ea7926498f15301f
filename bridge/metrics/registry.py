"""All Prometheus metrics of a node, in base units and with closed label sets.

A label never holds an id, a number or an address.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

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
from bridge.metrics.steps import StepMetrics
from bridge.metrics.transcription import TranscriptionMetrics
from bridge.metrics.voicemail import VoicemailMetrics


class Metrics:
    """Every metric of one node."""

    def __init__(self, *, version: str) -> None:
        # Otherwise every counter has a second series with its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._families = create = Families(registry)
        create.include(ProcessCollector(registry=registry))
        create.gauge("bridge_build_info", "The running version; always 1.", version=())(1, version)
        self.agents = AgentMetrics(create)
        self.assets = AssetMetrics(create)
        self.calls = CallMetrics(create)
        self.database = DatabaseMetrics(create)
        self.events = EventMetrics(create)
        self.http = HttpMetrics(create)
        self.media = MediaMetrics(create)
        self.node = NodeMetrics(create)
        self.problems = ProblemMetrics(registry)
        create.include(self.problems)
        self.recordings = RecordingMetrics(create)
        self.setup = SetupMetrics(create)
        self.sip = SipMetrics(create)
        self.sockets = SocketMetrics(create)
        self.steps = StepMetrics(create)
        self.streams = StreamMetrics(create)
        self.voicemails = VoicemailMetrics(create)
        self.transcripts = TranscriptionMetrics(create)

    def slices(self) -> Iterator[str]:
        """Yield the body of the response to a scrape in parts, each in well under a millisecond."""
        return self._families.slices()

    def render(self) -> bytes:
        """Return that body, made at once."""
        return "".join(self.slices()).encode()

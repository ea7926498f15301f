"""All Prometheus metrics of a node, in base units and with closed label sets.

A label never holds an id, a number or an address.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import ProcessCollector, disable_created_metrics

from bridge.metrics.agent import AgentMetrics
from bridge.metrics.calls import CallMetrics, SetupMetrics
from bridge.metrics.database import DatabaseMetrics
from bridge.metrics.disclosure import DisclosureMetrics
from bridge.metrics.events import EventMetrics
from bridge.metrics.families import Families
from bridge.metrics.media import MediaMetrics
from bridge.metrics.media_thread import MediaThreadMetrics
from bridge.metrics.network import HttpMetrics, LiveKitMetrics, SocketMetrics, StreamMetrics
from bridge.metrics.node import NodeMetrics, StepMetrics
from bridge.metrics.problems import ProblemMetrics
from bridge.metrics.recording import RecordingMetrics, TranscriptionMetrics, VoicemailMetrics
from bridge.metrics.sip import SipMetrics
from bridge.metrics.telemetry import TelemetryMetrics
from bridge.metrics.turns import TurnMetrics

RENAMED: Final = {
    "bridge_encoder_level": "bridge_encoder_rung",
    "bridge_http_unauthenticated_refused_total": "bridge_http_strangers_refused_total",
    "bridge_node_fencing_refused_total": "bridge_node_reaper_refused_total",
    "bridge_rtp_packets_passthrough_total": "bridge_rtp_packets_relayed_total",
}
"""By metric: its former name, under which it is served too until version 1.0 (`metrics.old_names`)."""


class Metrics:
    """Every metric of one node."""

    def __init__(self, *, version: str, old_names: bool = False) -> None:
        """Create it; `old_names`: with renamed metrics under their former names too."""
        # Otherwise every counter has a second series with its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._families = create = Families(RENAMED if old_names else {})
        create.include(ProcessCollector(registry=None))
        create.gauge("bridge_build_info", "The running version; always 1.", version=())(1, version)
        self.agents = AgentMetrics(create)
        self.calls = CallMetrics(create)
        self.database = DatabaseMetrics(create)
        self.disclosures = DisclosureMetrics(create)
        self.events = EventMetrics(create)
        self.http = HttpMetrics(create)
        self.livekit = LiveKitMetrics(create)
        self.media = MediaMetrics(create)
        self.media_thread = MediaThreadMetrics(create)
        self.node = NodeMetrics(create)
        self.problems = ProblemMetrics(create)
        self.recordings = RecordingMetrics(create)
        self.setup = SetupMetrics(create)
        self.sip = SipMetrics(create)
        self.sockets = SocketMetrics(create)
        self.steps = StepMetrics(create)
        self.streams = StreamMetrics(create)
        self.telemetry = TelemetryMetrics(create)
        self.turns = TurnMetrics(create)
        self.voicemails = VoicemailMetrics(create)
        self.transcripts = TranscriptionMetrics(create)

    def slices(self) -> Iterator[str]:
        """Yield the body of the response to a scrape in parts, each in well under a millisecond."""
        return self._families.slices()

    def render(self) -> bytes:
        """Return that body, made at once."""
        return "".join(self.slices()).encode()

"""The metrics of a bridge that has served a request and carried a call, so that all have their labels."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge.api.operations.scrape import merge_slices
from bridge.call.model import LegKind
from bridge.call.record.timeline import Sample
from bridge.metrics.families import Families
from bridge.metrics.network import UNMATCHED
from bridge.metrics.registry import Metrics


def families() -> Iterator[Metric]:
    """Yield every metric as `/metrics` serves it."""
    metrics = Metrics(version="0")
    metrics.http.request("GET", UNMATCHED, 404, 0.001)
    metrics.node.set_packet_path(1, "python")
    metrics.media.observe_quality(LegKind.WEBRTC, Sample())
    yield from text_string_to_metric_families(merge({0: metrics.render()}).decode())


def merge(texts: Mapping[int, bytes | None]) -> bytes:
    """Return the merged text of several nodes at once."""
    return "".join(merge_slices(texts)).encode()


def families_in(registry: CollectorRegistry) -> Families:
    """Return families that a registry of prometheus_client collects."""
    made = Families()
    registry.register(made)
    return made

"""Build the tracing of calls from the settings."""

from collections.abc import Callable
from functools import partial
from importlib import import_module

from bridge.call.model import CallRecord
from bridge.metrics.registry import Metrics
from bridge.node.manager import Manager
from bridge.settings.telemetry import Telemetry, headers_of
from bridge.telemetry.exporter import Exporter
from bridge.telemetry.observer import CallObserver
from bridge.telemetry.trace import OFF, Tracer


def build_telemetry(chosen: Telemetry, metrics: Metrics) -> tuple[Tracer, Exporter | None]:
    """Return the tracer and the exporter of its spans; without an endpoint OpenTelemetry is not imported."""
    if not chosen.endpoint:
        return OFF, None
    from bridge.telemetry.otlp import OtlpCollector  # of an extra

    collector = OtlpCollector(
        chosen.endpoint, headers=headers_of(chosen), seconds=chosen.seconds, service=chosen.service
    )
    exporter = Exporter(collector, count=metrics.telemetry.spans)
    return Tracer(exporter.take, ratio=chosen.ratio), exporter


def preload(chosen: Telemetry) -> None:
    """Import OpenTelemetry's SDK ahead of `build_telemetry`, since that takes most of its time."""
    if chosen.endpoint:
        import_module("bridge.telemetry.otlp")


def observe(tracer: Tracer, manager: Manager) -> None:
    """Subscribe the observer to the events of a node, if calls are traced."""
    if tracer.enabled:
        observer = CallObserver(tracer, manager.record)
        manager.publisher.subscribe(observer.on_event)
        manager.on_dial_failed = observer.ended_silently


def count_lost(tracer: Tracer, manager: Manager) -> Callable[[CallRecord, str], None]:
    """Return a callback for calls that were lost with their node, which counts them and ends their traces."""
    return partial(_count_lost, CallObserver(tracer, manager.record), manager)


def _count_lost(observer: CallObserver, manager: Manager, record: CallRecord, cause: str) -> None:
    manager.count_lost(record, cause)
    observer.ended_silently(record)

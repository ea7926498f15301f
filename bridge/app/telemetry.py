"""What traces calls, out of the settings."""

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
    """Return what says which calls are traced, and what exports their spans; without an endpoint nothing is imported."""
    if not chosen.endpoint:
        return OFF, None
    from bridge.telemetry.otlp import OtlpCollector  # of an extra

    collector = OtlpCollector(
        chosen.endpoint, headers=headers_of(chosen), seconds=chosen.seconds, service=chosen.service
    )
    exporter = Exporter(collector, count=metrics.telemetry.spans)
    return Tracer(exporter.take, ratio=chosen.ratio), exporter


def preload(chosen: Telemetry) -> None:
    """Import what `build_telemetry` would, which takes longest of it."""
    if chosen.endpoint:
        import_module("bridge.telemetry.otlp")


def observe(tracer: Tracer, manager: Manager) -> None:
    """Have the calls of a node observed, if any is to be traced."""
    if tracer.enabled:
        observer = CallObserver(tracer, manager.record)
        manager.publisher.subscribe(observer.on_event)
        manager.on_dial_failed = observer.ended_silently


def count_lost(tracer: Tracer, manager: Manager) -> Callable[[CallRecord, str], None]:
    """Return what counts a call that was lost with its node; its trace has an end, too."""
    return partial(_count_lost, CallObserver(tracer, manager.record), manager)


def _count_lost(observer: CallObserver, manager: Manager, record: CallRecord, cause: str) -> None:
    manager.count_lost(record, cause)
    observer.ended_silently(record)

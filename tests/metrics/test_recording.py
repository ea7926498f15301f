"""What is counted of recordings."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bridge.metrics.recording import (
    ASSET_SOURCES,
    COPIES,
    OUTCOMES,
    PARTS,
    UPLOADS,
    RecordingMetrics,
)
from tests.support.metric_families import families_in


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return RecordingMetrics(families_in(registry))


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("bridge_recordings_total{outcome", "recording_ended", OUTCOMES),
        ("bridge_recording_uploads_total{outcome", "upload", UPLOADS),
        ("bridge_recording_copies_total{outcome", "copy", COPIES),
        ("bridge_recording_parts_total{outcome", "part", PARTS),
        ("bridge_asset_fetches_total{source", "asset_fetched", ASSET_SOURCES),
    ],
)
def test_every_outcome_is_shown_before_it_happens(registry, metrics, name, count, words):
    getattr(metrics, count)(words[0])
    getattr(metrics, count)("nobody knows")
    shown = generate_latest(registry).decode()
    for word in words:
        expected = float(word in (words[0], "other"))
        assert f'{name}="{word}"}} {expected}' in shown


def test_what_waits_and_what_is_free_is_shown(registry, metrics):
    metrics.set_spool(files=2, size_bytes=64_088, oldest_seconds=7.5, deletions=3)
    metrics.set_free_bytes(1_000_000)
    shown = generate_latest(registry).decode()
    for line in (
        "bridge_recording_spool_files 2.0",
        "bridge_recording_spool_bytes 64088.0",
        "bridge_recording_spool_oldest_seconds 7.5",
        "bridge_recording_deletions_waiting 3.0",
        "bridge_recording_free_bytes 1e+06",
    ):
        assert line in shown

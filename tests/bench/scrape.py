"""Reads what a bridge says about itself: Prometheus text, and how histograms grew."""

import math
from collections.abc import Mapping
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

Figures: TypeAlias = "dict[str, dict[frozenset[tuple[str, str]], float]]"
"""Values by name of the sample and labels."""

KEY = {"token": "the-key-of-the-metrics-of-the-bench"}
"""Opens the metrics of the bridges that `tests.bench.servers` starts."""
LAG = "bridge_event_loop_lag_seconds"
ENCODER_LEVEL = "bridge_encoder_level"
PASSTHROUGH = "bridge_rtp_packets_passthrough_total"
PACKETS = "bridge_rtp_packets_total"
FRAMES = "bridge_frames_total"
CONCEALED = "bridge_bus_frames_concealed_total"
PACKET_PATH = "bridge_packet_path_info"


def parse(text: str) -> Figures:
    """Read a scrape."""
    found: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def total(figures: Figures, name: str, **labels: str) -> float:
    """Add up the samples that carry these labels."""
    wanted = labels.items()
    return sum(value for keys, value in figures.get(name, {}).items() if keys >= set(wanted))


def values(figures: Figures, name: str) -> set[float]:
    """Return the different values of a name."""
    return set(figures.get(name, {}).values())


def packet_path(figures: Figures) -> str:
    """Return which packet path is in use (`compiled`, `python`); empty when it is not said."""
    found = {dict(keys)["path"] for keys, value in figures.get(PACKET_PATH, {}).items() if value}
    return "/".join(sorted(found))


def buckets(figures: Figures, name: str) -> dict[float, float]:
    """Return a histogram's cumulative counts by upper bound, all its series together."""
    found: dict[float, float] = {}
    for keys, value in figures.get(f"{name}_bucket", {}).items():
        bound = float(dict(keys)["le"])
        found[bound] = found.get(bound, 0.0) + value
    return found


def growth(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """Return what came between two readings of a histogram."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}


def quantile(counts: Mapping[float, float], share: float) -> float:
    """Estimate the value below which `share` (0 to 1) lies, as Prometheus does.

    Between the bounds of a bucket values are taken for evenly spread; what lies beyond the last
    bound counts as that bound, and of nothing there is no quantile (NaN).
    """
    bounds = sorted(counts)
    if not bounds or counts[bounds[-1]] <= 0:
        return math.nan
    rank, below, lower = share * counts[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank:
            if math.isinf(bound):
                return lower
            inside = counts[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        below, lower = counts[bound], bound
    return lower

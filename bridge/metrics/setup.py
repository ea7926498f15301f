"""Metrics of leg setup: ICE, DTLS and ICE restarts."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from bridge.call.model import LegKind
from bridge.metrics.labels import OTHER

SETUP_OUTCOMES: Final = ("connected", "refused", "failed", "timeout", "canceled", OTHER)
"""`refused`: the offer was answered with an error."""

SETUP_STAGES: Final = ("answer", "ice", "dtls", "total", OTHER)
"""`answer`: from offer to answer; `total`: from offer to connected media."""

FAILURE_STAGES: Final = ("ice", "dtls", OTHER)

FAILURE_REASONS: Final = (
    "timeout",
    "nothing_received",
    "checks_unanswered",
    "not_nominated",
    "handshake",
    "fingerprint",
    "srtp_profile",
    "consent_lost",
    "closed",
    OTHER,
)
"""The reasons of `NegotiationFailed`."""

RESTART_OUTCOMES: Final = ("started", "succeeded", "failed", OTHER)

_SETUP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


class SetupMetrics:
    """Setup metrics of one node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "bridge_leg_setups_total",
            "Leg setups by outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "bridge_leg_setup_seconds",
            "Duration of leg setup by stage.",
            ["stage"],
            buckets=_SETUP_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "bridge_transport_failures_total",
            "ICE and DTLS failures, during setup or later.",
            ["stage", "reason"],
            registry=registry,
        )
        self.restarts = Counter(
            "bridge_ice_restarts_total", "ICE restarts.", ["outcome"], registry=registry
        )
        for kind in LegKind:
            for outcome in SETUP_OUTCOMES:
                self.outcomes.labels(kind.value, outcome)
        for stage in FAILURE_STAGES:
            for reason in FAILURE_REASONS:
                self.failures.labels(stage, reason)
        for outcome in RESTART_OUTCOMES:
            self.restarts.labels(outcome)

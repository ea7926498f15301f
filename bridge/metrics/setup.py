"""How setting up legs goes; `metrics.registry.Metrics` owns it."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from bridge.call.model import LegKind
from bridge.metrics.labels import OTHER

SETUP_OUTCOMES: Final = ("connected", "refused", "failed", "timeout", "canceled", OTHER)
"""How setting up a leg can turn out; `refused` = the offer was answered with an error."""

SETUP_STAGES: Final = ("answer", "ice", "dtls", "total", OTHER)
"""`answer` = offer in, answer out; `ice` and `dtls` as named; `total` = offer in to media up."""

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
"""Why ICE or DTLS did not come up, or went down: the reasons of `NegotiationFailed`."""

RESTART_OUTCOMES: Final = ("started", "succeeded", "failed", OTHER)

_SETUP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


class SetupMetrics:
    """What one node counts of its legs' set-ups."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "bridge_leg_setups_total",
            "How setting up legs turned out.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "bridge_leg_setup_seconds",
            "How long setting up took, by stage.",
            ["stage"],
            buckets=_SETUP_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "bridge_transport_failures_total",
            "ICE and DTLS that did not come up, or went down.",
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

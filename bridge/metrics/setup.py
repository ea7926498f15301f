"""Metrics of leg setup: ICE, DTLS and ICE restarts."""

from typing import Final

from bridge.call.model import LegKind
from bridge.metrics.labels import OTHER, Families

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

    def __init__(self, create: Families) -> None:
        self.outcomes = create.counter(
            "bridge_leg_setups_total",
            "Leg setups by outcome.",
            kind=LegKind,
            outcome=SETUP_OUTCOMES,
        )
        self.seconds = create.histogram(
            "bridge_leg_setup_seconds", "Duration of leg setup by stage.", _SETUP_SECONDS, stage=()
        )
        self.failures = create.counter(
            "bridge_transport_failures_total",
            "ICE and DTLS failures, during setup or later.",
            stage=FAILURE_STAGES,
            reason=FAILURE_REASONS,
        )
        self.restarts = create.counter(
            "bridge_ice_restarts_total", "ICE restarts.", outcome=RESTART_OUTCOMES
        )

"""Metrics of calls, and of the setup of their legs: ICE, DTLS and ICE restarts."""

from collections.abc import Mapping
from typing import Final

from bridge.call.model import Direction, EndReason, LegKind, State
from bridge.metrics.families import OTHER, Families

REFUSALS: Final = ("calls", "line", "share", "overload", "draining", "database", "telephone", OTHER)
"""`database`: it cannot be reached; `telephone`: a limit of the line's trunk; `calls`, `line`: a limit of the node or line; `share`: capacity reserved for lines with fewer calls."""

RECOVERY_CAUSES: Final = ("upgrade", "drain", "crash", "hang", "machine", OTHER)
LOSS_CAUSES: Final = ("crash", "machine", OTHER)
"""`crash`: a process of the bridge has ended; `machine`: it was declared dead, as it did not renew its lease."""
RECORD_OPERATIONS: Final = ("write", "read", "delete")
DETECTIONS: Final = ("person", "machine", "unknown", "beep", OTHER)
REPORT_OUTCOMES: Final = ("taken", "too_many", "refused", OTHER)
"""`too_many`: more than two a second of a leg; `refused`: about a leg that the client may not report."""

SETUP_OUTCOMES: Final = ("connected", "refused", "failed", "timeout", "canceled", OTHER)
"""`refused`: the offer was answered with an error."""

SETUP_STAGES: Final = ("answer", "ice", "dtls", "total", OTHER)
"""`answer`: from offer to answer; `total`: from offer to connected media."""

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

_LIVE_STATES = tuple(state for state in State if state is not State.ENDED)
_CALL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_SILENCE_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3.5, 5, 10, 20)
_SETUP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


class CallMetrics:
    """Call metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._current = create.gauge("bridge_calls", "Current calls.", state=_LIVE_STATES)
        self._limit = create.gauge("bridge_calls_limit", "Maximum number of concurrent calls.")
        self.started = create.counter(
            "bridge_calls_started_total", "Calls started.", direction=Direction
        )
        self._ended = create.counter(
            "bridge_calls_ended_total", "Calls ended.", direction=Direction, reason=EndReason
        )
        self._recovered = create.counter(
            "bridge_calls_recovered_total",
            "Live calls that the node has taken over from another process.",
            cause=RECOVERY_CAUSES,
        )
        self._silence = create.histogram(
            "bridge_recovery_silence_seconds",
            "How long nobody was heard in calls that the node has taken over.",
            _SILENCE_SECONDS,
            cause=RECOVERY_CAUSES,
        )
        self.lost = create.counter(
            "bridge_calls_lost_total",
            "Calls of dead nodes that nobody could go on with, and that this node has ended.",
            cause=LOSS_CAUSES,
        )
        self._seconds = create.histogram(
            "bridge_call_duration_seconds",
            "Call duration from the first request or ring to the end.",
            _CALL_SECONDS,
        )
        self.refused = create.counter(
            "bridge_calls_refused_total", "New calls refused.", reason=REFUSALS
        )
        self.record_failed = create.counter(
            "bridge_call_record_failures_total",
            "Records of ended calls that could not be written, read or deleted.",
            operation=RECORD_OPERATIONS,
        )
        self.machine_detected = create.counter(
            "bridge_machine_detections_total",
            "Results of answering machine detection (AMD); a beep is counted besides the result before it.",
            result=DETECTIONS,
        )
        self.client_reported = create.counter(
            "bridge_client_reports_total",
            "Reports of browsers about their legs.",
            outcome=REPORT_OUTCOMES,
        )

    def ended(self, direction: Direction, reason: EndReason, seconds: float) -> None:
        """Count the end of a call; `seconds` includes ringing."""
        self._ended(direction, reason)
        self._seconds(seconds)

    def recovered(self, cause: str, silent: float) -> None:
        """Count a call that goes on here (`RECOVERY_CAUSES`), after so many seconds of silence."""
        self._recovered(cause)
        self._silence(silent, cause)

    def set_current(self, calls: Mapping[State, int], *, limit: int) -> None:
        """Set the number of calls in each state, and the limit."""
        for state in _LIVE_STATES:
            self._current(calls.get(state, 0), state)
        self._limit(limit)


class SetupMetrics:
    """Setup metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._outcomes = create.counter(
            "bridge_leg_setups_total",
            "Leg setups by outcome.",
            kind=LegKind,
            outcome=SETUP_OUTCOMES,
        )
        self._seconds = create.histogram(
            "bridge_leg_setup_seconds",
            "Duration of leg setup by stage.",
            _SETUP_SECONDS,
            stage=SETUP_STAGES,
        )
        self.transport_failed = create.counter(
            "bridge_transport_failures_total",
            "ICE and DTLS failures, during setup or later.",
            stage=("ice", "dtls", OTHER),
            reason=FAILURE_REASONS,
        )
        self.ice_restart = create.counter(
            "bridge_ice_restarts_total",
            "ICE restarts.",
            outcome=("started", "succeeded", "failed", OTHER),
        )

    def leg_setup(self, kind: LegKind, outcome: str, seconds: float) -> None:
        """Count a leg setup (`SETUP_OUTCOMES`); observe its duration if it connected."""
        self._outcomes(kind, outcome)
        if outcome == "connected":
            self.setup_stage("total", seconds)

    def setup_stage(self, stage: str, seconds: float) -> None:
        """Observe the duration of a stage (`SETUP_STAGES`)."""
        self._seconds(seconds, stage)

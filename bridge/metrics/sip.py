"""Metrics of SIP: messages, trunks, registrations, and what is dropped."""

from collections.abc import Iterable
from typing import Final

from bridge.metrics.families import OTHER, Families

DIRECTIONS: Final = ("in", "out")
METHODS: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"),
    *("PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", OTHER),
)
CLASSES: Final = ("request", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
"""A request, or the class of a response."""

INVITE_CODES: Final = (
    *("200", "302", "400", "401", "403", "404", "407", "408", "415", "422", "480", "481", "482"),
    *("484", "486", "487", "488", "491", "500", "501", "502", "503", "504", "600", "603", "604"),
    *("606", "607", "608", OTHER),
)
"""Final responses to INVITE."""

DROPS: Final = (
    "rate",
    "buffer_full",
    "no_room",
    "per_address",
    "silent",
    "slow_reader",
    "no_owner",
    "malformed",
    "foreign",
    "overload",
    OTHER,
)
"""`rate`: above the rate limit of an address; `buffer_full`: a full kernel buffer, or queue to another node; `no_room`, `per_address`: too
many connections; `silent`: a connection without a message; `slow_reader`: too much unread; `no_owner`: no node had the sockets, or the one
that owns the dialog did not respond; `malformed`: cannot be parsed; `foreign`: within a call, but from an
address or by a transport that is not its other party's; `overload`: too many calls, transactions or delayed responses."""

TRUNK_STATES: Final = ("up", "down", "unknown")
REGISTRATION_STATES: Final = ("registered", "failed", "pending")


class SipMetrics:
    """SIP metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._messages = create.counter(
            "bridge_sip_messages_total",
            "SIP messages, by method and class of response.",
            direction=DIRECTIONS,
            method=METHODS,
            code=CLASSES,
        )
        self._finals = create.counter(
            "bridge_sip_invite_responses_total",
            "Final responses to INVITE.",
            direction=DIRECTIONS,
            code=INVITE_CODES,
        )
        self.dropped = create.counter(
            "bridge_sip_dropped_total", "SIP messages and connections dropped.", reason=DROPS
        )
        self.set_connections = create.gauge(
            "bridge_sip_connections", "Open SIP connections that were accepted."
        )
        self.authentication_failed = create.counter(
            "bridge_sip_authentication_failures_total",
            "Inbound requests with wrong digest credentials.",
        )
        self.unverified_source = create.counter(
            "bridge_sip_unverified_sources_total",
            "Addresses heard in telephone calls that neither signalling nor the trunk's networks name.",
        )
        self._trunks = create.gauge(
            "bridge_sip_trunks", "SIP trunks, by whether they answer.", state=TRUNK_STATES
        )
        self._registrations = create.gauge(
            "bridge_sip_registrations",
            "Registrations at SIP trunks, by state.",
            state=REGISTRATION_STATES,
        )

    def message(self, direction: str, method: str, code: int) -> None:
        """Count a message, `in` or `out`; `code` is 0 for a request."""
        self._messages(direction, method, f"{code // 100}xx" if code else "request")
        if method == "INVITE" and code >= 200:
            self._finals(direction, str(code))

    def set_trunks(
        self, reachable: Iterable[bool | None], registered: Iterable[bool | None]
    ) -> None:
        """Set how many trunks answer, and how many registrations are kept; None is not known yet."""
        for level, states, found in (
            (self._trunks, TRUNK_STATES, list(reachable)),
            (self._registrations, REGISTRATION_STATES, list(registered)),
        ):
            for state, value in zip(states, (True, False, None), strict=True):
                level(found.count(value), state)

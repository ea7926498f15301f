"""Metrics of HTTP connections and requests, media sockets, and DNS lookups."""

from typing import Final

from bridge.metrics.families import OTHER, Families
from bridge.wire.stream.media_stream import StreamEndReason

CUT_REASONS: Final = ("slow_reader", "no_room", "refused", "no_descriptor", OTHER)
"""At the connection limit, `no_room` closes an unauthenticated connection for a new one and `refused`
rejects the new one; `slow_reader` read its response too slowly; `no_descriptor`: out of descriptors."""

UNAUTHENTICATED_REASONS: Final = (
    "too_many",
    "wrong_key",
    "too_many_wrong_keys",
    "no_signature",
    "bad_signature",
    "slow_body",
    OTHER,
)
"""Why an unauthenticated request was rejected."""

UNMATCHED: Final = "unmatched"
"""`route` label of a request that matches no route."""

LIVEKIT_REASONS: Final = (
    "join",
    "token",
    "resume",
    "offer",
    "track",
    "frame",
    "frame_too_large",
    "too_many_frames",
    "silent",
    OTHER,
)
"""Malformed requests to join, tokens (those of unknown keys are `wrong_key` of another metric), resumes of
sessions that are not here, SDP offers, tracks that no call takes, malformed frames, frames over 64 KiB, frames
dropped by the rate limit of a session, and sessions ended because nothing came for 15 s."""

LOOKUP_OUTCOMES: Final = ("found", "nothing", "failed", "remembered", "refused", OTHER)
"""`nothing`: no such name; `failed`: no response; `remembered`: a recent failure from the cache;
`refused`: too many concurrent lookups of its line."""

FALLBACK_ACTIONS: Final = ("hangup", "agent", "announcement", OTHER)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class HttpMetrics:
    """HTTP and DNS metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.set_connections = create.gauge("bridge_http_connections", "Open HTTP connections.")
        self.connection_cut = create.counter(
            "bridge_http_connections_cut_total",
            "HTTP connections closed by the bridge or not accepted.",
            reason=CUT_REASONS,
        )
        self.unauthenticated_refused = create.counter(
            "bridge_http_unauthenticated_refused_total",
            "Requests rejected without a valid key.",
            reason=UNAUTHENTICATED_REASONS,
        )
        self._requests = create.counter(
            "bridge_http_requests_total", "HTTP requests.", method=_METHODS, route=(), status=()
        )
        self._request_seconds = create.histogram(
            "bridge_http_request_seconds",
            "Time to answer an HTTP request.",
            _SECONDS,
            method=_METHODS,
            route=(),
        )
        self.looked_up = create.counter(
            "bridge_dns_lookups_total",
            "DNS lookups for outgoing connections.",
            asker=("operator", "customer", OTHER),
            outcome=LOOKUP_OUTCOMES,
        )
        """By who configured the URL with the name."""

    def request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request by its route's pattern or `UNMATCHED`; `seconds` is None for sockets."""
        self._requests(method, route, str(status))
        if seconds is not None:
            self._request_seconds(seconds, method, route)


class LiveKitMetrics:
    """Metrics of LiveKit's client SDKs on one node; their media is counted as that of browsers."""

    def __init__(self, create: Families) -> None:
        self.refused = create.counter(
            "bridge_livekit_refused_total",
            "What LiveKit's client SDKs sent that was refused or dropped.",
            reason=LIVEKIT_REASONS,
        )


class SocketMetrics:
    """Media socket metrics of one node; sockets are also counted as legs."""

    def __init__(self, create: Families) -> None:
        self._dropped = create.counter(
            "bridge_socket_dropped_seconds_total",
            "Audio dropped by media sockets because their buffer was full.",
            direction=("in", "out", OTHER),
        )
        self.cut_off = create.counter(
            "bridge_socket_cut_offs_total", "Media sockets closed because the client did not read."
        )

    def dropped(self, direction: str, seconds: float) -> None:
        """Count dropped audio: `in`, received from the client, or `out`, to be sent to it."""
        self._dropped(direction, amount=seconds)


class StreamMetrics:
    """Metrics of the streams to customers' servers; their audio is counted as that of sockets."""

    def __init__(self, create: Families) -> None:
        self.ended = create.counter(
            "bridge_streams_ended_total",
            "Streams to customers' servers that have ended.",
            reason=(*(reason.value for reason in StreamEndReason), OTHER),
        )
        self.fell_back = create.counter(
            "bridge_stream_fallbacks_total",
            "Calls whose line's fallback took over from the stream they were answered into.",
            action=FALLBACK_ACTIONS,
        )

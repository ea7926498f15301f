"""Metrics of what receives and sends expected packets: the compiled packet path and its thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.metrics.families import Families

REASONS: Final = (
    "signalling", "idle", "address", "header", "sink", "full", "srtp", "payload", "frame",
)  # fmt: skip
"""Why Python handled a packet. `signalling`: STUN, DTLS, RTCP and what is none of these; `idle`: the stream is not
offloaded; `address`: not from the peer's; `header`: another sequence number, timestamp, SSRC or format than is next;
`sink`: what is sent to the other side is not continued by it; `full`: too much was recorded since the last sync, or
came in a second; `srtp`: it cannot be unprotected; `payload`: of another length; `frame`: Python takes its frame."""
SCHEDULING: Final = ("loop", "usual", "slice", "realtime")
"""`loop`: without a thread, by the event loop; `usual`: as any thread; `slice`: with a short slice, so that it runs
soon after it wakes; `realtime`: before all others (SCHED_FIFO)."""


@dataclass(frozen=True, slots=True)
class PathFigures:
    """What the packet path has done since it began, and how it stands."""

    scheduling: str = "loop"
    """One of `SCHEDULING`."""
    tick_seconds: float = 0.0
    rounds: int = 0
    processed: int = 0
    """Packets that needed no Python."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Packets that Python handled, by reason."""
    dropped: int = 0
    ring_bytes: int = 0
    max_ring_bytes: int = 0
    ran_seconds: float = 0.0
    waited_seconds: float = 0.0
    thread: int = 0
    """Its id; 0 without one."""


class MediaThreadMetrics:
    """Metrics of the packet path of one node."""

    def __init__(self, create: Families) -> None:
        self._before = PathFigures()
        self._packets = create.counter(
            "bridge_media_thread_packets_total",
            "Datagrams of media sockets that were processed without Python.",
        )
        self._left = create.counter(
            "bridge_media_thread_left_total",
            "Datagrams of media sockets handed to Python, by reason.",
            reason=REASONS,
        )
        self._dropped = create.counter(
            "bridge_media_thread_dropped_total",
            "Datagrams dropped because the buffer for Python was full.",
        )
        self._rounds = create.counter(
            "bridge_media_thread_rounds_total",
            "Polls that found readable media sockets.",
        )
        self._ran = create.counter(
            "bridge_media_thread_cpu_seconds_total", "CPU seconds of the media thread."
        )
        self._waited = create.counter(
            "bridge_media_thread_waited_seconds_total",
            "Seconds that the media thread was runnable and waited for a CPU.",
        )
        self._ring = create.gauge(
            "bridge_media_thread_ring_bytes", "Bytes of datagrams that wait for Python."
        )
        self._most = create.gauge(
            "bridge_media_thread_ring_bytes_max", "Peak of the bytes that wait for Python."
        )
        self._tick = create.gauge(
            "bridge_media_thread_tick_seconds",
            "How long packets gather before they are processed (rtc.tick_ms).",
        )
        self._scheduling = create.gauge(
            "bridge_media_thread_scheduling",
            "How media sockets are polled: 1 for the mode in use.",
            mode=SCHEDULING,
        )

    def measure(self, found: PathFigures) -> None:
        """Count what has been done since the last time."""
        before, self._before = self._before, found
        self._packets(amount=found.processed - before.processed)
        for reason, count in found.left.items():
            self._left(reason, amount=count - before.left.get(reason, 0))
        self._dropped(amount=found.dropped - before.dropped)
        self._rounds(amount=found.rounds - before.rounds)
        self._ran(amount=found.ran_seconds - before.ran_seconds)
        self._waited(amount=found.waited_seconds - before.waited_seconds)
        self._ring(found.ring_bytes)
        self._most(found.max_ring_bytes)
        self._tick(found.tick_seconds)
        for mode in SCHEDULING:
            self._scheduling(float(mode == found.scheduling), mode)

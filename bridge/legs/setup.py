"""Bringing up a WebRTC peer for a leg, and telling how that went."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeAlias

from bridge.call.model import LegKind
from bridge.errors import NegotiationFailed
from bridge.rtc.peer import Peer

log = logging.getLogger(__name__)

PeerFactory: TypeAlias = Callable[[Callable[[str], None], Callable[[bool], None]], Peer]
"""Makes a leg's peer, given who is told each digit it sends and how an ICE restart went."""


class SetupCounters(Protocol):
    """Counts how set-ups went; `metrics.registry.Metrics` is one."""

    def leg_setup(self, kind: LegKind, outcome: str, seconds: float) -> None:
        """A leg's set-up ended (`metrics.setup.SETUP_OUTCOMES`)."""
        ...

    def setup_stage(self, stage: str, seconds: float) -> None:
        """`answer`, `ice` or `dtls` is done."""
        ...

    def transport_failed(self, stage: str, reason: str) -> None:
        """`ice` or `dtls` did not come up, or went down."""
        ...


async def connect(peer: Peer, counters: SetupCounters, *, kind: LegKind, began: float) -> bool:
    """Bring up ICE and DTLS; False when they did not come up.

    Args:
        peer: Described to the other side, and that to it.
        counters: Count the outcome, cancellation included.
        kind: The leg's.
        began: When set-up began, by the loop's clock.
    """
    loop = asyncio.get_running_loop()
    try:
        await peer.connect()
    except asyncio.CancelledError:
        counters.leg_setup(kind, "canceled", loop.time() - began)
        raise
    except NegotiationFailed as error:
        outcome = "timeout" if error.reason == "timeout" else "failed"
        counters.transport_failed(error.stage, error.reason)
        counters.leg_setup(kind, outcome, loop.time() - began)
        log.warning("leg.not_connected", extra={"stage": error.stage, "reason": error.reason})
        return False
    seconds = loop.time() - began
    counters.leg_setup(kind, "connected", seconds)
    timings = peer.timings
    counters.setup_stage("ice", timings.ice_seconds or 0.0)
    counters.setup_stage("dtls", timings.dtls_seconds or 0.0)
    log.info("leg.connected", extra={"kind": kind, "seconds": round(seconds, 3)})
    return True

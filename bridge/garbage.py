"""The cyclic garbage collector of a process with calls.

On the media path reference counting suffices; only legs that end leave cycles.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

from bridge.wire.call_event import CallEvent, EventType

THRESHOLDS: Final = (10_000, 20, 50)
SWEEP_SECONDS: Final = 1.0
SWEPT_LEGS: Final = 64


def tune() -> None:
    """Keep the collector from traversing permanent objects during calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def measure(took: Callable[[float], None]) -> None:
    """Call `took` with the seconds of every collection."""
    began = 0.0

    def note(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            took(time.perf_counter() - began)

    gc.callbacks.append(note)


class LegSweep:
    """Collects garbage after every `SWEPT_LEGS` ended legs."""

    def __init__(self) -> None:
        self._ended = 0

    def on_event(self, event: CallEvent) -> None:
        """Count the legs that end."""
        self._ended += event.type == EventType.LEG_LEFT

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._ended >= SWEPT_LEGS:
                self._ended = 0
                gc.collect()

"""Whether a rehearsal failed on an overloaded machine, where the bot may not be at fault."""

import time
from typing import Final

from bridge.node.load import seconds_waited

MAX_LATE: Final = 0.2
"""Seconds by which the bridge's 20 ms clock may be late."""
MAX_WAITED: Final = 1 / 3
"""Share of the time for which the bridge's thread may have been ready to run, but without a core."""


class MachineLoad:
    """The load of the machine from now on, by how long the calling thread waits for a core."""

    def __init__(self) -> None:
        self._since, self._waited = time.monotonic(), seconds_waited()

    def too_slow(self, late: float) -> str:
        """Return why a failure may be the machine's fault; empty if it is not. `late` is the worst delay of the clock in seconds."""
        elapsed = time.monotonic() - self._since
        return explain(late, (seconds_waited() - self._waited) / elapsed)


def explain(late: float, waited: float) -> str:
    """Return the text of `too_slow`; `waited` is the share of the time."""
    if late <= MAX_LATE and waited <= MAX_WAITED:
        return ""
    return (
        f"The machine was overloaded, so the bot may not be at fault: audio was up to {1000 * late:.0f} ms late, and the bridge "
        f"waited for a CPU core {waited:.0%} of the time. Run fewer calls at once (--at-once), and nothing else beside them."
    )

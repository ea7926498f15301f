"""Whether the machine was fast enough for a call to say anything about the bot."""

import time
from typing import Final

from bridge.node.load import seconds_waited

MAX_LATE: Final = 0.2
"""Seconds by which the bridge's 20 ms clock may be late: it hides about so much from the bot."""
MAX_WAITED: Final = 1 / 3
"""Share of the time in which the bridge may have been ready to run without a core; some 0.15 with four calls a core."""


class MachineLoad:
    """The load of the machine since this was made, as the calling thread has felt it."""

    def __init__(self) -> None:
        self._since, self._waited = time.monotonic(), seconds_waited()

    def too_slow(self, late: float) -> str:
        """Return a sentence if a failure may be the machine's, else an empty text; `late` is the clock's worst delay in seconds."""
        elapsed = time.monotonic() - self._since
        return explain(late, (seconds_waited() - self._waited) / elapsed)


def explain(late: float, waited: float) -> str:
    """Return the sentence of `too_slow` for the share of the time that was waited for a core."""
    if late <= MAX_LATE and waited <= MAX_WAITED:
        return ""
    return (
        f"this machine was too busy to blame the bot: audio was up to {1000 * late:.0f} ms late, and the bridge waited "
        f"for a core {waited:.0%} of the time; run fewer calls at once (--at-once), and nothing beside them"
    )

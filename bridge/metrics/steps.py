"""How long single steps of the event loop run.

Measured are the steps whose work may grow with the number of calls. A datagram is handled in a step of its
own and is not: what all steps together delay is `bridge_event_loop_lag_seconds`.
"""

from typing import Final

from bridge.metrics.families import Families

STEPS: Final = ("clock", "sample", "report", "scrape", "list", "garbage")
"""`clock`: the ticks of calls that share a phase of the 20 ms clock; `sample`: figures of calls, taken once a
second; `report`: RTCP reports and checks for silence; `scrape`: a part of the metrics; `list`: live calls described for
lists and consoles; `garbage`: a run of the garbage collector."""

_BOUNDS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)


class StepMetrics:
    """Step metrics of one node."""

    def __init__(self, families: Families) -> None:
        self._seconds = families.histogram(
            "bridge_event_loop_step_seconds",
            "How long steps of the event loop run that work for several calls; packets are not measured.",
            _BOUNDS,
            step=STEPS,
        )

    def took(self, step: str, seconds: float) -> None:
        """Observe how long a step (`STEPS`) has run."""
        self._seconds(seconds, step)

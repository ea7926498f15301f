"""How hard a node works, and what follows: cheaper encoders first, then no new calls.

Two figures a second say it: how late the event loop ran at worst, and how much of a core the
process used. Both thresholds of a step lie apart, so that it is not taken and taken back in turn.
"""

from typing import Final

from bridge.audio.encoder_level import EncoderLevel

OVERLOAD_LAG: Final = 0.020
"""A whole frame late: from here on calls suffer."""
OVERLOAD_CPU: Final = 0.90

STRAIN_LAG: Final = 0.010
STRAIN_CPU: Final = 0.80
STRAIN_SECONDS: Final = 3.0
"""So long above either, and encoders step down; so long again, and once more."""

CALM_LAG: Final = 0.005
CALM_CPU: Final = 0.60
CALM_SECONDS: Final = 20.0
"""So long below both, and encoders step up."""

RELIEF_SECONDS: Final = 3.0
"""So long without overload, and new calls are taken again."""


class LoadPolicy:
    """Looks at one node's load once a second."""

    __slots__ = (
        "_calm_since",
        "_eased_since",
        "_over_since",
        "_patience",
        "_strained_since",
        "level",
        "refusing",
    )

    def __init__(self, *, patience: float) -> None:
        """Begin without load.

        Args:
            patience: Seconds of unbroken overload after which no new call is taken; 0 = never.
        """
        self._patience = patience
        self.level = EncoderLevel.NORMAL
        """What encoders may cost."""
        self.refusing = False
        """Whether new calls are refused."""
        self._strained_since: float | None = None
        self._calm_since: float | None = None
        self._over_since: float | None = None
        self._eased_since: float | None = None

    def look(self, *, lag: float, cpu: float, now: float) -> None:
        """Take the figures of the last second.

        Args:
            lag: How late a timer ran at worst, seconds.
            cpu: Share of one core that the process used.
            now: Monotonic seconds.
        """
        self._step(
            strained=lag > STRAIN_LAG or cpu > STRAIN_CPU,
            calm=lag < CALM_LAG and cpu < CALM_CPU,
            now=now,
        )
        if self._patience:
            self._build_auth(overloaded=lag > OVERLOAD_LAG or cpu > OVERLOAD_CPU, now=now)

    def _step(self, *, strained: bool, calm: bool, now: float) -> None:
        self._strained_since = _since(self._strained_since, now, holds=strained)
        self._calm_since = _since(self._calm_since, now, holds=calm)
        if _lasts(self._strained_since, STRAIN_SECONDS, now) and self.level < max(EncoderLevel):
            self.level = EncoderLevel(self.level + 1)
            self._strained_since = now
        elif _lasts(self._calm_since, CALM_SECONDS, now) and self.level > min(EncoderLevel):
            self.level = EncoderLevel(self.level - 1)
            self._calm_since = now

    def _build_auth(self, *, overloaded: bool, now: float) -> None:
        self._over_since = _since(self._over_since, now, holds=overloaded)
        self._eased_since = _since(self._eased_since, now, holds=not overloaded)
        if _lasts(self._over_since, self._patience, now):
            self.refusing = True
        elif _lasts(self._eased_since, RELIEF_SECONDS, now):
            self.refusing = False


def _since(since: float | None, now: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now if since is None else since


def _lasts(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds

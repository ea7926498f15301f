"""When the steps of a leg's set-up were done."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

SetupStep: TypeAlias = Literal[
    "dialled",
    "ringing",
    "offer",
    "answer",
    "pre_accepted",
    "ice",
    "dtls",
    "socket",
    "accepted",
    "first_received",
    "first_sent",
]


@dataclass(frozen=True, slots=True)
class SetupTimings:
    """When each step was first done, in seconds since the leg began; None for one that was not.

    Which steps a leg has depends on its kind and on who calls; they need not be done in this order.
    """

    dialled: float | None = None
    """The provider has accepted the dial."""
    ringing: float | None = None
    """The provider reported that the party's device rings."""
    offer: float | None = None
    """The session description of the side that begins was received, or written."""
    answer: float | None = None
    """The other side's, likewise."""
    pre_accepted: float | None = None
    """The provider has taken our answer ahead of `accepted`."""
    ice: float | None = None
    """A pair of addresses was nominated."""
    dtls: float | None = None
    """The keys were agreed."""
    socket: float | None = None
    """The provider's media socket is open."""
    accepted: float | None = None
    """The party picked up, or the provider has taken our acceptance of its call."""
    first_received: float | None = None
    """The first packet of audio came."""
    first_sent: float | None = None
    """The first packet of audio was sent."""

    def done(self) -> dict[str, float]:
        """Return the steps that are done, in the order in which they were."""
        times = ((one.name, getattr(self, one.name)) for one in fields(self))
        steps = {name: round(at, 3) for name, at in times if at is not None}
        return dict(sorted(steps.items(), key=lambda step: step[1]))


class SetupClock:
    """Notes when the steps of one leg are done; `now` is in monotonic seconds."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._done: dict[SetupStep, float] = {}
        self._timings = SetupTimings()

    def note(self, step: SetupStep, now: float) -> None:
        """Note that a step is done; a repetition (a restart, a reloaded page) changes nothing."""
        if step not in self._done:
            self._done[step] = max(0.0, now - self._began)
            self._timings = SetupTimings(**self._done)

    def timings(self) -> SetupTimings:
        """Return the steps done until now."""
        return self._timings

    def done(self) -> dict[str, float]:
        """Return when each step was done, exactly (`restore`)."""
        return {"began": self._began, **{str(step): at for step, at in self._done.items()}}

    def restore(self, done: Mapping[str, float]) -> None:
        """Go on after the steps of another clock; unknown ones are left out."""
        known = get_args(SetupStep)
        self._began = done.get("began", self._began)
        self._done = {step: done[step] for step in known if step in done}
        self._timings = SetupTimings(**self._done)

"""What every leg is: two ends for the bus, and one `run` that is its whole life."""

import secrets
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from bridge.call.ends import Sink, Source
from bridge.call.events import LegEvent
from bridge.call.model import LegId, LegKind, LegStatistics

Emit: TypeAlias = Callable[[LegEvent], None]
"""Takes what happens to a leg; never waits."""


class Leg(Protocol):
    """One party's connection to a call."""

    @property
    def leg_id(self) -> LegId:
        """Unique within the call."""
        ...

    @property
    def kind(self) -> LegKind:
        """Which kind of leg this is."""
        ...

    @property
    def source(self) -> Source | None:
        """What the party says; None when it never says anything."""
        ...

    @property
    def sink(self) -> Sink | None:
        """What the party hears; None when it hears nothing."""
        ...

    async def run(self, emit: Emit) -> None:
        """Connect, live, and clean up; returns when the leg is over.

        Before returning by itself the leg has emitted `LegEnded`. Cancellation hangs up: it says goodbye to the party within 1 s, frees
        every socket, task and timer, and emits nothing more.
        """
        ...

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        ...


@runtime_checkable
class Answerable(Protocol):
    """A leg whose party may be calling us."""

    def answer(self) -> None:
        """Accept the inbound call; has no effect on an outbound one."""
        ...


@runtime_checkable
class DigitSender(Protocol):
    """A leg that can send digits to its party (`LegTraits.takes_digits`)."""

    def send_digits(self, digits: str) -> None:
        """Send DTMF digits (0-9, *, #, A-D), one after the other."""
        ...


class DialledLeg(Leg, Answerable, Protocol):
    """A leg that reaches a number, or is called from one."""


def new_leg_id() -> LegId:
    """Return a fresh id."""
    return LegId(f"leg_{secrets.token_hex(8)}")

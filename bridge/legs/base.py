"""What every leg is: a source and a sink for the bus, and one `run` that is its whole life."""

import secrets
from collections.abc import Callable
from typing import Protocol

from bridge.call.ends import Sink, Source
from bridge.call.events import LegEvent
from bridge.call.model import LegId, LegKind, LegStatistics


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
    def source(self) -> Source:
        """What the party says."""
        ...

    @property
    def sink(self) -> Sink:
        """What the party hears."""
        ...

    async def run(self, emit: Callable[[LegEvent], None]) -> None:
        """Connect, live, and clean up; returns when the leg is over.

        `emit` takes what happens to the leg; it never waits. Before returning by itself the leg has
        emitted `LegEnded`. Cancellation hangs up: it says goodbye to the party within 1 s, frees
        every socket, task and timer, and emits nothing more.
        """
        ...

    def answer(self) -> None:
        """Accept the party that is ringing us; does nothing on a leg that does not ring."""
        ...

    def send_digits(self, digits: str) -> None:
        """Send DTMF digits (0-9, *, #, A-D) to the party, one after the other."""
        ...

    async def aclose(self) -> None:
        """Free a leg that was made and never run; hangs up what was begun to reach its party."""
        ...

    def statistics(self) -> LegStatistics:
        """The leg's figures until now."""
        ...


def new_leg_id() -> LegId:
    """Return a fresh id."""
    return LegId(f"leg_{secrets.token_hex(8)}")

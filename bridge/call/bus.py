"""Where the audio of one call meets: sources, sinks, and who hears whom.

A sink that hears exactly one timed source is served in the same call in which the frame arrives,
with nothing between the two. Every other sink is served by `tick`, every 20 ms, from one playout
buffer a timed source. The bus joins the two roads and does no arithmetic of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.audio.frame import FRAME_SAMPLES, SILENCE, Frame, Push
from bridge.audio.mixer import mix
from bridge.audio.playout import Playout
from bridge.call.model import LegId


class Source(Protocol):
    """Gives frames: what one party says."""

    @property
    def timed(self) -> bool:
        """Whether frames come by themselves, with the timing of RTP; else the clock pulls them."""
        ...

    def attach(self, push: Push | None) -> None:
        """Set where a timed source sends each frame as it arrives; None: nobody listens."""
        ...

    def pull(self) -> bytes | None:
        """Give the next 640 bytes of an untimed source, called once every 20 ms; None is silence."""
        ...


class Sink(Protocol):
    """Takes frames: what one party hears."""

    @property
    def steady(self) -> bool:
        """Whether the sink must be fed by the clock even when it hears one source only."""
        ...

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame; never waits, never raises."""
        ...


@dataclass(slots=True)
class _Party:
    """One leg on the bus."""

    source: Source
    sink: Sink
    hears: tuple[LegId, ...] = ()
    clocked: bool = False
    """Whether the sink is served by `tick`."""
    epoch: int = 0
    """Counts the sink's turns on the clock, so that each is a timeline of its own."""
    playout: Playout | None = field(default=None)
    """The source's buffer, while a clocked sink hears it."""


class Bus:
    """The audio of one call."""

    def __init__(self) -> None:
        self._parties: dict[LegId, _Party] = {}
        self._pts = 0
        self._retired_late = 0
        self._retired_dropped = 0

    @property
    def needs_clock(self) -> bool:
        """Whether any sink is served by `tick`."""
        return any(party.clocked for party in self._parties.values())

    @property
    def late(self) -> int:
        """Frames that came too late for a playout buffer, of all there were."""
        return self._retired_late + sum(playout.late for playout in self.playouts())

    @property
    def dropped(self) -> int:
        """Frames that a full playout buffer dropped, of all there were."""
        return self._retired_dropped + sum(playout.dropped for playout in self.playouts())

    def join(self, leg_id: LegId, source: Source, sink: Sink) -> None:
        """Add a leg; it hears nobody until it is routed."""
        self._parties[leg_id] = _Party(source, sink)

    def leave(self, leg_id: LegId, now: float) -> None:
        """Remove a leg and every route from it; does nothing when it is not there."""
        party = self._parties.pop(leg_id, None)
        if party is not None:
            party.source.attach(None)
            self._retire(party)
            rows = {other: frozenset(row.hears) for other, row in self._parties.items()}
            self.route(rows, now)

    def route(self, rows: Mapping[LegId, frozenset[LegId]], now: float) -> None:
        """Replace the table: for each sink, the sources it hears; sinks not named hear nobody.

        A source that no clocked sink hears any more gives up its buffer: what was still in it
        leaves at once for the sink that now hears the source directly.
        """
        for leg_id, party in self._parties.items():
            heard = rows.get(leg_id, frozenset())
            party.hears = tuple(source for source in self._parties if source in heard)
            clocked = self._wants_clock(party)
            party.epoch += clocked and not party.clocked
            party.clocked = clocked
        for leg_id, party in self._parties.items():
            if party.source.timed:
                self._connect(leg_id, party, now)

    def tick(self, now: float) -> None:
        """Serve every clocked sink one frame; called once every 20 ms."""
        self._pts += FRAME_SAMPLES
        heard = {
            leg_id for party in self._parties.values() if party.clocked for leg_id in party.hears
        }
        spoken = {leg_id: self._pull(self._parties[leg_id], now) for leg_id in heard}
        for leg_id, party in list(self._parties.items()):
            if party.clocked:
                frames = [pcm for source in party.hears if (pcm := spoken[source]) is not None]
                if frames or party.sink.steady:
                    pcm = mix(frames) if frames else SILENCE
                    party.sink.push(Frame(pcm, self._pts, (leg_id, party.epoch)), now)

    def playouts(self) -> list[Playout]:
        """The buffers in use now, for their figures."""
        return [party.playout for party in self._parties.values() if party.playout is not None]

    def _wants_clock(self, party: _Party) -> bool:
        if not party.hears:
            return party.sink.steady
        alone = len(party.hears) == 1
        return party.sink.steady or not (alone and self._parties[party.hears[0]].source.timed)

    def _pull(self, party: _Party, now: float) -> bytes | None:
        if party.playout is not None:
            return party.playout.pull(now)
        return None if party.source.timed else party.source.pull()

    def _connect(self, leg_id: LegId, party: _Party, now: float) -> None:
        """Point a timed source at all who hear it; a source that one sink hears meets it directly."""
        hearers = [other for other in self._parties.values() if leg_id in other.hears]
        takers: list[Push] = [other.sink.push for other in hearers if not other.clocked]
        clocked = any(other.clocked for other in hearers)
        if clocked:
            if party.playout is None:
                party.playout = Playout()
            takers.append(party.playout.push)
        push = _fan_out(takers)
        if party.playout is not None and not clocked:
            for frame in self._retire(party):
                if push is not None:
                    push(frame, now)
        party.source.attach(push)

    def _retire(self, party: _Party) -> list[Frame]:
        """Give up a source's buffer; keep what it had counted and give what it still held."""
        playout, party.playout = party.playout, None
        if playout is None:
            return []
        self._retired_late += playout.late
        self._retired_dropped += playout.dropped
        return playout.drain()


def _fan_out(takers: list[Push]) -> Push | None:
    if len(takers) <= 1:
        return takers[0] if takers else None
    several: tuple[Callable[[Frame, float], None], ...] = tuple(takers)

    def push(frame: Frame, now: float) -> None:
        for take in several:
            take(frame, now)

    return push

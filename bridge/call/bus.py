"""Where the audio of one call meets: sources, sinks, and who hears whom.

Each sink is served on one of three roads:

* **relay**: it hears exactly one source, and both can pass Opus packets on as they are;
* **arrival**: it hears exactly one timed source and gets its frames in the call in which they come;
* **clock**: everything else. `tick` serves it every 20 ms from one playout buffer a timed source;
  where all such sinks can wait (a recorder), `catch_up` does the same for many ticks in one go.

A source decodes only when somebody takes its frames, so a sink on the clock, which may do nothing
but listen, gets a decoded copy beside a relay. A packet that a sink cannot take moves that sink to
frames, beginning with this very packet; so does a second source. It goes back to the relay in the
first pause of speech after it has needed frames no more for 5 s: a far decoder that has last heard
our encoder may begin the source's own packets too quietly. A source may lower the voices that are
heard beside it while it speaks; whoever hears it is on the clock until they are back. The bus joins
the roads and does no arithmetic of its own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.audio.backlog import FrameBacklog
from bridge.audio.ducking import Ducking
from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame, Push
from bridge.audio.level import QUIET
from bridge.audio.mixer import mix, mix_many
from bridge.audio.opus_packet import OpusPacket
from bridge.audio.playout import Playout
from bridge.call.ends import Sink, Source
from bridge.call.model import Cadence, DeliveryPath, LegId

RETURN_SECONDS: Final = 5.0
"""For how long a sink must not have needed frames before packets are relayed to it again."""

MAX_CATCH_UP: Final = 2.0
"""So many seconds are caught up with at once; what lies before is left out."""

PAUSE_SECONDS: Final = 2.0
"""For how much longer a pause of speech is waited for."""

_RELAY: Final = DeliveryPath.RELAY  # looked up once: it is asked for with every packet


@dataclass(slots=True, eq=False)
class _Party:
    """One leg on the bus."""

    source: Source
    sink: Sink
    hears: tuple[LegId, ...] = ()
    road: DeliveryPath = DeliveryPath.PCM
    relay_at: float = -math.inf
    """When packets may be relayed to the sink again."""
    epoch: int = 0
    """Counts the sink's turns on the clock, so that each is a timeline of its own."""
    playout: Playout | None = field(default=None)
    """The source's buffer, while a clocked sink hears it."""
    backlog: FrameBacklog = field(default_factory=FrameBacklog)
    """What comes for the buffer while the bus is served seldom."""
    batched: bool = False
    """Whether the sink can be served by `catch_up`."""
    lowers: float = 1.0
    """The gain that the source leaves to voices beside it."""
    lowered: bool = True
    """Whether the source is such a voice."""
    ducking: Ducking | None = None
    """How far down voices are for the sink, while they may be."""

    @property
    def clocked(self) -> bool:
        """Whether the sink is served by `tick`."""
        return self.road is DeliveryPath.CLOCK


class Bus:
    """The audio of one call."""

    def __init__(self, *, pace_changed: Callable[[], None] = lambda: None) -> None:
        """Make a bus.

        Args:
            pace_changed: called when `pace` may have changed within a tick.
        """
        self._pace_changed = pace_changed
        self._parties: dict[LegId, _Party] = {}
        self._pts = 0
        self._spoken: list[tuple[LegId, _Party]] = []
        """Whom `tick` pulls."""
        self._served: list[tuple[_Party, tuple[LegId, int]]] = []
        """Whom it serves, and the timeline of each one's frames."""
        self._batched = False
        """Whether all these can wait, and `catch_up` serves them."""
        self._rising = False
        """Whether somebody is on the clock only until voices are back."""
        self._due = 0.0
        """When the next tick is due then."""
        self._retired_late = 0
        self._retired_dropped = 0
        self._retired_concealed = 0

    @property
    def pace(self) -> Cadence:
        """How often, and by what, sinks are to be served."""
        if not self._served:
            return Cadence.NEVER
        return Cadence.BATCHED if self._batched else Cadence.EVERY_FRAME

    @property
    def late(self) -> int:
        """Frames that came too late for a playout buffer, of all there were."""
        return self._retired_late + sum(playout.late for playout in self.playouts())

    @property
    def dropped(self) -> int:
        """Frames that a full playout buffer dropped, of all there were."""
        backlog = sum(party.backlog.dropped for party in self._parties.values())
        return self._retired_dropped + backlog + sum(p.dropped for p in self.playouts())

    @property
    def concealed(self) -> int:
        """Frames that playout buffers made up because none had come in time, of all there were."""
        return self._retired_concealed + sum(playout.concealed for playout in self.playouts())

    def road(self, leg_id: LegId) -> DeliveryPath | None:
        """How a leg is served what it hears; None when it hears nobody."""
        party = self._parties.get(leg_id)
        return None if party is None or not party.hears else party.road

    def join(
        self,
        leg_id: LegId,
        source: Source,
        sink: Sink,
        *,
        batched: bool = False,
        lowers: float = 1.0,
        lowered: bool = True,
    ) -> None:
        """Add a leg; it hears nobody until it is routed.

        Args:
            leg_id: unique on the bus.
            source: what it says.
            sink: what it hears.
            batched: whether `catch_up` may serve it, late and many frames at once.
            lowers: the gain, 0 to 1, of the voices that are heard beside it while it speaks.
            lowered: whether it is such a voice itself; one that lowers others never is.
        """
        self._parties[leg_id] = _Party(
            source, sink, batched=batched, lowers=lowers, lowered=lowered and lowers == 1.0
        )

    def leave(self, leg_id: LegId, now: float) -> None:
        """Remove a leg and every route from it; does nothing when it is not there."""
        self.catch_up(now)
        party = self._parties.pop(leg_id, None)
        if party is not None:
            party.source.attach(None)
            self._retire(party)
            self._route_again(now)

    def route(self, rows: Mapping[LegId, frozenset[LegId]], now: float) -> None:
        """Replace the table: for each sink, the sources it hears; sinks not named hear nobody.

        A sink that comes back from the clock gets at once what the buffer of the source that it
        now hears directly still held.
        """
        self.catch_up(now)
        returned: list[_Party] = []
        for leg_id, party in self._parties.items():
            heard = rows.get(leg_id, frozenset())
            party.hears = tuple(source for source in self._parties if source in heard)
            self._duck(party)
            before, party.road = party.road, self._choose_road(party)
            if party.clocked:
                party.epoch += before is not DeliveryPath.CLOCK
            elif before is DeliveryPath.CLOCK:
                party.road = DeliveryPath.PCM
                party.relay_at = now + RETURN_SECONDS
                returned.append(party)
            elif party.relay_at > now:
                party.road = DeliveryPath.PCM
        self._plan(now)
        for leg_id, party in self._parties.items():
            if party.source.timed:
                self._hand_over(leg_id, party, returned, now)
                self._connect(leg_id, party)

    def tick(self, now: float) -> None:
        """Serve every clocked sink one frame; called once every 20 ms."""
        self._pts += FRAME_SAMPLES
        spoken = {leg_id: self._pull(party, now) for leg_id, party in self._spoken}
        mixed: dict[tuple[LegId, ...], bytes | None] = {}
        for party, timeline in self._served:
            heard = party.hears
            if party.ducking is not None:
                pcm = self._lower(party.ducking, heard, spoken)
            else:
                if heard not in mixed:
                    frames = [pcm for source in heard if (pcm := spoken[source]) is not None]
                    mixed[heard] = mix(frames) if frames else None
                pcm = mixed[heard]
            if pcm is not None or party.sink.steady:
                party.sink.push(Frame(SILENCE if pcm is None else pcm, self._pts, timeline), now)
        if self._rising and all(
            party.ducking is None or party.ducking.idle for party, _ in self._served
        ):
            self._route_again(now)
            self._pace_changed()

    def catch_up(self, now: float) -> None:
        """Do in one go what `tick` would have done every 20 ms, where all who hear can wait."""
        if not self._batched or self._due > now:
            return
        ticks = [max(self._due, now - MAX_CATCH_UP)]
        while (due := ticks[-1] + FRAME_SECONDS) <= now:
            ticks.append(due)
        self._due = due
        spoken = {
            leg_id: party.backlog.pull(party.playout, ticks) for leg_id, party in self._spoken
        }
        for party, timeline in self._served:
            frames = mix_many([spoken[source] for source in party.hears], len(ticks))
            pts, push = self._pts, party.sink.push
            for pcm, due in zip(frames, ticks, strict=True):
                pts += FRAME_SAMPLES
                push(Frame(pcm, pts, timeline), due)
        self._pts += FRAME_SAMPLES * len(ticks)

    def playouts(self) -> list[Playout]:
        """The buffers in use now, for their figures."""
        return [party.playout for party in self._parties.values() if party.playout is not None]

    def delays(self) -> dict[LegId, float]:
        """Seconds that each source's buffer holds its sound back, where it has one."""
        return {
            leg_id: party.playout.delay_seconds
            for leg_id, party in self._parties.items()
            if party.playout is not None
        }

    def _choose_road(self, party: _Party) -> DeliveryPath:
        """Choose the best road for a sink, whatever road it was on."""
        if party.sink.steady or party.ducking is not None:
            return DeliveryPath.CLOCK
        if not party.hears:
            return DeliveryPath.PCM
        source = self._parties[party.hears[0]].source
        if len(party.hears) > 1 or not source.timed:
            return DeliveryPath.CLOCK
        return (
            DeliveryPath.RELAY
            if source.relays and party.sink.packets is not None
            else DeliveryPath.PCM
        )

    def _plan(self, now: float) -> None:
        """Set what `tick` does: it runs fifty times a second, and the table changes seldom."""
        clocked = [(leg_id, party) for leg_id, party in self._parties.items() if party.clocked]
        heard = dict.fromkeys(source for _, party in clocked for source in party.hears)
        self._spoken = [(leg_id, self._parties[leg_id]) for leg_id in heard]
        self._served = [(party, (leg_id, party.epoch)) for leg_id, party in clocked]
        ducked = [party for _, party in clocked if party.ducking is not None]
        self._rising = any(self._gain(party) == 1.0 for party in ducked)
        before, self._batched = (
            self._batched,
            bool(clocked)
            and not ducked
            and all(party.batched for _, party in clocked)
            and all(party.source.timed for _, party in self._spoken),
        )
        if self._batched and not before:
            self._due = now + FRAME_SECONDS
        elif before and not self._batched:
            for party in self._parties.values():
                party.backlog.release(party.playout, now)

    def _duck(self, party: _Party) -> None:
        """Let a sink that hears somebody who lowers voices have them lowered, until all are back."""
        if self._gain(party) < 1.0:
            party.ducking = party.ducking or Ducking()
        elif not party.hears or (party.ducking is not None and party.ducking.idle):
            party.ducking = None

    def _gain(self, party: _Party) -> float:
        """The least gain that those whom a sink hears leave to voices."""
        return min((self._parties[source].lowers for source in party.hears), default=1.0)

    def _lower(
        self, ducking: Ducking, heard: tuple[LegId, ...], spoken: Mapping[LegId, bytes | None]
    ) -> bytes | None:
        voices: list[bytes] = []
        over: list[bytes] = []
        wanted = 1.0
        for source in heard:
            if (pcm := spoken[source]) is not None:
                party = self._parties[source]
                wanted = min(wanted, party.lowers)
                (voices if party.lowered else over).append(pcm)
        return ducking.mix(voices, over, wanted)

    def _route_again(self, now: float) -> None:
        self.route({leg_id: frozenset(row.hears) for leg_id, row in self._parties.items()}, now)

    def _pull(self, party: _Party, now: float) -> bytes | None:
        if party.playout is not None:
            return party.playout.pull(now)
        return None if party.source.timed else party.source.pull()

    def _hearers(self, leg_id: LegId) -> list[_Party]:
        return [other for other in self._parties.values() if leg_id in other.hears]

    def _hand_over(self, leg_id: LegId, party: _Party, returned: list[_Party], now: float) -> None:
        """Give what a source's buffer holds to the sinks that heard it by the clock until now."""
        if party.playout is None:
            return
        hearers = self._hearers(leg_id)
        for other in hearers:
            if other in returned:
                for frame in party.playout.held():
                    other.sink.push(frame, now)
        if not any(other.clocked for other in hearers):
            self._retire(party)

    def _connect(self, leg_id: LegId, party: _Party) -> None:
        """Point a timed source at all who hear it, each by its road."""
        hearers = self._hearers(leg_id)
        takers: list[Push] = [
            other.sink.push for other in hearers if other.road is DeliveryPath.PCM
        ]
        if any(other.clocked for other in hearers):
            if party.playout is None:
                party.playout = Playout()
            takers.append(party.backlog.push if self._batched else party.playout.push)
        relayed = [other for other in hearers if self._choose_road(other) is DeliveryPath.RELAY]
        relay = _Relay(relayed, lambda: self._connect(leg_id, party)) if relayed else None
        party.source.attach(_fan_out(takers), relay)

    def _retire(self, party: _Party) -> None:
        """Give up a source's buffer; keep what it had counted."""
        playout, party.playout = party.playout, None
        backlog, party.backlog = party.backlog, FrameBacklog()
        self._retired_dropped += backlog.dropped
        if playout is not None:
            self._retired_late += playout.late
            self._retired_dropped += playout.dropped
            self._retired_concealed += playout.concealed


class _Relay:
    """Passes the packets of one source on, and moves sinks between the relay and frames."""

    __slots__ = ("_moved", "_packets", "_sinks")

    def __init__(self, parties: list[_Party], moved: Callable[[], None]) -> None:
        self._packets = [
            (party, packets) for party in parties if (packets := party.sink.packets) is not None
        ]
        # Bound once: the calls below happen for every packet.
        self._sinks = [(party, packets.take) for party, packets in self._packets]
        self._moved = moved

    def __call__(self, packet: OpusPacket, now: float) -> None:
        moved = False
        for party, take in self._sinks:
            relayed = party.road is _RELAY
            if not relayed and (party.relay_at > now or self._speaks(packet, party, now)):
                continue
            taken = take(packet, now)
            if not taken:
                party.relay_at = now + RETURN_SECONDS
            if taken is not relayed:
                party.road = DeliveryPath.RELAY if taken else DeliveryPath.PCM
                moved = True
        if moved:
            self._moved()

    @staticmethod
    def _speaks(packet: OpusPacket, party: _Party, now: float) -> bool:
        """Whether it is better to wait for a pause before packets are relayed again."""
        return packet.level_dbov >= QUIET and now < party.relay_at + PAUSE_SECONDS

    @property
    def loss_ratio(self) -> float:
        relayed = [packets for party, packets in self._packets if party.road is DeliveryPath.RELAY]
        return max((packets.loss_ratio for packets in relayed), default=0.0)


def _fan_out(takers: list[Push]) -> Push | None:
    if len(takers) <= 1:
        return takers[0] if takers else None
    several: tuple[Callable[[Frame, float], None], ...] = tuple(takers)

    def push(frame: Frame, now: float) -> None:
        for take in several:
            take(frame, now)

    return push

"""Where the audio of one call meets: sources, sinks, and the routes between them.

Each sink is served by one of three delivery paths:

* **passthrough**: it hears exactly one source, and both can pass packets of the same codec undecoded;
* **PCM**: it hears exactly one timed source and gets each frame in the call in which it arrives;
* **clock**: everything else. `tick` serves it every 20 ms from one playout buffer a timed source;
  where all such sinks are batched (recorders), `catch_up` does the work of many ticks at once.

Batched sinks on the PCM path are served by `catch_up` too, each frame with its arrival time.

A source decodes only while somebody takes its frames, so a tap on the clock gets a decoded copy
beside passthrough. A packet that a sink cannot take switches that sink to frames, beginning with this
very packet; so does a second source. It returns to packets in the first pause of speech after it
has needed no frames for 5 s: the receiving decoder's state comes from our encoder, so the source's
first packets may decode too quietly. A source may duck the voices heard beside it while it speaks; who hears it
is on the clock until they are back at full level.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from bridge.audio.buffer.backlog import FrameBacklog
from bridge.audio.buffer.playout import Playout
from bridge.audio.ducking import Ducking
from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame, Push
from bridge.audio.mixer import mix, mix_many
from bridge.call.bus.ends import PacketSink, Sink, Source, TimedSource
from bridge.call.bus.party import RETURN_SECONDS, BusParty, PacketForwarder, fan_out
from bridge.call.model import Cadence, DeliveryPath, LegId

MAX_CATCH_UP: Final = 2.0
"""Seconds caught up with at once; anything older is left out."""


class Bus:
    """The audio of one call."""

    def __init__(self, *, cadence_changed: Callable[[], None] = lambda: None) -> None:
        """Make a bus; `cadence_changed` is called when `cadence` may have changed within a tick."""
        self._cadence_changed = cadence_changed
        self._parties: dict[LegId, BusParty] = {}
        self._pts = 0
        self._clocked_sources: list[tuple[LegId, BusParty]] = []
        self._clocked_sinks: list[tuple[BusParty, Push, tuple[LegId, int]]] = []
        """Each with its media epoch."""
        self._batched = False
        """Whether `catch_up` serves all of them and of the batched sinks on the PCM path, and `tick` none."""
        self._late_sources: list[TimedSource] = []
        """Sources whose frames `catch_up` delivers."""
        self._due = 0.0
        """When the next tick would be due then."""
        self._unducking = False
        """Whether a sink is on the clock only until its voices are back at full level."""
        self._retired_dropped = 0
        self._retired_concealed = 0

    @property
    def cadence(self) -> Cadence:
        """How often, and by what, the sinks on the clock are to be served."""
        if self._batched:
            return Cadence.BATCHED
        return Cadence.EVERY_FRAME if self._clocked_sinks else Cadence.NEVER

    @property
    def dropped(self) -> int:
        """Frames that a full playout buffer dropped, of all there were."""
        dropped = self._retired_dropped
        for party in self._parties.values():
            dropped += party.backlog.dropped
            if party.playout is not None:
                dropped += party.playout.dropped
        return dropped

    @property
    def concealed(self) -> int:
        """Frames that playout buffers concealed because none had come in time, of all there were."""
        concealed = self._retired_concealed
        for party in self._parties.values():
            if party.playout is not None:
                concealed += party.playout.concealed
        return concealed

    def path(self, leg_id: LegId) -> DeliveryPath | None:
        """Return how a leg is served what it hears; None when it hears nobody."""
        party = self._parties.get(leg_id)
        return None if party is None or not party.hears else party.path

    def heard_by(self, leg_id: LegId) -> tuple[LegId, ...]:
        """Return whom a leg hears."""
        party = self._parties.get(leg_id)
        return () if party is None else party.hears

    def join(
        self,
        leg_id: LegId,
        source: Source | None,
        sink: Sink | None,
        *,
        batched: bool = False,
        ducking_gain: float = 1.0,
        duckable: bool = True,
    ) -> None:
        """Add a leg; it hears nobody until it is routed.

        `batched` says whether its sink may be served late, by `catch_up` and as a tap of packets, of which it
        must refuse none of its codec. While it speaks, the voices heard beside it have the gain `ducking_gain`, 0 to 1;
        `duckable` says whether it is such a voice, unless it ducks others.
        """
        timed = source if isinstance(source, TimedSource) else None
        self._parties[leg_id] = BusParty(
            timed=timed,
            pull=None if source is None or isinstance(source, TimedSource) else source.pull,
            push=None if sink is None else sink.push,
            packets=sink if sink is not None and isinstance(sink, PacketSink) else None,
            always_clocked=sink is not None and sink.always_clocked,
            batched=batched,
            ducking_gain=ducking_gain,
            duckable=duckable and ducking_gain == 1.0,
        )

    def leave(self, leg_id: LegId, now: float) -> None:
        """Remove a leg and every route from it; does nothing when it is not there."""
        self.catch_up(now)
        party = self._parties.pop(leg_id, None)
        if party is not None:
            if party.timed is not None:
                party.timed.attach(None)
            self._retire(party)
            self._reroute(now)

    def route(self, rows: Mapping[LegId, frozenset[LegId]], now: float) -> None:
        """Replace the routing table: for each sink, the sources it hears; others hear nobody.

        A sink that leaves the clock gets at once what the buffer of the source that it now hears
        directly still held.
        """
        self.catch_up(now)
        speaking = [leg_id for leg_id, party in self._parties.items() if party.timed or party.pull]
        left_clock: list[BusParty] = []
        for leg_id, party in self._parties.items():
            heard = rows.get(leg_id, frozenset()) if party.push is not None else ()
            party.hears = tuple(source for source in speaking if source in heard)
            self._update_ducking(party)
            before, party.path = party.path, self._choose_path(party)
            if party.clocked:
                if before is not DeliveryPath.CLOCK:
                    party.epoch += 1
            elif before is DeliveryPath.CLOCK:
                party.path = DeliveryPath.PCM
                party.passthrough_at = now + RETURN_SECONDS
                left_clock.append(party)
            elif party.passthrough_at > now:
                party.path = DeliveryPath.PCM
        self._plan(now)
        for leg_id, party in self._parties.items():
            if party.timed is not None:
                self._hand_over(leg_id, party, left_clock, now)
                self._connect(leg_id, party, party.timed)
                if not self._batched:  # what came since `catch_up`
                    party.backlog.release(party.playout, math.inf)

    def tick(self, now: float) -> None:
        """Serve every clocked sink one frame; called once every 20 ms."""
        self._pts += FRAME_SAMPLES
        spoken = {leg_id: _pull(party, now) for leg_id, party in self._clocked_sources}
        mixed: dict[tuple[LegId, ...], bytes | None] = {}
        for party, push, epoch in self._clocked_sinks:
            heard = party.hears
            if party.ducking is not None:
                pcm = self._duck(party.ducking, heard, spoken)
            else:
                if len(heard) == 1:
                    mixed[heard] = spoken[heard[0]]
                elif heard not in mixed:
                    frames = [pcm for source in heard if (pcm := spoken[source]) is not None]
                    mixed[heard] = mix(frames) if frames else None
                pcm = mixed[heard]
            if pcm is not None or party.always_clocked:
                push(Frame(SILENCE if pcm is None else pcm, self._pts, epoch), now)
        if self._unducking and all(
            party.ducking is None or party.ducking.idle for party, _, _ in self._clocked_sinks
        ):
            self._reroute(now)
            self._cadence_changed()

    def catch_up(self, now: float) -> None:
        """Do at once what `tick` would have done every 20 ms, where all sinks are batched."""
        if not self._batched:
            return
        for source in self._late_sources:
            source.flush()
        if self._due > now:
            return
        ticks = [max(self._due, now - MAX_CATCH_UP)]
        while (due := ticks[-1] + FRAME_SECONDS) <= now:
            ticks.append(due)
        self._due = due
        spoken = {
            leg_id: party.backlog.pull(party.playout, ticks)
            for leg_id, party in self._clocked_sources
        }
        for party, push, epoch in self._clocked_sinks:
            frames = mix_many([spoken[source] for source in party.hears], len(ticks))
            pts = self._pts
            for pcm, due in zip(frames, ticks, strict=True):
                pts += FRAME_SAMPLES
                push(Frame(pcm, pts, epoch), due)
        self._pts += FRAME_SAMPLES * len(ticks)

    def flush(self, now: float) -> None:
        """Deliver to batched sinks all audio until now."""
        self.catch_up(now)
        for party in self._parties.values():
            if party.timed is not None:
                party.timed.flush()

    def delays(self) -> dict[LegId, float]:
        """Return the playout delay of each source that has a buffer, in seconds."""
        return {
            leg_id: party.playout.delay_seconds
            for leg_id, party in self._parties.items()
            if party.playout is not None
        }

    def _choose_path(self, party: BusParty) -> DeliveryPath:
        """Choose the best path for a sink, whatever path it was on."""
        if party.always_clocked or party.ducking is not None:
            return DeliveryPath.CLOCK
        if not party.hears:
            return DeliveryPath.PCM
        source = self._parties[party.hears[0]].timed
        if len(party.hears) > 1 or source is None:
            return DeliveryPath.CLOCK
        codec = source.passthrough_codec
        forwarded = (
            codec is not None
            and party.packets is not None
            and party.packets.passthrough_codec is codec
        )
        return DeliveryPath.PASSTHROUGH if forwarded else DeliveryPath.PCM

    def _plan(self, now: float) -> None:
        """Prepare `tick`: it runs fifty times a second, and routes change seldom."""
        clocked = [(leg_id, party) for leg_id, party in self._parties.items() if party.clocked]
        heard = dict.fromkeys(source for _, party in clocked for source in party.hears)
        self._clocked_sources = [(leg_id, self._parties[leg_id]) for leg_id in heard]
        self._clocked_sinks = [
            (party, party.push, (leg_id, party.epoch))
            for leg_id, party in clocked
            if party.push is not None
        ]
        ducked = [party for _, party in clocked if party.ducking is not None]
        self._unducking = any(self._gain(party) == 1.0 for party in ducked)
        before = self._batched
        late = [one for one in self._parties.values() if one.takes_late]
        self._batched = (
            bool(clocked or late)
            and not ducked
            and all(party.batched for _, party in clocked)
            and all(party.timed is not None for _, party in self._clocked_sources)
        )
        heard |= dict.fromkeys(source for party in late for source in party.hears)
        timed = [self._parties[leg_id].timed for leg_id in heard] if self._batched else []
        self._late_sources = [source for source in timed if source is not None]
        if self._batched and not before:
            self._due = now + FRAME_SECONDS
        elif before and not self._batched:
            for party in self._parties.values():
                party.backlog.release(party.playout, now)

    def _update_ducking(self, party: BusParty) -> None:
        """Duck voices for a sink that hears a source which asks for it, until they are back."""
        if self._gain(party) < 1.0:
            party.ducking = party.ducking or Ducking()
        elif not party.hears or (party.ducking is not None and party.ducking.idle):
            party.ducking = None

    def _gain(self, party: BusParty) -> float:
        """Return the lowest ducking gain of the sources that a sink hears."""
        return min((self._parties[source].ducking_gain for source in party.hears), default=1.0)

    def _duck(
        self, ducking: Ducking, heard: tuple[LegId, ...], spoken: Mapping[LegId, bytes | None]
    ) -> bytes | None:
        voices: list[bytes] = []
        over: list[bytes] = []
        wanted = 1.0
        for source in heard:
            if (pcm := spoken[source]) is not None:
                party = self._parties[source]
                wanted = min(wanted, party.ducking_gain)
                (voices if party.duckable else over).append(pcm)
        return ducking.mix(voices, over, wanted)

    def _reroute(self, now: float) -> None:
        self.route({leg_id: frozenset(row.hears) for leg_id, row in self._parties.items()}, now)

    def _hearers(self, leg_id: LegId) -> list[BusParty]:
        return [other for other in self._parties.values() if leg_id in other.hears]

    def _hand_over(
        self, leg_id: LegId, party: BusParty, left_clock: list[BusParty], now: float
    ) -> None:
        """Push what a source's buffer holds to the sinks that have just left the clock."""
        if party.playout is None:
            return
        hearers = self._hearers(leg_id)
        for other in hearers:
            if other in left_clock and other.push is not None:
                for frame in party.playout.held():
                    other.push(frame, now)
        if not any(other.clocked for other in hearers):
            self._retire(party)

    def _connect(self, leg_id: LegId, party: BusParty, source: TimedSource) -> None:
        """Attach a timed source to all who hear it, each by its path."""
        hearers = self._hearers(leg_id)
        direct = [one for one in hearers if one.path is DeliveryPath.PCM and one.push]
        late = [one.push for one in direct if one.batched and one.push]
        takers = [one.push for one in direct if not one.batched and one.push]
        if any(other.clocked for other in hearers):
            if party.playout is None:
                party.playout = Playout()
            late.append(party.backlog.push if self._batched else party.playout.push)
        if not self._batched:
            takers, late = takers + late, []
        forwarded = [one for one in hearers if self._choose_path(one) is DeliveryPath.PASSTHROUGH]
        forward = PacketForwarder(forwarded, lambda: self._connect(leg_id, party, source))
        source.attach(fan_out(takers, late), forward if forwarded else None)

    def _retire(self, party: BusParty) -> None:
        """Discard a source's buffer; keep its counts."""
        playout, party.playout = party.playout, None
        backlog, party.backlog = party.backlog, FrameBacklog()
        self._retired_dropped += backlog.dropped
        if playout is not None:
            self._retired_dropped += playout.dropped
            self._retired_concealed += playout.concealed


def _pull(party: BusParty, now: float) -> bytes | None:
    if party.playout is not None:
        return party.playout.pull(now)
    return None if party.pull is None else party.pull()

"""Samples live calls: metrics, problems, and each leg's quality."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from bridge.call.bus.bus import Bus
from bridge.call.bus.mute_detector import MuteDetector, MuteSnapshot
from bridge.call.model import CallId, LegFigures, LegId, Party, State
from bridge.call.record.quality import LegQuality, take_sample
from bridge.call.record.timeline import PackedTimeline, Sample, Timeline
from bridge.metrics.registry import Metrics
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.runner import CallRunner
from bridge.periodic import Periodic
from bridge.wire.call_event import EventType

SAMPLE_SECONDS = 1.0
SAMPLE_SLOTS = 25
SAMPLED_AT_ONCE = 2
"""Calls sampled before the event loop does something else."""
MAX_REPEATED = 4
"""Samples in a row that repeat the one before, of a call in which nothing flows."""
KEPT_LEGS = 32
"""Legs of a call that are kept; the oldest are dropped."""


class QualitySnapshot(msgspec.Struct, frozen=True):
    """A leg's quality so far (`call.record.quality.LegQuality`)."""

    last: LegFigures
    last_at: float
    call_began: float
    timeline: PackedTimeline


class SamplesSnapshot(msgspec.Struct, frozen=True):
    """What the samples of a call have shown so far."""

    legs: tuple[QualitySnapshot, ...]
    """Those that left included."""
    mute: MuteSnapshot | None
    """Of the far party; None before it was looked at."""


class QualityLog:
    """The timelines of live calls, by call and leg."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._calls: dict[CallId, dict[LegId, LegQuality]] = {}

    def observe(
        self,
        runner: CallRunner,
        figures: Iterable[LegFigures],
        now: float,
        delays: Mapping[LegId, float],
    ) -> None:
        """Sample a call's legs, each from its second report on; to be called once a second.

        `delays` are those of the playout buffers through which legs are heard, in seconds.
        """
        legs = self._calls.setdefault(runner.facts.call_id, {})
        for leg in figures:
            known = legs.get(leg.leg_id)
            if known is None:
                if len(legs) >= KEPT_LEGS:
                    del legs[next(iter(legs))]
                legs[leg.leg_id] = LegQuality(leg, now, runner.machine.started_at)
                continue
            sample = take_sample(
                leg.kind,
                known.last.statistics,
                leg.statistics,
                seconds=now - known.last_at,
                playout_delay=delays.get(leg.leg_id),
            )
            known.last, known.idle = leg, None
            self._add(known, sample, now)

    def repeat(self, call_id: CallId, now: float) -> None:
        """Sample the legs of a call's last sample once more, in which nothing has flowed since."""
        legs = self._calls.get(call_id, {}).values()
        sampled_at = max((known.last_at for known in legs), default=now)
        for known in legs:
            if known.last_at < sampled_at:
                continue  # it has left
            if known.idle is None:
                figures = known.last.statistics
                known.idle = take_sample(
                    known.last.kind, figures, figures, seconds=SAMPLE_SECONDS, playout_delay=None
                )
            self._add(known, known.idle, now)

    def _add(self, known: LegQuality, sample: Sample, now: float) -> None:
        known.timeline.add(sample, known.last_at - known.call_began)
        known.last_at = now
        self._metrics.media.observe_quality(known.last.kind, sample)

    def legs(self, call_id: CallId) -> tuple[LegQuality, ...]:
        """Return the quality of a live call's legs, those that left included."""
        return tuple(self._calls.get(call_id, {}).values())

    def restore(self, call_id: CallId, legs: Iterable[QualitySnapshot]) -> None:
        """Go on with the quality of a call's legs."""
        self._calls[call_id] = {
            leg.last.leg_id: LegQuality(
                leg.last, leg.last_at, leg.call_began, timeline=Timeline.unpack(leg.timeline)
            )
            for leg in legs
        }

    def forget(self, call_id: CallId) -> None:
        """Delete a call."""
        self._calls.pop(call_id, None)


class CallSampler:
    """Samples calls until they end."""

    def __init__(self, metrics: Metrics, quality: QualityLog, diagnoses: DiagnosisLog) -> None:
        self._metrics = metrics
        self._quality = quality
        self._diagnoses = diagnoses
        self._mutes: defaultdict[CallId, MuteDetector] = defaultdict(MuteDetector)
        """Of the far parties of live calls."""
        self._repeated: dict[CallId, int] = {}
        """How many samples of a call were repeated since one was taken, of those that are idle."""

    def spread(self, took: Callable[[float], None]) -> Periodic[CallRunner]:
        """Return what samples calls once a second, each at a moment of its own; `took` takes the seconds of each step."""
        return Periodic(
            self.sample,
            period=SAMPLE_SECONDS,
            slots=SAMPLE_SLOTS,
            at_once=SAMPLED_AT_ONCE,
            took=took,
        )

    def sample(self, runner: CallRunner, now: float) -> None:
        """Take the figures of a call's legs and bus; to be called once a second.

        While nothing flows in the call, most samples repeat the one before.
        """
        if self._repeats(runner):
            self._quality.repeat(runner.facts.call_id, now)
            return
        figures = runner.figures()
        self._metrics.media.observe_legs([(leg.leg_id, leg.statistics) for leg in figures])
        delays = runner.bus.delays()
        self._quality.observe(runner, figures, now, delays)
        self._observe_bus(runner.bus, delays.values())
        self._watch_mute(runner, figures, now)
        self._diagnoses.observe(runner, figures, now)

    def snapshot(self, call_id: CallId) -> SamplesSnapshot:
        """Return what the samples of a call have shown, for another process that goes on with it."""
        mute = self._mutes.get(call_id)
        legs = [
            QualitySnapshot(leg.last, leg.last_at, leg.call_began, leg.timeline.pack())
            for leg in self._quality.legs(call_id)
        ]
        return SamplesSnapshot(tuple(legs), None if mute is None else mute.snapshot())

    def restore(self, call_id: CallId, snapshot: SamplesSnapshot) -> None:
        """Go on with a call that another process has sampled so far."""
        self._quality.restore(call_id, snapshot.legs)
        if snapshot.mute is not None:
            self._mutes[call_id] = MuteDetector.restored(snapshot.mute)

    def abandon(self, runner: CallRunner) -> None:
        """Delete a call that another process samples from here on."""
        self._mutes.pop(runner.facts.call_id, None)
        self._repeated.pop(runner.facts.call_id, None)
        self._observe_bus(runner.bus, ())
        self._quality.forget(runner.facts.call_id)
        self._diagnoses.abandon(runner)

    def end(self, runner: CallRunner, now: float) -> None:
        """Count what is left of a call that has ended."""
        self._mutes.pop(runner.facts.call_id, None)
        self._repeated.pop(runner.facts.call_id, None)
        self._observe_bus(runner.bus, ())
        self._diagnoses.end(runner, now)

    def _repeats(self, runner: CallRunner) -> bool:
        """Whether a sample would find what the one before has."""
        call_id = runner.facts.call_id
        repeated = self._repeated.pop(call_id, 0)
        if not runner.idle or self._diagnoses.is_due(call_id) or runner.bus.delays():
            return False
        if repeated == MAX_REPEATED:
            return False
        self._repeated[call_id] = repeated + 1
        return True

    def _watch_mute(self, runner: CallRunner, figures: Iterable[LegFigures], now: float) -> None:
        """Publish that the far party muted itself, or unmuted, where its RTP shows it."""
        if runner.machine.state is not State.ACTIVE:
            return
        parties = (leg for leg in figures if leg.party is Party.FAR)
        far = next((leg for leg in parties if leg.kind.traits.carries_rtp), None)
        if far is None:
            return
        muted = self._mutes[runner.facts.call_id].update(far.statistics.received, now)
        if muted is not None:
            data = {"legID": far.leg_id, "party": far.party, "muted": muted}
            runner.publish(EventType.PARTY_MUTED, data)

    def _observe_bus(self, bus: Bus, delays: Iterable[float]) -> None:
        self._metrics.media.observe_bus(
            bus, delays=delays, dropped=bus.dropped, concealed=bus.concealed
        )

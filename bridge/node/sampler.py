"""Takes the figures of the live calls once a second: metrics, quality, and far parties that mute themselves."""

from collections.abc import Iterable

from bridge.call.bus import Bus
from bridge.call.model import CallId, LegFigures, Party, State
from bridge.call.mute_detector import MuteDetector
from bridge.metrics.registry import Metrics
from bridge.node.quality import QualityLog
from bridge.node.runner import CallRunner
from bridge.wire.call_event import EventType


class CallSampler:
    """Samples calls until they end."""

    def __init__(self, metrics: Metrics, quality: QualityLog) -> None:
        self._metrics = metrics
        self._quality = quality
        self._mutes: dict[CallId, MuteDetector] = {}
        """Of the far parties of live calls."""

    def sample(self, runners: Iterable[CallRunner], now: float) -> None:
        """Take the figures of the calls' legs and buses."""
        for runner in runners:
            figures = runner.figures()
            self._metrics.observe_legs((leg.leg_id, leg.statistics) for leg in figures)
            self._quality.observe(runner, figures, now)
            self._observe_bus(runner.bus, runner.bus.delays().values())
            self._watch_mute(runner, figures, now)

    def end(self, runner: CallRunner) -> None:
        """Count what is left of a call that has ended."""
        self._mutes.pop(runner.facts.call_id, None)
        self._observe_bus(runner.bus, ())

    def _watch_mute(self, runner: CallRunner, figures: Iterable[LegFigures], now: float) -> None:
        """Publish that the far party muted itself, or unmuted, where its RTP shows it."""
        far = next(
            (leg for leg in figures if leg.party is Party.FAR and leg.kind.traits.carries_rtp), None
        )
        if far is None or runner.machine.state is not State.ACTIVE:
            return
        watch = self._mutes.setdefault(runner.facts.call_id, MuteDetector())
        muted = watch.update(far.statistics.received, now)
        if muted is not None:
            data = {"legID": far.leg_id, "party": far.party, "muted": muted}
            runner.publish(EventType.PARTY_MUTED, data)

    def _observe_bus(self, bus: Bus, delays: Iterable[float]) -> None:
        self._metrics.observe_bus(bus, delays=delays, dropped=bus.dropped, concealed=bus.concealed)

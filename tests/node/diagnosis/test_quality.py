import asyncio
from datetime import UTC, datetime

import pytest

from bridge.call import events
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallFacts,
    CallId,
    Direction,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    LineName,
    Party,
    ReceivedAudio,
)
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.diagnosis.quality import KEPT_LEGS, QualityLog
from bridge.node.publisher import Publisher
from bridge.node.runner import CallRunner

CALL = CallId("00")


class Call:
    """A call whose legs report whatever the test says, and the log that listens."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.metrics = Metrics(version="0")
        self.log = QualityLog(self.metrics)
        self.began = loop.time()
        machine = CallMachine(
            direction=Direction.OUTBOUND, limits=CallLimits(60, 60, 60), now=self.began
        )
        self.runner = CallRunner(
            CallFacts(CALL, LineName("one"), "1", datetime.now(UTC)),
            machine,
            clock=Clock(loop),
            metrics=self.metrics,
            publisher=Publisher(),
            on_ended=lambda runner: None,
        )

    def sample(self, second, *packets, kind=LegKind.WEBRTC, names="abc"):
        """Let each leg report as many packets."""
        figures = [
            LegFigures(
                LegId(name),
                kind,
                Party.NEAR,
                LegStatistics(ReceivedAudio(packets=count, frames=count, bytes=100 * count)),
            )
            for name, count in zip(names, packets, strict=False)
        ]
        self.log.observe(self.runner, figures, self.began + second, {})

    def rows(self, leg=0):
        return self.log.legs(CALL)[leg].timeline.rows()

    def figure(self, name):
        lines = self.metrics.render().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{"))


@pytest.fixture
async def call():
    made = Call()
    yield made
    made.runner.dispatch(events.HangupRequested())
    await made.runner.wait_cleaned()


async def test_an_unknown_call_has_no_legs(call):
    assert call.log.legs(CALL) == ()


async def test_a_leg_is_sampled_from_its_second_report_on(call):
    call.sample(1, 10)
    assert call.rows() == []
    call.sample(2, 60)
    call.sample(3, 110)
    assert [(at, seconds) for at, seconds, _ in call.rows()] == [(1, 1), (2, 1)]
    assert all(sample.loss == 0.0 and sample.mos > 4 for _, _, sample in call.rows())


async def test_each_leg_has_its_own_timeline(call):
    call.sample(1, 10, 10)
    call.sample(2, 60, 10)
    assert [leg.last.leg_id for leg in call.log.legs(CALL)] == ["a", "b"]
    assert call.rows(0)[0][2].mos is not None
    assert call.rows(1)[0][2].mos is None


async def test_the_quality_of_a_leg_that_left_is_kept(call):
    call.sample(1, 10, 10)
    call.sample(2, 60, 60)
    call.sample(3, 110)
    assert [len(leg.timeline) for leg in call.log.legs(CALL)] == [2, 1]


async def test_legs_that_come_and_go_without_end_are_not_all_kept(call):
    for second in range(KEPT_LEGS + 5):
        call.sample(second, 10, names=[f"leg {second}"])
    kept = [leg.last.leg_id for leg in call.log.legs(CALL)]
    assert kept == [f"leg {number}" for number in range(5, KEPT_LEGS + 5)]


async def test_samples_are_observed_in_the_metrics(call):
    call.sample(1, 10)
    call.sample(2, 60)
    assert call.figure("bridge_mos_count") == 1
    assert call.figure("bridge_concealed_ratio_count") == 1


async def test_a_contact_inside_the_process_has_no_opinion_score(call):
    call.sample(1, 10, kind=LegKind.SIMULATOR)
    call.sample(2, 60, kind=LegKind.SIMULATOR)
    assert call.rows()[0][2].mos is None


async def test_a_forgotten_call_leaves_nothing(call):
    call.sample(1, 10)
    call.log.forget(CALL)
    call.log.forget(CALL)
    assert call.log.legs(CALL) == ()

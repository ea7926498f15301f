"""Calls in which nothing flows are sampled by repeating what was seen, until something happens."""

import asyncio

import pytest
from typing_extensions import override

from bridge.call.events import LegConnected, LegEnded, MuteRequested
from bridge.call.model import EndReason, LegKind, LegStatistics, Party, ReceivedAudio, SentAudio
from bridge.call.routing import LegRole
from bridge.node.diagnosis.quality import MAX_REPEATED
from bridge.settings.model import Limits
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import ONE, Node

pytestmark = pytest.mark.virtual_time
FIRST = 20
"""Seconds after which every problem of a call without a packet has been raised."""
ROUND = MAX_REPEATED + 1


class Talker(FakeLeg):
    """A leg with as many packets as the test says, which counts how often its figures are read."""

    def __init__(self, name: str) -> None:
        super().__init__(name, LegKind.WEBRTC)
        self.idle = True
        self.packets = 100
        self.read = 0

    @override
    def statistics(self) -> LegStatistics:
        self.read += 1
        received = ReceivedAudio(packets=self.packets, frames=self.packets, level_dbov=-30.0)
        return LegStatistics(received, SentAudio(packets=self.packets))


class Call:
    """A call, sampled at the seconds that the test says."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.legs: list[FakeLeg] = []
        self.second = 0

    async def begin(self, *legs: FakeLeg) -> None:
        self.runner = await self.node.manager.open(ONE)
        for leg, party in zip(legs, (Party.FAR, Party.NEAR, Party.NEAR), strict=False):
            self.runner.add_leg(leg, LegRole(party))
            self.legs.append(leg)
        await asyncio.sleep(0)
        for leg in legs:
            leg.emit(LegConnected(leg.leg_id))
        self.began = asyncio.get_running_loop().time()

    def sample(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.second += 1
            self.node.manager.sampler.sample(self.runner, self.began + self.second)

    def reads(self, leg: Talker, seconds: int) -> int:
        """Sample for so long; return how often a leg's figures were read."""
        before = leg.read
        self.sample(seconds)
        return leg.read - before

    def rows(self, leg: int = 0) -> int:
        quality = self.node.manager.quality.legs(self.runner.facts.call_id)
        return len(quality[leg].timeline)

    def codes(self) -> list[str]:
        found = self.node.manager.diagnoses.find(self.runner.facts.call_id)
        return [] if found is None else [one.code.value for one in found.diagnosis.open]


@pytest.fixture
async def call():
    node = Node(Limits(calls=10, kept_seconds=60.0))
    yield Call(node)
    await node.manager.aclose()


async def idle(call: Call) -> Talker:
    """Begin a call of two legs that say nothing any more."""
    one = Talker("one")
    await call.begin(one, Talker("two"))
    call.sample(FIRST)
    return one


async def test_figures_of_an_idle_call_are_read_once_in_five_seconds(call):
    one = await idle(call)
    assert call.reads(one, 4 * ROUND) == 4


async def test_an_idle_call_has_a_row_for_each_second_and_a_figure_in_each_metric(call):
    await idle(call)
    rows, scores = call.rows(), call.node.figure("bridge_mos_count")
    call.sample(2 * ROUND)
    assert call.rows() == rows + 2 * ROUND
    assert call.node.figure("bridge_mos_count") == scores  # nothing came that could be rated
    legs = call.node.manager.quality.legs(call.runner.facts.call_id)
    assert legs[0].timeline.recent("level", 2 * ROUND) == [None] * (2 * ROUND)
    assert [at for at, _, _ in legs[0].timeline.rows()][-1] == call.second - 1


async def test_what_comes_again_is_sampled_at_once(call):
    one = await idle(call)
    call.sample()
    one.idle, one.packets = False, 150
    assert call.reads(one, 3) >= 3  # what is published of problems that are over reads them too
    legs = call.node.manager.quality.legs(call.runner.facts.call_id)
    assert legs[0].timeline.recent("level", 3)[0] == -30.0


async def test_an_event_of_an_idle_call_is_looked_at_with_the_next_sample(call):
    one = await idle(call)
    call.sample(2 * ROUND)
    assert "muted" not in call.codes()
    call.runner.dispatch(MuteRequested(muted=True))
    assert call.reads(one, 1) >= 1
    call.sample(ROUND)
    assert "muted" in call.codes()


async def test_a_call_with_a_leg_that_cannot_tell_is_never_idle(call):
    one = Talker("one")
    await call.begin(one, FakeLeg("two"))
    call.sample(FIRST)
    assert call.reads(one, 2 * ROUND) == 2 * ROUND


async def test_a_leg_that_left_has_no_more_rows(call):
    two = Talker("two")
    await call.begin(Talker("one"), two, Talker("three"))
    call.sample(FIRST)
    two.emit(LegEnded(two.leg_id, EndReason.HANGUP))
    two.finish()
    await asyncio.sleep(0.01)
    rows = [call.rows(leg) for leg in range(3)]
    call.sample(2 * ROUND)
    gained = [call.rows(leg) - before for leg, before in enumerate(rows)]
    assert gained == [2 * ROUND, 0, 2 * ROUND]


async def test_a_call_without_legs_is_not_idle(call):
    await call.begin()
    assert not call.runner.idle

"""What the parties of live calls are told before their node ends them."""

import asyncio
from typing import Any

import pytest

from bridge.call.model import Party
from bridge.call.routing import Audience, LegRole
from bridge.errors import LimitExceeded
from bridge.legs.base import new_leg_id
from bridge.node.calls.announcement import DrainAnnouncement
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.waiting import until


class Player:
    """Playbacks that last until the test ends them; refuses from the second on."""

    def __init__(self):
        self.legs = []
        self.audience = []

    async def play_out(self, runner, sound, *, audience):
        if self.legs:
            raise LimitExceeded("too many sounds are being played")
        leg = FakeLeg(new_leg_id())
        runner.add_leg(leg, LegRole(Party.SERVICE, audience=audience))
        self.legs.append(leg)
        self.audience.append(audience)
        await until(lambda: runner.leg(leg.leg_id) is None)


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.manager.aclose()


async def test_every_call_has_its_event_where_there_is_no_sound(node):
    for _ in range(2):
        await node.manager.dial(ONE, NUMBER)
    player: Any = Player()
    await DrainAnnouncement(node.manager, player, None).announce()
    assert node.happened.count("call.draining") == 2
    assert player.legs == []


async def test_it_lasts_as_long_as_the_sound_and_a_call_that_hears_none_holds_nothing_up(
    node, tmp_path
):
    for _ in range(2):
        await node.manager.dial(ONE, NUMBER)
    player: Any = Player()
    announcement = DrainAnnouncement(node.manager, player, tmp_path / "sound.wav")
    told = asyncio.create_task(announcement.announce())
    await until(lambda: player.legs and player.legs[0].running)
    assert player.audience == [Audience.ALL]
    assert not told.done()
    player.legs[0].finish()
    await told

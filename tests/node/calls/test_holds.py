"""Holding calls and single parties: which music is played, and when it ends."""

import asyncio
from typing import Any

import pytest

from bridge.call import events
from bridge.call.model import LegId, Party, State
from bridge.call.routing import Audience, LegRole
from bridge.errors import InvalidState, LegNotFound
from bridge.legs.base import new_leg_id
from bridge.media.sounds import Sound
from bridge.node.calls.holds import Holds
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.waiting import until


class Player:
    """Playbacks that play nothing; `node.calls.playback.Playbacks` as far as a hold needs them."""

    def __init__(self):
        self.played = []

    async def play(self, runner, sound, options, *, audience):
        leg = FakeLeg(new_leg_id())
        runner.add_leg(leg, LegRole(Party.SERVICE, audience=audience))
        self.played.append(sound.path)
        return leg.leg_id


def music_player() -> Any:
    return Player()


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.manager.aclose()


async def active(node):
    runner = await node.manager.dial(ONE, NUMBER)
    [far] = node.legs
    await until(lambda: far.running)
    far.emit(events.LegAnswered(far.leg_id))
    far.emit(events.LegConnected(far.leg_id))
    return runner, far.leg_id


def music(runner):
    return [
        leg for leg in runner.machine.legs.records.values() if leg.role.audience is Audience.HELD
    ]


async def test_a_held_call_hears_its_lines_music_until_it_is_resumed(node, tmp_path):
    runner, _ = await active(node)
    playbacks = music_player()
    holds = Holds(playbacks, lambda line: tmp_path / "own.wav")
    await holds.hold(runner)
    await holds.hold(runner)
    assert playbacks.played == [tmp_path / "own.wav"]
    assert len(music(runner)) == 1
    holds.unhold(runner)
    assert music(runner) == []
    assert runner.machine.state is State.ACTIVE


async def test_other_music_takes_the_place_of_what_is_played(node, tmp_path):
    runner, _ = await active(node)
    playbacks = music_player()
    holds = Holds(playbacks, lambda line: None)
    await holds.hold(runner)
    assert music(runner) == []
    await holds.hold(runner, music=Sound(tmp_path / "a.wav"))
    await holds.hold(runner, music=Sound(tmp_path / "b.wav"))
    assert playbacks.played == [tmp_path / "a.wav", tmp_path / "b.wav"]
    assert len(music(runner)) == 1


async def test_music_of_one_held_party_ends_with_the_last_hold(node, tmp_path):
    runner, far = await active(node)
    holds = Holds(music_player(), lambda line: tmp_path / "own.wav")
    await holds.hold(runner, far)
    await holds.hold(runner)
    holds.unhold(runner, far)
    assert len(music(runner)) == 1
    holds.unhold(runner)
    assert music(runner) == []


async def test_a_hold_that_is_refused_leaves_no_music(node, tmp_path):
    runner, _ = await active(node)
    holds = Holds(music_player(), lambda line: tmp_path / "own.wav")
    with pytest.raises(LegNotFound):
        await holds.hold(runner, LegId("nobody"))
    assert music(runner) == []


async def test_a_call_that_rings_cannot_be_held(node):
    runner = await node.manager.dial(ONE, NUMBER)
    with pytest.raises(InvalidState, match="only an active call"):
        Holds(music_player(), lambda line: None).check(runner)
    await asyncio.sleep(0)

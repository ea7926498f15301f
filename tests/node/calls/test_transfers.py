"""Transfers at work: sounds for those who wait, dials that are refused, and what far parties ask for."""

import pytest
from typing_extensions import override

from bridge.call import events
from bridge.call.model import LegId, LegKind, Party, State
from bridge.call.policy import LinePolicy, TrunkPolicy
from bridge.call.routing import Audience
from bridge.errors import InvalidState, Unreachable
from bridge.media.sounds import Sound
from bridge.node.calls.transfers import Transfers
from bridge.node.dials import DialRules
from tests.node.calls.test_holds import active, music_player
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.waiting import until

OTHER = "15550100002"
TRUNK = TrunkPolicy(prefixes=("1555",), transfer=True)


class Telephone(FakeLeg):
    """A leg over a trunk that notes what it is asked and told."""

    def __init__(self, name):
        super().__init__(name, LegKind.SIP, dials=True)
        self.asked, self.told = [], []

    def transfer(self, target, replaces=None):
        self.asked.append(target)

    def report_transfer(self, code):
        self.told.append(code)


class Exchange(Node):
    """A node whose far parties are telephones."""

    @override
    def leg(self, leg_id):
        self.legs.append(Telephone(leg_id))
        return self.legs[-1]


def service(node, **trunk):
    policy = LinePolicy((), trunk=TrunkPolicy(**({"prefixes": ("1555",)} | trunk)))
    node.manager.dials._rules = DialRules({ONE: policy})
    transfers = Transfers(node.manager, music_player(), {ONE: policy})
    node.manager.on_transfer = transfers.requested
    return transfers


@pytest.fixture
async def node():
    node = Exchange()
    yield node
    await node.manager.aclose()


def sounds(runner):
    legs = runner.machine.legs.records.values()
    return {leg.role.audience for leg in legs if leg.role.party is Party.SERVICE}


async def test_sounds_are_ready_while_the_new_party_rings(node, tmp_path):
    transfers = service(node)
    runner, _ = await active(node)
    one, two = Sound(tmp_path / "1"), Sound(tmp_path / "2")
    leg_id = await transfers.transfer(runner, OTHER, waiting=one, announcement=two)
    assert sounds(runner) == {Audience.WAITING, Audience.ARRIVING}
    assert runner.machine.legs.records[leg_id].role.replaces


async def test_a_dial_that_is_refused_leaves_no_sound(node, tmp_path):
    transfers = service(node)
    runner, _ = await active(node)
    node.unreachable = True
    with pytest.raises(Unreachable):
        await transfers.transfer(runner, OTHER, waiting=Sound(tmp_path / "1"))
    assert sounds(runner) == set()


async def test_a_call_that_rings_is_not_transferred_and_its_sounds_are_released(node, tmp_path):
    released = []
    transfers = service(node)
    runner = await node.manager.dial(ONE, NUMBER)
    sound = Sound(tmp_path / "1", lambda: released.append(1))
    with pytest.raises(InvalidState, match="a transfer needs"):
        await transfers.transfer(runner, OTHER, announcement=sound)
    assert released == [1]


async def test_a_trunk_that_is_asked_calls_the_number_itself(node):
    transfers = service(node, refer=True)
    runner, far = await active(node)
    assert await transfers.transfer(runner, OTHER) == far
    [leg] = node.legs
    assert leg.asked == [OTHER]
    leg.emit(events.LegTransferProgressed(far, 200, final=True))
    assert runner.machine.state is State.ENDED


async def test_a_far_party_has_somebody_called_in_its_place(node):
    service(node, transfer=True)
    runner, far = await active(node)
    node.legs[0].emit(events.LegTransferRequested(far, f"+{OTHER}", "sip:x"))
    await until(lambda: len(node.legs) == 2 and node.legs[1].running)
    new = node.legs[1]
    new.emit(events.LegAnswered(new.leg_id))
    new.emit(events.LegConnected(new.leg_id))
    assert node.legs[0].told == [200]
    assert set(runner.machine.legs.records) == {new.leg_id}
    assert runner.machine.state is State.ACTIVE


@pytest.mark.parametrize(
    ("trunk", "target", "code"),
    [
        ({}, OTHER, 403),
        ({"transfer": True}, "4930123456", 403),
        ({"transfer": True}, "112", 403),
        ({"transfer": True, "prefixes": ("",)}, "+49116117", 403),
        ({"transfer": True}, "anna", 480),
        ({"transfer": True, "prefixes": ("",)}, "+0123", 480),
        ({"transfer": True, "prefixes": ("",)}, "1555" * 4, 480),
        ({"transfer": True, "prefixes": ("",)}, "1" * 16_000, 480),
    ],
    ids=[
        *("not allowed", "outside the prefixes", "emergency", "helpline"),
        *("no number", "invalid", "too long", "far too long"),
    ],
)
async def test_a_transfer_that_the_line_may_not_do_is_refused(node, trunk, target, code):
    service(node, **trunk)
    runner, far = await active(node)
    node.legs[0].emit(events.LegTransferRequested(far, target, "sip:x"))
    await until(lambda: node.legs[0].told == [code])
    assert len(node.legs) == 1
    assert runner.machine.legs.far_parties()[0].leg_id == LegId(far)


async def test_a_party_that_asks_for_one_out_of_reach_is_told_once(node):
    service(node, transfer=True)
    _, far = await active(node)
    node.unreachable = True
    node.legs[0].emit(events.LegTransferRequested(far, OTHER, "sip:x"))
    await until(lambda: node.legs[0].told != [])
    assert node.legs[0].told == [480]

"""Who may be rung into a live call, and for how long it stays."""

import pytest

from bridge.call.model import LegKind, Party
from bridge.call.parties import PSTN
from bridge.call.policy import LinePolicy, TrunkPolicy
from bridge.call.routing import LegRole
from bridge.errors import Forbidden, TooManyTelephoneCalls
from bridge.node.dials import DialRules, Dials
from tests.node.calls.test_holds import active
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import ONE, Node

NUMBER = "15550107001"
FAR = LegRole(Party.FAR)
PHONES = TrunkPolicy(prefixes=("1555",), calls=1, call_seconds=90)


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.manager.aclose()


def dials(node, **policy):
    return Dials(node, DialRules({ONE: LinePolicy((), trunk=PHONES, **policy)}), node.manager.calls)


async def test_a_telephone_that_joins_may_talk_as_long_as_its_trunk_lets_it(node):
    runner, _ = await active(node)
    leg_id = await dials(node).invite(runner, NUMBER, FAR, channel=PSTN)
    assert runner.machine.legs.records[leg_id].role.talk_seconds == 90


async def test_every_telephone_of_a_call_counts_against_the_trunks_limit(node):
    runner, _ = await active(node)
    runner.add_leg(FakeLeg("phone", LegKind.SIP), FAR)
    with pytest.raises(TooManyTelephoneCalls):
        await dials(node).invite(runner, NUMBER, FAR, channel=PSTN)


async def test_no_telephone_joins_a_user_of_metas_also_if_both_are_dialled_at_once(node):
    runner, _ = await active(node)
    both = dials(node, official=True)
    checked = both.route

    async def joined_meanwhile(*asked):
        route = await checked(*asked)
        runner.add_leg(FakeLeg("user", LegKind.WHATSAPP), FAR)
        return route

    both.route = joined_meanwhile
    with pytest.raises(Forbidden, match="Meta forbids"):
        await both.invite(runner, NUMBER, FAR, channel=PSTN)
    assert len(node.legs) == 1

"""Which calls another machine can go on with, and what it is told of them."""

import msgspec
import pytest

from bridge.call import journal
from bridge.call.model import CallId, LegKind
from bridge.errors import HandoverRefused
from bridge.node import call_snapshot, portable_call
from bridge.node.portable_call import PortableCalls
from bridge.stores.portable_calls import ProviderKeys
from tests.support.handover.node_pair import FAR, NodePair

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def nodes():
    pair = NodePair()
    yield pair
    await pair.aclose()


def calls_of(nodes, **more):
    return PortableCalls(
        nodes.old.manager,
        provider_keys=lambda _: ["one/7"],
        shared_now=lambda: 1000.0,
        own_now=lambda: 50.0,
        **more,
    )


async def test_times_are_told_by_the_other_machines_clock(nodes):
    runner = await nodes.talk()
    data = calls_of(nodes).snapshot(runner.facts.call_id)
    assert msgspec.msgpack.decode(data, type=ProviderKeys).provider_keys == ("one/7",)
    # Ten seconds later, by a clock that is 200 s ahead.
    told = call_snapshot.decode(portable_call.unpack(data, shared_now=1010.0, own_now=260.0))
    machine, _ = journal.restore(told.machine)
    assert machine.started_at == pytest.approx(runner.machine.started_at + 200.0)
    assert told.facts == runner.facts


async def test_turns_are_numbered_on_at_the_other_machine(nodes):
    runner = await nodes.talk()
    calls, call_id = calls_of(nodes), runner.facts.call_id
    before = calls.revisions()[call_id]
    runner.turns.published = 7
    assert calls.revisions()[call_id] > before
    data = portable_call.unpack(calls.snapshot(call_id), shared_now=1010.0, own_now=260.0)
    turns = call_snapshot.decode(data).turns
    assert turns is not None
    assert (turns.published, turns.meters) == (7, {})


@pytest.mark.parametrize(
    ("kind", "moves"),
    [
        (LegKind.WHATSAPP, False),
        (LegKind.SOCKET, False),
        (LegKind.STREAM, False),
        (LegKind.AGENT, False),
        (LegKind.SIP, False),
        (LegKind.RECORDER, True),
        (LegKind.GATEWAY, True),
    ],
)
async def test_a_call_moves_only_with_legs_that_can_be_made_anew_or_missed(nodes, kind, moves):
    nodes.far = nodes.leg(FAR, kind)
    runner = await nodes.talk()
    assert (calls_of(nodes).snapshot(runner.facts.call_id) is not None) is moves


async def test_a_telephone_moves_where_its_trunk_allows_it(nodes):
    nodes.far = nodes.leg(FAR, LegKind.SIP)
    runner = await nodes.talk()
    moving = calls_of(nodes, sip_moves=lambda line: line == runner.facts.line)
    assert moving.snapshot(runner.facts.call_id) is not None


async def test_a_call_that_has_ended_is_not_told(nodes):
    with pytest.raises(HandoverRefused):
        calls_of(nodes).snapshot(CallId("gone"))


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode({"provider_keys": []})])
def test_what_cannot_be_read_is_refused(data):
    with pytest.raises(HandoverRefused):
        portable_call.unpack(data, shared_now=0.0, own_now=0.0)

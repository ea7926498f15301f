"""What cannot be restored is refused, and the call goes on where it is."""

import asyncio
import os
import random

import msgspec
import pytest
from msgspec.structs import replace

from bridge.call import events
from bridge.call.model import EndReason, LegKind
from bridge.errors import HandoverRefused
from bridge.node import call_snapshot
from tests.support.fake_node import NUMBER
from tests.support.handover.node_pair import FAR, NodePair
from tests.support.sampling import sample_calls
from tests.support.waiting import until


@pytest.fixture
async def pair():
    made = NodePair()
    yield made
    await made.aclose()


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "spoil",
    [
        lambda call: replace(call, version=call.version + 1),
        lambda call: replace(call, legs=call.legs[:1]),
        lambda call: replace(call, legs=(replace(call.legs[0], kind=LegKind.SOCKET), call.legs[1])),
        lambda call: replace(call, machine=replace(call.machine, entries=())),
        lambda call: replace(
            call, legs=(call.legs[0], replace(call.legs[1], state=msgspec.Raw(b"\x80")))
        ),
    ],
    ids=["version", "legs", "kind", "events", "state"],
)
async def test_what_cannot_be_restored_is_refused_and_goes_on(pair, spoil):
    runner = await pair.talk()
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    spoiled = call_snapshot.encode(spoil(call_snapshot.decode(snapshot)))
    with pytest.raises(HandoverRefused):
        pair.adoption.adopt(spoiled, descriptors)
    assert all(is_open(one) for one in descriptors)
    assert list(pair.new.manager.calls()) == []
    await pair.adoption.aclose()
    assert all(leg.done == ["suspend", "abandon"] for leg in pair.restorer.legs)
    pair.handover.resume(runner.facts.call_id)
    pair.near.party.send(b"voice")
    assert pair.near.socket.recv(100) == b"voice"
    for one in descriptors:
        os.close(one)


@pytest.mark.parametrize("data", [b"", b"\x81", b"\x80", b"nonsense", msgspec.msgpack.encode([1])])
async def test_bytes_that_are_no_call_are_refused(pair, data):
    with pytest.raises(HandoverRefused):
        pair.adoption.adopt(data, [])


async def test_a_snapshot_cut_anywhere_is_refused(pair):
    runner = await pair.talk()
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    for length in range(0, len(snapshot), 7):
        with pytest.raises(HandoverRefused):
            pair.adoption.adopt(snapshot[:length], descriptors)
    pair.handover.resume(runner.facts.call_id)
    for one in descriptors:
        os.close(one)


async def test_nothing_secret_is_printed_of_a_snapshot(pair):
    runner = await pair.talk()
    pair.near.digits = "4711"
    snapshot, _ = pair.handover.suspend(runner.facts.call_id)
    assert "4711" not in repr(call_snapshot.decode(snapshot))
    assert NUMBER not in repr(call_snapshot.decode(snapshot))
    pair.handover.resume(runner.facts.call_id)


async def test_a_call_is_taken_once_and_not_by_a_node_that_shuts_down(pair):
    runner = await pair.talk()
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    pair.new.manager.admission.draining = True
    with pytest.raises(HandoverRefused, match="shutting down"):
        pair.adoption.adopt(snapshot, descriptors)
    pair.new.manager.admission.draining = False
    pair.adoption.adopt(snapshot, [os.dup(one) for one in descriptors])
    with pytest.raises(HandoverRefused, match="already"):
        pair.adoption.adopt(snapshot, descriptors)
    await pair.handover.abandon(runner.facts.call_id)
    for one in descriptors:
        os.close(one)


async def test_the_end_of_a_party_ends_the_call_after_the_move(pair):
    runner = await pair.talk()
    moved = await pair.move(runner.facts.call_id)
    await until(lambda: pair.restorer.legs[0].running)
    pair.restorer.legs[0].emit(events.LegEnded(FAR, EndReason.REMOTE_HANGUP))
    assert moved.machine.reason is EndReason.REMOTE_HANGUP
    assert pair.new.happened[-1] == "call.ended"
    await asyncio.sleep(0)


async def test_a_damaged_snapshot_is_refused_or_taken_whole(pair):
    runner = await pair.talk()
    for second in range(3):
        sample_calls(pair.old.manager, 100.0 + second)
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    chance = random.Random(1)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(snapshot)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        passed = [os.dup(one) for one in descriptors]
        try:
            call_id = pair.adoption.adopt(bytes(damaged), passed)
        except HandoverRefused:
            refused += 1
            assert list(pair.new.manager.calls()) == []
            for one in passed:
                os.close(one)
        else:
            assert not any(is_open(one) for one in passed)
            taken = pair.new.manager.running(call_id)
            taken.dispatch(events.HangupRequested())
        await asyncio.sleep(0)
        for leg in pair.restorer.legs:
            leg.close()
        pair.restorer.legs.clear()
    assert refused > 500
    assert pair.new.figure("bridge_call_problems") == 0
    pair.handover.resume(runner.facts.call_id)
    for one in descriptors:
        os.close(one)

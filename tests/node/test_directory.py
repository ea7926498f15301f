"""What a node knows beyond its own calls."""

import asyncio
from datetime import UTC, datetime

import pytest

from bridge.call.model import CallFacts, CallId, Direction, EndReason, LineName
from bridge.call.quota import Quota
from bridge.errors import LimitExceeded
from bridge.net.directory import DirectoryFile
from bridge.net.siblings import Siblings
from bridge.node.directory import FAR_FEWER, LocalDirectory, SharedDirectory, owner_of
from bridge.wire.call_id import chirp, wavix


def facts(name: str) -> CallFacts:
    return CallFacts(CallId(name), LineName("one"), "15550100001", datetime.now(UTC))


@pytest.fixture
async def directory(tmp_path):
    siblings = Siblings(tmp_path, own=1, count=2)
    made = SharedDirectory(
        tmp_path,
        siblings,
        quota=Quota("calls", "limits.calls", 100),
        kept_seconds=60.0,
        ended_per_line=9,
    )
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("call_id", "owner"),
    [
        ("00" + 30 * "F", 0),
        ("FF" + 30 * "0", 255),
        ("0a" + 30 * "0", 10),
        (chirp("0A" + 30 * "F"), 10),
        (chirp("FF" + 30 * "F", test=True), 255),
        (wavix("01" + 30 * "F"), 1),
        ("", None),
        ("00", None),
        (32 * "Z", None),
        (33 * "0", None),
    ],
)
def test_a_call_id_names_its_node(call_id, owner):
    assert owner_of(call_id) == owner


async def test_a_single_node_has_no_calls_elsewhere():
    directory = LocalDirectory()
    await directory.insert(facts("a"), Direction.INBOUND)
    directory.end(CallId("a"), EndReason.HANGUP)
    assert await directory.elsewhere(LineName("one")) == []


async def test_a_settled_call_is_in_the_file(directory, tmp_path):
    await directory.insert(facts("a"), Direction.INBOUND)
    directory.end(CallId("a"), EndReason.BUSY)
    await directory.settled()
    file = DirectoryFile(tmp_path)
    record = file.find("a")
    file.close()
    assert record is not None
    assert record.reason is EndReason.BUSY


async def test_a_call_that_is_not_waited_for_leaves_no_count(directory):
    entering = asyncio.ensure_future(directory.insert(facts("a"), Direction.INBOUND))
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    await directory.settled()
    assert await directory.find("a") is None


async def test_a_refusal_by_the_file_reaches_the_caller(tmp_path):
    siblings = Siblings(tmp_path, own=0, count=1)
    full = SharedDirectory(
        tmp_path,
        siblings,
        quota=Quota("calls", "limits.calls", 0),
        kept_seconds=60.0,
        ended_per_line=9,
    )
    with pytest.raises(LimitExceeded):
        await full.insert(facts("a"), Direction.INBOUND)
    await full.aclose()


async def test_a_call_goes_to_a_node_with_far_fewer_calls_while_that_answers(directory):
    for number in range(FAR_FEWER):
        assert await directory.choose_node(overloaded=False) == 1
        await directory.insert(facts(f"{number}"), Direction.INBOUND)
    assert await directory.choose_node(overloaded=False) == 0
    directory.siblings.note_silence(0, TimeoutError())
    assert await directory.choose_node(overloaded=False) == 1


async def test_a_sibling_that_does_not_answer_has_no_calls_to_list(directory):
    assert await directory.elsewhere(LineName("one")) == []


async def test_an_overloaded_node_gives_its_new_calls_away(directory):
    assert await directory.choose_node(overloaded=True) == 0

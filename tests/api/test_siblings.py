"""What nodes ask each other."""

import msgspec
import pytest

from bridge.call.model import CallRecord
from bridge.cluster.directory import CALLS_PATH
from tests.support.inprocess import KEY
from tests.support.two_nodes import two_nodes


@pytest.fixture
async def nodes():
    async with two_nodes() as both:
        yield both


async def asked(node, path: str, **query: str) -> bytes | None:
    """Ask the node through its sibling."""
    index = 1 - node.bridge.cluster.siblings.own
    answer: bytes | None = await node.bridge.cluster.siblings.request(index, path, **query)
    return answer


async def test_a_lines_calls_are_told_with_all_that_is_known_of_them(nodes):
    first, second = nodes
    await second.http.post("/call/dial", json={"phone": "15550100003"}, headers=KEY)
    answer = await asked(first, CALLS_PATH, line="demo")
    assert answer is not None
    [runner] = second.bridge.manager.calls()
    [told] = msgspec.json.decode(answer, type=list[CallRecord])
    assert told.facts == runner.facts
    assert [leg.leg_id for leg in told.legs] == [leg.leg_id for leg in runner.legs()]


async def test_a_line_is_not_told_of_another_lines_calls(nodes):
    first, second = nodes
    await second.http.post("/call/dial", json={"phone": "15550100003"}, headers=KEY)
    assert await asked(first, CALLS_PATH, line="other") == b"[]"


async def test_a_node_that_drains_is_not_missing(nodes):
    first, second = nodes
    assert await asked(first, "/node/ready") is not None
    await second.bridge.manager.aclose()
    assert await asked(first, "/node/ready") == b""


async def test_metrics_are_told_without_a_label_of_their_own(nodes):
    answer = await asked(nodes[0], "/node/metrics")
    assert answer is not None
    assert b"\nbridge_calls_limit 200.0\n" in answer


async def test_clients_find_none_of_it(nodes):
    for path in (f"{CALLS_PATH}?line=demo", "/node/ready", "/node/metrics"):
        assert (await nodes[0].http.get(path, headers=KEY)).status == 404

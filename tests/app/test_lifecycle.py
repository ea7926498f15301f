"""Which nodes that have ended an operator is told of."""

import pytest

from bridge.stores.nodes import Member
from tests.support.two_nodes import two_nodes

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "died"])
async def test_a_node_that_has_drained_is_not_counted_or_shown_as_lost(drained):
    async with two_nodes() as (node, _):
        gone = Member(node=7, boot="7" * 16, machine="here", draining=drained)
        node.bridge.cluster.members.taken_over(gone)
        assert [one.node for one in node.bridge.node.view.lost.recent()] == [7] * (not drained)
        rows = [
            row
            for row in (await node.metrics()).splitlines()
            if row.startswith("bridge_nodes_lost")
        ]
        assert sum(float(row.split()[-1]) for row in rows) == float(not drained)

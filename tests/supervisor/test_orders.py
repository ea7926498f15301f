"""What a supervisor does for commands: which nodes drain, and what makes an upgrade impossible."""

import msgspec
import pytest

from bridge.errors import NotFound
from bridge.settings.model import Http, Limits, Settings
from bridge.supervisor.fleet import UpgradeFailed
from bridge.supervisor.orders import Orders, check_unchanged, read_settings
from bridge.wire.supervision import DrainNodes, Inspect, Spares


def chosen(**changed):
    settings = msgspec.structs.replace(Settings(), **changed)
    return read_settings(msgspec.json.encode(settings))


class FakeNode:
    def __init__(self, node):
        self.node = self.number = node
        self.calls, self.seconds, self.handed, self.ended = 1, 5.0, 0, True


class FakeFleet:
    def __init__(self, seconds=0.0):
        self.settings = chosen(limits=Limits(drain_seconds=seconds))
        self.drained: list[tuple[int, float | None]] = []
        self._nodes = [FakeNode(0), FakeNode(1)]

    def spares(self):
        return Spares(ready=1, memory=80)

    def nodes(self):
        return self._nodes

    def drain_node(self, process, seconds):
        self.drained.append((process.node, seconds))


def orders(fleet):
    everything: list[float | None] = []
    made = Orders(fleet, lambda seconds, _reason: everything.append(seconds), None)
    return made, everything


@pytest.mark.parametrize(
    ("setting", "asked", "expected"), [(0.0, None, None), (60.0, None, 60.0), (60.0, 5.0, 5.0)]
)
async def test_all_nodes_drain_for_the_time_that_is_asked_for_or_set(setting, asked, expected):
    made, everything = orders(FakeFleet(setting))
    await made.perform(DrainNodes(seconds=asked), lambda _reply: None)
    assert everything == [expected]


async def test_one_node_drains_alone_and_one_that_is_not_there_is_refused():
    fleet = FakeFleet()
    made, everything = orders(fleet)
    await made.perform(DrainNodes(node=1, seconds=2.0), lambda _reply: None)
    assert (fleet.drained, everything) == ([(1, 2.0)], [])
    with pytest.raises(NotFound, match="the nodes are 0, 1"):
        await made.perform(DrainNodes(node=7), lambda _reply: None)


async def test_it_tells_which_spares_there_are():
    told: list[object] = []
    made, _ = orders(FakeFleet())
    await made.perform(Inspect(), told.append)
    assert told == [Spares(ready=1, memory=80)]


def test_sockets_stay_where_they_are_in_an_upgrade():
    check_unchanged(chosen().read, chosen(limits=Limits(drain_seconds=9.0)).read)
    with pytest.raises(UpgradeFailed, match=r"http\.port has changed"):
        check_unchanged(chosen().read, chosen(http=Http(port=9999)).read)

"""Which node takes a new call."""

import random
from collections import Counter

import pytest

from bridge.cluster.membership import Supervised
from bridge.cluster.placement import Placement, Room, choose, room_of
from bridge.cluster.siblings import Siblings
from bridge.cluster.timing import ClusterTiming
from bridge.cluster.transports import UnixTransport
from bridge.stores.nodes import Member, NodeLoad


def draw():
    return random.Random(1).randrange


def first(_below: int) -> int:
    return 0


# Pure


@pytest.mark.parametrize("share", [0.0, 0.5, 0.79])
def test_a_node_with_room_keeps_its_calls(share):
    assert choose(Room(0, share), [Room(1, 0.0)], first) == 0


@pytest.mark.parametrize("own", [Room(0, 0.8), Room(0, 0.1, overloaded=True), None])
def test_a_node_without_room_places_them_elsewhere(own):
    assert choose(own, [Room(1, 0.5)], first) == 1


def test_a_full_node_keeps_a_call_that_others_have_less_room_for():
    assert choose(Room(0, 0.85), [Room(1, 0.95)], first) == 0


def test_overloaded_nodes_come_last():
    assert choose(Room(0, 1.2, overloaded=True), [Room(1, 0.99)], first) == 1
    overloaded = [Room(1, 1.1, overloaded=True), Room(2, 1.5, overloaded=True)]
    assert choose(None, overloaded, first) == 1


def test_nobody_takes_a_call_where_nobody_does():
    assert choose(None, [], first) is None


def test_of_two_nodes_drawn_the_one_with_more_room_is_chosen():
    # The fullest of many is never chosen, the emptiest of n in 2/n of the draws.
    rooms = [Room(node, node / 10) for node in range(1, 6)]
    drawn = draw()
    chosen = Counter(choose(None, rooms, drawn) for _ in range(10_000))
    assert chosen[5] == 0
    expected = {1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1}
    for node, share in expected.items():
        assert chosen[node] / 10_000 == pytest.approx(share, abs=0.02)


def test_a_node_is_as_full_as_its_calls_or_its_core_say():
    load = NodeLoad(calls=20, capacity=100, cpu=0.5)
    assert room_of(1, load).share == 0.5
    assert room_of(1, load, recent=40).share == 0.6
    assert room_of(1, NodeLoad(calls=100, capacity=100)).overloaded
    assert room_of(1, NodeLoad(capacity=100, lag=0.6)).overloaded


# With what siblings report


class World:
    def __init__(self, folder, loads, *, own, draining=()):
        members = [
            Member(node=node, boot=f"{node:016x}", load=load, draining=node in draining)
            for node, load in loads.items()
        ]
        self.siblings = Siblings(
            Supervised(
                Member(node=0, boot="0"),
                members,
                launch_id="1",
                timing=ClusterTiming(heartbeat=2.0),
            ),
            unix=UnixTransport(folder),
        )
        self.now = 100.0
        self.live: dict[int, int] = {}
        self.placement = Placement(
            self.siblings,
            own_load=lambda: own,
            live_calls=self.live_calls,
            now=lambda: self.now,
            draw=draw(),
        )

    async def live_calls(self):
        return self.live

    async def place(self, count=1, *, overloaded=False, draining=False):
        return Counter(
            [
                await self.placement.choose(overloaded=overloaded, draining=draining)
                for _ in range(count)
            ]
        )


FULL = NodeLoad(calls=100, capacity=100)
EMPTY = NodeLoad(capacity=100)


async def test_a_burst_is_spread_over_nodes_that_report_the_same_load(tmp_path):
    world = World(tmp_path, {1: EMPTY, 2: EMPTY, 3: EMPTY}, own=FULL)
    placed = await world.place(240)
    assert set(placed) == {1, 2, 3}
    assert max(placed.values()) - min(placed.values()) <= 8


async def test_placements_count_for_ten_seconds(tmp_path):
    world = World(tmp_path, {1: EMPTY, 2: NodeLoad(calls=2, capacity=100)}, own=FULL)
    assert await world.place(5) == Counter({1: 4, 2: 1})
    world.now += 11
    assert await world.place(2) == Counter({1: 2})


async def test_draining_nodes_get_no_calls_and_neither_do_silent_ones(tmp_path):
    world = World(tmp_path, {1: EMPTY, 2: EMPTY, 3: EMPTY}, own=FULL, draining=[1])
    world.siblings.note_silence(2, TimeoutError())
    assert set(await world.place(50)) == {3}


async def test_a_draining_node_keeps_none_of_its_own(tmp_path):
    world = World(tmp_path, {1: FULL}, own=EMPTY)
    assert await world.place(draining=True) == Counter({1: 1})
    alone = World(tmp_path, {}, own=EMPTY)
    assert await alone.place(draining=True) == Counter({0: 1})  # which refuses it and says why


async def test_an_overloaded_node_places_its_calls_elsewhere(tmp_path):
    world = World(tmp_path, {1: EMPTY}, own=EMPTY)
    assert await world.place(overloaded=True) == Counter({1: 1})


async def test_nodes_that_report_no_load_are_compared_by_their_calls(tmp_path):
    world = World(tmp_path, {1: NodeLoad(), 2: NodeLoad()}, own=NodeLoad(calls=90, capacity=100))
    world.live = {1: 60, 2: 20}
    placed = await world.place(300)
    # Of three the two drawn lack the emptiest once in three times; the fullest is never chosen.
    assert set(placed) == {1, 2}
    assert placed[2] > placed[1]

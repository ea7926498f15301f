"""Which nodes a supervisor keeps, what it tells them, and how it replaces them; without processes."""

import asyncio
import os

import msgspec
import pytest

from bridge.errors import SetupError
from bridge.settings.model import Recovery, Settings
from bridge.supervisor import fleet as fleet_module
from bridge.supervisor.fleet import Fleet, UpgradeFailed
from bridge.supervisor.orders import read_settings
from bridge.supervisor.process import End
from bridge.supervisor.spare import Spare
from bridge.supervisor.strikes import MAX_DEATHS
from bridge.wire.supervision import (
    Accept,
    BeginDrain,
    HandOver,
    Process,
    Stop,
)
from tests.supervisor.fake_process import NUMBERED_FROM, FakeProcess

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def made(monkeypatch):
    """The processes that were made, in order."""
    monkeypatch.setattr(FakeProcess, "all", [], raising=False)
    monkeypatch.setattr(fleet_module, "NodeProcess", FakeProcess)
    return FakeProcess.all


def of_two(*, spare=False):
    chosen = Settings(nodes=2, recovery=Recovery(spare=spare))
    return read_settings(msgspec.json.encode(chosen))


async def started(made, *, ready=True):
    fleet = Fleet(of_two(), [5], Spare([5]))
    running = asyncio.create_task(fleet.run())
    await asyncio.sleep(0)
    if ready:
        for process in made:
            process.get_ready()
    await asyncio.sleep(0.1)
    return fleet, running


async def ended(fleet, running):
    fleet.stop()
    await running


async def test_all_know_each_other_from_the_start(made):
    fleet, running = await started(made)
    assert [process.slot.listeners for process in made] == [[5], [5]]
    assert made[0].roster().nodes == [Process(0, made[0].boot), Process(1, made[1].boot)]
    assert made[0].roster() == made[1].roster()
    await ended(fleet, running)


async def test_a_lost_node_is_named_as_lost_and_its_next_process_from_then_on(made):
    fleet, running = await started(made)
    made[1].end()
    await asyncio.sleep(0.1)
    assert not made[2].started
    roster = made[0].roster()
    assert roster.lost == [Process(1, made[1].boot)]
    assert roster.nodes == [Process(0, made[0].boot), Process(1, made[2].boot)]
    await asyncio.sleep(0.3)
    assert made[2].started
    assert (made[2].slot.stuck, made[2].slot.lost) == (0, 1)
    assert made[2].roster() == roster
    await ended(fleet, running)


async def test_a_lost_node_is_logged_by_its_own_number_once_it_had_one(made, caplog):
    fleet, running = await started(made)
    made[-1].end()
    await asyncio.sleep(1.0)
    made[-1].end()  # before it was ready
    await asyncio.sleep(0.1)
    lost = [vars(one) for one in caplog.records if one.message == "node.lost"]
    assert [one.get("node") for one in lost] == [made[1].number, None]
    assert [one.get("slot") for one in lost] == [None, made[1].node]
    await ended(fleet, running)


async def test_restarts_wait_longer_each_time(made):
    fleet, running = await started(made)
    waited = []
    for _ in range(4):
        since = asyncio.get_running_loop().time()
        made[-1].end()
        before = len(made)
        while not (len(made) > before and made[-1].started):
            await asyncio.sleep(0.01)
        waited.append(round(asyncio.get_running_loop().time() - since, 1))
    assert waited == pytest.approx([0.25, 0.5, 1.0, 2.0], abs=0.06)
    await ended(fleet, running)


def closed(descriptors: list[int]) -> bool:
    """Whether they are closed, all of them or none."""
    [found] = {os.path.exists(f"/proc/self/fd/{one}") for one in descriptors}
    return not found


async def test_the_next_process_inherits_calls_at_once_and_others_do_not_miss_the_former_before(
    made,
):
    fleet, running = await started(made)
    descriptors = made[1].leave("call")
    made[1].end()
    await asyncio.sleep(0.01)
    assert made[2].started
    [told] = made[2].slot.inherited
    assert (told.call_id, told.boots, told.node) == ("call", [made[1].boot], 1)
    assert made[0].roster().lost == []
    assert made[0].roster().nodes[1] == Process(1, made[2].boot)
    assert not closed(descriptors)
    made[2].get_ready()
    await asyncio.sleep(0.01)
    assert closed(descriptors)
    assert made[0].roster().lost == [Process(1, made[1].boot)]
    await ended(fleet, running)


async def test_a_successor_that_dies_before_it_is_ready_leaves_the_calls_to_the_next(made):
    fleet, running = await started(made)
    old, kept = made[1].leave("taken"), made[1].leave("waits")
    made[1].end()
    await asyncio.sleep(0.01)
    newer = made[2].leave("taken")
    made[2].end()
    await asyncio.sleep(1)
    waits, taken = made[3].slot.inherited
    assert (waits.call_id, waits.boots) == ("waits", [made[2].boot, made[1].boot])
    assert (taken.call_id, taken.boots) == ("taken", [made[2].boot])
    assert (closed(old), closed(kept), closed(newer)) == (True, False, False)
    made[3].get_ready()
    await asyncio.sleep(0.01)
    assert made[0].roster().lost == [Process(1, made[1].boot), Process(1, made[2].boot)]
    await ended(fleet, running)
    assert closed(kept + newer)


async def test_calls_of_a_node_that_is_killed_again_and_again_go_on(made):
    fleet, running = await started(made)
    for _ in range(3 * MAX_DEATHS):
        made[-1].leave("call")
        made[-1].end()
        await asyncio.sleep(0.01)
        [call] = made[-1].slot.inherited
        assert call.strikes == 0
        made[-1].get_ready()
        await asyncio.sleep(0.01)
    await ended(fleet, running)


async def test_a_call_that_processes_die_of_has_its_strikes_with_it(made):
    fleet, running = await started(made)
    made[1].leave("poison")
    made[1].leave("other")
    made[1].crash("poison")
    await asyncio.sleep(0.01)
    assert strikes(made[2]) == {"poison": 1, "other": 0}
    made[2].get_ready()
    await asyncio.sleep(0.01)
    assert [one.message.call_id for one in made[2].left] == ["poison"]  # until it has copied it
    made[2].leave("other")
    made[2].crash("poison")
    await asyncio.sleep(0.01)
    assert strikes(made[3]) == {"poison": 2, "other": 0}
    made[3].end()  # before it is ready
    await asyncio.sleep(0.01)
    assert strikes(made[4]) == {"poison": 2, "other": 0}
    await ended(fleet, running)


async def test_a_copy_by_a_process_that_never_got_ready_keeps_the_strikes(made):
    fleet, running = await started(made)
    made[1].leave("poison")
    made[1].crash("poison")
    await asyncio.sleep(0.01)
    made[2].leave("poison")
    made[2].end()
    await asyncio.sleep(0.01)
    assert strikes(made[3]) == {"poison": 1}
    await ended(fleet, running)


def strikes(process):
    return {one.call_id: one.strikes for one in process.slot.inherited}


async def test_calls_of_a_node_that_too_many_calls_crash_end_with_it(made):
    fleet, running = await started(made)
    for turn in range(MAX_DEATHS):
        made[-1].leave(f"call {turn}")
        made[-1].crash(f"call {turn}")
        await asyncio.sleep(0.01)
        assert made[-1].slot.inherited
        made[-1].get_ready()
        await asyncio.sleep(0.01)
    left = made[-1].leave("call")
    made[-1].crash("call")
    await asyncio.sleep(0.01)
    assert made[-1].slot.inherited == []
    assert closed(left)
    assert made[0].roster().lost[-1] == Process(1, made[-2].boot)
    await asyncio.sleep(60)
    made[-1].get_ready()
    left = made[-1].leave("call")
    made[-1].end()
    await asyncio.sleep(0.01)
    assert made[-1].slot.inherited
    await ended(fleet, running)
    assert closed(left)


async def test_nothing_is_inherited_of_a_node_that_is_to_end(made):
    fleet, running = await started(made)
    fleet.drain_node(made[0], 5.0)
    left = made[0].leave("call")
    made[0].end()
    await asyncio.sleep(0.1)
    assert closed(left)
    assert [one.keeps for one in made] == [True, True]
    await ended(fleet, running)


async def test_nodes_that_never_get_ready_are_given_up(made):
    _, running = await started(made, ready=False)
    made[0].end(End(2, stuck=False, drained=False))
    with pytest.raises(SetupError, match="a node could not start"):
        await running
    assert Stop() in made[1].heard


async def test_a_node_that_cannot_start_anew_leaves_the_others_alone(made):
    fleet, running = await started(made)
    made[1].end(End(2, stuck=False, drained=False))
    await asyncio.sleep(1)
    assert Stop() not in made[0].heard
    assert made[2].started
    await ended(fleet, running)


async def test_a_process_that_cannot_be_made_is_tried_again_and_its_calls_wait(made, monkeypatch):
    fleet, running = await started(made)
    monkeypatch.setattr(FakeProcess, "cannot_start", True)
    left = made[1].leave("call")
    made[1].end()
    await asyncio.sleep(0.01)
    monkeypatch.setattr(FakeProcess, "cannot_start", False)
    await asyncio.sleep(60)
    assert made[-1].slot.inherited
    assert not closed(left)
    await ended(fleet, running)
    assert closed(left)


async def test_all_drain_and_the_supervisor_ends_with_the_last(made):
    fleet, running = await started(made)
    fleet.drain(60.0, "signal")
    assert [BeginDrain(seconds=60.0, reason="signal") in one.heard for one in made] == [True, True]
    assert [one.draining for one in made[0].roster().nodes] == [True, True]
    made[0].end(End(0, stuck=False, drained=True))
    await asyncio.sleep(1)
    assert not running.done()
    made[1].end(End(0, stuck=False, drained=True))
    await running
    assert len(made) == 2


async def test_a_node_that_drained_is_not_started_anew_and_one_that_dies_meanwhile_neither(made):
    fleet, running = await started(made)
    fleet.drain_node(made[0], 5.0)
    made[0].end()
    await asyncio.sleep(1)
    assert [one.node for one in made[1].roster().nodes] == [1]
    assert not running.done()
    made[1].end(End(0, stuck=False, drained=True))
    await running
    assert len(made) == 2


async def test_a_node_that_was_asked_to_drain_itself_is_named_so_and_not_started_anew(made):
    fleet, running = await started(made)
    made[0].draining = True
    made[0].on_draining()
    assert [one.draining for one in made[1].roster().nodes] == [True, False]
    made[0].end(End(0, stuck=False, drained=True))
    await asyncio.sleep(1)
    assert made[1].roster().lost == [Process(0, made[0].boot, draining=True)]
    assert len(made) == 2
    await ended(fleet, running)


async def upgrading(made, fleet):
    upgrade = asyncio.create_task(fleet.upgrade(of_two(), None, lambda _text: None))
    await asyncio.sleep(0.1)
    return upgrade, made[:2], made[2:]


async def test_an_upgrade_drains_the_old_nodes_once_all_new_ones_are_ready(made):
    fleet, running = await started(made)
    upgrade, old, new = await upgrading(made, fleet)
    assert [process.node for process in new] == [2, 3]
    assert not any(process.slot.accepts for process in new)
    new[0].get_ready()
    await asyncio.sleep(1)
    assert not upgrade.done()
    assert [entry.node for entry in old[0].roster().nodes] == [0, 1]
    new[1].get_ready()
    assert await upgrade == old
    for process in new:
        assert Accept(on=True) in process.heard
        assert [entry.draining for entry in process.roster().nodes] == [True, True, False, False]
    for number, process in enumerate(old):
        assert Accept(on=False) in process.heard
        assert HandOver(node=2 + number + NUMBERED_FROM) in process.heard
        assert BeginDrain(seconds=None, reason="upgrade") in process.heard
        process.end(End(0, stuck=False, drained=True))
    await asyncio.sleep(0.1)
    assert [entry.node for entry in new[0].roster().nodes] == [2, 3]
    await ended(fleet, running)


async def test_old_nodes_learn_the_number_of_a_new_one_that_was_lost_and_started_again(made):
    fleet, running = await started(made)
    upgrading = asyncio.create_task(fleet.upgrade(of_two(), None, lambda _: None))
    await asyncio.sleep(0.1)
    old, new = made[:2], made[2:]
    for process in new:
        process.get_ready()
    await upgrading
    new[0].end()
    await asyncio.sleep(1)
    made[4].number = 99
    made[4].get_ready()
    await asyncio.sleep(0.1)
    orders = [[one for one in process.heard if isinstance(one, HandOver)] for process in old]
    assert orders[0] == [HandOver(node=2 + NUMBERED_FROM), HandOver(node=99)]
    assert orders[1] == [HandOver(node=3 + NUMBERED_FROM)]
    await ended(fleet, running)


async def test_the_next_upgrade_uses_the_first_numbers_again(made):
    fleet, running = await started(made)
    upgrade, old, new = await upgrading(made, fleet)
    for process in new:
        process.get_ready()
    await upgrade
    for process in old:
        process.end(End(0, stuck=False, drained=True))
    await asyncio.sleep(0.1)
    again = asyncio.create_task(fleet.upgrade(of_two(), None, lambda _text: None))
    await asyncio.sleep(0.1)
    assert [process.node for process in made[4:]] == [0, 1]
    for process in made[4:]:
        process.get_ready()
    await again
    await ended(fleet, running)


@pytest.mark.parametrize("how", ["ends", "hangs"])
async def test_new_nodes_that_do_not_get_ready_are_stopped_and_the_old_ones_go_on(made, how):
    fleet, running = await started(made)
    upgrade, old, new = await upgrading(made, fleet)
    new[0].get_ready()
    if how == "ends":
        new[1].end()
    with pytest.raises(UpgradeFailed, match="the old ones go on"):
        await upgrade
    await asyncio.sleep(20)
    assert len(made) == 4
    assert Stop() in new[0].heard
    assert not any(isinstance(one, BeginDrain) for process in old for one in process.heard)
    assert [entry.node for entry in old[0].roster().nodes] == [0, 1]
    await ended(fleet, running)


async def test_one_upgrade_at_a_time_and_none_while_it_ends(made):
    fleet, running = await started(made)
    upgrade, _, new = await upgrading(made, fleet)
    with pytest.raises(UpgradeFailed, match="being upgraded"):
        await fleet.upgrade(of_two(), None, lambda _text: None)
    for process in new:
        process.get_ready()
    await upgrade
    fleet.stop()
    with pytest.raises(UpgradeFailed, match="stopping"):
        await fleet.upgrade(of_two(), None, lambda _text: None)
    await running

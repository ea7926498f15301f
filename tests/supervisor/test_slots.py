"""What the nodes of a machine share and what each has for itself."""

import os

import msgspec
import pytest

from bridge.errors import SettingsError
from bridge.settings.model import Rtc, Settings
from bridge.supervisor.orders import read_settings
from bridge.supervisor.slots import MachineSettings, assign_slots, node_count, with_ports


def machine(nodes: int, ports: str = "20000-20999") -> MachineSettings:
    settings = msgspec.structs.replace(Settings(), nodes=nodes, rtc=Rtc(ports=ports))
    return read_settings(msgspec.json.encode(settings)).read


def test_every_node_has_its_own_media_ports_and_none_is_left_out():
    node_slots = assign_slots(machine(3, "20000-20009"))
    assert [node_slot.ports for node_slot in node_slots] == [
        "20000-20002",
        "20003-20005",
        "20006-20009",
    ]
    assert [node_slot.node for node_slot in node_slots] == [0, 1, 2]
    assert with_ports(Settings(), node_slots[1].ports).rtc.ports == "20003-20005"


def test_nodes_have_processors_of_their_own_where_there_are_enough():
    cores = sorted(os.sched_getaffinity(0))
    assert [node_slot.core for node_slot in assign_slots(machine(len(cores)))] == cores
    assert {node_slot.core for node_slot in assign_slots(machine(len(cores) + 1))} == {None}


def test_zero_is_a_node_for_each_processor():
    for nodes, count in ((0, len(os.sched_getaffinity(0))), (3, 3)):
        assert node_count(machine(nodes)) == count
        assert node_count(msgspec.structs.replace(Settings(), nodes=nodes)) == count


def test_new_nodes_get_the_least_numbers_that_old_ones_do_not_have():
    assert [node_slot.node for node_slot in assign_slots(machine(2), {0, 1})] == [2, 3]
    assert [node_slot.node for node_slot in assign_slots(machine(2), {2, 3})] == [0, 1]
    assert [node_slot.node for node_slot in assign_slots(machine(3), {0, 2})] == [1, 3, 4]


def test_more_nodes_than_a_call_id_can_name_are_refused():
    with pytest.raises(SettingsError, match="more than 256"):
        assign_slots(machine(2), range(255))


def test_settings_of_a_newer_version_are_read_as_far_as_they_are_known():
    text = msgspec.json.encode(msgspec.to_builtins(Settings()) | {"future": {"on": True}})
    chosen = read_settings(text)
    assert chosen.read.http.port == Settings().http.port
    assert bytes(chosen.text) == text

"""A dialog hands its leg's commands to the core."""

import asyncio
from typing import Any

import pytest

from bridge.errors import TrunkUnreachable
from bridge.sip.boundary import DialogId
from bridge.sip.events import Refused
from bridge.trunk.dialog import CLOSE_SECONDS, AgentDialog
from bridge.trunk.trace import trace_id
from bridge.trunk.trunk import TrunkAddress
from tests.support.sip.sip_agent_double import FAR_SIDE, AgentDouble

INBOUND = DialogId("00-abc")


@pytest.fixture
def agent():
    return AgentDouble()


@pytest.fixture
async def dialog(agent):
    return AgentDialog(agent, dialog=INBOUND, uri_of=lambda number: f"sip:{number}@trunk.test")


async def test_its_messages_have_the_trace_id_of_its_call(dialog):
    assert dialog.trace_id == trace_id(b"call")


async def test_each_command_reaches_the_core_for_this_dialog(agent, dialog):
    other = AgentDialog(agent, dialog=DialogId("00-other"))
    dialog.ring("early")
    dialog.answer("v=0")
    dialog.refuse(488)
    dialog.reoffer("v=0")
    dialog.send_digit("5", 0.25)
    dialog.refer("100", other)
    dialog.notify_transfer(200)
    dialog.hang_up(603)
    assert agent.notes.names() == [
        *("ring", "answer", "refuse", "reoffer"),
        *("send_digit", "refer", "notify_transfer", "hang_up"),
    ]
    assert all(told[1] == INBOUND for told in agent.notes.told)
    assert agent.notes.told[5][2] == "sip:100@trunk.test"
    assert agent.notes.told[5][4].dialog == "00-other"


async def test_commands_after_the_end_do_nothing(agent, dialog):
    dialog.close()
    dialog.answer("v=0")
    dialog.hang_up()
    await dialog.wait_closed()
    assert agent.notes.told == []


async def test_the_end_is_waited_for_so_long_and_no_longer(agent, dialog):
    dialog.hang_up()
    waiting = asyncio.create_task(dialog.wait_closed())
    await asyncio.sleep(0)
    assert not waiting.done()
    dialog.close()
    await waiting


@pytest.mark.virtual_time
async def test_a_far_side_that_never_acknowledges_is_given_up(agent):
    dialog = AgentDialog(agent, dialog=INBOUND)
    dialog.hang_up()
    await dialog.wait_closed()
    assert asyncio.get_running_loop().time() == pytest.approx(CLOSE_SECONDS, abs=0.1)


async def test_a_call_that_could_not_be_dialled_is_over(agent):
    events: list[Any] = []
    dialog = AgentDialog(agent, dial=lambda _dialog, _sdp: None)
    dialog.on_event = events.append
    dialog.invite("v=0")
    dialog.fail(Refused(503))
    await dialog.wait_closed()
    assert events == [Refused(503)]
    assert dialog.trace_id == ""


async def test_a_dialog_of_another_machine_is_reached_by_a_socket_of_this_one(agent):
    trunk = TrunkAddress(name="office", host="trunk.test")
    dialog = AgentDialog(agent, dialog=INBOUND, trunk=trunk)
    await dialog.reach()
    assert agent.connected == [FAR_SIDE.host]
    assert agent.notes.told == [("relocate", INBOUND, FAR_SIDE.connection)]
    agent.refusing.add(FAR_SIDE.host)
    with pytest.raises(TrunkUnreachable):
        await dialog.reach()

"""Hold, transfer and participants over HTTP."""

import pytest

from bridge.call.model import State
from bridge.call.routing import Audience
from tests.support.inprocess import running, settings
from tests.support.waiting import until

ECHO, TALKER, NEVER, BUSY = (f"1555010000{number}" for number in (1, 2, 3, 4))
pytestmark = pytest.mark.call


@pytest.fixture
async def client():
    async with running(settings()) as client:
        yield client


@pytest.fixture
async def runner(client):
    """A call to the contact that talks."""
    call_id = await client.dial(TALKER)
    await client.until_state(call_id, "active")
    return client.bridge.manager.running(call_id)


async def ask(client, path, runner, **more):
    response = await client.post(path, {"callId": runner.facts.call_id, **more})
    return response.status, await response.json()


async def test_a_call_is_held_and_resumed(client, runner):
    assert (await ask(client, "/call/hold", runner))[1]["data"] == {"held": True, "ok": True}
    assert runner.machine.state is State.HELD
    assert (await ask(client, "/call/unhold", runner))[1]["data"]["held"] is False
    assert runner.machine.state is State.ACTIVE


async def test_a_call_that_rings_is_neither_held_nor_transferred(client):
    call_id = await client.dial(NEVER)
    runner = client.bridge.manager.running(call_id)
    for path, more in [
        ("/call/hold", {"musicUrl": "http://127.0.0.1:1/"}),
        ("/call/transfer", {"phone": ECHO, "waitingUrl": "http://127.0.0.1:1/"}),
        ("/call/participants/add", {"phone": ECHO}),
    ]:
        assert (await ask(client, path, runner, **more))[0] == 409


async def test_hold_takes_one_kind_of_music(client, runner):
    more = {"musicUrl": "http://a/", "assetId": "x"}
    status, body = await ask(client, "/call/hold", runner, **more)
    assert (status, body["field"]) == (400, "assetId")


async def test_a_call_is_transferred_to_a_number(client, runner):
    status, body = await ask(client, "/call/transfer", runner, phone=ECHO)
    assert status == 200
    await until(lambda: not runner.machine.legs.records[body["data"]["legID"]].role.replaces)
    assert len(runner.machine.legs.records) == 2


async def test_a_transfer_to_a_busy_number_gives_the_call_back(client, runner):
    assert (await ask(client, "/call/transfer", runner, phone=BUSY))[0] == 200
    await until(lambda: len(runner.legs()) == 1)
    assert runner.machine.state is State.ACTIVE


async def test_somebody_in_a_browser_is_invited(client, runner):
    assert (await ask(client, "/call/transfer", runner, identity="agent-7"))[0] == 200
    assert runner.machine.transfers.invitation.identity == "agent-7"


@pytest.mark.parametrize("more", [{}, {"phone": ECHO, "identity": "a"}, {"phone": "abc"}])
async def test_a_transfer_names_one_party(client, runner, more):
    assert (await ask(client, "/call/transfer", runner, **more))[0] == 400


async def test_an_attended_transfer_leaves_the_call_to_both(client, runner):
    far = runner.machine.legs.far.leg_id
    assert (await ask(client, "/call/hold", runner, legID=far))[0] == 200
    _, body = await ask(client, "/call/participants/add", runner, phone=ECHO)
    new = body["data"]["legID"]
    await until(lambda: runner.machine.legs.records[new].talks)
    assert (await ask(client, "/call/transfer", runner, legID=new))[0] == 200
    assert set(runner.machine.legs.records) == {far, new}
    assert not runner.machine.legs.records[far].held


async def test_a_participant_is_removed_and_the_last_one_is_not(client, runner):
    far = runner.machine.legs.far.leg_id
    _, body = await ask(client, "/call/participants/add", runner, phone=ECHO)
    new = body["data"]["legID"]
    await until(lambda: runner.machine.legs.records[new].talks)
    assert (await ask(client, "/call/participants/remove", runner, legID=far))[0] == 200
    assert (await ask(client, "/call/participants/remove", runner, legID=far))[0] == 404
    assert (await ask(client, "/call/participants/remove", runner, legID=new))[0] == 409


async def test_no_telephone_is_reached_without_a_trunk(client, runner):
    for path in ("/call/transfer", "/call/participants/add"):
        status, _ = await ask(client, path, runner, phone="4930123456", channel="pstn")
        assert status == 501
    assert not [
        leg for leg in runner.machine.legs.records.values() if leg.role.audience is Audience.WAITING
    ]

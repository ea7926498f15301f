"""Hold and transfers in whole calls between two bridges, each of which is the other's trunk."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.calls.telephone.test_trunk import BRANCH, OFFICE, found, one, ringing
from tests.support.inprocess import Client
from tests.support.machine import free_port
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.call


@asynccontextmanager
async def joined(office: dict[str, Any], branch: dict[str, Any]):
    """Run both, with these settings of their trunks."""
    here, there = free_port(), free_port()
    async with (
        one(OFFICE, here, there, **office) as first,
        one(BRANCH, there, here, **branch) as second,
    ):
        yield first, second


def record(client: Client) -> list[str]:
    """Return the types of the events that a bridge publishes from now on."""
    types: list[str] = []
    client.bridge.manager.publisher.subscribe(lambda event: types.append(event.type))
    return types


async def talking(office: Client, branch: Client) -> tuple[str, str]:
    """Have the office call the branch; return the ids of the call at both."""
    call_id = await office.dial(BRANCH, channel="pstn")
    rings = await ringing(branch)
    await branch.data("/call/answer", {"callId": rings["callId"]})
    await office.until_state(call_id, "active")
    await branch.until_state(rings["callId"], "active")
    return call_id, rings["callId"]


async def test_a_telephone_is_told_that_it_is_held():
    async with joined({}, {}) as (office, branch):
        call_id, _ = await talking(office, branch)
        types = record(branch)
        await office.data("/call/hold", {"callId": call_id})
        await until(lambda: "leg.held" in types)
        await office.data("/call/unhold", {"callId": call_id})
        await until(lambda: "leg.unheld" in types)


async def test_a_trunk_that_is_asked_to_calls_the_new_number_and_the_first_call_ends():
    async with joined({"refer": True}, {"transfer": True}) as (office, branch):
        call_id, there = await talking(office, branch)
        types = record(office)
        await office.data("/call/transfer", {"callId": call_id, "phone": OFFICE})
        again = await ringing_again(office, call_id)
        await office.data("/call/answer", {"callId": again})
        await office.until_state(call_id, "gone")
        assert types.count("transfer.completed") == 1
        assert await branch.state(there) == "active"
        assert (await found(office, call_id))["reason"] == "hangup"
        await office.data("/call/hangup", {"callId": again})
        await branch.until_state(there, "gone")


async def test_a_trunk_that_takes_no_transfers_leaves_the_call_as_it_is():
    async with joined({"refer": True}, {"transfer": False}) as (office, branch):
        call_id, there = await talking(office, branch)
        types = record(office)
        await office.data("/call/transfer", {"callId": call_id, "phone": OFFICE})
        await until(lambda: "transfer.failed" in types)
        assert await office.state(call_id) == await branch.state(there) == "active"


async def ringing_again(client: Client, but: str) -> str:
    """Wait until another call rings, and return its id."""

    async def others() -> list[str]:
        calls = await client.calls()
        return [call["callId"] for call in calls if call["callId"] != but]

    await until_answer(others)
    [other] = await others()
    return other

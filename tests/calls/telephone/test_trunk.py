"""Whole calls over the trunks of the settings: two bridges, each of which is the other's trunk.

What a trunk's settings decide is the same on every node, and is tested on one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.settings.model import Line, LineSip, Sip
from tests.support.clients.vendor import Vendor
from tests.support.inprocess import KEY, Client, running, settings
from tests.support.machine import free_port
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until_answer

OFFICE, BRANCH = "4930123456", "4940654321"
pytestmark = pytest.mark.call


def line(number: str, port: int, transport: str = "udp", **sip: Any) -> Line:
    trunk = f"sip:127.0.0.1:{port};transport={transport}"
    trusted = {"trunk": trunk, "trusted": ["127.0.0.1/32"]}
    return Line(
        keys=["demo"], numbers=[number], sip=LineSip(**trusted | {"allow_prefixes": ["+49"]} | sip)
    )


@asynccontextmanager
async def one(
    number: str, own: int, other: int, transport: str = "udp", **sip: Any
) -> AsyncIterator[Client]:
    """Run a bridge with a trunk at a port."""
    shared = Sip(listen=[f"{transport}:127.0.0.1:{own}"])
    lines = {"office": line(number, other, transport, **sip)}
    async with running(settings(lines=lines, sip=shared)) as client:
        yield client


@asynccontextmanager
async def joined(
    calls: dict[str, Any] | None = None, **sip: Any
) -> AsyncIterator[tuple[Client, Client]]:
    """Run the office, which `calls`, and the branch, which is called; `sip` is the branch's."""
    here, there = free_port(), free_port()
    async with (
        one(OFFICE, here, there, **(calls or {})) as office,
        one(BRANCH, there, here, **sip) as branch,
    ):
        yield office, branch


async def ringing(client: Client) -> dict[str, Any]:
    """Wait until a call rings, and return it."""

    async def rings() -> bool:
        return [call["state"] for call in await client.calls()] == ["ringing"]

    await until_answer(rings)
    [call] = await client.calls()
    return call


async def found(client: Client, call_id: str) -> dict[str, Any]:
    answer = await (await client.get(f"/calls/{call_id}")).json()
    data: dict[str, Any] = answer["data"]
    return data


async def test_a_call_rings_the_line_whose_number_was_called_and_ends_on_both_sides():
    async with joined() as (office, branch):
        call_id = await office.dial(BRANCH, channel="pstn")
        rings = await ringing(branch)
        assert (rings["from"], rings["to"]) == (f"+{OFFICE}", f"+{BRANCH}")
        assert rings["direction"] == "inbound"
        await branch.data("/call/answer", {"callId": rings["callId"]})
        await office.until_state(call_id, "active")
        await branch.until_state(rings["callId"], "active")
        await branch.data("/call/hangup", {"callId": rings["callId"]})
        await office.until_state(call_id, "gone")
        made, taken = await found(office, call_id), await found(branch, rings["callId"])
        assert (made["reason"], taken["reason"]) == ("remote_hangup", "hangup")
        assert {made["toChannel"], taken["toChannel"], taken["fromChannel"]} == {"pstn"}
    assert (office.ports.used, branch.ports.used) == (0, 0)


@one_node_only
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/call/dial", {"phone": BRANCH, "channel": "pstn"}),
        ("/v1/call", {"from": OFFICE, "to": BRANCH}),
        ("/v1/calls", {"from": f"+{OFFICE}", "to": f"+{BRANCH}"}),
    ],
    ids=["native", "wavix", "chirp"],
)
async def test_vendors_of_telephone_calls_need_no_whatsapp_on_the_line(path, body):
    async with joined() as (office, branch):
        status, answer = await Vendor(office.http, "demo").post(path, body)
        assert status in {200, 201}, answer
        assert (await ringing(branch))["from"] == f"+{OFFICE}"


CROSS = [{"to": "+15550100008", "toChannel": "whatsapp"}, {"to": "bob", "toChannel": "webrtc"}]


@one_node_only
@pytest.mark.parametrize("to", CROSS, ids=["whatsapp", "webrtc"])
async def test_a_telephone_that_calls_another_channel_is_rung_over_the_trunk(to):
    here, there = free_port(), free_port()
    async with one(OFFICE, here, there) as office, one(OFFICE, there, here) as exchange:
        body = {"from": f"+{OFFICE}", **to}
        status, call = await Vendor(office.http, "demo").post("/v1/calls", body)
        assert status == 200, call
        telephone = await ringing(exchange)
        assert telephone["to"] == f"+{OFFICE}"
        await exchange.data("/call/answer", {"callId": telephone["callId"]})
        await exchange.until_state(telephone["callId"], "active")
        await exchange.data("/call/hangup", {"callId": telephone["callId"]})
        [native] = (await office.data_of("/calls"))["calls"]
        await office.until_state(native["callId"], "gone")
    assert (office.ports.used, exchange.ports.used) == (0, 0)


@one_node_only
@pytest.mark.parametrize("to", [*CROSS, {"to": f"+{BRANCH}"}], ids=["whatsapp", "webrtc", "pstn"])
async def test_a_trunk_that_is_down_is_an_error_on_every_channel(to):
    async with one(OFFICE, free_port(), free_port()) as office:
        body = {"from": f"+{OFFICE}", **to}
        status, answer = await Vendor(office.http, "demo").post("/v1/calls", body)
        assert (status, set(answer)) == (502, {"error", "callId"}), answer
        assert "the trunk is unreachable" in answer["error"]
        assert await office.calls() == []


@one_node_only
async def test_a_call_that_is_declined_says_so():
    async with joined() as (office, branch):
        call_id = await office.dial(BRANCH, channel="pstn")
        rings = await ringing(branch)
        await branch.data("/call/hangup", {"callId": rings["callId"]})
        await office.until_state(call_id, "gone")
        assert (await found(office, call_id))["reason"] == "rejected"


@one_node_only
@pytest.mark.parametrize(
    ("mode", "state"), [("webhook", "active"), ("reject", "gone"), ("manual", "ringing")]
)
async def test_a_telephone_call_is_taken_as_the_lines_mode_says(mode, state):
    async with joined() as (office, branch):
        body = {"callInboundMode": mode}
        assert (await branch.http.put("/call/config", json=body, headers=KEY)).status == 200
        await branch.data("/session/connect", {})
        call_id = await office.dial(BRANCH, channel="pstn")
        await office.until_state(call_id, state)
        assert len(await branch.calls()) == (state != "gone")


async def test_a_caller_who_gives_up_stops_the_ringing():
    async with joined() as (office, branch):
        call_id = await office.dial(BRANCH, channel="pstn")
        rings = await ringing(branch)
        await office.data("/call/hangup", {"callId": call_id})
        await branch.until_state(rings["callId"], "gone")
        assert (await found(branch, rings["callId"]))["reason"] == "canceled"


@one_node_only
async def test_a_number_that_no_line_has_is_not_found():
    async with joined() as (office, branch):
        answer = await office.post("/call/dial", {"phone": "4940111111", "channel": "pstn"})
        assert (answer.status, await branch.calls()) == (502, [])
        assert "SIP 404" in (await answer.json())["error"]


@one_node_only
async def test_a_stranger_learns_nothing_and_rings_nobody():
    async with joined(trusted=["192.0.2.0/24"]) as (office, branch):
        for number in (BRANCH, "4940111111"):
            answer = await office.post("/call/dial", {"phone": number, "channel": "pstn"})
            assert answer.status == 502
            assert "SIP 401" in (await answer.json())["error"]
        assert await branch.calls() == []


LOGIN: dict[str, Any] = {
    "trusted": [],
    "inbound_username": "office",
    "inbound_password": "secret",
}


@one_node_only
async def test_whoever_logs_in_may_call():
    async with joined({"username": "office", "password": "secret"}, **LOGIN) as (office, branch):
        call_id = await office.dial(BRANCH, channel="pstn")
        await branch.data("/call/answer", {"callId": (await ringing(branch))["callId"]})
        await office.until_state(call_id, "active")
        assert await branch.total("bridge_sip_authentication_failures_total") == 0


@one_node_only
async def test_a_wrong_password_rings_nobody_and_is_counted():
    async with joined({"username": "office", "password": "wrong"}, **LOGIN) as (office, branch):
        answer = await office.post("/call/dial", {"phone": BRANCH, "channel": "pstn"})
        assert answer.status == 502
        assert "user name or the password" in (await answer.json())["error"]
        assert await branch.calls() == []
        assert await branch.total("bridge_sip_authentication_failures_total") > 0


async def test_more_calls_in_a_minute_than_the_trunk_may_begin_are_refused():
    async with joined({"calls_per_minute": 1}) as (office, branch):
        await office.dial(BRANCH, channel="pstn")
        answer = await office.post("/call/dial", {"phone": BRANCH, "channel": "pstn"})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert len(await branch.calls()) == 1


@one_node_only
async def test_what_the_trunk_may_not_call_is_never_sent_to_it():
    async with joined() as (office, branch):
        for phone, word in (("15550100001", "allow_prefixes"), ("49112", "emergency")):
            answer = await office.post("/call/dial", {"phone": phone, "channel": "pstn"})
            assert answer.status == 403
            assert word in (await answer.json())["error"]
        assert (
            await branch.total(
                'bridge_sip_messages_total{code="request",direction="in",method="INVITE"'
            )
            == 0
        )


async def test_a_trunk_that_is_down_is_told_and_leaves_the_bridge_ready():
    async with one(OFFICE, free_port(), free_port()) as client:

        async def is_down() -> bool:
            ready = await client.owner.get("/readyz")  # each machine has trunks of its own
            body = await ready.json()
            assert (ready.status, body["status"]) == (200, "ready")
            return bool(body["trunks"] == {"up": 0, "down": 1})

        await until_answer(is_down, timeout=30.0)
        answer = await client.post("/call/dial", {"phone": BRANCH, "channel": "pstn"})
        body = await answer.json()
        assert (answer.status, body["error"].startswith("the trunk is unreachable")) == (502, True)
        assert await client.total('bridge_sip_trunks{state="down"') == 1

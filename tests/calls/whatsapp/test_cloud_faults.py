"""Whole calls with a Meta that is slow, broken, out of order, or has no media."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.rtc.config import Timeouts
from tests.calls.whatsapp.test_cloud import World, cloud_line, is_state
from tests.support.inprocess import running, settings
from tests.support.virtual_time import monotonic
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import USER, GraphDouble, RetryPolicy
from tests.support.whatsapp.graph_webhooks import connect_value, status_value, terminate_value

pytestmark = pytest.mark.call

BROKEN = (500, {"error": {"message": "Service temporarily unavailable", "code": 2}})
OTHERS = ("15550103001", "15550103002", "15550103003")


@asynccontextmanager
async def world(*, waits: RetryPolicy | None = None, timeouts: Timeouts | None = None):
    async with (
        GraphDouble(patience=waits) as graph,
        running(settings(lines={"main": cloud_line(graph)}), timeouts=timeouts) as client,
    ):
        graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
        graph.webhooks.rings = str(client.owner.make_url("/whatsapp/webhook"))
        yield World(client, graph)
        await graph.wait_idle()
    assert graph.complaints == []


async def ringing(meta: World, **more):
    """A user who rings us, and our id of the call."""
    user = await meta.graph.ring(**more)
    return user, (await meta.call())["callId"]


async def answered(meta: World, call_id: str) -> None:
    await meta.client.data("/call/answer", {"callId": call_id})
    await until_answer(lambda: is_state(meta, call_id, "active"))


async def end_of(meta: World, call_id: str) -> str:
    await until_answer(lambda: is_state(meta, call_id, "gone"))
    return str((await meta.client.quality(call_id))["endReason"])


# What Meta waits for


async def test_a_call_nobody_speaks_in_gets_packets_at_once_and_all_the_time():
    async with world(waits=RetryPolicy(first_media=0.4, media=0.4)) as meta:
        user, call_id = await ringing(meta)
        await answered(meta, call_id)
        await asyncio.sleep(1.2)
        assert await meta.client.state(call_id) == "active"
        times = [packet.time for packet in user.media.rtp_packets]
        assert len(times) > 40
        assert user.state == "ACTIVE"


async def test_a_call_that_nobody_answers_ends_when_meta_gives_it_up():
    async with world() as meta:
        user, call_id = await ringing(meta)
        await until(lambda: user.actions == ["pre_accept"])
        meta.graph.patience.answer = 0.1
        assert await end_of(meta, call_id) in {"canceled", "no_answer", "remote_hangup"}
        assert user.actions == ["pre_accept"]


async def test_a_call_that_meta_drops_for_want_of_media_says_so():
    async with world() as meta:
        user, call_id = await ringing(meta)
        await answered(meta, call_id)
        await meta.graph.hang_up(user, code=138021, documented=True)
        assert await end_of(meta, call_id) == "media_timeout"
        assert user.actions == ["pre_accept", "accept"]


# Slow and broken


async def test_a_slow_meta_is_answered_within_its_patience():
    async with world() as meta:
        meta.graph.slow_seconds = {"pre_accept": 0.5, "accept": 0.5}
        meta.graph.webhooks.patience = 0.4
        meta.graph.webhooks.retries = 2
        began = monotonic()
        _, call_id = await ringing(meta)
        assert monotonic() - began < 0.5
        assert meta.graph.webhooks.answers == [200]
        await answered(meta, call_id)


async def test_a_webhook_sent_again_rings_once():
    async with world() as meta:
        meta.graph.webhooks.duplicates = 4
        user, call_id = await ringing(meta)
        await answered(meta, call_id)
        await meta.graph.hang_up(user)
        await end_of(meta, call_id)
        assert meta.graph.actions() == ["pre_accept", "accept"]
        assert meta.graph.webhooks.answers == [200] * 8


@pytest.mark.parametrize("action", ["pre_accept", "accept"])
async def test_a_meta_that_fails_for_a_moment_costs_no_call(action):
    async with world() as meta:
        meta.graph.faults[action] = [BROKEN]
        user, call_id = await ringing(meta)
        await answered(meta, call_id)
        assert meta.graph.actions().count(action) == 2
        assert user.state == "ACTIVE"


async def test_a_pre_accept_that_fails_for_good_is_done_without():
    async with world() as meta:
        meta.graph.faults["pre_accept"] = [BROKEN] * 3
        user, call_id = await ringing(meta)
        await until(lambda: not meta.graph.faults["pre_accept"])
        await answered(meta, call_id)
        assert user.actions == ["accept"]


async def test_an_accept_that_meta_never_takes_fails_the_call_and_ends_it_at_metas():
    async with world() as meta:
        user, call_id = await ringing(meta)
        await until(lambda: user.actions == ["pre_accept"])
        meta.graph.faults["accept"] = [BROKEN] * 3
        await meta.client.data("/call/answer", {"callId": call_id})
        assert await end_of(meta, call_id) == "failed"
        await until(lambda: user.state == "ENDED")
        assert user.actions == ["pre_accept", "terminate"]


@pytest.mark.parametrize(
    ("switch", "code", "status"),
    [("sip", 131055, 409), ("off", 138000, 409), ("expired", 190, 409), ("broken", 2, 502)],
)
async def test_a_number_that_is_not_ready_dials_nobody_and_says_why(switch, code, status):
    async with world() as meta:
        meta.graph.broken.add(switch)
        answer = await meta.client.post("/call/dial", {"phone": USER})
        body = await answer.json()
        assert (answer.status, body["data"]["metaCode"]) == (status, code)
        assert await meta.client.calls() == []
        assert (await meta.client.quality(body["callId"]))["endReason"] == "failed"
        meta.graph.broken.clear()
        await meta.client.dial(USER)


async def test_a_token_that_expires_while_somebody_rings_fails_that_call():
    async with world() as meta:
        user, call_id = await ringing(meta)
        await until(lambda: user.actions == ["pre_accept"])
        meta.graph.broken.add("expired")
        await meta.client.data("/call/answer", {"callId": call_id})
        assert await end_of(meta, call_id) == "failed"
        assert user.actions == ["pre_accept"]


# No media


async def test_a_call_whose_media_never_comes_up_fails_and_is_ended_at_metas():
    async with world(timeouts=Timeouts(ice=0.3, dtls=0.3, setup=0.6)) as meta:
        meta.graph.no_media = True
        user, call_id = await ringing(meta)
        assert await end_of(meta, call_id) == "failed"
        await until(lambda: user.state == "ENDED")
        assert user.actions[-1] == "reject"


async def test_a_person_picks_up_whose_media_never_comes_up():
    async with world(timeouts=Timeouts(ice=0.3, dtls=0.3, setup=0.6)) as meta:
        meta.graph.no_media = True
        call_id = await meta.client.dial(USER)
        await meta.graph.pick_up(meta.graph.last)
        assert await end_of(meta, call_id) == "failed"
        await until(lambda: meta.graph.last.state == "ENDED")


# Out of order, several at once, and strange


@pytest.mark.parametrize("early", [True, False])
async def test_a_telephone_that_rings_before_metas_answer_comes_connects(early):
    async with world() as meta:
        meta.graph.reordered, meta.graph.early_answer = True, early
        call_id = await meta.client.dial(USER)
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        await meta.graph.pick_up(meta.graph.last)
        await until_answer(lambda: is_state(meta, call_id, "active"))


async def test_several_calls_in_one_delivery_ring_and_end_each_for_itself():
    async with world() as meta:
        users = [meta.graph.begin(inbound=True, user=number) for number in OTHERS]
        rings = [connect_value(user, await user.media.offer(), "offer") for user in users]
        strange = {"calls": [{"id": "wacid.new", "event": "call_recording_available"}]}
        message = {"messages": [{"id": "wamid.1", "type": "text", "from": USER}]}
        assert await meta.graph.tell(message, field="messages") == [200]
        assert await meta.graph.tell(strange, *rings) == [200]

        async def all_ring() -> bool:
            return len(await meta.client.calls()) == len(users)

        await until_answer(all_ring)
        ends = [terminate_value(user) for user in users[1:]]
        for user in users[1:]:
            user.state = "ENDED"
        await meta.graph.tell(*ends, status_value(users[0], "DELIVERED"))

        async def one_rings() -> bool:
            return len(await meta.client.calls()) == 1

        await until_answer(one_rings)
        [left] = await meta.client.calls()
        assert left["peer"].startswith(OTHERS[0])


@pytest.mark.parametrize(
    "missing",
    [{"from": None}, {"direction": None}, {"timestamp": None}, {"to": None},
     {"from": None, "from_user_id": "US.1122"}],
    ids=lambda fields: " ".join(fields),
)  # fmt: skip
async def test_a_call_rings_whatever_is_not_told_of_it(missing):
    async with world() as meta:
        user, call_id = await ringing(meta, **missing)
        await answered(meta, call_id)
        assert user.actions == ["pre_accept", "accept"]


# A telephone that rings although `connect` failed for us


async def test_a_telephone_that_rings_after_connect_had_no_answer_is_hung_up():
    async with world() as meta:
        meta.graph.slow_seconds["connect"] = 25.0
        answer = await meta.client.post("/call/dial", {"phone": USER})
        assert answer.status == 502
        user = meta.graph.last
        await until(lambda: user.state == "ENDED")
        assert user.actions == ["terminate"]
        assert await meta.client.calls() == []
        assert not meta.client.bridge.lines.cloud.calls
        await meta.graph.tell_status(user, "ACCEPTED")
        await asyncio.sleep(0.05)
        assert user.actions == ["terminate"]


async def test_a_call_is_listed_while_meta_is_asked_and_can_be_hung_up():
    async with world() as meta:
        meta.graph.slow_seconds["connect"] = 0.5
        asked = asyncio.create_task(meta.client.post("/call/dial", {"phone": USER}))
        call = await meta.call()
        assert (call["state"], call["direction"]) == ("calling", "outbound")
        await meta.client.data("/call/hangup", {"callId": call["callId"]})
        answer = await asked
        assert (answer.status, (await answer.json())["callId"]) == (502, call["callId"])
        await until(lambda: meta.graph.calls and meta.graph.last.state == "ENDED")
        assert meta.graph.last.actions == ["terminate"]


async def test_the_person_can_be_rung_again_after_that():
    async with world() as meta:
        meta.graph.slow_seconds["connect"] = 25.0
        await meta.client.post("/call/dial", {"phone": USER})
        await until(lambda: meta.graph.last.state == "ENDED")
        meta.graph.slow_seconds.clear()
        call_id = await meta.client.dial(USER)
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        assert meta.graph.last.actions == []


async def test_no_sound_leaves_while_meta_takes_its_time_to_accept():
    async with world() as meta:
        meta.graph.slow_seconds["accept"] = 0.4
        user, call_id = await ringing(meta)
        await user.media.wait_connected()
        await meta.client.data("/call/answer", {"callId": call_id})
        await user.media.wait_heard(0.2)
        assert user.media.early_packets == []

"""What browsers say about their own legs, and what they may not say."""

import asyncio

import pytest

from bridge.api.calls.report import MAX_BYTES
from bridge.call.model import CallId
from bridge.settings.model import Line
from tests.support.forwarding import data, dial, post
from tests.support.inprocess import running, settings, with_limits
from tests.support.packets.offers import ANSWERABLE, offer
from tests.support.sampling import sample_calls
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until

ECHO, NEVER = "15550100001", "15550100003"
OFFER = offer(ANSWERABLE[0])
FULL = {
    "microphone": {"state": "live", "levelDbov": -31.5, "filtered": True},
    "speaker": {"state": "playing"},
    "candidateTypes": ["host", "srflx"],
    "selectedPair": {"local": "relay", "remote": "host", "protocol": "tcp"},
    "iceState": "checking",
    "dtlsState": "new",
    "turnError": 401,
    "jitterBufferMs": 42.5,
    "concealedRatio": 0.01,
    "outputDevice": "default",
    "hidden": False,
}


async def join(client, call_id, **headers):
    sent = {"headers": headers} if headers else {}
    response = await client.post("/call/webrtc/offer", {"callID": call_id, "sdp": OFFER}, **sent)
    assert response.status == 200, await response.text()
    return (await response.json())["legID"]


async def report(client, call_id, leg_id, body, **headers):
    sent = {"headers": headers} if headers else {}
    return await client.post(f"/call/{call_id}/report", {"legID": leg_id} | body, **sent)


async def refused(response, status, field=None):
    body = await response.json()
    assert (response.status, body.get("field")) == (status, field), body


async def counted(client, outcome):
    return await client.total(f'bridge_client_reports_total{{outcome="{outcome}"')


async def ticket(client, call_id, **wanted):
    return (await client.data(f"/call/{call_id}/ticket", wanted))["ticket"]


@pytest.fixture
async def call_id(client):
    return await client.dial(NEVER)


@pytest.fixture
async def leg_id(client, call_id):
    return await join(client, call_id)


def pulse(client):
    sample_calls(client.bridge.manager, asyncio.get_running_loop().time())


async def codes(client, call_id):
    pulse(client)
    found = (await (await client.get(f"/call/{call_id}/diagnosis")).json())["data"]
    return [problem["code"] for problem in found["problems"]]


async def test_what_a_browser_says_is_in_the_diagnosis_of_its_call(client, call_id, leg_id):
    assert (await report(client, call_id, leg_id, FULL)).status == 200
    pulse(client)
    found = (await (await client.get(f"/call/{call_id}/diagnosis")).json())["data"]
    (problem,) = found["problems"]
    assert (problem["code"], problem["legID"]) == ("turn_refused", leg_id)
    assert (
        problem["evidence"].items()
        >= {
            "errorCode": 401,
            "clientIce": "checking",
            "clientDtls": "new",
            "clientPath": "relay over tcp",
            "turnError": 401,
            "jitterBufferMs": 42.5,
        }.items()
    )


async def test_a_report_counts_until_the_next_one(client, call_id, leg_id):
    await report(client, call_id, leg_id, {"turnError": 401})
    await report(client, call_id, leg_id, {})
    assert await codes(client, call_id) == []


async def test_a_report_that_is_not_repeated_is_forgotten(client, call_id, leg_id):
    await report(client, call_id, leg_id, {"microphone": {"state": "live"}, "turnError": 401})
    found = client.bridge.manager.diagnoses.find(call_id)
    later = asyncio.get_running_loop().time() + 16
    sample_calls(client.bridge.manager, later)
    assert "turn_refused" not in [problem.code for problem in found.diagnosis.open]


async def test_what_a_browser_said_goes_with_its_leg(client, call_id, leg_id):
    await report(client, call_id, leg_id, FULL)
    found = client.bridge.manager.diagnoses.find(call_id)
    assert list(found.reports) == [leg_id]
    await client.post("/call/webrtc/close", {"callID": call_id, "legID": leg_id})
    assert found.reports == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"microphone": {"state": "loud"}}, "state"),
        ({"microphone": {"state": "live", "levelDbov": 3}}, "levelDbov"),
        ({"microphone": {"state": "live", "levelDbov": "NaN"}}, "levelDbov"),
        ({"microphone": "live"}, "microphone"),
        ({"speaker": {}}, "state"),
        ({"candidateTypes": ["host", "moon"]}, "candidateTypes"),
        ({"candidateTypes": ["host"] * 5}, "candidateTypes"),
        ({"selectedPair": {"local": "host", "remote": "<b>"}}, "remote"),
        ({"iceState": "warm"}, "iceState"),
        ({"dtlsState": "completed"}, "dtlsState"),
        ({"turnError": 200}, "turnError"),
        ({"jitterBufferMs": -1}, "jitterBufferMs"),
        ({"concealedRatio": 1.5}, "concealedRatio"),
        ({"outputDevice": "hdmi"}, "outputDevice"),
        ({"hidden": "yes"}, "hidden"),
    ],
)
async def test_an_unknown_word_or_a_number_out_of_bounds_is_a_400_that_names_the_field(
    client, call_id, leg_id, body, field
):
    await refused(await report(client, call_id, leg_id, body), 400, field)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_what_is_no_number_is_a_400(client, call_id, leg_id, number):
    body = f'{{"legID": "{leg_id}", "concealedRatio": {number}}}'
    response = await client.http.post(
        f"/call/{call_id}/report", data=body, headers={"token": "demo"}
    )
    assert response.status == 400


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 1_000_000])
async def test_a_report_of_more_than_4_kb_is_a_413(client, call_id, leg_id, size):
    await refused(await report(client, call_id, leg_id, {"more": "x" * size}), 413)


async def test_more_than_two_reports_a_second_are_refused_and_counted(client, call_id, leg_id):
    answers = await asyncio.gather(*(report(client, call_id, leg_id, {}) for _ in range(10)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) + statuses.count(429) == 10
    assert await counted(client, "taken") == statuses.count(200)
    assert await counted(client, "too_many") == statuses.count(429) > 0


async def test_a_ticket_reports_about_its_own_leg(client, call_id):
    own = await ticket(client, call_id)
    leg_id = await join(client, call_id, token=own)
    assert (await report(client, call_id, leg_id, {}, token=own)).status == 200


async def test_a_ticket_does_not_report_about_the_leg_of_another(client, call_id):
    leg_id = await join(client, call_id, token=await ticket(client, call_id, identity="ann"))
    other = await ticket(client, call_id, identity="bob")
    await refused(await report(client, call_id, leg_id, FULL, token=other), 403)
    assert await codes(client, call_id) == []
    assert await counted(client, "refused") == 1


async def test_a_ticket_does_not_report_about_another_call(client, call_id, leg_id):
    other = await ticket(client, await client.dial(NEVER))
    await refused(await report(client, call_id, leg_id, FULL, token=other), 403)


async def test_a_leg_that_is_not_in_the_call_is_a_404(client, call_id, leg_id):
    await refused(await report(client, call_id, "leg_other", {}), 404)


async def test_the_far_partys_leg_at_its_provider_takes_no_report(client):
    call_id = await client.dial(ECHO)
    await until(lambda: client.bridge.manager.running(call_id).machine.state == "active")
    (far,) = client.bridge.manager.running(call_id).legs()
    await refused(await report(client, call_id, far.leg_id, {}), 404)


async def test_a_report_about_a_call_that_has_ended_is_a_404(client, call_id, leg_id):
    await client.data("/call/hangup", {"callId": call_id})
    await refused(await report(client, call_id, leg_id, {}), 404)


async def test_a_key_does_not_report_about_the_calls_of_another_line():
    lines = {"one": Line(keys=["key-one"]), "two": Line(keys=["key-two"])}
    async with running(settings(lines=lines)) as client:
        one = {"headers": {"token": "key-one"}}
        response = await client.post("/call/dial", {"phone": NEVER}, **one)
        call_id = (await response.json())["data"]["callId"]
        leg_id = await join(client, call_id, token="key-one")
        await refused(await report(client, call_id, leg_id, {}, token="key-two"), 404)


async def test_reports_do_not_use_up_the_rate_limit_of_tickets():
    async with running(with_limits(requests_per_minute=5)) as client:
        call_id = await client.dial(NEVER)
        own = await ticket(client, call_id)
        leg_id = await join(client, call_id, token=own)
        for _ in range(10):
            await report(client, call_id, leg_id, {}, token=own)
        response = await client.get("/call/webrtc/config", headers={"token": own})
        assert response.status == 200


async def test_a_report_reaches_its_call_through_another_node():
    async with two_nodes(with_limits(requests_per_minute=9)) as (first, second):
        call_id = await dial(second)
        response = await post(first, "/call/webrtc/offer", {"callID": call_id, "sdp": OFFER})
        leg_id = (await response.json())["legID"]
        await data(first, f"/call/{call_id}/report", {"legID": leg_id} | FULL)
        sample_calls(second.bridge.manager, asyncio.get_running_loop().time())
        found = second.bridge.manager.diagnoses.find(CallId(call_id))
        assert found is not None
        assert [problem.code for problem in found.diagnosis.open] == ["turn_refused"]

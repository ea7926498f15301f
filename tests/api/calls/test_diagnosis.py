"""Why a call has no audio, as `/call/{callId}/diagnosis` and the events say it."""

import asyncio

import pytest

from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.problems import RULES, Code
from bridge.call.model import CallId
from bridge.settings.model import Line
from bridge.wire.call_event import CallEvent
from bridge.wire.call_id import chirp, wavix
from tests.support.inprocess import running, settings, with_limits
from tests.support.sampling import sample_calls
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"


async def pulses(client, count, *, first=0):
    """Let seconds pass for the figures, in no time."""
    now = asyncio.get_running_loop().time()
    for second in range(first, first + count):
        sample_calls(client.bridge.manager, now + second)


async def diagnosis(client, call_id, *, ticket="demo"):
    response = await client.get(f"/call/{call_id}/diagnosis", headers={"token": ticket})
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def answered(client, number):
    call_id = await client.dial(number)
    await until(lambda: client.bridge.manager.running(call_id).machine.state == "active")
    return call_id


async def issue(client, call_id, party):
    return (await client.data(f"/call/{call_id}/ticket", {"party": party}))["ticket"]


async def test_a_call_that_nobody_joined_says_so_with_its_mend(client):
    call_id = await answered(client, ECHO)
    await pulses(client, 7)
    found = await diagnosis(client, call_id)
    assert (found["callId"], found["state"], found["verdict"]) == (call_id, "active", "problem")
    (problem,) = found["problems"]
    rule = RULES[Code.NOBODY_JOINED]
    assert problem["code"] == "nobody_joined"
    assert (problem["hop"], problem["severity"], problem["legID"]) == ("bridge", "broken", None)
    assert (problem["summary"], problem["fix"]) == (rule.summary, rule.fix)
    assert found["summary"] == rule.summary
    assert problem["docs"].endswith("#nobody_joined")
    assert problem["until"] is None
    assert {"hop": "bridge", "legID": None, "state": "broken"} in found["hops"]


async def test_a_new_call_is_watched(client):
    call_id = await client.dial(ECHO)
    found = await diagnosis(client, call_id)
    assert (found["verdict"], found["problems"]) == ("watching", [])


async def test_what_was_wrong_is_said_after_the_end(client):
    call_id = await answered(client, ECHO)
    await pulses(client, 7)
    await client.data("/call/hangup", {"callId": call_id})
    found = await diagnosis(client, call_id)
    assert (found["state"], found["verdict"]) == ("ended", "problem")
    assert [problem["until"] is None for problem in found["problems"]] == [False]


async def test_a_problem_is_an_event(client):
    await answered(client, ECHO)
    events: list[CallEvent] = []
    client.bridge.manager.publisher.subscribe(events.append)
    await pulses(client, 7)
    (event,) = [event for event in events if event.type == "call.problem"]
    assert event.data["code"] == "nobody_joined"
    assert event.data.keys() == {"code", "hop", "legID", "severity", "summary", "fix"}


async def test_an_unknown_call_has_none(client):
    response = await client.get(f"/call/{'0' * 32}/diagnosis")
    assert response.status == 404


async def test_the_call_of_another_line_has_none():
    lines = {"demo": Line(keys=["demo"]), "other": Line(keys=["other"])}
    async with running(settings(lines=lines)) as client:
        call_id = await client.dial(ECHO)
        path = f"/call/{call_id}/diagnosis"
        assert (await client.get(path, headers={"token": "other"})).status == 404
        assert (await client.get(path)).status == 200
        assert (await client.get(path, headers={})).status == 401


@pytest.mark.parametrize("form", [chirp, wavix])
async def test_every_form_of_a_calls_id_finds_it(client, form):
    call_id = await client.dial(ECHO)
    assert (await diagnosis(client, form(call_id)))["callId"] == call_id


async def test_head_is_answered_without_a_body(client):
    call_id = await client.dial(ECHO)
    response = await client.http.head(f"/call/{call_id}/diagnosis", headers={"token": "demo"})
    assert (response.status, await response.read()) == (200, b"")


async def test_problems_are_counted(client):
    await answered(client, ECHO)
    await pulses(client, 7)
    assert await client.total('bridge_call_problems_total{code="nobody_joined"') == 1
    assert await client.total('bridge_call_problems{code="nobody_joined"') == 1
    assert await client.total('bridge_call_hop_problems{hop="bridge",severity="broken"') == 1


async def test_the_diagnosis_of_a_call_goes_with_its_record(client):
    call_id = await answered(client, ECHO)
    await client.data("/call/hangup", {"callId": call_id})
    later = asyncio.get_running_loop().time() + 1e6
    sample_calls(client.bridge.manager, later)
    assert client.bridge.manager.diagnoses.find(CallId(call_id)) is None


# Tickets


@pytest.fixture
async def silent_call(client):
    """A call with a problem of the far party, one of a stream and one of an agent."""
    call_id = await answered(client, ECHO)
    await pulses(client, 1)
    manager = client.bridge.manager
    (far,) = manager.running(CallId(call_id)).figures()
    diagnosis, now = manager.diagnoses.find(CallId(call_id)).diagnosis, 1e6
    diagnosis.report(Finding(Code.FAR_SILENT, far.leg_id, {"levelDbov": -90.5}), now)
    diagnosis.report(Finding(Code.STREAM_UNREACHABLE, None, {"reason": "blocked"}), now)
    failed = {"step": "llm", "reason": "timeout"}
    diagnosis.report(Finding(Code.AGENT_PROVIDER_FAILED, None, failed), now)
    return call_id


def by_code(found):
    return {problem["code"]: problem for problem in found["problems"]}


async def test_a_key_sees_all_evidence(client, silent_call):
    seen = by_code(await diagnosis(client, silent_call))
    assert seen["far_silent"]["evidence"] == {"levelDbov": -90.5}
    assert seen["stream_unreachable"]["evidence"] == {"reason": "blocked"}


async def test_a_near_ticket_sees_what_is_wrong_without_others_evidence(client, silent_call):
    ticket = await issue(client, silent_call, "near")
    seen = by_code(await diagnosis(client, silent_call, ticket=ticket))
    assert seen["far_silent"]["evidence"] == {}
    assert seen["agent_provider_failed"]["evidence"] == {}
    assert "stream_unreachable" not in seen


async def test_a_far_ticket_sees_its_own_legs_only(client, silent_call):
    ticket = await issue(client, silent_call, "far")
    found = await diagnosis(client, silent_call, ticket=ticket)
    (problem,) = found["problems"]
    assert (problem["code"], problem["summary"]) == ("far_silent", found["summary"])
    assert problem["evidence"] == {"levelDbov": -90.5}
    assert {hop["legID"] for hop in found["hops"]} == {problem["legID"]}


async def test_a_far_ticket_is_not_told_of_the_near_sides_problems(client):
    call_id = await answered(client, ECHO)
    await pulses(client, 7)
    found = await diagnosis(client, call_id, ticket=await issue(client, call_id, "far"))
    assert (found["problems"], found["verdict"]) == ([], "ok")


async def test_a_ticket_of_another_call_is_refused(client):
    calls = [await client.dial(ECHO) for _ in range(2)]
    ticket = await issue(client, calls[0], "near")
    path = f"/call/{calls[1]}/diagnosis"
    assert (await client.get(path, headers={"token": ticket})).status == 403


async def test_a_ticket_sees_nothing_after_the_end(client):
    call_id = await client.dial(ECHO)
    ticket = await issue(client, call_id, "near")
    await client.data("/call/hangup", {"callId": call_id})
    path = f"/call/{call_id}/diagnosis"
    assert (await client.get(path, headers={"token": ticket})).status == 401


async def test_nothing_is_kept_of_a_call_whose_record_is_not():
    async with running(with_limits(ended_per_line=0)) as client:
        call_id = await answered(client, ECHO)
        await pulses(client, 7)
        await client.data("/call/hangup", {"callId": call_id})
        assert client.bridge.manager.diagnoses.find(CallId(call_id)) is None

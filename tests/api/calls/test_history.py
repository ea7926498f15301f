"""The history of calls: listed, searched, shown, written as CSV, and erased."""

import asyncio
import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.call.model import CallId, LineName
from bridge.call.record.ended_call import CallReport
from bridge.settings.model import Data, Net
from bridge.wire.call_id import native
from tests.call.record.test_ended_call import RECORD
from tests.support.inprocess import KEY, running, settings
from tests.support.sampling import sample_calls
from tests.support.servers.receiver import receiving
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, TALKS, BUSY = "15550100001", "15550100002", "15550100004"


async def calls(client, **query):
    response = await client.get("/calls", params=query)
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def listed(client, **query):
    return [call["callId"] for call in (await calls(client, **query))["calls"]]


async def detail(client, call_id):
    response = await client.get(f"/calls/{call_id}")
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def answered(client, number=ECHO):
    call_id = await client.dial(number)
    await client.until_state(call_id, "active")
    return call_id


async def ended(client, number=ECHO):
    call_id = await answered(client, number)
    await client.data("/call/hangup", {"callId": call_id})
    return call_id


async def test_live_and_ended_calls_are_listed_newest_first(client):
    first, second = await ended(client), await answered(client)
    assert await listed(client) == [second, first]
    assert await listed(client, state="ended") == [first]
    assert await listed(client, state="active") == [second]


async def test_a_call_says_who_when_and_how_it_ended(client):
    call_id = await ended(client)
    [call] = (await calls(client))["calls"]
    assert (call["callId"], call["line"], call["state"]) == (call_id, "demo", "ended")
    assert (call["from"], call["to"]) == ("+15550109000", f"+{ECHO}")
    assert (call["direction"], call["endedBy"], call["reason"]) == ("outbound", "near", "hangup")
    assert call["startedAt"] <= call["answeredAt"] <= call["endedAt"]


async def test_pages_follow_each_other_while_calls_come(client):
    old, middle = await ended(client), await ended(client)
    new = await answered(client)
    page = await calls(client, limit=1)
    assert [call["callId"] for call in page["calls"]] == [new]
    await answered(client)
    page = await calls(client, limit=1, cursor=page["nextCursor"])
    assert [call["callId"] for call in page["calls"]] == [middle]
    page = await calls(client, limit=5, cursor=page["nextCursor"])
    assert [call["callId"] for call in page["calls"]] == [old]
    assert page["nextCursor"] is None


async def test_calls_are_searched(client):
    echo, talks = await ended(client, ECHO), await ended(client, TALKS)
    assert await listed(client, to=f"+{ECHO}") == [echo]
    assert await listed(client, to=f"{TALKS}@s.whatsapp.net") == [talks]
    assert await listed(client, q="0100002") == [talks]
    assert await listed(client, q=echo) == [echo]
    assert await listed(client, reason="busy") == []
    assert await listed(client, direction="inbound") == []
    assert await listed(client, since="2020-01-01T00:00:00Z", until="2020-01-02") == []
    assert await listed(client, since="2020-01-01T00:00:00+02:00") == [talks, echo]


async def test_calls_are_found_by_their_problem(client):
    call_id = await answered(client)
    await ended(client)
    now = asyncio.get_running_loop().time()
    for second in range(7):
        sample_calls(client.bridge.manager, now + second)
    assert await listed(client, problem="nobody_joined") == [call_id]
    await client.data("/call/hangup", {"callId": call_id})
    assert await listed(client, problem="nobody_joined") == [call_id]


async def test_a_refused_dial_is_in_the_history(client):
    response = await client.post("/call/dial", {"phone": "15550100006"})
    call_id = (await response.json()).get("callId")
    if call_id is None:
        call_id = (await response.json())["data"]["callId"]
    await client.until_state(call_id, "gone")
    assert (await detail(client, call_id))["reason"] == "unreachable"


WRONG = [
    ("since", "yesterday"),
    ("since", "nan"),
    ("until", "2026-13-01"),
    ("direction", "sideways"),
    ("state", "over"),
    ("reason", "boredom"),
    ("problem", "noise"),
    ("max_mos", "nan"),
    ("max_mos", "0"),
    ("max_mos", "good"),
    ("cursor", "1_2"),
    ("cursor", "' OR 1=1"),
    ("limit", "0"),
    ("limit", "501"),
    ("limit", "1e2"),
    ("format", "xml"),
    ("q", "x" * 129),
    ("from", "x" * 129),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_a_wrong_filter_is_named(client, name, value):
    response = await client.get("/calls", params={name: value})
    assert response.status == 400
    assert (await response.json())["field"] == name


async def test_a_call_is_shown_with_everything_known_of_it(client):
    call_id = await answered(client, TALKS)
    now = asyncio.get_running_loop().time()
    for second in range(7):
        sample_calls(client.bridge.manager, now + second)
    await client.data("/call/record/start", {"callId": call_id})
    live = await detail(client, call_id)
    assert (live["state"], live["verdict"]) == ("active", "problem")
    assert [leg["legID"] for leg in live["timeline"]]
    await client.data("/call/hangup", {"callId": call_id})
    over = await detail(client, call_id)
    assert {track["kind"] for track in over["recordings"]} == {"inbound", "outbound", "mixed"}
    assert over["problems"][0]["code"] == "nobody_joined"
    assert over["timeline"][0]["at"] == live["timeline"][0]["at"]
    assert {leg["kind"] for leg in over["legs"]} == {"simulator", "recorder"}
    assert over["metadata"] is None
    far = next(leg for leg in over["legs"] if leg["party"] == "far")
    assert far["joinedAt"] == pytest.approx(0.0, abs=0.1)
    assert far["leftAt"] >= far["joinedAt"]


async def test_an_unknown_call_is_404(client):
    for method in ("GET", "DELETE"):
        response = await client.http.request(method, f"/calls/{'0' * 32}", headers=KEY)
        assert response.status == 404


async def test_diagnosis_and_quality_come_from_the_record_once_the_memory_has_forgotten(client):
    call_id = await answered(client)
    now = asyncio.get_running_loop().time()
    for second in range(7):
        sample_calls(client.bridge.manager, now + second)
    await client.data("/call/hangup", {"callId": call_id})
    sample_calls(client.bridge.manager, now + 4000)
    quality = await client.quality(call_id)
    assert quality["endReason"] == "hangup"
    assert len(quality["timeline"][0]["at"]) >= 6  # the bridge samples once a second by itself, too
    found = await (await client.get(f"/call/{call_id}/diagnosis")).json()
    assert [problem["code"] for problem in found["data"]["problems"]] == ["nobody_joined"]


async def test_ended_calls_survive_a_restart(tmp_path):
    chosen = settings(data=Data(dir=str(tmp_path)))
    async with running(chosen) as client:
        call_id = await ended(client)
        before = await detail(client, call_id)
    async with running(chosen) as client:
        assert await listed(client) == [call_id]
        assert await detail(client, call_id) == before
        assert (await client.quality(call_id))["endReason"] == "hangup"


async def test_any_node_answers_for_calls_of_one_that_is_gone(client):
    call_id = "7F" + "0" * 30
    facts = replace(RECORD.facts, call_id=CallId(call_id), line=LineName("demo"))
    client.bridge.records.history.keep(CallReport(replace(RECORD, facts=facts)), ())
    assert await until_answer(lambda: listed(client)) == [call_id]  # once it is written
    assert (await detail(client, call_id))["reason"] == "hangup"
    chirp = await (await client.get("/v1/calls")).json()
    assert (chirp["totalCount"], chirp["data"][0]["status"]) == (1, "completed")
    wadial = await (await client.get("/api/v1/sessions/demo/calls")).json()
    assert len(wadial["data"]) == 1
    response = await client.http.delete(f"/calls/{call_id}", headers=KEY)
    assert response.status == 200
    assert await listed(client) == []


async def test_a_line_sees_its_own_calls_only(client):
    facts = replace(RECORD.facts, line=LineName("other"))
    client.bridge.records.history.keep(CallReport(replace(RECORD, facts=facts)), ())
    assert await listed(client) == []
    for path in ("/calls/{}", "/call/{}/quality", "/call/{}/diagnosis", "/v1/calls/{}"):
        assert (await client.get(path.format(facts.call_id))).status == 404
    response = await client.http.delete(f"/calls/{facts.call_id}", headers=KEY)
    assert response.status == 404


async def test_csv_has_a_row_for_each_call(client):
    first, second = await ended(client), await answered(client)
    response = await client.get("/calls", params={"format": "csv"})
    assert response.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [row["callId"] for row in rows] == [second, first]
    assert rows[0]["to"] == ECHO


async def test_a_tag_in_csv_is_no_formula(client):
    call_id = await answered(client)
    client.bridge.manager.live(LineName("demo"), call_id).tag("=1+1")
    response = await client.get("/calls", params={"format": "csv"})
    [row] = csv.DictReader(io.StringIO(await response.text()))
    assert row["tag"] == "'=1+1"


async def test_a_live_call_is_not_erased(client):
    call_id = await answered(client)
    response = await client.http.delete(f"/calls/{call_id}", headers=KEY)
    assert response.status == 409


async def test_erasing_leaves_nothing_of_a_call(tmp_path):
    async with running(settings(data=Data(dir=str(tmp_path)))) as client:
        call_id = await answered(client, TALKS)
        kept = await ended(client, ECHO)
        client.bridge.manager.live(LineName("demo"), call_id).tag("a very personal tag")
        await client.data("/call/record/start", {"callId": call_id})
        await client.data("/call/hangup", {"callId": call_id})
        await client.data("/call/record/stop", {"callId": call_id})
        await until(lambda: written(tmp_path, b"a very personal tag"))
        assert files(tmp_path, call_id)

        async def erased():
            response = await client.http.delete(f"/calls/{call_id}", headers=KEY)
            return response.status == 200

        await until_true(erased)
        assert (await client.get(f"/calls/{call_id}")).status == 404
        assert (await client.get(f"/call/{call_id}/quality")).status == 404
        assert await listed(client) == [kept]
        assert not files(tmp_path, call_id)
        for text in (call_id.encode(), TALKS.encode(), b"a very personal tag"):
            assert written(tmp_path, text) == [], text


async def test_erasing_a_call_takes_its_undelivered_webhooks(tmp_path):
    chosen = settings(data=Data(dir=str(tmp_path)), net=Net(allow=["127.0.0.0/8"]))
    async with running(chosen) as client, receiving() as hook:
        hook.answer = lambda taken: 500
        order = {"from": "15550109000", "to": ECHO, "callback_url": hook.url}
        call = await (await client.post("/v1/call", order)).json()
        call_id = str(native(call["uuid"]))
        await client.until_state(call_id, "active")
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: hook.refused)
        assert await waiting(client, call_id)
        response = await client.http.delete(f"/calls/{call_id}", headers=KEY)
        assert response.status == 200
        assert not await waiting(client, call_id)
        assert not written(tmp_path, hook.url.encode())


async def waiting(client, call_id):
    """How many deliveries of a call's events there are."""
    query = "SELECT count(*) FROM deliveries WHERE instr(lane, ?)"
    [count] = await client.bridge.events.database.run(
        lambda db: db.execute(query, (call_id,)).fetchone()
    )
    return count


async def until_true(question):
    for _ in range(100):
        if await question():
            return
        await asyncio.sleep(0.05)
    raise AssertionError


def files(folder: Path, call_id: str) -> list[Path]:
    return list(folder.rglob(f"*{call_id}*"))


def written(folder: Path, text: bytes) -> list[Path]:
    """The files that have a text anywhere: databases, their logs, recordings."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if text in path.read_bytes()]

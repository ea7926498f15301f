"""The console: who may open it, what it shows of all lines, and hanging up."""

import csv
import io
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from bridge.api.operations.console import setup_steps
from bridge.call.setup_timings import SetupTimings
from bridge.errors import SettingsError
from bridge.node.console.live_table import MAX_WATCHERS
from bridge.settings.http import Console
from bridge.settings.model import Http, Line, check
from tests.support.clients.event_stream import EventStream
from tests.support.inprocess import running, settings
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until_answer

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"
CONSOLE = {"token": "the-key-of-the-console"}
SALES, SHOP = {"token": "sales-1"}, {"token": "shop-1"}
PATHS = [
    ("GET", "/console/api/live"),
    ("GET", "/console/api/calls"),
    ("GET", f"/console/api/calls/{'0' * 32}"),
    ("GET", f"/console/api/calls/{'0' * 32}/live"),
    ("POST", f"/console/api/calls/{'0' * 32}/hangup"),
]


def chosen(**changed):
    lines = {"sales": Line(keys=["sales-1"]), "shop": Line(keys=["shop-1"])}
    return settings(lines=lines, console=Console(keys=[CONSOLE["token"]]), **changed)


@pytest.fixture
async def client():
    async with running(chosen()) as client:
        yield client


async def dial(client, headers, number=ECHO):
    response = await client.post("/call/dial", {"phone": number}, headers=headers)
    return (await response.json())["data"]["callId"]


@asynccontextmanager
async def watching(client, path="/console/api/live", headers=CONSOLE):
    response = await client.get(path, headers=headers)
    assert response.status == 200, await response.text()
    try:
        yield EventStream(response)
    finally:
        response.close()


async def details(client, call_id, query=""):
    response = await client.get(f"/console/api/calls/{call_id}{query}", headers=CONSOLE)
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"token": "wrong"}, 401), (SALES, 403)]
)
async def test_nobody_but_an_operator_opens_the_console(client, headers, status):
    for method, path in PATHS:
        response = await client.http.request(method, path, headers=headers)
        assert response.status == status, path


async def test_the_key_of_the_console_opens_nothing_else(client):
    for path in ("/call/status", "/events", "/admin/lines"):
        assert (await client.get(path, headers=CONSOLE)).status in {403, 404}, path


async def test_without_keys_there_is_no_console():
    async with running(settings(lines={"sales": Line(keys=["sales-1"])})) as client:
        for headers, status in (({}, 401), (SALES, 404)):
            assert (await client.get("/console/api/live", headers=headers)).status == status


async def test_the_demonstration_needs_the_token_of_its_start_from_its_own_page():
    async with running() as client:
        call_id = await client.dial(ECHO)
        path = f"/console/api/calls/{call_id}"
        assert (await client.get(path)).status == 401
        assert (await client.get(path, headers=client.local)).status == 200
        elsewhere = client.local | {"Origin": "https://elsewhere.example"}
        assert (await client.get(path, headers=elsewhere)).status == 403
        assert (await client.http.post(f"{path}/hangup", headers=elsewhere)).status == 403


async def test_a_console_sees_the_calls_of_all_lines_and_then_what_changes(client):
    first = await dial(client, SALES)
    async with watching(client) as stream:
        table = await stream.next()
        assert table["all"]
        assert {line["line"] for line in table["lines"]} == {"sales", "shop"}
        assert sum(node["calls"] for node in table["nodes"]) == 1
        [row] = table["calls"]
        assert (row["callId"], row["line"], row["to"]) == (first, "sales", f"+{ECHO}")
        second = await dial(client, SHOP)
        rows: dict[str, Any] = {}
        while second not in rows:
            change = await stream.next()
            assert "all" not in change
            rows |= {row["callId"]: row for row in change.get("calls", [])}
        assert rows[second]["line"] == "shop"
        # Of a known call only the fields that have changed come.
        assert "line" not in rows.get(first, {})
        await client.post("/call/hangup", {"callId": first}, headers=SALES)
        gone: list[str] = []
        while first not in gone:
            gone = (await stream.next()).get("gone", [])


async def test_no_secret_is_in_what_a_console_gets(client):
    await dial(client, SALES)
    async with watching(client) as stream:
        text = json.dumps(await stream.next())
    for secret in (CONSOLE, SALES, SHOP):
        assert secret["token"] not in text


async def test_a_node_serves_so_many_consoles(client):
    async with AsyncExitStack() as stack:
        for _ in range(MAX_WATCHERS):
            await stack.enter_async_context(watching(client))
        refused = await client.get("/console/api/live", headers=CONSOLE)
        assert (refused.status, "Retry-After" in refused.headers) == (503, True)


async def test_one_call_has_its_parties_diagnosis_figures_and_events(client):
    call_id = await dial(client, SHOP)
    found = await details(client, call_id)
    assert (found["call"]["line"], found["call"]["to"]) == ("shop", f"+{ECHO}")
    assert found["diagnosis"]["verdict"] == "watching"
    assert found["quality"]["callId"] == call_id
    assert list(found["setup"].values()) == [{}]  # a simulated contact has no set-up
    assert "call.initiated" in [event["type"] for event in found["events"]]
    assert [event["number"] for event in found["events"]] == sorted(
        event["number"] for event in found["events"]
    )
    last = found["events"][-1]["number"]
    assert (await details(client, call_id, f"?after={last}"))["events"] == []


def test_only_the_steps_of_a_set_up_that_were_done_are_told():
    assert setup_steps(SetupTimings(offer=0.0, ice=0.31249)) == {"offer": 0.0, "ice": 0.312}
    assert setup_steps(None) == {}


async def test_digits_are_not_among_the_events_of_a_call(client):
    call_id = await dial(client, SALES)

    async def active():
        return (await details(client, call_id))["call"]["state"] == "active"

    await until_answer(active)
    sent = await client.post("/call/dtmf", {"callId": call_id, "digits": "4711"}, headers=SALES)
    assert sent.status == 200
    found = await details(client, call_id)
    assert "4711" not in json.dumps(found)


async def test_one_call_is_followed_until_its_end(client):
    call_id = await dial(client, SALES)
    async with watching(client, f"/console/api/calls/{call_id}/live") as stream:
        first = await stream.next()
        assert first["call"]["reason"] is None
        ended = await client.http.post(f"/console/api/calls/{call_id}/hangup", headers=CONSOLE)
        assert ended.status == 200, await ended.text()
        rest = await stream.rest()
    assert rest[-1]["call"]["reason"] in {"hangup", "canceled"}
    numbers = [event["number"] for message in [first, *rest] for event in message["events"]]
    assert numbers == sorted(set(numbers))
    assert (await details(client, call_id))["call"]["state"] == "ended"


async def test_the_history_has_the_calls_of_all_lines(client):
    ids = [await dial(client, headers) for headers in (SALES, SHOP)]
    await client.http.post(f"/console/api/calls/{ids[0]}/hangup", headers=CONSOLE)
    response = await client.get("/console/api/calls", headers=CONSOLE)
    assert response.status == 200
    listed = (await response.json())["data"]["calls"]
    assert [(call["callId"], call["line"]) for call in listed] == [
        (ids[1], "shop"),
        (ids[0], "sales"),
    ]
    response = await client.get("/console/api/calls?format=csv", headers=CONSOLE)
    rows = csv.DictReader(io.StringIO(await response.text()))
    assert [row["callId"] for row in rows] == ids[::-1]
    assert (await client.get("/console/api/calls?limit=0", headers=CONSOLE)).status == 400


async def test_hanging_up_is_logged_with_the_id_of_the_key(client, caplog):
    call_id = await dial(client, SALES)
    with caplog.at_level("INFO"):
        await client.http.post(f"/console/api/calls/{call_id}/hangup", headers=CONSOLE)
    assert "console.hangup" in caplog.text
    assert CONSOLE["token"] not in caplog.text


async def test_an_ended_call_cannot_be_hung_up_again(client):
    call_id = await dial(client, SALES)
    path = f"/console/api/calls/{call_id}/hangup"
    assert (await client.http.post(path, headers=CONSOLE)).status == 200
    assert (await client.http.post(path, headers=CONSOLE)).status == 409


async def test_an_unknown_call_is_a_404(client):
    for method, path in PATHS[2:]:
        response = await client.http.request(method, path, headers=CONSOLE)
        assert response.status == 404, path


@pytest.mark.parametrize("query", ["since=-1", "since=NaN", "after=x", "after=-1"])
async def test_a_part_that_cannot_be_is_a_400(client, query):
    response = await client.get(f"{PATHS[2][1]}?{query}", headers=CONSOLE)
    assert response.status == 400


async def test_keys_of_a_console_that_others_can_reach_are_long():
    short = msgspec.structs.replace(
        chosen(), console=Console(keys=["short"]), http=Http(host="0.0.0.0")
    )
    with pytest.raises(SettingsError, match="a key has fewer than 20"):
        check(short)


async def test_the_page_of_the_console_runs_no_script_of_others(client):
    page = await client.get("/console", headers={})
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe-inline" not in policy
    for name in ("main.js", "console.css"):
        assert (await client.get(f"/web/console/{name}", headers={})).status == 200
    for name in ("..%2findex.html", "nothing.js", "main.html"):
        assert (await client.get(f"/web/console/{name}", headers={})).status == 404

"""Wavix's recordings: listed, found, fetched and deleted."""

from urllib.parse import urlsplit

import pytest

from bridge.audio.file.wav import parse_wav
from bridge.settings.model import Data
from tests.support.clients.vendor import NUMBER, OTHER, SALES, TALKS, two_lines
from tests.support.inprocess import running
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]
PATH = "/v1/recordings"


@pytest.fixture
async def bridge(tmp_path):
    async with running(two_lines(data=Data(dir=str(tmp_path)))) as client:
        yield client


async def ask(bridge, method, path, body=None, *, key=SALES, **query):
    sent = {} if body is None else {"json": body}
    params = {"appid": key, **query}
    async with bridge.http.request(
        method, path, params=params, allow_redirects=False, **sent
    ) as response:
        reply = await response.json() if response.content_type == "application/json" else None
        return response.status, reply, response.headers.get("Location")


async def recorded(bridge):
    """Record a call with the vendor's own words; return its id."""
    body = {"from": NUMBER, "to": TALKS, "call_recording": True}
    _, call, _ = await ask(bridge, "POST", "/v1/call", body)
    manager = bridge.bridge.manager
    await until(lambda: any(run.machine.state == "active" for run in manager.calls()))

    async def listed():
        return (await ask(bridge, "GET", PATH, call_uuid=call["uuid"]))[1]["items"]

    [runner] = manager.calls()
    await until(lambda: sum(leg.kind == "recorder" for leg in runner.legs()) == 3)
    await until(lambda: any(leg.statistics().received.frames > 10 for leg in runner.legs()))
    await ask(bridge, "DELETE", f"/v1/call/{call['uuid']}")
    items = []
    for _ in range(500):
        if items := await listed():
            return call["uuid"], items[0]
    raise AssertionError("the recording is not listed")


async def fetch(bridge, url):
    parts = urlsplit(url)
    async with bridge.http.get(f"{parts.path}?{parts.query}") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "audio/wav")
        return await response.read()


async def test_a_calls_recording_is_listed_with_who_spoke_with_whom(bridge):
    call_uuid, item = await recorded(bridge)
    assert set(item) == {"id", "created_at", "duration", "from", "to", "call_uuid", "url"}
    assert (item["from"], item["to"], item["call_uuid"]) == (NUMBER, f"+{TALKS}", call_uuid)
    assert type(item["id"]) is int
    assert parse_wav(await fetch(bridge, item["url"])).rate == 16_000
    status, one, _ = await ask(bridge, "GET", f"{PATH}/{item['id']}")
    assert (status, one["created_at"], one["call_uuid"]) == (200, item["created_at"], call_uuid)


async def test_a_calls_id_leads_to_its_file_without_a_key(bridge):
    call_uuid, _ = await recorded(bridge)
    status, _, location = await ask(bridge, "GET", f"{PATH}/{call_uuid}")
    assert status == 302
    assert (await fetch(bridge, location)).startswith(b"RIFF")


async def test_a_list_is_searched_and_paged(bridge):
    _, item = await recorded(bridge)
    day = item["created_at"][:10]
    found = {
        "all": {},
        "from": {"from": NUMBER.removeprefix("+")},
        "to": {"to": f"+{TALKS}"},
        "days": {"from_date": day, "to_date": day},
        "dids": {"dids[]": NUMBER},
    }
    for query in found.values():
        _, reply, _ = await ask(bridge, "GET", PATH, **query)
        assert [one["id"] for one in reply["items"]] == [item["id"]], query
        assert reply["pagination"]["total"] == 1
    for query in (
        {"from": TALKS},
        {"to_date": "2001-01-01"},
        {"from_date": "2999-01-01"},
        {"dids[]": "15550109999"},
        {"sip_trunks[]": "1"},
        {"page": "2"},
    ):
        assert (await ask(bridge, "GET", PATH, **query))[1]["items"] == [], query


async def test_a_recording_is_deleted_for_good(bridge):
    call_uuid, item = await recorded(bridge)
    path = f"{PATH}/{item['id']}"
    assert (await ask(bridge, "DELETE", path))[:2] == (200, {"success": True})
    for method, where in (("GET", path), ("DELETE", path), ("GET", f"{PATH}/{call_uuid}")):
        assert (await ask(bridge, method, where))[0] == 404
    assert (await ask(bridge, "GET", PATH))[1]["items"] == []


async def test_another_lines_recordings_are_not_found(bridge):
    call_uuid, item = await recorded(bridge)
    assert (await ask(bridge, "GET", PATH, key=OTHER))[1]["items"] == []
    for named in (item["id"], call_uuid):
        for method in ("GET", "DELETE"):
            assert (await ask(bridge, method, f"{PATH}/{named}", key=OTHER))[0] == 404


@pytest.mark.parametrize(
    ("query", "field"), [({"from_date": "yesterday"}, "from_date"), ({"per_page": "0"}, "per_page")]
)
async def test_a_wrong_parameter_is_named(bridge, query, field):
    status, reply, _ = await ask(bridge, "GET", PATH, **query)
    assert (status, list(reply["errors"])) == (400, [field])

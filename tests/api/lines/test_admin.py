"""The operator's credential: lines and keys are made, rotated, paused and removed while the bridge runs."""

from pathlib import Path

import msgspec
import pytest

from bridge.settings.http import Admin
from bridge.settings.model import Data, Limits, Line
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"
ADMIN = {"token": "operators-own-credential"}
SETTINGS_KEY = {"token": "sales-1"}


def chosen(**changed):
    return settings(
        lines={"sales": Line(keys=["sales-1"], numbers=["15550109000"])},
        admin=Admin(keys=[ADMIN["token"]]),
        **changed,
    )


@pytest.fixture
async def client():
    async with running(chosen()) as client:
        yield client


async def ask(client, method: str, path: str, body=None, headers=ADMIN):
    response = await client.http.request(method, path, json=body, headers=headers)
    answer = await response.json()
    return response.status, answer.get("data", answer)


async def made(client, name: str = "acme") -> dict[str, str]:
    """Make a line and give the headers with its key."""
    status, line = await ask(
        client, "POST", "/admin/lines", {"name": name, "numbers": ["+15550109333"]}
    )
    assert status == 200, line
    return {"token": line["key"]}


def kept_in(folder: Path) -> bytes:
    """All that the database has of it."""
    return b"".join(path.read_bytes() for path in folder.rglob("bridge.sqlite3*"))


async def opens(client, headers) -> int:
    return int((await client.get("/call/status", headers=headers)).status)


async def test_a_line_that_is_made_makes_calls_at_once(client):
    key = await made(client)
    response = await client.post("/call/dial", {"phone": ECHO}, headers=key)
    assert response.status == 200, await response.text()
    parties = {"from": "ann", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"}
    response = await client.post("/v1/calls", parties, headers=key)
    assert response.status == 200, await response.text()
    response = await client.post("/simulator/incoming", {"from": ECHO}, headers=key)
    assert response.status == 200, await response.text()
    _, listed = await ask(client, "GET", "/admin/lines")
    assert [line["name"] for line in listed["lines"]] == ["acme", "sales"]


async def test_a_line_that_is_made_is_known_to_every_node():
    async with running(chosen()) as client:
        key = await made(client)
        for http in (client.http, client.owner):
            response = await http.get("/call/status", headers=key)
            assert response.status == 200


async def test_keys_are_rotated_with_an_overlap(client):
    old = await made(client)
    status, new = await ask(client, "POST", "/admin/lines/acme/keys", {"expireOthersAfter": 3600})
    assert status == 200
    assert await opens(client, old) == 200
    assert await opens(client, {"token": new["key"]}) == 200
    _, line = await ask(client, "GET", "/admin/lines/acme")
    assert [bool(key["expiresAt"]) for key in line["keys"]] == [True, False]
    status, newest = await ask(client, "POST", "/admin/lines/acme/keys", {"expireOthersAfter": 0})
    assert [await opens(client, one) for one in (old, {"token": new["key"]})] == [401, 401]
    assert await opens(client, {"token": newest["key"]}) == 200


async def test_a_key_of_the_settings_is_rotated_too(client):
    _, new = await ask(client, "POST", "/admin/lines/sales/keys", {"expireOthersAfter": 0})
    assert await opens(client, SETTINGS_KEY) == 401
    assert await opens(client, {"token": new["key"]}) == 200


async def test_a_key_is_removed_by_its_id(client):
    key = await made(client)
    _, line = await ask(client, "GET", "/admin/lines/acme")
    [shown] = line["keys"]
    assert key["token"] not in str(line)
    status, _ = await ask(client, "DELETE", f"/admin/lines/acme/keys/{shown['keyId']}")
    assert status == 200
    assert await opens(client, key) == 401
    assert (await ask(client, "DELETE", f"/admin/lines/acme/keys/{shown['keyId']}"))[0] == 404


async def test_the_only_line_of_the_settings_leaves_room_for_one_that_is_made():
    async with running(chosen(limits=Limits(calls=5, overload_seconds=0.0))) as client:
        key = await made(client)
        dials = [
            await client.post("/call/dial", {"phone": ECHO}, headers=SETTINGS_KEY) for _ in range(5)
        ]
        assert [dial.status for dial in dials] == [200, 200, 200, 200, 503]
        assert (await client.post("/call/dial", {"phone": ECHO}, headers=key)).status == 200


@pytest.mark.parametrize("way", ["pause", "remove"])
async def test_a_line_that_is_paused_or_removed_has_no_calls_and_opens_nothing(client, way):
    key = await made(client)
    response = await client.post("/call/dial", {"phone": ECHO}, headers=key)
    call_id = (await response.json())["data"]["callId"]
    given = await client.post(f"/call/{call_id}/ticket", {}, headers=key)
    ticket = {"token": (await given.json())["data"]["ticket"]}
    method, path = (
        ("POST", "/admin/lines/acme/pause") if way == "pause" else ("DELETE", "/admin/lines/acme")
    )
    assert (await ask(client, method, path))[0] == 200
    await until(lambda: not list(client.bridge.manager.calls()))
    refused = 403 if way == "pause" else 401
    assert await opens(client, key) == refused
    assert (await client.get("/call/webrtc/config", headers=ticket)).status == refused
    if way == "pause":
        assert (await ask(client, "POST", "/admin/lines/acme/resume"))[0] == 200
        assert await opens(client, key) == 200


async def test_the_name_of_a_removed_line_is_not_given_again(client):
    await made(client)
    await ask(client, "DELETE", "/admin/lines/acme")
    assert (await ask(client, "POST", "/admin/lines", {"name": "acme"}))[0] == 409
    assert (await ask(client, "GET", "/admin/lines/acme"))[0] == 404


async def test_a_line_of_the_settings_is_paused_but_not_removed(client):
    assert (await ask(client, "DELETE", "/admin/lines/sales"))[0] == 409
    assert (await ask(client, "POST", "/admin/lines/sales/pause"))[0] == 200
    assert await opens(client, SETTINGS_KEY) == 403
    response = await client.post("/simulator/incoming", {"from": ECHO}, headers=SETTINGS_KEY)
    assert response.status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a/b"},
        {"name": "../x"},
        {"name": "A"},
        {"name": "x" * 64},
        {"name": "ok", "numbers": ["12"]},
        {"name": "ok", "numbers": "15550109000"},
    ],
)
async def test_a_line_that_cannot_be_is_a_400(client, body):
    assert (await ask(client, "POST", "/admin/lines", body))[0] == 400


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"token": "wrong"}, 401), (SETTINGS_KEY, 403)]
)
async def test_nobody_else_opens_the_routes(client, headers, status):
    for method, path in (
        ("GET", "/admin/lines"),
        ("POST", "/admin/lines"),
        ("GET", "/admin/lines/sales"),
        ("DELETE", "/admin/lines/sales"),
        ("POST", "/admin/lines/sales/keys"),
        ("POST", "/admin/lines/sales/pause"),
    ):
        assert (await ask(client, method, path, {"name": "x"}, headers))[0] == status, path


@pytest.mark.parametrize("before", ["", "Bearer "])
async def test_the_credential_is_taken_in_the_header_authorization(client, before):
    headers = {"Authorization": before + ADMIN["token"]}
    assert (await ask(client, "GET", "/admin/lines", headers=headers))[0] == 200
    headers = {"Authorization": before + SETTINGS_KEY["token"]}
    assert (await ask(client, "GET", "/admin/lines", headers=headers))[0] == 403


async def test_the_credential_opens_nothing_else(client):
    assert await opens(client, ADMIN) == 403


async def test_without_a_credential_there_are_no_such_routes():
    async with running(settings(lines={"sales": Line(keys=["sales-1"])})) as client:
        for headers, status in (({}, 401), (ADMIN, 404), (SETTINGS_KEY, 404)):
            assert (await ask(client, "GET", "/admin/lines", headers=headers))[0] == status


async def test_what_was_changed_is_told_and_kept_without_any_key(tmp_path, caplog):
    own = msgspec.structs.replace(chosen(), data=Data(dir=str(tmp_path)))
    with caplog.at_level("INFO"):
        async with running(own) as client:
            key = await made(client)
            async with listening(client, "/events?lastEventId=0", headers=key) as stream:
                told = await stream.until_type("line.created")
    assert told["data"]["keyId"]
    assert "admin.line" in caplog.text
    written = kept_in(tmp_path)
    for secret in (key["token"], ADMIN["token"]):
        assert secret not in str(told)
        assert secret not in caplog.text
        assert secret.encode() not in written
    async with running(own) as again:
        assert await opens(again, key) == 200

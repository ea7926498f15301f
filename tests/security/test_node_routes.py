"""What nodes ask each other is not to be had from outside, however a request is spelt."""

import msgspec
import pytest

from bridge.settings.model import Line
from bridge.stores.directory import FOLDER
from tests.support.clients.raw_http import typed
from tests.support.forwarding import NEVER, dial
from tests.support.inprocess import KEY, settings
from tests.support.two_nodes import two_nodes

VICTIM = {"token": "the-victims-key"}
SECRET = "only the victim may read this"
LINES = {"demo": Line(keys=["demo"]), "victim": Line(keys=[VICTIM["token"]])}

ROUTES = [
    ("GET", "/node/calls?line=victim"),
    ("GET", "/node/calls?line=victim&ended=1"),
    ("GET", "/node/metrics"),
    ("GET", "/node/ready"),
    ("GET", "/node/lines"),
    ("POST", "/node/whatsapp"),
    ("POST", "/node/gateway?line=victim"),
]
SPELLINGS = [
    "/node/calls",
    "//node/calls",
    "/node//calls",
    "/node%2Fcalls",
    "/%6Eode/calls",
    "/node/calls/",
    "/./node/calls",
    "/call/../node/calls",
    "/call/%2E%2E/node/calls",
    "/call/webrtc/..%2F..%2Fnode/calls",
    "/node/calls;x",
    "http://localhost/node/calls",
    "http://localhost//node/calls",
    "http://127.0.0.1:1/node/calls",
]


@pytest.fixture
async def nodes():
    async with two_nodes(settings(lines=LINES)) as both:
        body = {
            "from": "agent",
            "fromChannel": "webrtc",
            "to": f"+{NEVER}",
            "toChannel": "whatsapp",
            "metadata": {"is": SECRET},
        }
        for node in both:
            response = await node.http.post("/v1/calls", json=body, headers=VICTIM)
            assert response.status == 200, await response.text()
        yield both


@pytest.fixture
async def call_id(nodes):
    """A call of ours on the second node; requests go to the first."""
    return await dial(nodes[1])


async def credentials(nodes, call_id) -> list[dict[str, str]]:
    response = await nodes[1].http.post(f"/call/{call_id}/ticket", json={}, headers=KEY)
    ticket = (await response.json())["data"]["ticket"]
    return [KEY, {"Authorization": "Bearer demo"}, {"token": ticket}, {}]


async def asked(nodes, call_id, method, target, headers) -> tuple[int, bool]:
    """Ask the first node; returns the status, and whether the secret is in the answer."""
    body = msgspec.json.encode({"callId": call_id, "roomName": call_id})
    port = nodes[0].http.port
    status, _, content = await typed(port, method, target, headers=headers, body=body)
    return status, SECRET.encode() in content


async def test_no_key_and_no_ticket_opens_a_node_route(nodes, call_id):
    for headers in await credentials(nodes, call_id):
        for method, target in ROUTES:
            found = await asked(nodes, call_id, method, target, headers)
            assert found == (404, False), (method, target, headers)


async def test_no_spelling_of_its_path_opens_a_node_route(nodes, call_id):
    for spelling in SPELLINGS:
        found = await asked(nodes, call_id, "GET", f"{spelling}?line=victim", KEY)
        assert found == (404, False), spelling


async def test_no_method_opens_a_node_route(nodes, call_id):
    for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        found = await asked(nodes, call_id, method, "/node/calls?line=victim", KEY)
        assert found == (404, False), method


async def test_an_upgrade_opens_no_node_route(nodes, call_id):
    upgrade = KEY | {"Connection": "Upgrade", "Upgrade": "websocket"}
    found = await asked(nodes, call_id, "GET", "/node/calls?line=victim", upgrade)
    assert found == (404, False)


async def test_node_routes_have_a_socket_of_their_own_for_their_owner_alone(nodes):
    folder = nodes[0].folder
    sockets = sorted(path for path in folder.iterdir() if path.is_socket())
    assert folder.name == FOLDER
    assert len(sockets) == 4
    assert {path.stat().st_mode & 0o777 for path in sockets} == {0o600}

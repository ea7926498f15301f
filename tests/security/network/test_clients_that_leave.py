"""Clients that go away while they send or are sent something: that is no error of the bridge."""

import asyncio
import logging
import re
import socket
import struct
from collections import defaultdict

import pytest

from bridge.api.openapi import OPERATIONS
from bridge.api.server.operation import ADMIN, CONSOLE, LIVEKIT
from bridge.api.server.sse import CONTENT_TYPE as STREAM
from bridge.cluster.siblings import Siblings
from bridge.settings.http import Admin, Console
from bridge.settings.model import Line, WhatsApp
from bridge.wire.livekit.request import JoinRequest
from tests.support.clients.livekit_sdk import packed
from tests.support.inprocess import running, settings
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until_answer

MAIN, GATEWAY, OFFICIAL = "main-1", "gateway-1", "official-1"
KEYS = {ADMIN: "the-key-of-the-operator", CONSOLE: "the-key-of-the-console"}
LINES = {
    "main": Line(keys=[MAIN]),
    "gateway": Line(
        keys=[GATEWAY],
        whatsapp=WhatsApp(
            provider="gateway", dialect="zuckzapgo", url="http://127.0.0.1:9", token="x"
        ),
    ),
    "official": Line(
        keys=[OFFICIAL],
        whatsapp=WhatsApp(
            provider="cloud",
            phone_number_id="1",
            access_token="x",
            app_secret="x",
            verify_token="x",
            base_url="http://127.0.0.1:9",
        ),
    ),
}
UNKNOWN = "0" * 32
BODIES = [key for key, operation in OPERATIONS.items() if operation.has_body]
MULTIPART = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\nRIFF'
BEGUN = {
    "a byte of a thousand": ({"Content-Length": "1000"}, b"{"),
    "half a chunk": ({"Transfer-Encoding": "chunked"}, b"10\r\n{"),
    "half a part": ({"Content-Length": "1000", "Content-Type": MULTIPART}, PART),
    "a large body": ({"Content-Length": "300000"}, b"{"),
}
"""How a body begins of which no more comes."""


OTHERS = [key for key in OPERATIONS if key not in BODIES]
SOCKETS = [key for key, operation in OPERATIONS.items() if operation.status == 101]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
UNABLE = {("GET", "/call/permission"), ("POST", "/call/initiate")}
"""One asks Meta, who is not there (502); the other is documented as not implemented (501)."""


def reset(carrier):
    """Close a connection with RST instead of FIN."""
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    carrier.close()


leaves = pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "closed"])


@pytest.fixture(autouse=True)
def as_it_logs(caplog):
    """Log as a bridge does; aiohttp's own server logs malformed requests, keys included."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.CRITICAL, "aiohttp.server")


@pytest.fixture
async def client():
    chosen = settings(
        lines=LINES, admin=Admin(keys=[KEYS[ADMIN]]), console=Console(keys=[KEYS[CONSOLE]])
    )
    async with running(chosen) as client:
        yield client


@pytest.fixture
async def call_id(client):
    answer = await client.post("/call/dial", {"phone": "15550100001"}, headers={"token": MAIN})
    return (await answer.json())["data"]["callId"]


def filled(path, call_id):
    path = path.replace("{sessionId}", "main").replace("{callId}", call_id)
    return re.sub(r"\{\w+\}", UNKNOWN, path)


def key_of(method, path):
    if path.startswith("/gateway"):
        return GATEWAY
    return KEYS.get(OPERATIONS[method, path].auth, MAIN)


async def begin(client, method, path, call_id, headers, query=""):
    """Send a request's head, and wait until the bridge has read it."""
    sent = {
        "Host": "localhost",
        "token": key_of(method, path),
        "X-Hub-Signature-256": f"sha256={'0' * 64}",
        "Expect": "100-continue",
    } | headers
    lines = [f"{method} {filled(path, call_id)}{query} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in sent.items()]
    carrier = socket.socket()
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    carrier.setblocking(False)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        await loop.sock_connect(carrier, ("127.0.0.1", client.http.port))
        await loop.sock_sendall(carrier, "\r\n".join(lines).encode() + b"\r\n\r\n")
        assert await loop.sock_recv(carrier, 12) == b"HTTP/1.1 100", path
    return carrier


async def statuses(client):
    """Return how often each route has answered with what."""
    answer = await client.get("/metrics", headers={"token": MAIN})
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in (await answer.text()).splitlines():
        if row.startswith("bridge_http_requests_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', row))
            key = labels["method"], labels["route"]
            found[key][int(labels["status"])] = float(row.rsplit(" ", 1)[1])
    return found


async def counted(client, asked, *, times=1):
    """Wait until each request is counted so many times, and return the statuses of each."""

    async def all_are():
        found = await statuses(client)
        return all(sum(found[key].values()) >= times for key in asked)

    await until_answer(all_are)
    return {key: found for key, found in (await statuses(client)).items() if key in asked}


def told(caplog, level):
    """Return what was logged, with tracebacks."""
    found = (one for one in caplog.records if one.levelno >= level)
    return [(one.name, one.getMessage(), one.exc_text) for one in found]


def failed(found):
    return {key: each for key, each in found.items() if max(each) >= 500 and key not in UNABLE}


@leaves
@pytest.mark.parametrize("begun", BEGUN)
async def test_who_leaves_within_a_body_is_no_error_on_any_route(
    client, call_id, caplog, begun, leave
):
    headers, body = BEGUN[begun]
    caplog.clear()
    for method, path in BODIES:
        carrier = await begin(client, method, path, call_id, headers)
        await asyncio.get_running_loop().sock_sendall(carrier, body)
        leave(carrier)
    found = await counted(client, BODIES)
    assert told(caplog, logging.INFO) == []
    assert failed(found) == {}
    # Those that did not wait for the rest have refused it.
    assert {status for each in found.values() for status in each} <= {200, 400, 413, 499}
    left = [key for key in BODIES if 499 in found[key]]
    assert len(left) >= (2 if begun == "a large body" else len(BODIES) - 1)


@leaves
async def test_who_leaves_before_the_answer_is_no_error_on_any_route(
    client, call_id, caplog, leave
):
    caplog.clear()
    for method, path in OTHERS:
        leave(await begin(client, method, path, call_id, {}))
    found = await counted(client, [key for key in OTHERS if OPERATIONS[key].content != STREAM])
    assert told(caplog, logging.WARNING) == []
    assert failed(found) == {}


@leaves
@pytest.mark.parametrize(
    "sent",
    [b"", b"\x82", b"\x82\xfe\x07\x80\0\0\0\0" + bytes(100), b"\x82\xff" + b"\xff" * 12],
    ids=["nothing", "a byte of a frame", "half a frame", "a frame too large"],
)
async def test_who_leaves_a_socket_is_no_error(client, call_id, caplog, sent, leave):
    loop = asyncio.get_running_loop()
    answer = await client.post(f"/call/{call_id}/livekit", {}, headers={"token": MAIN})
    ticket = (await answer.json())["data"]["token"]
    caplog.clear()
    for method, path in SOCKETS:
        sdk = OPERATIONS[method, path].auth == LIVEKIT
        query = f"?join_request={packed(JoinRequest())}&access_token={ticket}" if sdk else ""
        headers = UPGRADE | ({"token": ""} if sdk else {})
        carrier = await begin(client, method, path, call_id, headers, query)
        async with asyncio.timeout(5):
            while b"HTTP/1.1 101" not in await loop.sock_recv(carrier, 4096):
                pass
        await loop.sock_sendall(carrier, sent)
        leave(carrier)
    found = await counted(client, SOCKETS)
    assert told(caplog, logging.WARNING) == []
    assert {status for each in found.values() for status in each} == {101}


@leaves
@pytest.mark.parametrize("path", ["/console/api/live", "/events", "/call/{callId}/events"])
async def test_who_leaves_an_event_stream_is_no_error(client, call_id, caplog, path, leave):
    caplog.clear()
    carrier = await begin(client, "GET", path, call_id, {})
    async with asyncio.timeout(5):
        while b"retry" not in await asyncio.get_running_loop().sock_recv(carrier, 4096):
            pass
    leave(carrier)
    await client.post("/call/mute", {"callId": call_id, "muted": True}, headers={"token": MAIN})
    await client.post("/call/hangup", {"callId": call_id}, headers={"token": MAIN})
    found = await counted(client, [("GET", path)])
    assert told(caplog, logging.WARNING) == []
    assert found == {("GET", path): {200: 1.0}}


@pytest.mark.parametrize("machines", [False, True], ids=["node", "machine"])
@leaves
async def test_who_leaves_says_nothing_of_the_node_that_has_the_call(
    caplog, monkeypatch, leave, machines
):
    silent = []
    async with two_nodes(settings(lines=LINES), machines=machines) as (first, second):
        dialled = await first.http.post(
            "/call/dial", json={"phone": "15550100001"}, headers={"token": MAIN}
        )
        call_id = (await dialled.json())["data"]["callId"]
        other = first if call_id.startswith("01") else second
        caplog.clear()
        monkeypatch.setattr(Siblings, "note_silence", lambda *noted: silent.append(noted))
        for headers, body in BEGUN.values():
            carrier = await begin(other, "POST", "/call/{callId}/ticket", call_id, headers)
            await asyncio.get_running_loop().sock_sendall(carrier, body)
            leave(carrier)
        asked = [("POST", "/call/{callId}/ticket")]
        [found] = (await counted(other, asked, times=len(BEGUN))).values()
        assert told(caplog, logging.WARNING) == []
        assert silent == []
        assert max(found) < 500

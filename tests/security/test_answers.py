"""What answers tell strangers, and what they let browsers do."""

import asyncio
import socket

import pytest

from tests.support.inprocess import KEY
from tests.support.server import running

PATHS = ["/", "/web/bridge.js", "/openapi.json", "/healthz", "/metrics", "/nothing", "/call/status"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, KEY])
async def test_no_answer_is_sniffed_or_names_a_server(client, path, headers):
    answer = await client.get(path, headers=headers)
    assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
    assert "Server" not in answer.headers


async def test_event_streams_and_sockets_are_not_sniffed_either(client):
    call_id = await client.dial("15550100003")
    async with client.http.get("/events", headers=KEY) as stream:
        assert stream.headers["X-Content-Type-Options"] == "nosniff"
    async with client.http.ws_connect(f"/call/{call_id}/stream?token=demo") as ws:
        assert "Server" not in ws._response.headers


@pytest.mark.parametrize("path", ["/events", "/api/v1/sessions/demo/events", "/call/{call}/events"])
async def test_the_head_of_an_event_stream_has_no_body_and_ends(client, path):
    call_id = await client.dial("15550100003")
    server = client.http.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    for asked in (f"HEAD {path.format(call=call_id)}", "GET /healthz"):
        writer.write(f"{asked} HTTP/1.1\r\nHost: localhost\r\ntoken: demo\r\n\r\n".encode())
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"text/event-stream" in head
        # The next answer follows at once: nothing of the stream is between them.
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


FACES = {
    "/nothing": lambda body: body["code"] == 404,
    "/api/v1/nothing": lambda body: body["error"]["code"] == "not_found",
    "/v1/nothing": lambda body: "no such route" in body["error"],
    "/v1/call/1/nothing": lambda body: body["success"] is False and body["error"] is True,
}


@pytest.mark.parametrize("path", FACES)
async def test_an_unknown_path_is_not_found_in_the_words_of_its_face(client, path):
    answer = await client.get(path)
    assert answer.status == 404
    assert FACES[path](await answer.json())
    assert "internal" not in await answer.text()


async def test_a_wrong_method_is_said_to_be_one(client):
    answer = await client.http.patch("/api/v1/sessions/demo/calls", headers=KEY)
    assert answer.status == 405
    assert (await answer.json())["error"]["code"] == "method_not_allowed"
    assert "GET" in answer.headers["Allow"]


def test_what_is_no_http_is_told_no_version(tmp_path):
    with running(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.settimeout(10)
        raw.sendall(b"this is not HTTP\r\n\r\n")
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.0 400")
    assert b"aiohttp" not in answer
    assert b"Python" not in answer

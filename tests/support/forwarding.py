"""Routes that a node's owner would answer, to see what is passed on and how."""

import asyncio
from contextlib import suppress

from aiohttp import web

from bridge.api.server.middleware import from_sibling
from tests.support.inprocess import KEY

ECHO, NEVER = "15550100001", "15550100003"
SECOND = "01" + 15 * "AB"
"""The id of a call that the second node might have."""
PIECE = bytes(4096)
LARGE = bytes(range(256)) * 4096
DOWNLOAD = 32 * 1024 * 1024


class Owner:
    """Routes of both nodes, such as later faces have them; it remembers what reached them."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.sent = 0
        self.go_on = asyncio.Event()
        self.socket_closed = asyncio.Event()
        path = "/call/{call_id}/test"
        self.routes = [
            web.get(f"{path}/socket", self.socket),
            web.get(f"{path}/flood", self.flood),
            web.get(f"{path}/refused", self.refused),
            web.get(f"{path}/large", self.large),
            web.get(f"{path}/download", self.download),
            web.get(f"{path}/refused/large", self.refused_at_length),
            web.get(f"{path}/pieces", self.pieces),
            web.get(f"{path}/torn", self.torn),
            web.get(f"{path}/hangs", self.hangs),
            web.put("/test", self.told),
        ]

    async def told(self, request: web.Request) -> web.Response:
        await request.read()
        self.requests.append(request)
        return web.json_response({"passed on": from_sibling(request)}, headers={"X-Told": "yes"})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        try:
            async for message in socket:
                await socket.send_bytes(message.data)
        finally:
            self.socket_closed.set()
        return socket

    async def flood(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with suppress(ConnectionError):
            while True:
                await socket.send_bytes(PIECE)
                self.sent += len(PIECE)
        return socket

    async def refused(self, request: web.Request) -> web.Response:
        return web.json_response({"error": "not now"}, status=409)

    async def large(self, request: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    async def download(self, request: web.Request, status: int = 200) -> web.StreamResponse:
        """Send a file; `sent` says how much of it has left."""
        response = web.StreamResponse(status=status)
        response.content_length = DOWNLOAD
        await response.prepare(request)
        with suppress(ConnectionError):
            while self.sent < DOWNLOAD:
                await response.write(PIECE)
                self.sent += len(PIECE)
        return response

    async def refused_at_length(self, request: web.Request) -> web.StreamResponse:
        return await self.download(request, status=409)

    async def pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await self.go_on.wait()
        await response.write(b"two")
        return response

    async def torn(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def hangs(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


async def post(node, path, body, **more):
    return await node.http.post(path, json=body, headers=KEY | more)


async def data(node, path, body):
    response = await post(node, path, body)
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def dial(node, number=NEVER) -> str:
    return str((await data(node, "/call/dial", {"phone": number}))["callId"])


async def listed(node) -> list[str]:
    body = await (await node.http.get("/call/status", headers=KEY)).json()
    return [call["callId"] for call in body["data"]["calls"]]

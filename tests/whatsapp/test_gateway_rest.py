"""Where requests to a gateway may be sent on to: the token goes with them."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.errors import LegError
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.whatsapp.gateway_rest import Rest


class Site:
    """A server that answers what the test says, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.redirects = {}
        """By path: status and location."""
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self.server = TestServer(application)

    async def __aenter__(self):
        await self.server.start_server()
        return self

    async def __aexit__(self, *_):
        await self.server.close()

    @property
    def url(self):
        return str(self.server.make_url("")).rstrip("/")

    async def _answer(self, request):
        self.asked.append((request.method, request.path, request.headers.get("token")))
        if request.path in self.redirects:
            status, location = self.redirects[request.path]
            return web.Response(status=status, headers={"Location": location})
        if "Upgrade" not in request.headers:
            return web.json_response({"data": await request.text()})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close()
        return socket


@asynccontextmanager
async def asking():
    """Two servers, and requests to the first."""
    http = Http(Guard(allow=(), require_tls=False))
    async with Site() as home, Site() as other:
        try:
            yield Rest(http, home.url, {"token": "secret"}), home, other
        finally:
            await http.aclose()


async def open_socket(rest):
    async with rest.socket("/a"):
        pass


async def test_a_redirect_within_the_origin_is_followed_with_the_token():
    async with asking() as (rest, home, _):
        home.redirects["/a"] = (302, "/b")
        assert await rest.request("GET", "/a") == {"data": ""}
        await open_socket(rest)
        assert home.asked == [("GET", "/a", "secret"), ("GET", "/b", "secret")] * 2


async def test_a_body_goes_along_only_where_the_redirect_keeps_the_method():
    async with asking() as (rest, home, _):
        home.redirects["/a"] = (307, "b")
        assert await rest.request("POST", "/a", {"x": 1}) == {"data": '{"x": 1}'}
        home.redirects["/a"] = (302, "/b")
        with pytest.raises(LegError, match="repeated"):
            await rest.request("POST", "/a", {"x": 1})
        assert [path for _, path, _ in home.asked] == ["/a", "/b", "/a"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_refused_and_the_token_stays(status):
    async with asking() as (rest, home, other):
        home.redirects["/a"] = (status, f"{other.url}/b")
        with pytest.raises(LegError):
            await rest.request("GET", "/a")
        with pytest.raises(LegError):
            await rest.request("POST", "/a", {})
        with pytest.raises(LegError):
            await open_socket(rest)
        assert other.asked == []
        assert len(home.asked) == 3


@pytest.mark.parametrize("location", ["", "https://127.0.0.1", "javascript:1", "//["])
async def test_a_redirect_to_nowhere_is_an_error_of_ours(location):
    async with asking() as (rest, home, _):
        home.redirects["/a"] = (302, location)
        with pytest.raises(LegError):
            await rest.request("GET", "/a")
        with pytest.raises(LegError):
            await open_socket(rest)
        assert len(home.asked) == 2


async def test_redirects_in_a_circle_come_to_an_end():
    async with asking() as (rest, home, _):
        home.redirects["/a"] = (302, "/a")
        with pytest.raises(LegError, match="too often"):
            await rest.request("GET", "/a")
        with pytest.raises(LegError):
            await open_socket(rest)
        assert len(home.asked) < 20

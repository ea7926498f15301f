"""Outgoing HTTP: what the guarded session refuses, and when."""

import asyncio
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.call.model import LineName
from bridge.errors import AddressBlocked
from bridge.http import client as module
from bridge.http.address_guard import Guard
from bridge.http.client import MAX_PER_HOST, Http
from tests.support.names import Changing, Names

LINE, OTHER = LineName("sales"), LineName("support")


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="here")


async def slow(request: web.Request) -> web.StreamResponse:
    """Answer, and never end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while not (request.transport is None or request.transport.is_closing()):
        await asyncio.sleep(0.05)
    return response


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.query["to"])


async def socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    await response.send_str("here")
    await response.close()
    return response


@pytest.fixture
async def server():
    application = web.Application()
    application.add_routes(
        [
            web.get("/", answer),
            web.get("/slow", slow),
            web.get("/redirect", redirect),
            web.get("/socket", socket),
        ]
    )
    async with TestServer(application) as running:
        yield running


@pytest.fixture
async def make():
    made: list[Http] = []

    def build(*allow: str, require_tls: bool = False, resolver=None) -> Http:
        networks = [ip_network(text) for text in allow]
        guard = Guard(allow=networks, require_tls=require_tls)
        made.append(Http(guard, resolver=resolver))
        return made[-1]

    yield build
    for http in made:
        await http.aclose()


async def test_the_guarded_session_refuses_an_address_in_the_url(server, make):
    with pytest.raises(AddressBlocked):
        await make().of(LINE).guarded().get(server.make_url("/"))


async def test_the_guarded_session_refuses_a_name_of_a_closed_address(server, make):
    with pytest.raises(AddressBlocked):
        await make().of(LINE).guarded().get(f"http://localhost:{server.port}/")


async def test_the_guarded_session_reaches_the_operators_networks(server, make):
    async with make("127.0.0.0/8").of(LINE).guarded().get(server.make_url("/")) as response:
        assert await response.text() == "here"


async def test_an_answer_that_changes_after_the_check_gains_nothing(server, make):
    answers = [["93.184.215.14"], ["127.0.0.1"]]

    resolver = Changing(lambda: answers.pop(0))
    with pytest.raises(AddressBlocked):
        await (
            make(resolver=resolver)
            .of(LINE)
            .guarded()
            .get(f"http://rebinding.example:{server.port}/")
        )
    assert answers == []


async def test_a_redirect_is_judged_anew(server, make):
    guarded = make("127.0.0.0/8").of(LINE).guarded()
    inside = server.make_url("/redirect").with_query(to="/")
    async with guarded.get(inside) as response:
        assert await response.text() == "here"
    with pytest.raises(AddressBlocked):
        await guarded.get(server.make_url("/redirect").with_query(to="http://10.0.0.1/"))


async def test_a_redirect_to_a_name_is_judged_anew(server, make):
    names = Names({"inside.example": ["10.0.0.1"]})
    to = "https://inside.example/"
    with pytest.raises(AddressBlocked):
        await (
            make("127.0.0.0/8", resolver=names)
            .of(LINE)
            .guarded()
            .get(server.make_url("/redirect").with_query(to=to))
        )


async def test_a_web_socket_is_judged_too(server, make):
    url = f"ws://127.0.0.1:{server.port}/socket"
    with pytest.raises(AddressBlocked):
        await make().of(LINE).guarded().ws_connect(url)
    async with make("127.0.0.0/8").of(LINE).guarded().ws_connect(url) as opened:
        assert (await opened.receive()).data == "here"


async def test_plain_http_can_be_forbidden(make):
    with pytest.raises(AddressBlocked, match=r"net\.require_tls"):
        await make(require_tls=True).of(LINE).guarded().get("http://93.184.215.14/")


async def test_the_trusted_session_goes_where_the_operator_says(server, make):
    async with make().trusted().get(server.make_url("/")) as response:
        assert await response.text() == "here"


async def test_a_name_that_has_no_address_is_an_error_of_the_client(make):
    with pytest.raises(aiohttp.ClientConnectorError):
        await make().of(LINE).guarded().get("https://nowhere.invalid/")


async def test_streams_and_requests_of_a_line_have_connections_of_their_own(make):
    here = make().of(LINE)
    assert here.streams() is not here.guarded()
    assert here.streams().connector is not here.guarded().connector


async def test_no_line_waits_for_the_connections_of_another(server, make):
    http = make("127.0.0.0/8")
    held = [
        await http.of(LINE).guarded().get(server.make_url("/slow")) for _ in range(MAX_PER_HOST)
    ]
    async with asyncio.timeout(5):
        async with http.of(OTHER).guarded().get(server.make_url("/")) as response:
            assert await response.text() == "here"
    for response in held:
        response.close()


async def test_the_operators_streams_take_no_connection_from_requests(server, make, monkeypatch):
    monkeypatch.setattr(module, "MAX_TRUSTED", 1)
    http = make()
    async with http.trusted_streams().get(server.make_url("/slow")) as held:
        assert held.status == 200
        async with asyncio.timeout(5), http.trusted().get(server.make_url("/")) as response:
            assert await response.text() == "here"

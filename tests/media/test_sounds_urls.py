"""Customers' URLs: what is fetched, what is refused, and that nothing is left of what was."""

import asyncio
import gzip
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.call.model import LineName
from bridge.errors import AddressBlocked, InvalidRequest, PayloadTooLarge
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.media.decoding.decoders import InvalidMedia
from bridge.media.sounds import Sounds
from tests.support.media_folder import shared
from tests.support.names import Changing
from tests.support.waiting import until

LINE = LineName("main")
LOCAL = ip_network("127.0.0.0/8")


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def make(tmp_path, spool):
    """Makes sounds whose guard lets through what it is told."""

    @asynccontextmanager
    async def made(*allow, urls=True, resolver=None):
        http = Http(Guard(allow=allow, require_tls=False), resolver=resolver)
        try:
            yield Sounds(folder=shared(tmp_path), spool=spool, http=http, urls=urls)
        finally:
            await http.aclose()

    return made


@asynccontextmanager
async def serving(handler):
    """A server that answers everything so; counts what it was asked."""
    asked = []

    async def answer(request):
        asked.append(request.path)
        return await handler(request)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        yield server, asked


def to(place):
    async def handler(request):
        raise web.HTTPFound(place)

    return handler


def saying(**answer):
    async def handler(request):
        return web.Response(**answer)

    return handler


@pytest.mark.parametrize("kind", ["audio/wav", "text/html", "application/json", "x"])
async def test_a_file_is_fetched_whatever_its_type_is_said_to_be(make, spool, kind):
    async def handler(request):
        return web.Response(body=b"sound", headers={"Content-Type": kind})

    async with make(LOCAL) as sounds, serving(handler) as (server, _):
        sound = await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert sound.path.read_bytes() == b"sound"
    sound.release()
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 404, 500, 503])
async def test_what_answers_otherwise_gives_no_file(make, spool, status):
    async with make(LOCAL) as sounds, serving(saying(status=status)) as (server, _):
        with pytest.raises(InvalidMedia):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0x0a000001/",
        "http://user:secret@192.168.0.1/",
    ],
)
async def test_a_redirect_to_a_closed_address_is_refused(make, spool, place):
    async with make(LOCAL) as sounds, serving(to(place)) as (server, _):
        with pytest.raises(AddressBlocked):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://93.184.215.14/", "gopher://127.0.0.1/", "data:,x", "//"]
)
async def test_a_redirect_to_another_scheme_is_refused(make, spool, place):
    async with make(LOCAL) as sounds, serving(to(place)) as (server, _):
        with pytest.raises(InvalidRequest):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert list(spool.iterdir()) == []


async def test_redirects_in_a_circle_come_to_an_end(make, spool):
    async with make(LOCAL) as sounds, serving(to("/a")) as (server, asked):
        with pytest.raises(InvalidMedia):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert len(asked) <= 4
    assert list(spool.iterdir()) == []


async def test_a_redirect_to_where_the_file_is_is_followed(make):
    async def handler(request):
        if request.path == "/a":
            raise web.HTTPFound("/b")
        return web.Response(body=b"sound")

    async with make(LOCAL) as sounds, serving(handler) as (server, asked):
        await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert asked == ["/a", "/b"]


async def test_a_name_that_is_public_when_it_is_looked_up_and_ours_when_it_is_dialled_is_refused(
    make, spool, monkeypatch
):
    """DNS rebinding: every answer has another address."""
    answers: list[str] = []

    def answer():
        answers.append("93.184.215.14" if not answers else "127.0.0.1")
        return [answers[-1]]

    async with (
        make(resolver=Changing(answer)) as sounds,
        serving(saying(body=b"secret")) as (server, asked),
    ):
        with pytest.raises(AddressBlocked):
            await sounds.url(LINE, f"http://rebinding.example:{server.port}/", "audioUrl")
    assert (len(answers), asked) == (2, [])
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "ip6-localhost"])
async def test_names_of_this_machine_are_refused(make, name):
    async with make(resolver=Changing(lambda: ["127.0.0.1", "::1"])) as sounds:
        with pytest.raises(AddressBlocked):
            await sounds.url(LINE, f"http://{name}/", "audioUrl")


async def test_a_file_over_32_mb_is_given_up(make, spool):
    async def handler(request):
        answer = web.StreamResponse()  # of a length that it does not say
        await answer.prepare(request)
        for _ in range(33):
            await answer.write(bytes(1 << 20))
        return answer

    async with make(LOCAL) as sounds, serving(handler) as (server, _):
        with pytest.raises(PayloadTooLarge):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert list(spool.iterdir()) == []


async def test_what_is_packed_is_not_unpacked(make):
    packed = gzip.compress(bytes(10_000_000))
    handler = saying(body=packed, headers={"Content-Encoding": "gzip"})
    async with make(LOCAL) as sounds, serving(handler) as (server, _):
        sound = await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert sound.path.stat().st_size == len(packed)


@pytest.mark.virtual_time
async def test_a_server_that_drips_is_given_up_in_time(make, spool):
    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x")
            await asyncio.sleep(0.05)

    async with make(LOCAL) as sounds, serving(handler) as (server, _):
        with pytest.raises(InvalidMedia, match="in time"):
            await sounds.url(LINE, str(server.make_url("/a")), "audioUrl")
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "sent", [b"", b"no http\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"]
)
async def test_a_server_that_breaks_off_gives_no_file(make, spool, sent):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with make(LOCAL) as sounds, server:
        with pytest.raises(InvalidMedia):
            await sounds.url(LINE, f"http://127.0.0.1:{port}/", "audioUrl")
    assert list(spool.iterdir()) == []


async def test_a_server_that_is_not_there_gives_no_file(make, spool, unused_tcp_port):
    async with make(LOCAL) as sounds:
        with pytest.raises(InvalidMedia):
            await sounds.url(LINE, f"http://127.0.0.1:{unused_tcp_port}/", "audioUrl")
    assert list(spool.iterdir()) == []


async def test_who_gives_up_fetching_leaves_nothing(make, spool):
    async def handler(request):
        await asyncio.sleep(60)

    async with make(LOCAL) as sounds, serving(handler) as (server, asked):
        fetching = asyncio.create_task(sounds.url(LINE, str(server.make_url("/a")), "audioUrl"))
        await until(lambda: asked)
        fetching.cancel()
        await asyncio.wait([fetching])
        assert list(spool.iterdir()) == []


async def test_no_url_is_fetched_where_that_is_switched_off(make):
    async with make(LOCAL, urls=False) as sounds:
        with pytest.raises(InvalidRequest, match=r"media\.urls"):
            await sounds.url(LINE, "http://127.0.0.1/", "audioUrl")

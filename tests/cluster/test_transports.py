"""The ways from a node to another: Unix sockets, and signed requests over the network."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from bridge.cluster.sockets import listen, node_socket_path, socket_path
from bridge.cluster.transports import NetworkTransport, UnixTransport
from bridge.http.node_signature import NodeSigner
from bridge.stores.nodes import Member
from bridge.wire.node_signature import HEADER, Request, parse

SECRET = "s" * 32


async def said(request):
    return web.Response(text=request.path_qs)


@pytest.fixture
async def runner():
    application = web.Application()
    application.add_routes([web.get("/{any:.*}", said)])
    made = web.AppRunner(application)
    await made.setup()
    yield made
    await made.cleanup()


@pytest.fixture
async def network():
    signer = NodeSigner(node=1, boot="own boot", secret=SECRET, now=lambda: 1000.0)
    made = NetworkTransport(signer)
    yield made
    await made.aclose()


async def answer_of(streams) -> bytes:
    reader, writer = streams
    writer.write(b"GET /a HTTP/1.0\r\n\r\n")
    answer: bytes = await reader.read()
    writer.close()
    return answer


async def test_a_node_of_this_machine_has_one_socket_for_forwarded_requests_and_one_for_its_own(
    runner,
):
    with TemporaryDirectory(prefix="bridge-") as name:
        folder, member = Path(name), Member(node=3, boot="other")
        unix = UnixTransport(folder)
        await web.SockSite(runner, listen(socket_path(folder, 3))).start()
        assert (await answer_of(await unix.open_tunnel(member))).endswith(b"\r\n\r\n/a")
        for own in (False, True):
            if own:
                await web.SockSite(runner, listen(node_socket_path(folder, 3))).start()
            session = unix.session(member, own=own)
            async with session.get(f"{unix.base(member)}/b?c=d") as answer:
                assert await answer.text() == "/b?c=d"
        assert unix.headers(member, Request("GET", "/")) == {}
        await unix.aclose()


async def test_a_node_of_another_machine_is_reached_at_its_url(runner, network):
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(host, port)] = [address[:2] for address in runner.addresses]
    member = Member(node=2, boot="other", url=f"http://{host}:{port}/")
    async with network.session(member, own=False).get(f"{network.base(member)}/b") as answer:
        assert await answer.text() == "/b"
    assert (await answer_of(await network.open_tunnel(member))).endswith(b"\r\n\r\n/a")


async def test_what_goes_to_another_machine_is_signed_for_the_process_there(network):
    member, request = Member(node=2, boot="other"), Request("POST", "/a?b", b"c")
    found = parse(network.headers(member, request)[HEADER])
    assert found is not None
    assert (found.sender, found.target, found.expires) == (1, 2, 1030)
    assert found.signs(request, boot="other", secret=SECRET)


async def test_a_machine_that_does_not_answer_is_an_error(network):
    with pytest.raises(ConnectionRefusedError):
        await network.open_tunnel(Member(node=2, boot="other", url="http://127.0.0.1:9"))


async def test_nothing_is_sent_to_a_machine_whose_url_nobody_has_signed(network):
    member = Member(node=2, boot="other")
    with pytest.raises(ConnectionRefusedError):
        await network.open_tunnel(member)
    with pytest.raises(ConnectionRefusedError):
        network.base(member)

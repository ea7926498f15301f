"""Files on other machines, read from a node that runs there."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.errors import FileUnavailable, NotFound
from bridge.media.machine_files import FILES_PATH, MachineFiles
from bridge.stores.share import Share

CONTENT = bytes(range(256)) * 1000
LIVING = [(0, "here"), (4, "there"), (7, "there")]


class Nodes:
    """Siblings: a server for each node that answers."""

    def __init__(self, session, servers):
        self._session = session
        self._servers = servers
        self.asked: list[int] = []
        self.silent: list[int] = []

    async def send(self, node, method, target, *, headers, body):
        self.asked.append(node)
        if node not in self._servers:
            raise ConnectionRefusedError
        url = self._servers[node].make_url(target)
        return await self._session.request(method, url, headers=headers)

    def note_silence(self, node, error):
        self.silent.append(node)


async def answer(request):
    if request.match_info["name"] == "broken":
        raise web.HTTPInternalServerError
    if request.match_info["name"] != "sound":
        raise web.HTTPNotFound
    start = int(request.headers.get("Range", "bytes=0-")[6:-1])
    return web.Response(status=206 if start else 200, body=CONTENT[start:])


async def cut_off(request):
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(bytes(10))
    request.transport.abort()
    return response


@pytest.fixture
async def server():
    application = web.Application()
    application.router.add_get(FILES_PATH + "/cut", cut_off)
    application.router.add_get(FILES_PATH + "/{name}", answer)
    async with TestServer(application) as served:
        yield served


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


def reading(session, servers):
    nodes = Nodes(session, servers)
    return MachineFiles(Share("here", 0, lambda: LIVING), nodes), nodes


async def content(files, path, **more):
    return b"".join([piece async for piece in files.read("there", path, **more)])


async def test_a_file_is_read_from_a_node_of_its_machine(server, session):
    files, nodes = reading(session, {4: server})
    assert await content(files, "/sound") == CONTENT
    assert await content(files, "/sound", headers={"Range": "bytes=44-"}) == CONTENT[44:]
    assert set(nodes.asked) == {4}


async def test_another_node_of_the_machine_is_asked_when_one_does_not_answer(server, session):
    files, nodes = reading(session, {7: server})
    assert await content(files, "/sound") == CONTENT
    assert (nodes.asked, nodes.silent) == ([4, 7], [4])


async def test_a_machine_that_does_not_answer_has_its_files_unavailable(session):
    files, _ = reading(session, {})
    with pytest.raises(FileUnavailable):
        await content(files, "/sound")


async def test_a_machine_that_is_gone_is_not_asked(server, session):
    files, nodes = reading(session, {4: server})
    with pytest.raises(FileUnavailable):
        await files.open("gone", "/sound")
    assert nodes.asked == []
    assert [files.is_reachable(one) for one in ("here", "there", "gone", "")] == [
        True,
        True,
        False,
        True,
    ]


async def test_a_node_that_fails_has_the_file_unavailable(server, session):
    files, _ = reading(session, {4: server})
    with pytest.raises(FileUnavailable):
        await content(files, "/broken")


async def test_a_file_that_its_machine_does_not_have_is_not_found(server, session):
    files, _ = reading(session, {4: server, 7: server})
    with pytest.raises(NotFound):
        await content(files, "/other")


async def test_a_machine_that_stops_in_the_middle_fails_the_reader(server, session):
    files, _ = reading(session, {4: server})
    with pytest.raises(FileUnavailable):
        await content(files, "/cut")


async def test_without_siblings_there_are_no_other_machines():
    with pytest.raises(FileUnavailable):
        await MachineFiles(Share("here", 0, lambda: [(0, "here")])).open("there", "/sound")

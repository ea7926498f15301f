"""The way from a node to the others."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from bridge.errors import SettingsError
from bridge.net.siblings import Siblings, listen, node_socket_path, socket_path


@pytest.fixture
def folder():
    # Not pytest's own: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as name:
        yield Path(name)


@pytest.fixture
async def siblings(folder):
    made = Siblings(folder, own=0, count=3)
    yield made
    await made.aclose()


@pytest.fixture
async def first(folder):
    """Node 1, which answers with the question."""

    async def answer(request):
        status = int(request.query.get("status", 200))
        return web.Response(text=request.path_qs, status=status)

    application = web.Application()
    application.add_routes([web.get("/{any:.*}", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    for path in (socket_path(folder, 1), node_socket_path(folder, 1)):
        await web.SockSite(runner, listen(path)).start()
    yield
    await runner.cleanup()


def test_a_socket_takes_the_place_of_one_that_is_left_over(folder):
    for _ in range(2):
        with listen(socket_path(folder, 1)):
            assert socket_path(folder, 1).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["1.sock"]


def test_a_folder_that_is_too_long_is_refused_with_the_settings_name(folder):
    with pytest.raises(SettingsError, match=r"data\.dir"):
        listen(socket_path(folder / (100 * "x"), 0))


async def test_who_answers_is_heard_and_who_does_not_is_known(siblings, first):
    assert await siblings.get_all("/a", b="c d") == {1: b"/a?b=c+d", 2: None}
    assert siblings.responsive() == [1]


async def test_an_answer_that_is_no_success_is_none(siblings, first):
    assert await siblings.get(1, "/", status="503") is None


async def test_a_request_is_sent_as_it_is(siblings, first):
    async with await siblings.send(1, "GET", "/a%2Fb?c=%20", headers={}, body=None) as response:
        assert await response.text() == "/a%2Fb?c=%20"

"""The way from a node to the others."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from bridge.cluster.membership import Supervised
from bridge.cluster.siblings import Siblings, SignatureRefused
from bridge.cluster.sockets import listen, node_socket_path, socket_path
from bridge.cluster.transports import UnixTransport
from bridge.stores.nodes import Member


@pytest.fixture
def folder():
    # Not pytest's own: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as name:
        yield Path(name)


def member(node, machine="here", url=""):
    return Member(node=node, boot=f"{node:016x}", machine=machine, url=url)


class Nodes(Supervised):
    """This node and two others of its machine."""

    def __init__(self, *others):
        super().__init__(member(0), others or [member(1), member(2)], launch_id="run")


@pytest.fixture
async def siblings(folder):
    made = Siblings(Nodes(), unix=UnixTransport(folder))
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


async def test_who_answers_is_heard_and_who_does_not_is_known(siblings, first):
    assert await siblings.request_all("/a", b="c d") == {1: b"/a?b=c+d", 2: None}
    assert siblings.responsive() == [1]


async def test_an_answer_that_is_no_success_is_none(siblings, first):
    assert await siblings.request(1, "/", status="503") is None


async def test_a_request_is_sent_as_it_is(siblings, first):
    async with await siblings.send(1, "GET", "/a%2Fb?c=%20", headers={}, body=None) as response:
        assert await response.text() == "/a%2Fb?c=%20"


async def test_a_sibling_that_does_not_answer_is_logged_once_in_a_while(siblings, caplog):
    for _ in range(3):
        assert await siblings.request(2, "/") is None
    assert caplog.text.count("sibling.unreachable") == 1


@pytest.mark.parametrize(("draining", "level"), [(False, "WARNING"), (True, "INFO")])
async def test_a_sibling_that_drains_and_has_gone_is_no_warning(folder, caplog, draining, level):
    caplog.set_level("INFO")
    gone = Member(node=2, boot="2" * 16, machine="here", draining=draining)
    siblings = Siblings(Nodes(gone), unix=UnixTransport(folder))
    assert await siblings.request(2, "/") is None
    assert [(one.message, one.levelname) for one in caplog.records] == [
        ("sibling.unreachable", level)
    ]
    await siblings.aclose()


async def test_a_sibling_that_refuses_the_signature_is_not_called_silent(siblings, caplog):
    siblings.note_silence(1, SignatureRefused("set the same cluster.secret on both machines"))
    [told] = caplog.records
    assert (told.message, told.levelname) == ("sibling.signature_refused", "ERROR")
    assert told.why == "set the same cluster.secret on both machines"


async def test_a_sibling_whose_lease_has_run_out_is_not_waited_for_as_long(siblings):
    timing = siblings.timing
    assert siblings.answer_seconds(1) == timing.forwarded
    vars(siblings.members)["others"] = lambda: [member(2)]
    assert siblings.answer_seconds(1) == timing.request < timing.forwarded

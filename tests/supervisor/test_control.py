"""The control socket: what is answered to whom, and that what was begun goes on."""

import asyncio
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.errors import NotFound
from bridge.supervisor.control import Left, control_path, refuse_upgrade, report_calls, serving
from bridge.supervisor.fleet import UpgradeFailed
from bridge.wire import supervision
from bridge.wire.supervision import Done, DrainNodes, Failed, Progress, Spares, Upgrade


@pytest.fixture
def path():
    # Not pytest's folder: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as folder:
        yield control_path(folder)


async def ask(path, line):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    text = await reader.read()
    writer.close()
    return [supervision.reply(one) for one in text.splitlines()]


async def test_a_request_is_reported_on_until_it_is_done(path):
    async def perform(request, report):
        assert request == DrainNodes(node=1)
        report(Progress(text="1 call left", begun=True))

    async with serving(path, perform):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        answers = await ask(path, supervision.serialize(DrainNodes(node=1)))
    assert answers == [Progress(text="1 call left", begun=True), Done()]
    assert not path.exists()


async def test_what_goes_wrong_is_said(path):
    async def perform(_request, _report):
        raise UpgradeFailed("the old ones go on")

    async with serving(path, perform):
        answers = await ask(path, supervision.serialize(Upgrade()))
    assert answers == [Failed(text="the old ones go on")]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"v": 2, "kind": "drain"}\n', b'{"v":1,"kind":"dance"}\n']
)
async def test_what_is_no_request_is_refused(path, line):
    async with serving(path, lambda _request, _report: pytest.fail("not reached")):
        [answer] = await ask(path, line)
    assert isinstance(answer, Failed)


async def test_what_was_begun_goes_on_when_the_client_has_gone(path):
    gone, done = asyncio.Event(), asyncio.Event()

    async def perform(_request, report):
        await gone.wait()
        report(Progress(text="still there"))
        done.set()

    async with serving(path, perform):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(supervision.serialize(Upgrade()))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        gone.set()
        async with asyncio.timeout(5):
            await done.wait()


async def test_a_folder_with_too_long_a_path_has_no_control_socket(tmp_path, caplog):
    async def perform(_request, _report):
        raise NotFound("never")

    async with serving(tmp_path / ("x" * 120) / "control.sock", perform):
        assert "control.unavailable" in caplog.text


@pytest.mark.virtual_time
async def test_calls_that_are_left_are_reported_when_they_change():
    over = asyncio.Event()
    left = [Left(2, 9.0)]
    heard: list[Progress] = []

    def report(reply: Progress | Spares) -> None:
        assert isinstance(reply, Progress)
        heard.append(reply)

    reporting = asyncio.create_task(report_calls(lambda: left[0], over, report))
    await asyncio.sleep(2.5)
    left[0] = Left(1, None)
    await asyncio.sleep(1)
    left[0] = Left(0, None, handed=1)
    await asyncio.sleep(1)
    left[0] = Left(0, None, handed=2)
    await asyncio.sleep(1)
    over.set()
    await reporting
    assert [one.text for one in heard] == [
        "2 calls left, 9 s left",
        "1 call left",
        "1 call handed over, 0 left",
        "2 calls handed over, 0 left",
    ]
    assert all(one.begun for one in heard)


def test_a_single_process_cannot_be_upgraded():
    with pytest.raises(Exception, match="--supervised"):
        refuse_upgrade(Upgrade())
    assert refuse_upgrade(DrainNodes()) == DrainNodes()


def test_the_socket_is_beside_those_of_the_nodes():
    assert control_path("data") == Path("data/nodes/control.sock")

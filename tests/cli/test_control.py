"""`media-bridge drain` and `upgrade`: what is printed, and the exit code."""

import argparse
import socket
import threading
from tempfile import TemporaryDirectory

import pytest

from bridge.cli import control
from bridge.cluster.sockets import listen
from bridge.errors import SetupError
from bridge.supervisor.control import control_path
from bridge.wire import supervision
from bridge.wire.supervision import Done, DrainNodes, Failed, Progress


@pytest.fixture
def bridge():
    """Answer one client on a control socket; return the data folder."""
    with TemporaryDirectory(prefix="bridge-") as data:
        control_path(data).parent.mkdir()
        listener = listen(control_path(data))
        threads: list[threading.Thread] = []
        heard: list[object] = []

        def answer(*replies):
            def serve():
                client, _ = listener.accept()
                with client, client.makefile("rb") as lines:
                    heard.append(supervision.request(lines.readline()))
                    client.sendall(b"".join(map(supervision.serialize, replies)))
                    client.shutdown(socket.SHUT_WR)
                    lines.read()

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            return data, heard

        yield answer
        for thread in threads:
            thread.join(5)
        listener.close()


def arguments(**given):
    return argparse.Namespace(**({"node": None, "seconds": None, "wait": False} | given))


def test_a_drain_returns_once_it_has_begun(bridge, capsys):
    data, heard = bridge(
        Progress(text="2 calls left", begun=True), Progress(text="1 call left", begun=True)
    )
    assert control.drain(data, arguments(node=1, seconds=5.0)) == 0
    assert capsys.readouterr().out == "2 calls left\n"
    assert heard == [DrainNodes(node=1, seconds=5.0)]


@pytest.mark.parametrize("last", [[Done()], []])
def test_with_wait_it_returns_at_the_end_of_the_drain_or_of_the_bridge(bridge, capsys, last):
    data, _ = bridge(
        Progress(text="2 calls left", begun=True), Progress(text="1 call left", begun=True), *last
    )
    assert control.drain(data, arguments(wait=True)) == 0
    assert capsys.readouterr().out == "2 calls left\n1 call left\n"


def test_a_failed_upgrade_says_why(bridge, capsys):
    data, _ = bridge(Progress(text="starting 2 new nodes"), Failed(text="not ready"))
    assert control.upgrade(data, arguments()) == 1
    assert capsys.readouterr() == ("starting 2 new nodes\n", "bridge: not ready\n")


def test_a_bridge_that_ends_meanwhile_has_not_been_upgraded(bridge, capsys):
    data, _ = bridge(Progress(text="starting 2 new nodes"))
    assert control.upgrade(data, arguments(wait=True)) == 1
    assert "has ended" in capsys.readouterr().err


def test_where_no_bridge_runs_that_is_said(tmp_path):
    with pytest.raises(SetupError, match="no bridge answers"):
        control.drain(str(tmp_path), arguments())

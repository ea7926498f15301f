"""Several nodes as processes: started, killed, started anew, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest

from bridge.errors import SettingsError
from bridge.settings.model import Data, Http, Rtc, Settings
from bridge.supervisor.main import run
from tests.support.machine import free_port
from tests.support.server import Server, running

NEVER = "15550100003"
PATIENCE = 90.0
"""Generous: the machine may be busy with other tests."""


def replaced(**changed: Any) -> Settings:
    return msgspec.structs.replace(Settings(), **changed)


# What is refused before anything is started


def test_fewer_media_ports_than_nodes_are_refused(tmp_path):
    settings = replaced(nodes=3, rtc=Rtc(ports="20000-20001"), data=Data(dir=str(tmp_path)))
    with pytest.raises(SettingsError, match=r"rtc\.ports"):
        run(settings)


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = Http(port=taken.getsockname()[1])
        with pytest.raises(SettingsError, match=r"BRIDGE_HTTP__PORT"):
            run(replaced(nodes=2, http=http, data=Data(dir=str(tmp_path))))


# Processes


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def end_reason(server: Server, call_id: str) -> str | None:
    """Return why a call has ended; None also while its node is being taken over."""
    try:
        reason: str | None = server.get(f"/call/{call_id}/quality")["endReason"]
    except HTTPError as error:
        if error.code != 503:
            raise
        return None
    return reason


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def node_of(server: Server, index: int) -> int:
    """The process of a node, as its log tells."""
    ready = [line for line in server.log().splitlines() if f"node.ready node={index} " in line]
    return int(ready[-1].split("pid=")[1].split()[0])


def ready(server: Server) -> bool:
    with suppress(OSError):
        return bool(server.get("/readyz")["status"] == "ready")
    return False


def call_on(server: Server, index: int) -> str:
    """Begin calls until one is on the node."""
    for _ in range(30):
        call_id = str(server.post("/call/dial", {"phone": NEVER})["callId"])
        if call_id.startswith(f"{index:02X}"):
            return call_id
    raise AssertionError(f"node {index} got no call")


@contextmanager
def two_processes(**settings: str) -> Iterator[Server]:
    # Not pytest's folder: its path is too long for a socket.
    with (
        TemporaryDirectory(prefix="bridge-") as folder,
        running(Path(folder), NODES="2", **settings) as server,
    ):
        until(lambda: ready(server), "both nodes take calls")
        yield server


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    with two_processes(LIMITS__CALLS="30") as server:
        yield server
        assert "Traceback" not in server.log()


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """Two nodes without calls, the same for all tests that leave both running."""
    yield shared
    until(lambda: ready(shared), "both nodes are there again")
    shared.end_calls()


@pytest.mark.full
def test_a_node_stays_on_its_processor_with_its_ports(server: Server):
    cores = sorted(os.sched_getaffinity(0))
    on = [os.sched_getaffinity(node_of(server, index)) for index in (0, 1)]
    assert on == ([{core} for core in cores[:2]] if len(cores) > 1 else [set(cores)] * 2)
    text = server.text("/metrics").splitlines()
    free = [line for line in text if line.startswith('bridge_media_ports{state="free"')]
    assert [float(line.split()[-1]) for line in free] == [10.0, 10.0]


@pytest.mark.full
def test_a_second_bridge_is_kept_out_of_the_data_folder(server: Server):
    second = subprocess.run(
        [sys.executable, "-m", "bridge"],
        env=os.environ
        | {
            "BRIDGE_NODES": "2",
            "BRIDGE_DATA__DIR": str(server.folder / "data"),
            "BRIDGE_HTTP__PORT": str(free_port()),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert "data.dir" in second.stderr


def test_a_killed_node_ends_its_calls_alone_and_is_started_anew(server: Server):
    kept, lost = call_on(server, 0), call_on(server, 1)
    before = node_of(server, 1)
    os.kill(before, signal.SIGKILL)
    until(
        lambda: end_reason(server, lost) == "node_lost",
        "the others know",
    )
    until(lambda: ready(server), "the node is there again")
    assert node_of(server, 1) not in (before, node_of(server, 0))
    for _ in range(10):
        assert server.get(f"/call/{lost}/quality")["endReason"] == "node_lost"
        assert server.get(f"/call/{kept}/quality")["endReason"] is None
    listed = [call["callId"] for call in server.get("/call/status")["calls"]]
    assert kept in listed
    assert lost not in listed
    assert 'reason="node_lost",node="1"} ' in server.text("/metrics")


@pytest.mark.full
def test_calls_of_a_killed_node_make_room_for_others(server: Server):
    lost = call_on(server, 1)
    os.kill(node_of(server, 1), signal.SIGKILL)
    until(
        lambda: end_reason(server, lost) == "node_lost",
        "the others know",
    )
    live = len(server.get("/call/status")["calls"])
    for _ in range(30 - live):
        server.post("/call/dial", {"phone": NEVER})
    until(lambda: ready(server), "the node is there again")
    assert len(server.get("/call/status")["calls"]) == 30


@pytest.mark.full
def test_a_node_that_hangs_is_killed_and_started_anew_and_its_calls_are_lost(server: Server):
    kept, lost = call_on(server, 0), call_on(server, 1)
    before = node_of(server, 1)
    os.kill(before, signal.SIGSTOP)
    until(lambda: "node.stuck" in server.log(), "the supervisor has noticed")
    until(lambda: ready(server), "the node is there again")
    assert not alive(before)
    assert node_of(server, 1) != before
    assert server.get(f"/call/{lost}/quality")["endReason"] == "node_lost"
    assert server.get(f"/call/{kept}/quality")["endReason"] is None
    text = server.text("/metrics")
    assert 'bridge_node_restarts_total{reason="stuck",node="1"} 1.0' in text
    assert 'bridge_node_restarts_total{reason="stuck",node="0"} 0.0' in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.full
def test_a_stop_is_passed_on_and_leaves_nothing(number):
    with two_processes() as server:
        until(lambda: len(children(server.process.pid)) == 3, "there is a spare")
        nodes = children(server.process.pid)
        call_on(server, 0)
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE) == 0
        assert not any(map(alive, nodes))
        assert server.log().count("node.stopping") == 2
        assert "node.lost" not in server.log()


@pytest.mark.full
def test_nodes_whose_supervisor_is_killed_stop_by_themselves():
    with two_processes() as server:
        nodes = children(server.process.pid)
        server.process.kill()
        server.process.wait(PATIENCE)
        until(lambda: not any(map(alive, nodes)), "the nodes have ended")
        assert server.log().count("supervisor.lost") == 2


@pytest.mark.full
def test_a_node_that_cannot_start_stops_them_all():
    with TemporaryDirectory(prefix="bridge-") as folder:
        refused = subprocess.run(
            [sys.executable, "-m", "bridge"],
            env=os.environ
            | {
                "BRIDGE_NODES": "2",
                "BRIDGE_DATA__DIR": folder,
                "BRIDGE_HTTP__PORT": str(free_port()),
                "BRIDGE_HTTP__TLS_CERT": "nothing.pem",
                "BRIDGE_HTTP__TLS_KEY": "nothing.pem",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 2
    assert "http.tls_cert" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.full
def test_nodes_that_all_die_before_they_live_are_given_up(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif '--node' in sys.orig_argv:\n    os._exit(70)\n"
    )
    given_up = subprocess.run(
        [sys.executable, "-m", "bridge"],
        env=os.environ
        | {
            "BRIDGE_NODES": "2",
            "BRIDGE_DATA__DIR": str(tmp_path / "data"),
            "BRIDGE_HTTP__PORT": str(free_port()),
            "PYTHONPATH": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert given_up.returncode == 2
    assert "a node could not start" in given_up.stderr


def test_one_node_is_one_process(tmp_path):
    with running(tmp_path, NODES="1") as server:
        commands = [
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(server.process.pid)
        ]
        assert not any(b"--node" in command for command in commands)
        assert [path.name for path in (tmp_path / "data" / "nodes").iterdir()] == ["control.sock"]

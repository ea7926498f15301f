"""A node's process as its supervisor sees it, with a small program in place of the node."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bridge
from bridge.supervisor import process
from bridge.supervisor.process import NodeProcess
from bridge.wire.supervision import Process, Roster, Slot

PYTHON = sys.executable
START = """
import json, os, signal, sys, time
slot = json.loads(sys.stdin.readline())
def tell(**message):
    os.write(slot["pipe"], (json.dumps({"v": 1} | message) + "\\n").encode())
"""


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Run a text in place of a node."""

    def use(text: str, *, hang_seconds: float = 60.0) -> NodeProcess:
        (tmp_path / "node.py").write_text(START + text)
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\nexec {PYTHON} {tmp_path}/node.py\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return NodeProcess(slot(), keeps=True, hang_seconds=hang_seconds)

    return use


def slot(**more: Any) -> Slot:
    return Slot(
        node=1,
        boot="00ff",
        run="00",
        count=1,
        listeners=[],
        ports="1-2",
        settings=msgspec.Raw(b"{}"),
        **more,
    )


@pytest.mark.real_time  # another process
async def test_a_node_says_when_it_is_ready_and_how_many_calls_it_has(program):
    node = program('tell(kind="ready", node=1); tell(kind="calls", calls=3); sys.stdin.readline()')
    running = asyncio.create_task(node.run())
    await node.ready_or_ended.wait()
    assert node.ready
    node.stop()
    end = await running
    assert (end.code, end.stuck, end.drained, node.calls) == (0, False, False, 3)


@pytest.mark.real_time
async def test_the_last_roster_of_before_its_start_is_in_its_slot_and_orders_follow(program):
    node = program(
        "nodes = slot['roster']['nodes']\n"
        "kind = json.loads(sys.stdin.readline())['kind']\n"
        "sys.exit(7 if (len(nodes), kind) == (2, 'drain') else 1)"
    )
    node.send(Roster(nodes=[]))
    node.send(Roster(nodes=[Process(0, "aa"), Process(1, "bb")]))
    node.drain(5.0, "test")
    assert node.entry() == Process(1, "00ff", draining=True)
    assert (await node.run()).code == 7


@pytest.mark.real_time
async def test_a_node_that_drained_says_so_at_its_end(program):
    assert (await program('tell(kind="drained")').run()).drained


@pytest.mark.real_time
async def test_what_a_node_says_that_makes_no_sense_is_ignored(program):
    node = program(
        'os.write(slot["pipe"], b"\\n\\xff\\n{}\\n"); tell(kind="dance"); tell(kind="drained")'
    )
    assert (await node.run()).drained


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)


@pytest.mark.real_time
@pytest.mark.usefixtures("hurry")
async def test_a_node_that_does_not_stop_in_time_is_killed(program):
    node = program('tell(kind="ready", node=1); time.sleep(60)')
    running = asyncio.create_task(node.run())
    await node.ready_or_ended.wait()
    node.stop()
    end = await running
    assert (end.code, end.stuck) == (-9, False)


@pytest.mark.real_time
async def test_a_node_whose_beats_stop_is_killed_as_stuck(program):
    node = program('os.write(slot["pipe"], b"\\n"); time.sleep(60)', hang_seconds=0.5)
    end = await node.run()
    assert (end.code, end.stuck) == (-9, True)


@pytest.mark.full
def test_a_module_in_the_working_directory_is_not_imported(tmp_path, monkeypatch):
    package = Path(bridge.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(package))  # as if it was installed
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from the working directory')")
    monkeypatch.chdir(tmp_path)
    ran = subprocess.run([*process.interpreter(), "--version"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "webrtc" in ran.stdout or "bridge" in ran.stdout


def test_in_a_checkout_a_node_runs_its_code(monkeypatch, tmp_path):
    monkeypatch.chdir(Path(bridge.__file__).parents[1])
    assert "-P" not in process.interpreter()
    monkeypatch.chdir(tmp_path)
    assert "-P" in process.interpreter()


@pytest.mark.real_time
async def test_a_node_that_dies_leaves_what_it_wanted_to_be_kept_to_the_next(program):
    node = program("""
import socket
keep = socket.socket(fileno=slot["keep"])
def kept(kind, *descriptors, **message):
    text = json.dumps({"v": 1, "kind": kind} | message).encode()
    socket.send_fds(keep, [text], descriptors)
def memory(content):
    made = os.memfd_create("test")
    os.write(made, content)
    return made
kept("ledger", memory(b"ledger"))
kept("keep", memory(b"old"), memory(b"old"), call_id="one")
kept("keep", memory(b"two"), memory(b"two"), call_id="two")
kept("keep", memory(b"call"), memory(b"claim"), memory(b"socket"), call_id="one")
kept("forget", call_id="two")
os.kill(os.getpid(), signal.SIGKILL)
""")
    assert (await node.run()).code == -9
    [left] = node.left
    node.left = []
    program("""
def content(descriptor):
    return os.pread(descriptor, 100, 0).decode()
[one] = slot["inherited"]
found = [content(each) for each in (one["ledger"], one["snapshot"], *one["descriptors"])]
assert found == ["ledger", "call", "claim", "socket"], found
assert (one["call_id"], one["boots"]) == ("one", ["00ff"])
sys.exit(7)
""")
    successor = NodeProcess(slot(inherited=[left.inherited()]))
    assert (await successor.run()).code == 7
    left.close()
    assert successor.left == []

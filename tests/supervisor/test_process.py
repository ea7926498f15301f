"""A node's process as its supervisor sees it, with a small program in place of the node."""

import asyncio
import os
import sys
from typing import Any

import msgspec
import pytest

from bridge.supervisor import process
from bridge.supervisor.child import Child
from bridge.supervisor.process import NodeProcess
from bridge.wire.supervision import Inherited, Prepare, Process, Roster, Slot

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


@pytest.mark.real_time
async def test_a_process_that_was_started_before_gets_the_slot_and_then_the_descriptors_of_calls(
    program, tmp_path
):
    node = program("""
import socket
assert slot["kind"] == "prepare", slot
tell(kind="prepared")
slot = json.loads(sys.stdin.readline())
assert slot["passed"] and slot["roster"]["nodes"] == [], slot
keep = socket.socket(fileno=slot["keep"])
found = []
for one in slot["inherited"]:
    text, descriptors, _, _ = socket.recv_fds(keep, 10, 10)
    assert len(descriptors) == 2 + len(one["descriptors"])
    found += [os.pread(each, 100, 0).decode() for each in descriptors]
assert found == [*"abcabd"], found
sys.exit(7)
""")
    child = await Child.start([], keeps=True)
    child.send(Prepare(settings=msgspec.Raw(b"{}"), pipe=child.pipe, keep=child.keep))
    child.prepared = True
    files = {}
    for name in "abcd":
        (tmp_path / name).write_text(name)
        files[name] = os.open(tmp_path / name, os.O_RDONLY)
    calls = [
        Inherited(
            call_id=last,
            node=1,
            boots=["aa"],
            died_at=0.0,
            ledger=files["a"],
            snapshot=files["b"],
            descriptors=[files[last]],
        )
        for last in "cd"
    ]
    node = NodeProcess(slot(inherited=calls), keeps=True)
    node.spare = child
    assert (await node.run()).code == 7
    for descriptor in files.values():
        os.close(descriptor)


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

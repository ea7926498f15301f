"""The SIP sockets of a machine, used by several nodes."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bridge.sip.boundary import Local, Target
from bridge.trunk.queue import MAX_BATCH, MAX_WAITING
from bridge.trunk.shared import (
    CONNECT_PATH,
    LOCK_SECONDS,
    MAX_MOVED,
    Passed,
    SharedSockets,
    tag_of,
)
from tests.support.waiting import until

PEER = Target("udp", "192.0.2.1", 5060, 1)
OURS = b"From: <sip:a@x>;tag=%b\r\nTo: <sip:b@y>;tag=%b\r\n\r\n"

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("message", "tag"),
    [
        (b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"00-far", b"03-abc"), "03-abc"),
        (b"SIP/2.0 200 OK\r\n" + OURS % (b"0f-abc", b"03-far"), "0f-abc"),
        (b"INFO sip:a@x SIP/2.0\r\nt: <sip:b@y> ; Tag = 02-X;a=b\r\n\r\n", "02-x"),
        (b"INVITE sip:a@x SIP/2.0\r\nTo: <sip:b@y>\r\nFrom: <sip:c@z>;tag=01-x\r\n\r\n", None),
        (b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"a", b"abc"), None),
        (b'BYE sip:a@x SIP/2.0\r\nTo: ";tag=01-x" <sip:b@y;tag=02-x>\r\n\r\n', None),
        (b"garbage", None),
    ],
)
def test_our_tag_of_a_dialog_is_found_in_its_messages(message, tag):
    assert tag_of(message) == tag


class Sockets:
    """Sockets that remember."""

    shared = False

    def adopt(self, tag: str) -> None:
        raise AssertionError("only nodes that share sockets take over dialogs")

    def __init__(self) -> None:
        self.on_message: Callable[[bytes, Target], None] = lambda _data, _source: None
        self.on_failure: Callable[[Target], None] = lambda _target: None
        self.sent: list[tuple[bytes, Target]] = []
        self.opened = 0
        self.kept: list[Target] = []

    async def run(self, opened):
        self.opened += 1
        opened()
        await asyncio.Event().wait()

    async def connect(self, target, *, owner, name):
        if target.port == 9:
            raise OSError(errno.ECONNREFUSED, "Connection refused")
        return Target(target.transport, target.host, target.port, 7)

    def send(self, data, target):
        self.sent.append((data, target))

    def local(self, target):
        return Local("198.51.100.1", 5060)

    def mark_trusted(self, source):
        self.trusted = source

    def keep(self, target):
        self.kept.append(target)


class Machine:
    """Two nodes whose requests reach each other."""

    def __init__(self, folder: Path) -> None:
        self.shared: list[SharedSockets] = []
        self.sockets = [Sockets(), Sockets()]
        self.tasks: list[asyncio.Future[None]] = []
        self.dropped: list[str] = []
        self.silent = False
        for own in range(2):
            nodes = Node(self, own)
            made = SharedSockets(
                self.sockets[own],
                nodes=nodes,
                folder=folder,
                known=lambda host: host == PEER.host,
                count_drop=self.dropped.append,
            )
            self.shared.append(made)


class Node:
    def __init__(self, machine, own):
        self.machine = machine
        self.own = own

    def neighbours(self):
        return [1 - self.own]

    async def request(self, node, path, headers=None, body=None, /):
        await asyncio.sleep(0.001)
        if self.machine.silent:
            return None
        other = self.machine.shared[node]
        if path == CONNECT_PATH:
            return await other.take_connect(body)
        other.take(body)
        return b""


@pytest.fixture
async def machine(tmp_path):
    made = Machine(tmp_path)
    tasks = made.tasks
    for shared in made.shared:
        opened = asyncio.Event()
        tasks.append(asyncio.ensure_future(shared.run(opened.set)))
        await opened.wait()
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_node_has_the_sockets_and_the_next_takes_them_when_it_is_gone(machine):
    second = machine.shared[1]
    owned = []
    second.on_owned = lambda: owned.append(second.owns)
    assert [shared.owns for shared in machine.shared] == [True, False]
    machine.tasks[0].cancel()
    await until(lambda: second.owns, timeout=3 * LOCK_SECONDS)
    assert owned == [True]
    assert [sockets.opened for sockets in machine.sockets] == [1, 1]


async def test_what_a_node_without_sockets_sends_goes_out_in_order_by_the_other(machine):
    second = machine.shared[1]
    target = await second.connect(Target("tls", "192.0.2.1", 5061), owner="office", name="x")
    assert (target.connection, second.local(target)) == (7, Local("198.51.100.1", 5060))
    for number in range(120):
        second.send(b"%d" % number, target)
    await until(lambda: len(machine.sockets[0].sent) == 120)
    assert [data for data, _ in machine.sockets[0].sent] == [b"%d" % n for n in range(120)]


async def test_a_target_that_cannot_be_reached_is_refused_to_the_node_that_asked(machine):
    with pytest.raises(OSError, match="refused"):
        await machine.shared[1].connect(Target("udp", "192.0.2.1", 9), owner="office", name="x")
    machine.silent = True
    with pytest.raises(OSError, match="does not answer"):
        await machine.shared[1].connect(PEER, owner="office", name="x")


async def test_messages_of_a_dialog_reach_its_node_and_those_that_begin_one_stay(machine):
    heard: list[list[tuple[bytes, Target]]] = [[], []]
    for shared, node in zip(machine.shared, heard, strict=True):
        shared.on_message = lambda data, source, node=node: node.append((data, source))
    bye = b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"far", b"01-abc")
    invite = b"INVITE sip:a@x SIP/2.0\r\nTo: <sip:b@y>\r\n\r\n"
    unknown = b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"far", b"ff-abc")
    for message in (bye, invite, unknown):
        machine.sockets[0].on_message(message, PEER)
    await until(lambda: heard[1])
    assert heard == [[(invite, PEER), (unknown, PEER)], [(bye, PEER)]]


async def test_a_lost_connection_is_told_to_all_nodes(machine):
    lost: list[Target] = []
    for shared in machine.shared:
        shared.on_failure = lost.append
    machine.sockets[0].on_failure(PEER)
    await until(lambda: lost == [PEER, PEER])


BYE = b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"far", b"01-abc")
STRANGER = Target("udp", "203.0.113.66", 5060, 1)


async def test_messages_of_strangers_leave_a_trunk_its_share_of_the_queue_to_another_node(machine):
    heard: list[Target] = []
    machine.shared[1].on_message = lambda _data, source: heard.append(source)
    for _ in range(2 * MAX_WAITING):
        machine.sockets[0].on_message(BYE, STRANGER)
    for _ in range(100):
        machine.sockets[0].on_message(BYE, PEER)
    await until(lambda: heard.count(PEER) == 100)
    assert heard.count(STRANGER) < 2 * MAX_BATCH + 100  # nor does it wait behind all of theirs
    assert machine.dropped == ["buffer_full"] * MAX_WAITING


async def test_answers_to_strangers_leave_a_trunk_its_share_of_the_queue_to_the_sockets(machine):
    for _ in range(2 * MAX_WAITING):
        machine.shared[1].send(b"x", STRANGER)
    machine.shared[1].send(b"to the trunk", PEER)
    await until(lambda: (b"to the trunk", PEER) in machine.sockets[0].sent)
    assert len(machine.sockets[0].sent) < 2 * MAX_BATCH


async def test_what_no_node_takes_is_dropped_and_counted(machine):
    machine.silent = True
    for _ in range(MAX_WAITING + 60):
        machine.shared[1].send(b"x", PEER)
    assert machine.dropped.count("buffer_full") >= 10
    await until(lambda: "no_owner" in machine.dropped)


def listens(machine) -> list[list[bytes]]:
    """What each node hears from now on."""
    heard: list[list[bytes]] = [[], []]
    for shared, node in zip(machine.shared, heard, strict=True):
        shared.on_message = lambda data, _source, node=node: node.append(data)
    return heard


def bye(tag: bytes) -> bytes:
    return b"BYE sip:a@x SIP/2.0\r\n" + OURS % (b"far", tag)


async def test_messages_of_a_dialog_come_to_the_node_that_has_taken_it_over(machine):
    heard = listens(machine)
    machine.shared[1].adopt("00-moved")
    await until(lambda: machine.shared[0].moved)
    for tag in (b"00-moved", b"00-stayed"):
        machine.sockets[0].on_message(bye(tag), PEER)
    await until(lambda: heard[1])
    assert heard == [[bye(b"00-stayed")], [bye(b"00-moved")]]


async def test_a_dialog_that_comes_back_is_heard_here_again(machine):
    heard = listens(machine)
    machine.shared[1].adopt("00-moved")
    await until(lambda: machine.shared[0].moved)
    machine.shared[0].adopt("00-moved")
    await until(lambda: not machine.shared[1].adopted)
    machine.sockets[0].on_message(bye(b"00-moved"), PEER)
    assert heard == [[bye(b"00-moved")], []]


async def test_a_node_that_gets_the_sockets_asks_who_has_which_dialog(machine):
    heard = listens(machine)
    machine.silent = True  # nobody is told
    machine.shared[0].adopt("0a-moved")
    await until(lambda: "no_owner" in machine.dropped)
    machine.silent = False
    machine.shared[0].leave()
    await until(lambda: machine.shared[1].owns, timeout=3 * LOCK_SECONDS)
    await until(lambda: machine.shared[1].moved)
    machine.sockets[1].on_message(bye(b"0a-moved"), PEER)
    await until(lambda: heard[0])
    assert heard == [[bye(b"0a-moved")], []]


async def test_dialogs_that_have_moved_are_remembered_within_bounds(machine):
    tags = {f"0a-{number}": float(number) for number in range(MAX_MOVED + 10)}
    moved = Passed("moved", Target("udp", "", 0, 1), msgspec.msgpack.encode(tags))
    machine.shared[0].take(msgspec.msgpack.encode([moved]))
    assert len(machine.shared[0].moved) == MAX_MOVED
    assert "0a-0" not in machine.shared[0].moved


async def test_the_connections_of_another_nodes_calls_are_kept_too(machine):
    for shared in machine.shared:
        shared.keep(PEER)
    await until(lambda: machine.sockets[0].kept == [PEER, PEER])
    assert machine.sockets[0].sent == []

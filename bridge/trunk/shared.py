"""The SIP sockets of a machine with several nodes: one node has them, the others use them through it.

Whoever holds the lock on a file has the sockets and keeps the trunks; when its process ends, the kernel gives the lock to
the next. A message of a dialog goes to the node that owns the call, which our tag in it names, unless another one has
told that it has taken the call over; a new call stays with the node that has the sockets. Between the nodes they go over the siblings' Unix sockets, in order.
"""

import asyncio
import errno
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from bridge.sip.boundary import Local, Target
from bridge.tasks import Tasks
from bridge.trunk.interfaces import SipTransport
from bridge.trunk.queue import SipQueue

MESSAGES_PATH: Final = "/node/sip"
CONNECT_PATH: Final = "/node/sip/connect"
LOCK: Final = "sip.lock"
"""In the nodes' folder; contains the number of the node that has the sockets."""
LOCK_SECONDS: Final = 1.0
"""Between attempts to acquire the lock."""
MAX_KNOWN: Final = 1024
"""Targets whose local address is remembered."""

MAX_MOVED: Final = 10_000
"""Dialogs that are remembered as another node's than their tag says."""

_OUR_TAG: Final = re.compile(
    rb";[ \t]*tag[ \t]*=[ \t]*([0-9a-f]{2}-[^\s;,<>]{1,64})", re.IGNORECASE
)
_FROM: Final = re.compile(rb"^(?:from|f)[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)
_TO: Final = re.compile(rb"^(?:to|t)[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)


class Nodes(Protocol):
    """The other nodes (`cluster.siblings.Siblings`)."""

    @property
    def own(self) -> int:
        """This node's number."""

    def neighbours(self) -> list[int]:
        """Return the numbers of the other nodes of this machine."""

    async def request(
        self, node: int, path: str, headers: None = None, body: bytes | None = None, /
    ) -> bytes | None:
        """POST `body` to a node; None when it does not answer."""


class Passed(msgspec.Struct, array_like=True):
    """What one node passes to another."""

    kind: Literal["received", "send", "failed", "moved", "asked"]
    """`moved`: the node that is the target's connection has taken over the dialogs with the tags in `data`; `asked`: it
    asks for those that others have."""
    target: Target
    data: bytes = b""
    local: Local | None = None
    """How we are named to the sender of what was received."""


class Connect(msgspec.Struct, array_like=True):
    """A target to connect to."""

    target: Target
    owner: str
    name: str


class Connected(msgspec.Struct, array_like=True):
    """A target with its socket, and how we are named to it; `error` if it cannot be reached."""

    target: Target
    local: Local | None = None
    error: str = ""


class SharedSockets:
    """The sockets as one of several nodes uses them (`trunk.interfaces.SipTransport`)."""

    shared = True

    def __init__(
        self,
        sockets: SipTransport,
        *,
        nodes: Nodes,
        folder: Path,
        known: Callable[[str], bool] = lambda _: False,
        count_drop: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`sockets` are opened once this node has the lock in `folder`; `known` says whether an address is a trunk's."""
        self.on_message: Callable[[bytes, Target], None] = lambda _data, _source: None
        self.on_failure: Callable[[Target], None] = lambda _target: None
        self.on_owned: Callable[[], None] = lambda: None
        """Called when this node has got the sockets."""
        self.owns = False
        """Whether this node has the sockets."""
        self._sockets = sockets
        self._nodes = nodes
        self._lock = folder / LOCK
        self._known = known
        self._count_drop = count_drop
        self._locals: dict[Target, Local] = {}
        self.adopted: dict[str, float] = {}
        """Our tags of the dialogs of other nodes that this one has taken over, and when (monotonic seconds)."""
        self.moved: dict[str, tuple[int, float]] = {}
        """The same of such dialogs elsewhere, with their nodes."""
        self._waiting: dict[int, SipQueue[Passed]] = {}
        self._passing: set[int] = set()
        self._leaving = asyncio.Event()
        self._tasks = Tasks()
        sockets.on_message = self._arrived
        sockets.on_failure = self._failed

    async def run(self, opened: Callable[[], None]) -> None:
        """Take messages until cancelled, by sockets of this node once no other has them.

        Calls `opened` at once where another node has them.

        Raises:
            SettingsError: an address to listen on cannot be bound.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        loop = asyncio.get_running_loop()
        owning = loop.create_task(self._own(descriptor, opened), name="sip.shared")
        leaving = loop.create_task(self._leaving.wait(), name="sip.leave")
        try:
            await asyncio.wait((owning, leaving), return_when=asyncio.FIRST_COMPLETED)
            if owning.done():
                await owning
            await _end(owning, leaving)
            self.owns = False
            os.close(descriptor)
            descriptor = -1
            await loop.create_future()  # until cancelled; another node sends for this one
        finally:
            self.owns = False
            await _end(owning, leaving)
            if descriptor >= 0:
                os.close(descriptor)
            await self._tasks.aclose()

    async def _own(self, descriptor: int, opened: Callable[[], None]) -> None:
        waited = False
        while not _try_lock(descriptor):
            if not waited:
                opened()
            waited = True
            await asyncio.sleep(LOCK_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(self._nodes.own).encode(), 0)
        self.owns = True
        for node in self._nodes.neighbours():
            self._tell(node, "asked")

        def listens() -> None:
            if not waited:
                opened()
            self.on_owned()

        await self._sockets.run(listens)

    def leave(self) -> None:
        """Leave the sockets to another node, which then sends and passes on what is for this one's dialogs."""
        self._leaving.set()

    async def connect(self, target: Target, *, owner: str, name: str) -> Target:
        """Return a target with the socket to reach it by, or raise `OSError`."""
        if self.owns:
            return await self._sockets.connect(target, owner=owner, name=name)
        asked = msgspec.msgpack.encode(Connect(target, owner, name))
        holder = self._holder()
        answer = (
            None if holder is None else await self._nodes.request(holder, CONNECT_PATH, None, asked)
        )
        if answer is None:
            raise OSError(errno.EHOSTUNREACH, "the node with the SIP sockets does not answer")
        connected = msgspec.msgpack.decode(answer, type=Connected)
        if connected.local is None:
            raise OSError(errno.EHOSTUNREACH, connected.error)
        self._know(connected.target, connected.local)
        return connected.target

    def send(self, data: bytes, target: Target) -> None:
        """Send a message."""
        if self.owns:
            self._sockets.send(data, target)
        elif (holder := self._holder()) is not None:
            self._pass(holder, Passed("send", target, data))
        else:
            self._count_drop("no_owner")

    def keep(self, target: Target) -> None:
        """Note that a connection is in use."""
        if self.owns:
            self._sockets.keep(target)
        elif (holder := self._holder()) is not None:
            self._pass(
                holder, Passed("send", target)
            )  # nothing, which is an older node's word for it too

    def local(self, target: Target) -> Local:
        """Return how to name ourselves to a target."""
        if not self.owns and (known := self._locals.get(target)) is not None:
            return known
        found = self._sockets.local(target)
        if self.owns:
            self._know(target, found)  # for when another node has them
        return found

    def adopt(self, tag: str) -> None:
        """Have the messages of another node's dialog come to this one."""
        self.adopted[tag] = asyncio.get_running_loop().time()
        self.moved.pop(tag, None)
        for node in self._nodes.neighbours():
            self._tell(node, "moved", tag)

    def mark_trusted(self, source: Target) -> None:
        """Note that somebody may call, whose connection is to be kept."""
        if self.owns:
            self._sockets.mark_trusted(source)

    # What the other nodes pass

    def take(self, body: bytes) -> None:
        """Take what another node passes.

        Raises:
            msgspec.MsgspecError: it is malformed.
        """
        for passed in msgspec.msgpack.decode(body, type=list[Passed]):
            match passed.kind:
                case "received":
                    if passed.local is not None:
                        self._know(passed.target, passed.local)
                    self.on_message(passed.data, passed.target)
                case "failed":
                    self.on_failure(passed.target)
                case "moved":
                    moved = msgspec.msgpack.decode(passed.data, type=dict[str, float])
                    for tag, at in moved.items():
                        self._note_moved(tag, passed.target.connection, at)
                case "asked":
                    self._tell(passed.target.connection, "moved", *self.adopted)
                case "send" if self.owns:
                    self._send(passed.data, passed.target)
                case "send":
                    self._count_drop("no_owner")

    async def take_connect(self, body: bytes) -> bytes:
        """Connect for another node, and return the answer.

        Raises:
            msgspec.MsgspecError: it is malformed.
        """
        asked = msgspec.msgpack.decode(body, type=Connect)
        if not self.owns:
            answer = Connected(asked.target, error="this node does not have the SIP sockets")
        else:
            try:
                target = await self._sockets.connect(
                    asked.target, owner=asked.owner, name=asked.name
                )
                answer = Connected(target, self._sockets.local(target))
            except OSError as error:
                answer = Connected(asked.target, error=error.strerror or "it cannot be reached")
        return msgspec.msgpack.encode(answer)

    def _send(self, data: bytes, target: Target) -> None:
        """Send what another node passes; nothing keeps the connection."""
        if data:
            self._sockets.send(data, target)
        else:
            self._sockets.keep(target)

    def _arrived(self, data: bytes, source: Target) -> None:
        tag = tag_of(data)
        node = None if tag is None else self.moved.get(tag, (int(tag[:2], 16),))[0]
        if tag in self.adopted or node is None or node not in self._nodes.neighbours():
            self.on_message(data, source)
        else:
            self._pass(node, Passed("received", source, data, self._sockets.local(source)))

    def _failed(self, target: Target) -> None:
        self.on_failure(target)
        for node in self._nodes.neighbours():
            self._pass(node, Passed("failed", target))

    def _holder(self) -> int | None:
        """Return the node that has the sockets; None while none has said so."""
        try:
            text = self._lock.read_text()
        except OSError:
            return None
        node = int(text) if text.isdecimal() else None
        return None if node == self._nodes.own else node

    def _tell(self, node: int, kind: Literal["moved", "asked"], *tags: str) -> None:
        """Tell a node of dialogs that this one has taken over, or ask it for those that it has."""
        me = Target("udp", "", 0, self._nodes.own)  # no address: nobody outside has sent it
        moved = {tag: self.adopted[tag] for tag in tags}
        self._pass(node, Passed(kind, me, msgspec.msgpack.encode(moved)))

    def _note_moved(self, tag: str, node: int, at: float) -> None:
        """Note who has a dialog since then, unless somebody has taken it over after that."""
        if at < max(self.adopted.get(tag, 0.0), self.moved.get(tag, (0, 0.0))[1]):
            return
        self.adopted.pop(tag, None)
        self.moved.pop(tag, None)
        self.moved[tag] = node, at
        if len(self.moved) > MAX_MOVED:
            del self.moved[next(iter(self.moved))]

    def _know(self, target: Target, local: Local) -> None:
        self._locals.pop(target, None)
        self._locals[target] = local
        if len(self._locals) > MAX_KNOWN:
            del self._locals[next(iter(self._locals))]

    def _pass(self, node: int, passed: Passed) -> None:
        waiting = self._waiting.setdefault(node, SipQueue())
        known = not passed.target.host or self._known(passed.target.host)
        if not waiting.put(passed, len(passed.data), known=known):
            self._count_drop("buffer_full")
            return
        if node not in self._passing:
            self._passing.add(node)
            self._tasks.spawn(self._pass_all(node, waiting), name=f"sip.pass {node}")

    async def _pass_all(self, node: int, waiting: SipQueue[Passed]) -> None:
        try:
            while waiting:
                body = msgspec.msgpack.encode(waiting.take())
                if await self._nodes.request(node, MESSAGES_PATH, None, body) is None:
                    self._count_drop("no_owner")
        finally:
            self._passing.discard(node)


def tag_of(data: bytes) -> str | None:
    """Return our tag in a message, which begins with the number of a node; None where it has none.

    It is that of To in requests, and that of From in responses to requests of ours.
    """
    header = (_FROM if data.startswith(b"SIP/") else _TO).search(data)
    tag = None if header is None else _OUR_TAG.search(header[1].rpartition(b">")[2])
    return None if tag is None else tag[1].decode("ascii", "replace").lower()


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

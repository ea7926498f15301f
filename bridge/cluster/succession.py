"""What a node leaves to the process that is started in its place if it dies, and what it has been left.

Copies of its live calls go to the supervisor, each in memory of its own that can only be read, with duplicates of the
call's descriptors: the supervisor keeps them, and reads nothing. What changes with every packet is in the node's ledger
(`wire.rtp.used_numbers`). Each copy has a claim, as an offer of a handover has: it is taken once the
copy is out of date, and by the successor. So a call goes on from at most one copy, and from none that is more than
`POLL_SECONDS` older than its last event.
"""

import asyncio
import ctypes
import fcntl
import logging
import mmap
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from bridge.call.model import CallId
from bridge.cluster.descriptor_channel import CLOSE_ON_EXEC, Claim, close_all
from bridge.errors import HandoverRefused
from bridge.stores.handover import Move
from bridge.stores.nodes import Member
from bridge.wire import supervision
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.handover import MAX_DESCRIPTORS
from bridge.wire.rtp.used_numbers import BYTES, Ledger
from bridge.wire.supervision import MAX_STRIKES, PASSED, Forget, Inherited, Keep, KeepLedger

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
"""Between two looks at which calls have changed."""
FRESH_SECONDS: Final = 60.0
"""How old a copy of a call that has not changed may be: what was received since is not known to a successor."""
PASS_SECONDS: Final = 5.0
"""How long the descriptors of an inherited call may take."""
AT_ONCE: Final = 8
"""Copies made in one look."""
BEHIND_SECONDS: Final = 0.02
"""Between two looks while there are more to make, as after a takeover: calls that are not copied end if the process dies."""


class CallCopies(Protocol):
    """What of `node.handover.Handover` this needs."""

    def revisions(self) -> dict[CallId, int]:
        """Return the live calls, with a number that grows when one changes."""

    def copied(self, call_id: CallId) -> AbstractContextManager[tuple[bytes, list[int]]]:
        """Give a call's snapshot and descriptors, while it stands still; raises `HandoverRefused`."""


def receive_inherited(keep: int, inherited: Sequence[Inherited]) -> list[Inherited]:
    """Return inherited calls with descriptors of this process, which the supervisor sends over the socket `keep`.

    Those whose descriptors do not come, because there is no room for them, are missing.
    """
    received: list[Inherited] = []
    channel = socket.socket(fileno=os.dup(keep))
    channel.settimeout(PASS_SECONDS)
    with channel, suppress(OSError):
        for one in inherited:
            _, descriptors, flags, _ = socket.recv_fds(
                channel, len(PASSED), 2 + MAX_DESCRIPTORS, CLOSE_ON_EXEC
            )
            if flags & socket.MSG_CTRUNC or len(descriptors) != 2 + len(one.descriptors):
                close_all(descriptors)
                continue
            ledger, snapshot, *others = descriptors
            received.append(
                msgspec.structs.replace(one, ledger=ledger, snapshot=snapshot, descriptors=others)
            )
    if len(received) < len(inherited):
        log.error("succession.calls_missing", extra={"calls": len(inherited) - len(received)})
    return received


class Succession:
    """One node's ledger, its socket to the supervisor, and what the process before it has left."""

    def __init__(self, keep: int, inherited: Sequence[Inherited]) -> None:
        """Own the descriptors."""
        self.inherited = list(inherited)
        self.later = list[Inherited]()
        """Of these, those that wait until the lines are known."""
        for one in self.inherited:
            for descriptor in (one.ledger, one.snapshot, *one.descriptors):
                with suppress(OSError):
                    os.set_inheritable(descriptor, False)  # noqa: FBT003
        self.socket = socket.socket(fileno=keep)
        self.socket.set_inheritable(False)
        self.socket.settimeout(0)
        self._descriptor = os.memfd_create("ledger", os.MFD_CLOEXEC)
        os.ftruncate(self._descriptor, BYTES)
        self._memory = mmap.mmap(self._descriptor, BYTES)
        self._memory.madvise(mmap.MADV_DONTDUMP)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.ledger = Ledger(memoryview(self._memory), address)
        self.send(KeepLedger(), [self._descriptor])

    def moves(self, own: Member) -> list[Move]:
        """Return the moves of the inherited calls to this node, the latest former process first."""
        return [
            Move(one.call_id, boot, own.node, own.boot, one.provider_keys)
            for one in self.inherited
            if one.strikes < MAX_STRIKES
            for boot in one.boots
        ]

    @property
    def crashed(self) -> frozenset[str]:
        """The inherited calls that too many processes have died of, which are to end."""
        return frozenset(one.call_id for one in self.inherited if one.strikes >= MAX_STRIKES)

    def send(self, message: supervision.Kept, descriptors: Sequence[int] = ()) -> None:
        """Send a message to the supervisor; raises `OSError` if it cannot be sent at once."""
        socket.send_fds(self.socket, [supervision.serialize(message)], descriptors)

    def close(self) -> None:
        """Close what is this process's own, but the memory of the ledger, to which the packet path may still write."""
        self.socket.close()
        os.close(self._descriptor)


@dataclass(slots=True)
class _Copy:
    claim: Claim
    revision: int
    made_at: float
    """Or before that, for one that is to be replaced sooner."""

    def withdraw(self) -> None:
        """Let nobody go on from it."""
        self.claim.take()
        self.claim.close()


class CallCopier:
    """Has the supervisor keep a copy of each call that can move."""

    def __init__(
        self,
        succession: Succession,
        calls: CallCopies,
        provider_keys: Callable[[CallId], list[str]],
        took: Callable[[float], None],
    ) -> None:
        """`took` is called with the seconds that each copy took."""
        self._succession = succession
        self._calls = calls
        self._provider_keys = provider_keys
        self._took = took
        self._copies: dict[CallId, _Copy] = {}
        self.caught_up = False
        """Whether the last look left nothing for the next one."""
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def run(self) -> None:
        """Keep copies of the calls until cancelled, or closed."""
        while not self._closed:
            self.look()
            await asyncio.sleep(POLL_SECONDS if self.caught_up else BEHIND_SECONDS)

    async def catch_up(self) -> None:
        """Copy now what has no copy: a call that was gone on with can be gone on with no second time until then."""
        for _ in range(0, len(self._calls.revisions()), AT_ONCE):
            self.look()
            await asyncio.sleep(0)

    def look(self) -> None:
        """Withdraw what is out of date, and copy what has changed."""
        revisions, now = self._calls.revisions(), self._loop.time()
        for call_id, copy in list(self._copies.items()):
            if revisions.get(call_id) != copy.revision:
                self.withdraw(call_id)
        missing = [one for one in revisions if one not in self._copies]
        old = [one for one, copy in self._copies.items() if now - copy.made_at >= FRESH_SECONDS]
        old.sort(key=lambda one: self._copies[one].made_at)
        made = 0
        for call_id in missing + old:
            made += self._copy(call_id, revisions[call_id])
            if made == AT_ONCE:
                break
        self.caught_up = made < AT_ONCE

    def withdraw(self, call_id: CallId) -> None:
        """Let no successor go on with a call from the copy that is kept of it."""
        if (copy := self._copies.pop(call_id, None)) is not None:
            copy.withdraw()
            with suppress(OSError):
                self._succession.send(Forget(call_id=call_id))

    def on_event(self, event: CallEvent) -> None:
        """Withdraw a call that has ended; copy any other anew soon, so that a successor does not publish the event again."""
        if event.call is None:
            return
        call_id = CallId(event.call.id)
        if event.type == EventType.CALL_ENDED:
            self.withdraw(call_id)
        elif (copy := self._copies.get(call_id)) is not None:
            copy.made_at -= FRESH_SECONDS

    async def aclose(self) -> None:
        """Withdraw everything: the process ends as it is to."""
        self._closed = True
        for call_id in list(self._copies):
            self.withdraw(call_id)
        self._succession.close()

    def _copy(self, call_id: CallId, revision: int) -> bool:
        """Have a copy of a call kept instead of the one before; return whether it is."""
        began, claim = time.perf_counter(), Claim.make()
        try:
            with self._calls.copied(call_id) as (snapshot, descriptors):
                self._send_copy(call_id, snapshot, [claim.descriptor, *descriptors])
        except (HandoverRefused, OSError) as error:
            claim.close()
            log.debug("succession.not_now", extra={"call": call_id, "why": str(error)})
            return False
        except Exception:  # a mistake about one call must not end the copies of the others
            claim.take()  # what was sent is not used; tried again once the call changes
            log.exception("succession.failed", extra={"call": call_id})
        if (before := self._copies.get(call_id)) is not None:
            before.withdraw()
        self._copies[call_id] = _Copy(claim, revision, self._loop.time())
        self._took(time.perf_counter() - began)
        return True

    def _send_copy(self, call_id: CallId, snapshot: bytes, descriptors: list[int]) -> None:
        if len(descriptors) >= MAX_DESCRIPTORS:
            raise HandoverRefused("the call has too many descriptors")
        keep = Keep(call_id=call_id, provider_keys=self._provider_keys(call_id))
        memory = _sealed(snapshot)
        try:
            self._succession.send(keep, [memory, *descriptors])
        finally:
            os.close(memory)


def _sealed(data: bytes) -> int:
    """Return the descriptor of memory with these bytes, which nobody can change any more."""
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    descriptor = os.memfd_create("call", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

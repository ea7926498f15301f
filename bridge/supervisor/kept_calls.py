"""What a node leaves to its successor: copies of its calls, and duplicates of their descriptors, which nobody reads here.

While a descriptor of a socket is open, what its peer sends waits in the kernel, and the peer gets no error.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from bridge.cluster.descriptor_channel import CLOSE_ON_EXEC, close_all
from bridge.errors import RemoteProtocolError
from bridge.wire import supervision
from bridge.wire.crash_marks import Marks
from bridge.wire.handover import MAX_DESCRIPTORS
from bridge.wire.rtp.used_numbers import HEAD_BYTES, read_marks
from bridge.wire.supervision import PASSED, Forget, Inherited, Keep, KeepLedger

log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024
"""Of a message."""
FULL_SECONDS: Final = 0.005
"""Until descriptors are sent that had no room."""
MAX_KEPT: Final = 16 * 1024
"""Descriptors of one node."""


@dataclass(slots=True)
class KeptCall:
    """A call that a process has left, with descriptors of this process."""

    message: Keep
    ledger: int
    snapshot: int
    descriptors: list[int]
    node: int = 0
    """The number of the process."""
    boots: list[str] = field(default_factory=list)
    """Its boot id, after those of the processes that were to go on with the call since, and have died too."""
    died_at: float = 0.0
    hung: float = 0.0
    """For how many seconds the process had hung before; 0 if it did not."""
    strikes: int = 0
    """How many processes have died while they worked on it."""

    @property
    def all(self) -> list[int]:
        """Every descriptor."""
        return [self.ledger, self.snapshot, *self.descriptors]

    def inherited(self) -> Inherited:
        """Return it as a slot names it."""
        return Inherited(
            call_id=self.message.call_id,
            provider_keys=self.message.provider_keys,
            node=self.node,
            boots=self.boots,
            died_at=self.died_at,
            hung=self.hung,
            ledger=self.ledger,
            snapshot=self.snapshot,
            descriptors=self.descriptors,
            strikes=self.strikes,
        )

    def close(self) -> None:
        """Close its descriptors."""
        close_all(self.all)


class KeptCalls:
    """What is kept of one process."""

    def __init__(self) -> None:
        """Open the socket over which it sends what is to be kept."""
        self._socket, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(0)
        self._ledger = -1
        self._kept: dict[str, KeptCall] = {}
        self._strikes: dict[str, int] = {}
        """Of the calls that it may die of, which outlast each copy of them."""

    @property
    def theirs(self) -> int:
        """The descriptor of the process's end."""
        return self._theirs.fileno()

    def fileno(self) -> int:
        """Return the descriptor that is readable while `read` has something to do."""
        return self._socket.fileno()

    def read(self) -> None:
        """Take what the process has sent."""
        with suppress(OSError):
            while True:
                found, descriptors, flags, _ = socket.recv_fds(
                    self._socket, MAX_BYTES, MAX_DESCRIPTORS, CLOSE_ON_EXEC
                )
                if not found:
                    return
                if not self._take(found, descriptors, whole=not flags & socket.MSG_CTRUNC):
                    close_all(descriptors)

    async def send(self, descriptors: Sequence[int]) -> None:
        """Send the process duplicates of descriptors, as one message; raises `OSError` if it has gone."""
        while True:
            try:
                socket.send_fds(self._socket, [PASSED], descriptors)
            except BlockingIOError:  # it reads one after the other
                await asyncio.sleep(FULL_SECONDS)
            else:
                return

    def marks(self) -> Marks:
        """Return what the process, which has ended, was working on."""
        self.read()
        with suppress(OSError):
            return read_marks(os.pread(self._ledger, HEAD_BYTES, 0))
        return Marks()

    def take_struck(self, call: KeptCall) -> None:
        """Keep a call that one process has died of, which this one may not have copied before it dies of it too."""
        call_id = call.message.call_id
        own = self._kept.setdefault(call_id, call)
        self._strikes[call_id] = own.strikes = call.strikes
        if own is not call:
            call.close()

    def leave(self, node: int, boot: str, died_at: float) -> list[KeptCall]:
        """Return what is kept of the process, which has died, and keep it no more."""
        self.read()
        left = []
        for one in self._kept.values():
            if one.boots:  # of a process before
                one.boots.insert(0, boot)
            else:
                one.ledger, one.died_at = os.dup(one.ledger), died_at
                one.node, one.boots = node, [boot]
            left.append(one)
        self._kept.clear()
        self._strikes.clear()
        return left

    def close(self) -> None:
        """Close everything that is still kept."""
        for call_id in list(self._kept):
            self._forget(call_id)
        close_all([self._ledger])
        self._socket.close()
        self._theirs.close()

    def _take(self, found: bytes, descriptors: list[int], *, whole: bool) -> bool:
        """Take a message; return whether its descriptors are kept."""
        try:
            message = supervision.kept(found)
        except RemoteProtocolError as error:
            log.error("kept_calls.bad_message", extra={"error": str(error)})
            return False
        match message:
            case KeepLedger() if len(descriptors) == 1 and self._ledger < 0:
                self._ledger = descriptors[0]
                return True
            case Forget(call_id=call_id):
                self._forget(call_id)
            case Keep(call_id=call_id) if self._ledger >= 0:
                # What was kept before is out of date, whatever becomes of this.
                self._forget(call_id)
                strikes = self._strikes.get(call_id, 0)
                count = sum(len(one.all) for one in self._kept.values())
                if whole and len(descriptors) > 1 and count + len(descriptors) < MAX_KEPT:
                    snapshot, *others = descriptors
                    made = KeptCall(message, self._ledger, snapshot, others, strikes=strikes)
                    self._kept[call_id] = made
                    return True
                log.error("kept_calls.call_not_kept", extra={"call": call_id})
        return False

    def _forget(self, call_id: str) -> None:
        """Keep a call no more, as it was."""
        if (before := self._kept.pop(call_id, None)) is not None:
            close_all(before.all if before.boots else [before.snapshot, *before.descriptors])

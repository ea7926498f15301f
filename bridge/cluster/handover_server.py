"""Takes over the live calls that other nodes of this machine pass on (`cluster.handover`).

A call goes on as soon as it is here. The database is told at once, before any event of the call from here; the former
node stays until that is written, so that nobody takes the call for lost.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge.call.model import CallId
from bridge.cluster.descriptor_channel import Claim, DescriptorChannel, close_all
from bridge.cluster.sockets import listen
from bridge.db.database import Connection, Database
from bridge.errors import BridgeError, HandoverRefused
from bridge.stores import handover as store
from bridge.stores.handover import MOVED, Move
from bridge.stores.nodes import Member
from bridge.tasks import Tasks
from bridge.wire.handover import Accepted, Committed, Hello, Offer, Refused
from bridge.wire.supervision import Inherited

log = logging.getLogger(__name__)

CRASH: Final = "crash"
HANG: Final = "hang"
"""Why a call of a process that has died is here."""
RETRY_SECONDS: Final = 1.0
"""Between two attempts to write where a call is; its former process stays until then."""
ALONE_SECONDS: Final = 1.0
"""Before a call that its process may have died of is gone on with, and between two of them."""
WAIT_SECONDS: Final = 0.25
"""Between two looks at whether the others are safe."""
MAX_WAITS: Final = 8


class HandoverServer:
    """Takes calls over."""

    def __init__(
        self,
        adopt: Callable[[bytes, list[int]], CallId],
        *,
        own: Callable[[], Member],
        database: Database,
        refusal: Callable[[], str],
        recovered: Callable[[CallId, float, str], None],
        release: Callable[[CallId], Coroutine[Any, Any, None]],
    ) -> None:
        """`adopt` goes on with a call, or raises `HandoverRefused`; `refusal` returns why no calls are taken over now, empty while they are.

        `recovered` is called with each call that is here for good, the seconds for which nobody was heard, and why
        it moved; `release` forgets, without a word, one that others had ended meanwhile.
        """
        self._adopt = adopt
        self._own = own
        self._database = database
        self._refusal = refusal
        self._recovered = recovered
        self._release = release
        self._ended: set[str] = set()
        self._inherited: dict[str, tuple[float, str]] = {}
        """Calls that are to be reported, the seconds for which nobody was heard, and why."""
        self._late: set[str] = set()
        """Calls that others had ended before they were here."""
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._listener: socket.socket | None = None
        database.handle(MOVED, self._write_moves)

    def start(self, path: Path) -> None:
        """Listen at a socket.

        Raises:
            SettingsError: its path is too long.
        """
        self._listener = listen(path)
        self._listener.settimeout(0)
        self._tasks.spawn(self._accept(self._listener), name="take over calls")

    async def aclose(self) -> None:
        """Take over no more."""
        await self._tasks.aclose()
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(listener)
            except OSError as error:  # no descriptors left: the former node tries again
                log.error("handover.accept_failed", extra={"error": error.strerror})
                await asyncio.sleep(1.0)
                continue
            channel = DescriptorChannel(connection)
            self._tasks.spawn(self._serve(channel), name="take over calls of a node")

    async def _serve(self, channel: DescriptorChannel) -> None:
        try:
            hello, _ = await channel.receive()
            if not isinstance(hello, Hello):
                raise HandoverRefused("a node passes calls before it says which it is")
            own = self._own()
            await channel.send(Hello(node=own.node, boot=own.boot))
            while True:
                offer, descriptors = await channel.receive()
                if isinstance(offer, Hello):
                    await channel.send(Hello(node=own.node, boot=own.boot))
                    continue
                if not isinstance(offer, Offer):
                    raise HandoverRefused("a node that passes calls sends something else")
                await self._take(channel, hello, offer, descriptors)
        except ConnectionError:
            pass  # it has no more calls
        except (OSError, BridgeError) as error:
            log.warning("handover.interrupted", extra={"why": str(error)})
        finally:
            channel.close()

    async def _take(
        self, channel: DescriptorChannel, former: Hello, offer: Offer, descriptors: list[int]
    ) -> None:
        reason = self.take_over(offer, descriptors)
        if reason:
            await channel.send(Refused(call_id=offer.call_id, reason=reason))
            return
        silent = time.monotonic() - offer.suspended_at
        written = asyncio.Event()
        # Before anything else that the call does here is queued.
        self._tell_database(former, offer, written)
        self._tasks.spawn(self._report(offer, silent, written), name="report a call")
        await channel.send(Accepted(call_id=offer.call_id))
        await written.wait()
        await channel.send(Committed(call_id=offer.call_id))

    def take_over(self, offer: Offer, descriptors: list[int]) -> str:
        """Take a call over; return why it is not, empty if it is."""
        claim, theirs = Claim(descriptors[0]), descriptors[1:]
        try:
            if reason := self._refusal():
                raise HandoverRefused(reason)
            if not claim.take():
                raise HandoverRefused("the offer was withdrawn")
            self._adopt(offer.snapshot, theirs)
        except HandoverRefused as error:
            close_all(theirs)
            return str(error)
        except Exception:  # a mistake of this version must not cost the call
            log.exception("handover.adoption_failed", extra={"call": offer.call_id})
            close_all(theirs)
            return "it could not be restored"
        finally:
            claim.close()
        return ""

    def inherit(
        self,
        left: Sequence[Inherited],
        advance: Callable[[bytes, bytes, float], bytes],
        lost: Callable[[], None],
    ) -> None:
        """Go on with calls of a process that has died; `report_inherited` reports them.

        Their rows name this node as soon as it has registered, or `too_late` is called.

        Args:
            left: The calls, and what goes with them.
            advance: Returns the snapshot of a call as it may stand now, given the ledger of the process and when it died; raises `HandoverRefused`.
            lost: Called once the rows of a call that cannot go on name the process that has died again.
        """
        for one in left:
            offer = Offer(
                call_id=one.call_id,
                suspended_at=one.died_at,
                snapshot=b"",
                descriptors=len(one.descriptors),
                cause=HANG if one.hung else CRASH,
                provider_keys=one.provider_keys,
            )
            try:
                if one.call_id in self._late:
                    raise HandoverRefused("others have ended it")
                snapshot = advance(content(one.snapshot), content(one.ledger), one.died_at)
            except (HandoverRefused, OSError) as error:
                close_all(one.descriptors)
                reason = str(error)
            else:
                offer = msgspec.structs.replace(offer, snapshot=snapshot)
                reason = self.take_over(offer, one.descriptors)
            if not reason:
                silent = time.monotonic() - one.died_at + one.hung
                self._inherited[one.call_id] = silent, offer.cause
                continue
            log.error("call.not_recovered", extra={"call": one.call_id, "why": reason})
            back = Move(one.call_id, self._own().boot, one.node, one.boots[-1], one.provider_keys)
            self._database.append(MOVED, msgspec.msgpack.encode(back), then=lost, failed=lost)
        close_all([*{one.ledger for one in left}, *(one.snapshot for one in left)])

    def report_inherited(self) -> None:
        """Report the inherited calls that are here for good."""
        for call_id, (silent, cause) in self._inherited.items():
            self._recovered(CallId(call_id), silent, cause)
        self._inherited.clear()

    def inherit_later(
        self,
        left: Sequence[Inherited],
        go_on: Callable[[Inherited], None],
        others_kept: Callable[[], bool],
        expect: Callable[[str], Callable[[], None]],
    ) -> None:
        """Go on with calls that their process may have died of: one after the other, once the others are safe.

        `go_on` does so with one of them; `others_kept` returns whether the supervisor has a copy of each other call, which is
        not waited for longer than the kernel keeps packets. `expect` lets requests wait (`HandoverClient.expect`).
        """
        arriving = [(one, expect(one.call_id)) for one in left]
        work = self._inherit_later(arriving, go_on, others_kept)
        self._tasks.spawn(work, name="inherit calls alone")

    async def _inherit_later(
        self,
        arriving: Sequence[tuple[Inherited, Callable[[], None]]],
        go_on: Callable[[Inherited], None],
        others_kept: Callable[[], bool],
    ) -> None:
        try:
            await asyncio.sleep(ALONE_SECONDS)
            for _ in range(MAX_WAITS):
                if others_kept():
                    break
                await asyncio.sleep(WAIT_SECONDS)
            for one, arrived in arriving:
                go_on(one)
                self.report_inherited()
                arrived()
                await asyncio.sleep(ALONE_SECONDS)
        finally:
            for _, arrived in arriving:
                arrived()

    def too_late(self, call_id: str) -> None:
        """Forget an inherited call that others have ended, or do not go on with it."""
        self._late.add(call_id)
        self._inherited.pop(call_id, None)
        log.error("handover.too_late", extra={"call": call_id})
        self._tasks.spawn(self._release(CallId(call_id)), name="forget a call")

    def _tell_database(self, former: Hello, offer: Offer, written: asyncio.Event) -> None:
        def retry() -> None:
            self._loop.call_later(RETRY_SECONDS, self._tell_database, former, offer, written)

        own = self._own()
        moved = Move(offer.call_id, former.boot, own.node, own.boot, offer.provider_keys)
        payload = msgspec.msgpack.encode(moved)
        self._database.append(MOVED, payload, then=written.set, failed=retry)

    async def _report(self, offer: Offer, silent: float, written: asyncio.Event) -> None:
        """Report a call once it is here for good."""
        await written.wait()
        if offer.call_id in self._ended:
            self._ended.remove(offer.call_id)
        else:
            self._recovered(CallId(offer.call_id), silent, offer.cause)

    def _too_late(self, call_id: CallId) -> None:
        """Forget a call that others have ended; what was queued during an outage is written after the report."""
        self._ended.add(call_id)
        self.too_late(call_id)

    def _write_moves(self, connection: Connection, payloads: list[bytes]) -> None:
        for payload in payloads:
            moved = msgspec.msgpack.decode(payload, type=Move)
            if not store.move(connection, moved):
                self._loop.call_soon_threadsafe(self._too_late, CallId(moved.call_id))


def content(descriptor: int) -> bytes:
    """Return what memory holds that another process has written; raises `OSError`."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

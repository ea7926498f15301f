"""Passes the live calls of a node that drains to another one of its machine, its successor.

One call after the other: none stands still while another is passed. A call that cannot move, or that the successor
refuses, goes on where it is and drains.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from bridge.call.model import CallId
from bridge.cluster.descriptor_channel import Claim, DescriptorChannel
from bridge.cluster.membership import Membership
from bridge.cluster.sockets import handover_socket_path
from bridge.db.database import Database
from bridge.errors import BridgeError, HandoverRefused
from bridge.stores.handover import MOVED, Move
from bridge.tasks import Tasks, wait_set
from bridge.wire.call_event import CallEvent
from bridge.wire.handover import Accepted, Committed, Hello, Message, Offer, Refused

log = logging.getLogger(__name__)

MAX_WAITS: Final = 5
"""How often the events of a call are awaited that has new ones each time, and a successor that answers late is asked."""


class CallHandover(Protocol):
    """What of `node.handover.Handover` this needs."""

    def movable(self) -> list[CallId]:
        """Return the calls that can move now."""

    def suspend(self, call_id: CallId) -> tuple[bytes, list[int]]:
        """Stop a call, and return its snapshot and descriptors; raises `HandoverRefused`."""

    def resume(self, call_id: CallId) -> None:
        """Resume it on this node."""

    async def abandon(self, call_id: CallId) -> None:
        """Release it without reporting anything."""


class HandoverClient:
    """Passes calls of this node on."""

    def __init__(
        self,
        calls: CallHandover,
        *,
        members: Membership,
        folder: Path,
        database: Database,
        provider_keys: Callable[[CallId], list[str]] = lambda _: [],
    ) -> None:
        """`folder` has the nodes' sockets; `provider_keys` are the keys of a call's rows of the WhatsApp provider."""
        self._calls = calls
        self._members = members
        self._folder = folder
        self._database = database
        self._provider_keys = provider_keys
        self._timing = members.timing
        self.moved: dict[CallId, int] = {}
        """The nodes that have calls which were here."""
        self.handed = 0
        """How many calls have been passed on."""
        self.uncommitted = 0
        """Calls that have moved, but whose rows in the database still name this process."""
        self.successor: int | None = None
        self._cause = ""
        self._passing: dict[CallId, asyncio.Event] = {}
        """The call that is being passed, and what is set once it is known where it goes on."""
        self._refused: set[CallId] = set()
        """Calls that the successor cannot take over."""
        self._published: dict[str, int] = {}
        """Events of each call since the handover began."""
        self._closing = asyncio.Event()
        self._tasks = Tasks()

    def begin(self, successor: int, cause: str) -> None:
        """Pass calls to another node of this machine, until `aclose`; a new order replaces the former."""
        if self._closing.is_set() or successor in (self._members.own.node, self.successor):
            return
        self._refused.clear()
        self._cause = cause
        running, self.successor = self.successor is not None, successor
        log.info("handover.begun", extra={"node": self._members.own.node, "successor": successor})
        if not running:
            self._tasks.spawn(self._run(), name="hand over calls")

    def on_event(self, event: CallEvent) -> None:
        """Note that an event of a call was published, which is not on disk yet."""
        if self.successor is not None and event.call is not None:
            self._published[event.call.id] = self._published.get(event.call.id, 0) + 1

    async def node_of(self, call_id: str) -> int | None:
        """Return the node that a call of this one has moved to, once that is decided; None if it has not moved."""
        if (passing := self._passing.get(CallId(call_id))) is not None:
            await passing.wait()
        return self.moved.get(CallId(call_id))

    def expect(self, call_id: str) -> Callable[[], None]:
        """Let requests about a call wait that is about to be here; return what ends that, which is safe to repeat."""
        here = self._passing[CallId(call_id)] = asyncio.Event()

        def arrived() -> None:
            if self._passing.get(CallId(call_id)) is here:
                del self._passing[CallId(call_id)]
            here.set()

        return arrived

    async def aclose(self) -> None:
        """Finish with the call that is being passed, and pass no more."""
        self._closing.set()
        await self._tasks.wait()

    async def _run(self) -> None:
        logged = ""
        while not self._closing.is_set():
            try:
                await self._pass_all()
            except (OSError, BridgeError) as error:  # a TimeoutError is an OSError
                if (reason := str(error) or type(error).__name__) != logged:
                    log.warning(
                        "handover.interrupted", extra={"successor": self.successor, "why": reason}
                    )
                logged = reason
            except Exception:  # must not end the loop
                log.exception("handover.failed")
            await wait_set(self._closing, self._timing.handover_poll)

    def _waiting(self) -> list[CallId]:
        return [one for one in self._calls.movable() if one not in self._refused]

    async def _pass_all(self) -> None:
        """Pass what can move until there is another successor, or this one does not answer."""
        successor = self.successor
        assert successor is not None
        channel = await DescriptorChannel.connect(handover_socket_path(self._folder, successor))
        try:
            hello = await self._greet(channel)
            while not self._closing.is_set() and self.successor == successor:
                for call_id in self._waiting():
                    if self._closing.is_set() or not self._can_commit():
                        break
                    await self._wait_prompt(channel)
                    if await self._written(call_id):
                        await self._pass_on(channel, call_id, hello)
                await wait_set(self._closing, self._timing.handover_poll)
        finally:
            channel.close()

    async def _greet(self, channel: DescriptorChannel) -> Hello:
        """Return which process the successor is.

        Raises:
            OSError, BridgeError: it does not answer, or something else.
        """
        async with asyncio.timeout(self._timing.handover_hello):
            own = self._members.own
            await channel.send(Hello(node=own.node, boot=own.boot))
            hello, _ = await channel.receive()
        if not isinstance(hello, Hello):
            raise HandoverRefused("the successor does not say which node it is")
        return hello

    async def _wait_prompt(self, channel: DescriptorChannel) -> None:
        """Wait until the successor answers promptly, for a while: nobody is heard while it is asked to take a call."""
        for _ in range(MAX_WAITS):
            asked = time.monotonic()
            await self._greet(channel)
            if time.monotonic() - asked < self._timing.handover_prompt:
                return

    def _can_commit(self) -> bool:
        return self._database.reachable and not self._members.fenced.is_set()

    async def _written(self, call_id: CallId) -> bool:
        """Wait until all events of a call are on disk, so that those of the successor come after them."""
        for _ in range(MAX_WAITS):
            before = self._published.get(call_id, 0)
            await self._database.flush()
            if self._published.get(call_id, 0) == before:
                return True
        return False

    async def _pass_on(self, channel: DescriptorChannel, call_id: CallId, successor: Hello) -> None:
        """Pass one call; one that the successor does not take goes on here.

        Raises:
            OSError, BridgeError: the connection is of no use any more.
        """
        decided = self._passing[call_id] = asyncio.Event()
        try:
            taken = await self._suspend_and_offer(channel, call_id, successor)
        finally:
            del self._passing[call_id]
            decided.set()
        if taken is None:
            return
        self.uncommitted += 1
        try:
            self.handed += 1
            await self._calls.abandon(call_id)
            await _receive(channel, call_id)
        except BaseException:
            # The successor may have died before it wrote this itself.
            self._note_moved(taken, successor)
            raise
        finally:
            self.uncommitted -= 1

    async def _suspend_and_offer(
        self, channel: DescriptorChannel, call_id: CallId, successor: Hello
    ) -> Offer | None:
        """Offer a call; return the offer if the successor has it."""
        keys, claim = self._provider_keys(call_id), Claim.make()
        suspended_at = time.monotonic()
        try:
            snapshot, descriptors = self._calls.suspend(call_id)
        except HandoverRefused as error:  # perhaps later
            claim.close()
            log.debug("handover.not_now", extra={"call": call_id, "why": str(error)})
            return None
        offer = Offer(
            call_id=call_id,
            suspended_at=suspended_at,
            snapshot=snapshot,
            descriptors=1 + len(descriptors),
            cause=self._cause,
            provider_keys=keys,
        )
        try:
            answer = await self._offer(channel, offer, [claim.descriptor, *descriptors], claim)
        except BaseException:
            if claim.take():
                self._calls.resume(call_id)
            else:
                # The successor has died with it: to go on here could use packet numbers twice.
                log.error("handover.lost", extra={"call": call_id, "successor": successor.node})
                self._note_moved(offer, successor)
                await self._calls.abandon(call_id)
            raise
        finally:
            claim.close()
        if isinstance(answer, Accepted):
            self.moved[call_id] = successor.node
            return offer
        self._refused.add(call_id)
        self._calls.resume(call_id)
        why = answer.reason if isinstance(answer, Refused) else ""
        log.warning("handover.refused", extra={"call": call_id, "why": why})
        return None

    def _note_moved(self, offer: Offer, successor: Hello) -> None:
        """Write where a call is, as its successor does, so that it ends with the successor's others if that has died."""
        keys = offer.provider_keys
        moved = Move(offer.call_id, self._members.own.boot, successor.node, successor.boot, keys)
        self._database.append(MOVED, msgspec.msgpack.encode(moved))

    async def _offer(
        self, channel: DescriptorChannel, offer: Offer, descriptors: list[int], claim: Claim
    ) -> Message:
        """Return the answer to an offer, for which there is no limit once the successor has begun."""
        try:
            async with asyncio.timeout(self._timing.handover_answer):
                await channel.send(offer, descriptors)
                return await _receive(channel, offer.call_id)
        except TimeoutError:
            if claim.take():
                raise HandoverRefused("the successor does not answer in time") from None
        return await _receive(channel, offer.call_id)


async def _receive(channel: DescriptorChannel, call_id: str) -> Accepted | Refused | Committed:
    """Return the next message, which must be about a call.

    Raises:
        HandoverRefused: it is another one; or as `DescriptorChannel.receive`.
    """
    message, _ = await channel.receive()
    if isinstance(message, Accepted | Refused | Committed) and message.call_id == call_id:
        return message
    raise HandoverRefused("the successor answers about something else")

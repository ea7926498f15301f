"""The WebRTC legs of live calls: first and further offers, reloaded pages, and their close."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from bridge.call import events
from bridge.call.model import LegId, LegOwner, LineName
from bridge.call.quota import Quota
from bridge.call.routing import LegRole
from bridge.errors import Forbidden, LegNotFound
from bridge.legs.base import PassedLeg, new_leg_id
from bridge.legs.webrtc import AwaitedLegSnapshot, WebRtcLeg, WebRtcSnapshot
from bridge.log import about
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner


class MakeLeg(Protocol):
    """Makes a leg; `sdk` and `two_connections` as those of `WebRtcLeg`."""

    def __call__(
        self, leg_id: LegId, *, sdk: bool = False, two_connections: bool = False
    ) -> WebRtcLeg:
        """Return the leg."""


class Browsers:
    """The browser legs of a node's calls."""

    def __init__(self, manager: Manager, make: MakeLeg, *, ports: Quota) -> None:
        """`ports` are each line's quota of the media ports."""
        self._manager = manager
        self._make = make
        self._ports = ports
        self._opening: list[LineName] = []
        self._signalling: dict[LegId, Callable[[], None]] = {}

    async def offer(self, runner: CallRunner, sdp: str, role: LegRole) -> tuple[LegId, str]:
        """Answer a browser's offer with a new leg.

        Raises:
            InvalidState, SdpError, LimitExceeded.
        """
        leg = self._make(new_leg_id())
        return leg.leg_id, await self._join(runner, partial(leg.accept, sdp), leg, role)

    async def offer_of_sdk(self, runner: CallRunner, sdp: str, leg_id: LegId, role: LegRole) -> str:
        """Answer an offer of LiveKit's client SDK: the first under this id, or a further one (`reoffer`).

        Raises:
            InvalidState, SdpError, LimitExceeded, CallMoving, Forbidden.
        """
        now = asyncio.get_running_loop().time()
        departed = runner.machine.legs.departed.find(leg_id, now)
        if runner.leg(leg_id) is not None or departed is not None:
            return await self.reoffer(runner, sdp, leg_id, owner=role.owner, sdk=True)
        leg = self._make(leg_id, sdk=True)
        return await self._join(runner, partial(leg.accept, sdp), leg, role)

    async def offer_to_sdk(
        self, runner: CallRunner, leg_id: LegId, role: LegRole, *, restart: bool = False
    ) -> str:
        """Offer to LiveKit's client SDK with two connections: a new leg, or what `WebRtcLeg.offer` says of the one it has.

        `answer_of_sdk` takes its answer, `publish` its own offers.

        Raises:
            InvalidState, LimitExceeded, CallMoving, Forbidden.
        """
        if runner.leg(leg_id) is None:
            made = self._make(leg_id, sdk=True, two_connections=True)
            return await self._join(runner, made.offer, made, role)
        with self._own(runner, leg_id, role.owner) as found:
            return await found.offer(restart=restart)

    async def answer_of_sdk(
        self, runner: CallRunner, sdp: str, leg_id: LegId, role: LegRole
    ) -> None:
        """Take the answer to `offer_to_sdk`.

        Raises:
            LegNotFound, InvalidState, SdpError, CallMoving, Forbidden.
        """
        with self._own(runner, leg_id, role.owner) as found:
            await found.set_answer(sdp)

    async def publish(self, runner: CallRunner, sdp: str, leg_id: LegId, role: LegRole) -> str:
        """Answer an offer of the connection that an SDK with two sends on; raises as `answer_of_sdk`, and LimitExceeded."""
        with self._own(runner, leg_id, role.owner) as found:
            return await found.reoffer(sdp)

    def leg_of_sdk(
        self, runner: CallRunner, owner: LegOwner | None, leg_id: LegId | None = None
    ) -> WebRtcLeg | None:
        """Return the leg that an SDK of this owner has in a call, that one if it is named; None if it has none."""
        return next(
            (
                leg
                for leg in runner.legs()
                if isinstance(leg, WebRtcLeg)
                and leg.sdk
                and leg_id in (None, leg.leg_id)
                and runner.machine.legs.records[leg.leg_id].role.owner == owner
            ),
            None,
        )

    @contextmanager
    def signalling(self, leg_id: LegId, on_replaced: Callable[[], None]) -> Iterator[None]:
        """Have one connection for the signalling of a leg; `on_replaced` is called when another one takes its place."""
        if (replaced := self._signalling.get(leg_id)) is not None:
            replaced()
        self._signalling[leg_id] = on_replaced
        try:
            yield
        finally:
            if self._signalling.get(leg_id) is on_replaced:
                del self._signalling[leg_id]

    async def reoffer(
        self,
        runner: CallRunner,
        sdp: str,
        leg_id: str,
        *,
        owner: LegOwner | None = None,
        sdk: bool = False,
    ) -> str:
        """Answer a further offer of a leg: ICE restart, renegotiation, or a reloaded page.

        A leg that left a moment ago, as that of a reloaded page does, returns under its id.

        Raises:
            LegNotFound, InvalidState, SdpError, LimitExceeded.
            CallMoving: the call is passing to another process.
            Forbidden: the leg has another owner.
        """
        leg = runner.leg(LegId(leg_id))
        check_owner(runner, LegId(leg_id), owner)
        if leg is None:
            now = asyncio.get_running_loop().time()
            gone = runner.machine.legs.departed.find(LegId(leg_id), now)
            if gone is None:
                raise _unknown_leg()
            role = replace(gone.role, replaces=False, in_place_of=None)
            made = self._make(gone.leg_id, sdk=sdk)
            return await self._join(runner, partial(made.accept, sdp), made, role)
        with self._own(runner, leg.leg_id, owner) as found:
            return await found.reoffer(sdp)

    def restore(self, passed: PassedLeg) -> WebRtcLeg:
        """Return a leg that another process has passed to this one.

        Raises:
            HandoverRefused: it cannot be restored.
        """
        snapshot = passed.read(WebRtcSnapshot)
        leg = self._make(passed.leg_id, sdk=snapshot.sdk, two_connections=snapshot.two_connections)
        leg.restore(snapshot, passed.sockets)
        return leg

    def await_return(self, passed: PassedLeg, seconds: float) -> WebRtcLeg:
        """Return a leg of a machine that has died, which waits so long for its page to offer again."""
        awaited = passed.read(AwaitedLegSnapshot)
        leg = self._make(passed.leg_id, sdk=awaited.sdk, two_connections=awaited.two_connections)
        leg.await_return(seconds)
        return leg

    def close(
        self, line: LineName, call_id: str, leg_id: str | None, *, owner: LegOwner | None = None
    ) -> None:
        """End one or all of a call's WebRTC legs, or of the owner's; does nothing if they have ended.

        The owner of a leg may reopen it for a while.

        Raises:
            CallNotFound: this line never had such a call.
            Forbidden: the leg has another owner.
        """
        record = self._manager.record(line, call_id)
        runner = self._manager.running(record.facts.call_id)
        if runner is None:
            return
        if leg_id is not None:
            check_owner(runner, LegId(leg_id), owner)
            leg = runner.leg(LegId(leg_id))
            if leg is None or not leg.kind.traits.browser:
                return
        wanted = LegId(leg_id) if leg_id else None
        runner.dispatch(events.CloseRequested(wanted, owner, may_return=True))

    @contextmanager
    def _own(
        self, runner: CallRunner, leg_id: LegId, owner: LegOwner | None
    ) -> Iterator[WebRtcLeg]:
        """Return a leg of this owner, and keep the call here while it negotiates."""
        leg = runner.leg(leg_id)
        check_owner(runner, leg_id, owner)
        if not isinstance(leg, WebRtcLeg):
            raise _unknown_leg()
        with runner.suspension.kept_here(), about(runner.facts.call_id, leg.leg_id):
            yield leg

    async def _join(
        self,
        runner: CallRunner,
        describe: Callable[[], Awaitable[str]],
        leg: WebRtcLeg,
        role: LegRole,
    ) -> str:
        """Add a leg to the call; return our description, which `describe` makes."""
        leg_id = leg.leg_id
        runner.check_room()
        try:
            with self._port(runner.facts.line), about(runner.facts.call_id, leg_id):
                description = await describe()
            # The page may have been reloaded again: its last offer counts.
            if runner.leg(leg_id) is not None:
                runner.dispatch(events.CloseRequested(leg_id, role.owner, may_return=True))
            # Meanwhile the call may have ended, or others may have joined.
            runner.add_leg(leg, role)
        except BaseException:
            await leg.aclose()
            raise
        return description

    @contextmanager
    def _port(self, line: LineName) -> Iterator[None]:
        """Count a media port for a leg that has not joined its call yet, if the line may have one."""
        taken = [
            runner.facts.line
            for runner in self._manager.calls()
            for leg in runner.legs()
            if leg.kind.traits.carries_rtp
            for _ in range(2 if isinstance(leg, WebRtcLeg) and leg.two_connections else 1)
        ]
        taken += self._opening
        self._ports.check(of_line=taken.count(line), of_all=len(taken))
        self._opening.append(line)
        try:
            yield
        finally:
            self._opening.remove(line)


def check_owner(runner: CallRunner, leg_id: LegId, owner: LegOwner | None) -> None:
    """Refuse a ticket that does not own the leg; the line's key controls every leg.

    Raises:
        Forbidden: the leg has another owner.
    """
    machine = runner.machine
    leg = machine.legs.records.get(leg_id) or machine.legs.departed.find(
        leg_id, asyncio.get_running_loop().time()
    )
    if owner is not None and leg is not None and leg.role.owner != owner:
        raise Forbidden(
            "this ticket does not own the leg: send the ticket of the party and identity that created it, or the line's key"
        )


def _unknown_leg() -> LegNotFound:
    return LegNotFound("the call has no such WebRTC leg; send the offer without legID")

"""A live call as data for another machine, which goes on with it if this one dies.

It is written to the database, so it has no key, password or ticket: of each leg it has what makes it anew, over a connection
of its own. Figures, and what is wrong with the call, begin anew.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from bridge.call import journal
from bridge.call.model import CallId, LegKind, LineName
from bridge.errors import HandoverRefused
from bridge.node import call_snapshot
from bridge.node.call_snapshot import CallSnapshot, LegSnapshot
from bridge.node.diagnosis.quality import SamplesSnapshot
from bridge.node.handover import CallServices
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.node.suspension import SuspendedLeg

MADE_ANEW: Final = frozenset({LegKind.WEBRTC, LegKind.SIMULATOR, LegKind.GATEWAY})
"""Legs that another machine makes anew; SIP legs too, where their trunk allows it."""
LOST: Final = frozenset({LegKind.RECORDER, LegKind.TRANSCRIBER, LegKind.PLAYBACK})
"""Legs without which a call goes on there; with any other it ends."""
MAX_BYTES: Final = 1 << 18
"""Of a snapshot; a larger call ends with its machine."""


class PortableCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call, and when that was."""

    provider_keys: tuple[str, ...]
    """As `stores.portable_calls.ProviderKeys` has them."""
    shared_time: float
    """By the clock that all nodes share."""
    own_time: float
    """At the same moment, by this machine's monotonic clock."""
    call: bytes
    """As `call_snapshot.encode` returns it."""


class PortableCalls:
    """Describes the live calls of a node."""

    def __init__(
        self,
        manager: Manager,
        *,
        provider_keys: Callable[[CallId], list[str]],
        shared_now: Callable[[], float],
        own_now: Callable[[], float],
        sip_moves: Callable[[LineName], bool] = lambda _: False,
        services: CallServices | None = None,
    ) -> None:
        """`sip_moves` says whether the trunk of a line takes re-INVITEs from other machines; of `services` none stops."""
        self._services = services or CallServices()
        self._sip_moves = sip_moves
        self._manager = manager
        self._provider_keys = provider_keys
        self._shared_now = shared_now
        self._own_now = own_now

    def revisions(self) -> dict[CallId, int]:
        """Return the live calls that have events, with a number that grows when one changes."""
        return {
            one.facts.call_id: one.suspension.revision + one.turns.published
            for one in self._manager.calls()
            if one.live and one.announced and not one.facts.details.test
        }

    def snapshot(self, call_id: CallId) -> bytes | None:
        """Return a call for another machine; None for one that cannot go on there.

        Raises:
            HandoverRefused: it cannot be told now, or the call has ended.
        """
        runner = self._manager.running(call_id)
        if runner is None:
            raise HandoverRefused("the call has ended")
        kinds = MADE_ANEW | LOST
        if self._sip_moves(runner.facts.line):
            kinds |= {LegKind.SIP}
        if not kinds.issuperset(runner.kinds()) or not runner.journal.complete:
            return None
        made = PortableCall(
            provider_keys=tuple(self._provider_keys(call_id)),
            shared_time=self._shared_now(),
            own_time=self._own_now(),
            call=call_snapshot.encode(self._snapshot(runner)),
        )
        encoded = msgspec.msgpack.encode(made)
        return encoded if len(encoded) <= MAX_BYTES else None

    def _snapshot(self, runner: CallRunner) -> CallSnapshot:
        return CallSnapshot(
            facts=runner.facts,
            machine=runner.journal.snapshot(runner.machine),
            announced=runner.announced,
            legs=tuple(_leg(one) for one in runner.suspension.portable()),
            left=tuple(leg for leg in runner.record().legs if leg.left is not None),
            samples=SamplesSnapshot((), None),
            diagnosis=None,
            marks=(),
            turns=runner.turns.numbering(),
            services=self._services.suspend(runner.facts.call_id),
        )


def unpack(data: bytes, *, shared_now: float, own_now: float) -> bytes:
    """Return the snapshot of a call of another machine, with the times of this one's clock.

    Raises:
        HandoverRefused: it cannot be read.
    """
    try:
        portable = msgspec.msgpack.decode(data, type=PortableCall)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise HandoverRefused(f"the call cannot be read: {error}") from None
    call = call_snapshot.decode(portable.call)
    ahead = (own_now - portable.own_time) - (shared_now - portable.shared_time)
    machine = journal.shifted(call.machine, ahead)
    return call_snapshot.encode(msgspec.structs.replace(call, machine=machine))


def _leg(found: SuspendedLeg) -> LegSnapshot:
    running = found.running
    state = msgspec.Raw(msgspec.msgpack.encode(found.state))
    return LegSnapshot(
        running.leg.leg_id,
        running.leg.kind,
        running.joined,
        "nothing",
        descriptors=0,
        state=state,
        lost=found.state is None,
    )

"""What every leg is: two ends for the bus, and one `run` that is its whole life."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from bridge.audio.buffer.paced import PacedQueue
from bridge.call.bus.ends import Sink, Source
from bridge.call.events import LegEvent
from bridge.call.model import CallFacts, EndReason, LegId, LegKind, LegStatistics
from bridge.errors import BridgeError, Unreachable

Emit: TypeAlias = Callable[[LegEvent], None]
"""Takes what happens to a leg; never waits."""

Result = TypeVar("Result")
_State = TypeVar("_State", bound=msgspec.Struct)


class Leg(Protocol):
    """One party's connection to a call."""

    @property
    def leg_id(self) -> LegId:
        """Unique within the call."""

    @property
    def kind(self) -> LegKind:
        """Which kind of leg this is."""

    @property
    def source(self) -> Source | None:
        """What the party says; None when it never says anything."""

    @property
    def sink(self) -> Sink | None:
        """What the party hears; None when it hears nothing."""

    async def run(self, emit: Emit) -> None:
        """Connect, live, and clean up; returns when the leg is over.

        Before returning by itself the leg has emitted `LegEnded`. Cancellation hangs up within 1 s, frees
        every socket, task and timer, and emits nothing more.
        """

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""


@runtime_checkable
class Idling(Protocol):
    """A leg that says when nothing comes from its party or goes to it."""

    @property
    def idle(self) -> bool:
        """Whether no packet has come or gone for some seconds, so that its figures stay as they are."""


@runtime_checkable
class SpeaksFromQueue(Protocol):
    """A leg whose audio waits in a queue until it is played."""

    @property
    def queue(self) -> PacedQueue:
        """The audio that waits."""


@runtime_checkable
class Answerable(Protocol):
    """A leg whose party may be calling us."""

    def answer(self) -> None:
        """Accept the inbound call; has no effect on an outbound one."""


@runtime_checkable
class DigitSender(Protocol):
    """A leg that can send digits to its party (`LegTraits.takes_digits`)."""

    def send_digits(self, digits: str) -> None:
        """Send DTMF digits (0-9, *, #, A-D), one after the other."""


@runtime_checkable
class Startable(Protocol):
    """A leg that can wait for its start after it has joined."""

    def start(self) -> None:
        """Start; has no effect on one that has started."""


@runtime_checkable
class Holdable(Protocol):
    """A leg that can tell its party in signalling that it is on hold."""

    def hold(self, *, held: bool) -> None:
        """Put the party on hold, or end that; nothing is sent to it meanwhile, and it is asked to send nothing."""


@runtime_checkable
class Transferable(Protocol):
    """A leg whose party can be asked to call somebody else, and can ask us to."""

    def transfer(self, target: str, replaces: "Transferable | None" = None) -> None:
        """Ask the party to call a number or SIP URI instead; `LegTransferProgressed` reports what comes of it.

        With `replaces`, a leg of the same kind, it is to take over that leg's dialog (an attended transfer).
        """

    def report_transfer(self, code: int) -> None:
        """Report the progress of a transfer that the party asked for, as a SIP code."""


@runtime_checkable
class EndsWithReason(Protocol):
    """A leg that tells its party why it ends."""

    def set_end_reason(self, reason: EndReason) -> None:
        """Set why the leg is about to be cancelled."""


@runtime_checkable
class Movable(Protocol):
    """A leg that can pass to another process.

    What `suspend` returns makes it again there: a leg that is restored so goes on when it is run, and connects no more.
    """

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the leg cannot move now."""

    def suspend(self) -> tuple[msgspec.Struct, list[socket.socket]]:
        """Stop reading and sending; return the leg's state and its sockets, which stay its own.

        `resume` or `abandon` must follow. Until then the leg emits nothing.

        Raises:
            HandoverRefused: it cannot move now; it goes on as it was.
        """

    def resume(self) -> None:
        """Go on after `suspend`."""

    async def abandon(self) -> None:
        """Free a suspended leg that another process goes on with; nobody is told, and its task only ends."""


@runtime_checkable
class Copyable(Protocol):
    """A leg whose state, for a process that goes on some time later, is another than `Movable.suspend` returns.

    Of any other leg a copy is what that returns.
    """

    def copy(self) -> msgspec.Struct:
        """Return the leg's state in case that its process dies; the leg goes on.

        Raises:
            HandoverRefused: nobody could go on with it.
        """


@runtime_checkable
class Portable(Protocol):
    """A leg that another machine can go on with, over a connection of its own."""

    def portable_state(self) -> msgspec.Struct | None:
        """Return what is needed for that, without any key: it is written to the database. None: not now.

        It has no time of this machine's clock either.
        """


@runtime_checkable
class Reconnecting(Protocol):
    """A leg whose connection does not pass to another process, and is made anew."""

    @property
    def reconnecting(self) -> bool:
        """Whether that is still to come."""


@runtime_checkable
class Losable(Protocol):
    """A leg that may be lost with the process that had it."""

    @property
    def lost(self) -> bool:
        """Whether it is, and is about to end as `node_lost`."""


@dataclass(frozen=True, slots=True)
class PassedLeg:
    """A leg of a call that another process has passed to this one, with duplicates of its sockets."""

    call: CallFacts
    leg_id: LegId
    state: msgspec.Raw
    """As `Movable.suspend` returned it."""
    sockets: list[socket.socket]
    """Of whoever restores the leg, once it is; until then the caller's."""
    before: Sequence[Leg] = ()
    """The legs that joined the call before it, restored."""

    def read(self, kind: type[_State]) -> _State:
        """Return the state; raises `msgspec.MsgspecError` if it is of another kind."""
        return msgspec.msgpack.decode(self.state, type=kind)


class DialledLeg(Leg, Answerable, Protocol):
    """A leg that reaches a number, or is called from one."""


class Dialer(Protocol):
    """Makes legs that ring numbers over a line's provider."""

    def outbound_leg(
        self, call: CallFacts, number: str, channel: str, replaces: str = ""
    ) -> DialledLeg:
        """Return a leg for the call that rings the number over a channel while it runs.

        `replaces` names the dialog there that a telephone call takes over (RFC 3891). Its first event is `LegDialled` once the provider has accepted the dial, or `LegEnded` with
        the error of the provider that refuses.

        Raises:
            InvalidState: the line has no provider.
        """


def drop(_event: LegEvent) -> None:
    """Take what happens to a leg that does not run, which is not reported."""


async def run_until(
    over: Awaitable[Result], leg_id: LegId, **work: Coroutine[Any, Any, None]
) -> Result:
    """Run tasks, each named after its keyword and the leg, until there is a result; return it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one, name=f"{name} {leg_id}") for name, one in work.items()]
        result = await over
        for task in tasks:
            task.cancel()
    return result


def refusal_reason(error: BridgeError) -> EndReason:
    """Return why a leg ended whose provider refused to ring its party."""
    return EndReason.UNREACHABLE if isinstance(error, Unreachable) else EndReason.FAILED


def new_leg_id() -> LegId:
    """Return a fresh id."""
    return LegId(f"leg_{secrets.token_hex(8)}")

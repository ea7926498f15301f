"""A live call as data, for another process of this machine that goes on with it.

It has the keys of its legs, so it passes from process to process over a socket and nowhere else.
"""

import zlib
from collections.abc import Mapping
from typing import Final

import msgspec
from typing_extensions import override

from bridge.call.journal import MachineSnapshot
from bridge.call.model import CallFacts, LegFigures, LegId, LegKind
from bridge.errors import HandoverRefused
from bridge.legs.playback import PlaybackSnapshot
from bridge.metrics.media import Heard
from bridge.node.diagnosis.diagnosis import CallDiagnosisSnapshot
from bridge.node.diagnosis.quality import SamplesSnapshot
from bridge.node.turns.meters import TurnsSnapshot
from bridge.wire.rtp.used_numbers import Ceilings
from bridge.wire.snapshot.advance import advanced

VERSION: Final = 1
"""Of `CallSnapshot`; another one is refused."""
_CHECKSUM_BYTES: Final = 4


class LegSnapshot(msgspec.Struct, frozen=True):
    """A leg in a call."""

    leg_id: LegId
    kind: LegKind
    joined: float
    """Seconds of the call."""
    heard: Heard
    descriptors: int
    """How many of the call's are its own, which follow those of the legs before it."""
    state: msgspec.Raw
    """What its kind of leg makes of itself; nothing of one that is lost."""
    needed: bool = True
    """Whether the call cannot go on without it."""
    lost: bool = False
    """Whether no other process can go on with it."""


class CallSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A call."""

    version: int = VERSION
    facts: CallFacts
    machine: MachineSnapshot
    announced: bool
    legs: tuple[LegSnapshot, ...]
    """In the order in which they joined."""
    left: tuple[LegFigures, ...]
    """Of the last legs that left."""
    samples: SamplesSnapshot
    diagnosis: CallDiagnosisSnapshot | None
    marks: tuple[str, ...]
    """The names of the sets of calls that it is in (`node.handover.CallServices`)."""
    turns: TurnsSnapshot | None = None
    services: dict[str, msgspec.Raw] = {}
    """What services make of their work for it, by their names there."""
    at: float = 0.0
    """When it was taken, on the monotonic clock, which the processes of a machine share."""

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts.call_id})"


class _Version(msgspec.Struct):
    version: int


class _Leg(msgspec.Struct):
    kind: str


class _Legs(msgspec.Struct):
    legs: list[_Leg]


def encode(snapshot: CallSnapshot) -> bytes:
    """Return the bytes of a snapshot, and behind them their checksum."""
    data = msgspec.msgpack.encode(snapshot)
    return data + _checksum(data)


def decode(data: bytes) -> CallSnapshot:
    """Return a snapshot from its bytes.

    Raises:
        HandoverRefused: it is damaged, of another version, or malformed.
    """
    data, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if checksum != _checksum(data):
        raise HandoverRefused("the call cannot be read: it is damaged")
    try:
        version = msgspec.msgpack.decode(data, type=_Version).version
        if version != VERSION:
            raise HandoverRefused(f"the call is of version {version}, and {VERSION} is understood")
        return msgspec.msgpack.decode(data, type=CallSnapshot)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise HandoverRefused(f"the call cannot be read: {error}") from None


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big")


def leg_kinds(data: bytes) -> set[str]:
    """Return the kinds of a call's legs; none if it cannot be read."""
    try:
        return {
            leg.kind for leg in msgspec.msgpack.decode(data[:-_CHECKSUM_BYTES], type=_Legs).legs
        }
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return set()


def advance(data: bytes, used: Mapping[int, Ceilings], *, died_at: float, now: float) -> bytes:
    """Return the snapshot of a call whose process has died since, as it may stand now.

    A leg of which it is not known what it has used is lost.

    Raises:
        HandoverRefused: it cannot be read, or the call needs such a leg.
    """
    call = decode(data)
    elapsed = max(0.0, died_at - call.at)
    legs = tuple(_advance(leg, used, elapsed, now) for leg in call.legs)
    return encode(msgspec.structs.replace(call, legs=legs))


def _advance(
    leg: LegSnapshot, used: Mapping[int, Ceilings], elapsed: float, now: float
) -> LegSnapshot:
    if leg.lost:
        return leg
    try:
        if leg.kind is LegKind.PLAYBACK:
            played = msgspec.msgpack.decode(leg.state, type=PlaybackSnapshot).after(elapsed)
            state = msgspec.msgpack.encode(played)
        else:
            state = advanced(bytes(leg.state), used, now)
    except (HandoverRefused, msgspec.MsgspecError, ValueError) as error:
        if leg.needed:
            raise HandoverRefused(str(error)) from None
        return msgspec.structs.replace(leg, lost=True)
    return msgspec.structs.replace(leg, state=msgspec.Raw(state))

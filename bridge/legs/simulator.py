"""The simulated WhatsApp contacts: parties inside the process, each with one behaviour by number."""

import asyncio
import logging
import socket
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from bridge.audio.codec.codec import Codec
from bridge.audio.detect.vad import Vad
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    FRAME_SECONDS,
    SAMPLE_RATE,
    SILENCE,
    Frame,
    Push,
)
from bridge.call import events
from bridge.call.bus.ends import Forwarder, Source
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import HandoverRefused, RemoteProtocolError, Unreachable
from bridge.legs.base import Emit
from bridge.rtp.offload import SinkMode, SinkOffload
from bridge.rtp.offloadable import offloadable_owner
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)

HANG_UP_SECONDS: Final = 3.0
"""How long the contact that hangs up talks."""
MAX_DIGITS: Final = 1000
"""Of those that a contact was sent; the last are kept."""
REPEAT_SECONDS: Final = 0.7
"""Silence that ends a phrase."""
ROOM_NOISE: Final = np.random.default_rng(0).integers(-32, 33, FRAME_SAMPLES, "<i2").tobytes()
"""The noise of a quiet room at a microphone, about -65 dBov: a party that listens is not muted."""
_PAUSE_FRAMES: Final = round(1.5 / FRAME_SECONDS)
_LEAD_FRAMES: Final = round(0.1 / FRAME_SECONDS)
_PHRASE_FRAMES: Final = round(30 / FRAME_SECONDS)

ECHO: Final = "15550100001"
"""The number of the contact that sends back what it hears."""


class Behaviour(StrEnum):
    """What a contact does when it is called."""

    ECHO = "echo"
    TALK = "talk"
    NEVER_ANSWER = "never_answer"
    BUSY = "busy"
    REJECT = "reject"
    UNREACHABLE = "unreachable"
    HANG_UP = "hang_up"
    SILENT = "silent"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class Contact:
    """One entry of the simulator's telephone book."""

    number: str
    """Digits only."""
    name: str
    description: str
    behaviour: Behaviour


CONTACTS: Final[dict[str, Contact]] = {
    contact.number: contact
    for contact in (
        Contact(ECHO, "Echo", "Sends back what you say.", Behaviour.ECHO),
        Contact("15550100002", "Talker", "Answers and talks.", Behaviour.TALK),
        Contact("15550100003", "Nobody home", "Never answers.", Behaviour.NEVER_ANSWER),
        Contact("15550100004", "Busy", "Is on another call.", Behaviour.BUSY),
        Contact("15550100005", "Not now", "Rejects the call.", Behaviour.REJECT),
        Contact("15550100006", "Out of reach", "Cannot be reached.", Behaviour.UNREACHABLE),
        Contact("15550100007", "In a hurry", "Hangs up after 3 s.", Behaviour.HANG_UP),
        Contact("15550100008", "Silent", "Answers and says nothing.", Behaviour.SILENT),
        Contact("15550100009", "Parrot", "Repeats every phrase.", Behaviour.REPEAT),
    )
}
"""All contacts by number, in the order of their numbers."""

TELEPHONE: Final = Contact(
    "15550200001",
    "Echo by telephone",
    "Sends back what you say, over SIP and G.711.",
    Behaviour.ECHO,
)
"""One of the telephones that the contacts also have: their numbers with 155502."""

_ANSWERING: Final = frozenset(
    {Behaviour.ECHO, Behaviour.TALK, Behaviour.HANG_UP, Behaviour.SILENT, Behaviour.REPEAT}
)


def parse_speech(data: bytes) -> bytes:
    """Read the talking contact's recording, padded to whole frames.

    Raises:
        RemoteProtocolError: it is no mono WAV file of 16 kHz.
    """
    wav = parse_wav(data)
    if wav.rate != SAMPLE_RATE or wav.channels != 1 or not wav.pcm:
        raise RemoteProtocolError("the recording must be mono at 16 kHz")
    return wav.pcm + bytes(-len(wav.pcm) % FRAME_BYTES)


class _Talker:
    """Repeats its recording, with a pause before each repetition."""

    def __init__(self, speech: bytes) -> None:
        self._speech = speech
        self.next = 0
        """The frame that follows, counted from the beginning of the recording."""
        self._length = len(speech) // FRAME_BYTES

    def pull(self) -> bytes:
        number = self.next
        self.next = (number + 1) % (self._length + _PAUSE_FRAMES)
        if number >= self._length:
            return SILENCE
        return self._speech[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]


class _Parrot:
    """Repeats each phrase once it is followed by silence, or 30 s long.

    It listens while it speaks; beyond 30 s that are still to be said, the oldest are dropped.
    """

    def __init__(self) -> None:
        self._vad = Vad()
        self._lead: deque[bytes] = deque(maxlen=_LEAD_FRAMES)
        self._phrase: list[bytes] = []
        self._spoken = 0
        self._waiting: deque[bytes] = deque(maxlen=_PHRASE_FRAMES)

    def push(self, pcm: bytes) -> None:
        loud = self._vad.push(pcm)
        if not self._phrase and not loud:
            self._lead.append(pcm)
            return
        if not self._phrase:
            # The soft beginning of a word is below the detector's threshold.
            self._phrase.extend(self._lead)
            self._lead.clear()
        self._phrase.append(pcm)
        if loud:
            self._spoken = len(self._phrase)
        finished = self._vad.silence_seconds >= REPEAT_SECONDS - FRAME_SECONDS / 2
        if finished or len(self._phrase) >= _PHRASE_FRAMES:
            self._waiting.extend(self._phrase[: self._spoken + _LEAD_FRAMES])
            self._phrase.clear()

    def pull(self) -> bytes:
        return self._waiting.popleft() if self._waiting else ROOM_NOISE


class _Echo:
    """The echo contact's source."""

    passthrough_codec = None

    def __init__(self) -> None:
        self.push: Push | None = None

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        """Set where the echo goes."""
        self.push = push

    def flush(self) -> None:
        """See `call.bus.ends.TimedSource`."""


class ContactSnapshot(msgspec.Struct, frozen=True):
    """A contact that is talking; a phrase that the parrot has yet to repeat is left out."""

    number: str
    inbound: bool
    digits: str
    spoken: int
    """Frames that the talking contact has said of its recording."""
    received_frames: int
    sent_frames: int
    leaves_at: float | None
    """When it hangs up by itself; None for never."""


class SimulatedContact:
    """The leg of a contact, called by us or, with `inbound`, calling us until `answer`.

    A contact that takes no calls, or an unknown number, echoes in calls of its own. `speech` is what
    `parse_speech` returned. One frame counts as one packet in the figures.
    """

    kind = LegKind.SIMULATOR

    def __init__(
        self,
        leg_id: LegId,
        number: str,
        *,
        inbound: bool,
        ring_seconds: float,
        speech: bytes,
    ) -> None:
        self.leg_id = leg_id
        self.sink = self
        self._number = number
        self._inbound = inbound
        self._ring_seconds = ring_seconds
        contact = CONTACTS.get(number)
        behaviour = contact.behaviour if contact else Behaviour.UNREACHABLE
        if inbound and behaviour not in _ANSWERING:
            behaviour = Behaviour.ECHO
        self._behaviour = behaviour
        self._echo = _Echo() if behaviour is Behaviour.ECHO else None
        self._talker = _Talker(speech) if behaviour is Behaviour.TALK else None
        self._parrot = _Parrot() if behaviour is Behaviour.REPEAT else None
        self._accepted = asyncio.Event()
        self._emit: Emit | None = None
        """Set while the contact is connected."""
        self._counter = FrameCounter()
        self.digits = ""
        """The last digits the contact was sent, at most `MAX_DIGITS`."""
        self._leaves_at: float | None = None
        self._restored = False

    @property
    def source(self) -> Source:
        """The contact itself, or its echo, which keeps the sender's timing."""
        return self._echo or self

    @property
    def always_clocked(self) -> bool:
        """Whether silence counts, so that a frame is needed every 20 ms."""
        return self._behaviour is Behaviour.REPEAT

    def pull(self) -> bytes | None:
        """Return the next frame of what the contact says; None while it is not connected."""
        if self._emit is None:
            return None
        speaker = self._talker or self._parrot
        frame = speaker.pull() if speaker is not None else SILENCE
        self._counter.count_received(frame)
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame; the echo returns it in the same call."""
        if self._emit is None:
            return
        self._counter.count_sent(frame.pcm)
        if self._parrot is not None:
            self._parrot.push(frame.pcm)
        if self._echo is not None and self._echo.push is not None:
            self._counter.count_received(frame.pcm)
            self._echo.push(frame, now)

    @property
    def offloadable(self) -> bool:
        """Whether frames may pass the echo without this object (`rtp.offloadable.Offloadable`)."""
        return (
            self._emit is not None
            and self._echo is not None
            and offloadable_owner(self._echo.push) is not None
        )

    def offload(
        self, mode: SinkMode, epoch: object, codec: Codec | None = None
    ) -> SinkOffload | None:
        """Offload the stream that the echo goes to."""
        owner = None if self._echo is None else offloadable_owner(self._echo.push)
        return None if owner is None else owner.offload(mode, epoch, codec)

    def passed(self, frames: int, level_dbov: float) -> None:
        """Count frames that went that way (`rtp.offloadable.Passing`); the figures of both directions then lag by a second."""
        self._counter.count_passed(frames, level_dbov)

    async def run(self, emit: Emit) -> None:
        """Ring, talk, and leave; see `legs.base.Leg`."""
        refusal = None
        try:
            reason = await self._live(emit)
        except Unreachable as error:
            reason, refusal = EndReason.UNREACHABLE, error
        finally:
            self._emit = None
        emit(events.LegEnded(self.leg_id, reason, refusal))

    def answer(self) -> None:
        """Accept an inbound call; has no effect on an outbound one."""
        if self._inbound:
            self._accepted.set()

    def send_digits(self, digits: str) -> None:
        """Keep the digits; the echo sends them back."""
        if self._emit is None:
            return
        self.digits = (self.digits + digits)[-MAX_DIGITS:]
        if self._behaviour is Behaviour.ECHO:
            for digit in digits:
                self._emit(events.DigitReceived(self.leg_id, digit))

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the contact cannot move now (`legs.base.Movable`)."""
        if self._emit is None and not self._restored:
            raise HandoverRefused("the simulated contact has not answered")

    def suspend(self) -> tuple[ContactSnapshot, list[socket.socket]]:
        """Return the contact's state (`legs.base.Movable`); it says nothing while nobody asks it."""
        snapshot = ContactSnapshot(
            self._number,
            self._inbound,
            self.digits,
            0 if self._talker is None else self._talker.next,
            self._counter.received_frames,
            self._counter.sent_frames,
            self._leaves_at,
        )
        return snapshot, []

    def resume(self) -> None:
        """Go on after `suspend`."""

    def portable_state(self) -> ContactSnapshot | None:
        """Return what another machine makes the contact of (`legs.base.Portable`); one in a hurry has gone by then."""
        leaves_at = None if self._leaves_at is None else 0.0
        return replace(self.suspend()[0], leaves_at=leaves_at) if self._emit else None

    async def abandon(self) -> None:
        """Say nothing more: another process has the contact (`legs.base.Movable`)."""
        self._emit = None

    def restore(self, snapshot: ContactSnapshot) -> None:
        """Go on with another process's contact when it is run."""
        self._restored = True
        self._leaves_at = snapshot.leaves_at
        self.digits = snapshot.digits
        self._counter.received_frames = snapshot.received_frames
        self._counter.sent_frames = snapshot.sent_frames
        if self._talker is not None:
            self._talker.next = snapshot.spoken

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the contact says, `sent` what it hears."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())

    async def _live(self, emit: Emit) -> EndReason:
        """Ring and converse; return why the contact left."""
        if not self._restored:
            if self._inbound:
                await self._accepted.wait()
            elif reason := await self._ring(emit):
                return reason
            log.debug("simulator.answered", extra={"behaviour": self._behaviour})
        self._emit = emit
        if not self._restored:
            emit(events.LegConnected(self.leg_id))
            # The contact is in this process.
            emit(events.LegReported(self.leg_id, EventType.CALL_LATENCY, {"latencyMs": 0.0}))
            if self._behaviour is Behaviour.HANG_UP:
                self._leaves_at = asyncio.get_running_loop().time() + HANG_UP_SECONDS
        if self._leaves_at is None:
            await asyncio.Event().wait()  # until cancelled
        else:
            await asyncio.sleep(self._leaves_at - asyncio.get_running_loop().time())
        return EndReason.REMOTE_HANGUP

    async def _ring(self, emit: Emit) -> EndReason | None:
        """Ring the contact; return why it did not take the call, None when it did."""
        log.debug("simulator.ringing", extra={"behaviour": self._behaviour})
        if self._behaviour is Behaviour.UNREACHABLE:
            is_contact = self._number in CONTACTS
            known = "" if is_contact else "; the simulator knows 15550100001 to 15550100009"
            raise Unreachable(f"the number cannot be reached{known}")
        emit(events.LegDialled(self.leg_id))
        await asyncio.sleep(0)  # as over any network, the dial is answered before the phone rings
        emit(events.LegRinging(self.leg_id))
        if self._behaviour is Behaviour.NEVER_ANSWER:
            await asyncio.Event().wait()  # until cancelled
        await asyncio.sleep(self._ring_seconds)
        if self._behaviour is Behaviour.BUSY:
            return EndReason.BUSY
        if self._behaviour is Behaviour.REJECT:
            return EndReason.REJECTED
        emit(events.LegAnswered(self.leg_id))
        return None

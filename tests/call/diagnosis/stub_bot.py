"""A bot in a call, simulated frame by frame: what it sends goes through the buffer of a real leg, and is diagnosed once a second.

What is wrong with it are its attributes, which may change while the call goes on: a mend is applied by doing it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from bridge.audio.detect.level import clips, level
from bridge.audio.frame import FRAME_SECONDS, SILENCE
from bridge.call.bots.turns import TurnTracker
from bridge.call.diagnosis.bot_sound import BotSound
from bridge.call.diagnosis.diagnosis import Change, Diagnosis
from bridge.call.diagnosis.observation import (
    BotKind,
    BotObservation,
    CallObservation,
    LegObservation,
)
from bridge.call.diagnosis.problems import Severity
from bridge.call.leg_state import StreamCondition, TransportState
from bridge.call.model import (
    LegId,
    LegKind,
    LegStatistics,
    LevelCounts,
    Party,
    ReceivedAudio,
    SentAudio,
    State,
)
from bridge.legs.receive_buffer import InboundAudio
from bridge.wire.stream.media_format import (
    IN_PYTHON,
    ZUCKZAPGO,
    Convert,
    MediaFormat,
    encode_samples,
)
from bridge.wire.stream.media_stream import WAVIX
from bridge.wire.stream.realtime_session import REALTIME
from bridge.wire.stream.twilio import TWILIO
from tests.call.diagnosis.scripted import CONNECTED
from tests.support.peers.stock_peer import Pcm
from tests.support.sound.voices import words

LEG_KINDS = {BotKind.AGENT: LegKind.AGENT, BotKind.SOCKET: LegKind.SOCKET, BotKind.PEER: LegKind.WEBRTC}  # fmt: skip
FORMATS = {BotKind.NATIVE: WAVIX, BotKind.TWILIO: TWILIO, BotKind.REALTIME: REALTIME}
STREAMS = tuple(FORMATS)
UNREACHED = TransportState(described=True, ice="checking", public_candidates=True)
BURST = 1000.0
"""A pace at which all is sent at once."""
_NOISE = np.random.default_rng(7).normal(0.0, 1.0, 48_017)
Encode = Callable[[Pcm, MediaFormat], bytes]


def right(pcm: Pcm, media: MediaFormat) -> bytes:
    """Write 16 kHz audio in the format that was agreed."""
    return _converter(media)(pcm.astype("<i2").tobytes())


@cache
def _converter(media: MediaFormat) -> Convert:
    return IN_PYTHON.from_bus(media)


def at_rate(rate: int) -> Encode:
    """Write it at another rate, in the encoding that was agreed."""

    def encode(pcm: Pcm, media: MediaFormat) -> bytes:
        size = len(pcm) * rate // 16_000
        moved = np.interp(np.linspace(0, len(pcm) - 1, size), np.arange(len(pcm)), pcm)
        return encode_samples(media.encoding, np.rint(moved).astype("<i2").tobytes())

    return encode


@dataclass
class Talk:
    """What the caller does: when it speaks, in seconds of the call."""

    spans: list[tuple[float, float]] = field(
        default_factory=lambda: [(begin, begin + 2.0) for begin in np.arange(5.0, 200.0, 9.0)]
    )
    voice: int = 1
    gain: float = 1.0
    noise: float = 12.0
    """Standard deviation of the samples of its room."""
    sound: Pcm | None = None
    """Heard beside it: music, tones."""

    def begun(self, now: float) -> bool:
        """Whether it speaks now."""
        return any(begin <= now < end for begin, end in self.spans)


@dataclass
class StubBot:
    """A bot, and what is wrong with it."""

    kind: BotKind
    greets: bool = True
    answers: bool = True
    encode: Encode = right
    gain: float = 1.0
    square: bool = False
    """Whether its voice is distorted."""
    pace: float = BURST
    """Seconds of its audio that it sends in a second."""
    message_seconds: float = 0.02
    think_seconds: float = 0.8
    speech_seconds: float = 3.0
    yields: bool = True
    """Whether it stops when the caller speaks."""
    """After so many seconds of an answer nothing more comes of it; 0: never."""
    padding: bool = False
    """Whether it sends silence between its words."""
    silent: bool = False
    """Whether all it sends is silence."""
    connected: bool = True
    packets: bool = True
    """Whether it sends any, as a peer does also while it is silent."""
    oneway: bool = False
    heard: bool = True
    told_at: float = 0.0
    """Until when nobody has been told that it is a machine, and it is held."""
    ignored: str = ""
    """Why nothing that it sends is understood."""
    starts_at: float = 1.5
    """When it greets."""
    echo: float = 0.0
    """Gain of its own voice in what it hears, 0.24 s later."""
    function: bool = False
    filler: bool = False
    drops: float = 0.0
    """Seconds of audio for it that are dropped each second."""
    voice: int = 0
    speech: Pcm | None = None
    """What it says, in place of a voice of the recordings."""

    @property
    def is_track(self) -> bool:
        """Whether it sends 20 ms every 20 ms, silence too."""
        return self.kind is BotKind.PEER

    def media(self) -> MediaFormat:
        """The format that was agreed."""
        return FORMATS.get(self.kind, ZUCKZAPGO)


@cache
def speech(voice: int) -> Pcm:
    """Speech that begins and ends with a word."""
    pcm = words(voice)
    loud = np.flatnonzero(np.abs(pcm) > 500)
    return pcm[loud[0] : loud[-1]]


class BotCall:
    """A call between a bot and a caller, and its diagnosis."""

    def __init__(self, bot: StubBot, talk: Talk | None = None, *, rings: float = 1.0) -> None:
        self.bot, self.talk = bot, talk or Talk()
        self.now, self.rings = 0.0, rings
        self.state = State.ACTIVE
        self.diagnosis = Diagnosis()
        self.changes: list[tuple[float, Change]] = []
        self.first: list[str] = []
        """The first open problem at each second in which there is one."""
        self.muted = False
        self.lag = 0.002
        self.inbound = InboundAudio(bot.media(), lambda _: None, lambda: None, limit_seconds=300.0, now=lambda: self.now)  # fmt: skip
        self._tracker = TurnTracker()
        self._sound = BotSound(self._tracker)
        self._waiting = b""
        self._sent_at = self._due = 0.0
        self._told = 0
        self._answered = 0.0
        self._function_at = 0.0
        self._greeted = False
        self._past: list[np.ndarray] = [np.zeros(320)] * 12
        self._ignored = 0
        self._dropped = 0.0
        self._spoken = np.zeros(0, np.int16)
        self._broken = False
        self._levels = LevelCounts()

    def run(self, seconds: float) -> "BotCall":
        """Let seconds pass."""
        end = self.now + seconds
        while self.now < end - 1e-6:
            self._frame()
            self.now = round(self.now + FRAME_SECONDS, 6)
            if abs(self.now - round(self.now)) < 1e-6:
                self._observe()
        return self

    @property
    def codes(self) -> list[str]:
        """The open problems that are no notices, in their order."""
        return [one.code.value for one in self.diagnosis.open if one.severity > Severity.NOTICE]

    def raised_at(self, code: str) -> float:
        """Return when a problem was first raised."""
        return next(at for at, one in self.changes if one.problem.code == code)

    def _frame(self) -> None:
        bot, now = self.bot, self.now
        if bot.connected and bot.packets and not bot.oneway:
            self._send()
        up = now >= self.rings and self.state is State.ACTIVE
        (self.inbound.queue.hold if self._held else self.inbound.queue.release)()
        pulled = (up and bot.heard) or bot.kind is BotKind.SOCKET or not up
        frame = self.inbound.pull() if pulled else None
        if up and bot.heard:
            filler = bot.filler and self._thinks(now) and frame is None
            self._tracker.say(SILENCE if filler else frame, now, filler=filler)
            self._sound.say(SILENCE if filler else frame, filler=filler)
        if up:
            self._tracker.hear(self._heard(frame), now)
            self._sound.hear()

    def _note_level(self, frame: bytes) -> None:
        found, counts = level(frame), self._levels
        counts.noted += 1
        counts.quiet += found < -60.0
        counts.measured_frames += 1
        counts.clipped_frames += clips(frame, found)

    @property
    def _held(self) -> bool:
        return self.now < max(self.rings, self.bot.told_at)

    def _thinks(self, now: float) -> bool:
        return any(end < now < end + self.bot.think_seconds for _, end in self.talk.spans)

    def _heard(self, frame: bytes | None) -> bytes:
        talk, at = self.talk, round(self.now * 16_000)
        said: Any = np.zeros(320)
        if talk.begun(self.now):
            voice = speech(talk.voice)
            begin = at % (len(voice) - 320)
            said = voice[begin : begin + 320] * talk.gain
        if talk.sound is not None:
            begin = at % (len(talk.sound) - 320)
            said = said + talk.sound[begin : begin + 320]
        begin = at % (len(_NOISE) - 320)
        said = said + _NOISE[begin : begin + 320] * talk.noise
        if self.bot.echo:
            said = said + self._past[0] * self.bot.echo
        spoken = np.frombuffer(frame, "<i2").astype(float) if frame else np.zeros(320)
        self._past = [*self._past[1:], spoken]
        return bytes(np.clip(said, -32768, 32767).astype("<i2").tobytes())

    def _send(self) -> None:
        self._decide()
        bot = self.bot
        if not len(self._spoken):
            if (bot.padding or bot.is_track) and self.now >= self.rings:
                self._pass(right(np.zeros(320, np.int16), bot.media()))
            return
        size = round((FRAME_SECONDS if bot.is_track else bot.message_seconds) * 16_000)
        pace = min(bot.pace, 1.0) if bot.is_track else bot.pace
        while len(self._spoken) and self._due <= self.now + 1e-9:
            piece, self._spoken = self._spoken[:size], self._spoken[size:]
            self._pass(bot.encode(piece, bot.media()))
            self._due = max(self._due, self.now - 1.0) + len(piece) / 16_000 / pace

    def _pass(self, data: bytes) -> None:
        if self.bot.is_track and round(self.now / FRAME_SECONDS) % 5 == 0:
            self._note_level(data)
        if self.bot.ignored:
            self._ignored += 1
            return
        try:
            self.inbound.receive(data).send(None)
        except StopIteration:
            return

    def _decide(self) -> None:
        bot, now = self.bot, self.now
        if bot.yields and self.talk.begun(now) and len(self._spoken) + self._buffered:
            self._spoken = self._spoken[:0]
            self.inbound.clear()
        if bot.greets and not self._greeted and now >= bot.starts_at:
            self._greeted = True
            self._speak()
        ended = max((end for _, end in self.talk.spans if end <= now), default=0.0)
        if ended > self._answered and now >= ended + bot.think_seconds:
            self._answered = ended
            self._function_at = now
            if bot.answers and not self.talk.begun(now) and not bot.function:
                self._speak()

    @property
    def _buffered(self) -> int:
        return round(self.inbound.queue.buffered_seconds * 16_000)

    def _speak(self) -> None:
        bot = self.bot
        voice = speech(bot.voice) if bot.speech is None else bot.speech
        size = round(bot.speech_seconds * 16_000)
        begin = round(self.now * 7919) % max(1, len(voice) - size)
        said = voice[begin : begin + size]
        if bot.square:
            said = np.where(np.abs(said) > 300, np.sign(said) * 32_767, said)
        said = np.clip(said * bot.gain, -32768, 32767).astype(np.int16)
        self._spoken = (said * (not bot.silent)).astype(np.int16)
        self._due = self.now

    def _observe(self) -> None:
        bot, now = self.bot, self.now
        up = now >= self.rings
        self._dropped += bot.drops
        kind = LEG_KINDS.get(bot.kind, LegKind.STREAM)
        state = (
            self.inbound.state(self._dropped) if kind in (LegKind.SOCKET, LegKind.STREAM) else None
        )
        if bot.oneway:
            self._ignored += 40
        stream = None
        if kind is LegKind.STREAM:
            runs = bot.function and self._function_at > 0
            stream = StreamCondition(
                not bot.oneway,
                None if bot.connected else 0.0,
                {"oneway" if bot.oneway else bot.ignored: self._ignored},
                "look_up" if runs else "",
                self._function_at,
            )
        received, queue = self.inbound.statistics(), self.inbound.queue
        received.held_seconds = queue.held_seconds
        received.held_dropped_seconds = queue.held_dropped_seconds
        figures = self._sound.figures(now, talking=up and self.state is State.ACTIVE)
        transport = None
        if kind is LegKind.WEBRTC:
            received.levels = replace(self._levels)
            transport = CONNECTED if bot.connected else UNREACHED
        leg = LegObservation(
            LegId("bot"),
            kind,
            Party.NEAR if kind is LegKind.WEBRTC else Party.SERVICE,
            LegStatistics(received, SentAudio(), socket=state, stream=stream, transport=transport),
            connected=bot.connected,
            bot=BotObservation(bot.kind, bot.heard and not self._held, figures, held=self._held),
        )
        seen = CallObservation(
            self.state if up else State.RINGING, (leg, self._far()), lag_seconds=self.lag
        )
        self.changes += [(now, one) for one in self.diagnosis.observe(seen, now)]
        if self.codes:
            self.first.append(self.codes[0])

    def _far(self) -> LegObservation:
        frames = round(self.now * 50)
        received = ReceivedAudio(packets=frames, frames=frames, level_dbov=-30.0)
        statistics = LegStatistics(received, SentAudio(packets=frames))
        return LegObservation(LegId("far"), LegKind.GATEWAY, Party.FAR, statistics, connected=True)


def changed(bot: StubBot, **changes: object) -> StubBot:
    """Return the bot with other attributes."""
    return replace(bot, **changes)  # type: ignore[arg-type]

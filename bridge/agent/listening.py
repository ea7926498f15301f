"""Decides how an agent reacts to its caller: pause, duck, stop, or answer an utterance.

With `interruptions = "any"` any voice stops the agent; with `"meant"` it ducks at once, and stops only for an interruption
(`bridge.audio.detect.overlap`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.turns import TurnDetector, TurnEvent, VoiceDetector
from bridge.agent.voice_detector import VoiceDetectors
from bridge.audio.detect.level import SILENT, level
from bridge.audio.detect.overlap import (
    LASTING_FRAMES,
    NEAR_DB,
    OverlapChange,
    OverlapDetector,
    OverlapKind,
)
from bridge.audio.detect.vad import MIN_VOICE
from bridge.settings.agent import Agent

ASK_FRAMES: Final = 12
"""Age of an overlap at which the operator's detector is asked: 240 ms."""
SENT_FRAMES: Final = 50 + ASK_FRAMES
"""Length of the audio that it is sent: from 1 s before the overlap."""


class Heard(StrEnum):
    """How the agent reacts to a frame of the caller."""

    INTERRUPTS = "interrupts"
    """It stops."""
    ENDED = "ended"
    """There is an utterance to answer (`Listener.take_utterance`)."""
    AGREED = "agreed"
    """An utterance has ended that was a backchannel and needs no answer."""
    SILENT = "silent"
    """The caller has been silent for too long."""


def no_detector(pcm: bytes, answered: Callable[[OverlapKind | None], None]) -> bool:
    """Ask nobody."""
    return False


class Listener:
    """Follows the caller of one agent, frame by frame, and pauses or ducks the agent's speech."""

    def __init__(
        self,
        settings: Agent,
        speech: SpeechQueue,
        ask: Callable[[bytes, Callable[[OverlapKind | None], None]], bool] = no_detector,
    ) -> None:
        """`ask` asks the operator's detector about an overlap, given the audio so far, and returns False if there is none."""
        self._settings = settings
        self._speech = speech
        self._ask = ask
        self._turns = TurnDetector(settings)
        self.overlaps = OverlapDetector() if settings.interruptions == "meant" else None
        """Classifies overlaps; None where any voice interrupts."""
        self._undecided = False
        """Whether the caller speaks over the agent, and the agent has not stopped for it."""
        self._voiced = 0
        """Frames of the caller since then that are not much softer than `_loudest`."""
        self._loudest = SILENT
        """The level of the loudest frame since then; noise that goes on behind a word is softer."""
        self._stopped = False
        """Whether the agent has stopped for the current overlap."""
        self._asking = False
        """Whether a response of the operator's detector is pending."""
        self._told: OverlapKind | None = None
        """Its response for the current overlap."""
        self._recent: deque[bytes] = deque(maxlen=SENT_FRAMES)

    @property
    def hearing(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return self._turns.hearing

    @property
    def detector(self) -> VoiceDetector | None:
        """Distinguishes voices from noise; None if the level alone does."""
        return self._turns.detector

    def use(self, detector: VoiceDetector) -> None:
        """Distinguish voices from noise by a detector from here on."""
        self._turns.use(detector)

    async def run(self, voices: VoiceDetectors, over: asyncio.Event) -> None:
        """Distinguish voices from noise with a voice detector, where there is one, until the talk is over."""
        async with voices.acquire() as detector:
            if detector is not None:
                self.use(detector)
                await over.wait()

    def take_utterance(self) -> bytes:
        """Return the utterance that has ended, once."""
        return self._turns.take_utterance()

    def push(self, pcm: bytes, *, busy: bool) -> Heard | None:
        """Process the next 20 ms of the caller; `busy` is an agent that speaks or prepares what to say."""
        speaking = self._speech.speaking
        event = self._turns.push(pcm, busy=busy, speaking=speaking)
        if self.overlaps is None:
            return self._stop_for_any(event)
        said = self._speech.last
        audible = said is not None and level(said) > MIN_VOICE
        loud = self._turns.loud
        if speaking and self._turns.vad.level_dbov < self._settings.interrupting_dbov:
            loud = False
        change = self.overlaps.push(pcm, self._turns.vad, loud=loud, bot=audible)
        if event is TurnEvent.STARTED:
            if not speaking:
                self._undecided = False
                return Heard.INTERRUPTS
            if not self.overlaps.overlapping or self.overlaps.kind is not None:
                self.overlaps.restart(self._turns.vad)
                change = OverlapChange.BEGUN
        self._consult(self.overlaps, pcm, change)
        kind = None if self._asking else self._told or self.overlaps.kind
        heard = self._stop_if_meant(event, kind, busy=busy)
        if heard is None and speaking and self._interrupts_within(self.overlaps, kind):
            heard = Heard.INTERRUPTS
        self._stopped = self._stopped or heard is Heard.INTERRUPTS
        return heard

    def _stop_for_any(self, event: TurnEvent | None) -> Heard | None:
        match event:
            case TurnEvent.NOTICED:
                self._speech.held = True
            case TurnEvent.DISMISSED:
                self._speech.held = False
            case TurnEvent.STARTED:
                return Heard.INTERRUPTS
            case TurnEvent.ENDED:
                return Heard.ENDED
            case TurnEvent.SILENT:
                return Heard.SILENT
        return None

    def _stop_if_meant(
        self, event: TurnEvent | None, kind: OverlapKind | None, *, busy: bool
    ) -> Heard | None:
        match event:
            case TurnEvent.NOTICED:
                self._speech.ducked = True
            case TurnEvent.DISMISSED:
                self._speech.ducked = False
            case TurnEvent.STARTED:
                self._undecided, self._voiced, self._loudest = True, 0, SILENT
            case TurnEvent.ENDED:
                agreed, self._undecided = self._undecided and busy, False
                self._speech.ducked = False
                return Heard.AGREED if agreed else Heard.ENDED
            case TurnEvent.SILENT:
                return Heard.SILENT
        if not self._undecided:
            return None
        dbov = self._turns.vad.level_dbov
        self._loudest = max(self._loudest, dbov)
        self._voiced += self._turns.loud and dbov > self._loudest - NEAR_DB
        if kind is OverlapKind.INTERRUPTION or self._voiced >= LASTING_FRAMES:
            self._undecided = False
            return Heard.INTERRUPTS
        self._speech.ducked = kind is None
        return None

    def _interrupts_within(self, overlaps: OverlapDetector, kind: OverlapKind | None) -> bool:
        """Return whether the caller interrupts during an utterance that began before the agent spoke, such as a television in the background."""
        if self._undecided or self._stopped or not self._turns.hearing:
            return False
        return overlaps.overlapping and kind is OverlapKind.INTERRUPTION

    def _answered(self, kind: OverlapKind | None) -> None:
        """Take the response of the operator's detector; None if it failed, so that ours decides."""
        self._asking, self._told = False, kind

    def _consult(self, overlaps: OverlapDetector, pcm: bytes, change: OverlapChange | None) -> None:
        """Ask the operator's detector, if there is one, once per overlap."""
        self._recent.append(pcm)
        self._stopped = self._stopped and change is not OverlapChange.BEGUN
        if change is OverlapChange.BEGUN or overlaps.lasting:
            self._told = None
        if overlaps.overlapping and overlaps.age == ASK_FRAMES and not self._asking:
            self._asking = self._ask(b"".join(self._recent), self._answered)

"""Audio played to a caller while a reply is late."""

from contextlib import aclosing
from typing import Final

from bridge.agent.providers import ProviderFailed, TextToSpeech
from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.talk_settings import AgentCounters, TalkSettings
from bridge.agent.tone import tone
from bridge.audio.frame import FRAME_SECONDS

TONE: Final = (392.0, 523.0)
SOFT_VOLUME: Final = 0.25


class Filler:
    """Plays the filler sentence once per wait, then a soft tone at intervals.

    The sentence is synthesized once per call, when first needed.
    """

    def __init__(
        self,
        settings: TalkSettings,
        speech: SpeechQueue,
        tts: TextToSpeech,
        counters: AgentCounters,
    ) -> None:
        self._settings = settings
        self._speech = speech
        self._tts = tts
        self._counters = counters
        self._sound = b""
        self._waited = 0
        """Frames since the caller last heard anything."""

    def is_due(self, *, replying: bool) -> bool:
        """Count 20 ms; return whether a filler is due."""
        after = round(self._settings.filler_seconds / FRAME_SECONDS)
        silent = replying and not self._speech.speaking and not self._speech.has_sentences
        self._waited = self._waited + 1 if silent and after else 0
        if not self._waited or self._waited < after:
            return False
        self._waited = 0
        return True

    async def play(self) -> None:
        """Play the filler, unless the reply has arrived meanwhile."""
        first = self._speech.played_seconds == 0
        if first and self._settings.filler and not self._sound:
            try:
                async with aclosing(self._tts.speak(self._settings.filler)) as pieces:
                    self._sound = b"".join([pcm async for pcm in pieces])
            except ProviderFailed as error:
                self._counters.step_failed(error.step, error.reason)
        if self._speech.has_sentences or self._speech.speaking:
            return
        self._speech.fill(self._sound if first and self._sound else tone(TONE, volume=SOFT_VOLUME))
        self._counters.filler_played()

"""What a caller hears while a reply takes long."""

from contextlib import aclosing
from typing import Final

from bridge.agent.providers import ProviderFailed, TextToSpeech
from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.talk_settings import AgentCounters, TalkSettings
from bridge.agent.tone import tone
from bridge.audio.frame import FRAME_SECONDS

TONE: Final = (392.0, 523.0)
SOFTLY: Final = 0.25


class Filler:
    """Says the filler once a wait, then gives a soft tone from time to time.

    The filler is spoken by the provider once a call, when it is first needed.
    """

    def __init__(
        self, manners: TalkSettings, mouth: SpeechQueue, tts: TextToSpeech, counters: AgentCounters
    ) -> None:
        self._manners = manners
        self._mouth = mouth
        self._tts = tts
        self._counters = counters
        self._sound = b""
        self._waited = 0
        """Frames for which nothing was heard."""

    def is_due(self, *, replying: bool) -> bool:
        """Note that 20 ms have passed; give whether the caller has waited long enough."""
        after = round(self._manners.filler_seconds / FRAME_SECONDS)
        silent = replying and not self._mouth.speaking and not self._mouth.has_sentences
        self._waited = self._waited + 1 if silent and after else 0
        if not self._waited or self._waited < after:
            return False
        self._waited = 0
        return True

    async def play(self) -> None:
        """Let it be heard, unless the reply has come meanwhile."""
        first = self._mouth.played_seconds == 0
        if first and self._manners.filler and not self._sound:
            try:
                async with aclosing(self._tts.speak(self._manners.filler)) as pieces:
                    self._sound = b"".join([pcm async for pcm in pieces])
            except ProviderFailed as error:
                self._counters.step_failed(error.step, error.reason)
        if self._mouth.has_sentences or self._mouth.speaking:
            return
        self._mouth.fill(self._sound if first and self._sound else tone(TONE, loud=SOFTLY))
        self._counters.filler_played()

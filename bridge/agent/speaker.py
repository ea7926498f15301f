"""Synthesizes an agent's sentences, each while the previous one is played."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from bridge.agent.providers import TextToSpeech
from bridge.agent.sentences import Sentences
from bridge.agent.speech_queue import SpeechQueue

AHEAD_SECONDS: Final = 5.0
"""The next sentence is synthesized once less than this is left to play."""


class Speaker:
    """Puts sentences into a speech queue as their audio arrives."""

    def __init__(
        self,
        speech: SpeechQueue,
        tts: TextToSpeech,
        *,
        now: Callable[[], float],
        began: Callable[[float], None],
    ) -> None:
        """`began` is called with the time of each request whose audio begins to arrive."""
        self._speech = speech
        self._tts = tts
        self._now = now
        self._began = began

    async def say(self, text: str) -> None:
        """Speak a text, sentence by sentence; return when the last one is in the queue.

        Raises:
            ProviderFailed: speech could not be synthesized.
        """
        sentences = Sentences()
        for sentence in sentences.add(text) + sentences.finish():
            await self.speak(sentence)

    async def speak(self, sentence: str) -> None:
        """Speak one sentence once the previous ones are almost over (`say`)."""
        await self._speech.wait_below(AHEAD_SECONDS)
        asked, begun = self._now(), False
        async with aclosing(self._tts.speak(sentence)) as sound:
            async for pcm in sound:
                if not begun:
                    self._began(asked)
                    self._speech.begin(sentence)
                    begun = True
                self._speech.add(pcm)
        self._speech.end()

"""What takes time about the overlaps of one agent: the operator's detector, and the words of what seemed to be agreement."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.agent import overlap_words
from bridge.agent.providers import InterruptionDetector, ProviderFailed, Providers
from bridge.audio.detect.overlap import OverlapKind

if TYPE_CHECKING:
    from asyncio import Task, TaskGroup


class OverlapTasks:
    """At most one request to each, in the task group of the agent; nothing without one."""

    def __init__(
        self, providers: Providers, language: str, failed: Callable[[str, str], None]
    ) -> None:
        """`language` is that of the words that are read, none if it is empty; `failed` counts a failed step with its reason."""
        self.group: TaskGroup | None = None
        self._opinion = providers.interruptions
        self._stt = providers.stt
        self._language = language
        self._failed = failed
        self._reading: Task[None] | None = None

    def ask(self, pcm: bytes, answered: Callable[[OverlapKind | None], None]) -> bool:
        """Ask the operator's detector about the caller's audio so far; return whether there is one, which `answered` hears of."""
        if self._opinion is None or self.group is None:
            return False
        self.group.create_task(self._consult(self._opinion, pcm, answered), name="agent overlap")
        return True

    def read(self, utterance: bytes, said: Callable[[str, OverlapKind | None], None]) -> None:
        """Transcribe what seemed to be agreement; `said` takes the text, and what its words say of it."""
        reading = self._reading is not None and not self._reading.done()
        if self.group is not None and self._language and not reading:
            self._reading = self.group.create_task(
                self._read(utterance, said), name="agent backchannel"
            )

    async def _consult(
        self,
        opinion: InterruptionDetector,
        pcm: bytes,
        answered: Callable[[OverlapKind | None], None],
    ) -> None:
        answered(await opinion.ask(pcm))

    async def _read(
        self, utterance: bytes, said: Callable[[str, OverlapKind | None], None]
    ) -> None:
        try:
            text = (await self._stt.recognize(utterance)).text
        except ProviderFailed as error:
            self._failed(error.step, error.reason)
            return
        if text:
            said(text, overlap_words.classify(text, self._language))

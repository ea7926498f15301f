"""Requests about the overlaps of one agent: to the operator's detector, and to transcribe what seemed to be a backchannel."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.agent import overlap_words
from bridge.agent.providers import InterruptionDetector, ProviderFailed, Providers
from bridge.audio.detect.overlap import OverlapKind

if TYPE_CHECKING:
    from asyncio import Task, TaskGroup


class OverlapTasks:
    """At most one request to each at a time, in the agent's task group; none without one."""

    def __init__(
        self, providers: Providers, language: str, failed: Callable[[str, str], None]
    ) -> None:
        """`language` is that of the transcript, which is not requested if it is empty; `failed` counts a failed step with its reason."""
        self.group: TaskGroup | None = None
        self._opinion = providers.interruptions
        self._stt = providers.stt
        self._language = language
        self._failed = failed
        self._reading: Task[None] | None = None

    def ask(self, pcm: bytes, answered: Callable[[OverlapKind | None], None]) -> bool:
        """Ask the operator's detector about the caller's audio so far; `answered` gets its opinion. Return False if there is none."""
        if self._opinion is None or self.group is None:
            return False
        self.group.create_task(self._consult(self._opinion, pcm, answered), name="agent overlap")
        return True

    def read(self, utterance: bytes, said: Callable[[str, OverlapKind | None], None]) -> None:
        """Transcribe what seemed to be a backchannel; `said` gets the text and the kind that its words suggest."""
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

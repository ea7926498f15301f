"""The phrases of a live call and their provider."""

import asyncio
from typing import cast

import pytest

from bridge.agent.providers import ProviderFailed, Recognized
from bridge.audio.detect.phrases import SpokenPhrase
from bridge.call.transcript import Phrase, Word
from bridge.metrics.recording import TranscriptionMetrics
from bridge.node.transcripts.live import LiveTranscript, phrase_of

pytestmark = pytest.mark.virtual_time


class Provider:
    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def recognize(self, pcm: bytes) -> Recognized:
        await self.gate.wait()
        self.asked.append(pcm)
        if self.failures:
            self.failures -= 1
            raise ProviderFailed("no", step="stt", reason="status")
        return Recognized(f"{len(pcm)} bytes")


class Counts:
    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def phrase(self, outcome: str, /) -> None:
        self.outcomes.append(outcome)


class Run:
    def __init__(self, provider: Provider, *, most: int = 20) -> None:
        self.kept: list[Phrase] = []
        self.counts = Counts()
        self.missing = 0
        self.live = LiveTranscript(
            provider,
            max_queued=most,
            counters=cast("TranscriptionMetrics", self.counts),
            on_phrase=self._keep,
            on_missing=self._missed,
        )

    async def _keep(self, phrase: Phrase) -> None:
        self.kept.append(phrase)

    def _missed(self) -> None:
        self.missing += 1

    def add(self, seconds: float, size: int = 640) -> None:
        self.live.add("inbound", 0.5, SpokenPhrase(seconds, bytes(size)))


async def test_what_is_queued_is_transcribed_in_order_before_the_end():
    run = Run(Provider())
    run.add(1.0)
    run.add(2.0, 1280)
    run.live.close()
    await run.live.run()
    assert [(phrase.start, phrase.text) for phrase in run.kept] == [
        (1.5, "640 bytes"),
        (2.5, "1280 bytes"),
    ]


async def test_a_phrase_that_fails_is_tried_again():
    run = Run(Provider(failures=2))
    run.add(1.0)
    run.live.close()
    await run.live.run()
    assert run.counts.outcomes == ["failed", "failed", "transcribed"]
    assert run.missing == 0


async def test_a_phrase_that_keeps_failing_is_left_out_and_counted():
    run = Run(Provider(failures=3))
    run.add(1.0)
    run.add(2.0)
    run.live.close()
    await run.live.run()
    assert [phrase.start for phrase in run.kept] == [2.5]
    assert run.missing == 1
    assert run.counts.outcomes == ["failed"] * 3 + ["dropped", "transcribed"]


async def test_a_slow_provider_makes_the_oldest_phrases_wait_in_vain():
    run = Run(Provider(), most=2)
    for number in range(4):
        run.add(float(number))
    run.live.close()
    await run.live.run()
    assert [phrase.start for phrase in run.kept] == [2.5, 3.5]
    assert (run.missing, run.counts.outcomes.count("dropped")) == (2, 2)


def test_words_get_the_time_of_the_call():
    found = Recognized("Hi", (Word("Hi", 0.25, 0.5),), "en")
    phrase = phrase_of("inbound", SpokenPhrase(2.0, bytes(640 * 50)), 1.0, found)
    assert phrase == Phrase("inbound", 3.0, 4.0, "Hi", (Word("Hi", 3.25, 3.5),), "en")

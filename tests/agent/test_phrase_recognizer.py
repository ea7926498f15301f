"""The recogniser's child process: requests, limits of time, and its end."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from functools import partial

import pytest

from bridge.agent import phrase_recognizer
from bridge.agent.phrase_recognizer import MAX_SECONDS, MAX_WAITING, PhraseRecognizer
from bridge.agent.providers import ProviderFailed
from bridge.agent.questions import GRAMMAR, PRONUNCIATIONS
from bridge.media.decoding import sandboxed
from tests.support.sound.spoken_questions import utterance

SCRIPT = """
import json, sys, time
chosen = json.loads(sys.stdin.buffer.readline())
if chosen["grammar"] == "slow to start":
    time.sleep(60)
print("{}", flush=True)
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    text = sys.stdin.buffer.read(request["length"]).decode()
    if text == "crash":
        sys.exit(1)
    if text == "hang":
        time.sleep(60)
    if text == "pause":
        time.sleep(0.2)
    print("nonsense" if text == "nonsense" else json.dumps({"number": request["number"], "text": text}), flush=True)
"""


class Started:
    """Starts a script in place of the recogniser, which says what it is sent."""

    def __init__(self):
        self.processes = []

    async def __call__(self, _):
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, stdin=PIPE, stdout=PIPE
        )
        self.processes.append(started)
        return started


@pytest.fixture
async def recogniser():
    started = Started()
    made = PhraseRecognizer(started, grammar="", pronunciations={})
    yield made, started
    await made.aclose()
    assert all(process.returncode is not None for process in started.processes)


async def test_all_utterances_go_to_one_process(recogniser):
    made, started = recogniser
    heard = await asyncio.gather(*(made.recognize(b"%d" % each) for each in range(5)))
    assert heard == ["0", "1", "2", "3", "4"]
    assert len(started.processes) == 1


@pytest.mark.parametrize("utterance", [b"crash", b"nonsense"])
async def test_a_process_that_fails_is_replaced_at_the_next_utterance(recogniser, utterance):
    made, started = recogniser
    with pytest.raises(ProviderFailed) as caught:
        await made.recognize(utterance)
    assert (caught.value.step, caught.value.reason) == ("stt", "unreachable")
    assert await made.recognize(b"again") == "again"
    assert len(started.processes) == 2


async def test_a_process_that_takes_too_long_is_killed(recogniser, monkeypatch):
    made, started = recogniser
    await made.recognize(b"first")
    monkeypatch.setattr(phrase_recognizer, "PHRASE_SECONDS", 0.1)
    with pytest.raises(ProviderFailed) as caught:
        await made.recognize(b"hang")
    assert caught.value.reason == "timeout"
    assert started.processes[0].returncode is not None


async def test_a_process_that_does_not_load_its_models_is_killed(monkeypatch):
    monkeypatch.setattr(phrase_recognizer, "START_SECONDS", 0.1)
    started = Started()
    slow = PhraseRecognizer(started, grammar="slow to start", pronunciations={})
    with pytest.raises(ProviderFailed):
        await slow.recognize(b"first")
    assert started.processes[0].returncode is not None


async def test_who_goes_on_speaking_is_not_answered_for_the_beginning(recogniser):
    made, started = recogniser
    await made.recognize(b"first")
    asking = asyncio.ensure_future(made.recognize(b"pause"))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await made.recognize(b"whole") == "whole"
    assert len(started.processes) == 1


async def test_when_too_many_wait_the_next_fails_at_once(recogniser):
    made, _ = recogniser
    asking = [asyncio.ensure_future(made.recognize(b"pause")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(ProviderFailed):
        await made.recognize(b"one more")
    assert await asyncio.gather(*asking) == ["pause"] * MAX_WAITING


async def test_long_speech_is_not_examined(recogniser):
    made, started = recogniser
    assert await made.recognize(bytes(int(MAX_SECONDS) * 32_000 + 2)) == ""
    assert started.processes == []


async def test_a_program_that_cannot_be_started_is_a_failed_step():
    async def missing(command):
        raise FileNotFoundError(command)

    with pytest.raises(ProviderFailed):
        await PhraseRecognizer(missing, grammar="", pronunciations={}).recognize(b"first")


@pytest.mark.espeak
@pytest.mark.pocketsphinx
async def test_the_sandboxed_recogniser_understands_a_question():
    real = PhraseRecognizer(
        partial(sandboxed.start, stdin=PIPE, stdout=PIPE),
        grammar=GRAMMAR,
        pronunciations=PRONUNCIATIONS,
    )
    try:
        heard = [await real.recognize(utterance("How good is this call?")) for _ in range(2)]
    finally:
        await real.aclose()
    assert heard == ["how good is this call"] * 2

"""A child process that recognises the phrases of a grammar, with pocketsphinx and the model that its package contains.

Run by `media/decoding/sandbox.py`; imports nothing of the bridge. It reads one line of JSON, `{"grammar": JSGF, "words":
{word: phones}}` with the words that the model's dictionary lacks, and loads its models. Then it enters the sandbox and
writes a line, `{}`. Each request is a line of JSON, `{"number", "length"}`, and so many bytes of PCM (16 kHz, mono, 16
bit); each response a line, `{"number", "text"}`, whose text is empty if no phrase was heard. It exits at the end of
its input.
"""

import json
import sys
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from pocketsphinx import Decoder

PROCESSOR_SECONDS = 600
FILE_BYTES = 0
NICENESS = 5
GRAMMAR, PHRASE = "grammar", "phrase"
"""Names of the two searches."""
SPOTTING_THRESHOLD = 1e-300
"""Likelihood of the phrase against any phones; near the smallest number that a double can hold, as the model's default misses half."""
SPOTTING_BEAM = 1e-80
DITHER = 0.05
"""Of the speech's root mean square: digital silence and synthetic voices, which have no noise at all, are not understood."""
MIN_BYTES = 6_400
"""0.2 s; of nothing at all the decoder makes an error that it does not recover from."""
MIN_COVERED = 0.4
"""Share of the speech that the phrase must take where it is spotted."""


class PhraseDecoder:
    """Finds the likeliest phrase of a grammar, then checks it by keyword spotting.

    A grammar forces any speech into one of its phrases. Spotting compares the phrase with a loop of all phones, and so
    rejects what only resembles it.
    """

    def __init__(self, grammar: str, words: dict[str, str]) -> None:
        """Load the models.

        Raises:
            ValueError: The grammar is not JSGF, or has words that nobody knows how to pronounce.
        """
        self._grammar = Decoder(loglevel="FATAL", lm=None)
        self._spotter = Decoder(
            loglevel="FATAL", lm=None, kws_threshold=SPOTTING_THRESHOLD, beam=SPOTTING_BEAM
        )
        for decoder in (self._grammar, self._spotter):
            for word, phones in words.items():
                decoder.add_word(word, phones, True)  # noqa: FBT003 - its own parameter
        self._grammar.add_jsgf_string(GRAMMAR, grammar)
        self._grammar.activate_search(GRAMMAR)

    def recognize(self, pcm: bytes) -> str:
        """Return the phrase that was said; empty if it was none of the grammar's."""
        if len(pcm) < MIN_BYTES:
            return ""
        pcm = _dithered(pcm)
        phrase = _decode(self._grammar, pcm)
        # Speech that stops in mid-phrase gives the beginning of one.
        if not phrase or not self._grammar.get_fsg(GRAMMAR).accept(phrase):
            return ""
        spoken = [
            (part.start_frame, part.end_frame, part.word)
            for part in self._grammar.seg()
            if not part.word.startswith(("<", "["))
        ]
        length = spoken[-1][1] - spoken[0][0] + 1
        # Of words with several pronunciations the spotter must look for the same: `record(2)`.
        self._spotter.add_keyphrase(PHRASE, " ".join(word for _, _, word in spoken))
        self._spotter.activate_search(PHRASE)
        if not _decode(self._spotter, pcm):
            return ""
        longest = max(part.end_frame - part.start_frame + 1 for part in self._spotter.seg())
        return phrase if longest >= MIN_COVERED * length else ""


def _dithered(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    noise = np.random.default_rng(0).normal(0.0, 1.0, len(samples))
    loudness = np.sqrt(np.mean(samples**2))
    dithered = samples + noise * max(1.0, DITHER * loudness)
    return bytes(np.clip(dithered, -32768, 32767).astype("<i2").tobytes())


def _decode(decoder: Decoder, pcm: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return str(found.hypstr) if found else ""


def main(lock: Callable[[], object]) -> None:
    """Answer requests until the input ends."""
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    chosen = json.loads(requests.readline())
    decoder = PhraseDecoder(chosen["grammar"], chosen["words"])
    decoder.recognize(bytes(32_000))  # what it allocates once, it allocates outside
    lock()
    _respond(responses, {})
    while line := requests.readline():
        request = json.loads(line)
        pcm = requests.read(request["length"])
        _respond(responses, {"number": request["number"], "text": decoder.recognize(pcm)})


def _respond(responses: BinaryIO, response: dict[str, object]) -> None:
    responses.write(json.dumps(response).encode() + b"\n")
    responses.flush()

"""A child process that hears which sounds speech consists of, with pocketsphinx and the English model that its package contains.

Run by `media/decoding/sandbox.py`; imports nothing of the bridge. It loads its models, enters the sandbox and writes a line,
`{}`. Each request is a line of JSON, `{"words", "length", "times"}`, and so many bytes of PCM (16 kHz, mono, 16 bit); each response
a line, `{"phones", "words"}`: the phones of the speech, as heard so many times, and those of each word in the dictionary, null for one that is not
in it. It exits at the end of its input.
"""

import json
import sys
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from pocketsphinx import Decoder, get_model_path

PROCESSOR_SECONDS = 3600
FILE_BYTES = 0
NICENESS = 10
PHONE_MODEL = "en-us/en-us-phone.lm.bin"
LANGUAGE_WEIGHT, INSERTION_PENALTY, BEAM = 2.0, 0.3, 1e-20
DITHER = 0.05
"""Of the speech's root mean square: synthetic voices, which have no noise at all, are not understood."""
SHIFT = 53
"""Samples between the beginnings of two hearings; a frame is 160."""
MIN_BYTES = 6_400
"""0.2 s; of nothing at all the decoder makes an error that it does not recover from."""


class PhoneDecoder:
    """Finds the likeliest sequence of phones."""

    def __init__(self) -> None:
        """Load the models."""
        self._dictionary = Decoder(loglevel="FATAL", lm=None)
        self._phones = Decoder(
            loglevel="FATAL",
            allphone=f"{get_model_path()}/{PHONE_MODEL}",
            lw=LANGUAGE_WEIGHT,
            pip=INSERTION_PENALTY,
            cmn="batch",
            beam=BEAM,
            pbeam=BEAM,
        )

    def hear(self, pcm: bytes, times: int) -> list[list[str]]:
        """Return the phones of some speech, each time with another noise and another grid of frames, so that chance does not decide."""
        return [self._decode(_dithered(pcm[2 * SHIFT * turn :], turn)) for turn in range(times)]

    def _decode(self, pcm: bytes) -> list[str]:
        if len(pcm) < MIN_BYTES:
            return []
        self._phones.start_utt()
        self._phones.process_raw(pcm, full_utt=True)
        self._phones.end_utt()
        found = [part.word for part in self._phones.seg()]
        return [phone for phone in found if phone.isalpha() and phone != "SIL"]

    def pronunciation(self, word: str) -> list[str] | None:
        """Return the phones of a word; None if nobody knows them."""
        found = self._dictionary.lookup_word(word)
        return None if found is None else str(found).split()


def _dithered(pcm: bytes, seed: int) -> bytes:
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    if not len(samples):
        return b""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, len(samples))
    loudness = np.sqrt(np.mean(samples**2))
    dithered = samples + noise * max(1.0, DITHER * loudness)
    return bytes(np.clip(dithered, -32768, 32767).astype("<i2").tobytes())


def main(lock: Callable[[], object]) -> None:
    """Answer requests until the input ends."""
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    decoder = PhoneDecoder()
    decoder.hear(bytes(32_000), 1)  # what it allocates once, it allocates outside
    lock()
    _respond(responses, {})
    while line := requests.readline():
        request = json.loads(line)
        pcm = requests.read(request["length"])
        words = {word: decoder.pronunciation(word) for word in request["words"]}
        _respond(responses, {"phones": decoder.hear(pcm, request["times"]), "words": words})


def _respond(responses: BinaryIO, response: dict[str, object]) -> None:
    responses.write(json.dumps(response).encode() + b"\n")
    responses.flush()

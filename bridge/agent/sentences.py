"""Splitting an agent's text into sentences, and computing how much of it was heard."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_SECONDS

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
MAX_SENTENCE: Final = 400
"""Maximum characters; longer sentences are split at a space."""
_CONTROL: Final = {code: " " for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A sentence of the agent and its duration."""

    text: str
    seconds: float


def heard_text(sentences: Iterable[SpokenSentence], seconds: float) -> str:
    """Return the text of the first `seconds` of several sentences.

    The interrupted sentence is cut after its last complete word, assuming equally long characters.
    Entries without text, such as tones, only take time.
    """
    texts: list[str] = []
    for sentence in sentences:
        if seconds >= sentence.seconds - FRAME_SECONDS / 2:
            texts.append(sentence.text)
            seconds -= sentence.seconds
            continue
        share = max(0.0, seconds) / sentence.seconds
        whole, _, _ = sentence.text[: int(len(sentence.text) * share) + 1].rpartition(" ")
        if whole:
            texts.append(whole + " …")
        break
    return " ".join(text for text in texts if text)


class Sentences:
    """Splits streamed text into sentences."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, piece: str) -> list[str]:
        """Add a piece and return the sentences that are now complete."""
        *whole, self._rest = _SENTENCE_END.split(self._rest + piece)
        while len(self._rest) > MAX_SENTENCE:
            cut = self._rest.rfind(" ", 1, MAX_SENTENCE)
            cut = cut if cut > 0 else MAX_SENTENCE
            whole.append(self._rest[:cut])
            self._rest = self._rest[cut:].lstrip()
        return [text.strip() for text in whole if text.strip()]

    def finish(self) -> list[str]:
        """Return the rest."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []


def clean(text: str) -> str:
    """Return text without lone surrogates and control characters."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.translate(_CONTROL)

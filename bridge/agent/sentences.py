"""What an agent says, as text: cut into sentences, and how much of them was heard."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_SECONDS

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
MAX_SENTENCE: Final = 400
"""Characters; what has no end before is cut at a word."""
_CONTROL: Final = {code: " " for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of ours, and how long it takes to say it."""

    text: str
    seconds: float


def heard(said: Iterable[Said], seconds: float) -> str:
    """Give what was heard of several sentences when so many seconds of them were.

    The one that was interrupted is cut behind the last word that was whole, taking all its
    letters as equally long. What has no text, such as a tone, only takes its time.
    """
    texts: list[str] = []
    for sentence in said:
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
    """Cuts a text that comes in pieces into sentences, each given as soon as it is whole."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, piece: str) -> list[str]:
        """Take a piece; give the sentences that are whole now."""
        *whole, self._rest = _SENTENCE_END.split(self._rest + piece)
        while len(self._rest) > MAX_SENTENCE:
            cut = self._rest.rfind(" ", 1, MAX_SENTENCE)
            cut = cut if cut > 0 else MAX_SENTENCE
            whole.append(self._rest[:cut])
            self._rest = self._rest[cut:].lstrip()
        return [text.strip() for text in whole if text.strip()]

    def finish(self) -> list[str]:
        """Give what is left."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []


def clean(text: str) -> str:
    """Give a text without halves of letters and control characters, which nothing can write."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.translate(_CONTROL)

"""Speech recognition over HTTP, at a customer's URL.

ZuckZapGo's contract: `POST` of a WAV file, response `{"text"}`; our additions to the response are `words`, each `{"word",
"start", "end"}` in seconds, and `language`. A URL that ends like OpenAI's uses OpenAI's API, with `model`
in the query; with `words=true` it is asked for the times of words, which not every model has.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import Recognized
from bridge.agent.sentences import clean
from bridge.audio.file.wav import make_header
from bridge.call.transcript import Word
from bridge.settings.line import Agent

MAX_TRANSCRIPT_CHARACTERS: Final = 10_000
MAX_WORDS: Final = 2_000
"""Longer texts are cut, since they go into events and further requests."""
MAX_WORD: Final = 100
MAX_LANGUAGE: Final = 35
"""Characters of a language tag (RFC 5646 §4.4.1)."""


@dataclass(frozen=True, slots=True)
class HttpRecognizer:
    """The speech recognition of a line; implements `providers.Recognizer`."""

    at: Endpoint
    settings: Agent

    async def recognize(self, pcm: bytes) -> Recognized:
        """Post a WAV file."""
        at, wav = self.at, make_header(len(pcm)) + pcm
        if at.is_openai("/audio/transcriptions"):
            body = await at.post(self.settings.text_bytes, data=self._form(wav))
        else:
            wanted = {"Content-Type": "audio/wav", "Accept": "application/json"}
            body = await at.post(self.settings.text_bytes, data=wav, headers=wanted)
        text = clean(at.member(body, "text")[:MAX_TRANSCRIPT_CHARACTERS]).strip()
        fields = json.loads(body)
        language = fields.get("language")
        return Recognized(
            text,
            _words(fields.get("words")),
            clean(language[:MAX_LANGUAGE]) if isinstance(language, str) else "",
        )

    def _form(self, wav: bytes) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("model", self.at.query_value("model", self.settings.stt_model))
        if self.at.query_value("words", "") == "true":
            form.add_field("response_format", "verbose_json")
            form.add_field("timestamp_granularities[]", "word")
        else:
            form.add_field("response_format", "json")
        form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
        return form


def _words(sent: Any) -> tuple[Word, ...]:  # noqa: ANN401 - whatever the provider sends
    """Return the words of a response; none where one of them is malformed."""
    if not isinstance(sent, list):
        return ()
    found = []
    for each in sent[:MAX_WORDS]:
        try:
            text, start, end = each["word"], float(each["start"]), float(each["end"])
        except (TypeError, KeyError, ValueError):
            return ()
        if not isinstance(text, str) or not 0 <= start <= end < 1e6:
            return ()
        found.append(Word(clean(text[:MAX_WORD]).strip(), start, end))
    return tuple(found)

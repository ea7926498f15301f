"""The operator's own interruption detector: an HTTP server that is asked about each overlap."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec

from bridge.agent.overlap_words import classify
from bridge.audio.detect.overlap import OverlapKind
from bridge.audio.file.wav import make_header
from bridge.http.client import Http

LIMIT_SECONDS: Final = 0.3
"""Timeout of the whole request; then the built-in classifier decides."""
MAX_BYTES: Final = 4096
"""Of an answer."""

log = logging.getLogger(__name__)


class _Answer(msgspec.Struct):
    kind: OverlapKind | None = None
    text: str = ""


_DECODER: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class OverlapOpinion:
    """Asks the URL of the settings; a failure is counted and yields no opinion."""

    http: Http
    url: str
    token: str
    language: str
    """Language of a `text` in its response; empty: the text is ignored."""
    failed: Callable[[str], None]
    """Counts a failure by reason (`metrics.agent.FAILURES`)."""

    async def ask(self, pcm: bytes) -> OverlapKind | None:
        """Return its opinion about the caller's audio so far (16-bit samples at 16 kHz); None if there is none in time."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                body = await self._post(make_header(len(pcm)) + pcm)
            answer = _DECODER.decode(body)
        except TimeoutError:
            self.failed("timeout")
        except (aiohttp.InvalidURL, aiohttp.ClientError, OSError):
            self.failed("unreachable")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self.failed("garbage")
        except _Refused as refused:
            self.failed(str(refused))
        else:
            return answer.kind or classify(answer.text, self.language)
        return None

    async def _post(self, wav: bytes) -> bytes:
        headers = {"Content-Type": "audio/wav"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        async with self.http.trusted().post(
            self.url, data=wav, headers=headers, allow_redirects=False
        ) as answer:
            if not 200 <= answer.status < 300:
                raise _Refused("status")
            body = await answer.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES)):
                body += more
        if len(body) > MAX_BYTES:
            raise _Refused("too_large")
        return body


class _Refused(Exception):
    """Raised with the reason when a response is not usable."""

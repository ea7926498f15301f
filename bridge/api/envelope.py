"""In whose words an error is told: every face has an envelope of its own, known by the path."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import web

from bridge.api import render
from bridge.api.auth import WAVIX_PATHS
from bridge.api.faces.chirp import words as chirp_words
from bridge.api.faces.wadial import words as wadial_words
from bridge.api.faces.wavix import words as wavix_words
from bridge.errors import BridgeError, CallEnded, CallNotFound

Envelope: TypeAlias = Callable[[BridgeError], web.Response]

ENVELOPES: Final[tuple[tuple[re.Pattern[str], Envelope], ...]] = (
    (WAVIX_PATHS, wavix_words.failure),
    (re.compile(r"/v1/"), chirp_words.failure),
    (re.compile(r"/api/v1/"), wadial_words.failure),
)
"""Paths and who tells the errors there; the first pattern that matches from the beginning counts."""


FORGETS_ENDED_CALLS: Final = re.compile(f"/call/|{WAVIX_PATHS.pattern}")
"""Paths where an ended call is unknown, as the documents of ZuckZapGo, WaGo and Wavix have it.

To ZuckZapGo's clients 409 says that the line's engine is off, and their documented answer is to connect it
anew, which would end every other call of the line.
"""


def in_words_of(path: str, error: BridgeError) -> BridgeError:
    """Return an error as the face of a path knows it."""
    if isinstance(error, CallEnded) and FORGETS_ENDED_CALLS.match(path):
        return CallNotFound(str(error))
    return error


def envelope(path: str) -> Envelope:
    """Give what renders the errors of a path; the native envelope where no face claims it."""
    return next((words for paths, words in ENVELOPES if paths.match(path)), render.failure)

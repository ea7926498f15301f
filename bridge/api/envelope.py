"""In whose words an error is told: every face has an envelope of its own, known by the path."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import web

from bridge.api import render
from bridge.api.auth import WAVIX_PATHS
from bridge.api.faces import chirp_words, wadial_words, wavix_words
from bridge.errors import BridgeError

Envelope: TypeAlias = Callable[[BridgeError], web.Response]

ENVELOPES: Final[tuple[tuple[re.Pattern[str], Envelope], ...]] = (
    (WAVIX_PATHS, wavix_words.failure),
    (re.compile(r"/v1/"), chirp_words.failure),
    (re.compile(r"/api/v1/"), wadial_words.failure),
)
"""Paths and who tells the errors there; the first pattern that matches from the beginning counts."""


def envelope(path: str) -> Envelope:
    """Give what renders the errors of a path; the native envelope where no face claims it."""
    return next((words for paths, words in ENVELOPES if paths.match(path)), render.failure)

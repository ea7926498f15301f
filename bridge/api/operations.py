"""Every operation of the service, and the error envelope of every path."""

import re
from typing import Final

from bridge.api import (
    admin,
    agent,
    calls,
    cloud,
    events,
    gateway,
    health,
    lines,
    media_socket,
    page,
    playback,
    recording,
    recording_files,
    render,
    scrape,
    simulator,
    tickets,
    webhooks,
    webrtc,
)
from bridge.api.auth import WAVIX_PATHS
from bridge.api.faces.chirp import calls as chirp
from bridge.api.faces.chirp import recordings as chirp_recordings
from bridge.api.faces.chirp import webhooks as chirp_webhooks
from bridge.api.faces.chirp import words as chirp_words
from bridge.api.faces.wadial import audio as wadial_audio
from bridge.api.faces.wadial import calls as wadial
from bridge.api.faces.wadial import events as wadial_events
from bridge.api.faces.wadial import media as wadial_media
from bridge.api.faces.wadial import recordings as wadial_recordings
from bridge.api.faces.wadial import webhooks as wadial_webhooks
from bridge.api.faces.wadial import words as wadial_words
from bridge.api.faces.wago import calls as wago
from bridge.api.faces.wavix import audio as wavix_audio
from bridge.api.faces.wavix import calls as wavix
from bridge.api.faces.wavix import hooks as wavix_hooks
from bridge.api.faces.wavix import numbers as wavix_numbers
from bridge.api.faces.wavix import recordings as wavix_recordings
from bridge.api.faces.wavix import words as wavix_words
from bridge.api.faces.zuckzapgo import calls as zuckzapgo
from bridge.api.operation import Operation
from bridge.api.services import ErrorEnvelope

OPERATIONS: Final[tuple[Operation, ...]] = (
    *calls.OPERATIONS,
    *tickets.OPERATIONS,
    *webrtc.OPERATIONS,
    *lines.OPERATIONS,
    *admin.OPERATIONS,
    *playback.OPERATIONS,
    *recording.OPERATIONS,
    *recording_files.OPERATIONS,
    *agent.OPERATIONS,
    *events.OPERATIONS,
    *webhooks.OPERATIONS,
    *media_socket.OPERATIONS,
    *page.OPERATIONS,
    *health.OPERATIONS,
    *scrape.OPERATIONS,
    *simulator.OPERATIONS,
    *cloud.OPERATIONS,
    *gateway.OPERATIONS,
    *wago.OPERATIONS,
    *zuckzapgo.OPERATIONS,
    *wadial.OPERATIONS,
    *wadial_events.OPERATIONS,
    *wadial_media.OPERATIONS,
    *wadial_audio.OPERATIONS,
    *wadial_recordings.OPERATIONS,
    *wadial_webhooks.OPERATIONS,
    *chirp.OPERATIONS,
    *chirp_recordings.OPERATIONS,
    *chirp_webhooks.OPERATIONS,
    *wavix.OPERATIONS,
    *wavix_audio.OPERATIONS,
    *wavix_hooks.OPERATIONS,
    *wavix_numbers.OPERATIONS,
    *wavix_recordings.OPERATIONS,
)

ERROR_ENVELOPES: Final[tuple[tuple[re.Pattern[str], ErrorEnvelope], ...]] = (
    (WAVIX_PATHS, wavix_words.failure),
    (re.compile(r"/v1/"), chirp_words.failure),
    (re.compile(r"/api/v1/"), wadial_words.failure),
)
"""The first pattern that matches a path from its beginning counts."""


def error_envelope(path: str) -> ErrorEnvelope:
    """Return what renders the errors of a path: the native envelope where no face claims it."""
    found = (failure for paths, failure in ERROR_ENVELOPES if paths.match(path))
    return next(found, render.failure)

"""Every operation of the service, and the error envelope of every path."""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from bridge.api.calls import calls, diagnosis, history, parties, render, report, ringing, turns
from bridge.api.events import events, webhooks
from bridge.api.faces.chirp import calls as chirp
from bridge.api.faces.chirp import commands as chirp_commands
from bridge.api.faces.chirp import recordings as chirp_recordings
from bridge.api.faces.chirp import voicemails as chirp_voicemails
from bridge.api.faces.chirp import webhooks as chirp_webhooks
from bridge.api.faces.chirp import words as chirp_words
from bridge.api.faces.livekit import rtc as livekit
from bridge.api.faces.wadial import audio as wadial_audio
from bridge.api.faces.wadial import calls as wadial
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
from bridge.api.faces.wavix import transcripts as wavix_transcripts
from bridge.api.faces.wavix import words as wavix_words
from bridge.api.faces.zuckzapgo import calls as zuckzapgo
from bridge.api.lines import admin, cloud, gateway, lines, simulator
from bridge.api.media import (
    agent,
    connection_test,
    media_socket,
    playback,
    recording,
    recording_files,
    streams,
    tickets,
    transcripts,
    voicemails,
    webrtc,
)
from bridge.api.operations import console, drain, health, nodes, page, scrape
from bridge.api.server.auth import LIVEKIT_PATHS, LIVEKIT_SERVER_PATHS, WAVIX_PATHS
from bridge.api.server.operation import Operation
from bridge.errors import BridgeError

MODULES: Final = (
    calls,
    parties,
    diagnosis,
    history,
    turns,
    connection_test,
    report,
    tickets,
    webrtc,
    lines,
    admin,
    drain,
    nodes,
    console,
    playback,
    recording,
    recording_files,
    voicemails,
    transcripts,
    agent,
    streams,
    events,
    webhooks,
    media_socket,
    page,
    health,
    scrape,
    simulator,
    cloud,
    gateway,
    ringing,
    wago,
    zuckzapgo,
    wadial,
    wadial_media,
    wadial_audio,
    wadial_recordings,
    wadial_webhooks,
    chirp,
    chirp_commands,
    chirp_recordings,
    chirp_voicemails,
    chirp_webhooks,
    wavix,
    wavix_audio,
    wavix_hooks,
    wavix_numbers,
    wavix_recordings,
    wavix_transcripts,
    livekit,
)
"""The modules that declare operations; where two paths match a request, the first counts."""

OPERATIONS: Final = tuple(
    declared
    for module in MODULES
    for declared in vars(module).values()
    if isinstance(declared, Operation)
)


class ErrorFormat(NamedTuple):
    """How the errors of some paths are written."""

    schema: str
    """Its name in the OpenAPI document."""
    render: Callable[[BridgeError], dict[str, Any] | str]
    """Returns the body of the answer; text is for every origin's pages."""


def _twirp_error(error: BridgeError) -> dict[str, Any]:
    """Render an error as LiveKit's server SDKs read it (https://twitchtv.github.io/twirp/docs/errors.html)."""
    return {"code": error.code, "msg": str(error)}


NATIVE_ERRORS: Final = ErrorFormat("NativeError", render.failure)
FACE_ERRORS: Final = (
    (LIVEKIT_PATHS, ErrorFormat("PlainError", str)),
    (LIVEKIT_SERVER_PATHS, ErrorFormat("TwirpError", _twirp_error)),
    (WAVIX_PATHS, ErrorFormat("WavixError", wavix_words.failure)),
    (re.compile(r"/v1/"), ErrorFormat("ChirpError", chirp_words.failure)),
    (re.compile(r"/api/v1/"), ErrorFormat("WadialError", wadial_words.failure)),
)
"""The first pattern that matches a path from its beginning counts."""


def error_format(path: str) -> ErrorFormat:
    """Return how the errors of a path are written: natively where no face claims it."""
    return next((format_ for paths, format_ in FACE_ERRORS if paths.match(path)), NATIVE_ERRORS)


def error_response(path: str, error: BridgeError) -> web.Response:
    """Answer an error at a path."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    body = error_format(path).render(error)
    if isinstance(body, str):
        headers["Access-Control-Allow-Origin"] = "*"
        return web.Response(text=body, status=error.status, headers=headers)
    return web.json_response(body, status=error.status, headers=headers)

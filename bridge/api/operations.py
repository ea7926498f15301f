"""Every operation of the service, in one list."""

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
    scrape,
    simulator,
    tickets,
    webhooks,
    webrtc,
)
from bridge.api.faces.chirp import calls as chirp
from bridge.api.faces.chirp import recordings as chirp_recordings
from bridge.api.faces.chirp import webhooks as chirp_webhooks
from bridge.api.faces.wadial import audio as wadial_audio
from bridge.api.faces.wadial import calls as wadial
from bridge.api.faces.wadial import recordings as wadial_recordings
from bridge.api.faces.wadial import webhooks as wadial_webhooks
from bridge.api.faces.wago import calls as wago
from bridge.api.faces.zuckzapgo import calls as zuckzapgo
from bridge.api.operation import Operation

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
    *wadial_audio.OPERATIONS,
    *wadial_recordings.OPERATIONS,
    *wadial_webhooks.OPERATIONS,
    *chirp.OPERATIONS,
    *chirp_recordings.OPERATIONS,
    *chirp_webhooks.OPERATIONS,
)

"""Every route of the service, in one list."""

from aiohttp import web

from bridge.api import (
    agent,
    calls,
    cloud,
    events,
    gateway,
    health,
    media_socket,
    openapi,
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
from bridge.api.faces.wadial import audio as wadial_audio
from bridge.api.faces.wadial import calls as wadial
from bridge.api.faces.wadial import recordings as wadial_recordings
from bridge.api.faces.wago import calls as wago
from bridge.api.faces.wavix import audio as wavix_audio
from bridge.api.faces.wavix import calls as wavix
from bridge.api.faces.wavix import hooks as wavix_hooks
from bridge.api.faces.wavix import numbers as wavix_numbers
from bridge.api.faces.wavix import recordings as wavix_recordings
from bridge.api.faces.zuckzapgo import calls as zuckzapgo

STARTS_CALLS = frozenset(
    {calls.dial, wago.make, simulator.incoming, wadial.start, chirp.create, wavix.create}
)
"""Handlers that begin a call: of several nodes, one that has few calls performs them."""

SOCKETS = frozenset({media_socket.stream, media_socket.wadial})
"""Handlers that open a WebSocket: of several nodes, one tunnels it to the other."""

ROUTES = (
    web.get("/", page.index),
    web.get("/web/{name}", page.file),
    web.get("/README.md", page.readme),
    web.get("/docs", page.docs),
    web.get("/docs/guide/", page.guide),
    web.get("/docs/guide/{name}", page.guide),
    web.get("/llms.txt", page.llms),
    *(route for operation in openapi.DECLARED for route in operation.routes),
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
    web.get("/metrics", scrape.metrics),
    web.post("/call/dial", calls.dial),
    *wago.ROUTES,
    *zuckzapgo.ROUTES,
    web.get("/call/status", calls.status),
    web.post("/call/answer", calls.answer),
    web.post("/call/hangup", calls.hangup),
    web.post("/call/mute", calls.mute),
    web.post("/call/dtmf", calls.dtmf),
    web.get("/call/{callId}/quality", calls.quality),
    web.get("/call/{callId}/events", events.of_call),
    web.get("/events", events.of_line),
    web.get("/api/v1/sessions/{sessionId}/events", events.of_session),
    web.post("/call/{callId}/ticket", tickets.ticket),
    web.get("/call/webrtc/config", webrtc.config),
    web.post("/call/webrtc/offer", webrtc.offer),
    web.post("/call/webrtc/close", webrtc.close),
    web.get("/simulator/contacts", simulator.contacts),
    web.post("/simulator/incoming", simulator.incoming),
    *gateway.ROUTES,
    *cloud.ROUTES,
    *playback.ROUTES,
    *recording.ROUTES,
    *recording_files.ROUTES,
    *agent.ROUTES,
    *webhooks.ROUTES,
    *media_socket.ROUTES,
    *wadial.ROUTES,
    *wadial_audio.ROUTES,
    *wadial_recordings.ROUTES,
    *chirp.ROUTES,
    *chirp_recordings.ROUTES,
    *wavix_hooks.ROUTES,
    *wavix_numbers.ROUTES,
    *wavix_recordings.ROUTES,
    *wavix.ROUTES,
    *wavix_audio.ROUTES,
)

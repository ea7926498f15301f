"""Every route of the service, in one list."""

from aiohttp import web

from bridge.api import (
    admin,
    agent,
    calls,
    events,
    gateway,
    health,
    lines,
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
    whatsapp,
)
from bridge.api.faces import (
    chirp,
    chirp_recordings,
    wadial,
    wadial_audio,
    wadial_recordings,
    wago,
    wavix,
    wavix_audio,
    wavix_hooks,
    wavix_numbers,
    wavix_recordings,
    zuckzapgo,
)

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
    web.get("/llms.txt", page.llms),
    *openapi.ROUTES,
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
    *lines.ROUTES,
    *admin.ROUTES,
    web.post("/call/{callId}/ticket", tickets.ticket),
    web.get("/call/webrtc/config", webrtc.config),
    web.post("/call/webrtc/offer", webrtc.offer),
    web.post("/call/webrtc/close", webrtc.close),
    web.get("/simulator/contacts", simulator.contacts),
    web.post("/simulator/incoming", simulator.incoming),
    *gateway.ROUTES,
    *whatsapp.ROUTES,
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

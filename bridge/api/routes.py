"""Every route of the service, in one list."""

from aiohttp import web

from bridge.api import calls, health, page, scrape, simulator, tickets, webrtc
from bridge.api.faces import chirp, wadial

STARTS_CALLS = frozenset({calls.dial, calls.make, simulator.incoming, wadial.start, chirp.create})
"""Handlers that begin a call: of several nodes, one that has few calls performs them."""

ROUTES = (
    web.get("/", page.index),
    web.get("/web/{name}", page.file),
    web.get("/README.md", page.readme),
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
    web.get("/metrics", scrape.metrics),
    web.post("/call/dial", calls.dial),
    web.post("/call/make", calls.make),
    web.get("/call/status", calls.status),
    web.post("/call/answer", calls.answer),
    web.post("/call/hangup", calls.hangup),
    web.post("/call/mute", calls.mute),
    web.post("/call/dtmf", calls.dtmf),
    web.get("/call/{callId}/quality", calls.quality),
    web.post("/call/{callId}/ticket", tickets.ticket),
    web.get("/call/webrtc/config", webrtc.config),
    web.post("/call/webrtc/offer", webrtc.offer),
    web.post("/call/webrtc/close", webrtc.close),
    web.get("/simulator/contacts", simulator.contacts),
    web.post("/simulator/incoming", simulator.incoming),
    *wadial.ROUTES,
    *chirp.ROUTES,
)

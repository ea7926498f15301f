"""Every route of the service, in one list."""

from bridge.api import openapi
from bridge.api.faces.wavix import audio as wavix_audio
from bridge.api.faces.wavix import calls as wavix
from bridge.api.faces.wavix import hooks as wavix_hooks
from bridge.api.faces.wavix import numbers as wavix_numbers
from bridge.api.faces.wavix import recordings as wavix_recordings

STARTS_CALLS = frozenset(
    {
        wavix.create,
        *(operation.answer for operation in openapi.DECLARED if operation.starts_call),
    }
)
"""Handlers that begin a call: of several nodes, one that has few calls performs them."""

SOCKETS = frozenset(operation.answer for operation in openapi.DECLARED if operation.status == 101)
"""Handlers that open a WebSocket: of several nodes, one tunnels it to the other."""

ROUTES = (
    *(route for operation in openapi.DECLARED for route in operation.routes),
    *wavix_hooks.ROUTES,
    *wavix_numbers.ROUTES,
    *wavix_recordings.ROUTES,
    *wavix.ROUTES,
    *wavix_audio.ROUTES,
)

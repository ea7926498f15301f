"""Every route of the service, and what several nodes must know of its handlers."""

from functools import cache
from typing import Final

from aiohttp.web_urldispatcher import AbstractResource, UrlDispatcher

from bridge.api.openapi import DECLARED
from bridge.api.server.operation import REPORT

ROUTES: Final = tuple(route for operation in DECLARED for route in operation.routes)
STARTS_CALLS: Final = frozenset(one.answer for one in DECLARED if one.starts_call)
"""Handlers that begin a call: of several nodes, one that has few calls performs them."""
UNCOUNTED: Final = frozenset(one.answer for one in DECLARED if one.auth is REPORT)
"""Handlers whose requests do not count against the rate limit of a line's tickets."""
SOCKETS: Final = frozenset(one.answer for one in DECLARED if one.status == 101)
"""Handlers that open a WebSocket: of several nodes, one tunnels it to the other."""


@cache
def resources() -> tuple[AbstractResource, ...]:
    """Return the resources of all routes, made once in a process: applications share them."""
    router = UrlDispatcher()
    router.add_routes(ROUTES)
    return tuple(router.resources())

"""The limit on a line's concurrent requests with large bodies (`limits.large_bodies_per_line`)."""

from aiohttp import web

from bridge.api.body import BODY_BYTES, LARGE_BODIES
from bridge.api.middleware import Handler
from bridge.api.services import SERVICES


@web.middleware
async def bound_large_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a line's large request while the line is at its limit."""
    # The body of an unauthenticated request is not read.
    line = request.app[SERVICES].keys.line_of(request) if _is_large(request) else None
    if line is None:
        return await handler(request)
    with request.app[SERVICES].large_bodies.one(line):
        return await handler(request)


def _is_large(request: web.Request) -> bool:
    if request.content_length is not None:
        return request.content_length > BODY_BYTES
    uploads = request.path in LARGE_BODIES or request.content_type.startswith("multipart/")
    return request.body_exists and uploads

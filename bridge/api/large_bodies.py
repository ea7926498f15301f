"""How many requests with large bodies a line may have under way: each may take ten times its size in memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bridge.api.body import BODY_BYTES, LARGE_BODIES
from bridge.api.middleware import Handler
from bridge.api.services import SERVICES
from bridge.call.model import LineName
from bridge.errors import LimitExceeded


class LargeBodies:
    """The large requests of each line that are under way on this node."""

    def __init__(self, per_line: int) -> None:
        self._per_line = per_line
        self._under_way: Counter[LineName] = Counter()

    def under_way(self, line: LineName) -> int:
        """Return how many the line has."""
        return self._under_way[line]

    @contextmanager
    def one(self, line: LineName) -> Iterator[None]:
        """Count a request while it is under way.

        Raises:
            LimitExceeded: the line has as many as it may.
        """
        if self._under_way[line] >= self._per_line:
            raise LimitExceeded(
                "the line sends as many large requests at a time as it may "
                "(limits.large_bodies_per_line)"
            )
        self._under_way[line] += 1
        try:
            yield
        finally:
            self._under_way[line] -= 1


@web.middleware
async def bound_large_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a line's large request while as many of its are under way as may be."""
    # Of a stranger nothing is read.
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

"""A store of parts of recordings, in memory."""

import asyncio

from typing_extensions import override

from bridge.errors import StoreFailed
from bridge.http.object_store import Bucket


class PartShelf(Bucket):
    """A store of parts in memory that fails as it is told."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.fails = False
        self.holds = asyncio.Event()
        self.holds.set()

    @override
    async def put_bytes(self, key, content):
        if self.fails:
            raise StoreFailed("no", reason="unreachable")
        await self.holds.wait()
        self.objects[key] = content

    @override
    async def list(self, prefix):
        if self.fails:
            raise StoreFailed("no", reason="unreachable")
        return [(key, len(value)) for key, value in self.objects.items() if key.startswith(prefix)]

    @override
    async def get(self, key):
        return self.objects[key]

    @override
    async def delete(self, key):
        self.objects.pop(key, None)

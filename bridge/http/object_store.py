"""An S3-compatible store: objects put, read, linked to and deleted.

The requests are signed, sent and read by `obstore` (Rust), off the interpreter. The store's address
is the operator's own, so it does not pass the address guard.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from bridge.errors import NotFound, StoreFailed
from bridge.settings.recording import S3

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import S3Config

REQUEST_SECONDS: Final = 120.0
"""For one request; a large file takes several."""
CONNECT_SECONDS: Final = 10.0
PART_BYTES: Final = 5 * 1024 * 1024
"""The smallest part that S3 accepts."""
PARTS_AT_ONCE: Final = 2
PIECE_BYTES: Final = 1024 * 1024
"""Of what is read at once; small objects are no larger."""
MAX_LISTED: Final = 100_000
"""Objects of one prefix: four hours of live parts are 6000."""
_OTHER_LENGTH: Final = "the store has another length than was sent"
_RETRIES: Final = 1
"""Within one call; callers retry later."""


class Bucket:
    """One bucket of an S3-compatible service."""

    def __init__(self, account: S3, *, request_seconds: float = REQUEST_SECONDS) -> None:
        config: S3Config = {
            "region": account.region,
            "disable_bulk_delete": True,  # not every store has it
        }
        if account.endpoint:
            config["endpoint"] = account.endpoint
        if account.access_key:
            config["access_key_id"] = account.access_key
            config["secret_access_key"] = account.secret_key
        limit = timedelta(seconds=request_seconds)
        self._store = S3Store(
            account.bucket,
            config=config,
            client_options={
                "allow_http": account.endpoint.startswith("http://"),
                "timeout": limit,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": limit},
        )

    async def put(self, key: str, path: Path, content_type: str) -> None:
        """Store a file, replacing what has the key; it is complete when this returns.

        Raises:
            StoreFailed: it is not, or not certainly, stored.
            OSError: the file cannot be read.
        """
        size = (await asyncio.to_thread(path.stat)).st_size
        with _as_ours(missing="bucket"):
            await obstore.put_async(
                self._store,
                key,
                path,
                attributes={"Content-Type": content_type},
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            stored = (await obstore.head_async(self._store, key))["size"]
        if stored != size:
            raise StoreFailed(_OTHER_LENGTH, reason="other")

    async def put_bytes(self, key: str, content: bytes) -> None:
        """Store a small object, replacing what has the key.

        Raises:
            StoreFailed: it is not, or not certainly, stored.
        """
        with _as_ours(missing="bucket"):
            await obstore.put_async(self._store, key, content, use_multipart=False)

    async def get(self, key: str) -> bytes:
        """Return a small object.

        Raises:
            NotFound: there is no such object.
            StoreFailed: it cannot be read, or is large.
        """
        with _as_ours():
            found = await obstore.get_async(self._store, key)
            return await _content(found, min(found.meta["size"], PIECE_BYTES))

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """Return the keys that begin with a prefix, which ends with `/`, and their objects' sizes.

        Raises:
            StoreFailed: they cannot be listed, or are too many.
        """
        found: list[tuple[str, int]] = []
        with _as_ours(missing="bucket"):
            async for page in obstore.list(self._store, prefix):
                found += [(item["path"], item["size"]) for item in page]
                if len(found) > MAX_LISTED:
                    raise StoreFailed("the object store lists too many objects", reason="other")
        return found

    async def delete_all(self, prefix: str) -> None:
        """Delete all objects whose keys begin with a prefix, which ends with `/`.

        Raises:
            StoreFailed: some may still be there.
        """
        for key, _ in await self.list(prefix):
            await self.delete(key)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Return the bytes from `start` up to, but not including, `end`.

        Each piece is a request of its own, so that a slow reader exceeds no timeout.

        Raises:
            NotFound: there is no such object.
            StoreFailed: it cannot be read, at the beginning or later on.
        """
        for place in range(start, end, PIECE_BYTES):
            wanted = (place, min(place + PIECE_BYTES, end))
            with _as_ours():
                found = await obstore.get_async(self._store, key, options={"range": wanted})
                piece = await _content(found, wanted[1] - place)
            yield piece

    async def delete(self, key: str) -> None:
        """Delete an object, if it exists.

        Raises:
            StoreFailed: it may still be there.
        """
        with suppress(NotFound), _as_ours():
            await obstore.delete_async(self._store, key)

    async def link(self, key: str, seconds: float) -> str:
        """Return a URL with which anyone may read an object for so many seconds.

        Raises:
            StoreFailed: there are no credentials.
        """
        with _as_ours():
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))


async def _content(found: "GetResult", size: int) -> bytes:
    """Return a body of so many bytes.

    Piece by piece: whatever a store says of a body's length, the library would allocate at once, and end the process.

    Raises:
        StoreFailed: it is longer or shorter.
    """
    content = bytearray()
    async for piece in found.stream(min_chunk_size=1):
        content += piece
        if len(content) > size:
            break
    if len(content) != size:
        raise StoreFailed(_OTHER_LENGTH, reason="other")
    return bytes(content)


@contextmanager
def _as_ours(*, missing: Literal["object", "bucket"] = "object") -> Iterator[None]:
    """Raise the store's errors as ours, without their texts, which contain addresses; `missing` is what a 404 means."""
    try:
        yield
    except FileNotFoundError:
        if missing == "bucket":
            raise StoreFailed("the object store has no such bucket", reason="missing") from None
        raise NotFound("the object store has no such object") from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise StoreFailed("the object store refuses the credentials", reason="denied") from None
    except BaseError as error:
        reason = "timeout" if "kind: Timeout" in str(error) else "unreachable"
        raise StoreFailed("the object store's response is invalid", reason=reason) from None

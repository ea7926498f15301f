"""Files at Meta: their addresses, downloads and deletion.

A webhook names an address, but the token goes to the line's media host alone.
"""

import asyncio
import base64
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from bridge.errors import BridgeError, WhatsAppError, WhatsAppRefused
from bridge.http.client import LineHttp
from bridge.whatsapp.graph import Graph, GraphAccess

META_ORIGIN: Final = URL("https://lookaside.fbsbx.com")
"""Where Meta's own addresses lead."""
DOWNLOAD_SECONDS: Final = 240.0
READ_SECONDS: Final = 30.0
PIECE_BYTES: Final = 65536
UNKNOWN_OBJECT: Final = 100
"""Meta's code for what does not exist, and for what may not be done with it."""


class UnusableFile(WhatsAppError):
    """A file is not what the webhook announced, or is too large: another download hardly helps."""


class GraphMedia:
    """The files of one number; a failed request raises `WhatsAppError`."""

    def __init__(self, graph: Graph, access: GraphAccess, http: LineHttp, *, host: str) -> None:
        """`host` is what serves files, with its port if need be; `http` checks the addresses that it has."""
        self._graph = graph
        self._headers = {**access.headers, "Accept-Encoding": "identity"}
        self._http = http
        self._origin = URL(f"{URL(access.base_url).scheme}://{host}").origin()

    async def url_of(self, media_id: str) -> str:
        """Return a fresh address of a file, valid for five minutes."""
        url = (await self._graph.file(media_id)).get("url")
        return url if isinstance(url, str) else ""

    async def delete(self, media_id: str) -> None:
        """Delete a file at Meta; one that is gone already is deleted."""
        try:
            await self._graph.delete_file(media_id)
        except WhatsAppRefused as refused:
            # The same code stands for a file that is gone, and for one that may not be deleted.
            if not _unknown(refused):
                raise
            try:
                await self._graph.file(media_id)
            except WhatsAppRefused as again:
                if _unknown(again):
                    return
            raise

    async def download(self, url: str, target: Path, *, sha256: str, limit: int) -> None:
        """Write a file of at most `limit` bytes to a new path.

        Raises:
            UnusableFile: it is at another host, longer, compressed, or not the one with this hash (base64).
            WhatsAppError: it cannot be had now.
            OSError: the disk failed.
        """
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                await self._download(self._checked(url), target, sha256, limit)
        except (aiohttp.ClientError, TimeoutError):
            raise WhatsAppError("Meta's file cannot be downloaded") from None
        except BridgeError as error:
            if isinstance(error, WhatsAppError):
                raise
            raise WhatsAppError(f"Meta's file cannot be downloaded: {error}") from None

    async def _download(self, url: URL, target: Path, sha256: str, limit: int) -> None:
        # Without decompression, which could expand a small file without limit.
        async with self._http.guarded().get(
            url,
            headers=self._headers,
            allow_redirects=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=READ_SECONDS),
        ) as response:
            if response.status != HTTPStatus.OK:
                raise WhatsAppError(f"Meta answers {response.status} to the download of a file")
            if (response.content_length or 0) > limit:
                raise UnusableFile(f"Meta's file is longer than {limit} bytes")
            size, digest = 0, hashlib.sha256()
            with target.open("xb") as file:
                async for piece in response.content.iter_chunked(PIECE_BYTES):
                    size += len(piece)
                    if size > limit:
                        raise UnusableFile(f"Meta's file is longer than {limit} bytes")
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
        if base64.b64encode(digest.digest()).decode() != sha256:
            raise UnusableFile("Meta's file is not the one that the webhook announced")

    def _checked(self, url: str) -> URL:
        """Return where the file is had: a provider in front of Meta serves under its own host what Meta's addresses name."""
        try:
            parsed = URL(url)
            origin = None if parsed.user or parsed.password else parsed.origin()
        except ValueError:
            parsed, origin = URL(), None
        if origin not in (META_ORIGIN, self._origin):
            raise UnusableFile("the address of Meta's file is not at the line's media_host")
        return self._origin.join(parsed.relative())


def _unknown(refused: WhatsAppRefused) -> bool:
    return refused.status == HTTPStatus.NOT_FOUND or refused.meta_code == UNKNOWN_OBJECT

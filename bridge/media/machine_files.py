"""Reads files that are on the disks of other machines, from a node that runs there."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, Protocol

import aiohttp

from bridge.errors import FileUnavailable, NotFound
from bridge.stores.share import Share

FILES_PATH: Final = "/node/files"
"""Where a node answers with files of its machine."""
UNLINK_PATH: Final = "/unlink"
"""Below it; has a node delete what is queued for its machine."""
ANSWER_SECONDS: Final = 5.0
"""How long a node may take to begin its answer, and to go on with it."""
PIECE: Final = 64 * 1024
_FOUND: Final = (200, 206, 304, 416)


def node_path(recording_id: str, file_format: str) -> str:
    """Return the path of a recording's file for `MachineFiles`."""
    return f"/recordings/{recording_id}/{file_format}"


class Siblings(Protocol):
    """HTTP to other nodes (`cluster.siblings`)."""

    async def send(
        self, node: int, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request, and return the response once its headers are here."""

    def note_silence(self, node: int, error: Exception) -> None:
        """Note that a node did not answer."""


class MachineFiles:
    """The files of all other machines."""

    def __init__(self, share: Share, siblings: Siblings | None = None) -> None:
        """Without siblings there are no other machines."""
        self._share = share
        self._siblings = siblings

    def is_reachable(self, machine: str) -> bool:
        """Return whether a process of a machine is known to live, or it is this machine."""
        return machine in ("", *self._share.machines())

    async def open(
        self, machine: str, path: str, *, method: str = "GET", headers: Mapping[str, str] = {}
    ) -> aiohttp.ClientResponse:
        """Request a file, by its path below `FILES_PATH`; the caller closes the response.

        Its status is 200, 206, 304 or 416.

        Raises:
            NotFound: the machine has no such file.
            FileUnavailable: no node of the machine answers.
        """
        for node in self._share.nodes_of(machine):
            response = await self._request(node, method, FILES_PATH + path, headers)
            if response is None:
                continue
            if response.status in _FOUND:
                return response
            response.close()
            if response.status == 404:
                raise NotFound("the file does not exist any more")
        raise FileUnavailable(
            "the file is on a machine that does not answer, and nowhere else; try again when it is back"
        )

    async def read(
        self, machine: str, path: str, *, headers: Mapping[str, str] = {}
    ) -> AsyncIterator[bytes]:
        """Yield a file's bytes, or the part of it that the headers ask for.

        Raises:
            NotFound, FileUnavailable: as `open`; the latter also when the machine stops in the middle.
        """
        async with await self.open(machine, path, headers=headers) as response:
            try:
                while True:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        piece = await response.content.read(PIECE)
                    if not piece:
                        return
                    yield piece
            except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one too
                raise FileUnavailable(
                    "the machine that has the file has stopped to answer"
                ) from error

    async def unlink(self, machines: Iterable[str]) -> None:
        """Have machines delete now what is queued for them; those that do not answer do it later."""
        for machine in machines:
            for node in self._share.nodes_of(machine):
                response = await self._request(node, "POST", FILES_PATH + UNLINK_PATH, {})
                if response is not None:
                    response.close()
                    break

    async def _request(
        self, node: int, method: str, target: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse | None:
        siblings = self._siblings
        if siblings is None:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await siblings.send(node, method, target, headers=headers, body=None)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one too
            siblings.note_silence(node, error)
            return None

"""The other nodes of this bridge: HTTP to them, on this machine and on others (`cluster.transports`)."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final

import aiohttp
import msgspec
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from bridge.cluster.membership import Membership
from bridge.cluster.transports import Streams, Transport
from bridge.stores.nodes import Member
from bridge.wire.node_signature import HEADER, Request

log = logging.getLogger(__name__)

NOT_MADE_UP: Final = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)
"""Headers that a forwarded request has only if the client sent them."""
NODE_PREFIX: Final = "/node/"
"""What the paths of the nodes' own requests begin with."""
IDENTITY_PATH: Final = "/node/identity"
"""Where a node says which process it is."""
MAX_REFUSAL: Final = 1024
"""Bytes of a refusal that are logged."""
REFUSED: Final = 403
"""The status of a request whose signature is not accepted; the body says why, and the answer has the header
of signatures."""


class NodeIdentity(msgspec.Struct, frozen=True):
    """Which process a node is."""

    node: int
    boot: str


class SignatureRefused(ConnectionRefusedError):
    """A sibling does not accept the signature; its text says which setting to change, and has no secret."""


class Siblings:
    """HTTP clients of the other nodes."""

    def __init__(
        self, members: Membership, *, unix: Transport, network: Transport | None = None
    ) -> None:
        """Reach nodes of this machine by `unix`, others by `network`; both are closed with this."""
        self.members = members
        self.timing = members.timing
        self._unix = unix
        self._network = network
        self._logged_until: dict[str, float] = {}
        self._silent_until: dict[str, float] = {}
        """By boot id."""

    @property
    def own(self) -> int:
        """This node's number."""
        return self.members.own.node

    def others(self) -> list[int]:
        """The other nodes' numbers."""
        return [one.node for one in self.members.others()]

    def neighbours(self) -> list[int]:
        """The numbers of the other nodes of this machine."""
        return [one.node for one in self.members.others() if self._is_near(one)]

    def near(self, node: int) -> Member | None:
        """Return a node if it is on this machine, as this one is."""
        found = self.members.find(node)
        return found if found is not None and self._is_near(found) else None

    def responsive(self) -> list[int]:
        """Return the other nodes' numbers, without those that did not answer lately."""
        now = asyncio.get_running_loop().time()
        others = self.members.others()
        return [one.node for one in others if self._silent_until.get(one.boot, 0.0) <= now]

    def answer_seconds(self, node: int) -> float:
        """Return how long a node has to begin its answer to a client's request: shortly, once its lease has run out."""
        return self.timing.forwarded if node in self.others() else self.timing.request

    def note_silence(self, node: int, error: Exception) -> None:
        """Note that a sibling did not answer; it is logged once in `timing.log_again` seconds."""
        now = asyncio.get_running_loop().time()
        self._silent_until = _later(self._silent_until, now)
        self._logged_until = _later(self._logged_until, now)
        if (member := self.members.find(node)) is not None:
            self._silent_until[member.boot] = now + self.timing.silent
            if member.boot in self._logged_until:
                return
            self._logged_until[member.boot] = now + self.timing.log_again
        if isinstance(error, SignatureRefused):
            url = member.url if member is not None else ""
            log.error(
                "sibling.signature_refused", extra={"sibling": node, "url": url, "why": str(error)}
            )
        else:
            leaves = member is not None and member.draining  # as in each upgrade
            log.log(
                logging.INFO if leaves else logging.WARNING,
                "sibling.unreachable",
                extra={"sibling": node, "error": type(error).__name__},
            )

    async def send(
        self, node: int, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Forward a request to a sibling, and return the response once its headers are here.

        Raises:
            aiohttp.ClientError, OSError: the sibling does not answer.
        """
        member, transport = self._way(node)
        proof = transport.headers(member, Request(method, target, body or b""))
        own = target.startswith(NODE_PREFIX)
        response = await transport.session(member, own=own).request(
            method,
            URL(f"{transport.base(member)}{target}", encoded=True),
            headers=_joined(headers, proof),
            skip_auto_headers=NOT_MADE_UP,
            data=body,
            allow_redirects=False,
        )
        if proof and HEADER in response.headers:
            async with response:
                await _raise_refusal(response)
        return response

    async def open_tunnel(
        self, node: int, method: str, target: str
    ) -> tuple[Streams, dict[str, str]]:
        """Connect to a sibling for a WebSocket; returns the headers that the request needs besides its own.

        Raises:
            OSError, TimeoutError: the sibling does not answer.
        """
        member, transport = self._way(node)
        streams = await transport.open_tunnel(member)
        return streams, transport.headers(member, Request(method, target))

    async def request(
        self,
        node: int,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        /,
        **query: str,
    ) -> bytes | None:
        """GET a node path of a sibling, or POST `body`; None when it does not answer with 200 in time."""
        try:
            member, transport = self._way(node)
            async with asyncio.timeout(self.timing.request):
                return await _ask(member, transport, path, headers, body, query)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one too
            self.note_silence(node, error)
            return None

    async def request_all(
        self,
        path: str,
        nodes: Collection[int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        /,
        **query: str,
    ) -> dict[int, bytes | None]:
        """Request the same of every sibling, or of these nodes, at once (`request`)."""
        nodes = self.others() if nodes is None else nodes
        answers = await asyncio.gather(
            *(self.request(node, path, headers, body, **query) for node in nodes)
        )
        return dict(zip(nodes, answers, strict=True))

    async def boot_of(self, member: Member) -> str | None:
        """Return the boot id of a process that is thought to be gone; None when it does not answer as that."""
        transport = self._transport(member)
        try:
            async with asyncio.timeout(self.timing.request):
                answer = await _ask(member, transport, IDENTITY_PATH, None, None, {})
                return msgspec.json.decode(answer, type=NodeIdentity).boot
        except (aiohttp.ClientError, OSError, msgspec.DecodeError):
            return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._unix.aclose()
        if self._network is not None:
            await self._network.aclose()

    def _is_near(self, member: Member) -> bool:
        return member.machine == self.members.own.machine

    def _transport(self, member: Member) -> Transport:
        if self._network is None or self._is_near(member):
            return self._unix
        return self._network

    def _way(self, node: int) -> tuple[Member, Transport]:
        member = self.members.find(node)
        if member is None:
            raise ConnectionRefusedError("there is no such node")
        return member, self._transport(member)


async def _ask(
    member: Member,
    transport: Transport,
    path: str,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    query: Mapping[str, str],
) -> bytes:
    """Send a node's own request and return the answer's body; raises for every status but 200."""
    method = hdrs.METH_GET if body is None else hdrs.METH_POST
    url = URL(f"{transport.base(member)}{path}").with_query(query)
    proof = transport.headers(member, Request(method, url.raw_path_qs, body or b""))
    async with transport.session(member, own=True).request(
        method,
        url,
        headers=_joined(headers or {}, proof),
        skip_auto_headers=NOT_MADE_UP,
        data=body,
    ) as response:
        if HEADER in response.headers:
            await _raise_refusal(response)
        response.raise_for_status()
        return await response.read()


async def _raise_refusal(response: aiohttp.ClientResponse) -> None:
    """Say why a sibling does not accept the signature.

    Raises:
        SignatureRefused: always.
    """
    raise SignatureRefused((await response.content.read(MAX_REFUSAL)).decode(errors="replace"))


def _later(times: Mapping[str, float], now: float) -> dict[str, float]:
    """Return the times that are not over."""
    return {key: until for key, until in times.items() if until > now}


def _joined(headers: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers with more of them; those that are there several times stay so."""
    joined: CIMultiDict[str] = CIMultiDict(headers)
    joined.update(more)
    return joined

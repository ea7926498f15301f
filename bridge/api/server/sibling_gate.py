"""What arrives at `cluster.url`: requests of nodes on other machines, their own and forwarded ones.

A request is taken if its signature is valid (`wire.node_signature`). One for another node of this machine,
and nodes' own requests, are passed on by a Unix socket, signature and all, and checked there again; only
the process that answers remembers the nonce. On the public port the header means nothing, and the paths of
nodes' own requests do not exist.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

from bridge.api.server.reads import BODY_SECONDS, MAX_BYTES, Reads
from bridge.cluster.siblings import NODE_PREFIX, REFUSED, Siblings
from bridge.errors import BridgeError
from bridge.http.connections import Connections
from bridge.http.node_signature import NodeSigner
from bridge.wire.node_signature import HEADER, NodeSignature, Refusal, Request, parse

log = logging.getLogger(__name__)

MAX_READING: Final = 4 * MAX_BYTES
"""Bytes of bodies that are being read at once, before it is known whose they are."""


class SiblingGate:
    """Admits requests of nodes on other machines."""

    def __init__(
        self,
        signer: NodeSigner,
        siblings: Siblings,
        *,
        connections: Connections,
        count_refused: Callable[[str], None],
    ) -> None:
        """`connections` are those accepted at `cluster.url`; refused requests are counted by reason."""
        self.connections = connections
        self.siblings = siblings
        self._signer = signer
        self._count_refused = count_refused
        self._addresses: frozenset[tuple[str, int]] = frozenset()
        self._reads = Reads(MAX_READING, seconds=BODY_SECONDS, drop_largest=True)
        self._logged: dict[Refusal, float] = {}

    def open(self, listeners: Iterable[socket.socket]) -> None:
        """Note the listening sockets of `cluster.url`."""
        self._addresses = frozenset(listener.getsockname()[:2] for listener in listeners)

    def arrived(self, request: web.Request) -> bool:
        """Whether a request has come to `cluster.url`, of this process or of another of this machine."""
        if request.transport is None:
            return False
        if from_unix_socket(request):
            return HEADER in request.headers
        name = request.transport.get_extra_info("sockname")
        return isinstance(name, tuple) and name[:2] in self._addresses

    def answered_here(self, request: web.Request, found: NodeSignature) -> bool:
        """Whether this process answers the request, on the connection that it has come by."""
        if from_unix_socket(request):
            return True
        return found.target == self.siblings.own and not request.path.startswith(NODE_PREFIX)

    async def admit(self, request: web.Request) -> NodeSignature | web.Response:
        """Return what is known of a sibling's request, or the answer that refuses an unauthenticated one."""
        found = parse(request.headers.get(HEADER, ""))
        if found is None:
            return self._refuse(Refusal.MALFORMED, None)
        try:
            signed = Request(request.method, request.raw_path, await self._read(request))
        except (BridgeError, web.HTTPException, web.RequestPayloadError):
            return self._refuse(Refusal.MALFORMED, found)
        refusal = self._check(found, signed, last=self.answered_here(request, found))
        if refusal is not None:
            return self._refuse(refusal, found)
        self.connections.mark_authenticated(request.transport)
        return found

    async def _read(self, request: web.Request) -> bytes:
        if not request.body_exists:
            return b""
        size = MAX_BYTES if request.content_length is None else request.content_length
        async with self._reads.turn(size):
            return await request.read()

    def _check(self, found: NodeSignature, signed: Request, *, last: bool) -> Refusal | None:
        if last:
            return self._signer.check(found, signed)
        near = self.siblings.near(found.target)
        if near is None:
            return Refusal.TARGET
        return self._signer.check_signature(found, signed, boot=near.boot)

    def _refuse(self, reason: Refusal, found: NodeSignature | None) -> web.Response:
        sentence = _sentence(reason, found)
        self._count_refused(reason)
        now, told = asyncio.get_running_loop().time(), self.siblings.timing.log_again
        if now - self._logged.get(reason, -told) >= told:
            self._logged[reason] = now
            log.warning("sibling.request_refused", extra={"reason": reason.value, "why": sentence})
        answer = web.json_response({"error": sentence, "reason": reason}, status=REFUSED)
        answer.headers[HEADER] = reason
        answer.force_close()
        return answer


def _sentence(reason: Refusal, found: NodeSignature | None) -> str:
    """Return what to do about a refusal; as anybody may read it, it names no machine."""
    if found is None:
        return "this port answers only requests that sibling nodes have signed"
    match reason:
        case Refusal.SIGNATURE:
            return (
                f"cluster.secret of the machine of node {found.sender}, which asks, is neither "
                "cluster.secret nor cluster.former_secret of the machine that is asked, or node "
                f"{found.target} has just been restarted: set the same cluster.secret on both machines "
                "and restart them"
            )
        case Refusal.TARGET:
            return (
                f"node {found.target} is not on the machine that is asked: it has ended, or "
                "cluster.url of its machine is wrong and leads to another"
            )
        case Refusal.EXPIRED:
            return (
                f"node {found.sender} signed its request more than 30 s ago, or its machine knows "
                "another time than the one that is asked"
            )
        case Refusal.REPLAYED:
            return f"a request of node {found.sender} arrived twice"
        case _:
            return f"the request of node {found.sender} cannot be read or remembered; try again"


def from_unix_socket(request: web.Request) -> bool:
    """Whether a process of this machine sent the request (`cluster.sockets`)."""
    if request.transport is None:
        return False
    carrier = request.transport.get_extra_info("socket")
    return carrier is not None and carrier.family == socket.AF_UNIX

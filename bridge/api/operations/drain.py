"""Draining nodes: this one, or another one over its node routes."""

from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from bridge.api.server.body import read_bytes
from bridge.api.server.fields import field
from bridge.api.server.operation import ADMIN, BARE, Context, Group
from bridge.api.server.services import CLUSTER, NODE, ClusterServices
from bridge.errors import NodeUnavailable, NotFound

DRAIN_PATH: Final = "/node/drain"
"""Where siblings have this node drain."""
MAX_SECONDS: Final = 7 * 86_400

GROUP: Final = Group(name="Nodes", envelope=BARE, auth=ADMIN)


class DrainRequest(Struct):
    """How long the live calls go on."""

    seconds: (
        Annotated[
            float,
            field(
                "after which live calls are ended as `drained`; without it `limits.drain_seconds`, or, where that "
                "is 0, until the last call has ended",
                ge=0,
                le=MAX_SECONDS,
            ),
        ]
        | None
    ) = None
    handover: Annotated[
        bool,
        field(
            "whether another node of the same machine takes over the live calls that can move; the others go on "
            "where they are"
        ),
    ] = False


class DrainingNode(Struct):
    """A node that drains."""

    node: int
    calls: Annotated[int, field("that are left")]
    seconds: Annotated[
        float | None, field("until they are ended; null: until they end by themselves")
    ]
    successor: Annotated[
        int | None, field("the node that takes over its calls; null: none does")
    ] = None


@GROUP.post("/nodes/{node}/drain", errors=(404, 502))
async def drain(context: Context, body: DrainRequest) -> DrainingNode:
    """Let a node take no more new calls, and exit once its live ones have ended.

    `/readyz` answers 503 from then on, while requests and sockets of its live calls are served. It cannot be undone.
    """
    text = context.path("node")
    node = int(text) if text.isdecimal() and len(text) <= 3 else -1
    if node == context[CLUSTER].members.own.node:
        return _drain(context.http.app, body)
    siblings = context[CLUSTER].siblings
    if siblings is None or context[CLUSTER].members.find(node) is None:
        raise NotFound("there is no such node")
    answer = await siblings.request(node, DRAIN_PATH, None, msgspec.json.encode(body))
    if answer is None:
        raise NodeUnavailable("the node does not answer")
    return msgspec.json.decode(answer, type=DrainingNode)


async def take(request: web.Request) -> web.Response:
    """Drain this node, as a sibling was asked to."""
    body = msgspec.json.decode(await read_bytes(request), type=DrainRequest)
    answer = msgspec.json.encode(_drain(request.app, body))
    return web.Response(body=answer, content_type="application/json")


async def close_connection(request: web.Request, response: web.StreamResponse) -> None:
    """Have clients connect anew for their next request while this node drains, so that others get it."""
    if request.app[NODE].drain.active and response.status != 101:
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()


def _drain(app: web.Application, body: DrainRequest) -> DrainingNode:
    drain, cluster = app[NODE].drain, app[CLUSTER]
    drain.request(body.seconds)
    successor = None
    if body.handover and cluster.handover is not None:
        successor = _successor(cluster)
        if successor is not None:
            cluster.handover.begin(successor, "drain")
    own = cluster.members.own.node
    return DrainingNode(own, drain.calls, drain.seconds_left, successor)


def _successor(cluster: ClusterServices) -> int | None:
    """Return the node of this machine that has the fewest calls of those that take new ones."""
    members = cluster.members
    found = [
        one for one in members.others() if one.machine == members.own.machine and not one.draining
    ]
    return min(found, key=lambda one: (one.load.calls, one.node)).node if found else None

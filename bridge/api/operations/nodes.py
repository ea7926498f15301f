"""The nodes of the bridge, for operators and their tools."""

from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.server.fields import Timestamp, field
from bridge.api.server.operation import ADMIN, BARE, Context, Group
from bridge.api.server.services import CLUSTER, NODE
from bridge.node.console.console import NodeFigures, NodeStatus, address_of, shown
from bridge.stores.nodes import Member
from bridge.wire.iso8601 import iso8601

FIGURES_PATH: Final = "/node/figures"
"""Where siblings fetch each other's figures."""

GROUP: Final = Group(name="Nodes", envelope=BARE, auth=ADMIN)


class NodeLoadNow(Struct, rename="camel"):
    """How much a node has to do."""

    calls: int
    legs: int
    cpu: Annotated[float, field("share of a core")]
    lag_ms: Annotated[float, field("how late its timers ran in the last second, at worst")]


class Node(Struct):
    """One process of the bridge."""

    id: Annotated[int, field("the first byte of the ids of its calls")]
    machine: Annotated[str, field("the host's name, or what is known of it")]
    address: Annotated[str, field("the host in its `cluster.url`; empty without one")]
    state: Annotated[
        Literal["ready", "refusing", "draining", "silent", "lost"],
        field(
            "`refusing`: overloaded; `silent`: does not answer; `lost`: another has ended its calls"
        ),
    ]
    version: str
    since: Annotated[Timestamp | None, field("in service, or lost")]
    load: NodeLoadNow


class Nodes(Struct):
    """All nodes, those that were lost lately too."""

    nodes: list[Node]


@GROUP.get("/nodes", errors=(404,))
async def list_nodes(context: Context) -> Nodes:
    """List the nodes of all machines, with their load; those lost in the last ten minutes too."""
    status = context[NODE].view.status()
    found, lost = [status.node], list(status.lost)
    if (siblings := context[CLUSTER].siblings) is not None:
        for node, answer in (await siblings.request_all(FIGURES_PATH)).items():
            if answer is None:
                found.append(_silent(context[CLUSTER].members.find(node), node))
                continue
            other = msgspec.json.decode(answer, type=NodeStatus)
            found.append(other.node)
            lost += other.lost
    alive = sorted(found, key=lambda one: one.node)
    gone = sorted(lost, key=lambda one: (one.node, one.since))
    return Nodes([_node(one) for one in (*alive, *gone)])


async def figures(request: web.Request) -> web.Response:
    """Describe this node for another node."""
    status = request.app[NODE].view.status()
    return web.Response(body=msgspec.json.encode(status), content_type="application/json")


def _silent(member: Member | None, node: int) -> NodeFigures:
    if member is None:
        return NodeFigures(node, "silent")
    return NodeFigures(node, "silent", machine=shown(member), address=address_of(member))


def _node(figures: NodeFigures) -> Node:
    load = NodeLoadNow(figures.calls, figures.legs, figures.cpu, figures.lag_ms)
    since = iso8601(figures.since / 1000) if figures.since else None
    shown = {"id": figures.node, "since": since, "load": load}
    return msgspec.convert(msgspec.structs.asdict(figures) | shown, Node)

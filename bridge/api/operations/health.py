"""Liveness and readiness."""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.server.operation import BARE, NOBODY, Context, Group
from bridge.api.server.services import CLUSTER, CONTROL, LINES, NODE, SITE
from bridge.providers.sip.provider import SipProvider

READY_PATH = "/node/ready"
"""Where siblings poll each other's readiness."""

GROUP: Final = Group(name="Service", envelope=BARE, auth=NOBODY)


class Trunks(Struct):
    """How many SIP trunks take calls now, and how many do not; the console says which."""

    up: int
    down: int


class Readiness(Struct):
    """How the service is."""

    status: str
    reason: Annotated[str, Meta(description="of a drain: signal, request, upgrade")] | UnsetType = (
        UNSET
    )
    calls: (
        Annotated[int, Meta(description="that are left on this node, which drains")] | UnsetType
    ) = UNSET
    trunks: Annotated[Trunks, Meta(description="where lines have SIP trunks")] | UnsetType = UNSET


class Health(Struct):
    """That the service is alive, and which one it is."""

    status: str
    bridge: str
    """The same for all nodes with one data folder, and for no other bridge."""


@GROUP.get("/healthz")
async def healthz(context: Context) -> Health:
    """Report that the process is alive, and which bridge it is."""
    return Health("ok", context[SITE].identity)


def own_trunks(sip: SipProvider) -> Trunks | UnsetType:
    """Return how many trunks of this node take calls; of several nodes one has them all."""
    counted = sip.states.count()
    return UNSET if counted is None else Trunks(*counted)


@GROUP.get("/readyz", gives=Readiness, also={503: Readiness})
async def readyz(context: Context) -> web.Response:
    """Report whether new calls are taken.

    503 with the same body while it drains, after 5 s without the database, or while a node of this machine does not answer; other machines are asked by
    themselves, and so are the nodes that take the calls of one that drains. A trunk that is down leaves the bridge
    ready: the calls of all other lines go on.
    """
    siblings, trunks = context[CLUSTER].siblings, own_trunks(context[LINES].sip)
    near = [] if siblings is None else [siblings.near(node) for node in siblings.others()]
    serving = [one.node for one in near if one is not None and not one.draining]
    admission = context[CONTROL].manager.admission
    status = "draining" if admission.draining and not serving else "ready"
    if status == "ready" and admission.database_lost():
        status = "database_lost"
    if siblings is not None and serving:
        answers = await siblings.request_all(READY_PATH, serving)
        status = "node_missing" if None in answers.values() else status
        told = [msgspec.json.decode(answer, type=Trunks) for answer in answers.values() if answer]
        trunks = next(iter(told), trunks)
    body, drain = Readiness(status, trunks=trunks), context[NODE].drain
    if drain.active:
        body.reason, body.calls = drain.reason, drain.calls
    return web.json_response(msgspec.to_builtins(body), status=200 if status == "ready" else 503)

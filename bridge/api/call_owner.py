"""Which node has the call that a request is about: the one that its id names, or one that has taken it over."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from bridge.api.server.middleware import Handler
from bridge.api.server.services import CLUSTER, CONTROL
from bridge.call.model import CallId
from bridge.cluster.directory import SharedDirectory, owner_of
from bridge.cluster.siblings import Siblings
from bridge.errors import CallMoving, DatabaseFailed, OwnerUnavailable

POLL_SECONDS: Final = 0.1


async def answer_here(
    request: web.Request, handler: Handler, call_id: str | None
) -> web.StreamResponse:
    """Answer a request at this node; while that runs, the process is marked with the call that it is about."""
    if call_id is None:
        return await handler(request)
    marks = request.app[CONTROL].manager.publisher.marks
    response: web.StreamResponse = await marks.steps(call_id, handler(request))
    return response


async def moved_to(request: web.Request, call_id: str) -> int | None:
    """Return the node to which this one has passed a call; None if it has not."""
    handover = request.app[CLUSTER].handover
    return await handover.node_of(call_id) if handover is not None else None


async def find_owner(request: web.Request, call_id: str, *, asked_here: bool = False) -> int | None:
    """Return the node that has a call: the one that its id names, or one that has taken it over.

    With `asked_here` another node takes it for ours.
    """
    cluster, directory = request.app[CLUSTER], shared_directory(request)
    if (moved := await moved_to(request, call_id)) is not None:
        return moved
    named, own = owner_of(call_id), directory.siblings.own
    if named is None or request.app[CONTROL].manager.running(CallId(call_id)) is not None:
        return own
    member = cluster.members.find(named)
    if named != own and not asked_here and member is not None and not member.draining:
        return named
    # Nobody has it here, or the node passes its calls on, or has ended: another may have taken it over.
    with suppress(DatabaseFailed):
        if (found := await directory.owner(call_id)) is not None:
            return found
    return own if asked_here else named


async def wait_until_known(
    request: web.Request, siblings: Siblings, owner: int, call_id: str
) -> None:
    """Wait for a node that has a live call and has joined too lately to be known here, if it is one."""
    for _ in range(round(siblings.timing.join / POLL_SECONDS)):
        if siblings.members.find(owner) is not None:
            return
        record = await shared_directory(request).find(call_id)
        if record is None or record.reason is not None:
            return
        await asyncio.sleep(POLL_SECONDS)


async def recover_ended(request: web.Request, call_id: str, silent: int) -> int | None:
    """Remember the record of a call whose owner, the node `silent`, does not answer, if it has ended.

    Returns the node that has taken the call over meanwhile; None if it has ended, or is unknown.

    Raises:
        OwnerUnavailable: neither, as yet.
    """
    directory = shared_directory(request)
    for _ in range(round(directory.siblings.timing.recorded / POLL_SECONDS)):
        record = await directory.find(call_id)
        if record is None:
            return None
        if record.reason is not None:
            request.app[CONTROL].manager.remember(record)
            return None
        if (owner := await find_owner(request, call_id, asked_here=True)) != silent:
            return owner
        # The supervisor soon records the calls of a killed node as ended.
        await asyncio.sleep(POLL_SECONDS)
    raise OwnerUnavailable("the node that has this call does not answer; try again")


async def check_here(request: web.Request, call_id: str) -> None:
    """Check that a call that this node has taken over is here already.

    Raises:
        CallMoving: it is being taken over.
    """
    manager, named = request.app[CONTROL].manager, owner_of(call_id)
    directory = shared_directory(request)
    own = directory.siblings.own
    if named in (None, own) or manager.running(CallId(call_id)) is not None:
        return
    if await directory.owner(call_id) == own:
        record = await directory.find(call_id)
        if record is not None and record.reason is None:
            raise CallMoving("the call is being taken over; repeat the request")


def shared_directory(request: web.Request) -> SharedDirectory:
    """Return the directory of one of several nodes."""
    directory = request.app[CLUSTER].directory
    assert directory is not None, "a bridge of one node has nothing to forward"
    return directory

"""Inbound calls of WhatsApp users."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from bridge.call.model import CallDetails, LineName, Parties
from bridge.errors import BridgeError
from bridge.legs.base import new_leg_id
from bridge.legs.cloud import InboundCall
from bridge.providers.base import CallReceiver
from bridge.providers.cloud.live import LineSignalling, LiveCalls, key_of_call
from bridge.whatsapp.graph import mask
from bridge.wire.cloud import Connected
from bridge.wire.metadata import pack

log = logging.getLogger(__name__)

STALE_SECONDS: Final = 90.0
"""Meta lets nobody ring for longer than a minute; an older `connect` is ignored."""


async def take_call(
    calls: LiveCalls, line: LineName, event: Connected, receiver: CallReceiver
) -> None:
    """Begin a user's call, unless it is stale, has ended, or another node has it."""
    wacid = event.wacid
    if event.at and datetime.now(UTC).timestamp() - event.at > STALE_SECONDS:
        calls.count("stale")
        return
    inbox = calls.inboxes[line]
    if inbox.is_over(wacid):
        log.info("whatsapp.missed", extra={"wacid": mask(wacid)})
        inbox.close(wacid)
        return
    if not await calls.store.claim(key_of_call(line, wacid), line):
        calls.count("duplicate")
        return
    signalling = LineSignalling(calls, line)
    inbound = InboundCall(wacid, event.sdp, pre_accept=calls.lines[line].pre_accept)
    try:
        leg = calls.make_leg(new_leg_id(), signalling=signalling, inbound=inbound)
    except BridgeError as error:
        log.warning("whatsapp.inbound_refused", extra={"code": error.code})
        await calls.end(line, wacid, "reject")
        return
    calls.add(line, wacid, leg, inbound=True)
    announced = calls.lines[line].graph.announcements
    details = _details(event, {name: dict(what) for name, what in announced.items()})
    try:
        taken = await receiver.receive(line, event.caller.identity, leg, details)
    except BridgeError as error:
        log.warning("whatsapp.inbound_refused", extra={"code": error.code})
        await leg.aclose()
        return
    signalling.opaque = taken.facts.call_id
    calls.replay(line, wacid)


def _details(event: Connected, announced: dict[str, Any]) -> CallDetails:
    known = {
        "profile_name": event.caller.name,
        "username": event.caller.username,
        "user_id": event.caller.user_id,
        "deeplink_payload": event.deeplink_payload,
        "cta_payload": event.cta_payload,
        "biz_opaque_callback_data": event.opaque,
    }
    return CallDetails(
        parties=Parties(event.caller.identity, event.called, "whatsapp", "whatsapp"),
        metadata=pack({name: text for name, text in known.items() if text} | announced),
    )

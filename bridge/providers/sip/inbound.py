"""Inbound calls over trunks: which line is called, by whom, and the beginning of its call."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bridge.call.model import CallDetails, EndReason, LineName, Parties
from bridge.call.parties import PSTN
from bridge.errors import BridgeError, LimitExceeded
from bridge.legs.base import new_leg_id
from bridge.legs.cloud import CloudLeg
from bridge.legs.sip import SipLeg
from bridge.legs.sip_reasons import refusal_code
from bridge.providers.base import CallReceiver
from bridge.providers.sip.trunks import MakeSipLeg, Trunk
from bridge.trunk.agent import IncomingInvite
from bridge.wire.metadata import pack

log = logging.getLogger(__name__)

ANONYMOUS: Final = "anonymous"
"""The peer of a call whose caller withholds the number."""
NOT_FOUND: Final = 404
UNAVAILABLE: Final = 503
NOT_ACCEPTABLE: Final = 488
MAX_NAME: Final = 128

_DIGITS: Final = re.compile(r"\+?([0-9]{3,20})")
_SEPARATORS: Final = str.maketrans("", "", "-.() ")


def line_of(
    trunks: Mapping[LineName, Trunk], called: str, allowed: Iterable[str]
) -> LineName | None:
    """Return the called line among the `allowed` ones, whose trunks the call may come from; None for none.

    A trunk may leave out the country code or a leading zero: then the last digits decide, if they are
    those of one line only. A line without numbers takes all calls of its trunk.
    """
    lines = [line for line in trunks if line in set(allowed)]
    digits = number_of(called)
    for line in lines:
        if digits in trunks[line].numbers:
            return line
    short = digits.lstrip("0")
    ends = {
        line
        for line in lines
        for number in trunks[line].numbers
        if len(short) >= 6 and (number.endswith(short) or short.endswith(number))
    }
    if len(ends) == 1:
        return ends.pop()
    without = [line for line in lines if not trunks[line].numbers]
    return without[0] if len(without) == 1 and not ends else None


def number_of(user: str) -> str:
    """Return the digits of the user part of a SIP URI; empty for what is no number."""
    found = _DIGITS.fullmatch(user.partition(";")[0].translate(_SEPARATORS))
    return found[1] if found else ""


async def take_call(
    trunks: Mapping[LineName, Trunk],
    invite: IncomingInvite,
    *,
    make_leg: MakeSipLeg,
    receiver: CallReceiver,
) -> None:
    """Begin a call of the line whose number was called, or refuse it."""
    line = line_of(trunks, invite.to_number, invite.trunks)
    if line is None:
        log.info("sip.unknown_number")
        invite.dialog.refuse(NOT_FOUND)
        return
    trunk = trunks[line]
    await begin_call(
        invite,
        line,
        details_of(invite, trunk),
        make_leg=lambda: make_leg(new_leg_id(), dialog=invite.dialog, trunk=trunk, inbound=invite),
        receiver=receiver,
    )


async def begin_call(
    invite: IncomingInvite,
    line: LineName,
    details: CallDetails,
    *,
    make_leg: Callable[[], SipLeg | CloudLeg],
    receiver: CallReceiver,
) -> None:
    """Begin a line's call with the leg that is made, or refuse it."""
    try:
        leg = make_leg()
    except LimitExceeded as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        invite.dialog.refuse(UNAVAILABLE)
        return
    except BridgeError as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        invite.dialog.refuse(NOT_ACCEPTABLE)
        return
    try:
        await receiver.receive(line, details.parties.from_.removeprefix("+"), leg, details)
    except BridgeError as error:
        log.warning("sip.inbound_refused", extra={"line": line, "code": error.code})
        busy = isinstance(error, LimitExceeded)
        invite.dialog.refuse(UNAVAILABLE if busy else refusal_code(EndReason.FAILED))
        await leg.aclose()


def details_of(invite: IncomingInvite, trunk: Trunk) -> CallDetails:
    """Return the parties of an inbound call, and the name that the network shows of the caller."""
    said = invite.invitation
    caller = "" if said.anonymous else number_of(invite.from_number)
    called = number_of(invite.to_number)
    named = said.from_name.strip()[:MAX_NAME]
    known = {
        "caller_name": "" if said.anonymous or not named.isprintable() else named,
        "diversion": number_of(_diverted_by(said.headers)),
    }
    metadata = {name: text for name, text in known.items() if text}
    return CallDetails(
        Parties(
            f"+{caller}" if caller else ANONYMOUS,
            f"+{called}" if called in trunk.numbers else "",
            PSTN,
            PSTN,
        ),
        metadata=pack(metadata) if metadata else b"",
    )


def _diverted_by(headers: Mapping[str, tuple[str, ...]]) -> str:
    """Return the user part of the first Diversion header (RFC 5806): the number that diverted the call."""
    found = re.search(r"sips?:([^@;>]{1,64})@", next(iter(headers.get("diversion", ())), ""))
    return found[1] if found else ""

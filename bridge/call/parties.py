"""The two parties of a call: as the request named them, completed from the call."""

from dataclasses import replace
from typing import Final

from bridge.call.model import CallDetails, CallRecord, Direction, Parties

PSTN: Final = "pstn"
WEBRTC: Final = "webrtc"
WHATSAPP: Final = "whatsapp"
"""The channels that parties are reached over."""


def with_own_number(details: CallDetails, direction: Direction, own: str) -> CallDetails:
    """Return the details with the line's own number as our party, unless the request named one.

    `own` is in E.164, with `+`; empty where the line has no number.
    """
    named = details.parties
    if direction is Direction.INBOUND:
        known = replace(named, to=named.to or own)
    else:
        known = replace(named, from_=named.from_ or own)
    return replace(details, parties=known)


def parties_of(record: CallRecord) -> Parties:
    """Return both parties, numbers with `+`; what the request left out follows from the far party."""
    named, peer = record.facts.details.parties, record.facts.peer
    channel = WHATSAPP if peer.isdigit() else WEBRTC
    if record.direction is Direction.INBOUND:
        known = Parties(peer, "", channel, WHATSAPP)
    else:
        known = Parties("", peer, WHATSAPP, channel)
    from_channel = named.from_channel or known.from_channel
    to_channel = named.to_channel or known.to_channel
    return Parties(
        _address(named.from_ or known.from_, from_channel),
        _address(named.to or known.to, to_channel),
        from_channel,
        to_channel,
    )


def _address(party: str, channel: str) -> str:
    """Return a number in E.164, with `+`; an identifier stays as it is, also one of digits."""
    return f"+{party}" if party.isdigit() and channel != WEBRTC else party

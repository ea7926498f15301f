"""Who rang whom: what was said when a call began, completed by what follows from it."""

from dataclasses import replace
from typing import Final

from bridge.call.model import CallDetails, CallRecord, Direction, Parties

PSTN: Final = "pstn"
WEBRTC: Final = "webrtc"
WHATSAPP: Final = "whatsapp"
"""The channels that parties are reached over."""


def with_own_number(details: CallDetails, direction: Direction, own: str) -> CallDetails:
    """Return the details with the line's own number as the party on our side, if nobody named that.

    Args:
        details: of a call that is to begin.
        direction: of the call.
        own: the line's number in E.164, with `+`; empty where it has none.
    """
    said = details.parties
    if direction is Direction.INBOUND:
        known = replace(said, to=said.to or own)
    else:
        known = replace(said, from_=said.from_ or own)
    return replace(details, parties=known)


def parties_of(record: CallRecord) -> Parties:
    """Return who rang whom, numbers with `+`; what nobody said follows from the far party."""
    said, peer = record.facts.details.parties, record.facts.peer
    channel = WHATSAPP if peer.isdigit() else WEBRTC
    if record.direction is Direction.INBOUND:
        known = Parties(peer, "", channel, WHATSAPP)
    else:
        known = Parties("", peer, WHATSAPP, channel)
    from_channel = said.from_channel or known.from_channel
    to_channel = said.to_channel or known.to_channel
    return Parties(
        _address(said.from_ or known.from_, from_channel),
        _address(said.to or known.to, to_channel),
        from_channel,
        to_channel,
    )


def _address(party: str, channel: str) -> str:
    """Return a number in E.164, with `+`; an identifier stays as it is, also one of digits."""
    return f"+{party}" if party.isdigit() and channel != WEBRTC else party

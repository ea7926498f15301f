"""The parties of a Chirp call: channels, addresses and metadata."""

import re
from typing import Final

from bridge.api.body import Body
from bridge.api.faces.chirp.words import CHANNELS
from bridge.call.model import Parties
from bridge.call.parties import PSTN, WEBRTC
from bridge.call.policy import LinePolicy
from bridge.errors import InvalidRequest
from bridge.wire.metadata import pack

MAX_IDENTIFIER: Final = 128
METADATA_BYTES: Final = 16 * 1024
"""Metadata stays with a call until it is forgotten, and travels in each of its events."""

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")


def read_parties(body: Body, policy: LinePolicy) -> Parties:
    """Read who is to call whom.

    Raises:
        InvalidRequest: an unknown channel, no E.164 number, or one that is not the line's.
        Forbidden: a route that the WhatsApp provider's terms forbid.
        Unsupported: a route that cannot be had.
    """
    from_channel, to_channel = read_channel(body, "fromChannel"), read_channel(body, "toChannel")
    from_ = read_address(body, "from", from_channel)
    to = read_address(body, "to", to_channel)
    if from_channel != WEBRTC:
        policy.check_number(from_, "from")
    policy.check_route(from_channel, to_channel)
    return Parties(from_, to, from_channel, to_channel)


def read_channel(body: Body, name: str) -> str:
    """Read a channel; `pstn` where none is named.

    Raises:
        InvalidRequest: there is no such channel.
    """
    channel = body.optional_text(name) or PSTN
    if channel not in CHANNELS:
        raise InvalidRequest(f"{name}: expected one of {', '.join(CHANNELS)}", field=name)
    return channel


def read_address(body: Body, name: str, channel: str) -> str:
    """Read an address of a channel: an identifier in a browser, else a number in E.164.

    Raises:
        InvalidRequest: missing or malformed.
    """
    address = body.text(name)
    if channel == WEBRTC:
        if len(address) > MAX_IDENTIFIER or not address.isprintable():
            raise InvalidRequest(
                f"{name}: expected an identifier of at most {MAX_IDENTIFIER} characters",
                field=name,
            )
    elif not _E164.fullmatch(address):
        raise InvalidRequest(
            f"{name}: expected a number in E.164 format, + and digits only, such as +15551234567",
            field=name,
        )
    return address


def read_metadata(body: Body) -> bytes:
    """Read what the customer wants to find again at the call, encoded.

    Raises:
        InvalidRequest: no object, or too large.
    """
    metadata = pack(body.optional_object("metadata") or {})
    if len(metadata) > METADATA_BYTES:
        raise InvalidRequest(
            f"metadata: at most {METADATA_BYTES} bytes of JSON are kept", field="metadata"
        )
    return metadata

"""The parties of a Chirp call: channels, addresses and metadata."""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Struct

from bridge.api.calls.render import camel
from bridge.api.server.fields import field, wrong_field
from bridge.call.model import Parties
from bridge.call.parties import PSTN, WEBRTC
from bridge.call.policy import LinePolicy, check_emergency
from bridge.errors import InvalidRequest
from bridge.wire.metadata import pack

MAX_IDENTIFIER: Final = 128
METADATA_BYTES: Final = 16 * 1024
"""Metadata is kept as long as its call, and sent in each of its events."""

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")


Channel: TypeAlias = Annotated[
    Literal["pstn", "webrtc", "whatsapp"],
    field(
        "`pstn`, also when missing; 501 on a line that has neither a SIP trunk nor simulated contacts",
        read=lambda sent, _: PSTN if sent == "" else sent,
    ),
]


class NewCall(Struct, rename=camel):
    """The parties of a call to make."""

    from_: Annotated[str, field("one of the line's numbers in E.164, or an identifier (webrtc)")]
    to: Annotated[str, field("E.164 with `+` and digits only, or an identifier (webrtc)")]
    from_channel: Channel = "pstn"
    to_channel: Channel = "pstn"
    metadata: Annotated[dict[str, Any], field("up to 16 kB, returned with the call")] = {}


def parties_of(body: NewCall, policy: LinePolicy) -> Parties:
    """Return the parties of a call to make.

    Raises:
        InvalidRequest: no E.164 number, or one that is not the line's.
        Forbidden: a route that the WhatsApp provider's terms forbid.
        Unsupported: a route that is not available.
    """
    from_ = check_address(body.from_, "from", body.from_channel)
    to = check_address(body.to, "to", body.to_channel)
    if body.from_channel != WEBRTC:
        policy.check_number(from_, "from")
    telephone = to if body.to_channel == PSTN else from_
    policy.check_route(body.from_channel, body.to_channel, number=telephone.removeprefix("+"))
    return Parties(from_, to, body.from_channel, body.to_channel)


def check_address(address: str | None, name: str, channel: str) -> str:
    """Return an address of a channel: an identifier in a browser, else a number in E.164.

    Raises:
        InvalidRequest: missing or malformed.
        Forbidden: an emergency number.
    """
    if not address:
        raise InvalidRequest(f"missing {name} in payload", field=name)
    if channel == WEBRTC:
        if len(address) > MAX_IDENTIFIER or not address.isprintable():
            raise wrong_field(
                name, f"expected an identifier of at most {MAX_IDENTIFIER} characters"
            )
        return address
    check_emergency(address)
    if not _E164.fullmatch(address):
        raise wrong_field(
            name, "expected a number in E.164 format, + and digits only, such as +15551234567"
        )
    return address


def encoded_metadata(body: NewCall) -> bytes:
    """Return the customer's metadata, encoded.

    Raises:
        InvalidRequest: too large.
    """
    metadata = pack(body.metadata)
    if len(metadata) > METADATA_BYTES:
        raise wrong_field("metadata", f"at most {METADATA_BYTES} bytes of JSON are kept")
    return metadata

"""Who may call whom in the Chirp face: channels, E.164 numbers, and the numbers of an application."""

import re
from dataclasses import dataclass
from typing import Final

from bridge.api.body import Body
from bridge.api.faces.chirp.words import CHANNELS
from bridge.call.model import Parties
from bridge.call.parties import PSTN, WEBRTC, WHATSAPP
from bridge.errors import Forbidden, InvalidRequest, Unsupported
from bridge.wire.metadata import pack

MAX_IDENTIFIER: Final = 128
METADATA_BYTES: Final = 16 * 1024
"""Metadata stays with a call until it is forgotten, and travels in each of its events."""

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")


@dataclass(frozen=True, slots=True)
class App:
    """What a line may call from, and over what."""

    numbers: tuple[str, ...]
    """In E.164, with `+`."""
    official: bool
    """Whether its WhatsApp calls go over Meta's own interface, whose terms then hold."""

    @property
    def number(self) -> str:
        """The number that stands for our side where nobody chose one."""
        return self.numbers[0] if self.numbers else ""

    def refuse(self, field: str) -> InvalidRequest:
        """Say which numbers there are in place of one that is not the line's."""
        known = f"expected one of {', '.join(self.numbers)}" if self.numbers else "it has none"
        return InvalidRequest(
            f"{field}: this is no number of your line (lines.NAME.numbers): {known}", field=field
        )


def read_parties(body: Body, app: App) -> Parties:
    """Read who is to call whom.

    Raises:
        InvalidRequest: an unknown channel, no E.164 number, or one that is not the application's.
        Forbidden: a route that the WhatsApp provider's terms forbid.
        Unsupported: a route that cannot be had.
    """
    from_channel, to_channel = read_channel(body, "fromChannel"), read_channel(body, "toChannel")
    from_ = read_address(body, "from", from_channel)
    to = read_address(body, "to", to_channel)
    if from_channel != WEBRTC and from_ not in app.numbers:
        raise app.refuse("from")
    check_route(app, from_channel, to_channel)
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


def check_route(app: App, *channels: str) -> None:
    """Refuse what may not, or cannot, be joined.

    Raises:
        Forbidden: an official WhatsApp call and the telephone network.
        Unsupported: the telephone network.
    """
    if PSTN not in channels:
        return
    if app.official and WHATSAPP in channels:
        raise Forbidden(
            "Meta forbids joining an official WhatsApp call to the telephone network; "
            "choose the channel webrtc for the other side"
        )
    raise Unsupported(
        "the channel pstn needs a SIP trunk, which this bridge does not have yet; "
        "choose the channel webrtc or whatsapp"
    )


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

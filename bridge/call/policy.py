"""What a line may call from and over which channels: its own numbers, and the terms of its provider."""

from dataclasses import dataclass

from bridge.call.parties import PSTN, WHATSAPP
from bridge.errors import Forbidden, InvalidRequest, Unsupported


@dataclass(frozen=True, slots=True)
class LinePolicy:
    """One line's."""

    numbers: tuple[str, ...]
    """In E.164, with `+`."""
    official: bool
    """Whether its WhatsApp calls go over Meta's own API, whose terms then apply."""

    @property
    def number(self) -> str:
        """The number that stands for our side where nobody chose one; empty for none."""
        return self.numbers[0] if self.numbers else ""

    def check_number(self, number: str, field: str) -> None:
        """Refuse a number that is not the line's.

        Raises:
            InvalidRequest: with the numbers that are.
        """
        if number in self.numbers:
            return
        known = f"expected one of {', '.join(self.numbers)}" if self.numbers else "it has none"
        raise InvalidRequest(
            f"{field}: this is no number of your line (lines.NAME.numbers): {known}", field=field
        )

    def check_route(self, *channels: str) -> None:
        """Refuse to join parties on these channels where that is forbidden or impossible.

        Raises:
            Forbidden: an official WhatsApp call and the telephone network.
            Unsupported: the telephone network.
        """
        if PSTN not in channels:
            return
        if self.official and WHATSAPP in channels:
            raise Forbidden(
                "Meta forbids joining an official WhatsApp call to the telephone network; "
                "choose the channel webrtc for the other side"
            )
        raise Unsupported(
            "the channel pstn needs a SIP trunk, which this bridge does not have yet; "
            "choose the channel webrtc or whatsapp"
        )

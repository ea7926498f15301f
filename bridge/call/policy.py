"""What a line may call, from which number and over which channels: its trunk's limits, its provider's terms."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LegKind
from bridge.call.parties import PSTN, WHATSAPP
from bridge.errors import Forbidden, InvalidRequest, Unsupported

SIMULATED_TELEPHONES: Final = "155502"
"""Prefix of the numbers of the simulated contacts that are reached over SIP."""
SIMULATED_CONTACTS: Final = "1555010000"
"""Prefix of their other numbers, which ring the same telephones on the channel `pstn`."""

EMERGENCY: Final = frozenset(
    {
        *("000", "08", "100", "101", "102", "103", "104", "105", "106", "108", "110", "111"),
        *("112", "113", "114", "115", "116", "117", "118", "119", "120", "122", "123", "128"),
        *("129", "131", "132", "133", "140", "143", "144", "147", "155", "158", "160", "166"),
        *("171", "180", "190", "191", "192", "193", "194", "195", "196", "197", "198", "199"),
        *("811", "911", "988", "990", "991", "993", "995", "996", "997", "998", "999"),
        *("116000", "116006", "116111", "116117", "116123"),
    }
)
"""Numbers of the police, the fire brigade, ambulances and helplines; they need the caller's place, which no
bridge knows."""

_COUNTRY_CODE: Final = re.compile(
    "[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[^0].?.?"
)
"""ITU-T E.164: of one digit, of two, and all others of three."""
_DIALLED: Final = re.compile(r"[1-9][0-9]{0,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPolicy:
    """What a line may do over its SIP trunk."""

    prefixes: tuple[str, ...]
    """Prefixes of the numbers that may be called, without `+`; an empty one allows all."""
    private: bool = False
    """Whether it leads to no telephone network (`sip.private_trunks`)."""
    calls: int = 0
    """Concurrent calls; 0: no limit of its own."""
    calls_per_minute: int = 30
    call_seconds: float = 7200.0
    """Longest call, from its answer on."""
    caller_id: str = ""
    """In E.164, with `+`; empty: the line's number."""
    transfer: bool = False
    """Whether the other party may have a call transferred (REFER)."""
    refer: bool = False
    """Whether the trunk is asked to transfer calls (REFER)."""


SIMULATED_TRUNK: Final = TrunkPolicy(
    prefixes=(SIMULATED_TELEPHONES, SIMULATED_CONTACTS), calls_per_minute=600, transfer=True
)


@dataclass(frozen=True, slots=True)
class LinePolicy:
    """What one line may call, and over which channels."""

    numbers: tuple[str, ...]
    """In E.164, with `+`."""
    official: bool = False
    """Whether its WhatsApp calls go over Meta's own API, whose terms then apply."""
    simulated: bool = False
    """Whether its contacts are simulated."""
    trunk: TrunkPolicy | None = None
    """None where it has no trunk of its own."""

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

    def channel_to(self, number: str, named: str = "") -> str:
        """Return the channel over which a number is called for a request that named one, or none.

        WhatsApp where none is named; simulated telephones are reached over SIP whatever was named.
        """
        return PSTN if self.simulates_telephone(number) else named or WHATSAPP

    def simulates_telephone(self, number: str) -> bool:
        """Whether a number is that of a simulated contact's telephone."""
        return self.trunk is None and self.simulated and number.startswith(SIMULATED_TELEPHONES)

    @property
    def telephone_channel(self) -> str:
        """The channel that a vendor of telephone calls means: `pstn` with a trunk and no WhatsApp, else empty.

        Simulated contacts count as no WhatsApp: they are what a line has for which none is set.
        """
        return PSTN if self.trunk is not None and self.simulated else ""

    def trunk_to(self, number: str) -> TrunkPolicy | None:
        """Return the trunk that calls to a number go over; None where there is none."""
        if self.trunk is not None or not self.simulated:
            return self.trunk
        known = number.startswith(SIMULATED_TRUNK.prefixes) or self._owns(number)
        return SIMULATED_TRUNK if known else None

    def check_route(self, *channels: str, number: str = "") -> None:
        """Refuse to join parties on these channels, to call `number`, where that is forbidden or impossible.

        Raises:
            Forbidden: an official WhatsApp call and the telephone network.
            Unsupported: the telephone network, without a trunk.
        """
        self.check_joined(*channels)
        if PSTN in channels:
            self._need_trunk(number)

    def check_joined(self, *channels: str) -> None:
        """Refuse to have parties on these channels in one call where that is forbidden.

        Raises:
            Forbidden: an official WhatsApp call and the telephone network.
        """
        private = self.trunk is not None and self.trunk.private
        if self.official and not private and {WHATSAPP, PSTN} <= set(channels):
            raise Forbidden(
                "Meta forbids joining an official WhatsApp call to the telephone network; choose "
                "the channel webrtc for the other side (a trunk that leads to no telephone network "
                "is declared in sip.private_trunks)"
            )

    def check_telephone(self, number: str) -> TrunkPolicy:
        """Return the trunk for a call to a number of the telephone network.

        Raises:
            InvalidRequest: no number in E.164, without `+`.
            Forbidden: one that the trunk may not call.
            Unsupported: there is no trunk.
        """
        if not _DIALLED.fullmatch(number):
            raise InvalidRequest("a telephone has a number of at most 15 digits in E.164")
        trunk = self._need_trunk(number)
        if not number.startswith(trunk.prefixes) and not self._owns(number):
            raise Forbidden(
                "the line may not call this number: none of lines.NAME.sip.allow_prefixes "
                "matches it"
            )
        return trunk

    def _owns(self, number: str) -> bool:
        return f"+{number}" in self.numbers

    def _need_trunk(self, number: str) -> TrunkPolicy:
        trunk = self.trunk_to(number)
        if trunk is None:
            numbers = f"{SIMULATED_TELEPHONES}00001 to 9"
            simulated = f", or the numbers {numbers}" if self.simulated else ""
            raise Unsupported(
                "the channel pstn needs a SIP trunk, which this line does not have "
                f"(lines.NAME.sip); choose the channel webrtc or whatsapp{simulated}"
            )
        return trunk


def check_emergency(number: str) -> None:
    """Refuse emergency numbers, also with a country code before them.

    An emergency number behind an area code cannot be told from a subscriber's number.

    Raises:
        Forbidden: such a number.
    """
    digits = number.removeprefix("+")
    national = _national(digits)
    if not EMERGENCY.isdisjoint((digits, national, national.lstrip("0"))):
        raise Forbidden(
            "emergency numbers are not called from here: the location of the caller is not known; "
            "use a telephone"
        )


def _national(digits: str) -> str:
    """Return a number without its country code; empty if it has none."""
    code = _COUNTRY_CODE.match(digits)
    return digits[code.end() :] if code else ""


def channels_of(kinds: Iterable[LegKind]) -> set[str]:
    """Return the channels on which a call's far parties are reached; simulated ones are on none."""
    return {kind.traits.channel for kind in kinds if not kind.traits.simulated} - {""}


def kinds_on(channels: Collection[str]) -> frozenset[LegKind]:
    """Return the kinds of far party that are on these channels, those of simulated parties and of gateways included."""
    return frozenset(kind for kind in LegKind if kind.traits.channel in channels)

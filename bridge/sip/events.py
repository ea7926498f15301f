"""The events of an INVITE dialog (RFC 3261)."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Ringing:
    """The far side rings (180), or reports progress (181 to 183)."""

    code: int
    sdp: str = ""
    """Of early media; empty for none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The far side has answered our INVITE, which is acknowledged."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Our INVITE has ended without a call."""

    code: int
    """The final response: 408 after a timeout, 503 when no host of the trunk could be reached."""
    phrase: str = ""
    """The response's reason phrase; untrusted text."""
    cause: int | None = None
    """Q.850 cause of the Reason header (RFC 3326)."""
    retry_after: int = 0
    """Seconds; 0 if the far side names none."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The far side sends a re-INVITE or UPDATE; answer with `answer` or `refuse`."""

    sdp: str
    """Empty when it asks for our offer."""


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The far side has taken our re-INVITE."""

    sdp: str


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The far side has refused our re-INVITE; what was agreed before stays."""

    code: int


@dataclass(frozen=True, slots=True)
class DigitSignalled:
    """The far side sent a digit by SIP INFO."""

    digit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TransferRequested:
    """The far side asks us by REFER (RFC 3515) to call somebody else; it has been answered with 202."""

    target: str
    """User part or number of Refer-To."""
    uri: str
    replaces: str = ""
    """The Replaces parameter of an attended transfer (RFC 3891), unescaped; empty for none."""


@dataclass(frozen=True, slots=True)
class TransferProgressed:
    """The progress of our REFER: the code of a NOTIFY, or of the response that refused it."""

    code: int
    final: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The dialog is over: the far side's BYE or CANCEL, a session timer, or a lost connection."""

    cause: int | None = None
    """Q.850 cause of the Reason header."""
    code: int | None = None
    """SIP cause of the Reason header; 408 when a session timer ended it."""
    canceled: bool = False
    """Whether the caller gave up before it was answered."""


DialogEvent: TypeAlias = (
    Ringing
    | Answered
    | Refused
    | Offered
    | OfferAnswered
    | OfferRefused
    | DigitSignalled
    | TransferRequested
    | TransferProgressed
    | Ended
)

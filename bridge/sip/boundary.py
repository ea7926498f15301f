"""What the SIP core takes and gives: addresses, calls to make, admission of inbound requests, outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NewType, Protocol, TypeAlias

from bridge.sip.events import DialogEvent

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

DialogId = NewType("DialogId", str)
"""Our tag of the dialog: unique; begins with the number of the node that owns the call, two hex digits and `-`."""


_STRENGTHS: tuple[Transport, ...] = ("udp", "tcp", "tls")


def is_as_strong(transport: Transport, other: Transport) -> bool:
    """Return whether a transport protects messages as well as another: UDP no address, TLS the content too."""
    return _STRENGTHS.index(transport) >= _STRENGTHS.index(other)


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages go to or come from: a resolved address, for the core has no DNS."""

    transport: Transport
    host: str
    """An IP address, IPv6 without brackets."""
    port: int
    connection: int = 0
    """An open or accepted connection; 0, or one that is gone: the agent picks or opens one."""


@dataclass(frozen=True, slots=True)
class Local:
    """How we name ourselves on a transport (sent-by of Via, and Contact): the address others reach us at."""

    host: str
    """A name or an IP address, IPv6 without brackets."""
    port: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password for digest authentication (RFC 8760)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogRules:
    """What a trunk expects of its calls."""

    host: str = ""
    """Our name in From and Contact; empty: the trunk's domain, and our address as the trunk can reach it."""
    bye_only: bool = False
    """Whether an answered call takes no other request than BYE, from either side: there is no session timer, requests to
    change the call get 488, and anybody who knows the dialog may end it, over a transport as safe as its own."""


USUAL_RULES: Final = DialogRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """An INVITE to send."""

    target: Target
    uri: str
    """The Request-URI."""
    sdp: str
    trunk: str = ""
    """The name of the trunk, whose addresses may send requests within the call; empty: only its peer may."""
    from_uri: str
    contact_user: str = ""
    credentials: Credentials | None = None
    p_asserted_identity: str = ""
    """URI of the caller for a trusting network (RFC 3325); empty for none."""
    replaces: str = ""
    """Replaces of an attended transfer (RFC 3891), as `TransferRequested.replaces` has it."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further fields; one that the core sets itself is left out."""
    session_expires: int = 1800
    """Seconds between refreshes of the session (RFC 4028); 0 asks for none."""
    rules: DialogRules = USUAL_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A binding to keep at a registrar."""

    name: str
    target: Target
    registrar: str
    """The Request-URI, such as `sip:example.org`."""
    address_of_record: str
    contact_user: str = ""
    credentials: Credentials | None = None
    expires: int = 600
    """Seconds to ask for."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An inbound request outside a dialog, for the policy to decide."""

    source: Target
    method: str
    """Empty if it could not be parsed."""


@dataclass(frozen=True, slots=True)
class Allow:
    """Accept it: the source is trusted."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Require digest credentials of this realm."""

    realm: str
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """One challenge is sent for each, the preferred first; some callers read the first one alone."""
    users: frozenset[str] | None = None
    """Who may answer it; None for everybody that `InboundPolicy.ha1` knows."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Reject it."""

    code: int
    """Of the response; 0 sends none."""


Admission: TypeAlias = Allow | Challenge | Refuse


class InboundPolicy(Protocol):
    """Decides who may reach us, and knows the users who may log in."""

    def admit(self, arrival: Arrival) -> Admission:
        """Check a request outside a dialog; one that cannot be parsed is answered only if allowed."""

    def trunks_of(self, invitation: "Invitation") -> frozenset[str]:
        """Return the names of the trunks that an admitted call may come from."""

    def rules_of(self, invitation: "Invitation") -> DialogRules:
        """Return what the trunk expects that an admitted call comes from."""

    def ignores_parameters(self, username: str) -> bool:
        """Return whether the digest `uri` of a user may lack the parameters of the Request-URI."""

    def admit_within(self, trunks: frozenset[str], host: str) -> Admission:
        """Decide on a request within a call of these trunks that comes from elsewhere than its peer."""

    def ha1(self, realm: str, username: str, algorithm: str) -> str | None:
        """Return the hex H(username:realm:password) for MD5 or SHA-256; None for an unknown user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """The contents of an inbound INVITE. All strings are untrusted."""

    source: Target
    sdp: str
    """Their offer; empty if our 200 is to hold it (a late offer): the answer in the ACK then comes as `OfferAnswered`."""
    to_user: str
    """User part of the Request-URI: the number that was dialled."""
    from_user: str
    from_name: str
    asserted_user: str = ""
    """User part of P-Asserted-Identity, for sources that are trusted with it."""
    anonymous: bool = False
    """Whether Privacy asks to withhold the caller."""
    username: str = ""
    """The digest user name; empty if none was required."""
    replaces: DialogId | None = None
    """The dialog of ours to end when this one is answered (RFC 3891)."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All header values, by lower-case name."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send."""

    data: bytes = field(repr=False)
    target: Target


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to a dialog."""

    dialog: DialogId
    event: DialogEvent
    failover: bool = False
    """With `Refused`: nothing rang, and the next target may serve the call (RFC 3263 section 4.3): 503, no response, or no connection."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A dialog has been freed: the last output with its id."""

    dialog: DialogId


@dataclass(frozen=True, slots=True)
class Invited:
    """An inbound call; answer it with `ring`, `answer` or `refuse`."""

    dialog: DialogId
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A registrar answered, or did not."""

    name: str
    registered: bool
    code: int
    """Of the response; 408 for none, 503 for no connection."""
    expires: float = 0.0
    """Seconds the binding was granted for."""


@dataclass(frozen=True, slots=True)
class OptionsAnswered:
    """An OPTIONS request of ours ended. Any response proves that the far side is reachable."""

    name: str
    code: int
    """Of the response; 0 if none came."""


Output: TypeAlias = Send | Happened | Closed | Invited | RegistrationChanged | OptionsAnswered


@dataclass(slots=True)
class Counters:
    """Totals of a user agent since its start."""

    malformed: int = 0
    """Messages that could not be read, answered or not."""
    authentication_failures: int = 0
    """Wrong digest credentials, and requests of addresses that had too many of them."""
    foreign: int = 0
    """Requests in a dialog from an address or by a transport that is not its peer's."""
    overload: int = 0
    """Requests not taken or not sent because a table was full."""

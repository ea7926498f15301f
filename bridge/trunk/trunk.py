"""The address of a trunk, and the INVITE and REGISTER that are sent to it."""

from dataclasses import dataclass
from urllib.parse import quote

from bridge.sip.boundary import (
    USUAL_RULES,
    Credentials,
    Dial,
    DialogRules,
    Registration,
    Target,
    Transport,
)
from bridge.sip.message.values import host_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkAddress:
    """How a trunk is reached."""

    name: str
    """The name of its line."""
    host: str
    port: int = 0
    """0: that of its SRV records, else its transport's own."""
    transport: Transport | None = None
    """None: that of its SRV records, else UDP."""
    domain: str = ""
    """The domain of the account; empty: `host`."""
    credentials: Credentials | None = None
    register_seconds: int = 0
    """The Expires of its registration; 0: none is kept."""
    options_seconds: float = 30.0
    """Between OPTIONS requests."""
    contact_user: str = ""
    """User part of our Contact; empty: the account's."""
    certificate: str = ""
    """The host that its TLS certificate must name; empty: `host`."""
    parameters: str = ""
    """What ends the URIs of numbers, such as `;transport=tls`."""
    rules: DialogRules = USUAL_RULES

    @property
    def realm(self) -> str:
        """The domain as in a URI, IPv6 in brackets."""
        if self.domain:
            return host_text(self.domain)
        return host_text(self.host) + (f":{self.port}" if self.port else "")

    @property
    def user(self) -> str:
        """User part of our Contact."""
        return self.contact_user or (self.credentials.username if self.credentials else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCall:
    """A call to make over a trunk."""

    number: str
    """Whom to call: the user part of the Request-URI."""
    caller: str = ""
    """The user part of From; empty: the trunk's account."""
    asserted: bool = False
    """Whether to send P-Asserted-Identity (RFC 3325), for a network that trusts us."""
    replaces: str = ""
    """Of an attended transfer, as `TransferRequested.replaces` has it."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields."""


def uri_of(trunk: TrunkAddress, number: str) -> str:
    """Return the URI of a number at a trunk; a SIP URI stays as it is."""
    if number.lower().startswith(("sip:", "sips:", "tel:")):
        return number
    user = _user(number)
    return (f"sip:{user}@{trunk.realm}" if user else f"sip:{trunk.realm}") + trunk.parameters


def _user(number: str) -> str:
    return quote(number, safe="+-_.!~*'()")


def dial_request(trunk: TrunkAddress, call: OutboundCall, target: Target, sdp: str) -> Dial:
    """Return the INVITE of a call to one address of its trunk."""
    caller = call.caller or trunk.user
    host = trunk.rules.host
    caller = f"sip:{_user(caller)}@{host}" if host else uri_of(trunk, caller)
    return Dial(
        target=target,
        trunk=trunk.name,
        uri=uri_of(trunk, call.number),
        sdp=sdp,
        from_uri=caller,
        contact_user=trunk.user or call.caller,
        credentials=trunk.credentials,
        p_asserted_identity=caller if call.asserted else "",
        replaces=call.replaces,
        headers=call.headers,
        rules=trunk.rules,
    )


def registration(trunk: TrunkAddress, target: Target) -> Registration:
    """Return the binding of a trunk's account to our Contact."""
    return Registration(
        name=trunk.name,
        target=target,
        registrar=f"sip:{trunk.realm}",
        address_of_record=uri_of(trunk, trunk.user),
        contact_user=trunk.user,
        credentials=trunk.credentials,
        expires=trunk.register_seconds,
    )

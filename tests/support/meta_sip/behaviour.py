"""How Meta's SIP server behaves, what it calls wrong, and what it knows of a call and of a business."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from tests.support.meta_sip.links import Link
from tests.support.meta_sip.message import Header, Message, host_of, uri_in, user_of
from tests.support.whatsapp.graph_webhooks import BUSINESS, DoubleCall

DOMAIN = "wa.meta.vc"


@dataclass
class Account:
    """What a business has set at Meta."""

    port: int
    """At which its SIP server listens, on 127.0.0.1."""
    password: str = "a-password-of-metas"
    hostname: str = "sip.example"
    """Of its SIP server: its certificate must name it, and From must have it."""
    business: str = BUSINESS
    user_parameters: str = ""
    """Of the user part, such as `;tgrp=wa`."""


@dataclass
class Behaviour:
    """What varies between traces and documents; the defaults are what Meta documents."""

    algorithms: tuple[str, ...] = ("MD5",)
    """Of its challenges, one header each."""
    stale_once: bool = False
    """The first nonce is stale when it comes back."""
    uri_without_parameters: bool = False
    """A digest `uri` may lack the parameters of To's URI."""
    provisional: tuple[int, ...] = (180,)
    """After 100 and before the user answers."""
    record_routes: Literal[0, 2] = 2
    cancel_crosses: bool = False
    """The user answers as our CANCEL arrives."""
    reinvite_ends_call: bool = False
    """A re-INVITE gets 500, and then a BYE."""
    answers_options: bool = False
    full_uri: bool = False
    """The `uri` of its credentials has the Request-URI's parameters, as RFC 7616 wants."""
    only_md5: bool = False
    """A challenge for SHA-256 alone ends the call."""
    stale_gives_up: bool = False
    """A second challenge ends the call, although the nonce was only stale."""
    fresh_connections: bool = False
    """Each request comes over a connection of its own."""
    sources: tuple[str, ...] = ("127.0.0.1",)
    """Addresses that its connections come from, one after the other."""
    close_after: float = 0.0
    """Seconds after which it closes a connection that we have opened; 0 is never."""
    caller: Literal["number", "username"] = "number"
    """Users with a username have no number: an id (BSUID) stands in From and Contact."""
    captured_headers: bool = False
    """Spelling and choice of `x-wa-meta-*` as in a captured call, else as documented."""
    bye_before_ack: bool = False
    byes: int = 1
    """How often it says that a call is over."""


@dataclass
class Dialog:
    """One side of a dialog: what its requests need."""

    call_id: str
    ours: str
    """From, with our tag."""
    theirs: str
    """To, with the other's tag once there is one."""
    target: str
    routes: list[str] = field(default_factory=list)
    """By which requests of the business are to come, the first first."""
    sequence: int = 100
    their_sequence: int = 0

    def headers(self, method: str, via: str, *more: Header, number: int = 0) -> list[Header]:
        """Write the headers of the next request; ACK and CANCEL have the `number` of their INVITE."""
        self.sequence += not number
        return [
            ("Via", via),
            ("From", self.ours),
            ("To", self.theirs),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number or self.sequence} {method}"),
            ("Max-Forwards", "70"),
            *more,
        ]


@dataclass
class SipCall(DoubleCall):
    """A call at Meta that is signalled over SIP."""

    dialog: Dialog = field(default_factory=lambda: Dialog("", "", "", ""))
    link: Link | None = None
    """Over which it was begun."""
    invite: Message | None = None
    """That of the business."""
    via: str = ""
    """Of Meta's own INVITE."""
    number: int = 0
    """Of the same, in CSeq."""
    codes: list[int] = field(default_factory=list)
    """Statuses of our responses to its INVITE, in their order."""
    acknowledged: bool = False
    """Whether we have confirmed its 200 with ACK."""
    canceled: bool = False
    proceeding: bool = False
    """Whether Meta's INVITE has a provisional response, so that CANCEL may follow."""
    task: asyncio.Task[None] | None = None
    reason: str = ""
    """Of the BYE that Meta has sent by itself."""


def misaddressed(invite: Message, account: Account) -> str:
    """Return the response to an INVITE that is wrong whoever sends it; empty if it is not."""
    host = host_of(invite.uri)
    caller = uri_in(invite.value("from"))
    if invite.uri.startswith("sips:") or host.replace(".", "").isdigit():
        return "404 Not Found"
    if user_of(caller).removeprefix("+") != account.business:
        return "400 Asset not found, invalid business phone number"
    known = host_of(caller)
    if account.hostname != known and not account.hostname.endswith(f".{known}"):
        return (
            f"403 SIP server {known} from INVITE does not match any SIP server configured for phone"
            " number id"
        )
    return ""


def misauthorized(
    invite: Message, given: dict[str, str], wanted: str, account: Account, behaviour: Behaviour
) -> str:
    """Return the response to credentials that are wrong; empty if they are right.

    Args:
        invite: the request.
        given: its credentials.
        wanted: the `response` that belongs to them.
        account: whose they are to be.
        behaviour: whether `uri` may lack parameters.
    """
    if given.get("username") != account.business or given.get("realm") != DOMAIN:
        return "403 Invalid digest: username or realm"
    if given.get("response") != wanted:
        return "403 Invalid digest: response"
    to, uri = uri_in(invite.value("to")), given.get("uri", "")
    if behaviour.uri_without_parameters:
        to, uri = to.partition(";")[0], uri.partition(";")[0]
    return "" if uri == to else '403 Proxy auth uri does not match SIP "to" uri'


def meta_headers(call: SipCall, *, captured: bool, name: str, **more: str | None) -> list[Header]:
    """Write what Meta tells of a user in headers of its own.

    Args:
        call: whose.
        captured: in the spelling of a captured call; else as documented.
        name: the user's chosen name; empty if there is none.
        more: `cta_payload` and `deeplink_payload`, if the user came by them.
    """
    found: list[Header] = [] if captured else [("x-wa-meta-wacid", call.wacid)]
    found.append(("x-wa-meta-user-id", USER_ID))
    parent = "x-wa_meta-parent-user-id" if captured else "x-wa-meta-parent-user-id"
    found.append((parent, "US.ENT.9999"))
    if name:
        found.append(("x-wa-meta-username" if captured else "x-wa-meta-user-name", name))
    country = "x-wa-meta-country-code" if captured else "x-wa-meta-user-country-code"
    found.append((country, "US"))
    found += [(f"x-wa-meta-{key.replace('_', '-')}", text) for key, text in more.items() if text]
    return found


USER_ID = "US.11112222333344445555"

"""Dialogs (RFC 3261 section 12): identifiers, route set, remote target and sequence numbers."""

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from bridge.sip.boundary import Target, Transport, is_as_strong
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, Response
from bridge.sip.message.values import Address, Uri, ValueSyntaxError
from bridge.sip.snapshot import DialogSnapshot
from bridge.sip.stack import Stack
from bridge.wire.snapshot_fields import copied

MAX_ROUTES = 16
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Dialog:
    """The state that both sides share."""

    stack: Stack
    call_id: str
    local: str
    """Our address with our tag, as From of our requests has it."""
    remote: str
    """Their address, with their tag once it is known."""
    remote_tag: str
    remote_target: str
    """URI of their Contact."""
    routes: list[str]
    contact: str
    """Our Contact."""
    flow: Target
    """Where their messages come from: where ours go if the remote target is a name, or behind a NAT."""
    local_seq: int = 0
    remote_seq: int = -1
    answered_seq: int = -1
    """No request with this CSeq, or a lower one, is taken any more."""
    alternate: Target | None = field(init=False, default=None)
    """Where our BYE goes that does not get through otherwise."""
    diverted: bool = field(init=False, default=False)
    """Whether our requests go there, whatever the far side's URIs name."""
    origin: Target = field(init=False)
    """The first flow: where the INVITE came from, or went to."""

    def __post_init__(self) -> None:
        self.origin = self.flow

    def snapshot(self) -> DialogSnapshot:
        """Return it as data."""
        return copied(DialogSnapshot, self, routes=tuple(self.routes))

    def next_number(self) -> int:
        """Return the CSeq of our next request."""
        self.local_seq += 1
        return self.local_seq

    def in_order(self, request: Request) -> bool:
        """Note the CSeq of their request; return False if an earlier request had a higher one."""
        number = request.headers.cseq.number
        if number < self.remote_seq or number <= self.answered_seq:
            return False
        self.remote_seq = number
        return True

    def has_peer(self, host: str) -> bool:
        """Return whether the far side is at an address: messages came from there, or ours go there."""
        peers = (self.origin, self.flow, self.target())
        return any(_is_same(host, peer.host) for peer in peers)

    def may_use(self, transport: Transport) -> bool:
        """Return whether messages by a transport belong to it: its own, or one that protects better."""
        return is_as_strong(transport, self.origin.transport)

    def request(self, method: str, *, number: int | None = None) -> Request:
        """Return a new request of ours; with the CSeq `number` the ACK of an INVITE."""
        fields = Headers()
        uri, routes = self._uri_and_route()
        fields.put("Route", *routes)
        fields.put("From", self.local)
        fields.put("To", self.remote)
        fields.put("Call-ID", self.call_id)
        fields.put("CSeq", f"{self.next_number() if number is None else number} {method}")
        if method in ("INVITE", "UPDATE", "REFER"):
            fields.put("Contact", self.contact)
        return self.stack.request(method, uri, self.target(), fields)

    def _uri_and_route(self) -> tuple[str, list[str]]:
        """Return Request-URI and Route (RFC 3261 section 12.2.1.1): the first route may be strict."""
        if not self.routes:
            return self.remote_target, []
        first = Address.parse(self.routes[0]).uri
        if "lr" in first.parameters:
            return self.remote_target, self.routes
        return first.text, [*self.routes[1:], f"<{self.remote_target}>"]

    def target(self) -> Target:
        """Return where our next request goes."""
        if self.diverted:
            return self.flow
        hop = Address.parse(self.routes[0]).uri if self.routes else Uri.parse(self.remote_target)
        return next_hop(hop, self.flow)

    def divert(self) -> bool:
        """Send our requests to the alternate target from now on; return False if there is none, or they went there."""
        if self.alternate is None or self.diverted:
            return False
        self.flow, self.diverted = self.alternate, True
        return True

    def relocate(self, connection: int, host: str = "") -> None:
        """Send by another socket from now on, and have the far side's requests come there (at `host`, as in `contact`)."""
        self.flow = replace(self.flow, connection=connection)
        self.contact = self.stack.contact(self.flow, Address.parse(self.contact).uri.user, host)

    def refresh(self, message: Request | Response) -> None:
        """Take the Contact of a message that may move their side (RFC 3261 section 12.2)."""
        self.remote_target = contact_uri(message) or self.remote_target


def restored_dialog(stack: Stack, snapshot: DialogSnapshot) -> Dialog:
    """Return the dialog of a snapshot.

    A request that was answered before is not taken a second time: it was sent again, and the response is lost.
    """
    dialog = copied(
        Dialog,
        snapshot,
        stack=stack,
        routes=list(snapshot.routes),
        answered_seq=snapshot.remote_seq,
    )
    dialog.origin = snapshot.origin
    return dialog


def next_hop(uri: Uri, flow: Target) -> Target:
    """Return where requests for a URI go, given where its messages come from.

    That is where its messages come from, `flow` itself, if the URI has a name (there is no DNS here), or a private
    address while the source is public (NAT); a connection that has ended is opened again to the address of the URI.
    """
    try:
        address = ipaddress.ip_address(uri.host)
        source = ipaddress.ip_address(flow.host)
    except ValueError:
        return flow
    transport = uri.transport or flow.transport
    if transport not in ("udp", "tcp", "tls") or not _reachable(address, source):
        return flow
    if flow.transport == "tls" and transport != "tls":
        return flow  # never downgrade from TLS
    if address == source and transport != flow.transport != "udp":
        return flow
    port = uri.port or (5061 if transport == "tls" else 5060)
    # Send from the socket that receives theirs: a firewall may let no other through.
    same = transport == flow.transport and (address == source or transport == "udp")
    connection = flow.connection if same else 0
    return Target(cast("Transport", transport), uri.host, port, connection)


def _reachable(address: _Address, source: _Address) -> bool:
    if address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return source.is_loopback
    return source.is_private or not address.is_private


def _is_same(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def contact_uri(message: Request | Response) -> str:
    """Return the URI of the first Contact; empty for none."""
    try:
        addresses = message.headers.addresses("contact")
    except ValueSyntaxError:
        return ""
    return addresses[0].uri.text if addresses else ""


def record_route(message: Request | Response) -> list[str]:
    """Return the Record-Route values, each in angle brackets."""
    routes = message.headers.addresses("record-route")[:MAX_ROUTES]
    return [f"<{route.uri.text}>" for route in routes]


def outgoing_dialog(stack: Stack, request: Request, response: Response, flow: Target) -> Dialog:
    """Return the dialog that a response to our INVITE makes (RFC 3261 section 12.1.2)."""
    return Dialog(
        stack=stack,
        call_id=request.headers.call_id,
        local=request.headers.first("from"),
        remote=response.headers.first("to"),
        remote_tag=response.headers.to.tag,
        remote_target=contact_uri(response) or request.uri,
        routes=record_route(response)[::-1],
        contact=request.headers.first("contact"),
        flow=flow,
        local_seq=request.headers.cseq.number,
    )


def incoming_dialog(
    stack: Stack, request: Request, tag: str, source: Target, *, host: str = ""
) -> Dialog:
    """Return the dialog that an INVITE to us makes (RFC 3261 section 12.1.1); `host` is that of our Contact."""
    headers = request.headers
    user = Uri.parse(request.uri).user
    return Dialog(
        stack=stack,
        call_id=headers.call_id,
        local=f"{headers.first('to')};tag={tag}",
        remote=headers.first("from"),
        remote_tag=headers.from_.tag,
        remote_target=contact_uri(request) or headers.from_.uri.text,
        routes=record_route(request),
        contact=stack.contact(source, user, host),
        flow=source,
        local_seq=int.from_bytes(stack.random(2), "big"),
        remote_seq=headers.cseq.number,
    )

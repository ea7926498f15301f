"""SIP messages as text, for what no well-behaved party sends."""

from typing import Any

from bridge.sip.boundary import Target
from bridge.sip.message.message import parse
from tests.support.sip.sip_pair import OFFER, Network, Party

STRANGER = Target("udp", "198.51.100.7", 5060)

FIELDS: dict[str, Any] = {
    "Via": "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-one",
    "Max-Forwards": "70",
    "From": "<sip:caller@example.org>;tag=ft",
    "To": "<sip:callee@example.com>",
    "Call-ID": "one@198.51.100.7",
    "CSeq": "1 INVITE",
    "Contact": "<sip:caller@198.51.100.7>",
}


def request(method="INVITE", uri="sip:callee@example.com", body=b"", start="", **changed: Any):
    """Return a request; a field set to None is left out, underscores in names are hyphens."""
    fields = FIELDS | {"CSeq": f"1 {method}"}
    if body:
        fields["Content-Type"] = "application/sdp"
    for name, value in changed.items():
        fields[name.replace("_", "-")] = value
    fields.setdefault("Content-Length", str(len(body)))
    lines = [start or f"{method} {uri} SIP/2.0"]
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name}: {each}" for each in values if each is not None]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def read(data) -> Any:
    """Return what bytes say, request or response."""
    return parse(data)


def invite(sdp=OFFER, **changed):
    """Return an INVITE with SDP."""
    return request(body=sdp.encode(), **changed)


def party(**options):
    """Return a party that nobody else talks to."""
    return Party(Network(), "192.0.2.2", **options)


def codes(data, source=STRANGER, **options):
    """Return the codes of a fresh party's responses to a message."""
    to = party(**options)
    to.network.inject(data, source, to)
    return to.methods()


def answer_to(sent, code, tag="far", body=b"", **changed):
    """Return a response to a request that a party has sent."""
    to = sent.headers.first("to")
    fields = {
        "Via": sent.headers.all("via"),
        "From": sent.headers.first("from"),
        "To": to if "tag=" in to else f"{to};tag={tag}",
        "Call-ID": sent.headers.call_id,
        "CSeq": sent.headers.first("cseq"),
    }
    return request(start=f"SIP/2.0 {code} Whatever", body=body, **(fields | changed))


def in_dialog(party, dialog, method, number, body=b"", **changed):
    """Return a request that the far side of a party's dialog might send."""
    call_id, far, near = party.core.dialog_name(dialog).split(";")
    fields = {
        "Call-ID": call_id,
        "From": f"<sip:x@example.org>;tag={far}",
        "To": f"<sip:y@example.com>;tag={near}",
        "CSeq": f"{number} {method}",
        "Via": f"SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK-{method}-{number}",
    }
    return request(method, body=body, **(fields | changed))


def send(network, party, dialog, method, number, **given):
    """Have the other party send a request in a dialog of a party."""
    other = "192.0.2.1" if party.host != "192.0.2.1" else "192.0.2.2"
    source = Target(party.transport, other, 5060)
    network.inject(in_dialog(party, dialog, method, number, **given), source, party)

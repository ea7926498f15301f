"""Where requests in a dialog go."""

import pytest

from bridge.sip.boundary import Target
from bridge.sip.dialog import contact_uri, next_hop, record_route
from bridge.sip.message.values import Uri
from tests.support.sip.sip_pair import established
from tests.support.sip.sip_text import in_dialog, invite, read, send

PUBLIC = Target("udp", "8.8.8.8", 40000, 2)
PRIVATE = Target("udp", "10.0.0.5", 5060)
STREAM = Target("tls", "8.8.8.8", 40000, 7)


@pytest.mark.parametrize(
    ("uri", "flow", "expected"),
    [
        ("sip:x@8.8.4.4:5070", PUBLIC, Target("udp", "8.8.4.4", 5070, 2)),
        ("sip:x@8.8.4.4;transport=tcp", PUBLIC, Target("tcp", "8.8.4.4", 5060)),
        ("sips:x@8.8.4.4", PUBLIC, Target("tls", "8.8.4.4", 5061)),
        ("sip:x@10.0.0.9", PRIVATE, Target("udp", "10.0.0.9", 5060)),
        ("sip:x@[2001:4860:4860::8888]", PUBLIC, Target("udp", "2001:4860:4860::8888", 5060, 2)),
        # Over a connection that is there, with the address of the next one:
        ("sip:x@8.8.8.8:5061;transport=tls", STREAM, Target("tls", "8.8.8.8", 5061, 7)),
        ("sip:x@8.8.8.8", STREAM, Target("tls", "8.8.8.8", 5061, 7)),
        # Not resolved, behind a NAT, no address to send to, unknown:
        ("sip:x@example.org", PUBLIC, PUBLIC),
        ("sip:x@10.0.0.9", PUBLIC, PUBLIC),
        ("sip:x@127.0.0.1", PRIVATE, PRIVATE),
        ("sip:x@224.0.0.1", PUBLIC, PUBLIC),
        ("sip:x@0.0.0.0", PRIVATE, PRIVATE),
        ("sip:x@8.8.4.4;transport=sctp", PUBLIC, PUBLIC),
        # What came encrypted stays so:
        ("sip:x@8.8.4.4", STREAM, Target("tls", "8.8.4.4", 5061)),
        ("sip:x@8.8.4.4;transport=udp", STREAM, STREAM),
        ("tel:123", PUBLIC, PUBLIC),
    ],
)
def test_the_next_hop(uri, flow, expected):
    assert next_hop(Uri.parse(uri), flow) == expected


def test_contact_and_record_route():
    asked = read(
        invite(
            Contact='"A, B" <sip:a@b.org;x=1>;q=1',
            Record_Route=["<sip:1;lr>, <sip:2;lr>", "<sip:3>;p=1"],
        )
    )
    assert contact_uri(asked) == "sip:a@b.org;x=1"
    assert record_route(asked) == ["<sip:1;lr>", "<sip:2;lr>", "<sip:3>"]
    assert contact_uri(read(invite(Contact=None))) == ""


def test_a_re_invite_moves_the_far_side():
    network, a, _, ours, _ = established()
    send(network, a, ours, "UPDATE", 60000, Contact="<sip:moved@192.0.2.77>")
    a.say("hang_up", ours)
    assert a.of("BYE")[0].uri == "sip:moved@192.0.2.77"


def test_routes_of_the_caller_are_kept_in_order_by_the_called():
    network, _, b, _, _ = established()
    asked = invite(Record_Route=["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"])
    network.inject(asked, b.source, b)
    b.say("answer", b.dialog, "v=0\r\n")
    assert b.of(200)[-1].headers.all("record-route") == read(asked).headers.all("record-route")
    network.inject(in_dialog(b, b.dialog, "ACK", 1), b.source, b)
    b.say("hang_up", b.dialog)
    routes = ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"]
    assert b.of("BYE")[0].headers.all("route") == routes

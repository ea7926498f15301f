"""REFER and its NOTIFYs, blind and attended; digits by INFO."""

import pytest

from bridge.sip.events import DigitSignalled, TransferProgressed, TransferRequested
from tests.support.sip.sip_pair import ANSWER, Party, established
from tests.support.sip.sip_text import send

TO = "sip:+4930123@192.0.2.7"


def progress(party):
    return [(e.code, e.final) for _, e in party.events if isinstance(e, TransferProgressed)]


def test_a_blind_transfer_is_reported_until_it_is_answered():
    network, a, b, ours, theirs = established()
    a.say("refer", ours, TO)
    network.run(0.1)
    assert b.last(TransferRequested) == TransferRequested("+4930123", TO)
    b.say("notify_transfer", theirs, 180)
    b.say("notify_transfer", theirs, 200)
    network.run(0.1)
    b.say("notify_transfer", theirs, 486)
    network.run(0.1)
    assert progress(a) == [(100, False), (100, False), (180, False), (200, True)]
    assert {m.headers.first("event") for m in b.of("NOTIFY")} == {"refer"}
    states = [m.headers.first("subscription-state") for m in b.of("NOTIFY")]
    assert states[-1] == "terminated;reason=noresource"


def test_an_attended_transfer_names_the_dialog_to_take_over():
    network, a, b, ours, _ = established()
    second = a.call(b.host, uri="sip:300@192.0.2.2")
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    a.say("refer", ours, "", replaces=second)
    network.run(0.1)
    asked = b.last(TransferRequested)
    assert asked.uri.startswith("sip:300@192.0.2.2")
    call_id, far, near = a.core.dialog_name(second).split(";")
    assert asked.replaces == f"{call_id};to-tag={far};from-tag={near}"
    a.call(b.host, uri=asked.uri, replaces=asked.replaces)  # as the one that was asked would
    network.run(0.1)
    assert b.invitations[-1].invitation.replaces == b.invitations[1].dialog


def test_a_refused_transfer_says_with_which_code():
    network, a, b, ours, theirs = established()
    a.say("refer", ours, "urn:nobody")
    network.run(0.1)
    assert progress(a) == [(416, True)]
    assert b.kinds(theirs) == []


def test_a_second_transfer_while_one_is_under_way_is_refused():
    network, a, _, ours, _ = established()
    a.say("refer", ours, TO)
    a.say("refer", ours, TO)
    assert progress(a) == [(491, True)]
    network.run(0.1)


def test_who_wants_no_notify_gets_none():
    _, a, _, ours, _ = established()
    send(a.network, a, ours, "REFER", 60000, Refer_To=f"<{TO}>", Refer_Sub="false")
    assert a.of(202)[0].headers.first("refer-sub") == "false"
    a.say("notify_transfer", ours, 200)
    assert a.of("NOTIFY") == []


@pytest.mark.parametrize("given", [None, ["<sip:a@b>", "<sip:c@d>"], "<sip:>", "nonsense"])
def test_a_refer_that_says_no_target_gets_400(given):
    network, a, _, ours, _ = established()
    send(network, a, ours, "REFER", 60000, Refer_To=given)
    assert a.methods()[-1] == 400


def test_a_notify_of_nothing_gets_481_and_of_another_event_489():
    network, a, _, ours, _ = established()
    send(network, a, ours, "NOTIFY", 60000, Event="refer", Subscription_State="active")
    send(network, a, ours, "NOTIFY", 60001, Event="message-summary")
    assert a.methods()[-2:] == [481, 489]


@pytest.mark.parametrize(
    ("kind", "body", "digit", "seconds"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n", "5", 0.25),
        ("application/dtmf-relay; x=y", b"Signal= 11\nDuration = 99999", "#", 10.0),
        ("application/dtmf", b"*\r\n", "*", 0.16),
        ("application/dtmf", b"10", "*", 0.16),
        ("Application/DTMF-Relay", b"signal=d", "D", 0.16),
    ],
)
def test_digits_by_info(kind, body, digit, seconds):
    network, a, _, ours, _ = established()
    send(network, a, ours, "INFO", 60000, body=body, Content_Type=kind)
    assert a.last(DigitSignalled) == DigitSignalled(digit, seconds)
    assert a.methods()[-1] == 200


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/dtmf-relay", b"Signal=55", 400),
        ("application/dtmf", b"x", 400),
        ("application/media_control+xml", b"<x/>", 415),
        ("application/dtmf", b"", 200),
    ],
)
def test_info_without_a_digit(kind, body, code):
    network, a, _, ours, _ = established()
    send(network, a, ours, "INFO", 60000, body=body, Content_Type=kind)
    assert a.methods()[-1] == code
    assert "DigitSignalled" not in a.kinds()


def test_digits_are_sent_one_after_another():
    network, a, b, ours, _ = established()
    for digit in "1#A":
        a.say("send_digit", ours, digit, 0.2)
    assert len(a.of("INFO")) == 1
    network.run(0.2)
    assert [e.digit for _, e in b.events] == ["1", "#", "A"]


def test_three_parties_and_an_attended_transfer():
    network, a, b, to_b, b_to_a = established()
    c = Party(network, "192.0.2.3", seed=3, tag_prefix="0c-")
    to_c = a.call(c.host)
    network.run(0.1)
    c.say("answer", c.dialog, ANSWER)
    network.run(0.1)
    a.say("refer", to_b, "", replaces=to_c)
    network.run(0.1)
    asked = b.last(TransferRequested)
    b_to_c = b.call(c.host, uri=asked.uri, replaces=asked.replaces)
    network.run(0.1)
    assert c.invitations[1].invitation.replaces == c.invitations[0].dialog
    c.say("answer", c.dialog, ANSWER)
    c.say("hang_up", c.invitations[0].dialog)
    network.run(0.1)
    b.say("notify_transfer", b_to_a, 200)
    network.run(0.1)
    assert progress(a)[-1] == (200, True)
    a.say("hang_up", to_b)
    network.run(1)
    assert a.closed == [to_c, to_b]
    assert b.kinds(b_to_c) == ["Answered"]
    assert b.closed == [b_to_a]

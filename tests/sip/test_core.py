"""The user agent, as its sockets drive it: calls between two cores, registrations, OPTIONS."""

from dataclasses import replace

import pytest

from bridge.sip.boundary import Credentials, Target
from bridge.sip.events import Answered, Ended, Refused, Ringing
from bridge.sip.message.values import ValueSyntaxError
from tests.support.sip.sip_pair import ANSWER, OFFER, Policy, established, pair
from tests.support.sip.sip_text import invite, party, request


def test_a_call_rings_is_answered_and_ends():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    assert b.invitations[0].invitation.to_user == "200"
    assert b.invitations[0].invitation.from_user == "100"
    assert b.invitations[0].invitation.sdp == OFFER
    b.say("ring", b.dialog)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    assert [e for _, e in a.events] == [Ringing(180), Answered(ANSWER)]
    b.say("hang_up", b.dialog)
    network.run(0.1)
    assert a.events[-1] == (ours, Ended(cause=16))
    assert b.kinds() == []
    assert a.closed == [ours]
    assert b.closed == [b.dialog]


def test_nothing_is_left_of_a_call():
    network, a, b, ours, _ = established()
    a.say("hang_up", ours)
    network.run(70)
    for side in (a, b):
        assert side.core.sizes == {
            "calls": 0,
            "transactions": 0,
            "timers": 0,
            "registrations": 0,
        }


def test_a_dialog_carries_the_digits_of_its_node():
    _, a, b, ours, theirs = established()
    assert ours.startswith("0a-")
    assert theirs.startswith("0b-")
    call_id, far, near = a.core.dialog_name(ours).split(";")
    assert (far, near) == (theirs, ours)
    assert b.core.dialog_name(theirs).split(";")[0] == call_id


def test_an_inbound_call_is_refused_with_the_code_given():
    network, a, b = pair()
    a.call(b.host)
    network.run(0.1)
    b.say("refuse", b.dialog, 486)
    network.run(0.1)
    assert a.last(Refused).code == 486
    assert a.closed
    assert b.closed


def test_a_caller_that_gives_up_cancels():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    b.say("ring", b.dialog)
    network.run(0.1)
    a.say("hang_up", ours)
    network.run(0.1)
    assert b.last(Ended).canceled
    assert a.closed == [ours]
    assert b.closed == [b.dialog]
    assert "Refused" not in a.kinds()


def test_a_challenged_invite_is_sent_again_with_credentials():
    policy = Policy(realm="trunk")
    network, a, b = pair()
    b.policy.realm = policy.realm
    a.call(b.host, credentials=Credentials("anna", "secret"))
    network.run(0.1)
    assert b.invitations[0].invitation.username == "anna"
    assert len(a.of("INVITE")) == 2
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    assert a.kinds() == ["Answered"]


def test_a_wrong_password_is_tried_once():
    network, a, b = pair()
    b.policy.realm = "trunk"
    a.call(b.host, credentials=Credentials("anna", "wrong"))
    network.run(5)
    assert a.last(Refused).code == 401
    assert len(a.of("INVITE")) == 2
    assert b.core.counters.authentication_failures == 1


def test_a_silent_target_is_refused_with_408_and_worth_another_try():
    network, a, b = pair()
    network.fate = lambda data: []
    a.call(b.host)
    network.run(40)
    assert a.last(Refused).code == 408
    assert network.log[-1][2] is True


def test_a_failed_transport_refuses_with_503():
    network, a, _ = pair()
    a.call("192.0.2.9")
    a.say("transport_failed", Target("udp", "192.0.2.9", 5060))
    assert a.last(Refused).code == 503
    assert network.log[-1][2] is True


def test_a_uri_that_is_none_is_refused_before_anything_is_sent():
    _, a, b = pair()
    with pytest.raises(ValueSyntaxError):
        a.call(b.host, uri="sip:1 2@example.org")
    assert not a.sent


def test_a_header_field_without_a_proper_name_is_refused():
    _, a, b = pair()
    with pytest.raises(ValueSyntaxError):
        a.call(b.host, headers=(("X: 1\r\nY", "2"),))


def test_requests_follow_a_far_side_that_comes_by_another_connection():
    to = party()
    stream = Target("tcp", "198.51.100.7", 40000, 3)
    to.network.inject(invite(Contact="<sip:x@198.51.100.7;transport=tcp>"), stream, to)
    to.say("answer", to.dialog, ANSWER)
    fields = {"To": f"<sip:a@b>;tag={to.dialog}", "Contact": "<sip:x@198.51.100.7;transport=tcp>"}
    again = Target("tcp", "198.51.100.7", 40001, 4)
    to.network.inject(request("ACK", **fields), again, to)
    to.network.inject(request("INFO", **(fields | {"CSeq": "2 INFO"})), again, to)
    sends = []
    to.network.send = lambda _, output: sends.append(output.target)
    to.say("hang_up", to.dialog)
    assert sends == [replace(again, port=5060)]  # that of the Contact, should the connection end


def test_both_sides_may_hang_up_at_once():
    network, a, b, ours, theirs = established()
    a.say("hang_up", ours)
    b.say("hang_up", theirs)
    network.run(1)
    assert a.closed == [ours]
    assert b.closed == [theirs]
    assert a.kinds() == ["Answered"]
    assert b.kinds() == []


def test_an_answer_may_cross_a_cancel():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    b.say("ring", b.dialog)
    network.run(0.1)
    a.say("hang_up", ours)
    b.say("answer", b.dialog, ANSWER)
    network.run(1)
    assert a.kinds() == ["Ringing"]
    assert b.kinds() == ["Ended"]
    assert not b.last(Ended).canceled
    assert a.closed
    assert b.closed

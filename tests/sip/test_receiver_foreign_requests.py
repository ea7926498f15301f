"""Requests within a call that its other party does not send: from other addresses, by weaker transports."""

from dataclasses import replace

import pytest

from bridge.sip.boundary import Credentials, Target
from bridge.sip.digest import DigestClient
from bridge.sip.message.message import Request
from tests.support.sip.sip_pair import ANSWER, OFFER, Network, Party, Policy, established
from tests.support.sip.sip_text import STRANGER, answer_to, in_dialog, invite, party, read, request

SECOND = replace(STRANGER, host="198.51.100.8")
"""Another address of the trunk that calls from `STRANGER`."""
REQUESTS = ("BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "OPTIONS", "PRACK")


def called(source=STRANGER, *, policy=None, sdp=OFFER, answered=True, **changed):
    """Return a party that was called from `source`, and has answered."""
    to = party(policy=policy)
    to.network.inject(invite(sdp=sdp, **changed), source, to)
    if answered:
        to.say("answer", to.dialog, ANSWER)
        to.network.inject(within(to, "ACK", 1), source, to)
    return to


def within(to, method, number=2, **given):
    """Return a request with the ids of a party's call."""
    return in_dialog(to, to.dialog, method, number, **given)


def sent(to, data, source):
    """Return what a party sends at once when a message comes from `source`."""
    before = len(to.sent)
    to.network.inject(data, source, to)
    return [getattr(each, "method", None) or each.code for _, each in to.sent[before:]]


@pytest.mark.parametrize("method", REQUESTS)
def test_a_call_takes_no_request_from_an_address_that_is_not_its_peers(method):
    to = called()
    assert sent(to, within(to, method, body=OFFER.encode()), SECOND) == [481]
    assert to.events == []
    assert to.core.counters.foreign == 1
    to.say("hang_up", to.dialog)
    assert to.of("BYE")
    assert to.targets[-1] == STRANGER


@pytest.mark.parametrize("method", REQUESTS)
def test_a_call_of_ours_takes_no_request_from_an_address_that_is_not_its_peers(method):
    _, a, _, ours, _ = established()
    assert sent(a, in_dialog(a, ours, method, 60_000, body=OFFER.encode()), STRANGER) == [481]
    assert a.kinds() == ["Answered"]
    assert a.closed == []


def test_a_refused_request_is_refused_alike_when_it_is_sent_again_and_the_peers_own_is_answered():
    to = called()
    bye = within(to, "BYE")
    assert [sent(to, bye, SECOND) for _ in range(2)] == [[481], [481]]
    assert len({each.headers.to.tag for each in to.of(481)}) == 1
    assert sent(to, bye, STRANGER) == [200]
    assert sent(to, bye, STRANGER) == [200]
    assert to.kinds() == ["Ended"]


@pytest.mark.parametrize(
    ("own", "other", "code"),
    [
        ("tls", "udp", 481),
        ("tls", "tcp", 481),
        ("tcp", "udp", 481),
        ("udp", "tcp", 200),
        ("udp", "tls", 200),
        ("tcp", "tls", 200),
    ],
)
def test_the_peer_may_change_to_a_stronger_transport_and_not_to_a_weaker(own, other, code):
    to = called(Target(own, STRANGER.host, 5060, 1))
    assert sent(to, within(to, "BYE"), Target(other, STRANGER.host, 5060, 2)) == [code]


def test_a_stronger_transport_for_one_message_does_not_bind_the_next():
    to = called()
    assert sent(to, within(to, "INFO"), replace(STRANGER, transport="tcp", connection=3)) == [200]
    assert sent(to, within(to, "BYE", 3), STRANGER) == [200]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_the_peer_may_open_its_connection_anew(transport):
    to = called(Target(transport, STRANGER.host, 40_001, 1))
    again = Target(transport, STRANGER.host, 40_002, 9)
    assert sent(to, within(to, "INFO"), again) == [200]
    assert sent(to, within(to, "BYE", 3), replace(again, host=SECOND.host)) == [481]
    to.say("hang_up", to.dialog)
    assert to.targets[-1].connection == again.connection


def test_another_address_of_the_trunk_may_speak_and_another_trunks_may_not():
    policy = Policy(trunks={"office": {STRANGER.host, SECOND.host}})
    to = called(policy=policy)
    policy.trunks["other"] = {"203.0.113.1"}
    assert sent(to, within(to, "BYE"), replace(SECOND, host="203.0.113.1")) == [481]
    assert sent(to, within(to, "BYE"), replace(SECOND, transport="tls")) == [200]


def test_another_address_of_the_trunk_may_speak_in_a_call_of_ours():
    network = Network()
    a = Party(network, "192.0.2.1", policy=Policy(trunks={"office": {SECOND.host}}))
    b = Party(network, "192.0.2.2", seed=2)
    ours = a.call(b.host, trunk="office")
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    assert sent(a, in_dialog(a, ours, "INFO", 60_000), STRANGER) == [481]
    assert sent(a, in_dialog(a, ours, "BYE", 60_001), SECOND) == [200]


def answered(to, data, user, source):
    """Send a request, and again with a user's answer to the challenge; return the last codes."""
    assert sent(to, data, source) == [401]
    asked = read(data)
    client = DigestClient(Credentials(user, "secret"), lambda count: b"\1" * count)
    assert isinstance(asked, Request)
    assert client.challenged(to.of(401)[-1], {})
    client.authorize(asked)
    return sent(to, bytes(asked), source)


def test_from_elsewhere_the_trunks_own_user_may_speak_with_its_password():
    policy = Policy(within="bridge", users={"anna": "secret", "bob": "secret"})
    to = called(policy=policy)
    assert answered(to, within(to, "INFO"), "bob", SECOND) == [401]
    assert to.core.counters.authentication_failures == 1
    to.network.run(1)
    assert answered(to, within(to, "BYE", 3), "anna", SECOND) == [200]
    assert to.kinds() == ["Ended"]


def test_a_password_does_not_make_a_weaker_transport_good_enough():
    policy = Policy(within="bridge")
    to = called(replace(STRANGER, transport="tls"), policy=policy)
    assert sent(to, within(to, "BYE"), STRANGER) == [481]


def test_an_ack_with_a_description_is_taken_from_the_peer_only_and_never_challenged():
    to = called(policy=Policy(within="bridge"), sdp="", answered=False)
    to.say("answer", to.dialog, OFFER)
    ack = within(to, "ACK", 1, body=ANSWER.encode())
    assert sent(to, ack, SECOND) == []
    assert to.events == []
    assert sent(to, ack, STRANGER) == []
    assert to.kinds() == ["OfferAnswered"]


def test_an_ack_without_a_description_is_matched_wherever_it_comes_from():
    to = called(policy=Policy(within="bridge"), answered=False)
    to.say("answer", to.dialog, ANSWER)
    assert sent(to, within(to, "ACK", 1), SECOND) == []
    to.network.run(5)
    assert len(to.of(200)) == 1


def test_an_ack_by_a_weaker_transport_acknowledges_nothing():
    to = called(replace(STRANGER, transport="tls"), answered=False)
    to.say("answer", to.dialog, ANSWER)
    sent(to, within(to, "ACK", 1), STRANGER)
    to.network.run(5)
    assert len(to.of(200)) > 1


@pytest.mark.parametrize(
    "wrong", [{"Call_ID": "x"}, {"From": "<sip:a@b>;tag=x"}, {"To": "<sip:a@b>;tag=x"}]
)
def test_an_ack_of_a_refusal_names_its_call_and_tags(wrong):
    to = called(answered=False)
    to.say("refuse", to.dialog, 486)
    sent(to, request("ACK", **wrong), STRANGER)
    to.network.run(2)
    assert len(to.of(486)) > 1
    sent(to, request("ACK"), STRANGER)
    assert to.closed


@pytest.mark.parametrize(
    ("wrong", "source"),
    [
        ({"Call_ID": "x"}, STRANGER),
        ({"From": "<sip:a@b>;tag=x"}, STRANGER),
        ({"To": "<sip:a@b>;tag=x"}, STRANGER),
        ({"CSeq": "2 CANCEL"}, STRANGER),
        ({}, SECOND),
    ],
)
def test_a_cancel_names_its_call_and_tags_and_comes_from_where_the_invite_did(wrong, source):
    to = called(policy=Policy(within="bridge"), answered=False)
    assert sent(to, request("CANCEL", **wrong), source) == [481]
    assert to.events == []
    assert sent(to, request("CANCEL"), STRANGER) == [200, 487]


def test_a_cancel_by_a_weaker_transport_cancels_nothing():
    to = called(replace(STRANGER, transport="tcp", connection=1), answered=False)
    assert sent(to, request("CANCEL"), STRANGER) == [481]
    assert to.events == []


def test_a_cancel_may_come_from_another_address_of_the_trunk():
    to = called(policy=Policy(trunks={"office": {SECOND.host}}), answered=False)
    assert sent(to, request("CANCEL"), SECOND) == [200, 487]


def test_behind_a_proxy_the_proxy_speaks_and_the_contact_without_one():
    proxied = called(Record_Route="<sip:203.0.113.5;lr>", Contact="<sip:x@203.0.113.9>")
    assert sent(proxied, within(proxied, "INFO"), replace(STRANGER, host="203.0.113.9")) == [481]
    assert sent(proxied, within(proxied, "INFO", 3), replace(STRANGER, host="203.0.113.5")) == [200]
    direct = called(Contact="<sip:x@203.0.113.9>")
    assert sent(direct, within(direct, "INFO"), replace(STRANGER, host="203.0.113.9")) == [200]


def test_where_the_peer_has_moved_its_contact_to_it_speaks_from_too():
    to = called(Contact="<sip:x@203.0.113.9>")
    data = within(to, "UPDATE", Contact="<sip:x@203.0.113.10>", Supported="timer")
    assert sent(to, data, STRANGER) == [200]
    assert sent(to, within(to, "INFO", 3), replace(STRANGER, host="203.0.113.10")) == [200]
    assert sent(to, within(to, "INFO", 4), replace(STRANGER, host="203.0.113.9")) == [481]
    assert sent(to, within(to, "INFO", 5), STRANGER) == [200]


def forked():
    """Return a party whose call two forks ring for, each at an address of its own."""
    to = party()
    to.call(STRANGER.host)
    invited = to.of("INVITE")[0]
    for tag, host in (("one", "203.0.113.1"), ("two", "203.0.113.2")):
        ringing = answer_to(invited, 180, tag=tag, Contact=f"<sip:x@{host}>")
        to.network.inject(ringing, STRANGER, to)
    return to, invited


def of_fork(to, invited, method, tag, number=1):
    """Return a request of a fork."""
    return request(
        method,
        Call_ID=invited.headers.call_id,
        From=f"<sip:200@trunk>;tag={tag}",
        To=f"<sip:100@us>;tag={invited.headers.from_.tag}",
        CSeq=f"{number} {method}",
        Via=f"SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK-{tag}-{number}",
    )


def test_each_fork_speaks_from_its_own_address():
    to, invited = forked()
    one, two = (replace(STRANGER, host=f"203.0.113.{number}") for number in (1, 2))
    assert sent(to, of_fork(to, invited, "OPTIONS", "one"), two) == [481]
    assert sent(to, of_fork(to, invited, "OPTIONS", "two", 2), one) == [481]
    assert sent(to, of_fork(to, invited, "OPTIONS", "one", 3), one) == [200]
    assert sent(to, of_fork(to, invited, "OPTIONS", "two", 4), two) == [200]


def test_a_fork_that_lost_the_call_ends_its_own_dialog_and_not_the_winners():
    to, invited = forked()
    for tag, host in (("one", "203.0.113.1"), ("two", "203.0.113.2")):
        given = {"Contact": f"<sip:x@{host}>", "Content_Type": "application/sdp"}
        data = answer_to(invited, 200, tag=tag, body=ANSWER.encode(), **given)
        to.network.inject(data, STRANGER, to)
    two = replace(STRANGER, host="203.0.113.2")
    assert sent(to, of_fork(to, invited, "INFO", "two", 5), two) == [481]
    assert sent(to, of_fork(to, invited, "BYE", "two", 6), two) == [200]
    assert to.kinds() == ["Ringing", "Ringing", "Answered"]
    one = replace(STRANGER, host="203.0.113.1")
    assert sent(to, of_fork(to, invited, "BYE", "one", 7), one) == [200]
    assert to.kinds()[-1] == "Ended"

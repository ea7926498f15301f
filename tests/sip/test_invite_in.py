"""INVITEs to us: answers, refusals, CANCEL, late offers, and hanging up at odd moments."""

from bridge.sip.boundary import Target
from bridge.sip.events import Ended, OfferAnswered
from tests.support.sip.sip_pair import ANSWER, OFFER, pair
from tests.support.sip.sip_text import STRANGER, invite, party, request


def invited(**changed):
    to = party()
    to.network.inject(invite(**changed), STRANGER, to)
    return to


def tag_of(to):
    return to.dialog


def follow(to, method, number=1, body=b"", **changed):
    """Send a request of the caller in the dialog."""
    fields = {
        "To": f"<sip:callee@example.com>;tag={tag_of(to)}",
        "CSeq": f"{number} {method}",
        "Via": f"SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-{method}-{number}",
    }
    to.network.inject(request(method, body=body, **(fields | changed)), STRANGER, to)


def cancel(to, **changed):
    to.network.inject(request("CANCEL", **changed), STRANGER, to)


def test_100_is_sent_at_once_and_repetitions_get_the_last_response():
    to = invited()
    to.say("ring", to.dialog)
    to.network.inject(invite(), STRANGER, to)
    assert to.methods() == [100, 180, 180]
    assert len(to.invitations) == 1


def test_responses_go_where_the_request_came_from():
    to = party()
    sends = []
    to.network.send = lambda _, output: sends.append(output.target)
    behind_nat = Target("udp", "203.0.113.5", 31000)
    to.network.inject(
        invite(Via="SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK-a;rport"), behind_nat, to
    )
    via = to.of(100)[0].headers.first("via")
    assert sends == [behind_nat]
    assert ";rport=31000" in via
    assert via.endswith(";received=203.0.113.5")
    to.network.inject(
        invite(Via="SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK-b", Call_ID="b"), behind_nat, to
    )
    assert sends[1] == Target("udp", "203.0.113.5", 5062)


def test_a_200_is_repeated_until_it_is_acknowledged():
    to = invited()
    to.say("answer", to.dialog, ANSWER)
    to.network.run(1.6)
    assert to.methods() == [100, 200, 200, 200]
    follow(to, "ACK")
    to.network.run(10)
    assert len(to.of(200)) == 3


def test_a_late_offer_is_answered_in_the_ack():
    to = party()
    to.network.inject(request("INVITE"), STRANGER, to)
    assert to.invitations[0].invitation.sdp == ""
    to.say("answer", to.dialog, OFFER)
    follow(to, "ACK", body=ANSWER.encode())
    assert to.last(OfferAnswered).sdp == ANSWER


def test_a_cancel_ends_it_with_487():
    to = invited()
    cancel(to, Reason='SIP;cause=200;text="Call completed elsewhere"')
    assert to.methods() == [100, 200, 487]
    assert to.last(Ended) == Ended(code=200, canceled=True)
    assert to.closed == []
    to.network.inject(request("ACK"), STRANGER, to)
    assert to.closed == [to.invitations[0].dialog]


def test_a_cancel_after_the_answer_changes_nothing():
    to = invited()
    to.say("answer", to.dialog, ANSWER)
    cancel(to)
    assert to.methods() == [100, 200, 200]
    assert to.kinds() == []


def test_a_cancel_of_nothing_gets_481():
    to = party()
    cancel(to)
    assert to.methods() == [481]


def test_a_bye_before_the_answer_is_a_cancel():
    to = invited()
    follow(to, "BYE", 2)
    assert to.methods() == [100, 200, 487]
    assert to.last(Ended).canceled


def test_hanging_up_before_the_ack_waits_for_it():
    to = invited()
    to.say("answer", to.dialog, ANSWER)
    to.say("hang_up", to.dialog)
    assert "BYE" not in to.methods()
    follow(to, "ACK")
    assert to.methods()[-1] == "BYE"


def test_hanging_up_before_an_ack_that_never_comes():
    to = invited()
    to.say("answer", to.dialog, ANSWER)
    to.say("hang_up", to.dialog)
    to.network.run(70)
    assert to.of("BYE")
    assert len(to.closed) == 1
    assert to.kinds() == []


def test_hanging_up_before_the_answer_refuses():
    to = invited()
    to.say("hang_up", to.dialog)
    assert to.methods() == [100, 480]
    to = invited()
    to.say("hang_up", to.dialog, code=603)
    assert to.methods() == [100, 603]


def test_commands_in_the_wrong_state_do_nothing():
    to = invited()
    to.say("refuse", to.dialog, 486)
    to.say("answer", to.dialog, ANSWER)
    to.say("ring", to.dialog)
    to.say("reoffer", to.dialog, OFFER)
    to.say("hang_up", to.dialog)
    to.say("answer", "00-unknown", ANSWER)
    assert to.methods() == [100, 486]


def test_the_same_invite_by_another_path_gets_482():
    to = invited()
    to.network.inject(invite(Via="SIP/2.0/UDP 198.51.100.8;branch=z9hG4bK-two"), STRANGER, to)
    assert to.methods() == [100, 482]


def test_replaces_names_the_dialog_to_take_over():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    call_id, far, near = a.core.dialog_name(ours).split(";")
    network.inject(invite(Replaces=f"{call_id};to-tag={near};from-tag={far}"), STRANGER, a)
    assert a.invitations[0].invitation.replaces == ours


def test_replaces_of_an_unknown_dialog_gets_481():
    to = invited(Replaces="no@where;to-tag=1;from-tag=2")
    assert to.methods() == [481]


def test_replaces_for_early_dialogs_only_does_not_take_an_answered_one():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    call_id, far, near = a.core.dialog_name(ours).split(";")
    value = f"{call_id};to-tag={near};from-tag={far};early-only"
    network.inject(invite(Replaces=value), STRANGER, a)
    assert a.methods()[-1] == 486


def test_an_inbound_call_that_still_rings_cannot_be_taken_over():
    network, a, b = pair()
    a.call(b.host)
    network.run(0.1)
    call_id, far, near = b.core.dialog_name(b.dialog).split(";")
    network.inject(invite(Replaces=f"{call_id};to-tag={near};from-tag={far}"), STRANGER, b)
    assert b.methods() == [100, 481]


def test_the_invitation_shows_who_calls():
    to = invited(
        From='"Anna" <sip:anonymous@anonymous.invalid>;tag=1',
        P_Asserted_Identity='"A" <sip:+4930123@example.org>, <tel:+4930123>',
        Privacy="id; critical",
        Diversion="<sip:+4940@example.org>;reason=unconditional",
    )
    shown = to.invitations[0].invitation
    assert (shown.from_name, shown.asserted_user, shown.anonymous) == ("Anna", "+4930123", True)
    assert shown.headers["diversion"][0].startswith("<sip:+4940")


def test_credentials_are_not_shown():
    assert (
        "authorization" not in invited(Authorization="Digest a=b").invitations[0].invitation.headers
    )


def test_bodies_that_may_be_ignored_are():
    to = party()
    data = request(
        body=b"<x/>",
        Content_Type="application/pidf+xml",
        Content_Disposition="render;handling=optional",
    )
    to.network.inject(data, STRANGER, to)
    assert to.invitations[0].invitation.sdp == ""

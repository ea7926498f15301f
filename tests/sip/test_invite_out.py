"""INVITEs of ours: forks, CANCEL, reliable provisional responses, what they carry."""

from bridge.sip.boundary import Credentials, Target
from bridge.sip.events import Answered, Refused, Ringing
from tests.support.sip.sip_pair import ANSWER, Network, Party, pair
from tests.support.sip.sip_text import answer_to

FAR = "192.0.2.9"
CONTACT = {"Contact": f"<sip:far@{FAR}>"}


def calling(**dial):
    """Return a party whose INVITE nobody has answered yet, and that INVITE."""
    party = Party(Network(), "192.0.2.1")
    dialog = party.call(FAR, **dial)
    return party, dialog, party.of("INVITE")[0]


def get(party, sent, code, **given):
    party.network.inject(answer_to(sent, code, **(CONTACT | given)), party.source, party)


def get_answer(party, sent, **given):
    fields = {"Content_Type": "application/sdp", "body": ANSWER.encode()} | given
    get(party, sent, 200, **fields)


def test_the_first_fork_that_answers_wins_and_the_others_are_ended():
    party, _, invite = calling()
    get(party, invite, 180, tag="one")
    get(party, invite, 180, tag="two")
    get_answer(party, invite, tag="two")
    get_answer(party, invite, tag="one")
    assert party.kinds() == ["Ringing", "Ringing", "Answered"]
    ack_one = [m for m in party.of("ACK") if m.headers.to.tag == "one"]
    assert len(ack_one) == 1
    assert [m.headers.to.tag for m in party.of("BYE")] == ["one"]
    party.network.run(1)
    assert party.closed == []


def test_a_repeated_200_is_acknowledged_again():
    party, _, invite = calling()
    get_answer(party, invite)
    get_answer(party, invite)
    assert len(party.of("ACK")) == 2
    assert party.kinds() == ["Answered"]


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended():
    party, dialog, invite = calling()
    get(party, invite, 180)
    party.say("hang_up", dialog)
    get_answer(party, invite)
    assert party.methods() == ["INVITE", "CANCEL", "ACK", "BYE"]
    get(party, party.of("BYE")[0], 200)
    assert party.closed == [dialog]
    assert party.kinds() == ["Ringing"]


def test_cancel_waits_for_a_provisional_response():
    party, dialog, invite = calling()
    party.say("hang_up", dialog)
    assert party.methods() == ["INVITE"]
    get(party, invite, 100)
    cancel = party.of("CANCEL")[0]
    assert cancel.headers.first("via") == invite.headers.first("via")
    assert cancel.headers.first("cseq") == f"{invite.headers.cseq.number} CANCEL"
    get(party, invite, 487)
    assert party.closed == [dialog]


def test_a_canceled_call_that_gets_no_answer_is_over_after_32_s():
    party, dialog, invite = calling()
    get(party, invite, 180)
    party.say("hang_up", dialog)
    party.network.run(31)
    get(party, invite, 180)
    party.network.run(2)
    assert party.closed == [dialog]


def test_it_rings_for_minutes():
    party, _, invite = calling()
    get(party, invite, 180)
    party.network.run(400)
    assert party.closed == []
    get_answer(party, invite)
    assert party.last(Answered)


def test_early_media_of_183_is_reported():
    party, _, invite = calling()
    get(party, invite, 183, body=ANSWER.encode(), Content_Type="application/sdp")
    assert party.last(Ringing) == Ringing(183, ANSWER)


def test_a_reliable_response_is_acknowledged_once_and_in_order():
    party, _, invite = calling()
    reliable = {"Require": "100rel", "body": ANSWER.encode(), "Content_Type": "application/sdp"}
    get(party, invite, 183, RSeq="7", **reliable)
    get(party, invite, 183, RSeq="7", **reliable)
    get(party, invite, 180, RSeq="9", Require="100rel")
    get(party, invite, 180, RSeq="8", Require="100rel")
    number = invite.headers.cseq.number
    racks = [m.headers.first("rack") for m in party.of("PRACK")]
    assert racks == [f"7 {number} INVITE", f"8 {number} INVITE"]
    assert party.kinds() == ["Ringing", "Ringing"]


def test_a_200_without_sdp_takes_the_answer_of_the_reliable_response():
    party, _, invite = calling()
    reliable = {"Require": "100rel", "body": ANSWER.encode(), "Content_Type": "application/sdp"}
    get(party, invite, 183, RSeq="7", **reliable)
    get(party, invite, 200)
    assert party.last(Answered).sdp == ANSWER


def test_a_200_without_any_sdp_is_ended():
    party, _, invite = calling()
    get(party, invite, 200)
    assert party.last(Refused).code == 488
    assert party.methods() == ["INVITE", "ACK", "BYE"]


def test_requests_follow_the_record_route():
    party, dialog, invite = calling()
    routes = ["<sip:p2.example.org;lr>", "<sip:192.0.2.50:5070;lr>"]
    get_answer(party, invite, Record_Route=routes)
    sends = []
    party.network.send = lambda _, output: sends.append(output)
    party.say("hang_up", dialog)
    bye = party.of("BYE")[0]
    assert bye.headers.all("route") == [routes[1], routes[0]]
    assert bye.uri == f"sip:far@{FAR}"
    assert sends[0].target == Target("udp", "192.0.2.50", 5070)


def test_a_strict_route_becomes_the_request_uri():
    party, dialog, invite = calling()
    get_answer(party, invite, Record_Route="<sip:192.0.2.50>")
    party.say("hang_up", dialog)
    bye = party.of("BYE")[0]
    assert bye.uri == "sip:192.0.2.50"
    assert bye.headers.all("route") == [f"<sip:far@{FAR}>"]


def test_the_caller_is_asserted_to_the_network_where_asked():
    _, _, invite = calling(p_asserted_identity="sip:+4930@example.org")
    assert invite.headers.first("p-asserted-identity") == "<sip:+4930@example.org>"


def test_headers_cannot_add_lines():
    _, _, invite = calling(headers=(("X-Note", "a\r\nEvil: 2"),))
    assert "evil" not in invite.headers


def test_a_header_field_that_the_core_sets_is_left_out():
    _, _, invite = calling(headers=(("from", "<sip:x@y>"), ("X-A", "1"), ("X-B", "2")))
    assert len(invite.headers.all("from")) == 1
    assert invite.headers.first("x-a") + invite.headers.first("x-b") == "12"


def test_a_redirection_is_a_refusal():
    party, _, invite = calling()
    get(party, invite, 302)
    assert party.last(Refused).code == 302
    assert party.methods() == ["INVITE", "ACK"]


def test_a_refusal_says_why_and_when_to_try_again():
    party, _, invite = calling()
    get(party, invite, 503, Retry_After="30 (later)", Reason='Q.850;cause=42;text="congestion"')
    refused = party.last(Refused)
    assert (refused.cause, refused.retry_after) == (42, 30)
    assert party.network.log[-1][2] is True


def test_a_503_after_ringing_is_not_worth_another_target():
    party, _, invite = calling()
    get(party, invite, 180)
    get(party, invite, 503)
    assert party.network.log[-1][2] is False


def test_a_proxy_that_challenges_again_with_a_fresh_nonce_is_given_up():
    party, _, _ = calling(credentials=Credentials("anna", "secret"))
    for nonce in range(6):
        challenge = f'Digest realm="r", nonce="{nonce}", qop="auth"'
        get(party, party.of("INVITE")[-1], 407, Proxy_Authenticate=challenge)
    assert len(party.of("INVITE")) == 2
    assert party.last(Refused).code == 407


def test_both_sides_agree_on_what_a_reliable_183_said():
    network, a, b = pair()
    a.call(b.host)
    network.run(0.1)
    b.say("ring", b.dialog, sdp=ANSWER)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.2)
    assert a.of("PRACK")
    assert a.kinds() == ["Ringing", "Answered"]
    assert b.methods() == [100, 183, 200, 200]

"""Provisional responses of ours, reliable where the caller wants them."""

from bridge.sip.events import Offered
from tests.sip.test_invite_in import follow, invited
from tests.support.sip.sip_pair import ANSWER, OFFER


def prack(to, number=2, rseq=None, **given):
    rseq = rseq or to.of(183)[-1].headers.first("rseq") or to.of(180)[-1].headers.first("rseq")
    follow(to, "PRACK", number, **({"RAck": f"{rseq} 1 INVITE"} | given))


def test_a_caller_without_100rel_gets_plain_ones():
    to = invited()
    to.say("ring", to.dialog, sdp=ANSWER)
    assert "rseq" not in to.of(183)[0].headers
    to.network.run(5)
    assert len(to.of(183)) == 1


def test_early_media_is_sent_reliably_to_who_supports_it():
    to = invited(Supported="100rel")
    to.say("ring", to.dialog)
    assert "rseq" not in to.of(180)[0].headers
    to.say("ring", to.dialog, sdp=ANSWER)
    assert to.of(183)[0].headers.first("require") == "100rel"
    to.network.run(1.6)
    assert len(to.of(183)) == 3
    prack(to)
    to.network.run(10)
    assert len(to.of(183)) == 3
    assert to.methods()[-1] == 200


def test_who_requires_100rel_gets_every_one_reliably_and_in_turn():
    to = invited(Require="100rel")
    to.say("ring", to.dialog)
    to.say("ring", to.dialog, sdp=ANSWER)
    assert to.methods() == [100, 180]
    first = int(to.of(180)[0].headers.first("rseq"))
    prack(to, rseq=first)
    assert to.methods() == [100, 180, 200, 183]
    assert to.of(183)[0].headers.number("rseq") == first + 1


def test_a_wrong_prack_gets_481():
    to = invited(Require="100rel")
    to.say("ring", to.dialog)
    prack(to, rseq=1)
    assert to.methods()[-1] == 481


def test_the_200_waits_for_the_prack_of_early_media():
    to = invited(Supported="100rel")
    to.say("ring", to.dialog, sdp=ANSWER)
    to.say("answer", to.dialog, ANSWER)
    assert to.methods() == [100, 183]
    prack(to)
    assert to.methods() == [100, 183, 200, 200]
    assert to.of(200)[1].body == ANSWER.encode()


def test_no_prack_ends_it_with_504():
    to = invited(Require="100rel")
    to.say("ring", to.dialog)
    to.network.run(40)
    assert 504 in to.methods()


def test_the_refusal_of_a_call_stops_the_repetitions():
    to = invited(Require="100rel")
    to.say("ring", to.dialog)
    to.say("refuse", to.dialog, 486)
    follow(to, "ACK", Via="SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-one")
    to.network.run(10)
    assert to.methods() == [100, 180, 486]


def test_an_update_may_offer_anew_once_the_first_answer_is_acknowledged():
    to = invited(Supported="100rel")
    to.say("ring", to.dialog, sdp=ANSWER)
    follow(to, "UPDATE", 2, body=OFFER.encode())
    assert to.methods()[-1] == 500
    prack(to, 3)
    follow(to, "UPDATE", 4, body=OFFER.encode())
    assert to.last(Offered).sdp == OFFER
    to.say("answer", to.dialog, ANSWER)
    assert to.of(200)[-1].headers.cseq.method == "UPDATE"
    to.say("answer", to.dialog, ANSWER)
    assert to.of(200)[-1].headers.cseq.method == "INVITE"


def test_an_offer_in_a_prack_is_not_taken():
    to = invited(Supported="100rel")
    to.say("ring", to.dialog, sdp=ANSWER)
    prack(to, body=OFFER.encode())
    assert to.methods()[-1] == 488


def test_it_is_said_every_minute_that_it_rings():
    to = invited()
    to.say("ring", to.dialog)
    to.network.run(130)
    assert len(to.of(180)) == 3

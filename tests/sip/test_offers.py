"""Offers in a dialog: re-INVITE and UPDATE, both ways, and when they cross."""

from bridge.sip.events import Ended, OfferAnswered, Offered, OfferRefused
from tests.support.sip.sip_pair import ANSWER, OFFER, Party, established, pair
from tests.support.sip.sip_text import send

HOLD = OFFER + "a=sendonly\r\n"
HELD = ANSWER + "a=recvonly\r\n"


def test_a_reoffer_is_answered():
    network, a, b, ours, theirs = established()
    a.say("reoffer", ours, HOLD)
    network.run(0.1)
    assert b.last(Offered).sdp == HOLD
    b.say("answer", theirs, HELD)
    network.run(0.1)
    assert a.last(OfferAnswered).sdp == HELD
    assert len(a.of("ACK")) == 2


def test_a_refused_reoffer_leaves_the_call():
    network, a, b, ours, theirs = established()
    a.say("reoffer", ours, HOLD)
    network.run(0.1)
    b.say("refuse", theirs, 488)
    network.run(1)
    assert a.last(OfferRefused).code == 488
    assert a.closed == b.closed == []


def test_an_offer_without_a_decision_is_refused_after_20_s():
    network, a, _, ours, _ = established()
    a.say("reoffer", ours, HOLD)
    network.run(21)
    assert a.last(OfferRefused).code == 488


def test_offers_that_cross_are_both_refused_and_tried_again():
    network, a, b, ours, theirs = established()
    for party in (a, b):
        party.on_event = lambda p, o: (
            p.core.call(o.dialog).answer(HELD, network.now)
            if isinstance(getattr(o, "event", None), Offered)
            else None
        )
    a.say("reoffer", ours, HOLD)
    b.say("reoffer", theirs, HOLD)
    network.run(0.1)
    assert a.of(491)
    assert b.of(491)
    network.run(6)
    assert a.last(OfferAnswered).sdp == HELD
    assert b.last(OfferAnswered).sdp == HELD
    tries = [t for t, m in a.sent if getattr(m, "method", "") == "INVITE"]
    assert 2.1 <= tries[-1] - tries[-2] <= 4.1  # the owner of the Call-ID waits longer


def test_of_offers_that_wait_the_last_is_sent():
    network, a, b, ours, theirs = established()
    a.say("reoffer", ours, HOLD)
    a.say("reoffer", ours, "v=0\r\nfirst")
    a.say("reoffer", ours, "v=0\r\nlast")
    network.run(0.1)
    b.say("answer", theirs, HELD)
    network.run(0.1)
    assert b.last(Offered).sdp == "v=0\r\nlast"
    assert b.kinds().count("Offered") == 2


def test_an_invite_without_sdp_asks_for_our_offer():
    network, a, _, ours, _ = established()
    send(network, a, ours, "INVITE", 60000)
    assert a.last(Offered).sdp == ""
    a.say("answer", ours, HOLD)
    send(network, a, ours, "ACK", 60000, body=HELD.encode())
    assert a.last(OfferAnswered).sdp == HELD


def test_an_update_is_an_offer_too():
    network, a, _, ours, _ = established()
    send(network, a, ours, "UPDATE", 60000, body=HOLD.encode())
    a.say("answer", ours, HELD)
    assert a.last(Offered).sdp == HOLD
    assert a.of(200)[-1].body == HELD.encode()
    assert a.of(200)[-1].headers.first("contact")


def test_an_update_without_sdp_only_refreshes():
    network, a, _, ours, _ = established()
    send(network, a, ours, "UPDATE", 60000)
    assert a.of(200)
    assert "Offered" not in a.kinds()


def test_a_second_offer_while_one_waits_gets_500_and_a_pause():
    network, a, _, ours, _ = established()
    send(network, a, ours, "INVITE", 60000, body=HOLD.encode())
    send(network, a, ours, "INVITE", 60001, body=HOLD.encode())
    refusal = a.of(500)[0]
    assert 0 <= refusal.headers.number("retry-after") <= 10


def test_an_older_request_gets_500():
    network, a, _, ours, _ = established()
    send(network, a, ours, "INFO", 60000)
    send(network, a, ours, "INFO", 59999)
    assert a.methods()[-2:] == [200, 500]


def test_a_reoffer_to_a_vanished_dialog_ends_the_call():
    network, a, b, ours, _ = established()
    Party(network, b.host)  # started again
    a.say("reoffer", ours, HOLD)
    network.run(0.1)
    assert a.last(Ended).code == 408
    network.run(1)
    assert a.closed == [ours]


def test_an_answer_that_nobody_acknowledges_ends_the_call():
    network, a, b = pair()
    a.call(b.host)
    network.run(0.1)
    network.fate = lambda data: [] if data.startswith(b"ACK") else [0.01]
    b.say("answer", b.dialog, ANSWER)
    network.run(40)
    assert b.last(Ended).code == 408
    assert a.closed
    assert b.closed


def test_hanging_up_answers_the_offer_that_waits():
    network, a, b, ours, theirs = established()
    a.say("reoffer", ours, HOLD)
    network.run(0.1)
    b.say("hang_up", theirs)
    network.run(0.2)
    assert b.of(487)
    network.run(70)
    assert a.core.sizes["transactions"] == b.core.sizes["transactions"] == 0

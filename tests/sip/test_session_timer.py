"""Session timers: either side refreshes, and a call that nobody refreshes ends."""

import re

import pytest

from bridge.sip.events import Ended, Refused
from tests.support.sip.sip_pair import ANSWER, established, pair
from tests.support.sip.sip_text import STRANGER, answer_to, invite, party, send


def expires(message):
    return message.headers.first("session-expires")


def connect(network, a, b, **dial):
    a.call(b.host, **dial)
    network.run(0.1)
    if b.invitations:
        b.say("answer", b.dialog, ANSWER)
        network.run(0.1)


def test_the_caller_refreshes_by_update_at_half_time():
    network, a, b = pair()
    connect(network, a, b, session_expires=200)
    assert expires(b.of(200)[0]) == "200;refresher=uac"
    network.run(1000)
    assert 8 <= len(a.of("UPDATE")) <= 11
    assert a.closed == b.closed == []
    assert "Offered" not in b.kinds()


def test_the_answering_side_refreshes_if_the_caller_has_no_timers():
    network, a, b = pair(session_expires=200)
    connect(network, a, b, session_expires=0)
    assert expires(b.of(200)[0]) == "200;refresher=uas"
    network.run(1000)
    assert 8 <= len(b.of("UPDATE")) <= 11
    assert a.closed == b.closed == []


def test_a_far_side_without_update_gets_re_invites():
    network, a, b = pair()
    network.damage = lambda data: re.sub(rb"Allow: [^\r]*", b"Allow: INVITE, BYE", data)
    connect(network, a, b, session_expires=200)
    b.on_event = lambda p, o: (
        p.core.call(o.dialog).answer(ANSWER, network.now)
        if type(getattr(o, "event", None)).__name__ == "Offered"
        else None
    )
    network.run(300)
    assert len(a.of("INVITE")) >= 3
    assert "OfferAnswered" not in a.kinds()  # nothing has changed
    assert a.closed == []


def test_a_far_side_that_refuses_refreshes_is_there_all_the_same():
    network, a, b = pair()
    connect(network, a, b, session_expires=200)
    a.core._calls[a.events[0][0]].session.allows = frozenset()
    b.on_event = lambda p, o: (
        p.core.call(o.dialog).refuse(488, network.now)
        if type(getattr(o, "event", None)).__name__ == "Offered"
        else None
    )
    b.core._calls[b.dialog]._timer._stop()
    network.run(2000)
    assert a.closed == []
    assert a.kinds() == ["Answered"]
    assert 30 < len(a.of("INVITE")) < 100


@pytest.mark.parametrize("silent", ["192.0.2.1", "192.0.2.2"])
def test_a_vanished_far_side_ends_the_call(silent):
    network, a, b = pair()
    connect(network, a, b, session_expires=200)
    del network.parties[silent]
    left = b if silent == a.host else a
    network.run(300)
    assert left.last(Ended).code == 408
    assert left.closed
    assert left.of("BYE")[0].headers.first("reason").startswith("SIP;cause=408")


def test_no_session_timer_unless_somebody_wants_one():
    network, a, b = pair(session_expires=0)
    connect(network, a, b, session_expires=0)
    assert expires(b.of(200)[0]) == ""
    del network.parties[a.host]
    network.run(5000)
    assert b.closed == []


def test_too_short_an_interval_is_refused_with_422():
    to = party()
    to.network.inject(invite(Supported="timer", Session_Expires="30"), STRANGER, to)
    assert to.of(422)[0].headers.first("min-se") == "90"


def test_a_422_is_followed_by_an_invite_with_the_longer_interval():
    network, a, _ = pair()
    a.call("192.0.2.9", session_expires=100)
    first = a.of("INVITE")[0]
    network.inject(answer_to(first, 422, Min_SE="600"), a.source, a)
    again = a.of("INVITE")[1]
    assert expires(again) == "600"
    assert again.headers.first("min-se") == "600"
    assert again.headers.cseq.number == first.headers.cseq.number + 1
    assert again.headers.call_id == first.headers.call_id


def test_a_422_that_asks_for_nothing_new_is_a_refusal():
    network, a, _ = pair()
    a.call("192.0.2.9", session_expires=100)
    network.inject(answer_to(a.of("INVITE")[0], 422), a.source, a)
    assert a.last(Refused).code == 422


def test_a_refresh_of_theirs_starts_the_time_anew():
    network, a, b = pair()
    connect(network, a, b, session_expires=200)
    ours = a.events[0][0]
    del network.parties[b.host]
    for number in range(3):
        fields = {"Session-Expires": "200;refresher=uac", "Supported": "timer"}
        send(network, a, ours, "UPDATE", 60000 + number, **fields)
        network.run(100)
    assert a.closed == []
    network.run(100)
    assert a.last(Ended).code == 408


def test_established_calls_renew_for_hours():
    network, a, b, _, _ = established()
    network.run(4 * 3600)
    assert a.closed == b.closed == []

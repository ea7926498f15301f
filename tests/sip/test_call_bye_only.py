"""Calls of trunks that take no other request in an answered call than BYE (`DialogRules.bye_only`)."""

from dataclasses import replace

import pytest

from bridge.sip.boundary import DialogRules, Target
from bridge.sip.events import Ended
from tests.support.sip.sip_pair import ANSWER, OFFER, Policy, pair
from tests.support.sip.sip_text import STRANGER, answer_to, in_dialog

RULES = DialogRules(host="sip.example.com", bye_only=True)
ELSEWHERE = replace(STRANGER, transport="tls")


def answered(*, timers=1800):
    """Return a network with a call between two parties with these rules, and the dialog of the called one."""
    network, a, b = pair(transport="tls", policy=Policy(rules=RULES), session_expires=timers)
    ours = a.call(b.host, rules=RULES)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    return network, a, b, ours


def sent(to, data, source):
    """Return what a party sends at once when a message comes from `source`."""
    before = len(to.sent)
    to.network.inject(data, source, to)
    return [getattr(each, "method", None) or each.code for _, each in to.sent[before:]]


def test_an_hour_brings_no_request_and_each_side_can_end_the_call():
    for caller_ends in (True, False):
        network, a, b, ours = answered(timers=200)
        network.run(3600)
        assert (a.methods(), b.methods()) == (["INVITE", "ACK"], [100, 200])
        (a if caller_ends else b).say("hang_up", ours if caller_ends else b.dialog)
        network.run(0.1)
        assert isinstance((b if caller_ends else a).events[-1][1], Ended)


def test_a_session_timer_that_the_far_side_wants_is_not_agreed_to():
    network, a, b = pair(transport="tls", policy=Policy(rules=RULES))
    a.call(b.host, session_expires=200)  # from somebody without these rules
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(300)
    assert "session-expires" not in b.of(200)[0].headers
    assert (a.closed, b.methods()) == ([], [100, 200])


def test_contact_has_our_name_and_nothing_is_offered_that_would_not_be_taken():
    _, a, b, _ = answered()
    for message in (a.of("INVITE")[0], b.of(200)[0]):
        assert "sip.example.com:5060;transport=tls>" in message.headers.first("contact")
        assert message.headers.first("allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS"
        assert "supported" not in message.headers
        assert "session-expires" not in message.headers


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER"])
def test_requests_to_change_the_call_get_488_and_the_call_lasts(method):
    _, a, _, ours = answered()
    peer = Target("tls", "192.0.2.2", 5060)
    for source in (peer, ELSEWHERE):
        data = in_dialog(a, ours, method, 60_000, body=OFFER.encode())
        assert 488 in sent(a, data.replace(b"z9hG4bK", source.host.encode() + b"z9hG4bK"), source)
    assert (a.kinds(), a.closed) == (["Answered"], [])


def test_bye_from_another_address_ends_the_call_if_its_number_is_new():
    _, _, b, _ = answered()
    number = b.core.call(b.dialog).session.dialog.remote_seq
    assert sent(b, in_dialog(b, b.dialog, "BYE", number), ELSEWHERE) == [481]
    assert b.closed == []
    assert sent(b, in_dialog(b, b.dialog, "BYE", number + 1), ELSEWHERE) == [200]
    assert b.closed == [b.dialog]


def test_bye_from_another_address_needs_the_ids_and_a_transport_as_safe():
    for source, cut in ((STRANGER, b""), (ELSEWHERE, b";tag=")):
        _, _, b, _ = answered()
        data = in_dialog(b, b.dialog, "BYE", 60_000).replace(cut, cut + b"x" * bool(cut))
        assert sent(b, data, source) == [481]
        assert b.closed == []


def test_a_call_that_rings_is_canceled_from_another_address():
    network, a, b = pair(transport="tls", policy=Policy(rules=RULES))
    ours = a.call(b.host, rules=RULES)
    network.run(0.1)
    a.say("hang_up", ours)
    cancel = bytes(a.of("CANCEL")[0])
    assert sent(b, cancel, ELSEWHERE) == [200, 487]


def test_bye_goes_another_way_where_the_connection_has_ended():
    network, _, b, _ = answered()
    server = Target("tls", "192.0.2.9", 5061, 7)
    b.core.call(b.dialog).set_alternate(server)
    b.say("hang_up", b.dialog)
    b.core.transport_failed(b.targets[-1], network.now)
    b.flush()
    assert b.methods()[-2:] == ["BYE", "BYE"]
    assert b.targets[-1] == server
    first, second = b.of("BYE")
    assert second.headers.cseq.number == first.headers.cseq.number + 1
    assert second.headers.first("reason") == first.headers.first("reason")
    b.core.receive(answer_to(second, 200), server, network.now)
    b.flush()
    assert b.closed == [b.dialog]


def test_bye_is_not_sent_for_ever_where_no_way_works():
    network, _, b, _ = answered()
    b.core.call(b.dialog).set_alternate(Target("tls", "192.0.2.9", 5061, 7))
    b.say("hang_up", b.dialog)
    for _ in range(2):
        b.core.transport_failed(b.targets[-1], network.now)
        b.flush()
    assert (len(b.of("BYE")), b.closed) == (2, [b.dialog])


def test_a_call_over_their_connection_passes_to_another_process_once_there_is_another_way():
    _, _, b, _ = answered()
    call = b.core.call(b.dialog)
    dialog = call.session.dialog
    dialog.remote_target = "sip:+15550100001@wa.meta.vc;transport=tls;ob"
    assert call.snapshot() is None
    call.set_alternate(Target("tls", "192.0.2.9", 5061, 7))
    assert call.snapshot() is not None
    assert b.core.connections() == {dialog.flow}

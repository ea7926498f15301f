"""Dialogs that pass from one user agent to another at the same address; the far side notices nothing."""

import re

import msgspec
import pytest

from bridge.sip.boundary import Credentials, Target
from bridge.sip.events import DigitSignalled, Ended, OfferAnswered, Offered, TransferRequested
from bridge.sip.snapshot import SipCallSnapshot
from tests.support.sip.sip_pair import ANSWER, OFFER, Party, established, pair

HOLD = OFFER + "a=sendonly\r\n"
HELD = ANSWER + "a=recvonly\r\n"


def move(network, party, dialog, *, credentials=None):
    """Pass a dialog on; return the party that has it."""
    snapshot = party.core.call(dialog).snapshot()
    assert snapshot is not None
    party.core.moving.add(dialog)
    other = Party(network, party.host, seed=9, policy=party.policy, transport=party.transport)
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=SipCallSnapshot)
    other.core.restore(read, credentials, network.now)
    party.core.forget(dialog)
    return other


def moved(*, caller: bool, **options):
    """Return a call whose caller's side, or the other one, has moved: network, that party, the other, their dialogs."""
    network, a, b, ours, theirs = established(**options)
    if caller:
        return network, move(network, a, ours), b, ours, theirs
    return network, move(network, b, theirs), a, theirs, ours


@pytest.fixture(params=[True, False], ids=["we called", "they called"])
def call(request):
    return moved(caller=request.param)


def test_a_dialog_moves_as_often_as_needed():
    network, a, b, ours, theirs = established()
    for _ in range(5):
        b = move(network, b, theirs)
    a.say("hang_up", ours)
    network.run(1)
    assert b.closed == [theirs]


def test_the_far_side_hangs_up(call):
    network, us, far, ours, theirs = call
    far.say("hang_up", theirs)
    network.run(1)
    assert isinstance(us.last(Ended), Ended)
    assert us.closed == [ours]
    assert far.closed == [theirs]


def test_we_hang_up(call):
    network, us, far, ours, _ = call
    us.say("hang_up", ours)
    network.run(1)
    assert isinstance(far.last(Ended), Ended)
    assert us.closed == [ours]
    assert us.of("BYE")[0].headers.cseq.number > 0


def test_offers_go_both_ways(call):
    network, us, far, ours, theirs = call
    us.say("reoffer", ours, HOLD)
    network.run(0.1)
    assert far.last(Offered).sdp == HOLD
    far.say("answer", theirs, HELD)
    network.run(0.1)
    assert us.last(OfferAnswered).sdp == HELD
    far.say("reoffer", theirs, HOLD)
    network.run(0.1)
    us.say("answer", ours, HELD)
    network.run(0.1)
    assert far.last(OfferAnswered).sdp == HELD


def test_digits_and_transfers_arrive(call):
    network, us, far, _, theirs = call
    far.say("send_digit", theirs, "5", 0.1)
    network.run(0.1)
    assert us.last(DigitSignalled).digit == "5"
    far.say("refer", theirs, "sip:300@192.0.2.3")
    network.run(0.1)
    assert us.last(TransferRequested).target == "300"
    assert far.events[-1][1].code == 100


def test_our_numbers_go_on(call):
    network, us, far, ours, theirs = call
    before = far.core.call(theirs).session.dialog.remote_seq
    us.say("send_digit", ours, "1", 0.1)
    network.run(0.1)
    assert us.of("INFO")[0].headers.cseq.number > before
    assert far.last(DigitSignalled).digit == "1"


@pytest.mark.parametrize("caller", [True, False])
def test_the_session_is_refreshed_by_whoever_did_so_before(caller):
    network, a, b = pair(session_expires=200)
    ours = a.call(b.host, session_expires=200)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(50)
    a, b = (move(network, a, ours), b) if caller else (a, move(network, b, b.dialog))
    network.run(1000)
    assert 8 <= len(a.of("UPDATE")) <= 11
    assert a.closed == b.closed == []


def test_a_session_that_nobody_refreshes_ends():
    network, a, b = pair()
    ours = a.call(b.host, session_expires=200)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(50)
    theirs = b.dialog
    b = move(network, b, theirs)
    a.core.forget(ours)
    network.fate = lambda data: []
    network.run(300)
    assert b.last(Ended).code == 408


def test_a_trunk_that_asks_for_the_password_again_gets_it():
    network, a, b, ours, _ = established()
    a = move(network, a, ours, credentials=Credentials("anna", "secret"))

    def challenge(data):
        if not data.startswith(b"SIP/2.0 200") or b"BYE" not in data or len(a.of("BYE")) > 1:
            return data
        asked = b'401 Unauthorized\r\nWWW-Authenticate: Digest realm="office", nonce="n"'
        return data.replace(b"200 OK", asked, 1)

    network.damage = challenge
    a.say("hang_up", ours)
    network.run(1)
    first, second = a.of("BYE")
    assert "authorization" not in first.headers
    assert "anna" in second.headers.first("authorization")
    assert b.closed != []


def test_a_request_that_was_answered_before_is_not_done_again():
    network, a, b, ours, theirs = established()
    network.fate = lambda data: [] if data.startswith(b"SIP/2.0 200") else [network.delay]
    a.say("send_digit", ours, "7", 0.1)
    network.run(0.1)
    assert b.last(DigitSignalled).digit == "7"
    b = move(network, b, theirs)
    network.fate = lambda data: [network.delay]
    network.run(2)
    assert b.kinds() == []
    a.say("send_digit", ours, "8", 0.1)
    network.run(0.1)
    assert b.last(DigitSignalled).digit == "8"


def test_requests_while_a_dialog_moves_are_dropped_and_come_again():
    network, a, b, ours, theirs = established()
    b.core.moving.add(theirs)
    a.say("hang_up", ours)
    network.run(0.1)
    assert b.kinds() == []
    assert b.sent[-1][1].code != 481
    b.core.moving.discard(theirs)
    network.run(2)
    assert isinstance(b.last(Ended), Ended)


def ringing():
    network, a, b = pair()
    ours = a.call(b.host)
    network.run(0.1)
    return network, a, ours


def unacknowledged():
    network, a, b = pair()
    a.call(b.host)
    network.run(0.1)
    network.fate = lambda data: [] if data.startswith(b"ACK") else [network.delay]
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    return network, b, b.dialog


def asking(*request):
    """Return what makes a request in an established call that nobody has answered yet."""

    def state():
        network, a, _, ours, _ = established()
        network.fate = lambda data: []
        a.say(request[0], ours, *request[1:])
        return network, a, ours

    return state


def offered():
    network, a, b, ours, theirs = established()
    a.say("reoffer", ours, HOLD)
    network.run(0.1)
    return network, b, theirs


def called_over(transport, contact):
    """Return a call over a connection from a port of its own, whose caller names this Contact."""
    network, a, b = pair(transport=transport)
    a.source = Target(transport, a.host, 40_123, 7)
    named = re.compile(rb"(?<=Contact: )<sip:192\.0\.2\.1[^>]*>")
    network.damage = lambda data: named.sub(contact.encode(), data)
    a.call(b.host)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    return network, b, b.dialog


def behind(transport, contact):
    """Return the same as a state of `test_a_dialog_in_which_something_is_under_way_stays`."""
    return lambda: called_over(transport, contact)


@pytest.mark.parametrize(
    "state",
    [
        ringing,
        unacknowledged,
        asking("reoffer", HOLD),
        offered,
        asking("send_digit", "1", 0.1),
        asking("refer", "sip:300@192.0.2.3"),
        asking("hang_up"),
        behind("tcp", "<sip:100@pbx.example.org;transport=tcp>"),
        behind("tcp", "<sip:100@127.0.0.1;transport=tcp>"),
        behind("tls", "<sip:100@192.0.2.1;transport=tcp>"),
    ],
)
def test_a_dialog_in_which_something_is_under_way_stays(state):
    _, party, dialog = state()
    assert party.core.call(dialog).snapshot() is None


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_call_that_we_made_over_a_connection_moves(transport):
    network, a, b, ours, theirs = established(transport=transport)
    a = move(network, a, ours)
    a.say("hang_up", ours)
    network.run(1)
    assert (a.closed, b.closed) == ([ours], [theirs])


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        ("192.0.2.1", ":5080", Target("tcp", "192.0.2.1", 5080, 7)),
        ("192.0.2.1", "", Target("tcp", "192.0.2.1", 5060, 7)),
        ("192.0.2.9", ":5070", Target("tcp", "192.0.2.9", 5070)),
    ],
    ids=["its own port", "the usual port", "another address"],
)
def test_who_called_us_over_a_connection_is_reached_at_its_contact_afterwards(host, port, target):
    network, b, theirs = called_over("tcp", f"<sip:100@{host}{port};transport=tcp>")
    b = move(network, b, theirs)
    b.say("hang_up", theirs)
    assert b.targets[-1] == target


def test_what_moved_leaves_nothing_behind():
    network, a, _, ours, _ = established()
    network.run(40)
    move(network, a, ours)
    assert a.core.sizes == {"calls": 0, "transactions": 0, "timers": 0, "registrations": 0}
    assert a.closed == []


def test_the_trunks_of_a_call_may_send_requests_in_it_afterwards():
    network, a, b, ours, _ = established()
    a.core.call(ours).session.trunks = frozenset({"office"})
    a = move(network, a, ours)
    assert a.core.call(ours).session.trunks == frozenset({"office"})
    assert b.closed == []


@pytest.mark.parametrize("caller", [True, False], ids=["we called", "they called"])
def test_another_machine_offers_media_of_its_own_and_is_called_back_there(caller):
    network, a, b, ours, theirs = established()
    us, far = (a, b) if caller else (b, a)
    own, other = (ours, theirs) if caller else (theirs, ours)
    found = us.core.call(own).snapshot()
    portable = found.portable()
    assert (portable.local_sdp, portable.remote_sdp, portable.timer.refresh_at) == ("", "", None)
    assert portable.dialog.local_seq > found.dialog.local_seq
    far.policy.trunks = {"": {"192.0.2.99"}}
    far.core.call(other).session.trunks = frozenset({""})
    elsewhere = Party(network, "192.0.2.99", seed=9)
    data = msgspec.msgpack.encode(portable)
    call = elsewhere.core.restore(
        msgspec.msgpack.decode(data, type=SipCallSnapshot), None, network.now
    )
    target = call.target()
    assert target is not None
    assert target.host == far.host
    call.relocate(0)
    elsewhere.say("reoffer", own, HOLD)
    network.run(0.1)
    assert far.last(Offered).sdp == HOLD
    far.say("answer", other, HELD)
    network.run(0.1)
    assert elsewhere.last(OfferAnswered).sdp == HELD
    far.say("hang_up", other)
    network.run(1)
    assert elsewhere.closed == [own]
    assert us.closed == []

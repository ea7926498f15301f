"""What strangers get, and what is kept of what they send: nothing."""

import pytest

from bridge.sip.boundary import Credentials, Target
from bridge.sip.digest import DigestClient
from bridge.sip.digest_server import MAX_FAILURES
from bridge.sip.receiver import MAX_DELAYED
from tests.support.sip.sip_pair import ANSWER, Policy, established, pair
from tests.support.sip.sip_text import STRANGER, answer_to, invite, party, read, request


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0", b"\r\n"])
def test_keep_alives_are_no_messages(data):
    to = party()
    to.network.inject(data, STRANGER, to)
    assert (to.core.counters.malformed, to.sent) == (0, [])


@pytest.mark.parametrize(
    "method", ["INVITE", "OPTIONS", "REGISTER", "FOO", "CANCEL", "BYE", "REFER"]
)
def test_a_stranger_who_is_refused_silently_learns_nothing(method):
    to = party(policy=Policy(refuse=0))
    to.network.inject(request(method), STRANGER, to)
    to.network.inject(request(method, To="<sip:a@b>;tag=1", Call_ID="b"), STRANGER, to)
    assert to.sent == []


@pytest.mark.parametrize("user", ["anna", "nobody"])
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "FOO"])
def test_every_stranger_gets_the_same_challenge(user, method):
    to = party(policy=Policy(realm="trunk"))
    credentials = (
        f'Digest realm="trunk", username="{user}", nonce="0.1", uri="sip:callee@example.com"'
    )
    to.network.inject(request(method, Authorization=credentials), STRANGER, to)
    assert to.methods() == [401]
    assert to.of(401)[0].headers.to.tag


def test_a_challenge_keeps_nothing():
    to = party(policy=Policy(realm="trunk"))
    for number in range(100):
        to.network.inject(invite(Call_ID=str(number)), STRANGER, to)
    assert to.methods() == [401] * 100
    assert not any(to.core.sizes.values())


def test_a_repeated_request_gets_the_same_tag_and_another_another():
    to = party(policy=Policy(refuse=403))
    for changed in ({}, {}, {"Call_ID": "other"}):
        to.network.inject(invite(**changed), STRANGER, to)
    tags = [m.headers.to.tag for m in to.of(403)]
    assert tags[0] == tags[1] != tags[2]


def test_too_many_wrong_passwords_are_answered_late_and_not_checked():
    network, a, b = pair()
    b.policy.realm = "trunk"
    for _ in range(MAX_FAILURES):
        a.call(b.host, credentials=Credentials("anna", "wrong"))
        network.run(1)
    assert b.core.counters.authentication_failures == MAX_FAILURES
    before = network.now
    for _ in range(3):
        a.call(b.host, credentials=Credentials("anna", "secret"))
    network.run(10)
    times = [at - before for at, m in b.sent if getattr(m, "code", 0) == 403]
    assert [round(t) for t in times] == [1, 2, 4]
    assert b.invitations == []


def test_late_answers_do_not_pile_up(monkeypatch):
    to = party(policy=Policy(realm="trunk"))
    monkeypatch.setattr("bridge.sip.digest_server.DigestServer.delay", lambda *_: 5.0)
    for number in range(MAX_DELAYED + 10):
        to.network.inject(invite(Call_ID=str(number)), STRANGER, to)
    to.network.run(6)
    assert len(to.of(403)) == MAX_DELAYED
    assert to.core.sizes["timers"] == 0


def test_options_are_answered_with_what_we_can_do():
    to = party()
    to.network.inject(request("OPTIONS"), STRANGER, to)
    (response,) = to.of(200)
    assert {"INVITE", "REFER", "UPDATE"} <= {m.upper() for m in response.headers.tokens("allow")}
    assert "100rel" in response.headers.tokens("supported")
    assert not any(to.core.sizes.values())


@pytest.mark.parametrize(
    ("method", "code"),
    [("REFER", 403), ("INFO", 481), ("NOTIFY", 481), ("BYE", 481), ("ACK", None)],
)
def test_requests_that_need_a_dialog(method, code):
    to = party()
    to.network.inject(request(method), STRANGER, to)
    assert to.methods() == ([code] if code else [])


def test_a_request_of_a_dialog_needs_both_tags_and_the_call_id():
    network, a, b, ours, _ = established()
    call_id, far, near = a.core.dialog_name(ours).split(";")
    right = {"Call-ID": call_id, "From": f"<sip:x@y>;tag={far}", "To": f"<sip:a@b>;tag={near}"}
    for name, wrong in (("Call-ID", "x"), ("From", "<sip:x@y>;tag=z"), ("To", "<sip:a@b>;tag=z")):
        via = f"SIP/2.0/UDP a;branch=z9hG4bK{name}"
        network.inject(request("BYE", Via=via, **(right | {name: wrong})), b.source, a)
        assert a.methods()[-1] == 481
    network.inject(request("BYE", **right), b.source, a)
    assert a.methods()[-1] == 200


def test_a_full_house_refuses_with_503(monkeypatch):
    monkeypatch.setattr("bridge.sip.receiver.MAX_CALLS", 1)
    to = party()
    to.network.inject(invite(), STRANGER, to)
    to.network.inject(invite(Call_ID="b", Via="SIP/2.0/UDP a;branch=z9hG4bK2"), STRANGER, to)
    assert to.methods() == [100, 503]
    assert to.of(503)[0].headers.first("retry-after") == "10"


def test_calls_go_on_when_the_table_of_transactions_is_full(monkeypatch):
    network, a, b, ours, _ = established()
    monkeypatch.setattr(
        "bridge.sip.transaction.transactions.Transactions.full", property(lambda _: True)
    )
    network.inject(invite(), STRANGER, b)
    assert b.methods()[-1] == 503
    a.say("hang_up", ours)
    network.run(0.1)
    assert a.closed
    assert b.closed


def test_options_of_ours_are_answered_or_time_out():
    network, a, b = pair()
    a.say("options", "trunk", Target("udp", b.host, 5060), f"sip:{b.host}")
    network.run(1)
    assert (a.pings[0].name, a.pings[0].code) == ("trunk", 200)
    a.say("options", "gone", Target("udp", "192.0.2.9", 5060), "sip:192.0.2.9")
    network.run(31)
    assert len(a.pings) == 1
    network.run(2)
    assert a.pings[1].code == 0


def test_a_refusal_of_options_proves_that_somebody_is_there():
    _, a, _ = pair()
    a.say("options", "trunk", Target("udp", "192.0.2.9", 5060), "sip:192.0.2.9")
    a.network.inject(answer_to(a.of("OPTIONS")[0], 404), a.source, a)
    assert a.pings[0].code == 404


def test_a_call_over_tcp():
    network, a, b = pair(transport="tcp")
    ours = a.call(b.host)
    network.run(0.1)
    b.say("answer", b.dialog, ANSWER)
    network.run(0.1)
    assert ";transport=tcp>" in a.of("INVITE")[0].headers.first("contact")
    a.say("hang_up", ours)
    network.run(40)
    assert not any(a.core.sizes.values())
    assert b.closed


@pytest.mark.parametrize(("transport", "codes"), [("tls", [100]), ("tcp", [401])])
def test_by_tls_the_password_may_come_from_another_address_than_what_was_challenged(
    transport, codes
):
    to = party(policy=Policy(realm="trunk"), transport=transport)
    first, second = (Target(transport, host, 40_000) for host in ("198.51.100.7", "198.51.100.8"))
    to.network.inject(invite(), first, to)
    client = DigestClient(Credentials("anna", "secret"), bytes)
    client.challenged(to.of(401)[0], {})
    again = read(invite(CSeq="2 INVITE", Via="SIP/2.0/TLS 198.51.100.8;branch=z9hG4bK-two"))
    client.authorize(again)
    to.network.inject(bytes(again), second, to)
    assert to.methods()[1:] == codes

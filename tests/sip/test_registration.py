"""Bindings at a registrar."""

from itertools import pairwise

from bridge.sip.boundary import Credentials, Target
from tests.support.sip.sip_pair import Network, Party
from tests.support.sip.sip_text import answer_to

FAR = "192.0.2.9"


class Registrar:
    """Answers every REGISTER of a party with `responses`, the last one for ever."""

    def __init__(self, *responses, **registration):
        self.party = Party(Network(), "192.0.2.1")
        self.responses = list(responses)
        self.requests = []
        self.party.network.send = self.receive
        self.party.register(FAR, **registration)
        self.settle()

    def receive(self, _party, _output):
        at, sent = self.party.sent[-1]
        self.requests.append((at, sent))
        if self.responses:
            code, given = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
            self.waiting = answer_to(sent, code, **given)

    waiting = b""

    def settle(self):
        while self.waiting:
            data, self.waiting = self.waiting, b""
            self.party.network.inject(data, self.party.source, self.party)

    def run(self, seconds):
        network = self.party.network
        for _ in range(int(seconds) * 4):  # before a REGISTER is repeated
            network.run(0.25)
            self.settle()

    def pauses(self):
        """The seconds between its attempts."""
        times = [at for at, _ in self.requests]
        return [b - a for a, b in pairwise(times) if b - a > 1]

    def expires(self):
        return [sent.headers.number("expires") for _, sent in self.requests]


def granted(seconds):
    return 200, {"Contact": f"<sip:192.0.2.1:5060>;expires={seconds}"}


def test_a_binding_is_renewed_between_half_and_nine_tenths_of_its_time():
    registrar = Registrar(granted(100))
    registrar.run(1000)
    pauses = registrar.pauses()
    assert len(pauses) > 9
    assert all(50 <= pause <= 92 for pause in pauses)
    numbers = [sent.headers.cseq.number for _, sent in registrar.requests]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({sent.headers.call_id for _, sent in registrar.requests}) == 1
    first = registrar.party.registrations[0]
    assert (first.registered, first.expires) == (True, 100)


def test_what_our_contact_was_granted_counts_and_not_another():
    others = ["<sip:203.0.113.1>;expires=3000", "<sip:192.0.2.1:5060>;expires=77"]
    registrar = Registrar((200, {"Contact": others, "Expires": "1234"}))
    assert registrar.party.registrations[0].expires == 77
    registrar = Registrar((200, {"Contact": None, "Expires": "1234"}))
    assert registrar.party.registrations[0].expires == 1234
    registrar = Registrar((200, {"Contact": None}), expires=300)
    assert registrar.party.registrations[0].expires == 300


def test_a_challenge_is_answered_and_the_nonce_used_on():
    challenge = (401, {"WWW_Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    registrar = Registrar(challenge, granted(100), credentials=Credentials("anna", "secret"))
    registrar.run(100)
    counts = [
        sent.headers.first("authorization").partition("nc=")[2][:8]
        for _, sent in registrar.requests
    ]
    assert counts[:3] == ["", "00000001", "00000002"]
    assert [change.code for change in registrar.party.registrations] == [200, 200]


def test_a_wrong_password_is_reported_and_tried_less_and_less():
    challenge = (401, {"WWW_Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    registrar = Registrar(challenge, credentials=Credentials("anna", "wrong"))
    registrar.run(4000)
    changes = registrar.party.registrations
    assert {(change.registered, change.code) for change in changes} == {(False, 401)}
    assert 2.5 <= registrar.pauses()[0] <= 5
    assert 450 <= registrar.pauses()[-1] <= 900
    assert len(changes) < 20


def test_a_longer_time_that_is_asked_for_is_taken():
    registrar = Registrar((423, {"Min_Expires": "1800"}), granted(1800), expires=60)
    assert registrar.expires() == [60, 1800]
    assert registrar.party.registrations[0].registered


def test_a_registrar_that_always_asks_for_more_is_given_up_for_a_while():
    registrar = Registrar((423, {"Min_Expires": "1800"}))
    assert registrar.expires() == [600, 1800]
    assert registrar.party.registrations[-1].code == 423


def test_retry_after_is_respected():
    registrar = Registrar((503, {"Retry_After": "120"}))
    registrar.run(121)
    assert registrar.pauses() == [120]


def test_a_registrar_that_is_silent_or_unreachable():
    registrar = Registrar()
    registrar.run(33)
    assert registrar.party.registrations[0].code == 408
    registrar = Registrar()
    registrar.party.say("transport_failed", Target("udp", FAR, 5060))
    assert registrar.party.registrations[0].code == 503


def test_a_very_short_grant_is_not_asked_for_more_often_than_every_15_s():
    registrar = Registrar(granted(1))
    registrar.run(150)
    assert len(registrar.requests) <= 11


def test_a_binding_is_removed():
    registrar = Registrar(granted(100))
    registrar.party.say("unregister", "trunk")
    registrar.settle()
    assert registrar.expires()[-1] == 0
    assert not registrar.party.registrations[-1].registered
    registrar.run(70)
    assert not any(registrar.party.core.sizes.values())


def test_a_registration_replaces_one_of_the_same_name():
    registrar = Registrar(granted(100))
    registrar.party.register(FAR, expires=50)
    registrar.settle()
    registrar.run(70)
    assert registrar.party.core.sizes["registrations"] == 1
    assert registrar.expires()[:2] == [600, 50]


def test_the_request_says_who_and_where():
    sent = Registrar(granted(100), contact_user="trunk1").requests[0][1]
    assert sent.uri == f"sip:{FAR}"
    assert sent.headers.first("to") == f"<sip:anna@{FAR}>"
    assert sent.headers.first("contact") == "<sip:trunk1@192.0.2.1:5060>;expires=600"

"""Who a request between machines is from."""

import itertools

import pytest

from bridge.http.node_signature import NodeSigner
from bridge.wire.node_signature import NodeSignature, Refusal, Request, parse

OLD, NEW = "o" * 32, "n" * 32
REQUEST = Request("GET", "/node/identity")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def signer(clock, node=2, secret=NEW, **more) -> NodeSigner:
    return NodeSigner(node=node, boot=f"boot {node}", secret=secret, now=clock, **more)


def header(clock, secret=NEW, target=2, boot="boot 2", request=REQUEST) -> NodeSignature:
    found = parse(signer(clock, 1, secret).sign(request, target=target, boot=boot))
    assert found is not None
    return found


def test_a_siblings_request_is_taken_once(clock):
    receiver, sent = signer(clock), header(clock)
    assert receiver.check(sent, REQUEST) is None
    assert receiver.check(sent, REQUEST) is Refusal.REPLAYED
    assert receiver.check(header(clock), REQUEST) is None


def test_a_replay_is_refused_for_as_long_as_the_signature_is_fresh(clock):
    receiver, sent = signer(clock), header(clock)
    assert receiver.check(sent, REQUEST) is None
    for _ in range(50):
        clock.now += 1
        assert receiver.check(sent, REQUEST) in (Refusal.REPLAYED, Refusal.EXPIRED)


def test_a_forged_request_is_refused(clock):
    forged = NodeSignature(1, 2, int(clock()) + 30, "00" * 16)
    sent = parse(forged.signed(REQUEST, boot="boot 2", secret="guessed" * 5))
    assert sent is not None
    assert signer(clock).check(sent, REQUEST) is Refusal.SIGNATURE


@pytest.mark.parametrize("later", [-40, 40, 3600, -3600])
def test_a_request_of_another_time_is_refused(clock, later):
    sent = header(clock)
    clock.now += later
    assert signer(clock).check(sent, REQUEST) is Refusal.EXPIRED


def test_a_request_for_another_node_or_its_previous_process_is_refused(clock):
    assert signer(clock).check(header(clock, target=3), REQUEST) is Refusal.TARGET
    assert signer(clock).check(header(clock, boot="boot 1"), REQUEST) is Refusal.SIGNATURE


def test_another_body_is_refused(clock):
    sent = header(clock, request=Request("POST", "/call/hangup", b"{}"))
    changed = Request("POST", "/call/hangup", b"{ }")
    assert signer(clock).check(sent, changed) is Refusal.SIGNATURE


def test_the_secret_is_changed_without_a_gap(clock):
    # First the new one is the former one everywhere, then they change places, machine by machine.
    steps = [(OLD, ""), (OLD, NEW), (NEW, OLD), (NEW, "")]
    for before, after in itertools.pairwise(steps):
        for ours, theirs in ((before, after), (after, before)):
            receiver = signer(clock, secret=ours[0], former_secret=ours[1])
            assert receiver.check(header(clock, theirs[0]), REQUEST) is None


def test_an_old_secret_is_refused(clock):
    assert signer(clock).check(header(clock, OLD), REQUEST) is Refusal.SIGNATURE


def test_the_nonces_are_bounded_and_forgotten_once_they_have_expired(clock):
    receiver = signer(clock, max_nonces=2)
    answers = [receiver.check(header(clock), REQUEST) for _ in range(3)]
    assert answers == [None, None, Refusal.FULL]
    clock.now += 36
    assert receiver.check(header(clock), REQUEST) is None


def test_a_node_that_passes_a_request_on_checks_it_for_its_sibling(clock):
    relay, found = signer(clock, node=3), header(clock)
    for _ in range(2):
        assert relay.check_signature(found, REQUEST, boot="boot 2") is None
    assert relay.check_signature(found, REQUEST, boot="boot 9") is Refusal.SIGNATURE

"""Calls over a network that loses, doubles and reorders messages end the same on both sides."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.events import Offered, TransferRequested
from tests.support.examples import examples
from tests.support.sip.sip_pair import ANSWER, OFFER, Network, Party

COMMANDS = ("ring", "progress", "answer", "refuse", "reoffer", "digit", "refer", "hang_up")

script = st.lists(
    st.tuples(st.floats(0, 12, allow_nan=False), st.sampled_from("ab"), st.sampled_from(COMMANDS)),
    max_size=8,
)


def parties(seed, network, **options):
    a = Party(network, "192.0.2.1", seed=seed, tag_prefix="0a-", **options)
    b = Party(network, "192.0.2.2", seed=seed + 1, tag_prefix="0b-", **options)
    for party in (a, b):
        party.on_event = answer_offers
    return a, b


def answer_offers(party, output):
    if isinstance(getattr(output, "event", None), Offered):
        party.core.call(output.dialog).answer(ANSWER, party.network.now)
    if isinstance(getattr(output, "event", None), TransferRequested):
        party.core.call(output.dialog).notify_transfer(200, party.network.now)


def lossy(network, seed, loss):
    fate = random.Random(seed)

    def of(_data):
        if fate.random() < loss:
            return []
        copies = 2 if fate.random() < loss / 2 else 1
        return [0.005 + fate.random() * fate.random() * 1.5 for _ in range(copies)]

    network.fate = of


def command(party, dialog, what):
    match what:
        case "ring":
            party.say("ring", dialog)
        case "progress":
            party.say("ring", dialog, sdp=ANSWER)
        case "answer":
            party.say("answer", dialog, ANSWER)
        case "refuse":
            party.say("refuse", dialog, 486)
        case "reoffer":
            party.say("reoffer", dialog, OFFER)
        case "digit":
            party.say("send_digit", dialog, "5", 0.2)
        case "refer":
            party.say("refer", dialog, "sip:300@192.0.2.3")
        case "hang_up":
            party.say("hang_up", dialog)


def play(seed, loss, steps, *, transport="udp"):
    network = Network()
    a, b = parties(seed, network, transport=transport, session_expires=90)
    lossy(network, seed, loss)
    ours = a.call(b.host, session_expires=90)
    for at, who, what in sorted(steps):
        network.run(max(at - network.now, 0))
        if who == "a":
            command(a, ours, what)
        elif b.invitations:
            command(b, b.dialog, what)
    network.run(max(15 - network.now, 0))
    a.say("hang_up", ours)
    network.run(60)
    if b.invitations:  # it may never have heard that the caller has given up
        b.say("hang_up", b.dialog)
    network.run(240)
    return network, a, b, ours


def check(network, a, b, ours):
    assert a.closed == [ours]
    assert len(b.closed) == len(b.invitations) == len(set(b.closed))
    for party in (a, b):
        assert party.core.sizes["calls"] == 0
        assert party.core.sizes["transactions"] == 0
        assert party.core.sizes["timers"] == 0
        ends = [k for k in party.kinds() if k in ("Ended", "Refused")]
        assert len(ends) <= 1
        if ends:
            assert party.kinds()[-1] in ("Ended", "Refused")


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**6), script, st.sampled_from(("udp", "tcp")))
def test_both_sides_know_of_the_end(seed, steps, transport):
    network, a, b, ours = play(seed, 0.0, steps, transport=transport)
    check(network, a, b, ours)
    ended_here = {(who, what) for _, who, what in steps} & {("b", "hang_up"), ("b", "refuse")}
    if b.invitations:
        assert ended_here or "Ended" in b.kinds()


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((0.1, 0.3)), script)
def test_every_call_ends_and_leaves_nothing(seed, loss, steps):
    check(*play(seed, loss, steps))


@pytest.mark.long
@settings(max_examples=examples(3000), deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.5), script)
def test_thousands_of_calls_end_and_leave_nothing(seed, loss, steps):
    check(*play(seed, loss, steps))

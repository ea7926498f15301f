"""INVITEs with random damage: no exception, no growth."""

import random

import pytest

from bridge.sip.boundary import Target
from bridge.sip.core import SipCore
from tests.sip.test_core_lossy_network import COMMANDS, answer_offers, command
from tests.sip.test_core_torture import ODD_INVITE
from tests.support.sip.sip_pair import Network, Party, pair
from tests.support.sip.sip_text import STRANGER, invite, request

STREAM = Target("tcp", STRANGER.host, 5060, 1)
SEEDS = [
    invite(Require="100rel", Supported="timer, 100rel", Session_Expires="1800;refresher=uac"),
    invite(
        Replaces="a@b;to-tag=1;from-tag=2",
        Authorization='Digest realm="trunk", nonce="1", qop=auth',
    ),
    ODD_INVITE,
    request("CANCEL"),
    request("ACK"),
    request("OPTIONS"),
    request(start="SIP/2.0 200 OK", To="<sip:a@b.org>;tag=1"),
    request("REFER", To="<sip:a@b.org>;tag=1", Refer_To="<sip:c@d.org?Replaces=1%3Bto-tag%3D2>"),
]
PIECES = [
    b"\r\n",
    b";",
    b",",
    b'"',
    b"<",
    b">",
    b"\0",
    b"\xff",
    b"%",
    b"tag=",
    b" ",
    b"=",
    b":",
    b"9" * 30,
    b"\\",
]


def damaged(data, chance):
    data = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(1, 30)]
            case 2:
                data[at:at] = chance.choice(PIECES)
            case 3:
                end = at + chance.randrange(1, 80)
                data[at:at] = data[at:end]
            case 4:
                data[at : at + chance.randrange(4)] = chance.choice(PIECES)
    return bytes(data)


def attack(number, seed, realm=""):
    chance = random.Random(seed)
    party = Party(Network(), "192.0.2.2")
    party.policy.realm = realm
    core = party.core
    for n in range(number):
        source = chance.choice((STRANGER, STRANGER, STREAM))
        core.receive(damaged(chance.choice(SEEDS), chance), source, n * 0.01)
        core.tick(n * 0.01)
        for output in core.take_output():
            dialog = getattr(output, "dialog", None)
            if dialog and (call := core.call(dialog)):
                call.refuse(486, n * 0.01)
        core.take_output()
    end = number * 0.01
    for second in range(70):
        core.tick(end + second)
        core.take_output()
    return core


def talk(seed):
    """Return the cores of two parties whose network damages every third message."""
    chance = random.Random(seed)
    network, a, b = pair(session_expires=90)
    for party in (a, b):
        party.on_event = answer_offers
    network.damage = lambda data: damaged(data, chance) if chance.random() < 0.3 else data
    ours = a.call(b.host, session_expires=90)
    for _ in range(12):
        network.run(chance.random() * 2)
        who = chance.choice((a, b))
        if who is a or b.invitations:
            dialog = ours if who is a else b.dialog
            command(who, dialog, chance.choice(COMMANDS[:-1]))
    a.say("hang_up", ours)
    network.run(60)
    for invited in b.invitations:
        b.say("hang_up", invited.dialog)
    network.run(240)
    return a.core, b.core


def nothing_left(core: SipCore):
    return not any(core.sizes.values())


@pytest.mark.parametrize("realm", ["", "trunk"])
def test_a_thousand_damaged_messages_raise_nothing_and_leave_nothing(realm):
    core = attack(1000, 7, realm)
    assert nothing_left(core), core.sizes
    assert core.counters.malformed > 100


def test_damaged_messages_of_a_call_raise_nothing_and_leave_nothing():
    for seed in range(20):
        for core in talk(seed):
            assert nothing_left(core), (seed, core.sizes)


@pytest.mark.long
def test_damaged_messages_of_a_thousand_calls_raise_nothing_and_leave_nothing():
    for seed in range(1000):
        for core in talk(seed):
            assert nothing_left(core), (seed, core.sizes)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_thousand_damaged_messages_raise_nothing_and_leave_nothing(seed):
    core = attack(25_000, seed, "trunk" if seed % 2 else "")
    assert nothing_left(core), core.sizes

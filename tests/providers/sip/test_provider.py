"""Telephone calls over the lines' trunks."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from bridge.call.model import CallDetails, LineName, Parties
from bridge.legs.sip import SipLeg
from bridge.metrics.registry import Metrics
from bridge.providers.sip.provider import MAX_RINGING, SipProvider, caller_of
from bridge.providers.sip.trunks import Trunk, TrunkStates
from bridge.trunk.agent import SipAgent
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from tests.support.fake_leg import FakeLeg
from tests.support.published import call_facts
from tests.support.sip.sip_invites import asked, invite
from tests.support.sip.telephone import ScriptedDialog
from tests.support.waiting import until

LINE = LineName("office")
OWN, OTHER, CALLED = "+493011", "+493012", "4989123"
TRUNK = Trunk(
    address=TrunkAddress(name=LINE, host="trunk.example"),
    numbers=frozenset({"493011", "493012"}),
    caller=OWN,
)


class Dialler:
    """Makes dialogs, and remembers for which calls."""

    def __init__(self):
        self.calls = []

    def dialog(self, trunk, call):
        self.calls.append((trunk, call))
        return ScriptedDialog()


class Receiver:
    """Takes calls once it may."""

    def __init__(self):
        self.may = asyncio.Event()
        self.numbers = []

    async def receive(self, line, number, far, details=None):
        self.numbers.append(number)
        await self.may.wait()


@pytest.fixture
async def made():
    dialler, trunks = Dialler(), {LINE: TRUNK}
    states = TrunkStates(trunks, lambda name: TrunkHealth(), Metrics(version="0").sip)
    provider = SipProvider(
        trunks,
        dialler=cast("SipAgent", dialler),
        make_leg=lambda leg_id, **_: cast("SipLeg", FakeLeg(leg_id)),
        states=states,
    )
    yield provider, dialler
    await provider.aclose()


def facts(**parties):
    return replace(call_facts(LINE), peer=CALLED, details=CallDetails(parties=Parties(**parties)))


async def test_a_number_is_called_in_e164_over_the_lines_trunk(made):
    provider, dialler = made
    assert (provider.has(LINE), provider.has(LineName("other"))) == (True, False)
    provider.outbound_leg(facts(from_=OTHER), CALLED)
    [(trunk, call)] = dialler.calls
    assert (trunk, call.number, call.caller) == (TRUNK.address, f"+{CALLED}", OTHER)


def test_who_is_called_sees_the_number_that_the_request_named_else_the_trunks():
    assert caller_of(facts(from_=OTHER), CALLED, TRUNK) == OTHER
    assert caller_of(facts(from_="browser-7"), CALLED, TRUNK) == OWN
    assert caller_of(facts(), CALLED, TRUNK) == OWN


def test_a_party_that_joins_later_sees_a_number_of_the_line_and_never_that_of_another_party():
    inbound = facts(from_="+4915112345", to=OTHER)
    assert caller_of(inbound, "49897777", TRUNK) == OTHER
    assert caller_of(facts(from_="+4915112345"), "49897777", TRUNK) == OWN


async def test_an_inbound_call_before_the_start_is_told_to_try_again(made):
    call = invite("+493011", trunks=frozenset({LINE}))
    made[0].take(call)
    assert asked(call) == [("refuse", 503)]


async def test_no_more_calls_are_taken_at_once_than_there_is_room_for(made):
    provider, receiver = made[0], Receiver()
    provider.start(receiver)
    calls = [invite("+493011", trunks=frozenset({LINE})) for _ in range(MAX_RINGING + 1)]
    for call in calls:
        provider.take(call)
    assert [asked(call) for call in calls] == [[]] * MAX_RINGING + [[("refuse", 503)]]
    await until(lambda: len(receiver.numbers) == MAX_RINGING)
    receiver.may.set()

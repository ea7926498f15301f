"""Whose number was called, and by whom."""

import json

import pytest

from bridge.call.model import LineName
from bridge.errors import LegError, LimitExceeded, SdpError
from bridge.providers.sip.inbound import ANONYMOUS, details_of, line_of, number_of, take_call
from bridge.providers.sip.trunks import Trunk
from bridge.trunk.trunk import TrunkAddress
from tests.support.fake_leg import FakeLeg
from tests.support.sip.sip_invites import asked, invite

OFFICE, SHOP, OPEN = LineName("office"), LineName("shop"), LineName("open")


def trunk(name, *numbers):
    return Trunk(address=TrunkAddress(name=name, host="trunk.example"), numbers=frozenset(numbers))


TRUNKS = {OFFICE: trunk(OFFICE, "4930123456", "4930123457"), SHOP: trunk(SHOP, "4940999999")}


@pytest.mark.parametrize(
    ("called", "line"),
    [
        ("+4930123456", OFFICE),
        ("4930123457", OFFICE),
        ("030123456", OFFICE),
        ("+49 (40) 99-99.99", SHOP),
        ("+4930000000", None),
        ("123456789012345678901", None),
        ("alice", None),
        ("", None),
    ],
)
def test_a_number_belongs_to_one_line_with_or_without_its_country_code(called, line):
    assert line_of(TRUNKS, called, TRUNKS) == line


def test_a_call_reaches_no_line_but_those_of_its_trunk():
    assert line_of(TRUNKS, "+4930123456", {SHOP}) is None
    assert line_of(TRUNKS, "+4930123456", ()) is None


def test_a_line_without_numbers_takes_what_its_trunk_brings():
    trunks = TRUNKS | {OPEN: trunk(OPEN)}
    assert line_of(trunks, "1000", {OPEN}) == OPEN
    assert line_of(trunks, "1000", {OPEN, OFFICE}) == OPEN
    assert line_of(trunks | {LineName("b"): trunk("b")}, "1000", {OPEN, "b"}) is None


def test_the_end_of_two_numbers_decides_nothing():
    trunks = {OFFICE: trunk(OFFICE, "4930123456"), SHOP: trunk(SHOP, "4330123456")}
    assert line_of(trunks, "030123456", trunks) is None


def test_parameters_of_a_user_part_are_no_part_of_its_number():
    assert number_of("+4930123;npdi;rn=1") == "4930123"


def test_the_network_names_the_caller_before_the_caller_does():
    call = invite("+4930123456", trunks=frozenset({OFFICE}), asserted_user="+4989777")
    parties = details_of(call, TRUNKS[OFFICE]).parties
    assert (parties.from_, parties.to) == ("+4989777", "+4930123456")
    assert (parties.from_channel, parties.to_channel) == ("pstn", "pstn")


def test_a_withheld_caller_stays_withheld():
    call = invite("1", trunks=frozenset(), anonymous=True, from_name="Eve")
    details = details_of(call, TRUNKS[OFFICE])
    assert (details.parties.from_, details.parties.to, details.metadata) == (ANONYMOUS, "", b"")


def test_the_name_of_the_caller_and_who_diverted_the_call_are_its_metadata():
    diverted = {"diversion": ("<sip:+4930555@x>;reason=unconditional", "<sip:+4@y>")}
    call = invite("1", trunks=frozenset(), from_name="Ada", headers=diverted)
    known = json.loads(details_of(call, TRUNKS[OFFICE]).metadata)
    assert known == {"caller_name": "Ada", "diversion": "4930555"}


class Receiver:
    """Takes calls, or refuses them."""

    def __init__(self, error=None):
        self.taken = []
        self.error = error

    async def receive(self, line, number, far, details=None):
        if self.error is not None:
            raise self.error
        self.taken.append((line, number))


async def taken(call, receiver, make_leg=lambda leg_id, **_: FakeLeg(leg_id)):
    await take_call(TRUNKS, call, make_leg=make_leg, receiver=receiver)
    return asked(call)


async def test_a_call_to_a_number_of_the_line_rings_it():
    receiver = Receiver()
    assert await taken(invite("+4930123456", trunks=frozenset({OFFICE})), receiver) == []
    assert receiver.taken == [(OFFICE, "4915112345")]


async def test_an_unknown_number_is_not_found():
    receiver = Receiver()
    assert await taken(invite("999", trunks=frozenset({OFFICE})), receiver) == [("refuse", 404)]
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("error", "code"), [(SdpError("no audio"), 488), (LimitExceeded("no port"), 503)]
)
async def test_an_offer_that_cannot_be_answered_is_refused(error, code):
    def refuse(leg_id, **_):
        raise error

    call = invite("+4930123456", trunks=frozenset({OFFICE}))
    assert await taken(call, Receiver(), refuse) == [("refuse", code)]


@pytest.mark.parametrize(("error", "code"), [(LimitExceeded("full"), 503), (LegError("no"), 500)])
async def test_a_bridge_that_takes_no_call_says_so(error, code):
    call = invite("+4930123456", trunks=frozenset({OFFICE}))
    assert await taken(call, Receiver(error)) == [("refuse", code)]

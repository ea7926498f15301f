from dataclasses import replace

import pytest

from bridge.call.model import CallDetails
from bridge.call.parties import PSTN, WHATSAPP
from bridge.errors import InvalidState
from bridge.http.service_health import ServiceHealth
from bridge.legs.simulator import ECHO, SimulatedContact
from bridge.providers.base import Providers
from tests.support.fake_leg import FakeLeg
from tests.support.published import call_facts


class Only:
    """Reaches everybody for one line."""

    name = "only"

    def __init__(self, line):
        self.line = line

    def has(self, line):
        return line == self.line

    def health(self, line):
        return ServiceHealth()

    def outbound_leg(self, call, number, replaces=""):
        return FakeLeg(f"{call.line} {number}")


async def test_each_line_dials_over_its_own_provider():
    providers = Providers([Only("a"), Only("b")])
    leg = providers.outbound_leg(call_facts("b"), "15550100001", WHATSAPP)
    assert leg.leg_id == "b 15550100001"


async def test_a_line_without_a_provider_cannot_dial():
    with pytest.raises(InvalidState, match=r"whatsapp\.provider"):
        Providers([Only("a")]).outbound_leg(call_facts("b"), "1", WHATSAPP)


@pytest.mark.parametrize("line", ["a", "b"])
async def test_a_test_call_reaches_an_echo_and_no_provider(line):
    call = replace(call_facts(line), details=CallDetails(test=True))
    leg = Providers([Only("a")]).outbound_leg(call, ECHO, WHATSAPP)
    assert isinstance(leg, SimulatedContact)


async def test_telephones_have_a_provider_of_their_own():
    providers = Providers([Only("a")], telephones=[Only("b")])
    with pytest.raises(InvalidState, match=r"lines\.NAME\.sip"):
        providers.outbound_leg(call_facts("a"), "1", PSTN)
    assert providers.outbound_leg(call_facts("b"), "1", PSTN).leg_id == "b 1"
    with pytest.raises(InvalidState, match=r"whatsapp\.provider"):
        providers.outbound_leg(call_facts("b"), "1", WHATSAPP)

import pytest

from bridge.errors import InvalidState
from bridge.providers.base import Providers
from tests.support.fake_leg import FakeLeg
from tests.support.published import call_facts


class Only:
    """Reaches everybody for one line."""

    def __init__(self, line):
        self.line = line

    def has(self, line):
        return line == self.line

    def outbound_leg(self, call, number):
        return FakeLeg(f"{call.line} {number}")


async def test_each_line_dials_over_its_own_provider():
    providers = Providers([Only("a")])
    providers.add(Only("b"))
    leg = providers.outbound_leg(call_facts("b"), "15550100001")
    assert leg.leg_id == "b 15550100001"


async def test_a_line_without_a_provider_cannot_dial():
    with pytest.raises(InvalidState, match=r"whatsapp\.provider"):
        Providers([Only("a")]).outbound_leg(call_facts("b"), "1")

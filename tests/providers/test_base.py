import pytest

from bridge.call.model import CallId, LegId, LineName
from bridge.errors import InvalidState
from bridge.legs.dial import DialOrder
from bridge.providers.base import Providers
from tests.support.fake_leg import FakeLeg

ORDER = DialOrder(CallId("00"))


class Only:
    """Reaches everybody for one line."""

    def __init__(self, line):
        self.line = line

    def has(self, line):
        return line == self.line

    async def dial(self, line, number, leg_id, order):
        return FakeLeg(f"{line} {number}")


async def test_each_line_dials_over_its_own_provider():
    providers = Providers([Only("a")])
    providers.add(Only("b"))
    leg = await providers.dial(LineName("b"), "15550100001", LegId("leg"), ORDER)
    assert leg.leg_id == "b 15550100001"


async def test_a_line_without_a_provider_cannot_dial():
    with pytest.raises(InvalidState, match=r"whatsapp\.provider"):
        await Providers([Only("a")]).dial(LineName("b"), "1", LegId("leg"), ORDER)

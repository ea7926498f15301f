"""Reaching numbers through the simulated contacts."""

from bridge.call.model import LineName
from bridge.providers.simulator.provider import SimulatorProvider
from tests.support.published import call_facts

LINE = LineName("demo")


def test_every_number_of_its_lines_is_a_contacts():
    provider = SimulatorProvider(frozenset({LINE}), speech=b"", ring_seconds=1.0)
    assert provider.has(LINE)
    assert not provider.has(LineName("other"))
    assert provider.outbound_leg(call_facts("demo"), "1").kind == "simulator"

"""Which legs are heard only after a disclosure."""

from types import SimpleNamespace
from typing import Any

import pytest

from bridge.call.model import LegKind, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.metrics.registry import Metrics
from bridge.node.disclosure.disclosures import Disclosures, Rules
from bridge.settings.disclosure import Disclosure
from tests.support.fake_leg import FakeLeg

pytestmark = pytest.mark.virtual_time

LINE = LineName("one")
BOT = LegRole(Party.SERVICE, Subscription.INBOUND)
SAID_SO = LegRole(Party.NEAR, Subscription.INBOUND, machine=True)
LISTENS = LegRole(Party.SERVICE, Subscription.INBOUND, Audience.NOBODY)


async def covered(kind, role, **given):
    """What becomes of the role of a leg on a line that discloses so."""
    disclosure = Disclosure(**({"text": "A machine."} | given))
    statements: Any = SimpleNamespace()
    made = Disclosures(Rules(lambda line: disclosure), statements, Metrics(version="1").disclosures)
    return made.cover(LINE, FakeLeg("bot", kind), role)


@pytest.mark.parametrize(
    ("kind", "role", "given", "discloses"),
    [
        (LegKind.AGENT, BOT, {}, True),
        (LegKind.AGENT, BOT, {"for_": ["socket"]}, False),
        (LegKind.AGENT, BOT, {"text": ""}, False),
        (LegKind.SOCKET, BOT, {}, False),
        (LegKind.SOCKET, BOT, {"for_": ["socket"]}, True),
        (LegKind.SOCKET, SAID_SO, {}, True),
        (LegKind.WEBRTC, SAID_SO, {}, True),
        (LegKind.WEBRTC, LegRole(Party.NEAR), {"for_": ["socket"]}, False),
        (LegKind.PLAYBACK, LegRole(Party.SERVICE), {}, False),
        (LegKind.SOCKET, LISTENS, {"for_": ["socket"]}, False),
    ],
)
async def test_what_is_heard_only_after_it_is_what_the_line_or_the_request_says(
    kind, role, given, discloses
):
    assert (await covered(kind, role, **given)).discloses is discloses


@pytest.mark.parametrize("given", [{}, {"text": ""}, {"for_": []}])
async def test_an_agent_is_a_machine_whatever_is_disclosed(given):
    assert (await covered(LegKind.AGENT, BOT, **given)).machine


async def test_a_socket_that_the_line_names_is_a_machine():
    assert (await covered(LegKind.SOCKET, BOT, for_=["socket"])).machine
    assert not (await covered(LegKind.SOCKET, BOT)).machine

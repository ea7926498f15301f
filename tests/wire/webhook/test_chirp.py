"""Which events Chirp's receivers are sent."""

import pytest

from bridge.call.model import LegKind, Party
from bridge.wire.webhook import chirp
from tests.wire.webhook.test_formats import event


@pytest.mark.parametrize("kind", LegKind)
def test_participants_are_persons(kind):
    side = Party.NEAR if kind.traits.person or kind is LegKind.SOCKET else Party.SERVICE
    joined = event("leg.joined", data={"kind": kind, "party": side})
    assert (chirp.name(joined) is not None) == kind.traits.person

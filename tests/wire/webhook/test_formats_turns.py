"""Who is sent the turns and overlaps of calls."""

from datetime import UTC, datetime

import pytest

from bridge.wire.call_event import CallEvent
from bridge.wire.webhook.formats import Style, wants

TURN = CallEvent(id="evt_1", type="turn", line="demo", at=datetime(2026, 1, 1, tzinfo=UTC))


def test_turns_go_to_who_names_them():
    assert wants(["call.ended", "turn"], Style.NATIVE, TURN)


@pytest.mark.parametrize("filters", [[], ["*"], ["all"], ["call.*"]])
def test_turns_do_not_go_to_who_wants_everything(filters):
    assert not wants(filters, Style.NATIVE, TURN)


@pytest.mark.parametrize("kind", ["overlap.started", "overlap.ended"])
def test_overlaps_go_to_who_names_them_alone(kind):
    event = CallEvent(id="evt_1", type=kind, line="demo", at=datetime(2026, 1, 1, tzinfo=UTC))
    assert wants([kind], Style.NATIVE, event)
    assert not wants(["*"], Style.NATIVE, event)

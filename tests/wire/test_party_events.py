"""What the holder of a ticket is sent of a call, by its party."""

from datetime import UTC, datetime

import msgspec
import pytest

from bridge.wire.call_event import CallEvent, CallSnapshot
from bridge.wire.metadata import NOTHING
from bridge.wire.party_events import as_seen_by

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(kind: str, **data: object) -> CallEvent:
    call = CallSnapshot(
        id="00",
        direction="outbound",
        state="active",
        peer="1",
        started_at=NOW,
        metadata=msgspec.Raw(b'{"secret":1}'),
        tag="vip",
    )
    return CallEvent(id="evt", type=kind, line="demo", at=NOW, call=call, data=data)


@pytest.mark.parametrize("party", ["near", "far", "transfer"])
def test_how_the_call_stands_is_for_all_without_what_the_server_noted(party):
    seen = as_seen_by(party, event("call.active"))
    assert seen is not None
    assert seen.call is not None
    assert (seen.call.metadata, seen.call.tag, seen.call.state) == (NOTHING, "", "active")


@pytest.mark.parametrize(
    ("party", "sent"), [("near", "near"), ("transfer", "near"), ("far", "far")]
)
@pytest.mark.parametrize("kind", ["leg.joined", "leg.left", "digit.received"])
def test_what_happens_to_a_leg_is_for_its_own_side(party, sent, kind):
    for side in ("near", "far", "service"):
        seen = as_seen_by(party, event(kind, legID="leg_1", party=side))
        assert (seen is not None) == (side == sent)


@pytest.mark.parametrize("hop", ["stream", "recording"])
def test_problems_of_what_the_server_does_are_for_no_ticket(hop):
    assert as_seen_by("near", event("call.problem", hop="browser.network")) is not None
    assert as_seen_by("near", event("call.problem", hop=hop)) is None


@pytest.mark.parametrize("kind", ["transcript", "call.muted", "agent.replied"])
def test_what_the_bridge_does_for_the_near_side_is_not_for_the_far_one(kind):
    assert as_seen_by("near", event(kind)) is not None
    assert as_seen_by("far", event(kind)) is None


@pytest.mark.parametrize("party", ["near", "far"])
@pytest.mark.parametrize(
    "kind", ["digits.collected", "recording.ready", "stream.started", "playback.started", "new"]
)
def test_what_is_for_the_server_is_for_no_ticket(party, kind):
    assert as_seen_by(party, event(kind)) is None

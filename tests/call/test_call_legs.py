"""The legs of a call: who is far, who may join beside whom, who is muted."""

import pytest

from bridge.call import events
from bridge.call.call_legs import CallLegs
from bridge.call.model import EndReason, LegId, LegKind, Party
from bridge.call.routing import LegRole
from bridge.errors import InvalidState, LegNotFound

FAR, ANN, BOB = (LegId(name) for name in ("far", "ann", "bob"))


def legs(*, exclusive: bool = False) -> CallLegs:
    found = CallLegs(exclusive=exclusive, abandoned_seconds=30)
    found.add(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), 0)
    found.add(events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)), 0)
    return found


def test_the_far_party_and_the_near_ones_are_told_apart():
    found = legs()
    assert found.far is found.records[FAR]
    assert [leg.leg_id for leg in found.near()] == [ANN]


def test_an_exclusive_call_is_not_streamed_while_it_is_recorded():
    found = legs(exclusive=True)
    found.add(events.LegAdded(BOB, LegKind.RECORDER, LegRole(Party.SERVICE)), 0)
    with pytest.raises(InvalidState, match="recorded or streamed"):
        found.check_kind(LegKind.STREAM)


def test_a_leg_that_joins_a_muted_call_is_muted():
    found = legs()
    found.mute(events.MuteRequested(muted=True), 1)
    found.add(events.LegAdded(BOB, LegKind.WEBRTC, LegRole(Party.NEAR)), 2)
    assert found.records[BOB].muted


def test_muting_an_unknown_leg_is_refused():
    with pytest.raises(LegNotFound):
        legs().mute(events.MuteRequested(muted=True, leg_id=BOB), 1)


def test_a_browser_that_comes_back_is_as_muted_as_it_left():
    found = legs()
    found.mute(events.MuteRequested(muted=True, leg_id=ANN), 1)
    found.let_return(found.records[ANN], 2)
    assert found.drop(found.records[ANN], EndReason.HANGUP, 2).leg_id == ANN
    found.add(events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)), 3)
    assert found.records[ANN].muted


def test_the_far_party_takes_part_once_the_call_is_answered():
    found = legs()
    assert FAR not in found.routes(found.participants(answered=False, held=False)).rows
    assert found.routes(found.participants(answered=True, held=False)).rows[FAR] == {ANN}

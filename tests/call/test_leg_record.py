"""Legs that are gone: for how long, and how many, may come back."""

import pytest

from bridge.call.leg_record import MAX_DEPARTED, DepartedLegs, LegRecord
from bridge.call.model import LegId, LegKind, Party
from bridge.call.routing import LegRole

LEG = LegRecord(LegId("ann"), LegKind.WEBRTC, LegRole(Party.NEAR), muted=True)


def test_a_leg_may_come_back_until_its_time_has_passed():
    departed = DepartedLegs()
    departed.keep(LEG, 10.0)
    assert departed.find(LEG.leg_id, 9.9) is LEG
    assert departed.find(LEG.leg_id, 10.0) is None


def test_a_leg_comes_back_once():
    departed = DepartedLegs()
    departed.keep(LEG, 10.0)
    assert departed.take(LEG.leg_id, 1.0) is LEG
    assert departed.take(LEG.leg_id, 1.0) is None


def test_the_first_that_left_makes_room():
    departed = DepartedLegs()
    names = [LegId(f"leg {number}") for number in range(MAX_DEPARTED + 1)]
    for name in names:
        departed.keep(LegRecord(name, LegKind.WEBRTC, LegRole(Party.NEAR)), 10.0)
    assert [name for name in names if departed.find(name, 0.0) is None] == names[:1]


@pytest.mark.parametrize(
    ("kind", "party", "may"),
    [
        (LegKind.WEBRTC, Party.NEAR, True),
        (LegKind.WEBRTC, Party.FAR, False),
        (LegKind.SOCKET, Party.NEAR, False),
        (LegKind.SIMULATOR, Party.NEAR, False),
    ],
)
def test_only_a_near_browser_may_come_back(kind, party, may):
    assert LegRecord(LegId("ann"), kind, LegRole(party)).may_return is may


def test_a_leg_is_muted_while_its_page_reloads_and_an_unknown_one_is_not():
    departed = DepartedLegs()
    departed.keep(LEG, 10.0)
    for wanted, leg_id in ((False, None), (True, LEG.leg_id), (False, LEG.leg_id)):
        assert departed.mute(leg_id, 1.0, muted=wanted)
        found = departed.find(LEG.leg_id, 1.0)
        assert found is not None
        assert found.muted is wanted
    assert not departed.mute(LegId("bob"), 1.0, muted=True)
    assert not departed.mute(LEG.leg_id, 11.0, muted=True)
